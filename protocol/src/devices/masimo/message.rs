//! The text of one record, read and written: date, time and `KEY=VALUE` tokens in whatever order and number the model sends.
//!
//! Source: Rad-8 operator's manual, section 4 (serial output), and recorded lines of Rad-8 and Radical-7. Widths, suffixes and
//! the set of keys differ between models and licences, so tokens are read by name, never by position.

use crate::model::{Decimal, Malformed, Wall};
use std::fmt;

/// The two settings of the device's serial output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `SPO2=097% BPM=080 ... EXC=000800`, dashes for no value.
    Ascii1,
    /// `SpO2=097 PR=069 PI=04.69 EXC=800:SET`, zero for no value.
    Ascii2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Spo2,
    PulseRate,
    Pi,
    SpCo,
    SpMet,
    SpHb,
    SpOc,
    Reserved,
    Desat,
    PiDelta,
    Pvi,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) dialect: Dialect,
    /// The device's own clock, set by hand: often wrong.
    pub(super) device_at: Wall,
    /// Digits as printed on the board; None where it sends dashes or no serial number at all.
    pub(super) serial: Option<String>,
    /// In the order of the line. None: the device says that it has no value.
    pub(super) readings: Vec<(Key, Option<Decimal>)>,
    /// Masimo calls this field proprietary; kept, never interpreted.
    pub(super) alarm: Option<u32>,
    pub(super) exceptions: Exceptions,
    /// The second word of the Radical-7 with colour screen; its bits are not public.
    pub(super) exceptions_1: Option<u32>,
}

/// The EXC word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Exceptions(pub(super) u32);

impl Exceptions {
    pub(super) const NO_SENSOR: u32 = 0x001;
    pub(super) const DEFECTIVE_SENSOR: u32 = 0x002;
    pub(super) const LOW_PERFUSION: u32 = 0x004;
    pub(super) const PULSE_SEARCH: u32 = 0x008;
    pub(super) const INTERFERENCE: u32 = 0x010;
    pub(super) const SENSOR_OFF: u32 = 0x020;
    pub(super) const AMBIENT_LIGHT: u32 = 0x040;
    pub(super) const UNKNOWN_SENSOR: u32 = 0x080;
    pub(super) const LOW_SIGNAL_IQ: u32 = 0x400;
    /// Masimo SET is running: the normal state, not an exception.
    pub(super) const SET: u32 = 0x800;

    pub(super) const fn any(self, mask: u32) -> bool {
        self.0 & mask != 0
    }
}

/// How a key is written: its name in ASCII 1, its name in ASCII 2, the width of its number, what follows it, its dashes.
struct Shape(Key, &'static str, &'static str, usize, &'static str, &'static str);

#[rustfmt::skip]
const SHAPES: &[Shape] = &[
    Shape(Key::Spo2,      "SPO2",    "SpO2", 3, "%", "---%"),
    Shape(Key::PulseRate, "BPM",     "PR",   3, "",  "---"),
    Shape(Key::Pi,        "PI",      "PI",   5, "%", "--.--%"),
    Shape(Key::SpCo,      "SPCO",    "",     4, "%", "--.-%"),
    Shape(Key::SpMet,     "SPMET",   "",     4, "%", "--.-%"),
    Shape(Key::SpHb,      "SPHB",    "",     4, "",  "--.-"),
    Shape(Key::SpOc,      "SPOC",    "",     2, "",  "--"),
    Shape(Key::Reserved,  "RESVD",   "",     3, "",  "---"),
    Shape(Key::Desat,     "DESAT",   "",     2, "",  "--"),
    Shape(Key::PiDelta,   "PIDELTA", "",     3, "",  "+--"),
    Shape(Key::Pvi,       "PVI",     "",     3, "",  "---"),
];

/// The words of ASCII 2 that the manual's sample shows, in its order. Each mirrors a bit; only the bits are read.
const WORDS: &[(u32, &str)] = &[
    (Exceptions::LOW_SIGNAL_IQ, "LowSigIQ"),
    (Exceptions::PULSE_SEARCH, "Search"),
    (Exceptions::SENSOR_OFF, "OffPat"),
    (Exceptions::SET, "SET"),
];

/// The century of the device's two-digit year: the family is younger than it.
const CENTURY: u16 = 2000;

impl Record {
    pub(super) fn reading(&self, key: Key) -> Option<Option<Decimal>> {
        self.readings.iter().find(|(known, _)| *known == key).map(|(_, value)| *value)
    }

