//! One agent's conversation, carried between transport, store and unit.

pub mod run;
