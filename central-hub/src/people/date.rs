//! A calendar day without a time: what a birth date is.

use cotside_protocol::model::Wall;

const DAY_US: i64 = 86_400_000_000;

/// Days since 1970-01-01, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i64);

impl Date {
    /// `YYYY-MM-DD` and a day that exists.
    pub fn parse(text: &str) -> Option<Self> {
        let has_shape = text.len() == 10
            && text.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        if !has_shape {
            return None;
        }
        let part = |range: std::ops::Range<usize>| text[range].parse().ok();
        Wall::of_calendar([part(0..4)?, part(5..7)?, part(8..10)?], [0, 0, 0]).map(Self::of)
    }

    pub const fn of(wall: Wall) -> Self {
        Self(wall.0.div_euclid(DAY_US))
    }

    /// Days since 1970-01-01.
    pub const fn number(self) -> i64 {
        self.0
    }

    pub const fn from_number(days: i64) -> Self {
        Self(days)
    }

    pub const fn days_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

impl std::fmt::Display for Date {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ([year, month, day], _) = Wall(self.0.saturating_mul(DAY_US)).calendar();
        write!(out, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::Date;

    #[test]
    fn a_date_survives_parse_and_print() {
        for text in ["1970-01-01", "2000-02-29", "2026-01-06", "2026-12-31", "1969-12-31", "2100-03-01"] {
            assert_eq!(Date::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_day_that_does_not_exist_is_no_date() {
        for text in
            ["2026-02-29", "2026-13-01", "2026-00-10", "2026-1-06", "20260106", "2026-01-32", "２026-01-1"]
        {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }
}
