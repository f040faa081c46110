//! One step of the follower: blocks in order of arrival become changes to the account, written together with how far they reach.
//!
//! The reading side looks up, decodes and merges; the writing side only puts down what it is given, in one transaction with the
//! cursor. A step that was not committed is made again; one that was cannot be made twice.

use super::fold::Harvest;
use super::hour::Hour;
use super::runs::Runs;
use super::seconds::Seconds;
use crate::store::derived::{self, GapRow, HourKey, Origin, Stored};
use cotside_protocol::model::Wall;
use cotside_protocol::wire::block::{self, BlockError, Decoder};
use cotside_protocol::wire::topic::Lane;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub(super) const DAY_S: i64 = 86_400;

/// How much one step takes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub blocks: usize,
    pub bytes: usize,
}

impl Bounds {
    /// A quarter of a minute of three hundred beds with waveforms, in a few megabytes.
    pub const STEP: Self = Self { blocks: 8192, bytes: 8 << 20 };
}

/// What a step found, ready to be written.
#[derive(Debug)]
pub struct Step {
    from: i64,
    upto: i64,
    /// There may be more.
    pub is_full: bool,
    pub blocks: usize,
    runs: Vec<(i64, Runs)>,
    key_frames: Vec<(i64, u64, i64)>,
    waits: Vec<(i64, u64, i64)>,
    /// Key frames `[first, end)` that are waited for no longer.
    ended: Vec<(i64, u64, u64)>,
    agents: Vec<Changes>,
}

/// Rows as they shall stand.
#[derive(Debug)]
struct Changes {
    agent: Arc<str>,
    heard: Vec<(i64, (Lane, u8), Seconds)>,
    hours: Vec<(HourKey, Hour)>,
    gaps: Vec<GapRow>,
    names: Vec<(u8, String, (Wall, u64))>,
}

/// Reads the next blocks and what they change. None: there are none.
pub fn next(connection: &Connection, bounds: Bounds) -> rusqlite::Result<Option<Step>> {
    let from = derived::upto(connection)?;
    let blocks = derived::blocks_after(connection, from, bounds.blocks, bounds.bytes)?;
    let Some(upto) = blocks.last().map(|block| block.id) else { return Ok(None) };
    let size: usize = blocks.iter().map(|block| block.bytes.len()).sum();
    let mut step = Step {
        from,
        upto,
        is_full: blocks.len() >= bounds.blocks || size >= bounds.bytes,
        blocks: blocks.len(),
        runs: Vec::new(),
        key_frames: Vec::new(),
        waits: Vec::new(),
        ended: Vec::new(),
        agents: Vec::new(),
    };
    let mut by_source: BTreeMap<i64, Vec<Stored>> = BTreeMap::new();
    for block in blocks {
        by_source.entry(block.source).or_default().push(block);
    }
    let mut harvests: BTreeMap<Arc<str>, Harvest> = BTreeMap::new();
    for (source, blocks) in by_source {
        let origin = derived::origin(connection, source)?;
        let harvest = harvests.entry(origin.agent.clone()).or_default();
        Reading::new(connection, source, &origin, &mut step, harvest)?.all(blocks)?;
    }
    for (agent, harvest) in harvests {
        step.agents.push(merged(connection, agent, harvest)?);
    }
    Ok(Some(step))
}

impl Step {
    /// False: another step from the same place was written before, and nothing of this one is.
    pub fn write(&self, connection: &Connection) -> rusqlite::Result<bool> {
        if !derived::advance(connection, self.from, self.upto)? {
            return Ok(false);
        }
        for (source, runs) in &self.runs {
            derived::put_runs(connection, *source, runs)?;
        }
        for &(source, seq, block) in &self.key_frames {
            derived::put_key_frame(connection, source, seq, block)?;
        }
        for &(source, key, block) in &self.waits {
            derived::put_waiting(connection, source, key, block)?;
        }
        for &(source, first, end) in &self.ended {
            derived::end_waiting(connection, source, first, end)?;
        }
        for Changes { agent, heard, hours, gaps, names } in &self.agents {
            for (day, lane_and_link, seconds) in heard {
                derived::put_heard(connection, agent, *day, *lane_and_link, seconds)?;
            }
            for (key, hour) in hours {
                derived::put_hour(connection, agent, key, hour)?;
            }
            for gap in gaps {
                derived::put_gap(connection, agent, gap)?;
            }
            for (link, name, at) in names {
                derived::put_link(connection, agent, *link, name, *at)?;
            }
        }
        Ok(true)
    }
}

/// The blocks of one lane of one log.
struct Reading<'a> {
    connection: &'a Connection,
    source: i64,
    lane: Lane,
    runs: Runs,
    decoder: Decoder,
    step: &'a mut Step,
    harvest: &'a mut Harvest,
}

impl<'a> Reading<'a> {
    fn new(
        connection: &'a Connection,
        source: i64,
        origin: &Origin,
        step: &'a mut Step,
        harvest: &'a mut Harvest,
    ) -> rusqlite::Result<Self> {
        let runs = derived::runs(connection, source)?;
        Ok(Self { connection, source, lane: origin.lane, runs, decoder: Decoder::new(), step, harvest })
    }

