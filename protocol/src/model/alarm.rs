//! The vocabulary of alarms (IEC 60601-1-8, IHE ACM): condition, inactivation and responsibility are three variables of one episode.

use super::{Code, Decimal, DeviceText, Site, Wall};

/// Response priority. Ordered: `High` is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    Advisory,
    Low,
    Medium,
    High,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlarmKind {
    Physiological,
    Technical,
    Advisory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    Inactive,
    Delaying,
    Active,
    Latched,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Inactivation {
    Enabled,
    AudioPaused { until: Wall },
    Acknowledged,
}

/// Owned by the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Responsibility {
    None,
    Undefined,
    Accepted,
    Rejected,
}

/// One alarm from onset to end. Drawn by the agent; unique for ever within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EpisodeId(pub u64);

/// The full state of one episode at one version.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    pub episode: EpisodeId,
    pub version: u32,
    /// Stable name of the rule that raised it: `limit-high`, `limit-low`, `link-lost` ...
    pub rule: &'static str,
    pub kind: AlarmKind,
    pub priority: Priority,
    pub condition: Condition,
    pub inactivation: Inactivation,
    pub code: Option<Code>,
    pub site: Site,
    /// The value at this version and the limit it broke.
    pub value: Option<Decimal>,
    pub limit: Option<Decimal>,
    pub ucum: &'static str,
    /// What the nurse reads, e.g. `SpO2 71 < 85`.
    pub text: DeviceText,
    /// Agent wall time of onset (condition true), of activation (delay over), and of the end.
    pub onset_at: Wall,
    pub active_at: Option<Wall>,
    pub ended_at: Option<Wall>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitSide {
    Low,
    High,
}

/// One threshold of one parameter, concrete and resolved: the agent never needs to know an age.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    pub code: Code,
    pub side: LimitSide,
    pub threshold: Decimal,
    pub ucum: &'static str,
    pub delay: std::time::Duration,
    pub priority: Priority,
}
