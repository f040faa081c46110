//! Waveforms: every stretch says only what differs from the one before, and the samples of all follow in one range-coded stream.

use super::bytes::{Reader, Writer};
use super::number::{read_number, write_number};
use super::numerics::{read_site, write_site};
use super::range::{RangeDecoder, RangeEncoder};
use super::trace::{self, Habit, Surprises};
use super::{BlockError, Channel, Extent, Stretch};
use crate::model::{Code, NO_SAMPLE, Quality, Site};
use std::collections::HashMap;

/// No block holds more: bounds what a lying block can make us allocate.
pub(super) const SAMPLES_MAX: usize = 1 << 18;
/// Nor more stretches.
const STRETCHES_MAX: u64 = 1 << 16;
/// Channels whose habits an encoder keeps.
const HABITS_MAX: usize = 4096;

/// Which fields a stretch brings; the others are as in the stretch before.
mod brings {
    pub(super) const PLACE: u8 = 1;
    pub(super) const BEGIN: u8 = 2;
    pub(super) const FORM: u8 = 4;
    pub(super) const OFFSET: u8 = 8;
    pub(super) const QUALITY: u8 = 16;
    pub(super) const COUNT: u8 = 32;
    pub(super) const HOLES: u8 = 64;
    pub(super) const LEAD: u8 = 128;
}

/// Units of measure by number, from 1; a new one is added at the end.
const UCUMS: [&str; 20] = [
    "mV", "uV", "mm[Hg]", "1", "Ohm", "%", "cm[H2O]", "L/min", "mL/min", "mL", "L", "mbar", "hPa", "kPa",
    "/min", "Cel", "V", "m/s", "L/s", "a.u.",
];

/// What the encoder remembers of each channel.
#[derive(Debug, Default)]
pub(super) struct Habits(HashMap<Channel, Habit>);

/// What a stretch says beside its samples.
#[derive(Clone)]
struct Head {
    link: u8,
    site: Site,
    code: u32,
    at_us: i64,
    ucum: String,
    period_us: u32,
    gain: f64,
    offset: f64,
    quality: Quality,
    count: usize,
    /// Lengths of alternating runs, present first; empty if all samples are present.
    runs: Vec<usize>,
    /// The stretch so many before this one leads it.
    lead: Option<usize>,
    first: i32,
}

pub(super) fn encode(stretches: &[Stretch], habits: &mut Habits, out: &mut Writer) {
    if habits.0.len() > HABITS_MAX {
        habits.0.clear();
    }
    out.varint(stretches.len() as u64);
    let mut coder = RangeEncoder::new(Vec::new());
    let mut before = Head::none();
    let mut surprises: Vec<Surprises> = Vec::with_capacity(stretches.len());
    for (at, stretch) in stretches.iter().enumerate() {
        let present: Vec<i32> =
            stretch.samples.iter().copied().filter(|sample| *sample != NO_SAMPLE).collect();
        let lead = at.checked_sub(1).filter(|lead| leads(&stretches[*lead], stretch));
        let head = Head::of(stretch, present.first().copied().unwrap_or(0), lead.map(|lead| at - lead));
        head.write(&before, out);
        let habit = habits.0.entry(stretch.channel).or_default();
        surprises.push(trace::encode(
            &present,
            lead.map(|lead| surprises[lead].as_slice()),
            habit,
            &mut coder,
        ));
        before = head;
    }
    out.fixed(&coder.finish());
}

/// Two leads of one heart: the same instants, all present, and few enough to say so in a byte.
fn leads(lead: &Stretch, stretch: &Stretch) -> bool {
    let instants =
        |stretch: &Stretch| (stretch.channel.link, stretch.at_us, stretch.period_us, stretch.samples.len());
    instants(lead) == instants(stretch)
        && stretch.samples.len() > 1
        && lead.ucum == stretch.ucum
        && !lead.samples.contains(&NO_SAMPLE)
        && !stretch.samples.contains(&NO_SAMPLE)
}

fn read_heads(reader: &mut Reader<'_>) -> Result<Vec<Head>, BlockError> {
    let mut heads = Vec::new();
    let mut samples_left = SAMPLES_MAX;
    let mut before = Head::none();
    let count = reader.varint()?;
    if count > STRETCHES_MAX {
        return Err(BlockError::Structure);
    }
    for _ in 0..count {
        let head = Head::read(&before, samples_left, reader)?;
        samples_left -= head.count;
        heads.push(head.clone());
        before = head;
    }
    Ok(heads)
}

