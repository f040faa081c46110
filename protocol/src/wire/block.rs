//! The block: what is encoded once at the bed, stored at both ends, and readable in twenty years (`docs/block-format.md`).
//!
//! A block is self-delimiting and carries its own checksum. A payload on a data topic is one or more blocks end to end.

use super::topic::Lane;
use crate::model::{Code, Decimal, Mono, Pace, Provenance, Quality, Site, Wall};

/// One life of an agent's log.
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
}

#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    Numerics(Vec<Sample>),
    Waveforms(Vec<Stretch>),
    /// JSON of [`super::upstream::Record`].
    Record(String),
    Gap(Gap),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    pub header: Header,
    pub body: Body,
}
