//! What people do at this bed: acknowledge, reset, pause the sound, stand by for a procedure, accept limits.

use cotside_protocol::model::{DeviceText, EpisodeId, Mono, Priority, Wall};
use std::time::Duration;

/// A person's word. Applied whole or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Ends the sound of this episode until it asks for attention anew.
    Acknowledge {
        episode: EpisodeId,
        version: u32,
    },
    /// Ends an episode that is latched.
    Reset {
        episode: EpisodeId,
        version: u32,
    },
    /// Silences the bed for so long.
    PauseAudio(Duration),
    EndPause,
    /// A procedure, and why: the patient's alarms are held back, extremes not.
    Standby(Duration, DeviceText),
    EndStandby,
    /// The limits that were reset are seen, and good.
    AcceptLimits,
}

/// Why a person's word was not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No such episode is open.
    Unknown,
    /// It has asked for attention anew since that version.
    Superseded,
    /// Beyond what this agent allows.
    NotAllowed,
}

/// The sound of the bed is off, for a short time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    pub until: Wall,
    pub by: DeviceText,
    /// The highest priority that it silences: a higher one breaks through.
    pub up_to: Priority,
    pub(super) ends_at: Mono,
}

/// The patient's alarms are held back for a procedure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standby {
    pub until: Wall,
    pub by: DeviceText,
    pub reason: DeviceText,
    pub(super) ends_at: Mono,
}
