//! `edge-agent decode`: a driver run over recorded bytes in virtual time; one JSON line an event, then every byte accounted for.

use super::Failed;
use anyhow::anyhow;
use cotside_config::problem::nearest;
use cotside_protocol::capture::{Capture, Direction};
use cotside_protocol::device::{Driver, Output, Path, Settings, Transport};
use cotside_protocol::devices::{DRIVERS, driver};
use cotside_protocol::model::{
    Alert, AlertPhase, Event, Identity, Kind, Malformed, Mono, NO_SAMPLE, Now, Numeric, Pace, Quality, Tally,
    Waveform, Zone, parameter,
};
use cotside_protocol::replay::Replay;
use cotside_protocol::transcript;
use cotside_protocol::wire::convert;
use cotside_systemd::exit::Exit;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path as FilePath;
use std::time::Duration;

/// Time begins here; the same as the process's own clock does.
const START: Now = Now { mono: Mono(1_000_000_000), wall: cotside_protocol::model::Wall(0) };
/// Bytes of a raw file handed over at once: what a serial line brings in a moment.
const CHUNK: usize = 512;
/// A raw file carries no times: its bytes are played at this speed unless the driver names one.
const BAUD: u64 = 115_200;
/// After the last byte a session gets this long to say what it still holds.
const AFTER_END: Duration = Duration::from_millis(100);

pub(super) fn decode(name: &str, file: &FilePath, settings: &[String]) -> Result<Exit, Failed> {
    let driver = known(name)?;
    let opened = File::open(file).map_err(|error| cannot_read(file, &error))?;
    let reader = BufReader::with_capacity(64 * 1024, opened);
    let given = pairs(settings)?;
    let is_capture = file.extension().is_some_and(|extension| extension == "cap");
    let stdout = io::stdout().lock();
    let mut lines = Lines { out: BufWriter::new(stdout), counts: BTreeMap::new(), failure: None };
    let played = if is_capture {
        play_capture(driver, reader, given, &mut lines)
    } else {
        play_raw(driver, reader, given, &mut lines)
    };
    let replay = played.map_err(|failed| match failed {
        Bad::Read(error) => cannot_read(file, &error),
        Bad::Words(words) => Failed::new(Exit::Usage, anyhow!("{}: {words}", file.display())),
    })?;
    lines.summary(&replay);
    match lines.failure {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failed::new(Exit::Io, error)),
        _ => Ok(Exit::Clean),
    }
}

enum Bad {
    Read(io::Error),
    Words(String),
}

fn can_listen(driver: &Driver) -> bool {
    driver.settings.iter().any(|setting| setting.name == "listen")
}

fn known(name: &str) -> Result<&'static Driver, Failed> {
    driver(name).ok_or_else(|| {
        let names = DRIVERS.iter().map(|driver| driver.name);
        let next = nearest(name, names.clone()).map_or_else(
            || format!("known are {}", names.collect::<Vec<_>>().join(", ")),
            |meant| format!("did you mean {meant}?"),
        );
        Failed::new(Exit::Usage, anyhow!("unknown driver {name}: {next}"))
    })
}

fn pairs(settings: &[String]) -> Result<Vec<(String, String)>, Failed> {
    let pair = |text: &String| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let wrong = || Failed::new(Exit::Usage, anyhow!("--set takes NAME=VALUE"));
    settings.iter().map(|text| pair(text).ok_or_else(wrong)).collect()
}

/// Recorded bytes are one side of a conversation, often begun before the recording: nobody is there to be asked.
fn open(driver: &'static Driver, mut given: Vec<(String, String)>) -> Result<Replay, Bad> {
    if can_listen(driver) && !given.iter().any(|(name, _)| name == "listen") {
        given.push(("listen".to_owned(), "yes".to_owned()));
    }
    let settings = Settings::check(driver.settings, &given)
        .map_err(|bad| Bad::Words(bad.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
    Replay::open(driver, settings, START).map_err(|bad| Bad::Words(bad.to_string()))
}

fn play_raw(
    driver: &'static Driver,
    mut reader: impl Read,
    given: Vec<(String, String)>,
    lines: &mut Lines<impl Write>,
) -> Result<Replay, Bad> {
    let mut replay = open(driver, given)?;
    let baud = driver.transports.iter().find_map(|transport| match transport {
        Transport::Serial { baud, .. } => Some(u64::from(*baud)),
        _ => None,
    });
    let us_per_byte = 10_000_000 / baud.unwrap_or(BAUD);
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => return Err(Bad::Read(error)),
        };
        let until = replay.now().mono + Duration::from_micros(us_per_byte * count as u64);
        replay.pass(until, &mut |at, output| lines.take(at, output));
        replay.receive(Path::Line, &chunk[..count], &mut |at, output| lines.take(at, output));
    }
    replay.pass(replay.now().mono + AFTER_END, &mut |at, output| lines.take(at, output));
    Ok(replay)
}

