//! The conversation: hello, welcome, acknowledgements, and the hub's heartbeat.

use super::past::Recalled;
use super::{DISPUTE_EVERY, HELLO_EVERY, Kind, Outbox, Output, Phase, TRUST_EVERY, Taken};
use crate::store::Ask;
use cotside_protocol::model::{Now, Wall};
use cotside_protocol::wire::block::Epoch;
use cotside_protocol::wire::convert::{from_hex, hex};
use cotside_protocol::wire::downstream::{Ack, Alive, LaneAck, Watch, Welcome};
use cotside_protocol::wire::topic::{Lane, Upstream};
use cotside_protocol::wire::upstream::{Hello, LaneSeqs, WIRE_VERSION};
use cotside_protocol::wire::watermark::Watermark;

impl Outbox {
    pub(super) fn greet(&mut self, now: Now, hellos: u32) {
        self.phase = Phase::Greeting { since: now.mono, hellos: hellos + 1 };
        self.flights.clear();
        self.asked = None;
        let lanes = &self.lanes;
        let first = self.log.first;
        let confirmed = |lane: Lane| {
            let state = &lanes[lane as usize];
            state.acked.hole(first.of(lane)).0.min(state.next)
        };
        let hello = Hello {
            wire: WIRE_VERSION,
            agent: self.agent.as_str().to_owned(),
            software: self.software.clone(),
            epoch: hex(self.log.epoch.0),
            predecessor: self.log.predecessor.map(|epoch| hex(epoch.0)),
            in_memory: self.log.in_memory,
            boot: format!("{:08x}", self.log.boot),
            provenance: self.provenance,
            wall_us: now.wall.0,
            first,
            next: LaneSeqs::each(|lane| lanes[lane as usize].next),
            confirmed: LaneSeqs::each(confirmed),
            confirmed_by: self.log.confirmed_by.clone(),
        };
        self.publish_json(Some(Kind::Hello), Upstream::Hello, &hello);
    }

    pub(super) fn welcome(&mut self, now: Now, welcome: Welcome) {
        if self.phase == Phase::Away {
            return;
        }
        if let Some(why) = welcome.refused {
            self.phase = Phase::Refused { since: now.mono };
            let detail = format!("The hub refuses this gateway: {why}");
            self.out.push_back(Output::Hub { reachable: false, detail, bed: welcome.bed });
            return;
        }
        let said = said_in(&welcome.acks);
        if self.is_beyond(&said) {
            return self.dispute(now);
        }
        let is_known = self.log.confirmed_by.as_ref() == Some(&welcome.store);
        let mut has_lost = false;
        if !is_known {
            self.log.confirmed_by = Some(welcome.store.clone());
            self.out.push_back(Output::Store(Ask::ConfirmedBy(welcome.store.clone())));
        }
        for (lane, said) in said {
            let (first, state) = (self.log.first.of(lane), &mut self.lanes[lane as usize]);
            has_lost |= !said.has_all(first, state.acked.hole(first).0.min(state.next));
            state.acked.replace(first, u64::MAX, &said);
            state.sent = state.acked.clone();
            let held = state.acked.within(first, state.next);
            self.settle(self.log.epoch, lane, &held);
        }
        self.recalled.resume();
        if has_lost || !is_known {
            // What it confirmed of earlier epochs may be lost as well.
            self.recalled = Recalled::default();
        }
        self.flights.clear();
        self.asked = None;
        self.phase = Phase::Open;
        self.hub_store = Some(welcome.store);
        (self.opened_at, self.alive_at, self.progress_at) = (now.mono, now.mono, now.mono);
        self.out.push_back(Output::Store(Ask::KeyFrame));
        self.trust(now, welcome.hub_wall_us);
        let detail = "The hub is heard.".to_owned();
        self.out.push_back(Output::Hub { reachable: true, detail, bed: welcome.bed });
        // The hub begins with the full state, whatever it heard before.
        self.announce_due = self.announce.is_some();
        self.send_status();
    }

    fn is_beyond(&self, said: &[(Lane, Watermark)]) -> bool {
        said.iter().any(|(lane, said)| said.end() > self.lanes[*lane as usize].next)
    }

    /// The hub claims rows of this epoch that were never written. Nothing is released on its word; the store begins another epoch,
    /// of which it has claimed nothing.
    fn dispute(&mut self, now: Now) {
        let is_again = self.disputed_at.is_some_and(|at| now.mono.since(at) < DISPUTE_EVERY);
        if is_again {
            self.phase = Phase::Refused { since: now.mono };
            let detail = "The hub claims data that this gateway never sent; nothing is sent to it for now.";
            self.out.push_back(Output::Hub { reachable: false, detail: detail.to_owned(), bed: None });
        } else {
            self.phase = Phase::Greeting { since: now.mono, hellos: 0 };
            self.disputed_at = Some(now.mono);
            self.out.push_back(Output::Store(Ask::Disputed { epoch: self.log.epoch }));
        }
        self.flights.clear();
        self.asked = None;
    }

