//! The values inside attributes: numbers, states, sample arrays, times, texts, alert entries. Parse and emit side by side.

use super::octets::{Reader, put_block, put_u16, put_u32};
use crate::model::{Decimal, DeviceText, Quality, Wall};

/// Attribute ids.
pub(super) mod id {
    macro_rules! ids { ($($name:ident = $value:literal,)*) => { $(pub(in super::super) const $name: u16 = $value;)* } }
    ids! {
        ALERTS_PATIENT = 0x0902, ALERTS_TECHNICAL = 0x0904, ALERT_STATE = 0x0916,
        BED_LABEL = 0x091E, HANDLE = 0x0921, LABEL = 0x0924, LABEL_TEXT = 0x0927, MODEL = 0x0928,
        PRODUCTION = 0x092D, TYPE = 0x092F, METRIC = 0x093F, METRIC_STATE = 0x0940, OPERATING_MODE = 0x0946,
        COMPOUND = 0x094B, NUMERIC = 0x0950, PATIENT_ID = 0x095A, WAVE_COMPOUND = 0x0967, SAMPLES = 0x096D,
        WAVE = 0x096E, SCALE = 0x096F, SYSTEM_ID = 0x0984, DATE_TIME = 0x0987, PERIOD = 0x098D,
        RELATIVE_TIME = 0x098F, ABSOLUTE_STAMP = 0x0990, RELATIVE_STAMP = 0x0991, UCUM = 0x0996, FIXED = 0x0A16,
        ADDRESS = 0xF100, SUPPORT = 0xF101,
    }
}

/// The 32-bit FLOAT: exponent i8, mantissa i24; some mantissas are words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Float(pub(super) u32);

impl Float {
    pub(super) const NAN: Self = Self(0x007F_FFFF);

    /// None for the special values: not a number, not at this resolution, the infinities, the reserved one.
    pub(super) fn decimal(self) -> Option<Decimal> {
        let mantissa = self.0 & 0x00FF_FFFF;
        if matches!(mantissa, 0x7F_FFFE | 0x7F_FFFF | 0x80_0000..=0x80_0002) {
            return None;
        }
        let signed = i64::from((mantissa << 8) as i32 >> 8);
        Some(Decimal::new(signed, (self.0 >> 24) as u8 as i8))
    }

    pub(super) const fn new(mantissa: i32, exponent: i8) -> Self {
        Self((exponent as u8 as u32) << 24 | (mantissa as u32 & 0x00FF_FFFF))
    }
}

/// The state word of a numeric or a sample array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State(pub(super) u16);

impl State {
    pub(super) const DEMO: u16 = 0x0400;
    const EARLY: u16 = 0x0040;

    pub(super) fn quality(self) -> Quality {
        const MARKS: [(u16, Quality); 8] = [
            (0x8000, Quality::INVALID),
            (0x4000, Quality::QUESTIONABLE),
            (0x2000, Quality::UNAVAILABLE),
            (0x1000, Quality::CALIBRATING),
            (0x0800, Quality::DEMO),
            (State::DEMO, Quality::DEMO),
            (State::EARLY, Quality::QUESTIONABLE),
            (0x0002, Quality::IN_ALARM),
        ];
        MARKS.iter().filter(|(bit, _)| self.0 & bit != 0).fold(Quality::GOOD, |all, (_, mark)| all | *mark)
    }
}

/// `NuObsValue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NumericValue {
    pub(super) physio: u16,
    pub(super) state: State,
    pub(super) ucum: u16,
    pub(super) value: Float,
}

impl NumericValue {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            physio: reader.u16()?,
            state: State(reader.u16()?),
            ucum: reader.u16()?,
            value: Float(reader.u32()?),
        })
    }

    pub(super) fn emit(self, out: &mut Vec<u8>) {
        put_u16(out, self.physio);
        put_u16(out, self.state.0);
        put_u16(out, self.ucum);
        put_u32(out, self.value.0);
    }
}

/// A run of raw samples: `SaObsValue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WaveValue<'a> {
    pub(super) physio: u16,
    pub(super) state: State,
    pub(super) samples: &'a [u8],
}

impl<'a> WaveValue<'a> {
    pub(super) fn parse(reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self { physio: reader.u16()?, state: State(reader.u16()?), samples: reader.block()? })
    }

    pub(super) fn emit(self, out: &mut Vec<u8>) {
        put_u16(out, self.physio);
        put_u16(out, self.state.0);
        put_block(out, |out| out.extend_from_slice(self.samples));
    }
}

/// The values of a compound: count, length, values.
pub(super) fn compound(value: &[u8]) -> Option<Reader<'_>> {
    let mut reader = Reader(value);
    reader.u16()?;
    reader.block().map(Reader)
}

