//! A seeded newborn, device peers on real lines, cable faults, and the demo.
