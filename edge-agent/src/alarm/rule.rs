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
    /// The device's own clock is far off, or was never set.
    DeviceClock { link: u8 },
    /// This gateway's own clock is not set, or is not the hub's.
    Clock,
    /// What happens is not being recorded.
    StoreTrouble,
    /// The hub sent limits that this agent does not apply.
    LimitsRefused,
    /// The profile's defaults are in force where others were, until a person accepts them (hazard H4).
    LimitsReset,
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
    /// Heard, while a device that came later names another patient.
    Disputed,
}

impl LinkCondition {
    /// Whether its values belong to this bed now, and would be missed.
    pub(super) const fn brings_data(self) -> bool {
        matches!(self, Self::Live | Self::Disputed)
    }
}

const PRIORITIES: [(&str, Priority); 4] = [
    ("advisory", Priority::Advisory),
    ("low", Priority::Low),
    ("medium", Priority::Medium),
    ("high", Priority::High),
];

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
            Self::DeviceClock { .. } => "device-clock",
            Self::Clock => "clock",
            Self::StoreTrouble => "store-trouble",
            Self::LimitsRefused => "limits-refused",
            Self::LimitsReset => "limits-reset",
            Self::HubLost => "hub-lost",
        }
    }

    pub const fn kind(self) -> AlarmKind {
        match self {
            Self::BeyondLimit { .. } => AlarmKind::Physiological,
            _ => AlarmKind::Technical,
        }
    }

    /// A line that names a limit rule, for the next life of the agent. Technical rules find their condition again by themselves.
    pub fn kept(self) -> Option<String> {
        let Self::BeyondLimit { code, site, side, priority } = self else { return None };
        let site = match site {
            Site::Unspecified => "-".to_owned(),
            Site::Preductal => "preductal".to_owned(),
            Site::Postductal => "postductal".to_owned(),
            Site::Numbered(number) => number.to_string(),
        };
        let side = if side == Side::Low { "low" } else { "high" };
        let priority = PRIORITIES.iter().find(|(_, of)| *of == priority).map(|(word, _)| *word)?;
        Some(format!("{} {site} {side} {priority}", code.0))
    }

    pub fn from_kept(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let code = Code(words.next()?.parse().ok()?);
        let site = match words.next()? {
            "-" => Site::Unspecified,
            "preductal" => Site::Preductal,
            "postductal" => Site::Postductal,
            number => Site::Numbered(number.parse().ok()?),
        };
        let side = if words.next()? == "low" { Side::Low } else { Side::High };
        let word = words.next()?;
        let priority = PRIORITIES.iter().find(|(of, _)| *of == word).map(|(_, priority)| *priority)?;
        Some(Self::BeyondLimit { code, site, side, priority })
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