    /// `line` begins with a date and a time (the frame saw to that).
    pub(super) fn parse(line: &str) -> Result<Self, Malformed> {
        let mut tokens = line.split_ascii_whitespace();
        let date = tokens.next().and_then(|text| numbers(text, &['/', '\\'])).ok_or(Malformed::Field)?;
        let time = tokens.next().and_then(|text| numbers(text, &[':'])).ok_or(Malformed::Field)?;
        let [month, day, year] = date.map(u16::from);
        let device_at = Wall::of_calendar([CENTURY + year, month, day], time).ok_or(Malformed::Field)?;

        let mut readings: Vec<(Key, Option<Decimal>)> = Vec::new();
        let (mut serial, mut alarm, mut exceptions, mut exceptions_1) = (None, None, None, None);
        let mut dialect = Dialect::Ascii1;
        for token in tokens {
            let (name, value) = token.split_once('=').ok_or(Malformed::Structure)?;
            match name {
                "SN" => once(&mut serial, serial_number(value).ok_or(Malformed::Field)?)?,
                "ALARM" => once(&mut alarm, hex(value, 4..=6).ok_or(Malformed::Field)?)?,
                "EXC1" => once(&mut exceptions_1, hex(value, 8..=8).ok_or(Malformed::Field)?)?,
                "EXC" => {
                    let (word, digits) = match value.split_once(':') {
                        Some((word, _)) => (word, 3..=4),
                        None => (value, 6..=7),
                    };
                    once(&mut exceptions, hex(word, digits).ok_or(Malformed::Field)?)?;
                }
                _ => {
                    let Some((key, in_ascii2)) = key(name) else { continue };
                    if in_ascii2 {
                        dialect = Dialect::Ascii2;
                    }
                    if readings.iter().any(|(known, _)| *known == key) {
                        return Err(Malformed::Structure);
                    }
                    readings.push((key, reading(key, value).ok_or(Malformed::Field)?));
                }
            }
        }
        let exceptions = Exceptions(exceptions.ok_or(Malformed::Truncated)?);
        let serial = serial.flatten();
        let record = Self { dialect, device_at, serial, readings, alarm, exceptions, exceptions_1 };
        let is_whole = [Key::Spo2, Key::PulseRate].into_iter().all(|key| record.reading(key).is_some());
        if is_whole { Ok(record) } else { Err(Malformed::Truncated) }
    }

