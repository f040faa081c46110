//! One hour of one channel, minute by minute: least, greatest, sum, count, and which seconds had a reading.
//!
//! Readings are whole micro-units, so that the sum is the same in whatever order they come.

use super::varint;
use cotside_protocol::model::Decimal;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hour(BTreeMap<u8, Minute>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minute {
    pub min: i64,
    pub max: i64,
    pub sum: i64,
    pub count: u32,
    /// Bit n: second n of the minute had a reading.
    pub seconds: u64,
}

const VERSION: u8 = 1;
const WHOLE: u64 = (1 << 60) - 1;
/// Seconds without a reading are listed up to this many, and drawn as a mask beyond.
const LISTED_MAX: u8 = 7;
/// Beyond every reading there is; the sum of a minute of these fits its number.
const MICRO_MAX: i128 = 1 << 43;
const MICRO_DIGITS: i8 = 6;

/// A reading in millionths of its unit of measure.
pub(super) fn micro(value: Decimal) -> i64 {
    let places = i32::from(value.exponent) + i32::from(MICRO_DIGITS);
    let mantissa = i128::from(value.mantissa);
    let micro = if places >= 0 {
        let scale = 10i128.checked_pow(places.unsigned_abs().min(30)).unwrap_or(i128::MAX);
        mantissa.saturating_mul(scale)
    } else {
        let scale = 10i128.pow(places.unsigned_abs().min(30));
        (mantissa + mantissa.signum() * scale / 2) / scale
    };
    // Within 44 bits after the clamp.
    micro.clamp(-MICRO_MAX, MICRO_MAX) as i64
}

pub(super) fn from_micro(micro: i64) -> f64 {
    micro as f64 / 1e6
}

impl Minute {
    fn of(value: i64, second: u8) -> Self {
        Self { min: value, max: value, sum: value, count: 1, seconds: 1 << second.min(59) }
    }

    fn merge(&mut self, other: &Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum = self.sum.saturating_add(other.sum);
        self.count = self.count.saturating_add(other.count);
        self.seconds |= other.seconds;
    }
}

impl Hour {
    /// A reading in millionths, at a second of the hour.
    pub fn add(&mut self, second: u16, value: i64) {
        // A second of an hour is in a minute below 60.
        let (minute, second) = ((second / 60) as u8, (second % 60) as u8);
        let one = Minute::of(value, second);
        self.0.entry(minute).and_modify(|known| known.merge(&one)).or_insert(one);
    }

    pub fn merge(&mut self, other: &Self) {
        for (minute, more) in &other.0 {
            self.0.entry(*minute).and_modify(|known| known.merge(more)).or_insert(*more);
        }
    }

    pub fn minutes(&self) -> impl Iterator<Item = (u8, &Minute)> {
        self.0.iter().map(|(minute, values)| (*minute, values))
    }

    /// A version byte, the power of ten that divides everything, then the minutes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let divides = |scale: i64| {
            self.0.values().all(|at| at.min % scale == 0 && at.max % scale == 0 && at.sum % scale == 0)
        };
        let mut power = 0u8;
        while power < 6 && divides(10i64.pow(u32::from(power) + 1)) {
            power += 1;
        }
        let scale = 10i64.pow(u32::from(power));
        let mut bytes = vec![VERSION, power];
        let (mut minute_before, mut min_before) = (0, 0);
        for (&minute, at) in &self.0 {
            bytes.push(minute - minute_before);
            varint::write_signed(at.min / scale - min_before, &mut bytes);
            varint::write_signed(at.max / scale - at.min / scale, &mut bytes);
            varint::write(u64::from(at.count), &mut bytes);
            let least = (at.min / scale).wrapping_mul(i64::from(at.count));
            varint::write_signed((at.sum / scale).wrapping_sub(least), &mut bytes);
            write_seconds(at.seconds, &mut bytes);
            (minute_before, min_before) = (minute, at.min / scale);
        }
        bytes
    }

    /// None: not what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&[VERSION, power], mut rest) = bytes.split_first_chunk()? else { return None };
        let scale = 10i64.checked_pow(u32::from(power))?;
        let mut hour = Self::default();
        let (mut minute, mut min) = (0u8, 0i64);
        while let Some((&step, after)) = rest.split_first() {
            rest = after;
            minute = minute.checked_add(step).filter(|minute| *minute < 60)?;
            min = min.checked_add(varint::read_signed(&mut rest)?)?;
            let max = min.checked_add(varint::read_signed(&mut rest)?)?;
            let count = u32::try_from(varint::read(&mut rest)?).ok()?;
            let least = min.wrapping_mul(i64::from(count));
            let sum = varint::read_signed(&mut rest)?.wrapping_add(least);
            let seconds = read_seconds(&mut rest)?;
            let at = Minute {
                min: min.checked_mul(scale)?,
                max: max.checked_mul(scale)?,
                sum: sum.checked_mul(scale)?,
                count,
                seconds,
            };
            hour.0.insert(minute, at);
        }
        Some(hour)
    }
}

