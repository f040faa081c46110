//! The bed: owns the channels and the alarm engine, and decides what is announced, what is written, and when.
//!
//! A pure core and its shell: [`core::Bed`] has `handle` and `poll`, [`run`] carries messages and time to it.

mod account;
mod batch;
mod core;
mod gap;
mod held;
mod kept;
mod patients;
pub mod run;
mod snapshot;
#[cfg(test)]
mod tests;
mod values;

pub use self::core::{Bed, Input, LinkSetup, Output, Setup};
pub use kept::{Keep, Kept};
pub use snapshot::{LinkSnapshot, Snapshot, ValueSnapshot};
