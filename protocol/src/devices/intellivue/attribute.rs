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
        if matches!(mantissa, 0x7F_FFFE..=0x80_0002) {
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
        out.push(((part / 10 * 16) + part % 10) as u8);
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

#[cfg(test)]
mod tests {
    use super::{
        AlertEntry, FixedValues, Float, MetricSpec, NumericValue, SampleSpec, Scale, State, WaveValue,
        put_wall_time, text, wall_time,
    };
    use crate::devices::intellivue::octets::Reader;
    use crate::model::{Decimal, DeviceText, Quality, Wall};

    #[test]
    fn floats_are_the_decimals_of_the_guide() {
        let check = |raw, shown: &str| assert_eq!(Float(raw).decimal().unwrap().to_string(), shown);
        check(0xFD00_7D00, "32.000");
        check(0xFF00_0140, "32.0");
        check(0x0100_0140, "3200");
        check(0xFEFF_F000, "-40.96");
        for special in [0x007F_FFFF, 0xFF7F_FFFF, 0x0080_0000, 0x007F_FFFE, 0x0080_0002, 0x0080_0001] {
            assert_eq!(Float(special).decimal(), None, "{special:08x}");
        }
        for (mantissa, exponent) in [(0, 0), (-1, -3), (8_388_605, 127), (-8_388_605, -128)] {
            let expected = Decimal::new(i64::from(mantissa), exponent);
            assert_eq!(Float::new(mantissa, exponent).decimal(), Some(expected));
        }
    }

    #[test]
    fn states_become_marks() {
        let check = |state, quality| assert_eq!(State(state).quality(), quality, "{state:04x}");
        check(0x0000, Quality::GOOD);
        check(0x8400, Quality::INVALID | Quality::DEMO);
        check(0x4002, Quality::QUESTIONABLE | Quality::IN_ALARM);
        check(0x2000, Quality::UNAVAILABLE);
        check(0x1800, Quality::CALIBRATING | Quality::DEMO);
        check(0x00A1, Quality::GOOD);
    }

    #[test]
    fn a_wall_time_is_a_date_or_nothing() {
        let told = [0x20, 0x11, 0x12, 0x14, 0x20, 0x03, 0x16, 0x00];
        let wall = wall_time(&told).unwrap();
        assert_eq!(wall, Wall(1_323_892_996_000_000));
        let mut out = vec![0xA5];
        put_wall_time(&mut out, wall);
        assert_eq!(out[1..], told);
        for none in [[0xFF; 8], [0; 8], [0x20, 0x11, 0x13, 0x14, 0, 0, 0, 0], [0x20, 0x1A, 1, 1, 0, 0, 0, 0]]
        {
            assert_eq!(wall_time(&none), None, "{none:02x?}");
        }
        for days in (-40_000..60_000).step_by(37) {
            let wall = Wall(days * 86_400_000_000 + 3_723_000_000);
            let mut out = Vec::new();
            put_wall_time(&mut out, wall);
            assert_eq!(wall_time(&out), Some(wall));
        }
    }

    #[test]
    fn the_widest_mask_that_fits_says_what_a_sample_is() {
        let fixed = FixedValues::parse(&[0, 3, 0, 12, 0, 4, 0x80, 0, 0, 3, 0x40, 1, 0, 2, 0x80, 4]).unwrap();
        let spec = SampleSpec::parse(&[0, 0x40, 16, 14, 0x30, 0]).unwrap();
        let amplitude = |raw| fixed.amplitude(raw, spec.amplitude_mask());
        assert_eq!(amplitude(0x1FF8), Some(0x1FF8));
        assert_eq!(amplitude(0xE194), Some(0x2190));
        assert_eq!(amplitude(0x9FF8), None);
        assert_eq!(amplitude(0x6001), Some(0x2000));
    }

    #[test]
    fn a_scale_gives_a_line_or_says_that_there_is_none() {
        let scale = |lower, upper, lower_sample, upper_sample| {
            Scale { lower: Float(lower), upper: Float(upper), lower_sample, upper_sample }.line()
        };
        assert_eq!(scale(0xFEFF_F000, 0xFD00_9FFB, 0, 0x3FFF), Some((0.005, -40.96)));
        assert_eq!(scale(0x00FF_FFD8, 0x0000_0208, 0xA0, 0x23A0), Some((0.0625, -50.0)));
        assert_eq!(scale(0x007F_FFFF, 0x007F_FFFF, 0, 0xFFF), None);
        assert_eq!(scale(0x0000_0000, 0x0000_0001, 7, 7), None);
        assert_eq!(scale(0x7F00_0001, 0x8000_0001, 0, 1), None);
    }

    #[test]
    fn values_survive_their_way_into_a_dirty_buffer() {
        let mut out = vec![0xA5; 4];
        let numeric =
            NumericValue { physio: 0x4182, state: State(2), ucum: 0x0AA0, value: Float(0xFF00_0140) };
        numeric.emit(&mut out);
        assert_eq!(NumericValue::parse(&mut Reader(&out[4..])), Some(numeric));
        out.truncate(4);
        let wave = WaveValue { physio: 0x4BB4, state: State(0), samples: &[1, 2, 3, 4] };
        wave.emit(&mut out);
        assert_eq!(WaveValue::parse(&mut Reader(&out[4..])), Some(wave));
        out.truncate(4);
        let metric = MetricSpec { update_ticks: 8192, category: 4, access: 0x5228 };
        metric.emit(3, &mut out);
        assert_eq!(
            (MetricSpec::parse(&out[4..]), metric.is_setting(), metric.is_episodic()),
            (Some(metric), true, true)
        );
        out.truncate(4);
        let entry = AlertEntry {
            source: 0x4182,
            code: 0xF146,
            kind: 0x0400,
            state: 8,
            class: 6,
            context: 1,
            handle: 0x82CF,
            instance: 2,
            text: DeviceText::new("***BRADY"),
        };
        entry.emit(&mut out);
        assert_eq!(AlertEntry::parse(&mut Reader(&out[4..])), Some(entry));
    }

    #[test]
    fn the_monitors_private_characters_are_what_they_stand_for() {
        let mut bytes = vec![0, 12];
        bytes.extend("\u{e40d}\u{e40d}HR\u{e400}\0".encode_utf16().flat_map(u16::to_be_bytes));
        assert_eq!(text(&mut Reader(&bytes)).unwrap().as_str(), "**HRl");
    }
}
