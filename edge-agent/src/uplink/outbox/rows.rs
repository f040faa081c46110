//! Rows: the live position, and the holes behind it.

use super::{
    ALIVE_WITHIN, BACKLOG_BYTES_MAX, BACKLOG_PAYLOAD, Flight, Kind, LIVE_BYTES_MAX, LIVE_PAYLOAD, Outbox,
    Output, Phase,
};
use crate::row::{FromStore, HeldRow, Row};
use crate::store::Ask;
use bytes::{Bytes, BytesMut};
use cotside_protocol::model::Now;
use cotside_protocol::wire::topic::{Lane, Upstream};

impl Outbox {
    pub(super) fn hear_store(&mut self, now: Now, told: FromStore) {
        match told {
            FromStore::Stored(rows) => {
                for lane in Lane::ALL {
                    let of_lane: Vec<&Row> = rows.iter().filter(|row| row.lane == lane).collect();
                    self.send_live(now, lane, &of_lane);
                }
            }
            FromStore::Behind { epoch, next } if epoch == self.log.epoch => {
                for (lane, next) in self.lanes.iter_mut().zip([next.alarm, next.numeric, next.waveform]) {
                    lane.next = lane.next.max(next);
                }
            }
            FromStore::Behind { .. } => {}
            FromStore::Rows { lane, from, rows } => self.hear_rows(now, lane, from, &rows),
            FromStore::Dropped { lane, first, end } => {
                let in_flight =
                    |flight: &Flight| flight.lane == lane && flight.first < end && first < flight.end;
                // The hub may have some of them: its next welcome says which, and the gap record is cut to the rest.
                if self.phase == Phase::Open && self.flights.iter().any(in_flight) {
                    self.greet(now, 0);
                }
            }
            FromStore::Log(log) => {
                self.log = log;
                self.take_log();
                if !matches!(self.phase, Phase::Away | Phase::Refused { .. }) {
                    self.greet(now, 0);
                }
            }
            FromStore::Past { lane, from, epochs } => self.hear_past(now, lane, from, epochs),
        }
    }

    fn send_live(&mut self, now: Now, lane: Lane, rows: &[&Row]) {
        let Some(last) = rows.last() else { return };
        let state = &mut self.lanes[lane as usize];
        state.next = state.next.max(last.seq + 1);
        let mut rest = rows;
        while let Some(row) = rest.first() {
            if !self.may_send(now) || !self.has_live_room(lane) {
                return;
            }
            let mut count = 1;
            let mut bytes = row.bytes.len();
            while let Some(more) = rest.get(count)
                && more.seq == row.seq + count as u64
                && bytes + more.bytes.len() <= LIVE_PAYLOAD
            {
                bytes += more.bytes.len();
                count += 1;
            }
            let payload = join(rest[..count].iter().map(|row| &row.bytes), bytes);
            let (first, end) = (row.seq, row.seq + count as u64);
            if !self.lanes[lane as usize].sent.has(first) {
                self.send(now, Kind::Live, lane, (first, end), payload);
            }
            rest = &rest[count..];
        }
    }

    fn has_live_room(&self, lane: Lane) -> bool {
        // Alarms may use what other lanes must leave free.
        let (slots, bytes_max) = match lane {
            Lane::Alarm => (self.slots * 3 / 4, usize::MAX),
            Lane::Numeric | Lane::Waveform => (self.slots / 2, LIVE_BYTES_MAX),
        };
        self.untaken_of(Kind::Live) < slots && self.bytes_in_flight(false) < bytes_max
    }

    /// Asks for the rows of the first hole, alarm lane first.
    pub(super) fn send_backlog(&mut self, now: Now) {
        if !self.may_send(now) || self.asked.is_some() || self.untaken_of(Kind::Backlog) >= self.slots / 4 {
            return;
        }
        let room = BACKLOG_BYTES_MAX.saturating_sub(self.bytes_in_flight(true));
        // One row may be longer than the room that is left: a little room is none.
        if room < BACKLOG_PAYLOAD {
            return;
        }
        if let Some((lane, from)) = self.first_hole() {
            self.asked = Some((lane, from, now.mono));
            self.out.push_back(Output::Store(Ask::Rows { lane, from, bytes_max: BACKLOG_PAYLOAD }));
        }
    }

    /// Where the hub has said what it holds, the first row it lacks: alarm lane first, earlier epochs first.
    fn first_hole(&self) -> Option<(Lane, u64)> {
        Lane::ALL.into_iter().find_map(|lane| {
            let state = &self.lanes[lane as usize];
            let present = (self.log.first.of(lane), state.next);
            let hole_in = |(first, end)| Some(state.sent.hole(first).0).filter(|hole| *hole < end);
            self.recalled.stretches(lane).chain([present]).find_map(hole_in).map(|hole| (lane, hole))
        })
    }

    fn hear_rows(&mut self, now: Now, lane: Lane, from: u64, rows: &[HeldRow]) {
        if self.asked.is_none_or(|(asked, first, _)| (asked, first) != (lane, from)) {
            return;
        }
        if rows.is_empty() {
            // The store cannot read just now; the question is asked again in its time.
            return;
        }
        self.asked = None;
        if !self.may_send(now) {
            return;
        }
        let (first, hole_end) = self.lanes[lane as usize].sent.hole(from);
        if first != from {
            return;
        }
        let wanted: Vec<&HeldRow> = rows.iter().take_while(|row| row.seq < hole_end).collect();
        let Some(last) = wanted.last() else { return };
        let bytes = wanted.iter().map(|row| row.bytes.len()).sum();
        let payload = join(wanted.iter().map(|row| &row.bytes), bytes);
        self.send(now, Kind::Backlog, lane, (from, last.end), payload);
    }

    fn send(&mut self, now: Now, kind: Kind, lane: Lane, (first, end): (u64, u64), payload: Bytes) {
        let backlog = kind == Kind::Backlog;
        self.lanes[lane as usize].sent.insert(first, end);
        self.flights.push(Flight { lane, first, end, bytes: payload.len(), backlog, at: now.mono });
        let topic = if backlog { Upstream::Backlog(lane) } else { Upstream::Live(lane) };
        self.publish(Some(kind), topic, payload);
    }

    pub(super) fn may_send(&self, now: Now) -> bool {
        self.phase == Phase::Open && now.mono.since(self.alive_at) < ALIVE_WITHIN
    }

    fn bytes_in_flight(&self, backlog: bool) -> usize {
        self.flights.iter().filter(|flight| flight.backlog == backlog).map(|flight| flight.bytes).sum()
    }

    pub(super) fn untaken_of(&self, kind: Kind) -> usize {
        self.untaken.values().filter(|other| **other == kind).count()
    }
}

fn join<'a>(mut parts: impl ExactSizeIterator<Item = &'a Bytes>, bytes: usize) -> Bytes {
    if parts.len() == 1 {
        return parts.next().cloned().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(bytes);
    parts.for_each(|part| whole.extend_from_slice(part));
    whole.freeze()
}
