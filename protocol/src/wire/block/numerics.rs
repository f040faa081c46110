//! Numerics: a key frame a minute holds the channels; between them a block holds who was heard, and by how much each changed.

use super::bytes::{Reader, Writer, unzigzag};
use super::changes;
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
pub(super) struct Reading {
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

    /// Groups of readings of one instant: time, lag, who was heard, what is told in full; then everybody else's changes, packed.
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
        let mut changes: Vec<i64> = Vec::new();
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
                self.encode_group(&group, &mut heard_before, &mut changes, &mut groups);
                count += 1;
            }
        }
        out.varint(count);
        out.fixed(&groups.0);
        out.fixed(&changes::encode(&changes));
    }

    fn encode_group(
        &mut self,
        group: &[(usize, &Sample)],
        heard_before: &mut Vec<usize>,
        changes: &mut Vec<i64>,
        out: &mut Writer,
    ) {
        let heard: Vec<usize> = group.iter().map(|(position, _)| *position).collect();
        if heard.len() == self.entries.len() {
            out.0.push(form::ALL);
        } else if heard == *heard_before {
            out.0.push(form::SAME);
        } else {
            out.0.push(form::MASK);
            write_mask(self.entries.len(), heard.iter().copied(), out);
        }
        *heard_before = heard;
        let mut whole = Writer(Vec::new());
        let mut count = 0;
        let mut after = 0;
        for (at, (position, sample)) in group.iter().enumerate() {
            let entry = &mut self.entries[*position];
            let reading = Reading { value: sample.value, quality: sample.quality };
            match reading.change_since(entry.reading) {
                Some(change) => changes.push(change),
                None => {
                    whole.varint((at - after) as u64);
                    write_reading(reading, &mut whole);
                    after = at + 1;
                    count += 1;
                }
            }
            entry.reading = reading;
        }
        out.varint(count);
        out.fixed(&whole.0);
    }

    /// The readings of the key frame itself, which those after it are changes of.
    pub(super) fn decode_own_groups(&mut self, reader: &mut Reader<'_>) -> Result<Vec<Sample>, BlockError> {
        let (samples, readings) = self.decode_groups(reader)?;
        self.entries.iter_mut().zip(readings).for_each(|(entry, reading)| entry.reading = reading);
        Ok(samples)
    }

    /// What was read, and each channel's reading at the end.
    pub(super) fn decode_groups(
        &self,
        reader: &mut Reader<'_>,
    ) -> Result<(Vec<Sample>, Vec<Reading>), BlockError> {
        let groups = self.read_groups(reader)?;
        let mut readings: Vec<Reading> = self.entries.iter().map(|entry| entry.reading).collect();
        let mut changes = changes::Changes::new(reader);
        let mut samples = Vec::new();
        for group in groups {
            let mut told = group.told.into_iter().peekable();
            for (at, position) in group.heard.into_iter().enumerate() {
                let Entry { channel, ucum, pace, .. } = &self.entries[position];
                let reading = &mut readings[position];
                *reading = match told.next_if(|(told, _)| *told == at) {
                    Some((_, Told::Whole(whole))) => whole,
                    Some((_, Told::Change(change))) => reading.changed_by(change)?,
                    None if group.is_packed => match changes.next()? {
                        0 => *reading,
                        change => reading.changed_by(change)?,
                    },
                    None => *reading,
                };
                samples.push(Sample {
                    channel: *channel,
                    ucum: ucum.clone(),
                    pace: *pace,
                    value: reading.value,
                    quality: reading.quality,
                    at_us: group.at_us,
                    lag_ms: group.lag_ms,
                });
            }
        }
        changes.end()?;
        Ok((samples, readings))
    }

    fn read_groups(&self, reader: &mut Reader<'_>) -> Result<Vec<Group>, BlockError> {
        let mut groups: Vec<Group> = Vec::new();
        let (mut at_us, mut samples) = (0u32, 0);
        for _ in 0..reader.varint()? {
            at_us = narrow(reader.varint()?)?.checked_add(at_us).ok_or(BlockError::Structure)?;
            let lag_ms = narrow(reader.varint()?)?;
            let form = reader.byte()?;
            let heard = match form {
                form::MASK_AND_CHANGED | form::MASK => read_mask(self.entries.len(), reader)?,
                form::SAME_AND_CHANGED | form::SAME => {
                    groups.last().map(|group| group.heard.clone()).unwrap_or_default()
                }
                form::ALL => (0..self.entries.len()).collect(),
                _ => return Err(BlockError::Structure),
            };
            // A group of nobody is bounded too.
            samples += heard.len().max(1);
            if samples > SAMPLES_MAX {
                return Err(BlockError::Structure);
            }
            let is_packed = form >= form::MASK;
            let told =
                if is_packed { read_whole(heard.len(), reader)? } else { read_changed(heard.len(), reader)? };
            groups.push(Group { at_us, lag_ms, heard, told, is_packed });
        }
        Ok(groups)
    }
}

