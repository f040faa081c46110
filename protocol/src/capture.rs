//! Captures: what went over one cable, written down as text so that a person can read it and a diff can show it.
//!
//! A header of `name: value` lines, an empty line, then one record a line, its time in milliseconds since the capture began:
//!
//! ```text
//! device: Masimo Rad-8
//! driver: masimo
//! source: manual
//! taken-by: Rad-8 operator's manual, page 4-24
//! date: 2008-09-21
//! scrubbed: nothing to scrub
//!
//! +0 < "09/21/08 09:56:12 SpO2=097 PR=069 PI=04.69 EXC=800:SET\r\n"
//! +12 > c0 11 01 c1
//! +15 <d e1 00 00 02
//! +20 <a 00 00 01 00
//! ```
//!
//! `<` came from the device, `>` went to it; a letter names the wire where it is not the line itself: `d` a datagram,
//! `a` an announcement. Bytes are hex pairs, or a quoted text with the escapes `\r \n \t \\ \" \xNN`.
//! Addresses are not kept: they identify a hospital's network and decide nothing. Lines that begin with `#` are remarks.

use crate::device::{BadSetting, Path, Setting, Settings};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The address that replayed datagrams come from (the documentation range of RFC 5737).
pub const DEVICE_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 24105);

/// One capture in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    pub header: Header,
    pub records: Vec<Record>,
}

/// Where a capture comes from. Printing it gives its lines and the empty line that ends them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub device: String,
    /// The name of the driver that understands it.
    pub driver: String,
    pub firmware: String,
    pub source: Source,
    pub taken_by: String,
    pub date: String,
    /// What was removed from it before it was kept.
    pub scrubbed: String,
    pub notes: String,
    /// The driver settings it was taken with, as `setting: name=value` lines.
    pub settings: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Taken from a real cable.
    #[default]
    Capture,
    /// A worked example of a manual.
    Manual,
    /// Written by hand for a case that no device was seen to do.
    Synthetic,
}

/// What crossed one wire at one moment. Printing it gives its line, without the line's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Time since the capture began.
    pub at: Duration,
    pub direction: Direction,
    pub wire: Wire,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    FromDevice,
    ToDevice,
}

/// [`Path`] without the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Line,
    Datagram,
    Announcement,
}

/// A line that is no line of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BadCapture {
    /// Counted from 1.
    pub line: usize,
    pub problem: &'static str,
}

impl Capture {
    pub fn parse(text: &str) -> Result<Self, BadCapture> {
        let mut capture = Self::default();
        let mut in_header = true;
        for (line, content) in (1..).zip(text.lines()) {
            let content = content.trim();
            let bad = |problem| BadCapture { line, problem };
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            if content.starts_with('+') {
                in_header = false;
                let record = Record::parse(content).map_err(bad)?;
                if capture.records.last().is_some_and(|last| last.at > record.at) {
                    return Err(bad("earlier than the line before it"));
                }
                capture.records.push(record);
            } else if in_header {
                capture.header.take(content).map_err(bad)?;
            } else {
                return Err(bad("expected a record: +milliseconds, direction, bytes"));
            }
        }
        Ok(capture)
    }

    /// Bytes that the device sent.
    pub fn received(&self) -> u64 {
        let from_device = self.records.iter().filter(|record| record.direction == Direction::FromDevice);
        from_device.map(|record| record.bytes.len() as u64).sum()
    }

    /// Its settings, checked against what the driver declares.
    pub fn settings(&self, declared: &[Setting]) -> Result<Settings, Vec<BadSetting>> {
        Settings::check(declared, &self.header.settings)
    }
}

impl Header {
    fn take(&mut self, line: &str) -> Result<(), &'static str> {
        let (name, value) = line.split_once(':').ok_or("expected \"name: value\" or a record")?;
        let value = value.trim();
        let field = match name.trim() {
            "device" => &mut self.device,
            "driver" => &mut self.driver,
            "firmware" => &mut self.firmware,
            "taken-by" => &mut self.taken_by,
            "date" => &mut self.date,
            "scrubbed" => &mut self.scrubbed,
            "notes" => &mut self.notes,
            "source" => {
                self.source = Source::parse(value).ok_or("source is capture, manual or synthetic")?;
                return Ok(());
            }
            "setting" => {
                let (name, value) = value.split_once('=').ok_or("expected \"setting: name=value\"")?;
                self.settings.push((name.trim().to_owned(), value.trim().to_owned()));
                return Ok(());
            }
            _ => return Err("unknown header name"),
        };
        if !field.is_empty() {
            field.push(' ');
        }
        field.push_str(value);
        Ok(())
    }
}

