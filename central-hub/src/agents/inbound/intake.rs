//! One message taken apart: which of its blocks are shown, which are kept, and how.

use super::{Refusal, rules};
use crate::feed::News;
use crate::store::blocks::{Addition, RecordRow, Row, Source};
use bytes::Bytes;
use cotside_protocol::model::{Now, Provenance};
use cotside_protocol::wire::block::{self, Block, Body, Decoder, Epoch, Header};
use cotside_protocol::wire::topic::{AgentId, Lane};
use cotside_protocol::wire::upstream::Record;

/// What one message brings, sorted by what becomes of it.
pub(super) struct Intake {
    base: Addition,
    pub(super) news: Vec<News>,
    pub(super) records: Vec<(Header, Record)>,
    pub(super) conflicts: Vec<Part>,
    pub(super) scattered: bool,
}

/// Why a message is refused, for its sender and in words.
pub(super) type Why = (Refusal, &'static str);

/// One block of a message, checked for length and checksum.
pub(super) struct Part {
    pub(super) header: Header,
    pub(super) end: u64,
    pub(super) bytes: Bytes,
}

impl Intake {
    pub(super) fn new(source: Source, agent: &AgentId, now: Now) -> Self {
        let base = Addition {
            source,
            agent: agent.clone(),
            blocks: Vec::new(),
            records: Vec::new(),
            conflicts: Vec::new(),
            at: now.wall,
        };
        Self { base, news: Vec::new(), records: Vec::new(), conflicts: Vec::new(), scattered: false }
    }

    pub(super) fn add(&mut self, part: Part, live: bool, decoder: &mut Decoder) {
        // A device in demo mode is on record, and never on the screen.
        let shown = part.header.provenance != Provenance::DeviceDemo;
        // Backlog never reaches the now-state, so only what was said once is read of it.
        if live && shown && block::holds_waveforms(&part.bytes) == Ok(true) {
            self.news.push(News::Waveforms(part.header, part.bytes.clone()));
        } else if part.header.lane == Lane::Alarm || (live && shown) {
            match decoder.decode(&part.bytes) {
                Ok((Block { header, body: Body::Numerics(samples) }, _)) => {
                    self.news.push(News::Numerics(header, samples));
                }
                Ok((Block { header, body: Body::Record(json) }, _)) => self.record(header, json),
                Ok((Block { body: Body::Gap(_) | Body::Waveforms(_), .. }, _)) => {}
                // A delta whose key frame went by another way is kept and not shown; the next key frame heals it.
                Err(error) => tracing::debug!(%error, seq = part.header.seq, "a block is kept unread"),
            }
        }
        self.base.blocks.push(part.row());
    }

    fn record(&mut self, header: Header, json: String) {
        // A record of a newer agent is kept as it is.
        let Ok(record) = serde_json::from_str::<Record>(&json) else { return };
        let (kind, episode) = rules::kind(&record);
        self.base.records.push(RecordRow { seq: header.seq, at: header.wall, kind, episode, json });
        self.records.push((header, record));
    }

    pub(super) fn addition(mut self) -> Addition {
        self.base.conflicts = self.conflicts.into_iter().map(Part::row).collect();
        self.base
    }
}

impl Part {
    fn row(self) -> Row {
        Row { seq: self.header.seq, end: self.end, begin: self.header.wall, bytes: self.bytes }
    }
}

/// Every block of a payload and their one epoch, or why none of it is taken.
pub(super) fn split(
    payload: &Bytes,
    lane: Lane,
    accepts: Provenance,
) -> Result<(Option<Epoch>, Vec<Part>), Why> {
    let malformed = |_| (Refusal::Malformed, "a block that cannot be read");
    let (mut of, mut parts) = (None, Vec::new());
    let mut at = 0;
    while at < payload.len() {
        let (header, length) = block::peek(&payload[at..]).map_err(malformed)?;
        let bytes = payload.slice(at..at + length);
        let (_, end) = block::seqs(&bytes).map_err(malformed)?;
        if header.lane != lane {
            return Err((Refusal::Malformed, "a block of another lane than its topic"));
        }
        if *of.get_or_insert(header.epoch) != header.epoch {
            return Err((Refusal::Malformed, "blocks of two epochs in one message"));
        }
        if header.provenance != accepts && header.provenance != Provenance::DeviceDemo {
            return Err((Refusal::NotAllowed, "a block of a provenance that is not taken here"));
        }
        parts.push(Part { header, end, bytes });
        at += length;
    }
    Ok((of, parts))
}
