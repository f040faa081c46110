//! The device contract: a session is one connection's conversation, driven by bytes and time alone.
//!
//! One mutation, then drain: after each [`Session::handle`] call [`Session::poll`] until it returns [`Output::Wait`].
//! There is always a deadline, because silence at a bedside is information. A session lives as long as one connection;
//! it never reconnects: [`Output::Hangup`] says "reopen me", and the back-off exists once, in the link that drives it.

use crate::model::{Code, Event, Mono, Now, StoreToken, Tally};
use std::net::SocketAddr;

pub trait Session: Send {
    fn handle(&mut self, now: Now, input: Input<'_>);
    fn poll(&mut self) -> Output;
    /// The account of every byte received so far.
    fn tally(&self) -> Tally;
    /// What the next session of the same link should know, in bytes that only its driver reads. None: nothing.
    fn keepsake(&self) -> Option<Vec<u8>> {
        None
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The keepsake of the session before this one, right after it was opened, if there is one.
    Keepsake(&'a [u8]),
    Received {
        from: Path,
        bytes: &'a [u8],
    },
    /// Everything up to this checkpoint is on disk.
    Stored(StoreToken),
    /// The deadline of the last `Wait` has come (or any other tick: sessions compare `now` with their own deadlines).
    Timeout,
    /// The agent is shutting down: say goodbye politely, then `Hangup`.
    Close,
}

/// Which wire bytes came from or go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The serial line or TCP stream of this session.
    Line,
    /// A datagram on the session's data socket.
    Datagram(SocketAddr),
    /// A datagram on the driver's announcement port (IntelliVue's connect indication).
    Announcement(SocketAddr),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    Transmit { to: Path, bytes: Vec<u8> },
    Event(Event),
    Hangup(Hangup),
    Wait { until: Mono, why: &'static str },
}

/// Why a session ended itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hangup {
    /// Nothing valid heard for longer than the protocol allows.
    Silent,
    /// The device refused or aborted the conversation.
    Refused,
    /// The device said goodbye.
    Released,
    /// Too much rubbish to be this protocol.
    Garbage,
    /// We closed on request.
    Closed,
}

/// What a link is made of, as a driver declares it. Configuration must match one of the driver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Serial {
        baud: u32,
        bits: u8,
        parity: Parity,
        stop: u8,
    },
    /// We send datagrams to `port`, and listen for announcements on `announce` (multicast `group`), where there are any.
    Udp {
        port: u16,
        announce: Option<u16>,
        group: Option<[u8; 4]>,
    },
    /// The device connects to us.
    TcpListen {
        port: u16,
    },
    /// We connect to the device.
    TcpConnect {
        port: u16,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Parity {
    None,
    Even,
    Odd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Bytes may be cut anywhere.
    Stream,
    /// Each receive is one whole message (the same driver may do both; then this is `Stream` and datagrams arrive by their `Path`).
    Datagram,
}

/// A driver is one constant: everything the house needs to know about a family of devices.
pub struct Driver {
    /// The protocol's name; also the folder's, and the word in the configuration.
    pub name: &'static str,
    pub summary: &'static str,
    pub models: &'static [&'static str],
    /// The first is the default.
    pub transports: &'static [Transport],
    pub framing: Framing,
    pub settings: &'static [Setting],
    /// Codes this driver can report, for the printed documentation and the table checks.
    pub parameters: fn() -> Vec<ParameterRow>,
    /// Nothing valid for this long: the link is silent (a technical alarm).
    pub silent_after_ms: u32,
    pub open: fn(&Settings, Now) -> Opened,
}

impl Driver {
    /// A new session that goes on from the one before it on the same link.
    pub fn open_after(&self, settings: &Settings, now: Now, last: Option<&dyn Session>) -> Opened {
        let mut session = (self.open)(settings, now)?;
        if let Some(keepsake) = last.and_then(Session::keepsake) {
            session.handle(now, Input::Keepsake(&keepsake));
        }
        Ok(session)
    }
}

/// A new session, or the setting that it cannot live with.
pub type Opened = Result<Box<dyn Session>, BadSetting>;

/// One row of a driver's parameter table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParameterRow {
    /// The device's own code or key, as printed in its manual.
    pub device: &'static str,
    pub code: Code,
    pub ucum: &'static str,
}

