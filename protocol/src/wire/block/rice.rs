//! Waveforms as shape 2 has them, only read: one of four fixed predictors, and Rice codes with a parameter for every 64 samples.

use super::bytes::{Reader, unzigzag};
use super::number::read_number;
use super::numerics::read_site;
use super::waveforms::{SAMPLES_MAX, read_runs, with_holes};
use super::{BlockError, Channel, Stretch};
use crate::model::{Code, Quality};

/// Residuals that share one Rice parameter.
const PARTITION: usize = 64;
/// Rice parameters 0..=27; above them two codes of their own.
const RICE_MAX: u32 = 27;
/// A partition of zeros.
const ALL_ZERO: u64 = 30;
/// Residuals too wild for Rice: six bits of width, then plain.
const PLAIN: u64 = 31;
const PARAMETER_BITS: u32 = 5;

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
        let gain = read_number(reader)?;
        let offset = read_number(reader)?;
        let quality = Quality(u16::try_from(reader.varint()?).map_err(|_| BlockError::Structure)?);
        let samples = decode_samples(reader, samples_left)?;
        samples_left -= samples.len();
        let channel = Channel { link, code, site, setting: false };
        stretches.push(Stretch { channel, ucum, at_us, period_us, gain, offset, quality, samples });
    }
    Ok(stretches)
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
    let runs = read_runs(count, reader)?;
    let present = runs.iter().step_by(2).sum();
    Ok(with_holes(&decode_present(reader, present)?, &runs))
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