    pub(super) fn acknowledge(&mut self, now: Now, ack: Ack) {
        let Some(epoch) = from_hex(&ack.epoch).map(Epoch) else { return };
        if self.phase != Phase::Open {
            return;
        }
        if self.hub_store.as_ref() != Some(&ack.store) {
            self.greet(now, 0);
            return;
        }
        let said = said_in(&ack.lanes);
        if epoch != self.log.epoch {
            self.strangers += u64::from(!self.hear_of_past(now, epoch, &said));
        } else if self.is_beyond(&said) {
            return self.dispute(now);
        } else {
            for (lane, said) in said {
                let state = &mut self.lanes[lane as usize];
                let before = state.acked.clone();
                let first = self.log.first.of(lane);
                for set in [&mut state.acked, &mut state.sent] {
                    set.insert(first, said.below());
                    said.ranges().iter().for_each(|&(first, end)| set.insert(first, end));
                }
                if state.acked != before {
                    self.progress_at = now.mono;
                    let held = state.acked.within(first, state.next);
                    self.settle(epoch, lane, &held);
                }
            }
        }
        let lanes = &self.lanes;
        self.flights.retain(|flight| lanes[flight.lane as usize].acked.hole(flight.first).0 < flight.end);
    }

    pub(super) fn hear_hub(&mut self, now: Now, alive: Alive) {
        match self.phase {
            Phase::Away | Phase::Greeting { .. } | Phase::Refused { .. } => {}
            Phase::Silent { .. } => self.greet(now, 0),
            Phase::Open if self.hub_store.as_ref() != Some(&alive.store) => self.greet(now, 0),
            Phase::Open => {
                self.alive_at = now.mono;
                self.trust(now, alive.hub_wall_us);
            }
        }
    }

    /// Who watches, by the hub's word on this epoch's beats. None: it has said nothing, and a lease that runs goes on to its end.
    pub fn watched(&self, alive: &Alive) -> Option<Watch> {
        let is_met = !alive.store.is_empty();
        match &alive.watch {
            None if is_met => {
                Some(Watch { why: "this hub does not say who watches".to_owned(), ..Watch::default() })
            }
            None => None,
            Some(watch) => (watch.epoch == hex(self.log.epoch.0)).then(|| watch.clone()),
        }
    }

    fn trust(&mut self, now: Now, hub_wall_us: i64) {
        if self.trusted_at.is_none_or(|at| now.mono.since(at) >= TRUST_EVERY) {
            self.trusted_at = Some(now.mono);
            self.out.push_back(Output::Store(Ask::Trusted(Wall(hub_wall_us))));
        }
    }

    pub(super) fn settle(&mut self, epoch: Epoch, lane: Lane, held: &Watermark) {
        let (below, ranges) = (held.below(), held.ranges().to_vec());
        self.out.push_back(Output::Store(Ask::Settled { epoch, lane, below, ranges }));
    }

    pub(super) fn fall_silent(&mut self, now: Now, why: &str) {
        self.phase = Phase::Silent { since: now.mono };
        self.flights.clear();
        self.asked = None;
        self.out.push_back(Output::Hub { reachable: false, detail: why.to_owned(), bed: None });
    }

    pub(super) fn taken(&mut self, now: Now, id: u64, taken: Taken) {
        let Some(kind) = self.untaken.remove(&id) else { return };
        self.taken_at = now.mono;
        match taken {
            Taken::Yes => {}
            Taken::NobodyListens if kind == Kind::Hello => {}
            Taken::NobodyListens if self.phase == Phase::Open => {
                self.fall_silent(now, "The broker is reached, but no hub listens behind it.");
            }
            Taken::NobodyListens => {}
            // It was not stored, or not wanted: the hub is asked what it has, but not at every row while it cannot store.
            Taken::Refused if self.phase == Phase::Open && now.mono.since(self.opened_at) >= HELLO_EVERY => {
                self.greet(now, 0);
            }
            Taken::Refused => {}
        }
    }
}

/// What is said to be committed, by lane.
fn said_in(acks: &[LaneAck]) -> Vec<(Lane, Watermark)> {
    let said = |ack: &LaneAck| {
        let lane = Lane::ALL.into_iter().find(|lane| lane.name() == ack.lane)?;
        let mut mark = Watermark::new(ack.below);
        ack.ranges.iter().for_each(|[first, end]| mark.insert(*first, *end));
        Some((lane, mark))
    };
    acks.iter().filter_map(said).collect()
}
