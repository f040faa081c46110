//! The rows of one log: given their seq, encoded once, committed together, read again, pruned when the hub has them.
//!
//! One table a lane, and the rowid is the seq: rows are appended at the end and found without an index.
//! `total` counts the lane's bytes up to and including the row, so that sums are differences and nothing is ever scanned.

use super::file::{self, Label, Unfit};
use crate::row::{Draft, HeldRow, Log, Row};
use cotside_protocol::model::{Mono, Now, Provenance, Wall};
use cotside_protocol::wire::block::{self, Body, Decoder, Encoder, Epoch, Gap, GapCause, Header};
use cotside_protocol::wire::topic::Lane;
use cotside_protocol::wire::upstream::{LaneSeqs, OutboxStatus};
use cotside_protocol::wire::watermark::Watermark;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Waveform rows are dropped in groups of this length; numerics in groups of a key frame and what needs it.
const GROUP: Duration = Duration::from_secs(60);
/// Rows read for the uplink in one go, whatever their size.
const READ_ROWS_MAX: i64 = 256;
/// Rows deleted in one transaction.
const PRUNE_ROWS: u64 = 1024;
/// Rows counted in one audit of a lane.
const AUDIT_ROWS: u64 = 4096;
/// Transactions in which one lane is pruned, once a minute: faster than any bed writes.
const PRUNE_CHUNKS: usize = 8;

/// What stays the same while the agent runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) boot: u32,
    pub(super) provenance: Provenance,
}

pub(super) struct Ledger {
    pub(super) db: Connection,
    pub(super) life: Life,
    pub(super) epoch: Epoch,
    pub(super) predecessor: Option<Epoch>,
    pub(super) trusted: Wall,
    pub(super) lanes: [LaneState; 3],
    encoder: Encoder,
}

/// One lane of the log. What is acknowledged is the hub's word; the file holds a copy that may lag.
#[derive(Clone, Debug, Default)]
pub(super) struct LaneState {
    pub(super) next: u64,
    /// Bytes ever stored in this lane.
    total: u64,
    group_at: Option<Mono>,
    pub(super) acked: Watermark,
    /// Gap records that stand in place of rows, by their own seq.
    pub(super) gaps: BTreeMap<u64, GapRow>,
    pub(super) dropped: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GapRow {
    pub(super) end: u64,
    /// By how much the lane's `total` grows here although nothing is held.
    freed: u64,
}

impl LaneState {
    /// Where the row with this seq ends.
    fn end_of(&self, seq: u64) -> u64 {
        self.gaps.get(&seq).map_or(seq + 1, |gap| gap.end)
    }

    /// Seqs in [first, end) that have no row of their own because a gap record stands for them.
    fn replaced(&self, first: u64, end: u64) -> u64 {
        self.gaps.range(first..end).map(|(seq, gap)| gap.end.min(end) - seq - 1).sum()
    }
}

impl Ledger {
    /// A log in a file, or why the file is not fit to be one. The epoch is `fresh` if the log is new.
    pub(super) fn open(directory: &Path, life: Life, fresh: Epoch) -> Result<(Self, bool), Unfit> {
        let (db, is_new) = file::open(directory)?;
        let mut ledger = Self::over(db, life, fresh);
        if is_new {
            ledger.write_meta()?;
        } else {
            ledger.read()?;
        }
        Ok((ledger, is_new))
    }

    pub(super) fn in_memory(life: Life, fresh: Epoch) -> rusqlite::Result<Self> {
        let mut ledger = Self::over(file::open_in_memory()?, life, fresh);
        ledger.write_meta()?;
        Ok(ledger)
    }

    fn over(db: Connection, life: Life, epoch: Epoch) -> Self {
        db.set_prepared_statement_cache_capacity(32);
        let lanes = std::array::from_fn(|_| LaneState::default());
        Self { db, life, epoch, predecessor: None, trusted: Wall(0), lanes, encoder: Encoder::new() }
    }

