//! The epochs of one log: every start of the agent begins another, and its name holds for the seqs from where it began.
//!
//! Seqs go on from one epoch to the next, so a row is found by its seq alone, and `(epoch, lane, seq)` is never used twice whatever
//! becomes of the file: what an older copy of it writes has another epoch. An epoch stays known until all its rows are gone.

use super::ledger::{LaneState, Ledger, signed, unsigned};
use crate::row::{Log, Past};
use cotside_protocol::wire::block::Epoch;
use cotside_protocol::wire::topic::Lane;
use cotside_protocol::wire::upstream::{LaneSeqs, Recall};
use cotside_protocol::wire::watermark::Watermark;
use rusqlite::{OptionalExtension, Row, params};

/// The epoch that is being written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Present {
    pub(super) place: u64,
    pub(super) epoch: Epoch,
    pub(super) predecessor: Option<Epoch>,
    pub(super) first: LaneSeqs,
    /// It is in the file: with its first row, or before any hub hears of it.
    pub(super) is_written: bool,
}

/// What one epoch has of one lane: [first, end).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) epoch: Epoch,
    pub(super) first: u64,
    pub(super) end: u64,
}

impl Present {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self { place: 1, epoch, predecessor: None, first: LaneSeqs::default(), is_written: false }
    }
}

