//! Gains and offsets, exact: mostly short decimals, sometimes the ratio of two small integers, otherwise eight bytes.

use super::BlockError;
use super::bytes::{Reader, Writer};

/// Decimals have at most so many places.
const PLACES_MAX: u8 = 9;
/// The ratio of two integers.
const RATIO: u8 = 0x10;
/// Eight bytes as they are.
const PLAIN: u8 = 0xff;
/// Ratios are sought up to this denominator.
const DENOMINATOR_MAX: i64 = 1 << 20;

pub(super) fn write_number(value: f64, out: &mut Writer) {
    for places in 0..=PLACES_MAX {
        let scaled = (value * 10f64.powi(i32::from(places))).round();
        if scaled.abs() < 1e15 && decimal(scaled as i64, places).to_bits() == value.to_bits() {
            out.0.push(places);
            out.signed(scaled as i64);
            return;
        }
    }
    if let Some((above, below)) = ratio(value) {
        out.0.push(RATIO);
        out.signed(above);
        out.varint(below as u64);
        return;
    }
    out.0.push(PLAIN);
    out.fixed(&value.to_le_bytes());
}

pub(super) fn read_number(reader: &mut Reader<'_>) -> Result<f64, BlockError> {
    match reader.byte()? {
        PLAIN => Ok(f64::from_le_bytes(reader.array()?)),
        RATIO => Ok(reader.signed()? as f64 / reader.varint()? as f64),
        places @ 0..=PLACES_MAX => Ok(decimal(reader.signed()?, places)),
        _ => Err(BlockError::Structure),
    }
}

fn decimal(scaled: i64, places: u8) -> f64 {
    scaled as f64 / 10f64.powi(i32::from(places))
}

/// The first convergent of the continued fraction that is the value itself, if one is.
fn ratio(value: f64) -> Option<(i64, i64)> {
    let (mut above, mut below) = ((1i64, 0i64), (0i64, 1i64));
    let mut rest = value;
    for _ in 0..24 {
        if rest.is_nan() || rest.abs() > DENOMINATOR_MAX as f64 {
            return None;
        }
        let whole = rest.floor();
        above = (whole as i64 * above.0 + above.1, above.0);
        below = (whole as i64 * below.0 + below.1, below.0);
        if below.0 > DENOMINATOR_MAX || above.0.abs() > 1 << 40 {
            return None;
        }
        if (above.0 as f64 / below.0 as f64).to_bits() == value.to_bits() {
            return Some((above.0, below.0));
        }
        rest = 1.0 / (rest - whole);
    }
    None
}
