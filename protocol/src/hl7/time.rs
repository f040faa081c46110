//! Times (DTM, formerly TS; HL7 v2.x chapter 2A.22): `YYYY[MM[DD[HH[MM[SS[.S...]]]]]][+/-ZZZZ]`, with the precision and the offset that
//! were really written. A time without an offset is never silently UTC.

use crate::model::Wall;

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
        let part =
            |from: usize, length: usize, least: i64| digits.get(from..from + length).map_or(least, number);
        let (year, month, day) = (part(0, 4, 0), part(4, 2, 1), part(6, 2, 1));
        let (hour, minute, second) = (part(8, 2, 0), part(10, 2, 0), part(12, 2, 0));
        let is_time = hour <= 23 || (hour == 24 && minute == 0 && second == 0);
        if year == 0 || !(1..=12).contains(&month) || day == 0 || day > days_of_month(year, month) || !is_time
        {
            return None;
        }
        // 60 is a leap second; adding it up lands on the next minute.
        if minute > 59 || second > 60 {
            return None;
        }
        let seconds = ((days_from_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
        Some(Self { local_us: seconds * 1_000_000 + micros(fraction), precision, offset_min })
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
    let seconds = at.0.div_euclid(1_000_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date_of_day(days);
    format!(
        "{year:04}{month:02}{day:02}{:02}{:02}{:02}.{:03}+0000",
        second / 3600,
        second / 60 % 60,
        second % 60,
        at.0.rem_euclid(1_000_000) / 1000
    )
}

/// `+0530`, `-0800`, `Z`.
pub fn parse_offset(text: &[u8]) -> Option<i16> {
    match text {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), digits @ ..] if digits.len() == 4 && digits.iter().all(u8::is_ascii_digit) => {
            let (hours, minutes) = (number(&digits[..2]), number(&digits[2..]));
            if hours > 15 || minutes > 59 {
                return None;
            }
            let minutes = i16::try_from(hours * 60 + minutes).ok()?;
            Some(if *sign == b'-' { -minutes } else { minutes })
        }
        _ => None,
    }
}

fn number(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0'))
}

fn micros(fraction: &[u8]) -> i64 {
    let digits = &fraction[..fraction.len().min(6)];
    number(digits) * 10i64.pow(6 - digits.len() as u32)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

// Both ways after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, eras last 400 years.

fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn date_of_day(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let index = (5 * day_of_year + 2) / 153;
    let month = if index < 10 { index + 3 } else { index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * index + 2) / 5 + 1)
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