/// How a group begins. The first two list the changed ones by a mask and are no longer written.
mod form {
    pub(super) const MASK_AND_CHANGED: u8 = 0;
    pub(super) const SAME_AND_CHANGED: u8 = 1;
    pub(super) const MASK: u8 = 2;
    pub(super) const SAME: u8 = 3;
    pub(super) const ALL: u8 = 4;
}

/// A group as it was read, before its packed changes.
struct Group {
    at_us: u32,
    lag_ms: u32,
    heard: Vec<usize>,
    /// By position among the heard, ascending.
    told: Vec<(usize, Told)>,
    is_packed: bool,
}

enum Told {
    Whole(Reading),
    Change(i64),
}

impl Reading {
    /// The mantissa's change, if that is all that changed, and not too far.
    fn change_since(self, before: Self) -> Option<i64> {
        if self == before {
            return Some(0);
        }
        let (old, new) = (before.value?, self.value?);
        let change = new.mantissa.checked_sub(old.mantissa)?;
        let is_change = before.quality == self.quality && old.exponent == new.exponent;
        (is_change && change.unsigned_abs() <= changes::CHANGE_MAX).then_some(change)
    }

    fn changed_by(self, change: i64) -> Result<Self, BlockError> {
        let old = self.value.ok_or(BlockError::Structure)?;
        Ok(Self { value: Some(Decimal { mantissa: old.mantissa.wrapping_add(change), ..old }), ..self })
    }
}

fn write_reading(reading: Reading, out: &mut Writer) {
    out.varint(u64::from(reading.quality.0) << 1 | u64::from(reading.value.is_some()));
    if let Some(value) = reading.value {
        out.0.push(value.exponent as u8);
        out.signed(value.mantissa);
    }
}

fn read_reading(reader: &mut Reader<'_>) -> Result<Reading, BlockError> {
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

/// What is told in full, each with its distance from the one before.
fn read_whole(heard: usize, reader: &mut Reader<'_>) -> Result<Vec<(usize, Told)>, BlockError> {
    let mut told = Vec::new();
    let mut at = 0usize;
    for _ in 0..reader.varint()? {
        let skipped = usize::try_from(reader.varint()?).map_err(|_| BlockError::Structure)?;
        at = at.checked_add(skipped).filter(|at| *at < heard).ok_or(BlockError::Structure)?;
        told.push((at, Told::Whole(read_reading(reader)?)));
        at += 1;
    }
    Ok(told)
}

/// A mask of who changed; for each, even: the mantissa's change, 1: the whole reading.
fn read_changed(heard: usize, reader: &mut Reader<'_>) -> Result<Vec<(usize, Told)>, BlockError> {
    let changed = read_mask(heard, reader)?;
    let change = |at: usize| -> Result<(usize, Told), BlockError> {
        Ok(match reader.varint()? {
            1 => (at, Told::Whole(read_reading(reader)?)),
            first if first & 1 == 0 => (at, Told::Change(unzigzag(first >> 1))),
            _ => return Err(BlockError::Structure),
        })
    };
    changed.into_iter().map(change).collect()
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