/// How samples are laid out: `SaSpec`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SampleSpec {
    pub(super) array: u16,
    pub(super) sample_bits: u8,
    pub(super) significant_bits: u8,
    pub(super) flags: u16,
}

impl SampleSpec {
    const MASK_INSIGNIFICANT: u16 = 0x1000;

    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let mut reader = Reader(value);
        Some(Self {
            array: reader.u16()?,
            sample_bits: reader.u8()?,
            significant_bits: reader.u8()?,
            flags: reader.u16()?,
        })
    }

    pub(super) fn emit(self, out: &mut Vec<u8>) {
        put_u16(out, self.array);
        out.extend_from_slice(&[self.sample_bits, self.significant_bits]);
        put_u16(out, self.flags);
    }

    /// The bits of a sample that are amplitude.
    pub(super) fn amplitude_mask(self) -> u16 {
        if self.flags & Self::MASK_INSIGNIFICANT != 0 && self.significant_bits < 16 {
            (1 << self.significant_bits) - 1
        } else {
            u16::MAX
        }
    }
}

/// What marked samples mean: `SaFixedValSpec`, the widest mask first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FixedValues {
    /// Every bit of the mask set: the sample is no amplitude (invalid, saturated).
    void: [u16; 2],
    /// Every bit set: the sample carries a marker (pacer, defibrillator, QRS), its amplitude is in the other bits.
    markers: [u16; 3],
}

impl FixedValues {
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let mut list = compound(value)?;
        let mut fixed = Self::default();
        while let (Some(kind), Some(mask)) = (list.u16(), list.u16()) {
            match kind {
                1 => fixed.void[0] = mask,
                4 => fixed.void[1] = mask,
                2 => fixed.markers[0] = mask,
                3 => fixed.markers[1] = mask,
                5 => fixed.markers[2] = mask,
                _ => {}
            }
        }
        Some(fixed)
    }

    /// The amplitude in a raw sample, or None where there is none. A pacer mark (8004) contains the saturation mark (8000):
    /// the widest mask that fits decides, and its lower bits are mark, not amplitude.
    pub(super) fn amplitude(self, raw: u16, amplitude_mask: u16) -> Option<u16> {
        let fits = |mask: &&u16| **mask != 0 && raw & **mask == **mask;
        let void = self.void.iter().filter(fits).map(|mask| mask.count_ones()).max().unwrap_or(0);
        let marker = self.markers.iter().filter(fits).max_by_key(|mask| mask.count_ones());
        match marker {
            Some(mask) if mask.count_ones() >= void => Some(raw & !mask & amplitude_mask),
            _ if void > 0 => None,
            _ => Some(raw & amplitude_mask),
        }
    }
}

/// Two points of the line from samples to physical values: `ScaleRangeSpec16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    pub(super) lower: Float,
    pub(super) upper: Float,
    pub(super) lower_sample: u16,
    pub(super) upper_sample: u16,
}

impl Scale {
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let mut reader = Reader(value);
        Some(Self {
            lower: Float(reader.u32()?),
            upper: Float(reader.u32()?),
            lower_sample: reader.u16()?,
            upper_sample: reader.u16()?,
        })
    }

    pub(super) fn emit(self, out: &mut Vec<u8>) {
        put_u32(out, self.lower.0);
        put_u32(out, self.upper.0);
        put_u16(out, self.lower_sample);
        put_u16(out, self.upper_sample);
    }

    /// Gain and offset; None: the wave has no physical scale (pleth).
    pub(super) fn line(self) -> Option<(f64, f64)> {
        let (lower, upper) = (self.lower.decimal()?, self.upper.decimal()?);
        let samples = f64::from(self.upper_sample) - f64::from(self.lower_sample);
        // The span is taken in the finer of the two decimals: 5 uV a step stays 0.005 mV, and not nearly.
        let finer = lower.exponent.min(upper.exponent);
        let steps =
            |end: Decimal| end.mantissa.checked_mul(10_i64.checked_pow(end.exponent.abs_diff(finer).into())?);
        let span = steps(upper)?.checked_sub(steps(lower)?)?;
        if samples == 0.0 || span == 0 {
            return None;
        }
        let scale = 10f64.powi(i32::from(finer).abs());
        let per_sample = span as f64 / samples;
        let gain = if finer < 0 { per_sample / scale } else { per_sample * scale };
        Some((gain, lower.to_f64() - gain * f64::from(self.lower_sample)))
    }
}

/// `MetricSpec`, the part that says what kind of number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MetricSpec {
    pub(super) update_ticks: u32,
    pub(super) category: u16,
    pub(super) access: u16,
}