/// Line by line, so that a week of a ward's monitor needs no memory.
fn play_capture(
    driver: &'static Driver,
    reader: impl BufRead,
    given: Vec<(String, String)>,
    lines: &mut Lines<impl Write>,
) -> Result<Replay, Bad> {
    let mut header = String::new();
    let mut replay: Option<Replay> = None;
    for (number, line) in (1..).zip(reader.lines()) {
        let line = line.map_err(Bad::Read)?;
        let bad = |words: &str| Bad::Words(format!("line {number}: {words}"));
        if !line.trim_start().starts_with('+') {
            match replay {
                None => header.extend([line.as_str(), "\n"]),
                Some(_) if line.trim().is_empty() || line.trim_start().starts_with('#') => {}
                Some(_) => return Err(bad("expected a record: +milliseconds, direction, bytes")),
            }
            continue;
        }
        let replay = match &mut replay {
            Some(replay) => replay,
            None => {
                let header = Capture::parse(&header).map_err(|bad| Bad::Words(bad.to_string()))?.header;
                let mut settings = header.settings;
                settings.retain(|(name, _)| !given.iter().any(|(given, _)| given == name));
                settings.extend(given.iter().cloned());
                replay.insert(open(driver, settings)?)
            }
        };
        let parsed = Capture::parse(&line).map_err(|error| bad(error.problem))?;
        for record in parsed.records.iter().filter(|record| record.direction == Direction::FromDevice) {
            replay.pass(START.mono + record.at, &mut |at, output| lines.take(at, output));
            replay.receive(record.wire.path(), &record.bytes, &mut |at, output| lines.take(at, output));
        }
    }
    let mut replay = replay.ok_or_else(|| Bad::Words("a capture without a single record".to_owned()))?;
    replay.pass(replay.now().mono + AFTER_END, &mut |at, output| lines.take(at, output));
    Ok(replay)
}

/// Writes lines until the reader leaves.
struct Lines<W: Write> {
    out: W,
    counts: BTreeMap<&'static str, u64>,
    failure: Option<io::Error>,
}

impl<W: Write> Lines<W> {
    fn take(&mut self, at: Now, output: &Output) {
        let mut line = match output {
            Output::Event(event) => event_json(event),
            Output::Hangup(why) => json!({ "event": "hangup", "why": transcript::hangup(*why) }),
            Output::Transmit { .. } | Output::Wait { .. } => return,
        };
        let kind = match output {
            Output::Event(event) => kind(event),
            _ => "hangup",
        };
        *self.counts.entry(kind).or_default() += 1;
        line["at_ms"] = json!(u64::try_from(at.mono.since(START.mono).as_millis()).unwrap_or(u64::MAX));
        self.write(&line);
    }

    fn summary(&mut self, replay: &Replay) {
        let line = json!({ "event": "summary", "events": self.counts, "sessions": replay.sessions(), "bytes": account(&replay.tally()) });
        self.write(&line);
        if let (None, Err(error)) = (&self.failure, self.out.flush()) {
            self.failure = Some(error);
        }
    }

    fn write(&mut self, line: &Value) {
        if let (None, Err(error)) = (&self.failure, writeln!(self.out, "{line}")) {
            self.failure = Some(error);
        }
    }
}