/// Where the samples lie, without the samples.
pub(super) fn extents(reader: &mut Reader<'_>) -> Result<Vec<Extent>, BlockError> {
    Ok(read_heads(reader)?.into_iter().map(Head::extent).collect())
}

pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Vec<Stretch>, BlockError> {
    let heads = read_heads(reader)?;
    let mut coder = RangeDecoder::new(reader.rest());
    let mut surprises: Vec<Surprises> = Vec::with_capacity(heads.len());
    let mut stretches = Vec::with_capacity(heads.len());
    for (at, head) in heads.into_iter().enumerate() {
        let lead = match head.lead {
            Some(back) => Some(at.checked_sub(back).ok_or(BlockError::Structure)?),
            None => None,
        };
        let lead = lead.and_then(|lead| surprises.get(lead)).map(Vec::as_slice);
        let (present, surprise) = match head.present() {
            0 => (Vec::new(), Vec::new()),
            present => trace::decode(head.first, present, lead, &mut coder)?,
        };
        surprises.push(surprise);
        stretches.push(head.stretch(present));
    }
    coder.end()?;
    Ok(stretches)
}

impl Head {
    /// Before the first stretch.
    const fn none() -> Self {
        Self {
            link: 0,
            site: Site::Unspecified,
            code: 0,
            at_us: 0,
            ucum: String::new(),
            period_us: 0,
            gain: 0.0,
            offset: 0.0,
            quality: Quality::GOOD,
            count: 0,
            runs: Vec::new(),
            lead: None,
            first: 0,
        }
    }

    fn of(stretch: &Stretch, first: i32, lead: Option<usize>) -> Self {
        Self {
            link: stretch.channel.link,
            site: stretch.channel.site,
            code: stretch.channel.code.0,
            at_us: stretch.at_us,
            ucum: stretch.ucum.clone(),
            period_us: stretch.period_us,
            gain: stretch.gain,
            offset: stretch.offset,
            quality: stretch.quality,
            count: stretch.samples.len(),
            runs: runs(&stretch.samples),
            lead,
            first,
        }
    }

    fn form(&self) -> (&str, u32, u64) {
        (&self.ucum, self.period_us, self.gain.to_bits())
    }

    fn extent(self) -> Extent {
        let mut present = Vec::new();
        let mut at = 0;
        let whole = [self.count];
        let runs = if self.runs.is_empty() { &whole[..] } else { &self.runs };
        for (number, length) in runs.iter().enumerate() {
            if number % 2 == 0 && *length > 0 {
                present.push((at, at + length));
            }
            at += length;
        }
        let channel = Channel { link: self.link, code: Code(self.code), site: self.site, setting: false };
        Extent { channel, at_us: self.at_us, period_us: self.period_us, present }
    }

    /// How many samples are not missing.
    fn present(&self) -> usize {
        if self.runs.is_empty() { self.count } else { self.runs.iter().step_by(2).sum() }
    }

    fn write(&self, before: &Self, out: &mut Writer) {
        let differs = [
            (brings::PLACE, (self.link, self.site) != (before.link, before.site)),
            (brings::BEGIN, self.at_us != before.at_us),
            (brings::FORM, self.form() != before.form()),
            (brings::OFFSET, self.offset.to_bits() != before.offset.to_bits()),
            (brings::QUALITY, self.quality != before.quality),
            (brings::COUNT, self.count != before.count),
            (brings::HOLES, !self.runs.is_empty()),
            (brings::LEAD, self.lead.is_some()),
        ];
        let brought = differs.iter().filter(|(_, differs)| *differs).fold(0, |all, (field, _)| all | field);
        let has = |field: u8| brought & field != 0;
        out.0.push(brought);
        out.signed(i64::from(self.code) - i64::from(before.code));
        if has(brings::PLACE) {
            out.0.push(self.link);
            write_site(self.site, out);
        }
        if has(brings::BEGIN) {
            out.signed(self.at_us);
        }
        if has(brings::FORM) {
            write_ucum(&self.ucum, out);
            out.varint(u64::from(self.period_us));
            write_number(self.gain, out);
        }
        if has(brings::OFFSET) {
            write_number(self.offset, out);
        }
        if has(brings::QUALITY) {
            out.varint(u64::from(self.quality.0));
        }
        if has(brings::COUNT) {
            out.varint(self.count as u64);
        }
        self.runs.iter().for_each(|run| out.varint(*run as u64));
        if let Some(back) = self.lead {
            out.varint(back as u64);
        }
        if self.present() > 0 {
            out.signed(i64::from(self.first));
        }
    }

