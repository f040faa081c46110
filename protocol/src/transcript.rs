//! One output of a session as one line of text for people: what the golden files hold.

use crate::device::{Hangup, Output};
use crate::model::{
    Alert, AlertPhase, Event, Ignored, Kind, Malformed, NO_SAMPLE, Numeric, Pace, Priority, Quality, Site,
    Waveform, Zone, parameter,
};
use std::fmt;

/// Prints an output as its line, without the line's end. A patient's identifier prints as dots.
pub struct Line<'a>(pub &'a Output);

impl fmt::Display for Line<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Output::Event(event) => write_event(out, event),
            Output::Transmit { bytes, .. } => {
                write!(out, "transmit {} bytes crc {:08x}", bytes.len(), crc32c::crc32c(bytes))
            }
            Output::Hangup(why) => write!(out, "hangup {}", hangup(*why)),
            Output::Wait { why, .. } => write!(out, "wait: {why}"),
        }
    }
}

fn write_event(out: &mut fmt::Formatter<'_>, event: &Event) -> fmt::Result {
    match event {
        Event::Identified(who) => {
            write!(out, "identified \"{}\" \"{}\"", who.manufacturer, who.model)?;
            let texts = [("serial", &who.serial), ("firmware", &who.firmware), ("bed", &who.bed_label)];
            for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
                write!(out, " {name} \"{text}\"")?;
            }
            who.patient.as_ref().map_or(Ok(()), |patient| write!(out, " patient {patient:?}"))
        }
        Event::Numeric(numeric) => write_numeric(out, numeric),
        Event::Waveform(waveform) => write_waveform(out, waveform),
        Event::Alert(alert) => write_alert(out, alert),
        Event::Malformed { reason, bytes } => write!(out, "malformed {} {bytes}", malformed(*reason)),
        Event::DeviceTime(time) => {
            let digits = time.at.to_string();
            write!(out, "clock {}", digits.trim_end_matches('Z'))?;
            match time.zone {
                Zone::Stated(minutes) => write!(out, " {minutes:+} min")?,
                Zone::Unknown => out.write_str(" local")?,
            }
            write!(out, " each {}ms", time.resolution.as_millis())
        }
        Event::Notice(words) => write!(out, "notice {words}"),
        Event::Checkpoint(token) => write!(out, "checkpoint {}", token.0),
    }
}

fn write_numeric(out: &mut fmt::Formatter<'_>, numeric: &Numeric) -> fmt::Result {
    let label = parameter(numeric.code).map_or("?", |row| row.label);
    write!(out, "numeric {} {label}", numeric.code.0)?;
    write_site(out, numeric.site)?;
    match numeric.value {
        Some(value) => write!(out, " = {value} {}", numeric.ucum)?,
        None => write!(out, " = none {}", numeric.ucum)?,
    }
    write_quality(out, numeric.quality)?;
    if numeric.kind == Kind::Setting {
        out.write_str(" setting")?;
    }
    match numeric.pace {
        Pace::Continuous => {}
        Pace::Trend => out.write_str(" trend")?,
        Pace::Episodic => out.write_str(" episodic")?,
    }
    if !numeric.lag.is_zero() {
        write!(out, " lag {}ms", numeric.lag.as_millis())?;
    }
    numeric.device_at.map_or(Ok(()), |at| write!(out, " device {at}"))
}

fn write_waveform(out: &mut fmt::Formatter<'_>, waveform: &Waveform) -> fmt::Result {
    let label = parameter(waveform.code).map_or("?", |row| row.label);
    write!(out, "waveform {} {label}", waveform.code.0)?;
    write_site(out, waveform.site)?;
    let present = || waveform.samples.iter().filter(|sample| **sample != NO_SAMPLE);
    let bytes: Vec<u8> = waveform.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    write!(out, " {} samples each {}us", waveform.samples.len(), waveform.period_us)?;
    if let (Some(least), Some(most)) = (present().min(), present().max()) {
        let physical = |sample: i32| waveform.offset + waveform.gain * f64::from(sample);
        write!(out, " from {:.4} to {:.4} {}", physical(*least), physical(*most), waveform.ucum)?;
    }
    write!(
        out,
        " missing {} crc {:08x}",
        waveform.samples.len() - present().count(),
        crc32c::crc32c(&bytes)
    )?;
    write_quality(out, waveform.quality)
}

fn write_alert(out: &mut fmt::Formatter<'_>, alert: &Alert) -> fmt::Result {
    let phase = match alert.phase {
        AlertPhase::Present => "present",
        AlertPhase::Ended => "ended",
    };
    let priority = match alert.priority {
        Priority::Advisory => "advisory",
        Priority::Low => "low",
        Priority::Medium => "medium",
        Priority::High => "high",
    };
    let kind = if alert.technical { "technical" } else { "physiological" };
    write!(out, "alert {phase} {} {priority} {kind} \"{}\"", alert.code, alert.text)?;
    alert.source.map_or(Ok(()), |source| write!(out, " about {}", source.0))
}

fn write_site(out: &mut fmt::Formatter<'_>, site: Site) -> fmt::Result {
    match site {
        Site::Unspecified => Ok(()),
        Site::Preductal => out.write_str(" preductal"),
        Site::Postductal => out.write_str(" postductal"),
        Site::Numbered(number) => write!(out, " #{number}"),
    }
}

fn write_quality(out: &mut fmt::Formatter<'_>, quality: Quality) -> fmt::Result {
    quality.words().try_for_each(|word| write!(out, " {word}"))
}

/// The word for why a session ended itself.
pub const fn hangup(why: Hangup) -> &'static str {
    match why {
        Hangup::Silent => "silent",
        Hangup::Refused => "refused",
        Hangup::Released => "released",
        Hangup::Garbage => "garbage",
        Hangup::Closed => "closed",
    }
}

/// The word for why bytes were bad.
pub const fn malformed(reason: Malformed) -> &'static str {
    match reason {
        Malformed::Noise => "noise",
        Malformed::Checksum => "checksum",
        Malformed::Truncated => "truncated",
        Malformed::TooLong => "too-long",
        Malformed::Structure => "structure",
        Malformed::Field => "field",
        Malformed::Encoding => "encoding",
    }
}

/// The word for why good bytes were not used.
pub const fn ignored(reason: Ignored) -> &'static str {
    match reason {
        Ignored::Filler => "filler",
        Ignored::UnknownMessage => "unknown-message",
        Ignored::OutOfState => "out-of-state",
        Ignored::Duplicate => "duplicate",
        Ignored::NotOurs => "not-ours",
    }
}
