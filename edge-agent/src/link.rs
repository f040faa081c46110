//! A link: one cable or socket, the session on it, and everything that goes wrong between them.
//!
//! [`run`] is the shell that drives a driver's session; identity, quota and state are pure and stand beside it.

mod datagram;
mod identity;
mod port;
mod quota;
pub mod run;
mod serial;
mod state;
mod stream;
pub mod tap;
