//! Times (DTM, formerly TS; HL7 v2.x chapter 2A.22): `YYYY[MM[DD[HH[MM[SS[.S...]]]]]][+/-ZZZZ]`, with the precision and the offset that
//! were really written. A time without an offset is never silently UTC.

use crate::model::Wall;

const DAY_US: i64 = 86_400_000_000;

/// How far a time was written out; what is missing counts as its least value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Fraction,
}

/// One time as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Microseconds since 1970-01-01T00:00:00 on the clock that was written down, whatever its offset.
    pub local_us: i64,
    pub precision: Precision,
    /// Minutes east of UTC, where stated. `-0000` (UTC known, local unknown) is 0.
    pub offset_min: Option<i16>,
}

impl Time {
    /// None for zeros, blanks and everything that is no time. Seen and taken: milliseconds without a dot, hour 24, a trailing `Z`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let (stamp, offset_min) = match text.iter().position(|byte| matches!(byte, b'+' | b'-' | b'Z' | b'z'))
        {
            Some(at) => (&text[..at], Some(parse_offset(&text[at..])?)),
            None => (text, None),
        };
        let dot = stamp.iter().position(|byte| *byte == b'.');
        let (digits, fraction) = match dot {
            Some(at) => (&stamp[..at], &stamp[at + 1..]),
            None if stamp.len() == 17 => stamp.split_at(14),
            None => (stamp, &b""[..]),
        };
        if !digits.iter().chain(fraction).all(u8::is_ascii_digit) || (dot.is_some() && digits.len() != 14) {
            return None;
        }
        let precision = match digits.len() {
            4 => Precision::Year,
            6 => Precision::Month,
            8 => Precision::Day,
            10 => Precision::Hour,
            12 => Precision::Minute,
            14 if fraction.is_empty() => Precision::Second,
            14 => Precision::Fraction,
            _ => return None,
        };
        let part = |from: usize, least: u8| digits.get(from..from + 2).map_or(least, two);
        let year = u16::from(two(&digits[..2])) * 100 + u16::from(two(&digits[2..4]));
        let (hour, minute, second) = (part(8, 0), part(10, 0), part(12, 0));
        // Hour 24 is the midnight at the end of the day.
        let is_midnight = hour == 24 && minute == 0 && second == 0;
        let time = [if is_midnight { 0 } else { hour }, minute, second];
        let begin =
            Wall::of_calendar([year, part(4, 1).into(), part(6, 1).into()], time).filter(|_| year > 0)?;
        let local_us = begin.0 + micros(fraction) + if is_midnight { DAY_US } else { 0 };
        Some(Self { local_us, precision, offset_min })
    }

    /// The instant, where an offset is stated or given by what surrounds the field.
    pub fn wall(&self, otherwise_min: Option<i16>) -> Option<Wall> {
        let offset_min = self.offset_min.or(otherwise_min)?;
        Some(Wall(self.local_us - i64::from(offset_min) * 60_000_000))
    }

    /// Microseconds from `earlier` to this; times without an offset are taken to be on one clock.
    pub fn micros_since(&self, earlier: &Self) -> i64 {
        match (self.offset_min, earlier.offset_min) {
            (Some(a), Some(b)) => {
                (self.local_us - i64::from(a) * 60_000_000) - (earlier.local_us - i64::from(b) * 60_000_000)
            }
            _ => self.local_us - earlier.local_us,
        }
    }
}

/// `YYYYMMDDHHMMSS.SSS+0000`.
pub fn format(at: Wall) -> String {
    let ([year, month, day], second) = at.calendar();
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let millis = at.millis().rem_euclid(1000);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}.{millis:03}+0000")
}

/// `+0530`, `-0800`, `Z`.
pub fn parse_offset(text: &[u8]) -> Option<i16> {
    match text {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), digits @ ..] if digits.len() == 4 && digits.iter().all(u8::is_ascii_digit) => {
            let (hours, minutes) = (two(&digits[..2]), two(&digits[2..]));
            if hours > 15 || minutes > 59 {
                return None;
            }
            let minutes = i16::from(hours) * 60 + i16::from(minutes);
            Some(if *sign == b'-' { -minutes } else { minutes })
        }
        _ => None,
    }
}

/// Two digits, known to be digits.
fn two(digits: &[u8]) -> u8 {
    digits.iter().fold(0, |sum, byte| sum * 10 + (byte - b'0'))
}

/// The digits after the dot, as far as microseconds.
fn micros(fraction: &[u8]) -> i64 {
    let digits = fraction.iter().chain(std::iter::repeat(&b'0')).take(6);
    digits.fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0'))
}

#[cfg(test)]
mod tests {
    use super::{Precision, Time, format};
    use crate::model::Wall;
    use proptest::prelude::*;

    fn time(text: &str) -> Time {
        Time::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text} is a time"))
    }

    #[test]
    fn a_time_keeps_its_precision_and_its_offset() {
        assert_eq!(time("20240601120000.500+0200").wall(None), Some(Wall(1_717_236_000_500_000)));
        assert_eq!(time("20240601100000Z").wall(None), Some(Wall(1_717_236_000_000_000)));
        assert_eq!(time("20240601153000+0530").wall(None), Some(Wall(1_717_236_000_000_000)));
        assert_eq!(time("202406011159").precision, Precision::Minute);
        assert_eq!(time("1961").precision, Precision::Year);
        assert_eq!(time("20240601115959.5+0200").precision, Precision::Fraction);
        assert_eq!(time("20240601120000-0000").offset_min, Some(0));
    }

    #[test]
    fn a_time_without_offset_is_not_utc() {
        assert_eq!(time("20240601120000").wall(None), None);
        assert_eq!(time("20240601120000").wall(Some(120)), Some(Wall(1_717_236_000_000_000)));
    }

    #[test]
    fn what_devices_really_write_is_taken() {
        assert_eq!(time("20260124131540123+0800").local_us % 1_000_000, 123_000);
        assert_eq!(
            time("20260912120000.0000+0530"),
            Time { precision: Precision::Fraction, ..time("20260912120000+0530") }
        );
        assert_eq!(time(" 20080515121000.100"), time("20080515121000.1"));
        assert_eq!(time("2024022924").local_us, time("2024030100").local_us);
        assert_eq!(time("20161231235960").local_us, time("20170101000000").local_us);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "0",
            "00000000000000",
            "20241301",
            "20230229",
            "20240631",
            "2024060125",
            "2024060112006",
            "20240601120000.5.5",
            "2024-06-01",
            "20240601120000+02",
            "20240601120000+0270",
            "yesterday",
            "202406.5",
            "+0200",
            "\u{661}\u{669}66",
        ] {
            assert_eq!(Time::parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_formatted_time_parses_to_itself(ms in -2_000_000_000_000i64..100_000_000_000_000) {
            let at = Wall(ms * 1000);
            prop_assert_eq!(time(&format(at)).wall(None), Some(at));
        }
    }
}
