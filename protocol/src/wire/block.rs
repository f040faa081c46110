//! The block: what is encoded once at the bed, stored at both ends, and readable in twenty years (`docs/block-format.md`).
//!
//! A block is self-delimiting and carries its own checksum. A payload on a data topic is one or more blocks end to end.
//! Every block decodes alone, except that numerics need the key frame of their minute, which they name by its seq.

mod bytes;
mod changes;
mod number;
mod numerics;
mod predictor;
mod range;
mod rice;
mod surprise;
mod surprise_tables;
mod trace;
mod waveforms;

use self::bytes::{Reader, Writer};
use self::numerics::Key;
use self::waveforms::Habits;
use super::topic::Lane;
use crate::model::{Code, Decimal, Mono, NO_SAMPLE, Pace, Provenance, Quality, Site, Wall};
use std::collections::VecDeque;
use std::time::Duration;

/// First byte of every block.
pub const VERSION: u8 = 1;
/// No block is longer, checksum included.
pub const BLOCK_BYTES_MAX: usize = 1 << 20;
/// A numeric key frame is written at least this often.
pub const KEY_EVERY: Duration = Duration::from_secs(60);
/// Key frames a decoder remembers: live and a resent backlog interleave, and each needs its own.
const KEYS_MAX: usize = 8;

/// Names what one start of an agent writes to its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// What every block says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub lane: Lane,
    pub epoch: Epoch,
    pub seq: u64,
    pub provenance: Provenance,
    /// Random per start of the agent: orders blocks together with `mono`.
    pub boot: u32,
    /// When the block's data begins, on the agent's clocks.
    pub mono: Mono,
    pub wall: Wall,
    /// How long the block's data lasts, in microseconds.
    pub span_us: u32,
}

/// A channel: (link, parameter, site), settings apart from measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel {
    pub link: u8,
    pub code: Code,
    pub site: Site,
    pub setting: bool,
}

/// One numeric in a block. `at_us` counts from the block's begin.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub channel: Channel,
    pub ucum: String,
    pub pace: Pace,
    pub value: Option<Decimal>,
    pub quality: Quality,
    pub at_us: u32,
    /// How late the value was by the device's own timing.
    pub lag_ms: u32,
}

/// A run of one waveform channel inside a block.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    pub channel: Channel,
    pub ucum: String,
    /// `begin` of the first sample, microseconds from the block's begin (may be before it).
    pub at_us: i64,
    pub period_us: u32,
    pub gain: f64,
    pub offset: f64,
    pub quality: Quality,
    /// `NO_SAMPLE` where missing.
    pub samples: Vec<i32>,
}

/// Where the samples of a stretch lie in time, without the samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    pub channel: Channel,
    /// As in [`Stretch`].
    pub at_us: i64,
    pub period_us: u32,
    /// The samples that are not missing, `[first, end)`.
    pub present: Vec<(usize, usize)>,
}

/// A stretch known to be missing, with its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub cause: GapCause,
    /// None: the whole lane of the bed.
    pub link: Option<u8>,
    pub from: Wall,
    pub to: Wall,
    /// The seqs this record stands for when it replaces dropped rows: [first, end). Its own seq is `first`; it occupies them all.
    pub seqs: Option<(u64, u64)>,
    pub count: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GapCause {
    DeviceSilent,
    CableOut,
    Undecodable,
    ClockStep,
    DroppedByPolicy,
    AgentDown,
    WrongDevice,
    /// The agent's log was damaged or set back: what it held and the hub did not take is lost.
    StoreLost,
}

impl GapCause {
    pub const ALL: [Self; 8] = CAUSES;

    /// The stable word for it: in the hub's store and on its API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeviceSilent => "device-silent",
            Self::CableOut => "cable-out",
            Self::Undecodable => "undecodable",
            Self::ClockStep => "clock-step",
            Self::DroppedByPolicy => "dropped-by-policy",
            Self::AgentDown => "agent-down",
            Self::WrongDevice => "wrong-device",
            Self::StoreLost => "store-lost",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    Numerics(Vec<Sample>),
    Waveforms(Vec<Stretch>),
    /// JSON of [`super::upstream::Record`].
    Record(String),
    Gap(Gap),
}

