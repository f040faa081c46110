//! Earlier epochs of the log: the hub is asked what it holds of them, a few at a time, and what it lacks is backlog.
//!
//! The alarm lane of all of them comes first, then their numerics, then their waveforms, the oldest epoch first in each. The first
//! round asks about every epoch, so that a hub that has lost some of what it once confirmed gets it again while the log still holds it.

use super::{ASK_EVERY, Kind, Outbox, Output, PROGRESS_WITHIN, Phase};
use crate::row::Past;
use crate::store::Ask;
use cotside_protocol::model::{Mono, Now};
use cotside_protocol::wire::block::Epoch;
use cotside_protocol::wire::convert::hex;
use cotside_protocol::wire::topic::{Lane, Upstream};
use cotside_protocol::wire::upstream::{PastEpoch, Recall};
use cotside_protocol::wire::watermark::Watermark;

/// How far the rounds have come.
#[derive(Debug)]
pub(super) struct Recalled {
    lane: Lane,
    /// The place of the next epoch to ask the store for.
    from: u64,
    epochs: Vec<Asked>,
    /// A question to the store is open.
    asked_at: Option<Mono>,
    /// A recall is out, and the hub has not told of all of its epochs.
    recalled_at: Option<Mono>,
    is_over: bool,
}

#[derive(Debug)]
struct Asked {
    past: Past,
    /// The hub has said what it holds of it.
    is_told: bool,
}

impl Default for Recalled {
    fn default() -> Self {
        Self {
            lane: Lane::Alarm,
            from: 0,
            epochs: Vec::new(),
            asked_at: None,
            recalled_at: None,
            is_over: false,
        }
    }
}

impl Recalled {
    /// A hub that welcomes has forgotten what was recalled; the round goes on where it was.
    pub(super) fn resume(&mut self) {
        self.from = self.epochs.first().map_or(self.from, |asked| asked.past.place);
        self.epochs.clear();
        (self.asked_at, self.recalled_at) = (None, None);
    }

    /// Earlier epochs whose rows of this lane may go.
    pub(super) fn stretches(&self, lane: Lane) -> impl Iterator<Item = (u64, u64)> {
        let told = self.epochs.iter().filter(move |asked| asked.is_told && self.lane == lane);
        told.map(move |asked| (asked.past.first.of(lane), asked.past.end.of(lane)))
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        let asked = self.asked_at.map(|at| at + ASK_EVERY);
        asked.into_iter().chain(self.recalled_at.map(|at| at + PROGRESS_WITHIN)).min()
    }
}

impl Outbox {
    /// Goes on with the rounds: the next epochs once the hub has all it lacked of these.
    pub(super) fn recall(&mut self, now: Now) {
        if self.phase != Phase::Open || self.recalled.is_over {
            return;
        }
        let recalled = &mut self.recalled;
        if recalled.recalled_at.is_some_and(|at| now.mono.since(at) >= PROGRESS_WITHIN) {
            // The recall or its answer was lost: the conversation begins anew.
            return self.greet(now, 0);
        }
        let lane = recalled.lane;
        let acked = &self.lanes[lane as usize].acked;
        let is_held = |asked: &Asked| {
            asked.is_told && acked.has_all(asked.past.first.of(lane), asked.past.end.of(lane))
        };
        if let Some(last) = recalled.epochs.last()
            && recalled.epochs.iter().all(is_held)
        {
            recalled.from = last.past.place + 1;
            recalled.epochs.clear();
        }
        if recalled.epochs.is_empty() && recalled.asked_at.is_none_or(|at| now.mono.since(at) >= ASK_EVERY) {
            recalled.asked_at = Some(now.mono);
            self.out.push_back(Output::Store(Ask::Past { lane, from: recalled.from }));
        }
    }

    pub(super) fn hear_past(&mut self, now: Now, lane: Lane, from: u64, epochs: Vec<Past>) {
        let recalled = &mut self.recalled;
        let is_asked = recalled.asked_at.is_some() && (recalled.lane, recalled.from) == (lane, from);
        if !is_asked || self.phase != Phase::Open {
            return;
        }
        recalled.asked_at = None;
        if epochs.is_empty() {
            let next = Lane::ALL.into_iter().skip_while(|other| *other != lane).nth(1);
            recalled.is_over = next.is_none();
            (recalled.lane, recalled.from) = (next.unwrap_or(Lane::Alarm), 0);
            return;
        }
        let confirmed_by = &self.log.confirmed_by;
        let named = epochs.iter().map(|past| PastEpoch {
            epoch: hex(past.epoch.0),
            predecessor: past.predecessor.map(|epoch| hex(epoch.0)),
            first: past.first,
            next: past.end,
            confirmed: past.confirmed,
            confirmed_by: confirmed_by.clone(),
            disputed: past.disputed,
        });
        let recall = Recall { epochs: named.collect() };
        recalled.recalled_at = Some(now.mono);
        recalled.epochs = epochs.into_iter().map(|past| Asked { past, is_told: false }).collect();
        self.publish_json(Some(Kind::Recall), Upstream::Recall, &recall);
    }

    /// The hub's word on an earlier epoch, by lane. False: it was not asked for.
    pub(super) fn hear_of_past(&mut self, now: Now, epoch: Epoch, said: &[(Lane, Watermark)]) -> bool {
        let Some(asked) = self.recalled.epochs.iter_mut().find(|asked| asked.past.epoch == epoch) else {
            return false;
        };
        let is_first = !std::mem::replace(&mut asked.is_told, true);
        let past = asked.past.clone();
        for (lane, said) in said {
            let (first, end) = (past.first.of(*lane), past.end.of(*lane));
            let state = &mut self.lanes[*lane as usize];
            let before = state.acked.within(first, end);
            // What lies beyond the end was lost here and is held there, which does no harm.
            let mut held = said.within(first, end);
            if past.disputed {
                // Only what was sent in this conversation can be confirmed in it.
                held = in_both(&held, &state.sent, first, end);
                held = in_either(held, &before, end);
            } else if !is_first {
                held = in_either(held, &before, end);
            }
            state.acked.replace(first, end, &held);
            if is_first {
                state.sent.replace(first, end, &held);
            } else {
                let sent = in_either(state.sent.within(first, end), &held, end);
                state.sent.replace(first, end, &sent);
            }
            if held != before || is_first {
                self.progress_at = now.mono;
                self.settle(epoch, *lane, &held);
            }
        }
        if self.recalled.epochs.iter().all(|asked| asked.is_told) {
            self.recalled.recalled_at = None;
        }
        true
    }
}

fn in_either(mut mark: Watermark, other: &Watermark, end: u64) -> Watermark {
    mark.insert(0, other.below().min(end));
    other.ranges().iter().for_each(|&(from, to)| mark.insert(from, to.min(end)));
    mark
}

fn in_both(mark: &Watermark, other: &Watermark, first: u64, end: u64) -> Watermark {
    let mut both = mark.clone();
    let mut from = first;
    while from < end {
        let (hole, next) = other.hole(from);
        both.remove(hole, next.min(end).max(hole));
        from = next.max(hole + 1);
    }
    both
}
