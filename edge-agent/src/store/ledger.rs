//! The rows of one log: given their seq, encoded once, committed together, read again, pruned when the hub has them.
//!
//! One table a lane, and the rowid is the seq: rows are appended at the end and found without an index.
//! `total` counts the lane's bytes up to and including the row, so that sums are differences and nothing is ever scanned.

use super::epochs::Present;
use super::file::{self, Unfit};
use crate::row::{Draft, HeldRow, Row};
use cotside_protocol::model::{Mono, Now, Provenance, Wall};
use cotside_protocol::wire::block::{self, Body, Encoder, Epoch, Gap, GapCause, Header};
use cotside_protocol::wire::topic::Lane;
use cotside_protocol::wire::upstream::LaneSeqs;
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
    pub(super) in_memory: bool,
    pub(super) present: Present,
    pub(super) trusted: Wall,
    pub(super) lanes: [LaneState; 3],
    /// Names the store whose word the acknowledgements are.
    pub(super) confirmed_by: Option<String>,
    pub(super) encoder: Encoder,
}

/// One lane of the log. What is acknowledged is the hub's word; the file holds a copy that may lag.
#[derive(Clone, Debug, Default)]
pub(super) struct LaneState {
    pub(super) next: u64,
    /// Bytes ever stored in this lane.
    pub(super) total: u64,
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
    pub(super) freed: u64,
}

impl LaneState {
    /// Where the row with this seq ends.
    pub(super) fn end_of(&self, seq: u64) -> u64 {
        self.gaps.get(&seq).map_or(seq + 1, |gap| gap.end)
    }

    /// Seqs in [first, end) that have no row of their own because a gap record stands for them.
    pub(super) fn replaced(&self, first: u64, end: u64) -> u64 {
        self.gaps.range(first..end).map(|(seq, gap)| gap.end.min(end) - seq - 1).sum()
    }

    /// The next row stands at the head of a group.
    pub(super) fn begin_group(&mut self) {
        self.group_at = None;
    }
}

impl Ledger {
    /// A log in a file, going on in the epoch `fresh`, or why the file is not fit to be one. True: nothing was in it.
    pub(super) fn open(directory: &Path, life: Life, fresh: Epoch) -> Result<(Self, bool), Unfit> {
        let mut ledger = Self::over(file::open(directory)?, life, fresh);
        ledger.read()?;
        ledger.begin_epoch(fresh)?;
        let is_new = ledger.present.place == 1 && ledger.lanes.iter().all(|lane| lane.next == 0);
        Ok((ledger, is_new))
    }

    /// The same log without a file. `predecessor`: the epoch that it stands in for.
    pub(super) fn in_memory(life: Life, fresh: Epoch, predecessor: Option<Epoch>) -> rusqlite::Result<Self> {
        let mut ledger = Self::over(file::open_in_memory()?, life, fresh);
        ledger.in_memory = true;
        ledger.present.predecessor = predecessor;
        Ok(ledger)
    }

    fn over(db: Connection, life: Life, epoch: Epoch) -> Self {
        db.set_prepared_statement_cache_capacity(48);
        Self {
            db,
            life,
            in_memory: false,
            present: Present::new(epoch),
            trusted: Wall(0),
            lanes: std::array::from_fn(|_| LaneState::default()),
            confirmed_by: None,
            encoder: Encoder::new(),
        }
    }

    /// Takes up a log where it was left; looks at the last row of each lane and at nothing else.
    fn read(&mut self) -> Result<(), Unfit> {
        // Until the fresh epoch begins, everything belongs to earlier ones.
        self.present.first = LaneSeqs::each(|_| u64::MAX);
        self.confirmed_by = self
            .db
            .query_row("SELECT value FROM words WHERE name = 'confirmed-by'", [], |row| row.get(0))
            .optional()?;
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
                (state.next, state.total) = (state.end_of(seq), total);
                let owner = self.stretch_at(lane, seq)?.map(|stretch| stretch.epoch);
                if (Some(header.epoch), header.lane, header.seq) != (owner, lane, seq) {
                    return Err(Unfit::Damaged("its last row is not its own".into()));
                }
            }
            let counted = |what: &str| meta(&self.db, &format!("{what}-{}", lane.name()));
            let state = &mut self.lanes[lane as usize];
            // A log that was pruned empty still knows where it was.
            state.next = state.next.max(unsigned(counted("next")?.unwrap_or(0)));
            state.acked = Watermark::new(unsigned(counted("below")?.unwrap_or(0)).min(state.next));
            state.dropped = unsigned(counted("dropped")?.unwrap_or(0));
        }
        Ok(())
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
        let all = self.db.unchecked_transaction()?;
        if !self.present.is_written {
            self.write_epoch()?;
        }
        for draft in drafts {
            let state = &mut self.lanes[draft.lane as usize];
            let seq = state.next;
            let header = Header {
                lane: draft.lane,
                epoch: self.present.epoch,
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
        self.present.is_written = true;
        Ok(rows)
    }

    /// Rows from `from` on without a hole and of one epoch, at least one if it has any. What is missing becomes a gap record.
    pub(super) fn rows(
        &mut self,
        now: Now,
        lane: Lane,
        from: u64,
        bytes_max: usize,
    ) -> rusqlite::Result<Vec<HeldRow>> {
        let Some(stretch) = self.stretch_at(lane, from)? else { return Ok(Vec::new()) };
        self.recut(now, lane, from)?;
        let mut found = Vec::new();
        {
            let query = format!(
                "SELECT seq, bytes FROM {} WHERE seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT ?3",
                lane.name()
            );
            let mut query = self.db.prepare_cached(&query)?;
            let mut rows = query.query(params![signed(from), signed(stretch.end), READ_ROWS_MAX])?;
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
            held.push(match is_whole(stretch.epoch, lane, seq, &bytes) {
                true => HeldRow { seq, end, bytes: bytes.into() },
                false => self.replace_damaged(now, lane, seq, end, &bytes)?,
            });
            expected = end;
        }
        if held.is_empty() && from < stretch.end {
            held.push(self.fill(now, lane, from, stretch.end)?);
        }
        Ok(held)
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
        self.forget_epochs()
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
        if let Some(store) = &self.confirmed_by {
            let say =
                "INSERT INTO words VALUES ('confirmed-by', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1";
            all.execute(say, [store])?;
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

fn is_whole(epoch: Epoch, lane: Lane, seq: u64, bytes: &[u8]) -> bool {
    block::peek(bytes).is_ok_and(|(header, length)| {
        length == bytes.len() && (header.lane, header.seq, header.epoch) == (lane, seq, epoch)
    })
}

/// What the file knows of a row beside its bytes.
pub(super) struct Placed {
    pub(super) seq: u64,
    pub(super) until: Wall,
    pub(super) total: u64,
    pub(super) head: bool,
}

pub(super) fn put(all: &Transaction<'_>, lane: Lane, at: Placed, bytes: &[u8]) -> rusqlite::Result<()> {
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
pub(super) struct Neighbour {
    pub(super) total: u64,
    pub(super) length: u64,
    pub(super) until: Wall,
}

pub(super) fn neighbour(
    db: &Connection,
    lane: Lane,
    side: &str,
    seq: u64,
) -> rusqlite::Result<Option<Neighbour>> {
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

pub(super) fn set_meta(db: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2")?
        .execute(params![name, value])?;
    Ok(())
}

/// SQLite's integers are signed; seqs and sums never come near 2^63.
pub(super) fn signed(number: u64) -> i64 {
    number.cast_signed()
}

pub(super) fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}
