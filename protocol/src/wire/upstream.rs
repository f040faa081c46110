//! JSON messages from agent to hub. Every type is a promise: fields are added with defaults, never renamed or reused.

use super::topic::Lane;
use serde::{Deserialize, Serialize};

/// Version of the agent-hub conversation, in `hello` and `welcome`.
pub const WIRE_VERSION: u32 = 1;

/// First message of every connection, and the first thing the hub answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    pub wire: u32,
    pub agent: String,
    pub software: String,
    /// Random, 16 hex digits; one per start of the agent.
    pub epoch: String,
    /// The epoch of the log before this one, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<String>,
    /// The log lives in memory: this epoch is beside the chain of those on disk, and none follows it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_memory: bool,
    /// Random, per start of the agent.
    pub boot: String,
    pub provenance: Provenance,
    pub wall_us: i64,
    /// Where this epoch begins in each lane: seqs go on from one epoch of a log to the next.
    #[serde(default)]
    pub first: LaneSeqs,
    /// Next seq of each lane: what exists is below it.
    pub next: LaneSeqs,
    /// Every seq of this epoch below these was confirmed by the store named `confirmed_by`.
    #[serde(default)]
    pub confirmed: LaneSeqs,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<String>,
}

/// Asks what the hub holds of earlier epochs of the log; answered by an acknowledgement of each. Their rows are then taken
/// besides the present epoch's, until the next recall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recall {
    /// At most [`Recall::EPOCHS_MAX`].
    pub epochs: Vec<PastEpoch>,
}

impl Recall {
    pub const EPOCHS_MAX: usize = 32;
}

/// An earlier epoch of the log, whole: it grows no more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastEpoch {
    pub epoch: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<String>,
    pub first: LaneSeqs,
    /// One past its last seq of each lane.
    pub next: LaneSeqs,
    /// As in [`Hello`].
    #[serde(default)]
    pub confirmed: LaneSeqs,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<String>,
    /// The hub once claimed rows of it that were never written: what it claims counts for nothing until it was sent again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disputed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneSeqs {
    pub alarm: u64,
    pub numeric: u64,
    pub waveform: u64,
}

impl LaneSeqs {
    pub fn each(seq: impl Fn(Lane) -> u64) -> Self {
        Self { alarm: seq(Lane::Alarm), numeric: seq(Lane::Numeric), waveform: seq(Lane::Waveform) }
    }

