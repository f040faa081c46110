//! HL7 v2 observations over MLLP (IHE PCD-01): monitors and gateways that connect to us and send ORU^R01.
//!
//! See README.md beside this file. The bytes themselves are read by [`crate::hl7`], which the hub shares.

mod alert;
#[cfg(test)]
mod corpora;
mod events;
mod message;
mod observation;
mod pace;
mod params;
mod peer;
mod session;
#[cfg(test)]
mod tests;
mod wave;

pub use message::{Containment, Dialect, Report, read_observations};
pub use observation::Observation;
pub use peer::PEER;
pub use wave::{Samples, Wave};

use crate::device::{BadSetting, Driver, Framing, Setting, SettingKind, Settings, Transport};
use crate::hl7::charset::Charset;
use crate::hl7::mllp::MESSAGE_BYTES_MAX;
use crate::hl7::scan::Field;
use crate::hl7::time;
use crate::model::Decimal;
use std::time::Duration;

pub const DRIVER: Driver = Driver {
    name: "hl7",
    summary: "HL7 v2 observations over MLLP (IHE PCD-01, ORU^R01); the device or its gateway connects to us",
    models: &[
        "IHE PCD-01 device observation reporters",
        "GE CARESCAPE gateway, B40, B1x5 (VSP)",
        "Mindray eGateway",
        "Philips Efficia CM, SureSigns (MDIL)",
        "Comen NC",
    ],
    transports: &[Transport::TcpListen { port: 2575 }],
    framing: Framing::Stream,
    settings: SETTINGS,
    parameters: params::parameters,
    silent_after_ms: 60_000,
    open: |settings, now| Ok(Box::new(session::Hl7Session::new(Link::of(settings)?, now))),
};

const SETTINGS: &[Setting] = &[
    Setting {
        name: "location",
        doc: "PV1-3 of this bed, point of care^room^bed; an empty part matches anything. Other beds' messages are rejected",
        default: None,
        kind: SettingKind::Text,
    },
    Setting {
        name: "acknowledge",
        doc: "as-asked: what MSH-15 and MSH-16 ask for, after the data is on disk; never: the sender takes no answers",
        default: Some("as-asked"),
        kind: SettingKind::OneOf(&["as-asked", "never"]),
    },
    Setting {
        name: "hang-up-after",
        doc: "close a connection on which no message came for so long",
        default: Some("5m"),
        kind: SettingKind::Duration { min_ms: 10_000, max_ms: 86_400_000 },
    },
    Setting {
        name: "message-bytes-max",
        doc: "a longer message is discarded",
        default: Some("1048576"),
        kind: SettingKind::Integer { min: 65_536, max: 16 << 20 },
    },
    Setting {
        name: "charset",
        doc: "the sender's character set where MSH-18 is empty or wrong and the text is not UTF-8",
        default: Some("windows-1252"),
        kind: SettingKind::Text,
    },
    Setting {
        name: "utc-offset",
        doc: "of times without an offset, e.g. +0200; without it such times measure delays but date nothing",
        default: None,
        kind: SettingKind::Text,
    },
    Setting {
        name: "sentinels",
        doc: "numbers that this sender writes for `no value`, e.g. \"-100 32767\"; none unless given",
        default: None,
        kind: SettingKind::Text,
    },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acknowledge {
    AsAsked,
    Never,
}

/// The settings of one link, understood.
#[derive(Clone, Debug)]
struct Link {
    location: Option<Bed>,
    acknowledge: Acknowledge,
    hang_up_after: Duration,
    message_bytes_max: usize,
    charset: Charset,
    offset_min: Option<i16>,
    dialect: Dialect,
}

impl Link {
    fn of(settings: &Settings) -> Result<Self, BadSetting> {
        let bad = |name: &str, problem: String| BadSetting { name: name.to_owned(), problem };
        let charset = match settings.get("charset") {
            Some(name) => Charset::named(name)
                .ok_or_else(|| bad("charset", format!("\"{name}\" is not a known character set")))?,
            None => Charset::LATIN_1,
        };
        let offset_min = match settings.get("utc-offset") {
            Some(text) => Some(
                time::parse_offset(text.as_bytes())
                    .ok_or_else(|| bad("utc-offset", format!("expected +HHMM or -HHMM, found \"{text}\"")))?,
            ),
            None => None,
        };
        let words =
            settings.get("sentinels").unwrap_or_default().split([' ', ',']).filter(|word| !word.is_empty());
        let sentinels = words
            .map(|word| {
                Decimal::parse(word).ok_or_else(|| bad("sentinels", format!("\"{word}\" is not a number")))
            })
            .collect::<Result<_, _>>()?;
        let length = settings.integer("message-bytes-max").and_then(|length| usize::try_from(length).ok());
        Ok(Self {
            location: settings.get("location").map(Bed::new),
            acknowledge: match settings.get("acknowledge") {
                Some("never") => Acknowledge::Never,
                _ => Acknowledge::AsAsked,
            },
            hang_up_after: settings.duration("hang-up-after").unwrap_or(Duration::from_secs(300)),
            message_bytes_max: length.unwrap_or(MESSAGE_BYTES_MAX),
            charset,
            offset_min,
            dialect: Dialect { sentinels },
        })
    }
}

/// Where this bed stands: point of care, room, bed. An empty part matches anything.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bed([String; 3]);

impl Bed {
    fn new(text: &str) -> Self {
        let mut parts = text.split('^').map(squeezed);
        Self([(); 3].map(|()| parts.next().unwrap_or_default()))
    }

    /// Case and blanks do not matter. Vendors hang further numbers on a part as subcomponents; they count only if this bed names them.
    fn is(&self, location: Field<'_>) -> bool {
        let whole = location.first::<3>();
        self.0.iter().zip(whole).all(|(ours, theirs)| {
            let first = location.subcomponents(theirs).next().unwrap_or_default();
            let is = |bytes: &[u8]| squeezed(&String::from_utf8_lossy(bytes)) == *ours;
            ours.is_empty() || is(first) || is(theirs)
        })
    }
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}