/// Why bytes are not a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BlockError {
    #[error("block ends before its length says")]
    Truncated,
    #[error("block of an unknown version")]
    Version,
    #[error("block longer than allowed")]
    TooLong,
    #[error("block checksum is wrong")]
    Checksum,
    #[error("block content contradicts itself")]
    Structure,
    #[error("numerics need the key frame with seq {seq}")]
    KeyMissing { epoch: Epoch, seq: u64 },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    pub header: Header,
    pub body: Body,
}

/// Encodes one agent's blocks; remembers the numeric key frame of the minute, and what served each waveform.
#[derive(Debug, Default)]
pub struct Encoder {
    key: Option<Key>,
    habits: Habits,
    body: Vec<u8>,
}

/// Decodes blocks of one agent; remembers the latest numeric key frames.
#[derive(Debug, Default)]
pub struct Decoder {
    keys: VecDeque<Key>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    NumericsKey = 0,
    NumericsDelta = 1,
    RiceWaveforms = 2,
    Record = 3,
    Gap = 4,
    Waveforms = 5,
}

impl Stretch {
    pub fn extent(&self) -> Extent {
        let mut present = Vec::new();
        let mut at = 0;
        for run in self.samples.split(|sample| *sample == NO_SAMPLE) {
            if !run.is_empty() {
                present.push((at, at + run.len()));
            }
            at += run.len() + 1;
        }
        Extent { channel: self.channel, at_us: self.at_us, period_us: self.period_us, present }
    }
}

impl Encoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// The next numerics block will be a key frame (a live stream resumes with one).
    pub fn restart(&mut self) {
        self.key = None;
    }

    /// Appends one block to `out`.
    pub fn encode(&mut self, header: &Header, body: &Body, out: &mut Vec<u8>) {
        let mut content = Writer(std::mem::take(&mut self.body));
        content.0.clear();
        let shape = match body {
            Body::Numerics(samples) => self.numerics(header, samples, &mut content),
            Body::Waveforms(stretches) => {
                waveforms::encode(stretches, &mut self.habits, &mut content);
                Shape::Waveforms
            }
            Body::Record(json) => {
                content.0.extend_from_slice(json.as_bytes());
                Shape::Record
            }
            Body::Gap(gap) => {
                encode_gap(gap, &mut content);
                Shape::Gap
            }
        };
        write_block(header, shape, &content.0, out);
        self.body = content.0;
    }

    fn numerics(&mut self, header: &Header, samples: &[Sample], content: &mut Writer) -> Shape {
        if let Some(key) = &self.key
            && key.serves(header, samples)
        {
            content.varint(key.seq);
            key.clone().encode_groups(samples, content);
            return Shape::NumericsDelta;
        }
        let mut key = Key::new(header, samples);
        key.encode_dictionary(content);
        key.encode_groups(samples, content);
        self.key = Some(key);
        Shape::NumericsKey
    }
}

impl Decoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// The first block of `bytes`, and how many bytes it took.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<(Block, usize), BlockError> {
        let (header, shape, content, consumed) = open_block(bytes)?;
        let mut reader = Reader(content);
        let body = match shape {
            Shape::NumericsKey => {
                let mut key = Key::decode_dictionary(&header, &mut reader)?;
                let samples = key.decode_own_groups(&mut reader)?;
                self.remember(key);
                Body::Numerics(samples)
            }
            Shape::NumericsDelta => {
                let seq = reader.varint()?;
                let named = |key: &&Key| key.epoch == header.epoch && key.seq == seq;
                let missing = BlockError::KeyMissing { epoch: header.epoch, seq };
                let key = self.keys.iter().find(named).ok_or(missing)?;
                Body::Numerics(key.decode_groups(&mut reader)?.0)
            }
            Shape::RiceWaveforms => Body::Waveforms(rice::decode(&mut reader)?),
            Shape::Waveforms => Body::Waveforms(waveforms::decode(&mut reader)?),
            Shape::Record => {
                let json = std::str::from_utf8(reader.rest()).map_err(|_| BlockError::Structure)?;
                Body::Record(json.to_owned())
            }
            Shape::Gap => Body::Gap(decode_gap(&mut reader)?),
        };
        reader.end()?;
        Ok((Block { header, body }, consumed))
    }

    fn remember(&mut self, key: Key) {
        self.keys.retain(|old| (old.epoch, old.seq) != (key.epoch, key.seq));
        if self.keys.len() == KEYS_MAX {
            self.keys.pop_front();
        }
        self.keys.push_back(key);
    }
}