    fn read(before: &Self, samples_max: usize, reader: &mut Reader<'_>) -> Result<Self, BlockError> {
        let brought = reader.byte()?;
        let has = |field: u8| brought & field != 0;
        let mut head = Self { runs: Vec::new(), lead: None, ..before.clone() };
        let code = i64::from(before.code).checked_add(reader.signed()?).ok_or(BlockError::Structure)?;
        head.code = u32::try_from(code).map_err(|_| BlockError::Structure)?;
        if has(brings::PLACE) {
            head.link = reader.byte()?;
            head.site = read_site(reader)?;
        }
        if has(brings::BEGIN) {
            head.at_us = reader.signed()?;
        }
        if has(brings::FORM) {
            head.ucum = read_ucum(reader)?.to_owned();
            head.period_us = u32::try_from(reader.varint()?).map_err(|_| BlockError::Structure)?;
            head.gain = read_number(reader)?;
        }
        if has(brings::OFFSET) {
            head.offset = read_number(reader)?;
        }
        if has(brings::QUALITY) {
            head.quality = Quality(u16::try_from(reader.varint()?).map_err(|_| BlockError::Structure)?);
        }
        if has(brings::COUNT) {
            head.count = usize::try_from(reader.varint()?).map_err(|_| BlockError::Structure)?;
        }
        if head.count > samples_max {
            return Err(BlockError::Structure);
        }
        if has(brings::HOLES) {
            head.runs = read_runs(head.count, reader)?;
        }
        if has(brings::LEAD) {
            head.lead = Some(usize::try_from(reader.varint()?).map_err(|_| BlockError::Structure)?);
        }
        if head.lead == Some(0) {
            return Err(BlockError::Structure);
        }
        if head.present() > 0 {
            head.first = i32::try_from(reader.signed()?).map_err(|_| BlockError::Structure)?;
        }
        Ok(head)
    }

    fn stretch(self, present: Vec<i32>) -> Stretch {
        let samples = if self.runs.is_empty() { present } else { with_holes(&present, &self.runs) };
        let channel = Channel { link: self.link, code: Code(self.code), site: self.site, setting: false };
        Stretch {
            channel,
            ucum: self.ucum,
            at_us: self.at_us,
            period_us: self.period_us,
            gain: self.gain,
            offset: self.offset,
            quality: self.quality,
            samples,
        }
    }
}

fn write_ucum(ucum: &str, out: &mut Writer) {
    match UCUMS.iter().position(|known| *known == ucum) {
        Some(at) => out.0.push(at as u8 + 1),
        None => {
            out.0.push(0);
            out.text(ucum);
        }
    }
}

fn read_ucum<'a>(reader: &mut Reader<'a>) -> Result<&'a str, BlockError> {
    match usize::from(reader.byte()?) {
        0 => reader.text(),
        number => UCUMS.get(number - 1).copied().ok_or(BlockError::Structure),
    }
}

/// Lengths of alternating runs, present first; none if nothing is missing.
fn runs(samples: &[i32]) -> Vec<usize> {
    let mut runs = Vec::new();
    if !samples.contains(&NO_SAMPLE) {
        return runs;
    }
    let mut rest = samples;
    let mut is_present = true;
    while !rest.is_empty() {
        let length = rest.iter().take_while(|sample| (**sample != NO_SAMPLE) == is_present).count();
        runs.push(length);
        rest = &rest[length..];
        is_present = !is_present;
    }
    runs
}

pub(super) fn read_runs(count: usize, reader: &mut Reader<'_>) -> Result<Vec<usize>, BlockError> {
    let mut runs: Vec<usize> = Vec::new();
    let mut covered = 0;
    while covered < count {
        let length = usize::try_from(reader.varint()?).map_err(|_| BlockError::Structure)?;
        // Only the first run may be empty, so a block cannot spin here.
        if length > count - covered || (length == 0 && !runs.is_empty()) {
            return Err(BlockError::Structure);
        }
        covered += length;
        runs.push(length);
    }
    Ok(runs)
}

pub(super) fn with_holes(present: &[i32], runs: &[usize]) -> Vec<i32> {
    let mut samples = Vec::with_capacity(runs.iter().sum());
    let mut rest = present;
    for (at, length) in runs.iter().enumerate() {
        if at % 2 == 0 {
            let (run, later) = rest.split_at(*length);
            samples.extend_from_slice(run);
            rest = later;
        } else {
            samples.resize(samples.len() + length, NO_SAMPLE);
        }
    }
    samples
}