/// After the last byte nothing is pending any more: what was begun and never ended is truncated.
fn account(tally: &Tally) -> Value {
    let mut tally = *tally;
    let begun = std::mem::take(&mut tally.pending);
    tally.malform(Malformed::Truncated, usize::try_from(begun).unwrap_or(usize::MAX));
    let ignored: BTreeMap<_, _> = Tally::IGNORED
        .into_iter()
        .map(|why| (transcript::ignored(why), tally.ignored(why)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let malformed: BTreeMap<_, _> = Tally::MALFORMED
        .into_iter()
        .map(|why| (transcript::malformed(why), tally.malformed(why)))
        .filter(|(_, count)| *count > 0)
        .collect();
    json!({
        "received": tally.received, "decoded": tally.decoded, "ignored": ignored, "malformed": malformed,
        "frames": tally.frames, "balanced": tally.is_balanced(),
    })
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::Identified(_) => "identified",
        Event::Numeric(_) => "numeric",
        Event::Waveform(_) => "waveform",
        Event::Alert(_) => "alert",
        Event::Malformed { .. } => "malformed",
        Event::DeviceTime(_) => "device-time",
        Event::Notice(_) => "notice",
        Event::Checkpoint(_) => "checkpoint",
    }
}

fn event_json(event: &Event) -> Value {
    let mut line = match event {
        Event::Identified(identity) => identity_json(identity),
        Event::Numeric(numeric) => numeric_json(numeric),
        Event::Waveform(waveform) => waveform_json(waveform),
        Event::Alert(alert) => alert_json(alert),
        Event::Malformed { reason, bytes } => {
            json!({ "reason": transcript::malformed(*reason), "bytes": bytes })
        }
        Event::DeviceTime(time) => json!({
            "digits": time.at.to_string().trim_end_matches('Z'),
            "offset_min": match time.zone {
                Zone::Stated(minutes) => Some(minutes),
                Zone::Unknown => None,
            },
            "resolution_ms": time.resolution.as_millis() as u64,
        }),
        Event::Notice(words) => json!({ "words": words }),
        Event::Checkpoint(token) => json!({ "token": token.0 }),
    };
    line["event"] = json!(kind(event));
    line
}

fn identity_json(identity: &Identity) -> Value {
    json!({
        "manufacturer": identity.manufacturer.as_str(), "model": identity.model.as_str(), "serial": identity.serial.as_str(),
        "firmware": identity.firmware.as_str(), "bed": identity.bed_label.as_str(),
        // A recording may hold a person; what is printed does not.
        "patient": identity.patient.is_some(),
    })
}

fn numeric_json(numeric: &Numeric) -> Value {
    json!({
        "code": numeric.code.0, "label": parameter(numeric.code).map(|row| row.label), "site": convert::site_name(numeric.site),
        "value": numeric.value.map(|value| value.to_string()), "ucum": numeric.ucum, "quality": quality(numeric.quality),
        "setting": numeric.kind == Kind::Setting, "lag_ms": numeric.lag.as_millis() as u64,
        "pace": match numeric.pace {
            Pace::Continuous => "continuous",
            Pace::Trend => "trend",
            Pace::Episodic => "episodic",
        },
        "device_at": numeric.device_at.map(|at| at.to_string()),
    })
}

fn waveform_json(waveform: &Waveform) -> Value {
    let samples: Vec<Option<i32>> =
        waveform.samples.iter().map(|sample| (*sample != NO_SAMPLE).then_some(*sample)).collect();
    json!({
        "code": waveform.code.0, "label": parameter(waveform.code).map(|row| row.label), "site": convert::site_name(waveform.site),
        "begin_us": waveform.begin.0 as i64 - START.mono.0 as i64, "period_us": waveform.period_us, "gain": waveform.gain,
        "offset": waveform.offset, "ucum": waveform.ucum, "quality": quality(waveform.quality), "samples": samples,
    })
}

fn alert_json(alert: &Alert) -> Value {
    json!({
        "code": alert.code, "source": alert.source.map(|code| code.0), "text": alert.text.as_str(),
        "priority": convert::priority(alert.priority), "technical": alert.technical,
        "present": alert.phase == AlertPhase::Present,
    })
}

fn quality(quality: Quality) -> Vec<String> {
    quality.words().map(str::to_owned).collect()
}

fn cannot_read(file: &FilePath, error: &io::Error) -> Failed {
    Failed::new(Exit::Io, anyhow!("cannot read {}: {error}", file.display()))
}
