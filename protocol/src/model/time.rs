//! The clocks: monotonic time orders and measures, wall time dates. They never mix.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// Microseconds on this process's monotonic clock. Orders events and measures ages; survives no restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

/// Microseconds since 1970-01-01T00:00:00Z on some wall clock (the agent's, a device's, the hub's: say which).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(pub i64);

/// One reading of both clocks, handed to every core as an argument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    pub mono: Mono,
    pub wall: Wall,
}

impl Mono {
    /// Time elapsed since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, span: Duration) -> Mono {
        Mono(self.0.saturating_add(micros(span)))
    }
}

impl Wall {
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// A date and time of the Gregorian calendar, read as UTC. None: no such moment (a leap second counts as the one after it).
    pub fn of_calendar(date: [u16; 3], time: [u8; 3]) -> Option<Self> {
        let [year, month, day] = date.map(i64::from);
        let [hour, minute, second] = time.map(i64::from);
        if !(1..=12).contains(&month) || !(1..=days_of_month(year, month)).contains(&day) {
            return None;
        }
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let seconds = days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        Some(Self(seconds * 1_000_000))
    }

    /// Year, month and day, and the second of the day, in UTC.
    pub fn calendar(self) -> ([i64; 3], u32) {
        const DAYS_OF_400_YEARS: i64 = 146_097;
        let seconds = self.0.div_euclid(1_000_000);
        let days = seconds.div_euclid(86_400);
        // Searching from the start of a 400 year cycle keeps this free of the usual magic divisions.
        let cycle = days.div_euclid(DAYS_OF_400_YEARS);
        let mut year = 1970 + cycle * 400 + days.rem_euclid(DAYS_OF_400_YEARS) / 366;
        while days_before(year + 1, 1, 1) <= days {
            year += 1;
        }
        let mut month = 12;
        while days_before(year, month, 1) > days {
            month -= 1;
        }
        let day = days - days_before(year, month, 1) + 1;
        // The remainder of a day is below 86,400.
        ([year, month, day], seconds.rem_euclid(86_400) as u32)
    }
}

/// RFC 3339 in UTC, to the millisecond.
impl fmt::Display for Wall {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([year, month, day], second) = self.calendar();
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let millis = self.millis().rem_euclid(1000);
        write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + is_leap(year) as i64,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date.
const fn days_before(year: i64, month: i64, day: i64) -> i64 {
    const BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let past = year - 1;
    let leaps = past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400) - 477;
    let leap_day = (month > 2 && is_leap(year)) as i64;
    (year - 1970) * 365 + leaps + BEFORE_MONTH[(month - 1) as usize] + leap_day + day - 1
}

impl Add<Duration> for Wall {
    type Output = Wall;
    fn add(self, span: Duration) -> Wall {
        Wall(self.0.saturating_add_unsigned(micros(span)))
    }
}

impl Sub<Duration> for Wall {
    type Output = Wall;
    fn sub(self, span: Duration) -> Wall {
        Wall(self.0.saturating_sub_unsigned(micros(span)))
    }
}

impl Now {
    /// The same instant, `span` later on both clocks.
    pub fn after(self, span: Duration) -> Now {
        Now { mono: self.mono + span, wall: self.wall + span }
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Wall;

    #[test]
    fn the_calendar_goes_both_ways_over_leap_days_and_centuries() {
        for (date, time, text) in [
            ([1970, 1, 1], [0, 0, 0], "1970-01-01T00:00:00.000Z"),
            ([2000, 2, 29], [23, 59, 59], "2000-02-29T23:59:59.000Z"),
            ([2026, 11, 22], [11, 30, 36], "2026-11-22T11:30:36.000Z"),
            ([1900, 3, 1], [0, 0, 0], "1900-03-01T00:00:00.000Z"),
            ([2400, 12, 31], [12, 0, 0], "2400-12-31T12:00:00.000Z"),
        ] {
            assert_eq!(Wall::of_calendar(date, time).unwrap().to_string(), text);
        }
        assert_eq!(Wall::of_calendar([2026, 11, 22], [11, 30, 36]), Some(Wall(1_795_347_036_000_000)));
        for days in -200_000..200_000 {
            let ([year, month, day], second) = Wall(days * 86_400_000_000).calendar();
            assert_eq!((super::days_before(year, month, day), second), (days, 0));
        }
    }

    #[test]
    fn a_date_that_never_was_is_refused() {
        for date in [[2023, 2, 29], [1900, 2, 29], [2024, 13, 1], [2024, 0, 1], [2024, 4, 31], [2024, 4, 0]] {
            assert_eq!(Wall::of_calendar(date, [0, 0, 0]), None);
        }
        assert_eq!(Wall::of_calendar([2024, 1, 1], [24, 0, 0]), None);
    }
}