/// Most minutes are whole, or nearly so.
fn write_seconds(seconds: u64, out: &mut Vec<u8>) {
    let missing = !seconds & WHOLE;
    if missing.count_ones() > u32::from(LISTED_MAX) {
        out.push(LISTED_MAX + 1);
        out.extend_from_slice(&seconds.to_le_bytes());
        return;
    }
    // At most seven.
    out.push(missing.count_ones() as u8);
    out.extend((0..60).filter(|second| missing >> second & 1 == 1));
}

fn read_seconds(from: &mut &[u8]) -> Option<u64> {
    let (&count, rest) = from.split_first()?;
    if count > LISTED_MAX {
        let (mask, rest) = rest.split_first_chunk()?;
        *from = rest;
        return Some(u64::from_le_bytes(*mask) & WHOLE);
    }
    let (missing, rest) = rest.split_at_checked(usize::from(count))?;
    *from = rest;
    missing.iter().try_fold(WHOLE, |seconds, second| (*second < 60).then(|| seconds & !(1 << second)))
}

#[cfg(test)]
mod tests {
    use super::{Hour, from_micro, micro};
    use cotside_protocol::model::Decimal;
    use proptest::prelude::*;

    fn hour(readings: &[(u16, i64)]) -> Hour {
        let mut hour = Hour::default();
        readings.iter().for_each(|&(second, value)| hour.add(second, value));
        hour
    }

    proptest! {
        #[test]
        fn an_hour_is_the_same_in_whatever_order_and_pieces_it_comes(
            (readings, shuffled) in prop::collection::vec((0u16..3600, -300_000_000i64..300_000_000), 0..200)
                .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = hour(&readings);
            let (first, second) = shuffled.split_at(cut.index(shuffled.len() + 1));
            let mut merged = Hour::from_bytes(&hour(first).to_bytes()).unwrap();
            merged.merge(&hour(second));
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!(Hour::from_bytes(&whole.to_bytes()), Some(whole));
        }

        #[test]
        fn any_bytes_are_an_hour_or_none(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Hour::from_bytes(&bytes);
        }
    }

    #[test]
    fn a_steady_minute_costs_few_bytes() {
        let readings: Vec<_> =
            (0..3600).map(|second| (second, 140_000_000 + i64::from(second % 3) * 1_000_000)).collect();
        let bytes = hour(&readings).to_bytes();
        assert!(bytes.len() < 60 * 8, "{}", bytes.len());
    }

    #[test]
    fn a_reading_keeps_its_digits() {
        let text = |text: &str| from_micro(micro(Decimal::parse(text).unwrap()));
        assert_eq!([text("36.50"), text("-0.05"), text("140"), text("0.0000004")], [36.5, -0.05, 140.0, 0.0]);
        assert_eq!(micro(Decimal::new(i64::MAX, 100)), 1 << 43);
        assert_eq!(micro(Decimal::new(i64::MIN, -128)), 0);
    }
}
