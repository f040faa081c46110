//! What signals at the bed itself: a program that is told each change, a buzzer on a line, a button that silences both.
//!
//! Pure cores ([`hook`], [`buzzer`], [`button`]) and two shells: one keeps the program alive, the other owns the lines of a chip. They
//! follow the bed's [`crate::bed::Signals`]; what cannot signal is an alarm of its own.

mod button;
mod buzzer;
mod chip;
mod hook;
pub mod run;
