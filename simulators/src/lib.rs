//! Patients, device peers on real lines, cable faults, and the demo, which starts the real binaries by path.

pub mod cable;
pub mod newborn;
pub mod run;
