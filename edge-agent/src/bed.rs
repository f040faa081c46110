//! The bed: owns the channels and the alarm engine, and decides what is announced, what is written, and when.
//!
//! A pure core and its shell: [`core::Bed`] has `handle` and `poll`, [`run`] carries messages and time to it.

mod account;
mod announce;
mod batch;
mod clocks;
mod command;
mod core;
mod device_clock;
mod gap;
mod held;
mod kept;
mod orders;
mod own_clock;
mod patients;
pub mod run;
mod signals;
mod snapshot;
#[cfg(test)]
mod tests;
mod values;
mod watch;

pub use self::core::{Bed, Input, LinkSetup, Output, Setup};
pub use device_clock::words as clock_words;
pub use kept::{Keep, Kept, write as keep};
pub use orders::Orders;
pub use own_clock::ClockSnapshot;
pub use run::Asked;
pub use signals::Signals;
pub use snapshot::{LinkSnapshot, Snapshot, ValueSnapshot};
