//! The hub: takes what the agents send, commits it, shows it to the nursing station, and answers for it.

pub mod agents;
pub mod alarms;
pub mod api;
pub mod authority;
pub mod commands;
pub mod feed;
pub mod hub;
pub mod ledger;
pub mod limits;
pub mod live;
pub mod passed_time;
pub mod people;
pub mod stations;
pub mod store;
pub mod unit;
