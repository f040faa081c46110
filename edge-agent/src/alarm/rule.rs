//! The closed list of what can alarm.

use cotside_protocol::model::{AlarmKind, Code, LimitSide, Priority, Site};

/// One rule about one thing: an episode belongs to exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A value beyond its limit for longer than the limit's delay. Limits of several priorities may watch one side.
    BeyondLimit { code: Code, site: Site, side: Side, priority: Priority },
    /// A watched parameter was heard before and has no fresh usable value.
    NotMeasured { code: Code, site: Site },
    /// A limit that cannot be applied, because the device measures in another unit (hazard H15).
    NotApplied { code: Code, site: Site },
    /// A device or its cable is not heard.
    LinkLost { link: u8 },
    /// The device is not the one confirmed for this bed (hazard H2).
    WrongDevice { link: u8 },
    /// The device says that it plays demonstration data (hazard H13).
    DemoMode { link: u8 },
    /// What happens is not being recorded.
    StoreTrouble,
    /// The hub sent limits that this agent does not apply.
    LimitsRefused,
    /// No hub listens.
    HubLost,
}

/// [`LimitSide`], ordered so that a rule can be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    Low,
    High,
}

/// What the engine needs to know of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkCondition {
    /// Being opened, or talking without data yet.
    Settling,
    Live,
    /// The port or peer is gone.
    Down,
    /// Open, and nothing valid within the driver's own limit.
    Silent,
    WrongDevice,
}

impl Rule {
    /// The stable name on the wire and in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeyondLimit { side: Side::Low, .. } => "limit-low",
            Self::BeyondLimit { side: Side::High, .. } => "limit-high",
            Self::NotMeasured { .. } => "not-measured",
            Self::NotApplied { .. } => "limit-not-applied",
            Self::LinkLost { .. } => "link-lost",
            Self::WrongDevice { .. } => "wrong-device",
            Self::DemoMode { .. } => "device-demo",
            Self::StoreTrouble => "store-trouble",
            Self::LimitsRefused => "limits-refused",
            Self::HubLost => "hub-lost",
        }
    }

    pub const fn kind(self) -> AlarmKind {
        match self {
            Self::BeyondLimit { .. } => AlarmKind::Physiological,
            _ => AlarmKind::Technical,
        }
    }

    pub const fn channel(self) -> Option<(Code, Site)> {
        match self {
            Self::BeyondLimit { code, site, .. }
            | Self::NotMeasured { code, site }
            | Self::NotApplied { code, site } => Some((code, site)),
            _ => None,
        }
    }
}

impl From<LimitSide> for Side {
    fn from(side: LimitSide) -> Self {
        match side {
            LimitSide::Low => Self::Low,
            LimitSide::High => Self::High,
        }
    }
}