    /// Takes up a log where it was left; looks at the last row of each lane and at nothing else.
    fn read(&mut self) -> Result<(), Unfit> {
        let epoch =
            meta(&self.db, "epoch")?.ok_or_else(|| Unfit::Damaged("it does not say its epoch".into()))?;
        self.epoch = Epoch(epoch.cast_unsigned());
        self.predecessor = meta(&self.db, "predecessor")?.map(|epoch| Epoch(epoch.cast_unsigned()));
        self.trusted = Wall(meta(&self.db, "trusted")?.unwrap_or(0));
        for lane in Lane::ALL {
            let state = &mut self.lanes[lane as usize];
            let mut gaps = self.db.prepare("SELECT seq, end, freed FROM gaps WHERE lane = ?1")?;
            let found = gaps.query_map([lane as i64], |row| {
                let gap = GapRow { end: unsigned(row.get(1)?), freed: unsigned(row.get(2)?) };
                Ok((unsigned(row.get(0)?), gap))
            })?;
            state.gaps = found.collect::<Result<_, _>>()?;
            let last = format!("SELECT seq, total, bytes FROM {} ORDER BY seq DESC LIMIT 1", lane.name());
            let last = self.db.query_row(&last, [], |row| {
                Ok((unsigned(row.get(0)?), unsigned(row.get(1)?), row.get::<_, Vec<u8>>(2)?))
            });
            if let Some((seq, total, bytes)) = last.optional()? {
                let (header, _) = block::peek(&bytes).map_err(|error| Unfit::Damaged(error.to_string()))?;
                if (header.epoch, header.lane, header.seq) != (self.epoch, lane, seq) {
                    return Err(Unfit::Damaged("its last row is not its own".into()));
                }
                (state.next, state.total) = (state.end_of(seq), total);
            }
            let counted = |what: &str| meta(&self.db, &format!("{what}-{}", lane.name()));
            // A log that was pruned empty still knows where it was.
            state.next = state.next.max(unsigned(counted("next")?.unwrap_or(0)));
            state.acked = Watermark::new(unsigned(counted("below")?.unwrap_or(0)).min(state.next));
            state.dropped = unsigned(counted("dropped")?.unwrap_or(0));
        }
        Ok(())
    }

    pub(super) fn log(&self) -> Log {
        let next = |lane: Lane| self.lanes[lane as usize].next;
        Log {
            epoch: self.epoch,
            predecessor: self.predecessor,
            boot: self.life.boot,
            next: LaneSeqs {
                alarm: next(Lane::Alarm),
                numeric: next(Lane::Numeric),
                waveform: next(Lane::Waveform),
            },
            trusted: self.trusted,
        }
    }

    /// The next numerics are a key frame.
    pub(super) fn key_frame(&mut self) {
        self.encoder.restart();
    }

    /// Commits drafts in one transaction. On an error nothing is stored and no seq is used.
    pub(super) fn append(&mut self, drafts: &[Draft]) -> rusqlite::Result<Vec<Row>> {
        let before = self.lanes.clone();
        let stored = self.append_all(drafts);
        if stored.is_err() {
            self.lanes = before;
            self.encoder.restart();
        }
        stored
    }

    fn append_all(&mut self, drafts: &[Draft]) -> rusqlite::Result<Vec<Row>> {
        let mut rows = Vec::with_capacity(drafts.len());
        let all = self.db.transaction()?;
        for draft in drafts {
            let state = &mut self.lanes[draft.lane as usize];
            let seq = state.next;
            let header = Header {
                lane: draft.lane,
                epoch: self.epoch,
                seq,
                provenance: draft.provenance,
                boot: self.life.boot,
                mono: draft.begin.mono,
                wall: draft.begin.wall,
                span_us: draft.span_us,
            };
            let bytes = encode(&mut self.encoder, &header, &draft.body);
            let head = match draft.lane {
                Lane::Numeric => block::key_seq(&bytes).is_ok_and(|key| key.is_none()),
                Lane::Alarm | Lane::Waveform => {
                    state.group_at.is_none_or(|begin| draft.begin.mono.since(begin) >= GROUP)
                }
            };
            if head {
                state.group_at = Some(draft.begin.mono);
            }
            state.next += 1;
            state.total += bytes.len() as u64;
            let until = draft.begin.wall + Duration::from_micros(u64::from(draft.span_us));
            put(&all, draft.lane, Placed { seq, until, total: state.total, head }, &bytes)?;
            rows.push(Row { lane: draft.lane, seq, bytes: bytes.into() });
        }
        all.commit()?;
        Ok(rows)
    }

