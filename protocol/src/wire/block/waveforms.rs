//! Waveforms, lossless: the best of four fixed predictors, and Rice codes for what it did not foresee, chosen anew every 64 samples.

use super::bytes::{Reader, Writer, unzigzag, zigzag};
use super::numerics::{read_site, write_site};
use super::{BlockError, Channel, Stretch};
use crate::model::{Code, NO_SAMPLE, Quality};

/// Residuals that share one Rice parameter.
const PARTITION: usize = 64;
/// Rice parameters 0..=27; above them two codes of their own.
const RICE_MAX: u32 = 27;
/// A partition of zeros.
const ALL_ZERO: u64 = 30;
/// Residuals too wild for Rice: six bits of width, then plain.
const PLAIN: u64 = 31;
const PARAMETER_BITS: u32 = 5;
/// No block holds more: bounds what a lying block can make us allocate.
const SAMPLES_MAX: usize = 1 << 18;

pub(super) fn encode(stretches: &[Stretch], out: &mut Writer) {
    out.varint(stretches.len() as u64);
    for stretch in stretches {
        let Channel { link, code, site, setting: _ } = stretch.channel;
        out.0.push(link);
        out.varint(u64::from(code.0));
        write_site(site, out);
        out.text(&stretch.ucum);
        out.signed(stretch.at_us);
        out.varint(u64::from(stretch.period_us));
        write_f64(stretch.gain, out);
        write_f64(stretch.offset, out);
        out.varint(u64::from(stretch.quality.0));
        encode_samples(&stretch.samples, out);
    }
}

pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Vec<Stretch>, BlockError> {
    let mut stretches = Vec::new();
    let mut samples_left = SAMPLES_MAX;
    for _ in 0..reader.varint()? {
        let link = reader.byte()?;
        let code = Code(u32::try_from(reader.varint()?).map_err(|_| BlockError::Structure)?);
        let site = read_site(reader)?;
        let ucum = reader.text()?.to_owned();
        let at_us = reader.signed()?;
        let period_us = u32::try_from(reader.varint()?).map_err(|_| BlockError::Structure)?;
        let gain = read_f64(reader)?;
        let offset = read_f64(reader)?;
        let quality = Quality(u16::try_from(reader.varint()?).map_err(|_| BlockError::Structure)?);
        let samples = decode_samples(reader, samples_left)?;
        samples_left -= samples.len();
        let channel = Channel { link, code, site, setting: false };
        stretches.push(Stretch { channel, ucum, at_us, period_us, gain, offset, quality, samples });
    }
    Ok(stretches)
}

/// Gains and offsets are mostly short decimals: `mantissa * 10^-places` when that is exact, eight bytes otherwise.
fn write_f64(value: f64, out: &mut Writer) {
    for places in 0..=9u8 {
        let scaled = (value * 10f64.powi(i32::from(places))).round();
        if scaled.abs() < 1e15 && (scaled / 10f64.powi(i32::from(places))).to_bits() == value.to_bits() {
            out.0.push(places);
            out.signed(scaled as i64);
            return;
        }
    }
    out.0.push(0xff);
    out.fixed(&value.to_le_bytes());
}

fn read_f64(reader: &mut Reader<'_>) -> Result<f64, BlockError> {
    match reader.byte()? {
        0xff => Ok(f64::from_le_bytes(reader.array()?)),
        places @ 0..=9 => Ok(reader.signed()? as f64 / 10f64.powi(i32::from(places))),
        _ => Err(BlockError::Structure),
    }
}

fn encode_samples(samples: &[i32], out: &mut Writer) {
    out.varint(samples.len() as u64);
    let is_whole = !samples.contains(&NO_SAMPLE);
    out.0.push(u8::from(is_whole));
    if is_whole {
        encode_present(samples, out);
        return;
    }
    // Lengths of alternating runs, present first.
    let mut rest = samples;
    let mut is_present = true;
    while !rest.is_empty() {
        let length = rest.iter().take_while(|sample| (**sample != NO_SAMPLE) == is_present).count();
        out.varint(length as u64);
        rest = &rest[length..];
        is_present = !is_present;
    }
    let present: Vec<i32> = samples.iter().copied().filter(|sample| *sample != NO_SAMPLE).collect();
    encode_present(&present, out);
}

