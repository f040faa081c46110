//! What of each lane was taken and what is committed, and whether a repetition is one.

use super::intake::Part;
use crate::store::blocks::{Known, Source, digest};
use cotside_protocol::wire::block::Epoch;
use cotside_protocol::wire::downstream::LaneAck;
use cotside_protocol::wire::topic::Lane;
use cotside_protocol::wire::watermark::Watermark;
use std::collections::VecDeque;

/// Checksums remembered per lane: half an hour of seconds, far more than is ever under way.
const DIGESTS_MAX: usize = 2048;

/// One epoch's lanes.
#[derive(Debug)]
pub(super) struct Lanes {
    epoch: Epoch,
    lanes: Vec<State>,
}

#[derive(Debug)]
struct State {
    lane: Lane,
    source: Source,
    /// Committed or on the way to it.
    taken: Watermark,
    committed: Watermark,
    /// Of the newest blocks, in the order in which they came.
    digests: VecDeque<(u64, u32)>,
    ack_due: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    New,
    Known,
    /// The same key with other content.
    Conflict,
    TooScattered,
}

impl Lanes {
    /// `known` holds every lane once, as the store answers.
    pub(super) fn new(epoch: Epoch, known: Vec<Known>) -> Self {
        let state = |known: Known| {
            let mut state = State {
                lane: known.lane,
                source: known.source,
                taken: known.mark.clone(),
                committed: known.mark,
                digests: VecDeque::new(),
                ack_due: false,
            };
            known.digests.into_iter().for_each(|(seq, digest)| state.remember(seq, digest));
            state
        };
        Self { epoch, lanes: known.into_iter().map(state).collect() }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn source(&self, lane: Lane) -> Source {
        self.state(lane).source
    }

    pub(super) fn take(&mut self, lane: Lane, part: &Part) -> Taken {
        let state = self.state_mut(lane);
        let (seq, digest) = (part.header.seq, digest(&part.bytes));
        if state.taken.has_all(seq, part.end) {
            // A gap record may stand for rows that had arrived before they were dropped: that is no second identity.
            let is_one = part.end == seq + 1;
            // It seldom comes to this, and then of what came last.
            let known = state.digests.iter().rev().find(|(known, _)| *known == seq);
            let differs = known.is_some_and(|(_, known)| *known != digest);
            state.ack_due = true;
            return if is_one && differs { Taken::Conflict } else { Taken::Known };
        }
        if state.taken.insert_bounded(seq, part.end).is_err() {
            return Taken::TooScattered;
        }
        state.remember(seq, digest);
        Taken::New
    }

    pub(super) fn committed(&mut self, lane: Lane, mark: Watermark) {
        let state = self.state_mut(lane);
        state.committed = mark;
        state.ack_due = true;
    }

    /// These are not on the way any more: they are taken when they come again.
    pub(super) fn not_committed(&mut self, lane: Lane, taken: &[(u64, u64)]) {
        let state = self.state_mut(lane);
        taken.iter().for_each(|&(first, end)| state.taken.remove(first, end));
        let committed = state.committed.clone();
        state.taken.insert(0, committed.below());
        committed.ranges().iter().for_each(|&(first, end)| state.taken.insert(first, end));
    }

    pub(super) fn acks(&self) -> Vec<LaneAck> {
        self.lanes.iter().map(State::ack).collect()
    }

    /// The lanes that moved since the last call.
    pub(super) fn take_acks(&mut self) -> Vec<LaneAck> {
        let due = self.lanes.iter_mut().filter(|state| state.ack_due);
        due.map(|state| {
            state.ack_due = false;
            state.ack()
        })
        .collect()
    }

    fn state(&self, lane: Lane) -> &State {
        self.lanes.iter().find(|state| state.lane == lane).expect("the store answers with every lane")
    }

    fn state_mut(&mut self, lane: Lane) -> &mut State {
        self.lanes.iter_mut().find(|state| state.lane == lane).expect("the store answers with every lane")
    }
}

impl State {
    fn ack(&self) -> LaneAck {
        LaneAck {
            lane: self.lane.name().to_owned(),
            below: self.committed.below(),
            ranges: self.committed.ranges().iter().map(|&(first, end)| [first, end]).collect(),
        }
    }

    fn remember(&mut self, seq: u64, digest: u32) {
        if self.digests.len() == DIGESTS_MAX {
            self.digests.pop_front();
        }
        self.digests.push_back((seq, digest));
    }
}
