//! Typed configuration of agent and hub: checked, self-describing.
//!
//! A file is read whole and every problem is reported at once, with its place. The declaration of the keys is the one
//! source of what `check` accepts, what is the default, and what `describe` prints.

pub mod agent;
pub mod hub;
pub mod problem;
pub mod profile;
pub mod section;

mod rule;

pub use rule::named;