fn decode_samples(reader: &mut Reader<'_>, samples_max: usize) -> Result<Vec<i32>, BlockError> {
    let count = usize::try_from(reader.varint()?).map_err(|_| BlockError::Structure)?;
    if count > samples_max {
        return Err(BlockError::Structure);
    }
    match reader.byte()? {
        1 => return decode_present(reader, count),
        0 => {}
        _ => return Err(BlockError::Structure),
    }
    let mut runs = Vec::new();
    let (mut covered, mut present) = (0usize, 0usize);
    while covered < count {
        let length = usize::try_from(reader.varint()?).map_err(|_| BlockError::Structure)?;
        // Only the first run may be empty, so a block cannot spin here.
        if length > count - covered || (length == 0 && !runs.is_empty()) {
            return Err(BlockError::Structure);
        }
        if runs.len() % 2 == 0 {
            present += length;
        }
        covered += length;
        runs.push(length);
    }
    let values = decode_present(reader, present)?;
    let mut samples = Vec::with_capacity(count);
    let mut rest = values.as_slice();
    for (at, length) in runs.into_iter().enumerate() {
        if at % 2 == 0 {
            let (run, later) = rest.split_at(length);
            samples.extend_from_slice(run);
            rest = later;
        } else {
            samples.resize(samples.len() + length, NO_SAMPLE);
        }
    }
    Ok(samples)
}

fn encode_present(samples: &[i32], out: &mut Writer) {
    if samples.is_empty() {
        return;
    }
    let order = best_order(samples);
    out.0.push(order as u8);
    let warm_up = order.min(samples.len());
    let mut before = 0;
    for sample in &samples[..warm_up] {
        out.signed(i64::from(*sample) - before);
        before = i64::from(*sample);
    }
    let mut bits = BitWriter { out, held: 0, count: 0 };
    let mut residuals = [0u64; PARTITION];
    let mut begin = warm_up;
    while begin < samples.len() {
        let end = (begin + PARTITION).min(samples.len());
        for (slot, at) in residuals.iter_mut().zip(begin..end) {
            *slot = zigzag(i64::from(samples[at]) - predict(order, samples, at));
        }
        write_partition(&residuals[..end - begin], &mut bits);
        begin = end;
    }
    bits.finish();
}

fn decode_present(reader: &mut Reader<'_>, count: usize) -> Result<Vec<i32>, BlockError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let order = usize::from(reader.byte()?);
    if order > 3 {
        return Err(BlockError::Structure);
    }
    let mut samples: Vec<i32> = Vec::with_capacity(count);
    let mut before = 0i64;
    for _ in 0..order.min(count) {
        before = before.checked_add(reader.signed()?).ok_or(BlockError::Structure)?;
        samples.push(i32::try_from(before).map_err(|_| BlockError::Structure)?);
    }
    let mut bits = BitReader { reader, held: 0, count: 0 };
    while samples.len() < count {
        let length = PARTITION.min(count - samples.len());
        let parameter = bits.take(PARAMETER_BITS)?;
        let width = if parameter == PLAIN { bits.take(6)? as u32 + 1 } else { 0 };
        for _ in 0..length {
            let residual = match parameter {
                ALL_ZERO => 0,
                PLAIN => bits.take(width)?,
                _ if parameter <= u64::from(RICE_MAX) => bits.rice(parameter as u32)?,
                _ => return Err(BlockError::Structure),
            };
            let predicted = predict(order, &samples, samples.len());
            let sample = predicted.checked_add(unzigzag(residual)).ok_or(BlockError::Structure)?;
            samples.push(i32::try_from(sample).map_err(|_| BlockError::Structure)?);
        }
    }
    Ok(samples)
}

/// The polynomial of degree `order - 1` through the last `order` samples, continued by one.
#[inline]
fn predict(order: usize, samples: &[i32], at: usize) -> i64 {
    let back = |steps: usize| i64::from(samples[at - steps]);
    match order {
        0 => 0,
        1 => back(1),
        2 => 2 * back(1) - back(2),
        _ => 3 * (back(1) - back(2)) + back(3),
    }
}