    /// Rows from `from` on without a hole, at least one if there is any below `next`. What is missing becomes a gap record.
    pub(super) fn rows(
        &mut self,
        now: Now,
        lane: Lane,
        from: u64,
        bytes_max: usize,
    ) -> rusqlite::Result<Vec<HeldRow>> {
        self.recut(now, lane, from)?;
        let mut found = Vec::new();
        {
            let query =
                format!("SELECT seq, bytes FROM {} WHERE seq >= ?1 ORDER BY seq LIMIT ?2", lane.name());
            let mut query = self.db.prepare_cached(&query)?;
            let mut rows = query.query(params![signed(from), READ_ROWS_MAX])?;
            let mut size = 0;
            while let Some(row) = rows.next()? {
                let (seq, bytes) = (unsigned(row.get(0)?), row.get::<_, Vec<u8>>(1)?);
                size += bytes.len();
                if !found.is_empty() && size > bytes_max {
                    break;
                }
                found.push((seq, bytes));
            }
        }
        let mut held = Vec::with_capacity(found.len());
        let mut expected = from;
        for (seq, bytes) in found {
            if seq > expected {
                held.push(self.fill(now, lane, expected, seq)?);
            }
            let end = self.lanes[lane as usize].end_of(seq);
            held.push(match self.is_whole(lane, seq, &bytes) {
                true => HeldRow { seq, end, bytes: bytes.into() },
                false => self.replace_damaged(now, lane, seq, end, &bytes)?,
            });
            expected = end;
        }
        let next = self.lanes[lane as usize].next;
        if held.is_empty() && from < next {
            held.push(self.fill(now, lane, from, next)?);
        }
        Ok(held)
    }

    /// A gap record of which the hub already holds the first part stands for the rest only.
    fn recut(&mut self, now: Now, lane: Lane, from: u64) -> rusqlite::Result<()> {
        let cut = self.lanes[lane as usize].gaps.range(..from).next_back();
        let Some((seq, end)) = cut.map(|(seq, gap)| (*seq, gap.end)).filter(|(_, end)| *end > from) else {
            return Ok(());
        };
        let query = format!("SELECT bytes FROM {} WHERE seq = ?1", lane.name());
        let bytes: Option<Vec<u8>> = self.db.query_row(&query, [signed(seq)], |row| row.get(0)).optional()?;
        let block = bytes.and_then(|bytes| Decoder::new().decode(&bytes).ok());
        let (cause, span) = match block.map(|(block, _)| block.body) {
            Some(Body::Gap(gap)) => (gap.cause, Some((gap.from, gap.to))),
            Some(Body::Numerics(_) | Body::Waveforms(_) | Body::Record(_)) | None => {
                (GapCause::StoreLost, None)
            }
        };
        self.write_gap(now, lane, (seq, end), (from, end), cause, span)?;
        Ok(())
    }

    fn fill(&mut self, now: Now, lane: Lane, first: u64, end: u64) -> rusqlite::Result<HeldRow> {
        self.write_gap(now, lane, (first, end), (first, end), GapCause::StoreLost, None)
    }

    fn is_whole(&self, lane: Lane, seq: u64, bytes: &[u8]) -> bool {
        block::peek(bytes).is_ok_and(|(header, length)| {
            length == bytes.len() && (header.lane, header.seq, header.epoch) == (lane, seq, self.epoch)
        })
    }

    fn replace_damaged(
        &mut self,
        now: Now,
        lane: Lane,
        seq: u64,
        end: u64,
        bytes: &[u8],
    ) -> rusqlite::Result<HeldRow> {
        tracing::warn!(lane = lane.name(), seq, "a row was damaged on disk; a gap record stands for it");
        self.db
            .execute("INSERT INTO damaged VALUES (?1, ?2, ?3)", params![lane as i64, signed(seq), bytes])?;
        self.write_gap(now, lane, (seq, end), (seq, end), GapCause::StoreLost, None)
    }

