//! Gap records in place of rows: what was dropped, damaged or found missing is said in its own seqs, and never beyond its epoch.

use super::ledger::{GapRow, Ledger, Placed, neighbour, put, set_meta, signed};
use crate::row::HeldRow;
use cotside_protocol::model::{Now, Wall};
use cotside_protocol::wire::block::{Body, Decoder, Encoder, Gap, GapCause, Header};
use cotside_protocol::wire::topic::Lane;
use rusqlite::{OptionalExtension, params};

impl Ledger {
    /// A gap record of which the hub already holds the first part stands for the rest only.
    pub(super) fn recut(&mut self, now: Now, lane: Lane, from: u64) -> rusqlite::Result<()> {
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

    pub(super) fn fill(&mut self, now: Now, lane: Lane, first: u64, end: u64) -> rusqlite::Result<HeldRow> {
        self.write_gap(now, lane, (first, end), (first, end), GapCause::StoreLost, None)
    }

    pub(super) fn replace_damaged(
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
        let owner = self.stretch_at(lane, first)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        let all = self.db.unchecked_transaction()?;
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
            epoch: owner.epoch,
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
}