impl Ledger {
    /// From here on rows belong to `fresh`. The file learns it with the next commit.
    pub(super) fn begin_epoch(&mut self, fresh: Epoch) -> rusqlite::Result<()> {
        let last = "SELECT place, epoch FROM epochs ORDER BY place DESC LIMIT 1";
        let last: Option<(i64, i64)> =
            self.db.query_row(last, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let lanes = &self.lanes;
        self.present = Present {
            place: last.map_or(1, |(place, _)| unsigned(place) + 1),
            epoch: fresh,
            predecessor: last.map_or(self.present.predecessor, |(_, epoch)| Some(Epoch(unsigned(epoch)))),
            first: LaneSeqs::each(|lane| lanes[lane as usize].next),
            is_written: false,
        };
        // Nothing may need a key frame of another epoch, and no group goes on into this one.
        self.key_frame();
        self.lanes.iter_mut().for_each(LaneState::begin_group);
        Ok(())
    }

    /// Begins another epoch in the same file, because of this one the hub claims rows that were never written.
    pub(super) fn dispute(&mut self, fresh: Epoch) -> rusqlite::Result<()> {
        let disputed = self.present.epoch;
        self.db.execute("UPDATE epochs SET disputed = 1 WHERE epoch = ?1", [signed(disputed.0)])?;
        self.begin_epoch(fresh)?;
        self.append(&[]).map(drop)
    }

    pub(super) fn write_epoch(&self) -> rusqlite::Result<()> {
        let present = &self.present;
        let first = present.first;
        self.db.execute(
            "INSERT INTO epochs VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6)",
            params![
                signed(present.place),
                signed(present.epoch.0),
                present.predecessor.map(|epoch| signed(epoch.0)),
                signed(first.alarm),
                signed(first.numeric),
                signed(first.waveform)
            ],
        )?;
        Ok(())
    }

    pub(super) fn log(&self) -> Log {
        Log {
            epoch: self.present.epoch,
            predecessor: self.present.predecessor,
            in_memory: self.in_memory,
            boot: self.life.boot,
            first: self.present.first,
            next: LaneSeqs::each(|lane| self.lanes[lane as usize].next),
            confirmed: LaneSeqs::each(|lane| self.lanes[lane as usize].acked.below()),
            confirmed_by: self.confirmed_by.clone(),
            trusted: self.trusted,
        }
    }

    /// Whose the row with this seq is, and how far its epoch reaches.
    /// None: it is older than every epoch that is still known.
    pub(super) fn stretch_at(&self, lane: Lane, seq: u64) -> rusqlite::Result<Option<Stretch>> {
        let first = self.present.first.of(lane);
        if seq >= first {
            let end = self.lanes[lane as usize].next;
            return Ok(Some(Stretch { epoch: self.present.epoch, first, end }));
        }
        let begun = format!(
            "SELECT place, epoch, {0} FROM epochs WHERE {0} <= ?1 ORDER BY {0} DESC, place DESC LIMIT 1",
            lane.name()
        );
        let begun: Option<(i64, i64, i64)> = self
            .db
            .prepare_cached(&begun)?
            .query_row([signed(seq)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((place, epoch, first)) = begun else { return Ok(None) };
        let end = self.end_after(lane, unsigned(place))?;
        Ok(Some(Stretch { epoch: Epoch(unsigned(epoch)), first: unsigned(first), end }))
    }

    fn end_after(&self, lane: Lane, place: u64) -> rusqlite::Result<u64> {
        let next = format!("SELECT {} FROM epochs WHERE place = ?1", lane.name());
        let next: Option<i64> =
            self.db.prepare_cached(&next)?.query_row([signed(place + 1)], |row| row.get(0)).optional()?;
        Ok(next.map_or(self.present.first.of(lane), unsigned))
    }

    fn stretch_of(&self, epoch: Epoch, lane: Lane) -> rusqlite::Result<Option<Stretch>> {
        if epoch == self.present.epoch {
            return self.stretch_at(lane, self.present.first.of(lane));
        }
        let begun = format!("SELECT place, {} FROM epochs WHERE epoch = ?1", lane.name());
        let begun: Option<(i64, i64)> = self
            .db
            .prepare_cached(&begun)?
            .query_row([signed(epoch.0)], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((place, first)) = begun else { return Ok(None) };
        let end = self.end_after(lane, unsigned(place))?;
        Ok(Some(Stretch { epoch, first: unsigned(first), end }))
    }

    /// Earlier epochs from a place on, the oldest first, as many as one recall may name. For the alarm lane every one, so that the
    /// hub is asked about each; for the others those of which it lacks something.
    pub(super) fn past(&self, lane: Lane, from: u64) -> rusqlite::Result<Vec<Past>> {
        let mut found = Vec::new();
        let mut place = from;
        while found.len() < Recall::EPOCHS_MAX {
            if lane != Lane::Alarm {
                place = match self.lacking(lane, place)? {
                    Some(place) => place,
                    None => break,
                };
            }
            let Some(past) = self.past_at(place)? else { break };
            place = past.place + 1;
            found.push(past);
        }
        Ok(found)
    }

    /// The first place from `place` on whose epoch has rows in this lane that are not acknowledged.
    fn lacking(&self, lane: Lane, place: u64) -> rusqlite::Result<Option<u64>> {
        let first = format!("SELECT {} FROM epochs WHERE place >= ?1 ORDER BY place LIMIT 1", lane.name());
        let first: Option<i64> =
            self.db.prepare_cached(&first)?.query_row([signed(place)], |row| row.get(0)).optional()?;
        let Some(first) = first else { return Ok(None) };
        let (hole, _) = self.lanes[lane as usize].acked.hole(unsigned(first));
        if hole >= self.present.first.of(lane) {
            return Ok(None);
        }
        let begun = format!(
            "SELECT place FROM epochs WHERE {0} <= ?1 ORDER BY {0} DESC, place DESC LIMIT 1",
            lane.name()
        );
        let at: i64 = self.db.prepare_cached(&begun)?.query_row([signed(hole)], |row| row.get(0))?;
        Ok(Some(unsigned(at).max(place)))
    }

    fn past_at(&self, place: u64) -> rusqlite::Result<Option<Past>> {
        let query = "SELECT place, epoch, predecessor, disputed, alarm, numeric, waveform FROM epochs
                     WHERE place >= ?1 AND place < ?2 ORDER BY place LIMIT 1";
        let read = |row: &Row<'_>| {
            let first = LaneSeqs {
                alarm: unsigned(row.get(4)?),
                numeric: unsigned(row.get(5)?),
                waveform: unsigned(row.get(6)?),
            };
            let predecessor: Option<i64> = row.get(2)?;
            Ok(Past {
                place: unsigned(row.get(0)?),
                epoch: Epoch(unsigned(row.get(1)?)),
                predecessor: predecessor.map(|epoch| Epoch(unsigned(epoch))),
                disputed: row.get(3)?,
                first,
                end: first,
                confirmed: first,
            })
        };
        let past = self
            .db
            .prepare_cached(query)?
            .query_row([signed(place), signed(self.present.place)], read)
            .optional()?;
        let Some(mut past) = past else { return Ok(None) };
        let mut ends = [0; 3];
        for lane in Lane::ALL {
            ends[lane as usize] = self.end_after(lane, past.place)?;
        }
        past.end = LaneSeqs::each(|lane| ends[lane as usize]);
        past.confirmed = LaneSeqs::each(|lane| {
            let (hole, _) = self.lanes[lane as usize].acked.hole(past.first.of(lane));
            hole.min(past.end.of(lane))
        });
        Ok(Some(past))
    }

    /// The hub's word on what it has committed of one epoch in a lane: this, and nothing else of it.
    pub(super) fn settle(
        &mut self,
        epoch: Epoch,
        lane: Lane,
        below: u64,
        ranges: &[(u64, u64)],
    ) -> rusqlite::Result<()> {
        let Some(stretch) = self.stretch_of(epoch, lane)? else { return Ok(()) };
        let mut said = Watermark::new(below);
        ranges.iter().for_each(|&(first, end)| said.insert(first, end));
        self.lanes[lane as usize].acked.replace(stretch.first, stretch.end, &said);
        Ok(())
    }

    /// From now on what is confirmed is this store's word; what another one said of earlier epochs counts no longer.
    pub(super) fn confirmed_by(&mut self, store: &str) -> rusqlite::Result<()> {
        if self.confirmed_by.as_deref() == Some(store) {
            return Ok(());
        }
        if self.confirmed_by.is_some() {
            let oldest = self.past_at(0)?.map_or(self.present.first, |past| past.first);
            for lane in Lane::ALL {
                self.lanes[lane as usize].acked = Watermark::new(oldest.of(lane));
            }
        }
        self.confirmed_by = Some(store.to_owned());
        self.write_meta()
    }

    /// Forgets the oldest epochs of which the hub has everything and the file nothing any more.
    pub(super) fn forget_epochs(&mut self) -> rusqlite::Result<()> {
        let mut bounds = [0; 3];
        for lane in Lane::ALL {
            let state = &self.lanes[lane as usize];
            let held = self.row_at_or_after(lane, 0)?.unwrap_or(state.next);
            bounds[lane as usize] = signed(held.min(state.acked.below()));
        }
        // Each lane's firsts rise with the place, so what is before a fit place is fit.
        let kept = "SELECT max(place) FROM epochs WHERE alarm <= ?1 AND numeric <= ?2 AND waveform <= ?3";
        let kept: Option<i64> = self.db.query_row(kept, bounds, |row| row.get(0))?;
        if let Some(kept) = kept {
            self.db.execute("DELETE FROM epochs WHERE place < ?1", [kept])?;
        }
        Ok(())
    }
}
