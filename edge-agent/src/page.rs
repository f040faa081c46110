//! The page of this bed alone, for a screen beside it: what the bed says, drawn as the station draws it, with its sounds and one button.
//!
//! It owns nothing: every frame is the bed's own snapshot, and the button is a question to the bed. It needs no hub and no file of its own.

mod files;
mod pin;
pub mod run;
mod view;
