//! HL7 v2 as bytes: framing, scanning, escapes, character sets, times and acknowledgements, for the agent's driver and the hub alike.
//!
//! The way of a message: [`mllp::Framer`] cuts it out of the stream, [`charset::decode`] makes it UTF-8, [`scan::messages`] finds the
//! messages of a batch, [`scan::Message`] walks segments and fields without copying, and [`escape::decode`] is applied once, at the leaf.

pub mod ack;
pub mod charset;
pub mod escape;
pub mod mllp;
pub mod scan;
mod separators;
pub mod time;

#[cfg(test)]
pub(crate) mod differential;