    fn all(mut self, mut blocks: Vec<Stored>) -> rusqlite::Result<()> {
        // The order of arrival is not the order of the log, and a key frame comes before what needs it.
        blocks.sort_by_key(|block| (block.seq, block.id));
        let mut keys: HashMap<u64, usize> = HashMap::new();
        let mut replaced = Vec::new();
        for (at, stored) in blocks.iter().enumerate() {
            // What needs a key frame counts as here when that is: until then it is waited for.
            if block::key_seq(&stored.bytes) != Ok(None) {
                continue;
            }
            let (first, end) = self.place(stored);
            if end - first > 1 {
                replaced.push((first, end));
            }
            if self.lane == Lane::Numeric && block::is_key(&stored.bytes) == Ok(true) {
                keys.insert(stored.seq, at);
                self.step.key_frames.push((self.source, stored.seq, stored.id));
            }
        }
        for stored in &blocks {
            self.read(stored, &blocks, &keys)?;
        }
        for &seq in keys.keys() {
            for late in self.end_wait(seq, seq + 1)? {
                self.read(&late, &blocks, &keys)?;
            }
        }
        for (first, end) in replaced {
            // Their key frame will not come any more: it is among what the gap record stands for.
            for late in self.end_wait(first, end)? {
                let is_read = block::key_seq(&late.bytes)
                    .is_ok_and(|key| key.is_some_and(|key| keys.contains_key(&key)));
                if !is_read {
                    self.unreadable(&late);
                }
            }
        }
        self.step.runs.push((self.source, self.runs));
        Ok(())
    }

    /// Takes down that a block's seqs are here.
    fn place(&mut self, stored: &Stored) -> (u64, u64) {
        let (first, end) = block::seqs(&stored.bytes).unwrap_or((stored.seq, stored.seq.saturating_add(1)));
        if let Ok((header, _)) = block::peek(&stored.bytes) {
            let to = Wall(header.wall.0.saturating_add(i64::from(header.span_us)));
            self.runs.insert(first, end, header.wall, to);
        }
        (first, end)
    }

    fn read(
        &mut self,
        stored: &Stored,
        blocks: &[Stored],
        keys: &HashMap<u64, usize>,
    ) -> rusqlite::Result<()> {
        // Of waveforms it matters when there are some, which is said before the samples.
        if self.lane == Lane::Waveform
            && let Ok(Some((header, extents))) = block::extents(&stored.bytes)
        {
            self.harvest.waveforms(&header, &extents);
            return Ok(());
        }
        let mut decoded = self.decoder.decode(&stored.bytes);
        if let Err(BlockError::KeyMissing { seq, .. }) = decoded {
            let known = match keys.get(&seq) {
                Some(at) => Some(blocks[*at].clone()),
                None => derived::key_frame(self.connection, self.source, seq)?,
            };
            match known {
                Some(key) => {
                    // Read for what it makes readable.
                    let _ = self.decoder.decode(&key.bytes);
                    decoded = self.decoder.decode(&stored.bytes);
                }
                None if self.runs.has(seq) => {}
                None => {
                    self.step.waits.push((self.source, seq, stored.id));
                    return Ok(());
                }
            }
        }
        self.place(stored);
        match decoded {
            Ok((block, _)) => self.harvest.take(self.source, block),
            Err(error) => {
                tracing::debug!(%error, source = self.source, seq = stored.seq, "a block cannot be read");
                self.unreadable(stored);
            }
        }
        Ok(())
    }

    /// The blocks that wait for a key frame of `[first, end)`; they wait no longer.
    fn end_wait(&mut self, first: u64, end: u64) -> rusqlite::Result<Vec<Stored>> {
        let ids = derived::waiting(self.connection, self.source, first, end)?;
        if !ids.is_empty() {
            self.step.ended.push((self.source, first, end));
        }
        let blocks = ids.into_iter().map(|id| derived::block(self.connection, id));
        blocks.filter_map(Result::transpose).collect()
    }

    fn unreadable(&mut self, stored: &Stored) {
        self.place(stored);
        if let Ok((header, _)) = block::peek(&stored.bytes) {
            self.harvest.unreadable(self.source, &header);
        }
    }
}

/// The harvest together with what stands in the store.
fn merged(connection: &Connection, agent: Arc<str>, harvest: Harvest) -> rusqlite::Result<Changes> {
    let mut heard = Vec::new();
    for ((lane, link), seconds) in harvest.heard {
        let days = seconds
            .ranges()
            .iter()
            .flat_map(|&(from, to)| from.div_euclid(DAY_S)..=(to - 1).div_euclid(DAY_S));
        let days: BTreeSet<i64> = days.collect();
        for day in days {
            let mut known = derived::heard_of(connection, &agent, day, lane, link)?;
            known.add(&seconds.and(&Seconds::of(day * DAY_S, (day + 1) * DAY_S)));
            heard.push((day, (lane, link), known));
        }
    }
    let mut hours = Vec::new();
    for ((hour, channel), ucums) in harvest.hours {
        for (ucum, minutes) in ucums {
            let key = HourKey { hour, channel, ucum };
            let mut known = derived::hour(connection, &agent, &key)?;
            known.merge(&minutes);
            hours.push((key, known));
        }
    }
    // Neighbours in the table are written one after the other.
    hours.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Changes { agent, heard, hours, gaps: harvest.gaps, names: harvest.names })
}
