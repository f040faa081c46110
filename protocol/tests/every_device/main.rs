//! What a device gets for free by being in the list: one suite, run for every driver.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by stopping")]

mod bench;
mod captures;
mod conversation;
mod mutation;
mod tables;