impl fmt::Display for Header {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = [
            ("device", self.device.as_str()),
            ("driver", &self.driver),
            ("firmware", &self.firmware),
            ("source", self.source.word()),
            ("taken-by", &self.taken_by),
            ("date", &self.date),
            ("scrubbed", &self.scrubbed),
            ("notes", &self.notes),
        ];
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            writeln!(out, "{name}: {}", OneLine(value))?;
        }
        for (name, value) in &self.settings {
            writeln!(out, "setting: {}={}", OneLine(name), OneLine(value))?;
        }
        writeln!(out)
    }
}

impl fmt::Display for Capture {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.header)?;
        self.records.iter().try_for_each(|record| writeln!(out, "{record}"))
    }
}

impl Source {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Manual => "manual",
            Self::Synthetic => "synthetic",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Capture, Self::Manual, Self::Synthetic].into_iter().find(|source| source.word() == word)
    }
}

impl Wire {
    /// The path of a replayed record.
    pub const fn path(self) -> Path {
        match self {
            Self::Line => Path::Line,
            Self::Datagram => Path::Datagram(DEVICE_ADDRESS),
            Self::Announcement => Path::Announcement(DEVICE_ADDRESS),
        }
    }

    const fn letter(self) -> &'static str {
        match self {
            Self::Line => "",
            Self::Datagram => "d",
            Self::Announcement => "a",
        }
    }
}

impl From<Path> for Wire {
    fn from(path: Path) -> Self {
        match path {
            Path::Line => Self::Line,
            Path::Datagram(_) => Self::Datagram,
            Path::Announcement(_) => Self::Announcement,
        }
    }
}

impl Record {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let rest = line.strip_prefix('+').ok_or("a record begins with +milliseconds")?;
        let (millis, rest) = rest.split_once(' ').ok_or("expected a direction after the time")?;
        let millis = millis.parse().map_err(|_| "the time is a whole number of milliseconds")?;
        let rest = rest.trim_start();
        let (mark, bytes) = rest.split_once(' ').unwrap_or((rest, ""));
        let (direction, letter) = match (mark.strip_prefix('<'), mark.strip_prefix('>')) {
            (Some(letter), _) => (Direction::FromDevice, letter),
            (_, Some(letter)) => (Direction::ToDevice, letter),
            _ => return Err("the direction is < (from the device) or > (to it)"),
        };
        let wires = [Wire::Line, Wire::Datagram, Wire::Announcement];
        let wire =
            wires.into_iter().find(|wire| wire.letter() == letter).ok_or("the wire is d, a or nothing")?;
        let bytes = bytes.trim();
        let bytes = match bytes.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')) {
            Some(text) => bytes_of_text(text)?,
            None => bytes_of_hex(bytes)?,
        };
        Ok(Self { at: Duration::from_millis(millis), direction, wire, bytes })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = match self.direction {
            Direction::FromDevice => '<',
            Direction::ToDevice => '>',
        };
        write!(out, "+{} {arrow}{}", self.at.as_millis(), self.wire.letter())?;
        if self.bytes.is_empty() {
            return Ok(());
        }
        if !self.bytes.iter().all(|byte| is_readable(*byte)) {
            return self.bytes.iter().try_for_each(|byte| write!(out, " {byte:02x}"));
        }
        out.write_str(" \"")?;
        for byte in &self.bytes {
            match byte {
                b'\r' => out.write_str("\\r")?,
                b'\n' => out.write_str("\\n")?,
                b'\t' => out.write_str("\\t")?,
                b'"' | b'\\' => write!(out, "\\{}", char::from(*byte))?,
                b' '..=b'~' => write!(out, "{}", char::from(*byte))?,
                _ => write!(out, "\\x{byte:02x}")?,
            }
        }
        out.write_str("\"")
    }
}

