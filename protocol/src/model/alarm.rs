//! The vocabulary of alarms (IEC 60601-1-8, IHE ACM): condition, inactivation and responsibility are three variables of one episode.

use super::{Code, Decimal, DeviceText, Site, Wall};
use std::time::Duration;

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

/// Owned by the agent: what of the signals of an episode is held back, and on whose word.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Inactivation {
    Enabled,
    AudioPaused { until: Wall, by: DeviceText },
    Acknowledged { at: Wall, by: DeviceText },
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

/// Why an episode is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ended {
    /// The condition is gone.
    Resolved,
    /// It went before its delay was over: nobody was alarmed.
    SuppressedByDelay,
    /// A person reset what was latched.
    Reset,
    /// Another patient, or none: what was open belonged to the last one.
    TurnedOver,
    /// It is told as a part of the combined episode that has begun.
    Joined,
    /// The rule is no longer in force.
    Withdrawn,
}

/// The full state of one episode at one version.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    pub episode: EpisodeId,
    pub version: u32,
    /// The version from which it asks for attention anew: its onset, a higher priority, a value far worse, a condition that came
    /// back. What a person acknowledges of an earlier version is refused.
    pub attention: u32,
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
    /// What a combined episode consists of, in words: `Apnea 22 s`, `HR 68`.
    pub parts: Vec<DeviceText>,
    /// The link whose device it is about, where it is about one.
    pub link: Option<u8>,
    /// The delay it had to stand, and the version of the limits that were in force.
    pub delay: Duration,
    pub limits: u64,
    /// Agent wall time of onset (condition true), of activation (delay over), and of the end.
    pub onset_at: Wall,
    pub active_at: Option<Wall>,
    pub ended_at: Option<Wall>,
    pub ended: Option<Ended>,
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
    pub delay: Duration,
    pub priority: Priority,
    /// How far a value must come back inside before the condition ends; 0: at the threshold.
    pub hysteresis: Decimal,
    /// The deeper beyond the threshold, the shorter the wait.
    pub depth: Option<Depth>,
    /// What has been active stays until a person has seen it.
    pub latching: bool,
    /// Never held back by standby or by a pause; delayed by what its own row says and by nothing else.
    pub extreme: bool,
}

impl Limit {
    /// One that fills nothing but what every limit has: it ends where it began, and its delay is the same at any depth.
    pub fn plain(code: Code, side: LimitSide, threshold: Decimal, ucum: &'static str) -> Self {
        Self {
            code,
            side,
            threshold,
            ucum,
            delay: Duration::ZERO,
            priority: Priority::Medium,
            hysteresis: Decimal::new(0, 0),
            depth: None,
            latching: false,
            extreme: false,
        }
    }
}

/// From the threshold to `full` beyond it, the wait shrinks in a straight line from the limit's delay to this one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Depth {
    pub full: Decimal,
    pub delay: Duration,
}

/// A change of one parameter by so much within so long.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    pub code: Code,
    /// `Low`: it falls; `High`: it rises.
    pub side: LimitSide,
    pub by: Decimal,
    pub ucum: &'static str,
    pub within: Duration,
    pub priority: Priority,
}

/// No breath for so long; shorter when the heart slows or the blood desaturates meanwhile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Apnoea {
    pub after: Duration,
    /// With bradycardia or desaturation already after this.
    pub accompanied: Duration,
    pub priority: Priority,
}

/// Apnoea, bradycardia and desaturation that belong together are one alarm: the parts that overlap, or follow within `window`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Combined {
    /// Heart rate below this, for so long.
    pub bradycardia: (Decimal, Duration),
    /// SpO2 below this, for so long.
    pub desaturation: (Decimal, Duration),
    pub window: Duration,
    pub priority: Priority,
}

/// The numbered, concrete set of one bed: everything that its engine watches beyond the technical.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LimitSet {
    /// 0: the agent's own configuration.
    pub version: u64,
    pub limits: Vec<Limit>,
    pub rates: Vec<Rate>,
    pub apnoea: Option<Apnoea>,
    pub combined: Option<Combined>,
}
