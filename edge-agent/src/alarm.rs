//! The alarm engine: readings, alerts, link states, people and time in, episodes out. Written as if it were a crate of its own: it
//! imports the model and nothing else, holds no numbers of its own, and never waits for disk or network.

mod alerts;
mod breath;
mod channel;
mod engine;
mod episode;
mod house;
mod kept;
mod limits;
mod links;
mod person;
mod policy;
mod rates;
mod rule;
mod together;
mod verdict;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod scenarios;

pub use engine::{Engine, Input};
pub use person::{Act, Pause, Refused, Standby};
pub use policy::Policy;
pub use rule::{LinkCondition, Rule};
