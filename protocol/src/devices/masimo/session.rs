//! The conversation with an oximeter: it speaks, we listen. Nothing is ever sent: a request could stop its monitoring.

use super::frame::{Frame, Lines};
use super::message::{Dialect, Exceptions, Key, Record};
use super::params;
use crate::device::{Hangup, Input, Opened, Output, Session, Settings};
use crate::face::ClockFace;
use crate::model::{
    Alert, AlertPhase, Code, Decimal, DeviceText, Event, Identity, Ignored, Kind, Malformed, Mono, Now,
    Numeric, Pace, Priority, Quality, Site, Tally, Zone, parameter,
};
use std::collections::VecDeque;
use std::time::Duration;

/// A record comes every second (ASCII 1) or every two (ASCII 2).
const STALE_AFTER: Duration = Duration::from_secs(3);
const SILENT_AFTER: Duration = Duration::from_secs(10);

/// Records are dated without fractions.
const FACE_RESOLUTION: Duration = Duration::from_secs(1);

const STALE: &str = "no record for 3 s: cable, serial output setting, or the device is off";
const WRONG_BAUD: &str = "only noise on the line: wrong baud rate suspected (9600 8N1; 19200 on a Root port), or a null modem is missing";
const WRONG_FORMAT: &str =
    "the device sends the other ASCII format than configured: its records are not used";

pub(super) struct Oximeter {
    settings: Entered,
    lines: Lines,
    state: State,
    /// The serial number last reported; outer None: not identified yet.
    identified_as: Option<Option<String>>,
    exceptions: Exceptions,
    /// Licensed values that this device has had: the dashes of the others are not reported, they would never end.
    licensed: Vec<Key>,
    format_complained: bool,
    face: ClockFace,
    tally: Tally,
    outputs: VecDeque<Output>,
}

/// What a person says of the device, because the wire does not.
struct Entered {
    only: Option<Dialect>,
    site: Site,
    averaging: Option<Decimal>,
}

/// When a record was last heard (at first: when the line was opened), and what has come of it.
enum State {
    Live { heard_at: Mono, noise: u64 },
    Stale { heard_at: Mono, noise: u64 },
    Over,
}

