//! Numerics and waveforms gathered over one loss window, to be written as one block a lane.

use crate::row::{Draft, LinkIndex};
use cotside_protocol::model::{Now, Numeric, Provenance, Waveform};
use cotside_protocol::wire::block::{Body, Sample, Stretch};
use cotside_protocol::wire::convert;
use cotside_protocol::wire::topic::Lane;

/// A batch is written before its window ends when it has grown to this, so that a babbling device costs no memory.
const NUMERICS_MAX: usize = 2_000;
const SAMPLES_MAX: usize = 64_000;

#[derive(Clone, Debug)]
pub(super) struct Batch {
    provenance: Provenance,
    begin: Option<Now>,
    numerics: Vec<Sample>,
    waveforms: Vec<Stretch>,
    samples: usize,
}

impl Batch {
    pub(super) fn new(provenance: Provenance) -> Self {
        Self { provenance, begin: None, numerics: Vec::new(), waveforms: Vec::new(), samples: 0 }
    }

    /// When its first datum came.
    pub(super) fn begin(&self) -> Option<Now> {
        self.begin
    }

    /// Values and samples that wait for the end of the window.
    pub(super) fn entries(&self) -> u64 {
        (self.numerics.len() + self.samples) as u64
    }

    pub(super) fn is_full(&self) -> bool {
        self.numerics.len() >= NUMERICS_MAX || self.samples >= SAMPLES_MAX
    }

    pub(super) fn numeric(&mut self, at: Now, link: LinkIndex, numeric: &Numeric) {
        let begin = *self.begin.get_or_insert(at);
        self.numerics.push(convert::sample(link, numeric, begin.mono, at.mono));
    }

    pub(super) fn waveform(&mut self, at: Now, link: LinkIndex, waveform: Waveform) {
        let begin = *self.begin.get_or_insert(at);
        self.samples += waveform.samples.len();
        let stretch = convert::stretch(link, waveform, begin.mono);
        match self.waveforms.iter_mut().rev().find(|last| last.channel == stretch.channel) {
            Some(last) if continues(last, &stretch) => last.samples.extend(stretch.samples),
            _ => self.waveforms.push(stretch),
        }
    }

    /// What was gathered until now, as drafts; the batch is empty after.
    pub(super) fn take(&mut self, now: Now, out: &mut Vec<Draft>) {
        let Some(begin) = self.begin.take() else { return };
        self.samples = 0;
        let span_us = u32::try_from(now.mono.since(begin.mono).as_micros()).unwrap_or(u32::MAX);
        let draft = |lane, body| Draft { lane, provenance: self.provenance, begin, span_us, body };
        let numerics = std::mem::take(&mut self.numerics);
        if !numerics.is_empty() {
            out.push(draft(Lane::Numeric, Body::Numerics(numerics)));
        }
        let waveforms = std::mem::take(&mut self.waveforms);
        if !waveforms.is_empty() {
            out.push(draft(Lane::Waveform, Body::Waveforms(waveforms)));
        }
    }
}

/// Whether a run begins where the last one ended, and means the same.
fn continues(last: &Stretch, next: &Stretch) -> bool {
    let end_us = last.at_us + i64::from(last.period_us) * last.samples.len() as i64;
    (last.period_us, last.gain, last.offset, last.quality, &last.ucum)
        == (next.period_us, next.gain, next.offset, next.quality, &next.ucum)
        && (next.at_us - end_us).unsigned_abs() * 2 < u64::from(last.period_us)
}
