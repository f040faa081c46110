//! The hub: takes what the agents send, commits it, shows it to the nursing station, and answers for it.

pub mod agents;
pub mod authority;
pub mod feed;
pub mod store;
