//! JSON messages from hub to agent.

use super::upstream::Priority;
use serde::{Deserialize, Serialize};

/// The hub's answer to `hello`: the full state an agent needs. Nothing is retained by any broker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    pub wire: u32,
    /// Names the hub's store; changes when the store was restored: the agent then sends again what it still holds.
    pub store: String,
    pub hub_wall_us: i64,
    /// The bed this agent serves now; None: not assigned, nothing is attributed.
    pub bed: Option<String>,
    /// What the hub already holds of this epoch.
    pub acks: Vec<LaneAck>,
    pub limits: Option<Limits>,
    /// The hub takes only this provenance; an agent of another kind is told so in `refused`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// What is committed at the hub. A row leaves the outbox by this and by nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ack {
    pub store: String,
    pub epoch: String,
    pub lanes: Vec<LaneAck>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneAck {
    /// `alarm`, `numeric` or `waveform`.
    pub lane: String,
    /// Every seq below this is committed.
    pub below: u64,
    /// Committed ranges at or above `below`: [first, end), sorted, at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<[u64; 2]>,
}

/// Every second while the hub can commit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Alive {
    /// Empty: the hub has not met this agent since it started, and asks for a hello.
    pub store: String,
    pub hub_wall_us: i64,
    /// Who watches this bed; sent at once when that ends. None: this hub does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Watch>,
    /// Who lies in this bed; repeated, so that it cannot be missed. None: this hub does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stay: Option<Stay>,
}

/// The lease of central monitoring: which of the agent's own beats a covering station has painted, and sounded where it must. It is
/// worth [`Watch::LEASE_MS`] from the moment at which the agent drew that beat, and confirms every alarm announced up to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Of this epoch.
    pub epoch: String,
    /// None: no station covers this bed, or none that covers it paints and sounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beat: Option<u64>,
    /// Why not, in words for the bed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl Watch {
    pub const LEASE_MS: u64 = 8_000;
    /// An alarm that no station has confirmed within this is told at the bed as not delivered.
    pub const CONFIRMED_WITHIN_MS: u64 = 5_000;
}

/// The interval in which one patient lies in one bed, by an opaque name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stay {
    /// None: nobody is admitted.
    pub id: Option<String>,
}

/// A person's word to one bed. The agent applies it once, within its own bounds, and answers with a reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Random, 16 hex digits; the same command sent again has the same.
    pub id: String,
    pub bed: String,
    /// Who, as people are named in the audit.
    pub by: String,
    /// From which station; None: from none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station: Option<String>,
    /// By the hub's clock; after `expires_us` it is refused.
    pub issued_us: i64,
    pub expires_us: i64,
    pub act: Act,
}

impl Command {
    pub const EXPIRES_AFTER_MS: u64 = 10_000;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "act")]
pub enum Act {
    /// Ends the sound of this episode until it asks for attention anew.
    Acknowledge {
        episode: String,
        version: u32,
    },
    /// Ends an episode that is latched.
    Reset {
        episode: String,
        version: u32,
    },
    /// Silences the bed for so long, 120 s at most.
    PauseAudio {
        seconds: u32,
    },
    EndPause,
    /// A procedure: the patient's alarms are held back, extremes not.
    Standby {
        seconds: u32,
        reason: String,
    },
    EndStandby,
    /// A person has seen that the limits were reset, and takes those in force.
    AcceptLimits {
        version: u64,
    },
}

/// The numbered, concrete set of limits of one bed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    pub version: u64,
    pub author: String,
    /// Which profile it was resolved from, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub profile: String,
    /// The bed it is for; an agent that serves another refuses it. Empty: not said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub bed: String,
    /// The stay it was made for: it is in force in no other, and may come before that stay does. None: whichever is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stay: Option<String>,
    pub limits: Vec<Limit>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<Rate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apnoea: Option<Apnoea>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combined: Option<Combined>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    pub code: u32,
    /// `low` or `high`.
    pub side: Side,
    /// Decimal text.
    pub threshold: String,
    pub ucum: String,
    pub delay_ms: u64,
    pub priority: Priority,
    /// Decimal text, in the limit's own unit.
    #[serde(default = "zero", skip_serializing_if = "is_zero")]
    pub hysteresis: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<Depth>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub latching: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub extreme: bool,
}

fn zero() -> String {
    "0".to_owned()
}

fn is_zero(text: &str) -> bool {
    text == "0"
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Depth {
    pub full: String,
    pub delay_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    pub code: u32,
    /// `low`: it falls; `high`: it rises.
    pub side: Side,
    pub by: String,
    pub ucum: String,
    pub within_ms: u64,
    pub priority: Priority,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apnoea {
    pub after_ms: u64,
    /// With bradycardia or desaturation already after this.
    pub accompanied_ms: u64,
    pub priority: Priority,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Combined {
    pub bradycardia: Below,
    pub desaturation: Below,
    pub window_ms: u64,
    pub priority: Priority,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Below {
    pub threshold: String,
    pub for_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    Low,
    High,
}
