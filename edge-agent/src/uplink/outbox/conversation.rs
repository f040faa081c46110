//! The conversation: hello, welcome, acknowledgements, and the hub's heartbeat.

use super::{Kind, Outbox, Output, Phase, TRUST_EVERY, Taken};
use crate::store::Ask;
use cotside_protocol::model::{Now, Wall};
use cotside_protocol::wire::convert::{from_hex, hex};
use cotside_protocol::wire::downstream::{Ack, Alive, LaneAck, Welcome};
use cotside_protocol::wire::topic::{Lane, Upstream};
use cotside_protocol::wire::upstream::{Hello, LaneSeqs, WIRE_VERSION};
use cotside_protocol::wire::watermark::Watermark;

impl Outbox {
    pub(super) fn greet(&mut self, now: Now, hellos: u32) {
        self.phase = Phase::Greeting { since: now.mono, hellos: hellos + 1 };
        self.flights.clear();
        self.asked = None;
        let [alarm, numeric, waveform] = [0, 1, 2].map(|lane: usize| self.lanes[lane].next);
        let hello = Hello {
            wire: WIRE_VERSION,
            agent: self.agent.as_str().to_owned(),
            software: self.software.clone(),
            epoch: hex(self.log.epoch.0),
            predecessor: self.log.predecessor.map(|epoch| hex(epoch.0)),
            boot: format!("{:08x}", self.log.boot),
            provenance: self.provenance,
            wall_us: now.wall.0,
            next: LaneSeqs { alarm, numeric, waveform },
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
        let mut lanes: [Watermark; 3] = Default::default();
        for ack in &welcome.acks {
            if let Some(lane) = lane_of(ack) {
                lanes[lane as usize] = ranges_of(ack);
            }
        }
        if Lane::ALL.into_iter().any(|lane| reaches(&lanes[lane as usize]) > self.lanes[lane as usize].next) {
            self.set_back(now);
            return;
        }
        for (lane, acked) in Lane::ALL.into_iter().zip(lanes) {
            let state = &mut self.lanes[lane as usize];
            state.sent = acked.clone();
            state.acked = acked;
            self.settle(lane);
        }
        self.flights.clear();
        self.asked = None;
        self.phase = Phase::Open;
        self.hub_store = Some(welcome.store);
        (self.alive_at, self.progress_at) = (now.mono, now.mono);
        self.out.push_back(Output::Store(Ask::KeyFrame));
        self.trust(now, welcome.hub_wall_us);
        let detail = "The hub is heard.".to_owned();
        self.out.push_back(Output::Hub { reachable: true, detail, bed: welcome.bed });
        // The hub begins with the full state, whatever it heard before.
        self.announce_due = self.announce.is_some();
        self.send_status();
    }

    /// The hub has more of this epoch than the log: an older copy was put back, and its next rows would be taken for duplicates.
    fn set_back(&mut self, now: Now) {
        self.phase = Phase::Refused { since: now.mono };
        self.out.push_back(Output::Store(Ask::SetBack { epoch: self.log.epoch }));
    }

    pub(super) fn acknowledge(&mut self, now: Now, ack: Ack) {
        if self.phase != Phase::Open || from_hex(&ack.epoch) != Some(self.log.epoch.0) {
            return;
        }
        if self.hub_store.as_ref() != Some(&ack.store) {
            self.greet(now, 0);
            return;
        }
        for said in &ack.lanes {
            let Some(lane) = lane_of(said) else { continue };
            let said = ranges_of(said);
            let state = &mut self.lanes[lane as usize];
            if reaches(&said) > state.next {
                self.set_back(now);
                return;
            }
            let before = state.acked.clone();
            for set in [&mut state.acked, &mut state.sent] {
                set.insert(0, said.below());
                said.ranges().iter().for_each(|&(first, end)| set.insert(first, end));
            }
            if state.acked != before {
                self.progress_at = now.mono;
                self.settle(lane);
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

    fn trust(&mut self, now: Now, hub_wall_us: i64) {
        if self.trusted_at.is_none_or(|at| now.mono.since(at) >= TRUST_EVERY) {
            self.trusted_at = Some(now.mono);
            self.out.push_back(Output::Store(Ask::Trusted(Wall(hub_wall_us))));
        }
    }

    fn settle(&mut self, lane: Lane) {
        let acked = &self.lanes[lane as usize].acked;
        let (epoch, below, ranges) = (self.log.epoch, acked.below(), acked.ranges().to_vec());
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
        match taken {
            Taken::Yes => {}
            Taken::NobodyListens if kind == Kind::Hello => {}
            Taken::NobodyListens if self.phase == Phase::Open => {
                self.fall_silent(now, "The broker is reached, but no hub listens behind it.");
            }
            Taken::NobodyListens => {}
            Taken::Refused => self.out.push_back(Output::Reconnect("a publish was refused")),
        }
    }
}

fn lane_of(ack: &LaneAck) -> Option<Lane> {
    Lane::ALL.into_iter().find(|lane| lane.name() == ack.lane)
}

fn ranges_of(ack: &LaneAck) -> Watermark {
    let mut ranges = Watermark::new(ack.below);
    ack.ranges.iter().for_each(|[first, end]| ranges.insert(*first, *end));
    ranges
}

/// The end of what is said to be committed.
fn reaches(ranges: &Watermark) -> u64 {
    ranges.ranges().last().map_or(ranges.below(), |(_, end)| *end)
}