    /// Appends the line, with its end, in the shapes of the Rad-8.
    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.to_string().as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

impl fmt::Display for Record {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([year, month, day], second) = self.device_at.calendar();
        let year = year - i64::from(CENTURY);
        write!(out, "{month:02}/{day:02}/{year:02} ")?;
        write!(out, "{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)?;
        if self.dialect == Dialect::Ascii1 {
            write!(out, " SN={}", self.serial.as_deref().unwrap_or("----------"))?;
        }
        for (key, value) in &self.readings {
            let shape = SHAPES.iter().find(|shape| shape.0 == *key).expect("the table names every key");
            match (self.dialect, value) {
                (Dialect::Ascii1, Some(value)) => {
                    write!(out, " {}={:0>width$}{}", shape.1, value.to_string(), shape.4, width = shape.3)?;
                }
                (Dialect::Ascii1, None) => write!(out, " {}={}", shape.1, shape.5)?,
                (Dialect::Ascii2, value) => {
                    let zero = if *key == Key::Pi { Decimal::new(0, -2) } else { Decimal::new(0, 0) };
                    let value = value.unwrap_or(zero).to_string();
                    write!(out, " {}={value:0>width$}", shape.2, width = shape.3)?;
                }
            }
        }
        match self.dialect {
            Dialect::Ascii1 => {
                write!(out, " ALARM={:04X} EXC={:06X}", self.alarm.unwrap_or(0), self.exceptions.0)?
            }
            Dialect::Ascii2 => {
                let words =
                    WORDS.iter().filter(|(mask, _)| self.exceptions.any(*mask)).map(|(_, word)| *word);
                write!(out, " EXC={:03X}:{}", self.exceptions.0, words.collect::<Vec<_>>().join(","))?;
            }
        }
        self.exceptions_1.map_or(Ok(()), |word| write!(out, " EXC1={word:08X}"))
    }
}

/// The key of a name, and whether only ASCII 2 spells it so.
fn key(name: &str) -> Option<(Key, bool)> {
    let shape = SHAPES.iter().find(|shape| shape.1 == name || (shape.2 == name && !name.is_empty()))?;
    Some((shape.0, shape.1 != name))
}

/// Three two-digit numbers with one of the separators between them.
fn numbers(text: &str, separators: &[char]) -> Option<[u8; 3]> {
    let mut parts = text.split(separators).map(|part| part.parse::<u8>().ok());
    let three = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(three)
}

/// Outer None: neither a serial number nor the dashes for none.
fn serial_number(text: &str) -> Option<Option<String>> {
    let is_all = |known: fn(u8) -> bool| text.len() == 10 && text.bytes().all(known);
    if is_all(|byte| byte == b'-') {
        return Some(None);
    }
    is_all(|byte| byte.is_ascii_digit()).then(|| Some(text.to_owned()))
}

fn hex(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let is_hex = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

/// Outer None: not a shape this key can have. Zero is no measurement for saturation, rate and perfusion: ASCII 2 means "no value" by it.
fn reading(key: Key, text: &str) -> Option<Option<Decimal>> {
    // A stray percent sign on dashes (`BPM=---%`) is real.
    let text = text.strip_suffix('%').unwrap_or(text);
    if text.contains('-') && text.bytes().all(|byte| matches!(byte, b'-' | b'.' | b'+')) {
        return Some(None);
    }
    let is_signed = text.starts_with(['-', '+']);
    if text.len() > 6 || (is_signed && key != Key::PiDelta) {
        return None;
    }
    let value = Decimal::parse(text)?;
    match key {
        Key::Spo2 if value.exponent != 0 || value.mantissa > 100 => None,
        Key::PulseRate if value.exponent != 0 => None,
        Key::Spo2 | Key::PulseRate | Key::Pi if value.mantissa == 0 => Some(None),
        _ => Some(Some(value)),
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Malformed> {
    if slot.replace(value).is_some() { Err(Malformed::Structure) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::{Dialect, Exceptions, Key, Record};
    use crate::model::{Decimal, Malformed};

    const RAD_8: &str = "02/24/18 04:48:53 SN=0000145838 SPO2=097% BPM=080 PI=04.96% SPCO=--.-% SPMET=--.-% DESAT=-- PIDELTA=+-- ALARM=0000 EXC=000800";
    const RAD_8_SHORT: &str =
        "03/19/16 13:37:12 SN=0000093112 SPO2=---% BPM=---% DESAT=-- PIDELTA=+-- ALARM=0000 EXC=000001";
    const COLOUR: &str = "03/17/16 19:19:36 SN=---------- SPO2=098% BPM=123 PI=00.55 SPCO=--% SPMET=--.-% SPHB=--.- SPOC=-- RESVD=--- DESAT=-- PIDELTA=+-- PVI=--- ALARM=000000 EXC=0000C00 EXC1=00000000";
    const TREND: &str = "09/21/08 09:56:14 SpO2=096 PR=074 PI=02.28 EXC=C00:LowSigIQ,SET";
    const TREND_EMPTY: &str = "09/21/08 09:56:18 SpO2=000 PR=000 PI=00.00 EXC=800:SET";

    #[test]
    fn the_known_shapes_are_read() {
        let record = Record::parse(RAD_8).unwrap();
        assert_eq!(record.device_at.to_string(), "2018-02-24T04:48:53.000Z");
        assert_eq!(record.serial.as_deref(), Some("0000145838"));
        assert_eq!(record.reading(Key::Pi), Some(Some(Decimal::new(496, -2))));
        assert_eq!(record.reading(Key::SpCo), Some(None));
        assert_eq!(record.exceptions, Exceptions(Exceptions::SET));

        let record = Record::parse(RAD_8_SHORT).unwrap();
        assert_eq!((record.reading(Key::PulseRate), record.reading(Key::Pi)), (Some(None), None));

        let record = Record::parse(COLOUR).unwrap();
        assert_eq!((record.serial.as_deref(), record.exceptions_1), (None, Some(0)));
        assert_eq!(record.exceptions.0, 0xC00);
    }

    #[test]
    fn a_zero_of_ascii_2_is_no_value_even_without_an_exception() {
        assert_eq!(Record::parse(TREND).unwrap().dialect, Dialect::Ascii2);
        let empty = Record::parse(TREND_EMPTY).unwrap();
        assert!(empty.readings.iter().all(|(_, value)| value.is_none()));
        assert_eq!(empty.exceptions.0, Exceptions::SET);
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        for line in [RAD_8, RAD_8_SHORT, COLOUR, TREND, TREND_EMPTY] {
            let record = Record::parse(line).unwrap();
            let mut out = vec![0xa5; 64];
            record.emit(&mut out);
            let line_again = std::str::from_utf8(&out[64..]).unwrap().strip_suffix("\r\n").unwrap();
            let mut record_again = Record::parse(line_again).unwrap();
            // ASCII 1 always writes the alarm word.
            record_again.alarm = record.alarm;
            assert_eq!(record_again, record);
        }
        for line in [RAD_8, TREND, TREND_EMPTY] {
            assert_eq!(Record::parse(line).unwrap().to_string(), line);
        }
    }

    #[test]
    fn a_line_damaged_anywhere_is_refused_rather_than_half_believed() {
        for (damaged, reason) in [
            (RAD_8.replace("097", "0?7"), Malformed::Field),
            (RAD_8.replace("097", "197"), Malformed::Field),
            (RAD_8.replace("EXC=000800", "EXC=0008"), Malformed::Field),
            (RAD_8.replace(" EXC=000800", ""), Malformed::Truncated),
            (RAD_8.replace("BPM=", "BPN="), Malformed::Truncated),
            (RAD_8.replace("02/24", "13/24"), Malformed::Field),
            (RAD_8.replace("SPMET", "SPCO"), Malformed::Structure),
            (RAD_8.replace("SPMET=", "SPMET"), Malformed::Structure),
            (RAD_8.replace("145838", "14583"), Malformed::Field),
        ] {
            assert_eq!(Record::parse(&damaged), Err(reason), "{damaged}");
        }
        let with_new_key = RAD_8.replace("DESAT=--", "ORI=0.42");
        assert!(Record::parse(&with_new_key).is_ok(), "an unknown key is somebody's licence, not damage");
    }
}
