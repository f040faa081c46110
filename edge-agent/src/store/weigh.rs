//! What waits in the log for the hub: rows, bytes, age, and whether any row vanished.

use super::ledger::{Ledger, signed, unsigned};
use cotside_protocol::model::Wall;
use cotside_protocol::wire::topic::Lane;
use cotside_protocol::wire::upstream::OutboxStatus;
use rusqlite::OptionalExtension;
use std::time::Duration;

/// Rows counted in one audit of a lane.
const AUDIT_ROWS: u64 = 4096;

impl Ledger {
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

    /// For the label: the hub has everything up to here.
    pub(super) fn settled(&self, now: Wall) -> rusqlite::Result<Wall> {
        let oldest = self.status(now)?.oldest_ms;
        Ok(now - Duration::from_millis(oldest))
    }
}