impl MetricSpec {
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let mut reader = Reader(value);
        Some(Self { update_ticks: reader.u32()?, category: reader.u16()?, access: reader.u16()? })
    }

    pub(super) fn emit(self, components: u8, out: &mut Vec<u8>) {
        put_u32(out, self.update_ticks);
        put_u16(out, self.category);
        put_u16(out, self.access);
        out.extend_from_slice(&[u8::from(components > 1), components, 0, 0]);
    }

    /// Automatic or manual setting, or an alarm limit.
    pub(super) fn is_setting(self) -> bool {
        matches!(self.category, 3 | 4 | 130)
    }

    /// Episodic or non-continuous: one measurement at a time.
    pub(super) fn is_episodic(self) -> bool {
        self.access & 0x3000 != 0
    }
}

/// Eight BCD bytes of the monitor's wall clock. FF and 00 mean none.
pub(super) fn wall_time(value: &[u8]) -> Option<Wall> {
    let digits: [u8; 8] = value.get(..8)?.try_into().ok()?;
    let two = |byte: u8| {
        let (tens, ones) = (byte >> 4, byte & 15);
        (tens < 10 && ones < 10).then_some(i64::from(tens * 10 + ones))
    };
    let year = two(digits[0])? * 100 + two(digits[1])?;
    let (month, day) = (two(digits[2])?, two(digits[3])?);
    let (hour, minute, second) = (two(digits[4])?, two(digits[5])?, two(digits[6])?);
    if year == 0
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Wall(seconds * 1_000_000))
}

pub(super) fn put_wall_time(out: &mut Vec<u8>, wall: Wall) {
    let seconds = wall.0.div_euclid(1_000_000);
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    for part in [year / 100, year % 100, month, day, of_day / 3600, of_day / 60 % 60, of_day % 60, 0] {
        out.push(((part / 10) << 4 | part % 10) as u8);
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (the era method of Howard Hinnant).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted_month + 2) / 5 + 1)
}

/// UTF-16BE text behind its length. The monitor's private characters become what they stand for.
pub(super) fn text(reader: &mut Reader<'_>) -> Option<DeviceText> {
    let bytes = reader.block()?;
    let pairs = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let raw: String = char::decode_utf16(pairs.take_while(|unit| *unit != 0))
        .map(|unit| match unit.unwrap_or(char::REPLACEMENT_CHARACTER) {
            '\u{e40d}' => '*',
            '\u{e400}' => 'l',
            '\u{e401}' => 'H',
            '\u{e425}' => 'V',
            other => other,
        })
        .collect();
    Some(DeviceText::new(&raw))
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_block(out, |out| {
        for unit in text.encode_utf16().chain([0]) {
            put_u16(out, unit);
        }
    });
}

/// 8-bit text behind its length, padded to an even one.
pub(super) fn label(reader: &mut Reader<'_>) -> Option<DeviceText> {
    let bytes = reader.block()?;
    let raw: String = bytes.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect();
    Some(DeviceText::new(&raw))
}

pub(super) fn put_label(out: &mut Vec<u8>, label: &str) {
    put_block(out, |out| {
        out.extend_from_slice(label.as_bytes());
        if label.len() % 2 == 1 {
            out.push(0);
        }
    });
}

/// One entry of an alert list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AlertEntry {
    pub(super) source: u16,
    pub(super) code: u16,
    pub(super) kind: u16,
    pub(super) state: u16,
    pub(super) class: u16,
    pub(super) context: u16,
    pub(super) handle: u16,
    pub(super) instance: u16,
    pub(super) text: DeviceText,
}

impl AlertEntry {
    const TEXT: u16 = 0x0204;

    pub(super) fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let mut entry = Self {
            source: reader.u16()?,
            code: reader.u16()?,
            kind: reader.u16()?,
            state: reader.u16()?,
            class: reader.u16()?,
            context: reader.u16()?,
            handle: reader.u16()?,
            instance: 0,
            text: DeviceText::default(),
        };
        let form = reader.u16()?;
        let mut detail = Reader(reader.block()?);
        if form == Self::TEXT {
            entry.instance = detail.u16()?;
            let _text_id = detail.u32()?;
            let (_rank, _flags) = (detail.u16()?, detail.u16()?);
            entry.text = text(&mut detail)?;
        }
        Some(entry)
    }

    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        for word in
            [self.source, self.code, self.kind, self.state, self.class, self.context, self.handle, Self::TEXT]
        {
            put_u16(out, word);
        }
        put_block(out, |out| {
            put_u16(out, self.instance);
            put_u32(out, 0);
            put_u16(out, 0);
            put_u16(out, 0);
            put_text(out, self.text.as_str());
        });
    }
}
