//! Numerics: a key frame a minute holds the channels; between them a block holds who was heard, who changed, and by how much.

use super::bytes::{Reader, Writer, unzigzag, zigzag};
use super::{BlockError, Channel, Epoch, Header, KEY_EVERY, Sample};
use crate::model::{Code, Decimal, Mono, Pace, Quality, Site};
use std::collections::HashMap;

/// No bed has more channels; a longer dictionary is a lie.
const CHANNELS_MAX: usize = 4096;
/// No block holds more samples.
const SAMPLES_MAX: usize = 1 << 16;

/// The dictionary of a key frame, and each channel's reading so far.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) epoch: Epoch,
    pub(super) seq: u64,
    boot: u32,
    mono: Mono,
    entries: Vec<Entry>,
    positions: HashMap<Channel, usize>,
}

#[derive(Clone, Debug)]
struct Entry {
    channel: Channel,
    ucum: String,
    pace: Pace,
    reading: Reading,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reading {
    value: Option<Decimal>,
    quality: Quality,
}

impl Key {
    pub(super) fn new(header: &Header, samples: &[Sample]) -> Self {
        let mut key = Self::empty(header);
        for sample in samples {
            if !key.positions.contains_key(&sample.channel) {
                key.add(sample.channel, sample.ucum.clone(), sample.pace);
            }
        }
        key
    }

    fn empty(header: &Header) -> Self {
        Self {
            epoch: header.epoch,
            seq: header.seq,
            boot: header.boot,
            mono: header.mono,
            entries: Vec::new(),
            positions: HashMap::new(),
        }
    }

    fn add(&mut self, channel: Channel, ucum: String, pace: Pace) {
        self.positions.insert(channel, self.entries.len());
        self.entries.push(Entry { channel, ucum, pace, reading: Reading::default() });
    }

    /// May this block be written as changes against this key?
    pub(super) fn serves(&self, header: &Header, samples: &[Sample]) -> bool {
        (header.epoch, header.boot) == (self.epoch, self.boot)
            && header.mono.since(self.mono) < KEY_EVERY
            && samples.iter().all(|sample| {
                self.positions.get(&sample.channel).is_some_and(|at| {
                    let entry = &self.entries[*at];
                    entry.pace == sample.pace && entry.ucum == sample.ucum
                })
            })
    }

    pub(super) fn encode_dictionary(&self, out: &mut Writer) {
        out.varint(self.entries.len() as u64);
        for entry in &self.entries {
            let channel = entry.channel;
            out.0.push(channel.link);
            out.varint(u64::from(channel.code.0));
            write_site(channel.site, out);
            let pace = match entry.pace {
                Pace::Continuous => 0,
                Pace::Trend => 1,
                Pace::Episodic => 2,
            };
            out.0.push(pace | u8::from(channel.setting) << 2);
            out.text(&entry.ucum);
        }
    }

    pub(super) fn decode_dictionary(header: &Header, reader: &mut Reader<'_>) -> Result<Self, BlockError> {
        let mut key = Self::empty(header);
        let count = reader.varint()?;
        if count > CHANNELS_MAX as u64 {
            return Err(BlockError::Structure);
        }
        for _ in 0..count {
            let link = reader.byte()?;
            let code = Code(u32::try_from(reader.varint()?).map_err(|_| BlockError::Structure)?);
            let site = read_site(reader)?;
            let flags = reader.byte()?;
            let pace = match flags & 3 {
                0 => Pace::Continuous,
                1 => Pace::Trend,
                2 => Pace::Episodic,
                _ => return Err(BlockError::Structure),
            };
            let channel = Channel { link, code, site, setting: flags & 4 != 0 };
            key.add(channel, reader.text()?.to_owned(), pace);
        }
        Ok(key)
    }

    /// Groups of readings of one instant: time, lag, a mask of who was heard, a mask of who changed, the changes.
    pub(super) fn encode_groups(&mut self, samples: &[Sample], out: &mut Writer) {
        let mut order: Vec<(u32, u32, usize, &Sample)> = samples
            .iter()
            .filter_map(|sample| {
                Some((sample.at_us, sample.lag_ms, *self.positions.get(&sample.channel)?, sample))
            })
            .collect();
        // Stable, so that two readings of one channel at one instant keep their order.
        order.sort_by_key(|(at, lag, position, _)| (*at, *lag, *position));
        let mut heard_before: Vec<usize> = Vec::new();
        let mut at_before = 0;
        let mut rest = order.as_slice();
        let mut groups = Writer(Vec::new());
        let mut count = 0u64;
        while let Some((at, lag, _, _)) = rest.first() {
            let is_same_instant = |item: &&(u32, u32, usize, &Sample)| (item.0, item.1) == (*at, *lag);
            let length = rest.iter().take_while(is_same_instant).count();
            let (instant, later) = rest.split_at(length);
            rest = later;
            // A channel read twice in one instant starts another group.
            let mut pending: Vec<(usize, &Sample)> = instant.iter().map(|item| (item.2, item.3)).collect();
            while !pending.is_empty() {
                let mut group: Vec<(usize, &Sample)> = Vec::with_capacity(pending.len());
                pending.retain(|(position, sample)| {
                    let again = group.last().is_some_and(|(last, _)| last == position);
                    if !again {
                        group.push((*position, sample));
                    }
                    again
                });
                groups.varint(u64::from(at - at_before));
                groups.varint(u64::from(*lag));
                at_before = *at;
                self.encode_group(&group, &mut heard_before, &mut groups);
                count += 1;
            }
        }
        out.varint(count);
        out.fixed(&groups.0);
    }