/// The header and length of the first block of `bytes`; checks length and checksum, not the content.
pub fn peek(bytes: &[u8]) -> Result<(Header, usize), BlockError> {
    open_block(bytes).map(|(header, _, _, consumed)| (header, consumed))
}

/// When this block's waveforms have samples: found without decoding one, where the block's form allows. None: it holds no waveforms.
pub fn extents(bytes: &[u8]) -> Result<Option<(Header, Vec<Extent>)>, BlockError> {
    let (header, shape, content, _) = open_block(bytes)?;
    let mut reader = Reader(content);
    let extents = match shape {
        Shape::Waveforms => waveforms::extents(&mut reader)?,
        Shape::RiceWaveforms => rice::decode(&mut reader)?.iter().map(Stretch::extent).collect(),
        Shape::NumericsKey | Shape::NumericsDelta | Shape::Record | Shape::Gap => return Ok(None),
    };
    Ok(Some((header, extents)))
}

/// True if this block holds waveforms, which decode alone.
pub fn holds_waveforms(bytes: &[u8]) -> Result<bool, BlockError> {
    open_block(bytes).map(|(_, shape, _, _)| matches!(shape, Shape::Waveforms | Shape::RiceWaveforms))
}

/// The seq of the key frame this block needs beside itself, if it is a numerics delta.
pub fn key_seq(bytes: &[u8]) -> Result<Option<u64>, BlockError> {
    let (_, shape, content, _) = open_block(bytes)?;
    Ok(if shape == Shape::NumericsDelta { Some(Reader(content).varint()?) } else { None })
}

/// True if this block is itself a numeric key frame.
pub fn is_key(bytes: &[u8]) -> Result<bool, BlockError> {
    open_block(bytes).map(|(_, shape, _, _)| shape == Shape::NumericsKey)
}

/// The seqs this block occupies, `[first, end)`: its own, or all those that a gap record stands for.
pub fn seqs(bytes: &[u8]) -> Result<(u64, u64), BlockError> {
    let (header, shape, content, _) = open_block(bytes)?;
    let own = (header.seq, header.seq.saturating_add(1));
    if shape != Shape::Gap {
        return Ok(own);
    }
    Ok(match decode_gap(&mut Reader(content))?.seqs {
        Some((first, end)) if first == header.seq && end > first => (first, end),
        _ => own,
    })
}

fn write_block(header: &Header, shape: Shape, content: &[u8], out: &mut Vec<u8>) {
    let begin = out.len();
    let mut head = Writer(Vec::with_capacity(48));
    head.fixed(&header.epoch.0.to_le_bytes());
    head.fixed(&header.boot.to_le_bytes());
    head.varint(header.seq);
    head.varint(header.mono.0);
    head.signed(header.wall.0);
    head.varint(u64::from(header.span_us));
    let mut block = Writer(std::mem::take(out));
    block.0.push(VERSION);
    block.0.push(shape as u8 | (lane_bits(header.lane) << 4) | (provenance_bits(header.provenance) << 6));
    block.varint((head.0.len() + content.len()) as u64);
    block.fixed(&head.0);
    block.fixed(content);
    let checksum = crc32c::crc32c(&block.0[begin..]);
    block.fixed(&checksum.to_le_bytes());
    *out = block.0;
}

