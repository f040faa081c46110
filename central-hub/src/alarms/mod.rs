//! The unit's half of the alarm system: who watches a bed, who answers for an alarm, what people ask of a bed, and the log of it all.
//!
//! ```text
//! agent --announce (beat)--> Desk, unit --frames, then tick (nonce, beats)--> station paints, sounds
//! agent <--watch (beat)----- Desk <-------------receipt (nonce, beats)----------/
//! ```
//! The agent owns condition and inactivation of an alarm; the desk owns responsibility, and never derives an alarm of a patient.

mod act;
mod bed;
mod cover;
mod desk;
mod duty;
mod own;
pub mod run;
pub mod view;

pub use act::{Answer, Asked, Refused, Requested, Wish};
pub use cover::{Audio, Beds, Receipt, SelfTest, Station, Verdict};
pub use desk::{Desk, Output, Rules};
pub use duty::{Nurses, Staff};

/// One line of the alarm log: what the hub knows of an alarm beyond what its agent records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub at: cotside_protocol::model::Wall,
    pub bed: String,
    /// Empty: it is about the bed.
    pub episode: String,
    pub version: u32,
    /// A stable word: `heard`, `painted`, `sounded`, `requested`, `done`, `refused`, `expired`, `accepted`, `rejected`, `withdrawn`,
    /// `escalated`, `late`, `covered`, `uncovered`, `ended`.
    pub what: &'static str,
    pub by: Option<String>,
    pub station: Option<String>,
    pub detail: String,
}
