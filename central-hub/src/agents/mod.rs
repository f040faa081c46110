//! The agents' side of the hub: who may speak, what arrives exactly once, and what is answered when.

pub mod inbound;
pub mod watermark;
