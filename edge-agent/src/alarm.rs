//! The alarm engine: readings, link states and time in, episodes out. Written as if it were a crate of its own: it imports
//! the model and nothing else, holds no numbers of its own, and never waits for disk or network.

mod channel;
mod engine;
mod episode;
mod person;
mod policy;
mod rule;

#[cfg(test)]
mod scenarios;

pub use engine::{Engine, Input};
pub use person::{Act, Pause, Refused, Standby};
pub use policy::Policy;
pub use rule::{LinkCondition, Rule};
