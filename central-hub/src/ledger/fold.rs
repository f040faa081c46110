//! What one block adds to the account of its agent. Everything here may come in any order, and any piece may come first.

use super::hour::{Hour, micro};
use super::seconds::Seconds;
use crate::store::derived::GapRow;
use cotside_protocol::model::{Provenance, Wall};
use cotside_protocol::wire::block::{Block, Body, Channel, Extent, Gap, GapCause, Header, Sample, Stretch};
use cotside_protocol::wire::topic::Lane;
use serde::Deserialize;
use std::collections::HashMap;

const SECOND_US: i64 = 1_000_000;
pub(super) const HOUR_S: i64 = 3600;
/// No block lasts longer: bounds what a lying one can make us write.
const BLOCK_US_MAX: i64 = 3_600_000_000;

/// What the blocks of one agent bring.
#[derive(Debug, Default)]
pub(super) struct Harvest {
    pub(super) heard: HashMap<(Lane, u8), Seconds>,
    /// By hour and channel, then by unit of measure: a device seldom changes it.
    pub(super) hours: HashMap<(i64, Channel), Vec<(String, Hour)>>,
    pub(super) gaps: Vec<GapRow>,
    pub(super) names: Vec<(u8, String, (Wall, u64))>,
}

/// Of a record only this is read here.
#[derive(Deserialize)]
struct Naming {
    #[serde(rename = "type")]
    kind: String,
    link: Option<u8>,
    name: Option<String>,
}

impl Harvest {
    pub(super) fn take(&mut self, source: i64, block: Block) {
        let Block { header, body } = block;
        match body {
            Body::Numerics(samples) => self.numerics(&header, samples),
            Body::Waveforms(stretches) => {
                let extents: Vec<Extent> = stretches.iter().map(Stretch::extent).collect();
                self.waveforms(&header, &extents);
            }
            Body::Gap(gap) => self.gap(source, &header, gap),
            Body::Record(json) => self.record(&header, &json),
        }
    }

    /// The block is here and cannot be read: its whole time is missing, and that is the cause.
    pub(super) fn unreadable(&mut self, source: i64, header: &Header) {
        let to = Wall(header.wall.0.saturating_add(i64::from(header.span_us)));
        let cause = GapCause::Undecodable;
        self.gap(source, header, Gap { cause, link: None, from: header.wall, to, seqs: None, count: None });
    }

    fn numerics(&mut self, header: &Header, samples: Vec<Sample>) {
        let mut last = None;
        for sample in samples {
            let channel = sample.channel;
            let second = header.wall.0.saturating_add(i64::from(sample.at_us)).div_euclid(SECOND_US);
            if last != Some((channel.link, second)) {
                last = Some((channel.link, second));
                self.heard.entry((Lane::Numeric, channel.link)).or_default().insert(second, second + 1);
            }
            let Some(value) = sample.value else { continue };
            // What a device marked as no measurement has no place in a mean (H1); a doubtful one has.
            if !sample.quality.is_usable() || header.provenance == Provenance::DeviceDemo {
                continue;
            }
            let ucums = self.hours.entry((second.div_euclid(HOUR_S), channel)).or_default();
            let at = ucums.iter().position(|(ucum, _)| *ucum == sample.ucum).unwrap_or_else(|| {
                ucums.push((sample.ucum, Hour::default()));
                ucums.len() - 1
            });
            // A remainder of an hour.
            ucums[at].1.add(second.rem_euclid(HOUR_S) as u16, micro(value));
        }
    }

    pub(super) fn waveforms(&mut self, header: &Header, extents: &[Extent]) {
        for extent in extents {
            let begin = header.wall.0.saturating_add(extent.at_us.clamp(-BLOCK_US_MAX, BLOCK_US_MAX));
            let at = |sample: usize| {
                let offset = (sample as i64).saturating_mul(i64::from(extent.period_us));
                begin.saturating_add(offset.min(BLOCK_US_MAX))
            };
            let heard = self.heard.entry((Lane::Waveform, extent.channel.link)).or_default();
            for &(first, end) in &extent.present {
                heard.add(&Seconds::touched(at(first), at(end - 1).saturating_add(1)));
            }
        }
    }

    fn gap(&mut self, source: i64, header: &Header, gap: Gap) {
        self.gaps.push(GapRow {
            lane: header.lane,
            link: gap.link,
            from: gap.from.min(gap.to),
            to: gap.from.max(gap.to),
            cause: gap.cause.name().to_owned(),
            count: gap.count,
            source,
            seq: header.seq,
        });
    }

    fn record(&mut self, header: &Header, json: &str) {
        // A record of a newer agent names nothing that we know.
        let Ok(Naming { kind, link: Some(link), name: Some(name) }) = serde_json::from_str(json) else {
            return;
        };
        if matches!(kind.as_str(), "identified" | "link-changed") {
            self.names.push((link, name, (header.wall, header.seq)));
        }
    }
}