    pub const fn of(self, lane: Lane) -> u64 {
        match lane {
            Lane::Alarm => self.alarm,
            Lane::Numeric => self.numeric,
            Lane::Waveform => self.waveform,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provenance {
    Live,
    Replay,
    Simulated,
    DeviceDemo,
}

/// Every second or on change: what the agent believes of itself and its links. Not stored; it is the link state of the tile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub epoch: String,
    pub wall_us: i64,
    pub links: Vec<LinkStatus>,
    pub outbox: OutboxStatus,
    /// The limits in force, at the first status after a welcome and every ten seconds; None: as last said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<super::downstream::Limits>,
    /// The set that was refused last and is newer than the one in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits_refused: Option<LimitsRefused>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsRefused {
    pub version: u64,
    pub words: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// Index used in blocks.
    pub link: u8,
    pub name: String,
    pub driver: String,
    pub state: LinkState,
    /// Words for the biomedical engineer.
    pub detail: String,
    #[serde(default)]
    pub manufacturer: String,
    #[serde(default)]
    pub model: String,
    #[serde(default)]
    pub serial: String,
    #[serde(default)]
    pub firmware: String,
    /// Milliseconds since the last valid byte; None: never.
    pub heard_ms: Option<u64>,
    pub frames: u64,
    pub malformed_bytes: u64,
    /// The device's own clock; None: it has not told the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockStatus>,
}

/// How another clock stands to the wall clock of who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockStatus {
    pub state: ClockState,
    /// Microseconds that it is ahead, its zone taken off.
    pub offset_us: i64,
    /// Give or take so much.
    pub uncertainty_us: i64,
    pub zone: ClockZone,
    /// Minutes east of UTC; 0 where unknown.
    #[serde(default)]
    pub zone_min: i16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockState {
    Steady,
    /// It was set within the last hour.
    Stepped,
    /// It shows a year in which nobody set it.
    Unset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockZone {
    Stated,
    /// Local time of the nearest zone in use; the rest is `offset_us`.
    Guessed,
    /// Farther off than any zone: all of it is `offset_us`.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// Trying to open the port or socket.
    Opening,
    /// Open, talking, no data yet.
    Connecting,
    Live,
    /// Open, but nothing valid within the driver's silence limit.
    Silent,
    /// Cannot be opened, or refused; will try again.
    Down,
    /// The device's identity is not the one confirmed for this bed: nothing is attributed.
    WrongDevice,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutboxStatus {
    pub waiting_rows: u64,
    pub waiting_bytes: u64,
    /// Age of the oldest row not yet acknowledged.
    pub oldest_ms: u64,
    pub dropped_rows: u64,
    /// Since the agent started.
    #[serde(default)]
    pub entries: Entries,
}

/// What became of every entry (a value, a sample, a record) of this bed: `read = withheld + held + lost + stored`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entries {
    pub read: u64,
    /// Of a device that is not this bed's.
    pub withheld: u64,
    /// On the way to the log.
    pub held: u64,
    /// Gave way because the log did not keep up; gap records say when.
    pub lost: u64,
    /// In the log.
    pub stored: u64,
}

/// The full alarm state of the bed, sent at every change before anything is on disk, and once a second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Announce {
    pub epoch: String,
    pub wall_us: i64,
    /// Counts the announces of one epoch, from 1; drawn by the alarm engine's own loop. A station that has painted and sounded this
    /// state says so by this number, and the hub hands it back in [`super::downstream::Watch`].
    #[serde(default)]
    pub beat: u64,
    pub alarms: Vec<Alarm>,
    /// Alarms of the patient are held back for a procedure, until then at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standby: Option<Standby>,
    /// The bed's audio is paused as a whole; new alarms of no higher priority stay silent as long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// The stay that the open episodes belong to, as the hub named it; None: nobody was admitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stay: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standby {
    pub until_us: i64,
    pub by: String,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub until_us: i64,
    pub by: String,
    /// The highest priority that it silences: a higher one breaks through.
    pub up_to: Priority,
}

/// What became of a [`super::downstream::Command`]. Sent again for every repetition of the same command, which is applied once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    pub command: String,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    Done,
    Refused {
        why: Refusal,
        /// For people.
        words: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// No such episode is open.
    Unknown,
    /// It has asked for attention anew since that version.
    Superseded,
    /// It came too late.
    Expired,
    /// Not for this bed.
    OtherBed,
    /// Beyond what this agent allows.
    NotAllowed,
}

/// One episode at one version; also the payload of an alarm-lane event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// 16 hex digits.
    pub episode: String,
    pub version: u32,
    /// The version from which it asks for attention anew; an acknowledgement of an earlier one is refused.
    #[serde(default)]
    pub attention: u32,
    pub rule: String,
    pub kind: AlarmKind,
    pub priority: Priority,
    pub condition: Condition,
    pub inactivation: Inactivation,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Decimal text, digits as the device wrote them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    #[serde(default)]
    pub ucum: String,
    pub text: String,
    /// What a combined episode consists of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<u8>,
    /// The delay it had to stand.
    #[serde(default)]
    pub delay_ms: u64,
    /// The version of the limits that were in force; 0: the agent's configuration.
    #[serde(default)]
    pub limits: u64,
    pub onset_us: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_us: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_us: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// Why an episode is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    Resolved,
    SuppressedByDelay,
    Reset,
    TurnedOver,
    Joined,
    Withdrawn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmKind {
    Physiological,
    Technical,
    Advisory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    Advisory,
    Low,
    Medium,
    High,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    Inactive,
    Delaying,
    Active,
    Latched,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Inactivation {
    Enabled,
    AudioPaused {
        until_us: i64,
        #[serde(default)]
        by: String,
    },
    Acknowledged {
        #[serde(default)]
        at_us: i64,
        #[serde(default)]
        by: String,
    },
}

/// Payload of an event block in the alarm lane: everything that is said once and must never be lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Record {
    Alarm(Alarm),
    /// The device's own alert, passed on.
    Alert {
        link: u8,
        code: u32,
        source: Option<u32>,
        priority: Priority,
        technical: bool,
        present: bool,
        text: String,
    },
    /// A device said who it is. (No patient data.)
    Identified {
        link: u8,
        name: String,
        driver: String,
        manufacturer: String,
        model: String,
        serial: String,
        firmware: String,
        bed_label: String,
    },
    LinkChanged {
        link: u8,
        name: String,
        state: LinkState,
        detail: String,
    },
    /// How a device's clock stands to this gateway's wall clock, as the block's header dates it: when first known, on
    /// every step and material change, and every hour.
    DeviceClock {
        link: u8,
        name: String,
        clock: ClockStatus,
        /// It was set by so many microseconds just now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step_us: Option<i64>,
        detail: String,
    },
    /// This gateway's wall clock was set. The header's monotonic time says when: what has a smaller one was dated by the clock before.
    ClockStep {
        before_us: i64,
        after_us: i64,
        /// The clock was not set at all before: what was dated by it is to be dated anew, by as much as the step.
        was_unset: bool,
        detail: String,
    },
    Started {
        boot: String,
        predecessor: Option<String>,
        software: String,
    },
    Stopped {
        clean: bool,
    },
    /// A person's command was applied or refused here.
    Commanded {
        command: super::downstream::Command,
        outcome: Outcome,
    },
    /// A set of limits came: it is in force, or was refused in words.
    LimitsTaken {
        version: u64,
        author: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<String>,
    },
    /// Another patient lies here, or none: episodes, pauses and latches of the last one ended.
    TurnedOver {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stay: Option<String>,
    },
}
