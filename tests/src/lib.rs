//! The whole system in few binaries.
