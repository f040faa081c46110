//! The bedside agent: reads the devices of one bed, checks alarms on the spot, writes everything to SQLite, forwards it to the hub.

pub mod agent;
pub mod alarm;
mod backoff;
pub mod bed;
pub mod commands;
pub mod enroll;
pub mod link;
pub mod local;
pub mod page;
pub mod row;
pub mod sounder;
pub mod store;
pub mod uplink;