    /// Replaces the rows of `old` by one gap record that stands for `new`. `span`: when the data was measured, if known.
    pub(super) fn write_gap(
        &mut self,
        now: Now,
        lane: Lane,
        old: (u64, u64),
        new: (u64, u64),
        cause: GapCause,
        span: Option<(Wall, Wall)>,
    ) -> rusqlite::Result<HeldRow> {
        let (first, end) = new;
        let all = self.db.transaction()?;
        let before = neighbour(&all, lane, "seq < ?1 ORDER BY seq DESC", old.0)?;
        let after = neighbour(&all, lane, "seq >= ?1 ORDER BY seq", end)?;
        // The lane's sum just before the row that follows, whatever became of the rows between.
        let total = after.map_or(self.lanes[lane as usize].total, |after| after.total - after.length);
        let freed = total.saturating_sub(before.map_or(0, |before| before.total));
        let unknown =
            (before.map_or(now.wall, |before| before.until), after.map_or(now.wall, |after| after.until));
        let (from, to) = span.unwrap_or(unknown);
        let body = Body::Gap(Gap { cause, link: None, from, to, seqs: Some(new), count: Some(end - first) });
        let header = Header {
            lane,
            epoch: self.epoch,
            seq: first,
            provenance: self.life.provenance,
            boot: self.life.boot,
            mono: now.mono,
            wall: from,
            span_us: u32::try_from(to.0.saturating_sub(from.0).max(0)).unwrap_or(u32::MAX),
        };
        let mut bytes = Vec::new();
        Encoder::new().encode(&header, &body, &mut bytes);
        let delete = format!("DELETE FROM {} WHERE seq >= ?1 AND seq < ?2", lane.name());
        all.execute(&delete, [signed(old.0), signed(end)])?;
        let forget = "DELETE FROM gaps WHERE lane = ?1 AND seq >= ?2 AND seq < ?3";
        all.execute(forget, params![lane as i64, signed(old.0), signed(end)])?;
        put(&all, lane, Placed { seq: first, until: to, total, head: true }, &bytes)?;
        let gap = GapRow { end, freed: freed.saturating_sub(bytes.len() as u64) };
        let remember = "INSERT INTO gaps VALUES (?1, ?2, ?3, ?4)";
        all.execute(remember, params![lane as i64, signed(first), signed(end), signed(gap.freed)])?;
        let mut dropped = self.lanes[lane as usize].dropped;
        if cause == GapCause::DroppedByPolicy && old == new {
            dropped += end - first;
            set_meta(&all, &format!("dropped-{}", lane.name()), signed(dropped))?;
        }
        all.commit()?;
        let state = &mut self.lanes[lane as usize];
        state.gaps.retain(|seq, _| !(old.0..end).contains(seq));
        state.gaps.insert(first, gap);
        state.dropped = dropped;
        if lane == Lane::Numeric {
            // The key frame of the minute may have been among the rows.
            self.encoder.restart();
        }
        Ok(HeldRow { seq: first, end, bytes: bytes.into() })
    }

    /// The hub's word on what it has committed in a lane.
    pub(super) fn settle(&mut self, lane: Lane, below: u64, ranges: &[(u64, u64)]) {
        let state = &mut self.lanes[lane as usize];
        let mut acked = Watermark::new(below.min(state.next));
        ranges.iter().for_each(|&(first, end)| acked.insert(first, end.min(state.next)));
        state.acked = acked;
    }

    /// Deletes rows that the hub has had for long enough, as many as a minute may take.
    pub(super) fn prune(&mut self, keep_from: Wall) -> rusqlite::Result<()> {
        for lane in Lane::ALL {
            let below = self.lanes[lane as usize].acked.below();
            let mut chunks = 0;
            while chunks < PRUNE_CHUNKS && self.delete(lane, 0, below, keep_from)? {
                chunks += 1;
            }
        }
        Ok(())
    }

    /// Deletes the oldest rows of [first, end), those that ended before `before` only. True: there may be more.
    pub(super) fn delete(
        &mut self,
        lane: Lane,
        first: u64,
        end: u64,
        before: Wall,
    ) -> rusqlite::Result<bool> {
        let Some(oldest) = self.row_at_or_after(lane, first)?.filter(|oldest| *oldest < end) else {
            return Ok(false);
        };
        let end = end.min(oldest + PRUNE_ROWS);
        let delete = format!("DELETE FROM {} WHERE seq >= ?1 AND seq < ?2 AND until < ?3", lane.name());
        let deleted = self.db.execute(&delete, params![signed(oldest), signed(end), before.0])?;
        if deleted > 0 {
            self.forget_gaps(lane, end)?;
        }
        Ok(deleted > 0)
    }