impl Oximeter {
    pub(super) fn open(settings: &Settings, now: Now) -> Opened {
        let settings = Entered {
            only: match settings.get("format") {
                Some("ascii1") => Some(Dialect::Ascii1),
                Some("ascii2") => Some(Dialect::Ascii2),
                _ => None,
            },
            site: match settings.get("site") {
                Some("preductal") => Site::Preductal,
                Some("postductal") => Site::Postductal,
                _ => Site::Unspecified,
            },
            averaging: settings.get("averaging").and_then(Decimal::parse),
        };
        Ok(Box::new(Self {
            settings,
            lines: Lines::default(),
            state: State::Live { heard_at: now.mono, noise: 0 },
            identified_as: None,
            exceptions: Exceptions::default(),
            licensed: Vec::new(),
            format_complained: false,
            face: ClockFace::default(),
            tally: Tally::default(),
            outputs: VecDeque::new(),
        }))
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn receive(&mut self, now: Now, bytes: &[u8]) {
        self.tally.received += bytes.len() as u64;
        let mut lines = std::mem::take(&mut self.lines);
        lines.push(bytes, |frame| self.take(now, frame));
        self.tally.pending = lines.pending() as u64;
        self.lines = lines;
    }

    fn take(&mut self, now: Now, frame: Frame<'_>) {
        match frame {
            Frame::Blank(bytes) => self.tally.ignore(Ignored::Filler, bytes),
            Frame::Bad(reason, bytes) => self.bad(reason, bytes),
            Frame::Record(line, bytes) => match Record::parse(line) {
                Err(reason) => self.bad(reason, bytes),
                Ok(record) => self.record(now, &record, bytes),
            },
        }
    }

    fn bad(&mut self, reason: Malformed, bytes: usize) {
        if let (Malformed::Noise, State::Live { noise, .. } | State::Stale { noise, .. }) =
            (reason, &mut self.state)
        {
            *noise += bytes as u64;
        }
        self.tally.malform(reason, bytes);
        self.event(Event::Malformed { reason, bytes: u32::try_from(bytes).unwrap_or(u32::MAX) });
    }

    fn record(&mut self, now: Now, record: &Record, bytes: usize) {
        self.state = State::Live { heard_at: now.mono, noise: 0 };
        if self.settings.only.is_some_and(|only| only != record.dialect) {
            self.tally.ignore(Ignored::UnknownMessage, bytes);
            if !std::mem::replace(&mut self.format_complained, true) {
                self.event(Event::Notice(WRONG_FORMAT));
            }
            return;
        }
        self.tally.decoded += bytes as u64;
        self.tally.frames += 1;
        self.identify(record);
        let told = self.face.look(now.mono, record.device_at, Zone::Unknown, FACE_RESOLUTION);
        self.outputs.extend(told.map(Output::Event));
        self.alert(record.exceptions);
        let by_exceptions = quality(record.exceptions);
        for (key, value) in &record.readings {
            let Some((code, ucum)) = params::parameter_of(*key) else { continue };
            if !self.is_worth_reporting(*key, value.is_some()) {
                continue;
            }
            let mut quality = by_exceptions;
            match value {
                None => quality = quality.with(Quality::UNAVAILABLE),
                Some(value) if !is_plausible(code, *value) => quality = quality.with(Quality::IMPLAUSIBLE),
                Some(_) => {}
            }
            self.event(Event::Numeric(Numeric {
                code,
                site: self.settings.site,
                value: *value,
                ucum,
                quality,
                kind: Kind::Measurement,
                pace: Pace::Continuous,
                device_at: Some(record.device_at),
                lag: Duration::ZERO,
            }));
        }
    }

    fn is_worth_reporting(&mut self, key: Key, has_value: bool) -> bool {
        if matches!(key, Key::Spo2 | Key::PulseRate | Key::Pi) || self.licensed.contains(&key) {
            return true;
        }
        if has_value {
            self.licensed.push(key);
        }
        has_value
    }

    /// Says who it is at the first record, and again when another device speaks on the same cable.
    fn identify(&mut self, record: &Record) {
        if self.identified_as.as_ref() == Some(&record.serial) {
            return;
        }
        self.identified_as = Some(record.serial.clone());
        self.licensed.clear();
        let serial = DeviceText::new(record.serial.as_deref().unwrap_or_default());
        self.event(Event::Identified(Identity {
            manufacturer: "Masimo".into(),
            serial,
            ..Identity::default()
        }));
        if let Some(seconds) = self.settings.averaging {
            self.event(Event::Numeric(Numeric {
                code: params::AVERAGING,
                site: self.settings.site,
                value: Some(seconds),
                ucum: "s",
                quality: Quality::GOOD,
                kind: Kind::Setting,
                pace: Pace::Episodic,
                device_at: None,
                lag: Duration::ZERO,
            }));
        }
    }

    /// Reports each exception when it comes and when it goes.
    fn alert(&mut self, exceptions: Exceptions) {
        let before = std::mem::replace(&mut self.exceptions, exceptions);
        for Exception(mask, priority, _, text) in EXCEPTIONS {
            let phase = match (before.any(*mask), exceptions.any(*mask)) {
                (false, true) => AlertPhase::Present,
                (true, false) => AlertPhase::Ended,
                _ => continue,
            };
            self.event(Event::Alert(Alert {
                code: *mask,
                source: Some(params::SPO2),
                priority: *priority,
                text: (*text).into(),
                phase,
                technical: true,
            }));
        }
    }

    fn pass(&mut self, now: Now) {
        match self.state {
            State::Live { heard_at, noise } if now.mono >= heard_at + STALE_AFTER => {
                self.state = State::Stale { heard_at, noise };
                let heard_only_noise = noise > 0 || self.lines.holds_noise();
                self.event(Event::Notice(if heard_only_noise { WRONG_BAUD } else { STALE }));
                self.pass(now);
            }
            State::Stale { heard_at, noise } if now.mono >= heard_at + SILENT_AFTER => {
                self.state = State::Over;
                let why = if noise > 0 { Hangup::Garbage } else { Hangup::Silent };
                self.outputs.push_back(Output::Hangup(why));
            }
            // Not due yet, or over.
            State::Live { .. } | State::Stale { .. } | State::Over => {}
        }
    }
}

impl Session for Oximeter {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        if matches!(self.state, State::Over) {
            return;
        }
        match input {
            Input::Received { bytes, .. } => self.receive(now, bytes),
            Input::Timeout => {}
            Input::Close => {
                self.state = State::Over;
                self.outputs.push_back(Output::Hangup(Hangup::Closed));
            }
            // No checkpoints are asked for: the device repeats itself and waits for nobody.
            Input::Stored(_) | Input::Keepsake(_) => {}
        }
        self.pass(now);
    }

