//! What brings the log to the hub: a pure outbox that decides what to send, and a shell that holds the connection.

pub mod credentials;
mod hub_clock;
mod outbox;
mod run;
pub(crate) mod words;

pub use outbox::{Count, Input, Outbox, Output, Taken};
pub use run::{Settings, UPLINK_REQUESTS_MAX, Wires, run};