    fn encode_group(&mut self, group: &[(usize, &Sample)], heard_before: &mut Vec<usize>, out: &mut Writer) {
        let is_same_set = group.iter().map(|(position, _)| *position).eq(heard_before.iter().copied());
        out.0.push(u8::from(is_same_set));
        if !is_same_set {
            *heard_before = group.iter().map(|(position, _)| *position).collect();
            write_mask(self.entries.len(), heard_before.iter().copied(), out);
        }
        let reading = |sample: &Sample| Reading { value: sample.value, quality: sample.quality };
        let is_changed =
            |(position, sample): &(usize, &Sample)| self.entries[*position].reading != reading(sample);
        let changed: Vec<bool> = group.iter().map(is_changed).collect();
        write_mask(group.len(), (0..group.len()).filter(|at| changed[*at]), out);
        for ((position, sample), _) in group.iter().zip(&changed).filter(|(_, changed)| **changed) {
            let entry = &mut self.entries[*position];
            write_change(entry.reading, reading(sample), out);
            entry.reading = reading(sample);
        }
    }

    pub(super) fn decode_groups(&mut self, reader: &mut Reader<'_>) -> Result<Vec<Sample>, BlockError> {
        let mut samples = Vec::new();
        let mut heard: Vec<usize> = Vec::new();
        let mut at_us = 0u32;
        for _ in 0..reader.varint()? {
            at_us = narrow(reader.varint()?)?.checked_add(at_us).ok_or(BlockError::Structure)?;
            let lag_ms = narrow(reader.varint()?)?;
            match reader.byte()? {
                0 => heard = read_mask(self.entries.len(), reader)?,
                1 => {}
                _ => return Err(BlockError::Structure),
            }
            if samples.len() + heard.len() > SAMPLES_MAX {
                return Err(BlockError::Structure);
            }
            for at in read_mask(heard.len(), reader)? {
                let entry = &mut self.entries[heard[at]];
                entry.reading = read_change(entry.reading, reader)?;
            }
            samples.extend(heard.iter().map(|position| {
                let Entry { channel, ucum, pace, reading } = &self.entries[*position];
                Sample {
                    channel: *channel,
                    ucum: ucum.clone(),
                    pace: *pace,
                    value: reading.value,
                    quality: reading.quality,
                    at_us,
                    lag_ms,
                }
            }));
        }
        Ok(samples)
    }
}

/// Even: the mantissa's change, everything else as before. 1: the whole reading follows.
fn write_change(before: Reading, after: Reading, out: &mut Writer) {
    if let (Some(old), Some(new)) = (before.value, after.value)
        && before.quality == after.quality
        && old.exponent == new.exponent
    {
        let change = zigzag(new.mantissa.wrapping_sub(old.mantissa));
        if change < 1 << 62 {
            out.varint(change << 1);
            return;
        }
    }
    out.varint(1);
    out.varint(u64::from(after.quality.0) << 1 | u64::from(after.value.is_some()));
    if let Some(value) = after.value {
        out.0.push(value.exponent as u8);
        out.signed(value.mantissa);
    }
}

fn read_change(before: Reading, reader: &mut Reader<'_>) -> Result<Reading, BlockError> {
    let first = reader.varint()?;
    if first & 1 == 0 {
        let old = before.value.ok_or(BlockError::Structure)?;
        let mantissa = old.mantissa.wrapping_add(unzigzag(first >> 1));
        return Ok(Reading { value: Some(Decimal { mantissa, ..old }), ..before });
    }
    if first != 1 {
        return Err(BlockError::Structure);
    }
    let marks = reader.varint()?;
    let quality = Quality(u16::try_from(marks >> 1).map_err(|_| BlockError::Structure)?);
    let value = if marks & 1 == 1 {
        let exponent = reader.byte()? as i8;
        Some(Decimal { exponent, mantissa: reader.signed()? })
    } else {
        None
    };
    Ok(Reading { value, quality })
}

fn write_mask(length: usize, set: impl Iterator<Item = usize>, out: &mut Writer) {
    let begin = out.0.len();
    out.0.resize(begin + length.div_ceil(8), 0);
    for at in set {
        out.0[begin + at / 8] |= 1 << (at % 8);
    }
}

fn read_mask(length: usize, reader: &mut Reader<'_>) -> Result<Vec<usize>, BlockError> {
    let mask = reader.take(length.div_ceil(8))?;
    let is_beyond = !length.is_multiple_of(8) && mask.last().is_some_and(|last| last >> (length % 8) != 0);
    if is_beyond {
        return Err(BlockError::Structure);
    }
    Ok((0..length).filter(|at| mask[at / 8] >> (at % 8) & 1 == 1).collect())
}

pub(super) fn write_site(site: Site, out: &mut Writer) {
    match site {
        Site::Unspecified => out.0.push(0),
        Site::Preductal => out.0.push(1),
        Site::Postductal => out.0.push(2),
        Site::Numbered(number) => out.fixed(&[3, number]),
    }
}

pub(super) fn read_site(reader: &mut Reader<'_>) -> Result<Site, BlockError> {
    Ok(match reader.byte()? {
        0 => Site::Unspecified,
        1 => Site::Preductal,
        2 => Site::Postductal,
        3 => Site::Numbered(reader.byte()?),
        _ => return Err(BlockError::Structure),
    })
}

fn narrow(value: u64) -> Result<u32, BlockError> {
    u32::try_from(value).map_err(|_| BlockError::Structure)
}
