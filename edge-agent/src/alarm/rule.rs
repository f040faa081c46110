//! The closed list of what can alarm.

use cotside_protocol::model::{AlarmKind, Code, LimitSide, Priority, Site};

/// One rule about one thing: an episode belongs to exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Apnoea, bradycardia and desaturation that belong together: one alarm, and none beside it for its parts.
    Combined,
    /// No breath for too long, by a breath channel at zero or by the device's own word.
    Apnoea,
    /// A value beyond its limit for longer than the limit's delay. Limits of several priorities may watch one side.
    BeyondLimit { code: Code, site: Site, side: Side, priority: Priority, is_extreme: bool },
    /// A value that changed by too much within a span.
    Rate { code: Code, site: Site, side: Side, priority: Priority },
    /// The device's own alert, passed on.
    DeviceAlert { link: u8, code: u32, source: Option<Code>, is_technical: bool },
    /// A watched parameter was heard before and has no fresh usable value.
    NotMeasured { code: Code, site: Site },
    /// A limit that cannot be applied, because the device measures in another unit (hazard H15).
    NotApplied { code: Code, site: Site },
    /// Apnoea is to be watched, and nothing here could tell it (hazard H10).
    ApnoeaNotMonitored,
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
    /// What signals at the bed cannot.
    Mute,
    /// No hub listens, or nobody who watches confirmed an alarm.
    HubLost,
    /// So many alarms in a minute that nobody can tell them apart (hazard H8).
    Flood,
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

impl Rule {
    /// Every name, in the order of the list above: what `docs/alarms.md` must explain.
    pub const NAMES: [&'static str; 21] = [
        "apnoea-bradycardia-desaturation",
        "apnoea",
        "limit-low",
        "limit-high",
        "rate-fall",
        "rate-rise",
        "device-alert",
        "not-measured",
        "limit-not-applied",
        "apnoea-not-monitored",
        "link-lost",
        "wrong-device",
        "device-demo",
        "device-clock",
        "clock",
        "store-trouble",
        "limits-refused",
        "limits-reset",
        "mute",
        "hub-lost",
        "alarm-flood",
    ];

    /// The stable name on the wire and in the log.
    pub const fn name(self) -> &'static str {
        let at = match self {
            Self::Combined => 0,
            Self::Apnoea => 1,
            Self::BeyondLimit { side: Side::Low, .. } => 2,
            Self::BeyondLimit { side: Side::High, .. } => 3,
            Self::Rate { side: Side::Low, .. } => 4,
            Self::Rate { side: Side::High, .. } => 5,
            Self::DeviceAlert { .. } => 6,
            Self::NotMeasured { .. } => 7,
            Self::NotApplied { .. } => 8,
            Self::ApnoeaNotMonitored => 9,
            Self::LinkLost { .. } => 10,
            Self::WrongDevice { .. } => 11,
            Self::DemoMode { .. } => 12,
            Self::DeviceClock { .. } => 13,
            Self::Clock => 14,
            Self::StoreTrouble => 15,
            Self::LimitsRefused => 16,
            Self::LimitsReset => 17,
            Self::Mute => 18,
            Self::HubLost => 19,
            Self::Flood => 20,
        };
        Self::NAMES[at]
    }

    pub const fn kind(self) -> AlarmKind {
        match self {
            Self::Combined | Self::Apnoea | Self::BeyondLimit { .. } | Self::Rate { .. } => {
                AlarmKind::Physiological
            }
            Self::DeviceAlert { is_technical: false, .. } => AlarmKind::Physiological,
            Self::ApnoeaNotMonitored => AlarmKind::Advisory,
            _ => AlarmKind::Technical,
        }
    }

    /// Whether it is about the patient in this bed, and ends with the stay.
    pub(super) fn is_of_patient(self) -> bool {
        self.kind() != AlarmKind::Technical || self.channel().is_some() || self == Self::LimitsReset
    }

    pub const fn channel(self) -> Option<(Code, Site)> {
        match self {
            Self::BeyondLimit { code, site, .. }
            | Self::Rate { code, site, .. }
            | Self::NotMeasured { code, site }
            | Self::NotApplied { code, site } => Some((code, site)),
            _ => None,
        }
    }

    /// Whether whoever has seen the alarm of the other has seen this one's: the same value, and less grave.
    pub(super) fn is_milder(self, than: Self) -> bool {
        let grave = |rule: Self| match rule {
            Self::BeyondLimit { code, site, side, priority, is_extreme } => {
                Some(((code, site, side), (is_extreme, priority)))
            }
            _ => None,
        };
        let (Some((one, mild)), Some((other, than))) = (grave(self), grave(than)) else { return false };
        one == other && mild < than
    }

    /// What it is about, for the tile.
    pub(super) fn code(self) -> Option<Code> {
        match self {
            Self::DeviceAlert { source, .. } => source,
            _ => self.channel().map(|(code, _)| code),
        }
    }

    /// The link whose device it is about.
    pub(super) const fn link(self) -> Option<u8> {
        match self {
            Self::DeviceAlert { link, .. }
            | Self::LinkLost { link }
            | Self::WrongDevice { link }
            | Self::DemoMode { link }
            | Self::DeviceClock { link } => Some(link),
            _ => None,
        }
    }

    /// On which side more is worse.
    pub(super) const fn side(self) -> Option<Side> {
        match self {
            Self::BeyondLimit { side, .. } | Self::Rate { side, .. } => Some(side),
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
