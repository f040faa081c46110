//! What the configuration asks of this driver.

use super::association::UserInfo;
use super::query::Wishes;
use crate::device::{BadSetting, Setting, SettingKind, Settings};
use crate::model::Pace;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub(super) const DATA_PORT: u16 = 24_105;

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "over",
        doc: "the cable: serial (MIB/RS232 port), lan, or auto (serial, until a connect indication is heard)",
        default: Some("auto"),
        kind: SettingKind::OneOf(&["auto", "serial", "lan"]),
    },
    Setting {
        name: "address",
        doc: "lan: the monitor's IP address; without it the connect indication tells",
        default: None,
        kind: SettingKind::Text,
    },
    Setting {
        name: "mac",
        doc: "lan: take connect indications only of the monitor with this hardware address (00:09:FB:...)",
        default: None,
        kind: SettingKind::Text,
    },
    Setting {
        name: "numerics",
        doc: "averaging of numerics: 1s (sent every second), 12s (every 6 s), 60s (every 30 s: trend only)",
        default: Some("1s"),
        kind: SettingKind::OneOf(&["1s", "12s", "60s"]),
    },
    Setting {
        name: "waves",
        doc: "which waves to ask for: some of ecg, pleth, abp, art, uap, cvp, icp, resp, co2, awp, awf; or none; or monitor (its own choice)",
        default: Some("ecg, pleth, abp, resp"),
        kind: SettingKind::Text,
    },
    Setting {
        name: "listen",
        doc: "yes: send nothing and decode what comes (recordings, a tap on another host's line)",
        default: Some("no"),
        kind: SettingKind::OneOf(&["yes", "no"]),
    },
];

/// Wave words of the configuration and their labels.
const WAVES: &[(&str, u32)] = &[
    ("ecg", 0x0002_0100),
    ("pleth", 0x0002_4BB4),
    ("abp", 0x0002_4A14),
    ("art", 0x0002_4A10),
    ("uap", 0x0002_4A28),
    ("cvp", 0x0002_4A44),
    ("icp", 0x0002_5808),
    ("resp", 0x0002_5000),
    ("co2", 0x0002_50AC),
    ("awp", 0x0002_50F0),
    ("awf", 0x0002_50D4),
];

/// On serial a command is at most 1,000 bytes, on the network 1,364.
const MTU_SERIAL: u32 = 1000;
const MTU_LAN: u32 = 1364;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Averaging {
    OneSecond,
    TwelveSeconds,
    OneMinute,
}

/// The cable, as far as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Unsaid,
    Serial,
    Lan,
}

#[derive(Clone, Debug)]
pub(super) enum Waves {
    None,
    /// As the monitor chooses.
    Monitor,
    These(Vec<u32>),
}

#[derive(Clone, Debug)]
pub(super) struct Wanted {
    over: Over,
    pub(super) address: Option<SocketAddr>,
    pub(super) mac: Option<String>,
    pub(super) averaging: Averaging,
    waves: Waves,
    pub(super) listens: bool,
}

impl Wanted {
    pub(super) fn read(settings: &Settings) -> Result<Self, BadSetting> {
        Ok(Self {
            over: match settings.get("over") {
                Some("serial") => Over::Serial,
                Some("lan") => Over::Lan,
                _ => Over::Unsaid,
            },
            address: settings.get("address").map(address).transpose()?,
            mac: settings.get("mac").map(mac).transpose()?,
            averaging: match settings.get("numerics") {
                Some("12s") => Averaging::TwelveSeconds,
                Some("60s") => Averaging::OneMinute,
                _ => Averaging::OneSecond,
            },
            waves: settings.get("waves").map_or(Ok(Waves::Monitor), waves)?,
            listens: settings.get("listen") == Some("yes"),
        })
    }

    pub(super) fn is_lan(&self) -> bool {
        self.over == Over::Lan || self.address.is_some() || self.mac.is_some()
    }

    /// Whether a connect indication may turn this line into a network.
    pub(super) fn may_be_lan(&self) -> bool {
        self.over != Over::Serial
    }

    pub(super) fn has_waves(&self) -> bool {
        !matches!(self.waves, Waves::None)
    }

    pub(super) fn wishes(&self) -> Wishes {
        let numerics = match self.averaging {
            Averaging::OneSecond => UserInfo::NUMERICS_1_S,
            Averaging::TwelveSeconds => UserInfo::NUMERICS_12_S,
            Averaging::OneMinute => UserInfo::NUMERICS_60_S,
        };
        Wishes {
            mtu: if self.is_lan() { MTU_LAN } else { MTU_SERIAL },
            options: numerics | if self.has_waves() { UserInfo::WAVES } else { 0 },
            labels: match &self.waves {
                Waves::These(labels) => Some(labels.clone()),
                Waves::None | Waves::Monitor => None,
            },
        }
    }
}

impl Averaging {
    /// What the extended poll options grant: the shortest wins.
    pub(super) fn granted(options: u32) -> Option<Self> {
        let known = [
            (UserInfo::NUMERICS_1_S, Self::OneSecond),
            (UserInfo::NUMERICS_12_S, Self::TwelveSeconds),
            (UserInfo::NUMERICS_60_S, Self::OneMinute),
        ];
        known.into_iter().find(|(bit, _)| options & bit != 0).map(|(_, averaging)| averaging)
    }

    /// From one reply to the next.
    pub(super) const fn period(self) -> Duration {
        match self {
            Self::OneSecond => Duration::from_secs(1),
            Self::TwelveSeconds => Duration::from_secs(6),
            Self::OneMinute => Duration::from_secs(30),
        }
    }

    pub(super) const fn pace(self) -> Pace {
        match self {
            Self::OneSecond | Self::TwelveSeconds => Pace::Continuous,
            Self::OneMinute => Pace::Trend,
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, BadSetting> {
    text.parse()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DATA_PORT)))
        .map_err(|_| bad("address", format!("expected an IP address, found \"{text}\"")))
}

fn mac(text: &str) -> Result<String, BadSetting> {
    let parts: Vec<String> = text.split([':', '-']).map(str::to_ascii_uppercase).collect();
    let is_mac = parts.len() == 6
        && parts.iter().all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_mac {
        Ok(parts.join(":"))
    } else {
        Err(bad("mac", format!("expected a hardware address like 00:09:FB:70:57:1E, found \"{text}\"")))
    }
}

fn waves(text: &str) -> Result<Waves, BadSetting> {
    match text.trim() {
        "none" => return Ok(Waves::None),
        "monitor" => return Ok(Waves::Monitor),
        _ => {}
    }
    let label = |word: &str| {
        WAVES.iter().find(|(name, _)| *name == word).map(|(_, label)| *label).ok_or_else(|| {
            let known: Vec<_> = WAVES.iter().map(|(name, _)| *name).collect();
            bad("waves", format!("no wave \"{word}\"; known: {}, or none, or monitor", known.join(", ")))
        })
    };
    text.split([',', ' '])
        .filter(|word| !word.is_empty())
        .map(label)
        .collect::<Result<Vec<_>, _>>()
        .map(Waves::These)
}

fn bad(name: &str, problem: String) -> BadSetting {
    BadSetting { name: name.to_owned(), problem }
}
