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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alive {
    /// Empty: the hub has not met this agent since it started, and asks for a hello.
    pub store: String,
    pub hub_wall_us: i64,
}

/// The numbered, concrete set of limits of one bed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    pub version: u64,
    pub author: String,
    pub limits: Vec<Limit>,
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    Low,
    High,
}
