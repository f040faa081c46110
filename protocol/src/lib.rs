//! The words and the wires of Cotside, without IO: the model, the device drivers, HL7 v2, and what agent and hub say to each other.
//!
//! Nothing here reads a clock, opens a file, spawns or awaits: time and bytes are arguments, decisions are return values.
//! serde appears in [`wire`] and nowhere else in this crate.

pub mod capture;
pub mod device;
pub mod devices;
pub mod face;
pub mod hl7;
pub mod model;
pub mod offset;
pub mod replay;
pub mod transcript;
pub mod wire;