/// A driver's own setting: declared here, so that the configuration checks it without knowing the driver.
/// A driver that declares `over` (with the words `serial` and `lan`) or `address` is told them from the link's place;
/// one that declares `listen` decodes bare recordings with `yes`: it asks nothing and takes what comes.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub name: &'static str,
    pub doc: &'static str,
    /// None: the setting is optional and absent unless given.
    pub default: Option<&'static str>,
    pub kind: SettingKind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SettingKind {
    Text,
    Integer {
        min: i64,
        max: i64,
    },
    OneOf(&'static [&'static str]),
    /// `"1500ms"`, `"10s"`, `"2m"`.
    Duration {
        min_ms: u64,
        max_ms: u64,
    },
}

/// The settings of one link, already checked against the driver's declaration; values as text. Also carries the bed's location.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    values: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct BadSetting {
    pub name: String,
    pub problem: String,
}

impl Settings {
    /// Checks `given` against the driver's declaration and fills in defaults.
    pub fn check(declared: &[Setting], given: &[(String, String)]) -> Result<Self, Vec<BadSetting>> {
        let mut problems = Vec::new();
        let mut values = Vec::new();
        for (name, _) in given {
            if !declared.iter().any(|setting| setting.name == name) {
                let known: Vec<_> = declared.iter().map(|setting| setting.name).collect();
                problems.push(BadSetting {
                    name: name.clone(),
                    problem: format!("unknown setting; this driver has: {}", known.join(", ")),
                });
            }
        }
        for setting in declared {
            let text = given.iter().find(|(name, _)| name == setting.name).map(|(_, text)| text.as_str());
            let Some(text) = text.or(setting.default) else { continue };
            match setting.kind.check(text) {
                Ok(()) => values.push((setting.name.to_owned(), text.to_owned())),
                Err(problem) => problems.push(BadSetting { name: setting.name.to_owned(), problem }),
            }
        }
        if problems.is_empty() { Ok(Self { values }) } else { Err(problems) }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(key, _)| key == name).map(|(_, text)| text.as_str())
    }

    pub fn integer(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    pub fn duration(&self, name: &str) -> Option<std::time::Duration> {
        parse_duration(self.get(name)?)
    }
}

impl SettingKind {
    fn check(self, text: &str) -> Result<(), String> {
        match self {
            Self::Text => Ok(()),
            Self::Integer { min, max } => match text.parse::<i64>() {
                Ok(number) if (min..=max).contains(&number) => Ok(()),
                _ => Err(format!("expected a whole number from {min} to {max}, found \"{text}\"")),
            },
            Self::OneOf(words) if words.contains(&text) => Ok(()),
            Self::OneOf(words) => Err(format!("expected one of {}, found \"{text}\"", words.join(", "))),
            Self::Duration { min_ms, max_ms } => match parse_duration(text) {
                Some(span) if (u128::from(min_ms)..=u128::from(max_ms)).contains(&span.as_millis()) => Ok(()),
                _ => Err(format!(
                    "expected a duration from \"{min_ms}ms\" to \"{max_ms}ms\", found \"{text}\""
                )),
            },
        }
    }
}

/// `250ms`, `10s`, `2m`, `1h`.
pub fn parse_duration(text: &str) -> Option<std::time::Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let millis = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(millis).map(std::time::Duration::from_millis)
}

// ---- the device's half of the cable, for simulators and tests; the agent never names it ----

/// The body a simulated device is attached to. Codes are the model's; None: not connected to this body.
pub trait Physiology {
    fn numeric(&self, code: Code, at: Mono) -> Option<f64>;
    /// Physical value of a waveform at an instant.
    fn sample(&self, code: Code, at: Mono) -> Option<f64>;
}

/// A device as its host sees it: the mirror image of [`Session`].
pub trait Peer: Send {
    fn handle(&mut self, now: Now, from: Path, bytes: &[u8]);
    /// Drain until `Wait`.
    fn poll(&mut self, now: Now, body: &dyn Physiology) -> PeerOutput;
}

#[derive(Clone, Debug, PartialEq)]
pub enum PeerOutput {
    Transmit { to: Path, bytes: Vec<u8> },
    Wait { until: Mono },
}

/// A driver's simulated device.
pub struct PeerKind {
    /// Same as the driver's name.
    pub name: &'static str,
    pub open: fn(&PeerOptions) -> Box<dyn Peer>,
}

/// What a simulated device is told about itself.
#[derive(Clone, Debug)]
pub struct PeerOptions {
    pub seed: u64,
    pub serial: String,
    pub bed_label: String,
    /// Which of the driver's transports the peer stands on (datagram or stream).
    pub datagram: bool,
}
