//! One disk cap: what the hub has goes first, then the oldest waveforms, then the oldest numerics, alarms never.
//!
//! What goes unseen by the hub leaves a gap record in its place, which stands for its seqs. Rows go in whole groups,
//! so that no delta is left without its key frame.

use super::ledger::{Ledger, signed};
use cotside_protocol::model::{Now, Wall};
use cotside_protocol::wire::block::{self, GapCause};
use cotside_protocol::wire::topic::Lane;
use rusqlite::{OptionalExtension, params};
use std::time::Duration;

/// One step of dropping gives back about this part of the cap.
const STEP_PARTS: u64 = 32;

/// Rows that gave way to a gap record, never seen by the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) lane: Lane,
    pub(super) first: u64,
    pub(super) end: u64,
}

impl Ledger {
    /// Frees space until at most `cap` bytes are used, or nothing is left that may go.
    pub(super) fn make_room(&mut self, now: Now, cap: u64) -> rusqlite::Result<Vec<Dropped>> {
        let mut dropped = Vec::new();
        while self.used_bytes()? > cap {
            if self.forget_acked()? {
                continue;
            }
            match self.drop_oldest(now, Lane::Waveform, cap / STEP_PARTS)? {
                Some(waveforms) => dropped.push(waveforms),
                None => match self.drop_oldest(now, Lane::Numeric, cap / STEP_PARTS)? {
                    Some(numerics) => dropped.push(numerics),
                    None => break,
                },
            }
        }
        Ok(dropped)
    }

    /// Deletes rows that the hub has, in the order of the lanes' worth. False: there are none.
    fn forget_acked(&mut self) -> rusqlite::Result<bool> {
        for lane in [Lane::Waveform, Lane::Numeric, Lane::Alarm] {
            let acked = self.lanes[lane as usize].acked.clone();
            let ranges = std::iter::once((0, acked.below())).chain(acked.ranges().iter().copied());
            for (first, end) in ranges {
                if self.delete(lane, first, end, Wall(i64::MAX))? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Replaces the oldest whole groups of at least `bytes` by a gap record.
    fn drop_oldest(&mut self, now: Now, lane: Lane, bytes: u64) -> rusqlite::Result<Option<Dropped>> {
        let Some((first, limit)) = self.oldest_run(lane)? else { return Ok(None) };
        let table = lane.name();
        let at = format!("SELECT total, bytes FROM {table} WHERE seq = ?1");
        let (total, head): (i64, Vec<u8>) =
            self.db.query_row(&at, [signed(first)], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let next_group = format!(
            "SELECT seq FROM {table} WHERE seq > ?1 AND seq <= ?2 AND head AND total >= ?3 ORDER BY seq LIMIT 1"
        );
        let enough = total.saturating_add(signed(bytes));
        let end: Option<i64> = self
            .db
            .query_row(&next_group, params![signed(first), signed(limit), enough], |row| row.get(0))
            .optional()?;
        let state = &self.lanes[lane as usize];
        let end = match end {
            Some(end) => end.cast_unsigned(),
            // The run ends at a gap or at rows the hub has: what follows does not need what goes.
            None if limit < state.next => limit,
            // The newest group is being written.
            None => return self.drop_whole_groups(now, lane, first),
        };
        self.drop_run(now, lane, first, end, &head)
    }

    /// Fewer bytes than asked for, but all whole groups before the newest.
    fn drop_whole_groups(&mut self, now: Now, lane: Lane, first: u64) -> rusqlite::Result<Option<Dropped>> {
        let newest = format!("SELECT seq FROM {} WHERE head ORDER BY seq DESC LIMIT 1", lane.name());
        let newest: Option<i64> = self.db.query_row(&newest, [], |row| row.get(0)).optional()?;
        let Some(end) = newest.map(i64::cast_unsigned).filter(|end| *end > first) else { return Ok(None) };
        let at = format!("SELECT bytes FROM {} WHERE seq = ?1", lane.name());
        let head: Vec<u8> = self.db.query_row(&at, [signed(first)], |row| row.get(0))?;
        self.drop_run(now, lane, first, end, &head)
    }

    fn drop_run(
        &mut self,
        now: Now,
        lane: Lane,
        first: u64,
        end: u64,
        head: &[u8],
    ) -> rusqlite::Result<Option<Dropped>> {
        let begin = block::peek(head).map_or(now.wall, |(header, _)| header.wall);
        let last = format!("SELECT until FROM {} WHERE seq < ?1 ORDER BY seq DESC LIMIT 1", lane.name());
        let until = Wall(self.db.query_row(&last, [signed(end)], |row| row.get(0))?);
        let span = Some((begin, until.max(begin + Duration::from_micros(1))));
        self.write_gap(now, lane, (first, end), (first, end), GapCause::DroppedByPolicy, span)?;
        Ok(Some(Dropped { lane, first, end }))
    }

    /// The oldest stretch of rows that the hub does not have and that are no gap record yet: [first, limit).
    fn oldest_run(&self, lane: Lane) -> rusqlite::Result<Option<(u64, u64)>> {
        let state = &self.lanes[lane as usize];
        let mut from = 0;
        while let Some(held) = self.row_at_or_after(lane, from)? {
            let (first, end) = state.acked.hole(held);
            if first > held {
                from = first;
                continue;
            }
            if let Some(gap) = state.gaps.get(&first) {
                from = gap.end;
                continue;
            }
            let gap = state.gaps.range(first..).next().map_or(u64::MAX, |(seq, _)| *seq);
            // A gap record stands for rows of one epoch.
            let owner = self.stretch_at(lane, first)?.map_or(state.next, |owner| owner.end);
            return Ok(Some((first, end.min(gap).min(owner))));
        }
        Ok(None)
    }
}
