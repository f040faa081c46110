//! Which limits a bed is to have: profile, age, oxygen therapy and what was changed for this patient, resolved into one numbered set.
//!
//! ```text
//! admission, oxygen, age, profile, a person's change --resolve--> set --store (append)--> version --tending--> agent
//!                                                                   requested       accepted, in force <--status--'
//! ```
//! The agent owns what is in force and checks every set against bounds of its own; what this hub wants is never taken for what is.

pub mod change;
pub mod ears;
pub mod profiles;
pub mod resolve;
pub mod run;
pub mod standing;
#[cfg(test)]
mod tests;
pub mod view;

pub use ears::run::Ears;
pub use run::Limits;