    fn poll(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| match self.state {
            State::Live { heard_at, .. } => {
                Output::Wait { until: heard_at + STALE_AFTER, why: "next record" }
            }
            State::Stale { heard_at, .. } => {
                Output::Wait { until: heard_at + SILENT_AFTER, why: "any record" }
            }
            State::Over => Output::Wait { until: Mono(u64::MAX), why: "over" },
        })
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

/// A bit of the EXC word: its alert, and what it does to the numbers of its record.
struct Exception(u32, Priority, Quality, &'static str);

#[rustfmt::skip]
const EXCEPTIONS: &[Exception] = &[
    Exception(Exceptions::NO_SENSOR,        Priority::Low,      Quality::INVALID,      "no sensor"),
    Exception(Exceptions::DEFECTIVE_SENSOR, Priority::Low,      Quality::INVALID,      "defective sensor"),
    Exception(Exceptions::SENSOR_OFF,       Priority::Low,      Quality::INVALID,      "sensor off patient"),
    Exception(Exceptions::UNKNOWN_SENSOR,   Priority::Low,      Quality::INVALID,      "unrecognized sensor"),
    Exception(Exceptions::PULSE_SEARCH,     Priority::Advisory, Quality::INVALID,      "pulse search"),
    Exception(Exceptions::LOW_PERFUSION,    Priority::Advisory, Quality::QUESTIONABLE, "low perfusion"),
    Exception(Exceptions::INTERFERENCE,     Priority::Advisory, Quality::QUESTIONABLE, "interference"),
    Exception(Exceptions::AMBIENT_LIGHT,    Priority::Advisory, Quality::QUESTIONABLE, "too much ambient light"),
    Exception(Exceptions::LOW_SIGNAL_IQ,    Priority::Advisory, Quality::QUESTIONABLE, "low signal IQ"),
];

fn quality(exceptions: Exceptions) -> Quality {
    let raised = EXCEPTIONS.iter().filter(|Exception(mask, ..)| exceptions.any(*mask));
    raised.fold(Quality::GOOD, |quality, Exception(_, _, mark, _)| quality.with(*mark))
}

fn is_plausible(code: Code, value: Decimal) -> bool {
    parameter(code).is_none_or(|row| row.is_plausible(value.to_f64()))
}

#[cfg(test)]
mod tests {
    use crate::device::Output;
    use crate::device::{Path, Settings};
    use crate::devices::masimo::DRIVER;
    use crate::model::{Event, Now};
    use crate::replay::Replay;
    use crate::transcript::Line;
    use std::time::Duration;

    /// Plays lines, one a second, then waits `silence`; returns what was reported, one line each, waits left out.
    fn check(given: &[(&str, &str)], lines: &[&[u8]], silence: Duration, expected: &[&str]) {
        let given: Vec<_> =
            given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let settings = Settings::check(DRIVER.settings, &given).unwrap();
        let mut replay = Replay::open(&DRIVER, settings, Now::default()).unwrap();
        let mut reported = Vec::new();
        let mut out = |now: Now, output: &Output| {
            let is_left_out = matches!(
                output,
                Output::Wait { .. } | Output::Event(Event::Malformed { .. } | Event::DeviceTime(_))
            );
            if !is_left_out {
                let line = Line(output).to_string();
                let line = line.split(" device 20").next().unwrap().to_owned();
                reported.push(format!("+{} {line}", now.mono.0 / 1000));
            }
        };
        for (second, line) in (0..).zip(lines) {
            replay.pass(crate::model::Mono(second * 1_000_000), &mut out);
            replay.receive(Path::Line, line, &mut out);
        }
        replay.pass(replay.now().mono + silence, &mut out);
        assert!(replay.tally().is_balanced());
        assert_eq!(reported, expected);
    }

    const HELD: &[u8] =
        b"05/20/21 14:06:02 SN=0000182948 SPO2=098% BPM=101 PI=--.--% ALARM=0010 EXC=000824\r\n";
    const GOOD: &[u8] =
        b"05/20/21 14:06:03 SN=0000182948 SPO2=098% BPM=101 PI=03.10% ALARM=0000 EXC=000800\r\n";
    const TREND: &[u8] = b"09/21/08 09:56:14 SpO2=096 PR=074 PI=02.28 EXC=C00:LowSigIQ,SET\r\n";

    #[test]
    fn a_number_held_while_the_sensor_is_off_is_kept_and_marked_invalid() {
        check(
            &[("site", "preductal"), ("averaging", "8")],
            &[HELD, GOOD],
            Duration::ZERO,
            &[
                "+0 identified \"Masimo\" \"\" serial \"0000182948\"",
                "+0 numeric 67170310 SpO2 avg preductal = 8 s setting episodic",
                "+0 alert present 32 low technical \"sensor off patient\" about 150456",
                "+0 alert present 4 advisory technical \"low perfusion\" about 150456",
                "+0 numeric 150456 SpO2 preductal = 98 % invalid questionable",
                "+0 numeric 149530 PR preductal = 101 {beats}/min invalid questionable",
                "+0 numeric 150488 PI preductal = none % invalid questionable unavailable",
                "+1000 alert ended 32 low technical \"sensor off patient\" about 150456",
                "+1000 alert ended 4 advisory technical \"low perfusion\" about 150456",
                "+1000 numeric 150456 SpO2 preductal = 98 %",
                "+1000 numeric 149530 PR preductal = 101 {beats}/min",
                "+1000 numeric 150488 PI preductal = 3.10 %",
            ],
        );
    }

    #[test]
    fn another_device_on_the_same_cable_is_identified_anew() {
        let other = String::from_utf8_lossy(GOOD).replace("182948", "777777");
        check(
            &[],
            &[GOOD, other.as_bytes()],
            Duration::ZERO,
            &[
                "+0 identified \"Masimo\" \"\" serial \"0000182948\"",
                "+0 numeric 150456 SpO2 = 98 %",
                "+0 numeric 149530 PR = 101 {beats}/min",
                "+0 numeric 150488 PI = 3.10 %",
                "+1000 identified \"Masimo\" \"\" serial \"0000777777\"",
                "+1000 numeric 150456 SpO2 = 98 %",
                "+1000 numeric 149530 PR = 101 {beats}/min",
                "+1000 numeric 150488 PI = 3.10 %",
            ],
        );
    }

    #[test]
    fn the_dashes_of_a_licensed_value_count_only_once_it_has_had_a_value() {
        let line = |sphb| format!("05/20/21 14:06:03 SPO2=098% BPM=101 SPHB={sphb} SPCO=--% EXC=0000800\r\n");
        check(
            &[],
            &[line("--.-").as_bytes(), line("12.3").as_bytes(), line("--.-").as_bytes()],
            Duration::ZERO,
            &[
                "+0 identified \"Masimo\" \"\"",
                "+0 numeric 150456 SpO2 = 98 %",
                "+0 numeric 149530 PR = 101 {beats}/min",
                "+1000 numeric 150456 SpO2 = 98 %",
                "+1000 numeric 149530 PR = 101 {beats}/min",
                "+1000 numeric 67170305 SpHb = 12.3 g/dL",
                "+2000 numeric 150456 SpO2 = 98 %",
                "+2000 numeric 149530 PR = 101 {beats}/min",
                "+2000 numeric 67170305 SpHb = none g/dL unavailable",
            ],
        );
    }

    #[test]
    fn silence_is_told_after_three_seconds_and_ends_the_session_after_ten() {
        let notice = format!("notice {}", super::STALE);
        check(&[], &[], Duration::from_secs(12), &[&format!("+3000 {notice}"), "+10000 hangup silent"]);
    }

    #[test]
    fn nothing_but_noise_points_at_the_baud_rate() {
        let notice = format!("+3000 notice {}", super::WRONG_BAUD);
        check(&[], &[&[0xf8; 90], &[0x80; 400]], Duration::from_secs(9), &[&notice, "+10000 hangup garbage"]);
    }

    #[test]
    fn the_other_format_than_the_configured_one_is_refused_in_words() {
        let notice = format!("+0 notice {}", super::WRONG_FORMAT);
        check(&[("format", "ascii1")], &[TREND, TREND], Duration::ZERO, &[&notice]);
    }
}
