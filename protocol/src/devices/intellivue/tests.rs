//! The driver as a whole.