    fn forget_gaps(&mut self, lane: Lane, below: u64) -> rusqlite::Result<()> {
        let first = self.row_at_or_after(lane, 0)?.unwrap_or(below);
        let state = &mut self.lanes[lane as usize];
        if state.gaps.first_key_value().is_some_and(|(seq, _)| *seq < first) {
            state.gaps = state.gaps.split_off(&first);
            let forget = "DELETE FROM gaps WHERE lane = ?1 AND seq < ?2";
            self.db.execute(forget, params![lane as i64, signed(first)])?;
        }
        Ok(())
    }

    pub(super) fn row_at_or_after(&self, lane: Lane, seq: u64) -> rusqlite::Result<Option<u64>> {
        let first = format!("SELECT min(seq) FROM {} WHERE seq >= ?1", lane.name());
        let first: Option<i64> =
            self.db.prepare_cached(&first)?.query_row([signed(seq)], |row| row.get(0))?;
        Ok(first.map(unsigned))
    }

    /// Rows and bytes that the hub has not said it has.
    pub(super) fn status(&self, now: Wall) -> rusqlite::Result<OutboxStatus> {
        let mut status = OutboxStatus::default();
        for lane in Lane::ALL {
            let state = &self.lanes[lane as usize];
            status.dropped_rows += state.dropped;
            let mut from = 0;
            loop {
                let (first, end) = state.acked.hole(from);
                let end = end.min(state.next);
                if first >= end {
                    break;
                }
                status.waiting_rows += (end - first) - state.replaced(first, end);
                let (bytes, oldest) = self.weigh(lane, first, end)?;
                status.waiting_bytes += bytes;
                if let Some(until) = oldest {
                    let age = now.millis().saturating_sub(until.millis());
                    status.oldest_ms = status.oldest_ms.max(u64::try_from(age).unwrap_or(0));
                }
                from = end;
            }
        }
        Ok(status)
    }

    /// Bytes of the rows in [first, end), and when the first of them ended.
    fn weigh(&self, lane: Lane, first: u64, end: u64) -> rusqlite::Result<(u64, Option<Wall>)> {
        let head = format!(
            "SELECT total, length(bytes), until FROM {} WHERE seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT 1",
            lane.name()
        );
        let head = self.db.prepare_cached(&head)?.query_row([signed(first), signed(end)], |row| {
            Ok((unsigned(row.get(0)?), unsigned(row.get(1)?), Wall(row.get(2)?)))
        });
        let Some((head_total, length, until)) = head.optional()? else { return Ok((0, None)) };
        let tail = format!("SELECT total FROM {} WHERE seq < ?1 ORDER BY seq DESC LIMIT 1", lane.name());
        let tail: i64 = self.db.prepare_cached(&tail)?.query_row([signed(end)], |row| row.get(0))?;
        let inside = self.lanes[lane as usize].gaps.range(first + 1..end).map(|(_, gap)| gap.freed).sum();
        let bytes = (unsigned(tail).saturating_sub(head_total) + length).saturating_sub(inside);
        Ok((bytes, Some(until)))
    }

    /// Counts the oldest rows that the hub does not have against what was stored, acknowledged and dropped: how many are missing.
    pub(super) fn audit(&self, lane: Lane) -> rusqlite::Result<u64> {
        let state = &self.lanes[lane as usize];
        let (first, end) = state.acked.hole(0);
        // The hub may have the first part of what a gap record stands for.
        let cut = state.gaps.range(..first).next_back().map_or(first, |(_, gap)| gap.end);
        let first = first.max(cut);
        let end = end.min(state.next).min(first + AUDIT_ROWS);
        if first >= end {
            return Ok(0);
        }
        let count = format!("SELECT count(*) FROM {} WHERE seq >= ?1 AND seq < ?2", lane.name());
        let held: i64 =
            self.db.prepare_cached(&count)?.query_row([signed(first), signed(end)], |row| row.get(0))?;
        Ok((end - first - state.replaced(first, end)).saturating_sub(unsigned(held)))
    }

    /// The latest moment that is on disk: whatever the agent did after it is not.
    pub(super) fn heartbeat(&self) -> rusqlite::Result<Option<Wall>> {
        let mut latest = meta(&self.db, "heartbeat")?;
        for lane in Lane::ALL {
            let last = format!("SELECT until FROM {} ORDER BY seq DESC LIMIT 1", lane.name());
            latest = latest.max(self.db.query_row(&last, [], |row| row.get(0)).optional()?);
        }
        Ok(latest.map(Wall))
    }

