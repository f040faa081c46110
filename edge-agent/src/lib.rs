//! The bedside agent: reads the devices of one bed, checks alarms on the spot, writes everything to SQLite, forwards it to the hub.

pub mod alarm;
pub mod bed;
pub mod link;
pub mod row;
pub mod store;
pub mod uplink;
