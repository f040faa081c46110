//! The station-facing half of the hub, driven as a browser drives it: real sockets, a real store, agents replaced by a channel of items.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod browser;
mod confidential;
mod hub;
mod limits;
mod live;
mod patients;
mod record;
mod stations;