/// Bytes of which a record is made text: ASCII, and the framing marks of ASTM and HL7 (STX, ETX, EOT, ENQ, ACK, VT, FS).
const fn is_readable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t' | 0x02..=0x06 | 0x0b | 0x1c)
}

/// A header value, kept to its line whatever somebody put into it.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().map(|c| if c.is_control() { ' ' } else { c }).try_for_each(|c| write!(out, "{c}"))
    }
}

fn bytes_of_hex(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut digits = text.bytes().filter(|byte| *byte != b' ');
    let mut bytes = Vec::with_capacity(text.len() / 2);
    while let Some(high) = digits.next() {
        let low = digits.next().ok_or("an odd number of hex digits")?;
        bytes.push(hex_pair(high, low).ok_or("neither hex pairs nor a quoted text")?);
    }
    Ok(bytes)
}

fn bytes_of_text(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => return Err("a quote inside a text is written \\\""),
            b'\\' => bytes.push(match rest.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(mark @ (b'\\' | b'"')) => mark,
                Some(b'x') => rest
                    .next()
                    .zip(rest.next())
                    .and_then(|(high, low)| hex_pair(high, low))
                    .ok_or("two hex digits follow \\x")?,
                _ => return Err("unknown escape"),
            }),
            _ => bytes.push(byte),
        }
    }
    Ok(bytes)
}

fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::{BadCapture, Capture, Direction, Record, Source, Wire};
    use std::time::Duration;

    const EXAMPLE: &str = "device: Masimo Rad-8\ndriver: masimo\nsource: manual\ntaken-by: page 4-24\nsetting: format=ascii2\n\n\
        +0 < \"SpO2=097\\r\\n\"\n+12 > c0 ff c1\n+15 <d e1 00\n+20 <a\n+20 <a \"say \\\"\\\\\\x0b\"\n";

    #[test]
    fn what_was_written_is_read_again_letter_for_letter() {
        let capture = Capture::parse(EXAMPLE).unwrap();
        assert_eq!(capture.header.source, Source::Manual);
        assert_eq!(capture.header.settings, [("format".to_owned(), "ascii2".to_owned())]);
        assert_eq!(capture.records[0].bytes, b"SpO2=097\r\n");
        assert_eq!(capture.records[1].direction, Direction::ToDevice);
        assert_eq!(capture.records[2].wire, Wire::Datagram);
        assert_eq!(capture.records[4].bytes, b"say \"\\\x0b");
        assert_eq!(capture.received(), 10 + 2 + 7);
        assert_eq!(capture.to_string(), EXAMPLE);
    }

    #[test]
    fn every_byte_survives_the_text() {
        for bytes in
            [(0..=255).collect::<Vec<u8>>(), (b' '..=b'~').collect(), b"\r\n\t\x02\x03\x0b\x1c".to_vec()]
        {
            let record = Record {
                at: Duration::from_millis(7),
                direction: Direction::FromDevice,
                wire: Wire::Line,
                bytes,
            };
            assert_eq!(Record::parse(&record.to_string()), Ok(record));
        }
    }

    #[test]
    fn a_bad_line_is_named_by_its_number() {
        let problem = |text: &str| Capture::parse(text).unwrap_err();
        assert_eq!(
            problem("device: x\n\n+0 < 0\n"),
            BadCapture { line: 3, problem: "an odd number of hex digits" }
        );
        assert_eq!(problem("+9 < 00\n+8 < 00").problem, "earlier than the line before it");
        assert_eq!(problem("+0 <x 00").problem, "the wire is d, a or nothing");
        assert_eq!(problem("+0 < \"\\q\"").problem, "unknown escape");
        assert_eq!(problem("colour: red").problem, "unknown header name");
        assert_eq!(problem("+0 < 00\ndevice: late").line, 2);
    }

    #[test]
    fn a_header_value_cannot_break_out_of_its_line() {
        let mut capture = Capture::default();
        capture.header.notes = "one\n+0 < 00".to_owned();
        assert_eq!(Capture::parse(&capture.to_string()).unwrap().records, []);
    }
}