fn open_block(bytes: &[u8]) -> Result<(Header, Shape, &[u8], usize), BlockError> {
    let mut reader = Reader(bytes);
    if reader.byte()? != VERSION {
        return Err(BlockError::Version);
    }
    let kind = reader.byte()?;
    let length = usize::try_from(reader.varint()?).map_err(|_| BlockError::TooLong)?;
    if length > BLOCK_BYTES_MAX {
        return Err(BlockError::TooLong);
    }
    let mut inner = Reader(reader.take(length)?);
    let checked = bytes.len() - reader.0.len();
    let stated = u32::from_le_bytes(reader.array()?);
    if crc32c::crc32c(&bytes[..checked]) != stated {
        return Err(BlockError::Checksum);
    }
    let shape = match kind & 0xf {
        0 => Shape::NumericsKey,
        1 => Shape::NumericsDelta,
        2 => Shape::RiceWaveforms,
        3 => Shape::Record,
        4 => Shape::Gap,
        5 => Shape::Waveforms,
        _ => return Err(BlockError::Structure),
    };
    let header = Header {
        epoch: Epoch(u64::from_le_bytes(inner.array()?)),
        boot: u32::from_le_bytes(inner.array()?),
        seq: inner.varint()?,
        mono: Mono(inner.varint()?),
        wall: Wall(inner.signed()?),
        span_us: u32::try_from(inner.varint()?).map_err(|_| BlockError::Structure)?,
        lane: *Lane::ALL.get(usize::from(kind >> 4 & 3)).ok_or(BlockError::Structure)?,
        provenance: PROVENANCES[usize::from(kind >> 6)],
    };
    Ok((header, shape, inner.0, checked + 4))
}

const PROVENANCES: [Provenance; 4] =
    [Provenance::Live, Provenance::Replay, Provenance::Simulated, Provenance::DeviceDemo];

const CAUSES: [GapCause; 8] = [
    GapCause::DeviceSilent,
    GapCause::CableOut,
    GapCause::Undecodable,
    GapCause::ClockStep,
    GapCause::DroppedByPolicy,
    GapCause::AgentDown,
    GapCause::WrongDevice,
    GapCause::StoreLost,
];

const fn lane_bits(lane: Lane) -> u8 {
    match lane {
        Lane::Alarm => 0,
        Lane::Numeric => 1,
        Lane::Waveform => 2,
    }
}

const fn provenance_bits(provenance: Provenance) -> u8 {
    match provenance {
        Provenance::Live => 0,
        Provenance::Replay => 1,
        Provenance::Simulated => 2,
        Provenance::DeviceDemo => 3,
    }
}

fn encode_gap(gap: &Gap, out: &mut Writer) {
    let cause = CAUSES.iter().position(|cause| *cause == gap.cause).unwrap_or_default();
    out.0.push(cause as u8);
    out.optional(gap.link.map(u64::from));
    out.signed(gap.from.0);
    out.signed(gap.to.0);
    out.optional(gap.seqs.map(|(first, _)| first));
    if let Some((first, end)) = gap.seqs {
        out.varint(end.saturating_sub(first));
    }
    out.optional(gap.count);
}

fn decode_gap(reader: &mut Reader<'_>) -> Result<Gap, BlockError> {
    let cause = *CAUSES.get(usize::from(reader.byte()?)).ok_or(BlockError::Structure)?;
    let link = match reader.optional()? {
        Some(link) => Some(u8::try_from(link).map_err(|_| BlockError::Structure)?),
        None => None,
    };
    let (from, to) = (Wall(reader.signed()?), Wall(reader.signed()?));
    let seqs = match reader.optional()? {
        Some(first) => Some((first, first.checked_add(reader.varint()?).ok_or(BlockError::Structure)?)),
        None => None,
    };
    Ok(Gap { cause, link, from, to, seqs, count: reader.optional()? })
}

#[cfg(test)]
mod tests;