/// The order whose residuals are smallest in sum.
fn best_order(samples: &[i32]) -> usize {
    let mut sums = [0u64; 4];
    for at in 3..samples.len() {
        let (a, b) = (i64::from(samples[at]), i64::from(samples[at - 1]));
        let (c, d) = (i64::from(samples[at - 2]), i64::from(samples[at - 3]));
        let residuals = [a, a - b, a - 2 * b + c, a - 3 * (b - c) - d];
        for (sum, residual) in sums.iter_mut().zip(residuals) {
            *sum += residual.unsigned_abs();
        }
    }
    // The smallest; of equals the simplest.
    (0..4).min_by_key(|order| sums[*order]).unwrap_or(0)
}

fn write_partition(residuals: &[u64], bits: &mut BitWriter<'_>) {
    let sum: u64 = residuals.iter().fold(0, |sum, residual| sum.saturating_add(*residual));
    if sum == 0 {
        bits.put(ALL_ZERO, PARAMETER_BITS);
        return;
    }
    // The best parameter lies within one of log2 of the mean.
    let mean = sum / residuals.len() as u64;
    let guess = (64 - mean.leading_zeros()).min(RICE_MAX);
    let cost =
        |k: u32| residuals.iter().fold(0u64, |bits, r| bits.saturating_add((r >> k) + 1 + u64::from(k)));
    let candidates = guess.saturating_sub(2)..=(guess + 1).min(RICE_MAX);
    let (rice_cost, k) = candidates.map(|k| (cost(k), k)).min().unwrap_or((u64::MAX, 0));
    let width = residuals.iter().map(|r| 64 - r.leading_zeros()).max().unwrap_or(1).max(1);
    if rice_cost <= 6 + u64::from(width) * residuals.len() as u64 {
        bits.put(u64::from(k), PARAMETER_BITS);
        for residual in residuals {
            bits.rice(*residual, k);
        }
    } else {
        bits.put(PLAIN, PARAMETER_BITS);
        bits.put(u64::from(width - 1), 6);
        for residual in residuals {
            bits.put(*residual, width);
        }
    }
}

/// Most significant bit first.
struct BitWriter<'a> {
    out: &'a mut Writer,
    held: u64,
    count: u32,
}

impl BitWriter<'_> {
    fn put(&mut self, value: u64, width: u32) {
        if width > 32 {
            self.put(value >> 32, width - 32);
            self.put(value & 0xffff_ffff, 32);
            return;
        }
        self.held = self.held << width | value;
        self.count += width;
        while self.count >= 8 {
            self.count -= 8;
            self.out.0.push((self.held >> self.count) as u8);
        }
        self.held &= (1 << self.count) - 1;
    }

    fn rice(&mut self, value: u64, k: u32) {
        let mut ones = value >> k;
        while ones >= 31 {
            self.put((1 << 31) - 1, 31);
            ones -= 31;
        }
        self.put(((1 << ones) - 1) << 1, ones as u32 + 1);
        self.put(value & ((1 << k) - 1), k);
    }

    fn finish(self) {
        if self.count > 0 {
            self.out.0.push((self.held << (8 - self.count)) as u8);
        }
    }
}

struct BitReader<'r, 'a> {
    reader: &'r mut Reader<'a>,
    held: u64,
    count: u32,
}

impl BitReader<'_, '_> {
    fn take(&mut self, width: u32) -> Result<u64, BlockError> {
        if width > 32 {
            let high = self.take(width - 32)?;
            return Ok(high << 32 | self.take(32)?);
        }
        while self.count < width {
            self.held = self.held << 8 | u64::from(self.reader.byte()?);
            self.count += 8;
        }
        self.count -= width;
        let value = self.held >> self.count & ((1 << width) - 1);
        self.held &= (1 << self.count) - 1;
        Ok(value)
    }

    fn rice(&mut self, k: u32) -> Result<u64, BlockError> {
        let mut ones = 0u64;
        loop {
            if self.count == 0 {
                self.held = u64::from(self.reader.byte()?);
                self.count = 8;
            }
            // Count the ones at the top of what is held.
            let run = (!(self.held << (64 - self.count))).leading_zeros().min(self.count);
            ones += u64::from(run);
            self.count -= run;
            self.held &= (1 << self.count) - 1;
            if self.count > 0 {
                self.count -= 1;
                self.held &= (1 << self.count) - 1;
                break;
            }
        }
        let low = self.take(k)?;
        ones.checked_shl(k)
            .filter(|high| high >> k == ones)
            .map(|high| high | low)
            .ok_or(BlockError::Structure)
    }
}