    pub(super) fn beat(&mut self, now: Wall) -> rusqlite::Result<()> {
        set_meta(&self.db, "heartbeat", now.0)
    }

    /// Writes what the file should know beside the rows. Acknowledgements only: the hub says them again at every welcome.
    pub(super) fn write_meta(&mut self) -> rusqlite::Result<()> {
        let all = self.db.transaction()?;
        set_meta(&all, "epoch", self.epoch.0.cast_signed())?;
        if let Some(epoch) = self.predecessor {
            set_meta(&all, "predecessor", epoch.0.cast_signed())?;
        }
        set_meta(&all, "trusted", self.trusted.0)?;
        for lane in Lane::ALL {
            let state = &self.lanes[lane as usize];
            set_meta(&all, &format!("next-{}", lane.name()), signed(state.next))?;
            set_meta(&all, &format!("below-{}", lane.name()), signed(state.acked.below()))?;
            set_meta(&all, &format!("dropped-{}", lane.name()), signed(state.dropped))?;
        }
        all.commit()
    }

    /// For the label: the hub has everything up to here.
    pub(super) fn settled(&self, now: Wall) -> rusqlite::Result<Wall> {
        let oldest = self.status(now)?.oldest_ms;
        Ok(now - Duration::from_millis(oldest))
    }

    pub(super) fn name_predecessor(&mut self, label: Label) -> rusqlite::Result<()> {
        self.predecessor = label.epoch;
        self.write_meta()
    }

    pub(super) fn used_bytes(&self) -> rusqlite::Result<u64> {
        let number = |name: &str| self.db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let pages = number("page_count")? - number("freelist_count")?;
        Ok(unsigned(pages * number("page_size")?))
    }
}

fn encode(encoder: &mut Encoder, header: &Header, body: &Body) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1024);
    encoder.encode(header, body, &mut bytes);
    if bytes.len() <= block::BLOCK_BYTES_MAX {
        return bytes;
    }
    // No block may be longer; that it happened is said rather than swallowed.
    tracing::warn!(lane = header.lane.name(), bytes = bytes.len(), "a block is too long to be stored");
    let to = header.wall + Duration::from_micros(u64::from(header.span_us));
    let gap =
        Gap { cause: GapCause::Undecodable, link: None, from: header.wall, to, seqs: None, count: None };
    let mut bytes = Vec::new();
    encoder.restart();
    encoder.encode(header, &Body::Gap(gap), &mut bytes);
    bytes
}

/// What the file knows of a row beside its bytes.
struct Placed {
    seq: u64,
    until: Wall,
    total: u64,
    head: bool,
}

fn put(all: &Transaction<'_>, lane: Lane, at: Placed, bytes: &[u8]) -> rusqlite::Result<()> {
    let insert = match lane {
        Lane::Alarm => "INSERT INTO alarm VALUES (?1, ?2, ?3, ?4, ?5)",
        Lane::Numeric => "INSERT INTO numeric VALUES (?1, ?2, ?3, ?4, ?5)",
        Lane::Waveform => "INSERT INTO waveform VALUES (?1, ?2, ?3, ?4, ?5)",
    };
    let row = params![signed(at.seq), at.until.0, signed(at.total), at.head, bytes];
    all.prepare_cached(insert)?.execute(row)?;
    Ok(())
}

#[derive(Clone, Copy)]
struct Neighbour {
    total: u64,
    length: u64,
    until: Wall,
}

fn neighbour(db: &Connection, lane: Lane, side: &str, seq: u64) -> rusqlite::Result<Option<Neighbour>> {
    let query = format!("SELECT total, length(bytes), until FROM {} WHERE {side} LIMIT 1", lane.name());
    let row = db.query_row(&query, [signed(seq)], |row| {
        let (total, length) = (unsigned(row.get(0)?), unsigned(row.get(1)?));
        Ok(Neighbour { total, length, until: Wall(row.get(2)?) })
    });
    row.optional()
}

fn meta(db: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

fn set_meta(db: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2")?
        .execute(params![name, value])?;
    Ok(())
}

/// SQLite's integers are signed; seqs and sums never come near 2^63.
pub(super) fn signed(number: u64) -> i64 {
    number.cast_signed()
}

fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}
