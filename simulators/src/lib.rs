//! Patients, device peers on real lines, cable faults, and the demo, which starts the real binaries by path.

pub mod cable;
pub mod demo;
pub mod newborn;
pub mod process;
pub mod run;
pub mod station;
pub mod unit;
