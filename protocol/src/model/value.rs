//! Values as devices send them: exact decimals, with the marks the device put on them.

/// A decimal number exactly as the device wrote it: `mantissa * 10^exponent`. Digits carry precision, so `36.50` stays `3650e-2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    pub mantissa: i64,
    pub exponent: i8,
}

impl Decimal {
    pub const fn new(mantissa: i64, exponent: i8) -> Self {
        Self { mantissa, exponent }
    }

    /// Parses an optional sign, digits and at most one dot: no exponent, no separators, no locale.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let mut mantissa: i64 = 0;
        let mut exponent: i8 = 0;
        let (mut seen_dot, mut seen_digit) = (false, false);
        for byte in digits.bytes() {
            match byte {
                b'0'..=b'9' => {
                    seen_digit = true;
                    mantissa = mantissa.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
                    if seen_dot {
                        exponent = exponent.checked_sub(1)?;
                    }
                }
                b'.' if !seen_dot => seen_dot = true,
                _ => return None,
            }
        }
        seen_digit.then_some(Self { mantissa: if negative { -mantissa } else { mantissa }, exponent })
    }

    pub fn to_f64(self) -> f64 {
        // Powers of ten up to 22 are exact in f64, so short decimals convert exactly rounded.
        let scale = 10f64.powi(i32::from(self.exponent.unsigned_abs()));
        if self.exponent < 0 { self.mantissa as f64 / scale } else { self.mantissa as f64 * scale }
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.exponent >= 0 {
            return write!(
                out,
                "{}{:0>width$}",
                self.mantissa,
                "",
                width = if self.mantissa == 0 { 0 } else { self.exponent as usize }
            );
        }
        let places = usize::from(self.exponent.unsigned_abs());
        let digits = format!("{:0>width$}", self.mantissa.unsigned_abs(), width = places + 1);
        let (whole, part) = digits.split_at(digits.len() - places);
        write!(out, "{}{whole}.{part}", if self.mantissa < 0 { "-" } else { "" })
    }
}

/// Marks on a value, kept from the device to the screen. Plausibility flags, it never suppresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Quality(pub u16);

impl Quality {
    pub const GOOD: Self = Self(0);
    /// The device says: not usable (lead off, sensor off, invalid).
    pub const INVALID: Self = Self(1);
    /// The device says: doubtful (low signal, artefact, searching).
    pub const QUESTIONABLE: Self = Self(1 << 1);
    /// The device says: measurement not available at this moment (still calibrating, off).
    pub const UNAVAILABLE: Self = Self(1 << 2);
    /// Simulated or demo data by the device's own word.
    pub const DEMO: Self = Self(1 << 3);
    /// Outside the parameter table's plausible range; kept, shown, still alarms.
    pub const IMPLAUSIBLE: Self = Self(1 << 4);
    /// The unit of measure was assumed, not stated by the device; shown as such, and never alarms.
    pub const UCUM_ASSUMED: Self = Self(1 << 5);
    /// Being calibrated or in test.
    pub const CALIBRATING: Self = Self(1 << 6);
    /// The device is itself alarming on this value.
    pub const IN_ALARM: Self = Self(1 << 7);

    pub const fn with(self, mark: Self) -> Self {
        Self(self.0 | mark.0)
    }

    pub const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 == mark.0
    }

    /// The marks in words.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        const WORDS: [(Quality, &str); 8] = [
            (Quality::INVALID, "invalid"),
            (Quality::QUESTIONABLE, "questionable"),
            (Quality::UNAVAILABLE, "unavailable"),
            (Quality::DEMO, "demo"),
            (Quality::IMPLAUSIBLE, "implausible"),
            (Quality::UCUM_ASSUMED, "ucum-assumed"),
            (Quality::CALIBRATING, "calibrating"),
            (Quality::IN_ALARM, "in-alarm"),
        ];
        WORDS.into_iter().filter(move |(mark, _)| self.has(*mark)).map(|(_, word)| word)
    }

    /// True if the number may be used as a measurement (it may still be questionable).
    pub const fn is_usable(self) -> bool {
        self.0 & (Self::INVALID.0 | Self::UNAVAILABLE.0 | Self::DEMO.0) == 0
    }
}

impl std::ops::BitOr for Quality {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

/// A setting is not a measurement; a limit rule cannot take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Measurement,
    Setting,
}

/// How a parameter arrives, and therefore when it counts as old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pace {
    /// Every second or so: old after 10 s, whatever the feed's rate.
    Continuous,
    /// A feed slower than 10 s: TREND ONLY, shown with its time, never alarmed as if continuous.
    Trend,
    /// One measurement at a time (cuff pressure): always shown with its clock time.
    Episodic,
}

/// Where a block's data came from. A clinical hub takes `Live` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provenance {
    Live,
    Replay,
    Simulated,
    DeviceDemo,
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    #[test]
    fn a_decimal_keeps_the_digits_the_device_wrote() {
        for text in ["0", "97", "36.50", "-0.05", "-12", "0.001"] {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Decimal::new(3, 2).to_string(), "300");
        for bad in ["", "-", ".", "1.2.3", "1e3", "1,5", "---", "99999999999999999999"] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
    }
}
