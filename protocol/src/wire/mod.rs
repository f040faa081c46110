//! What agent and hub say to each other. Blocks are compact binary, everything else is JSON; topics have one grammar.
//!
//! This is the only place in the crate that knows serde; model types are converted in [`convert`].

pub mod block;
pub mod convert;
pub mod downstream;
pub mod topic;
pub mod upstream;
pub mod watermark;
