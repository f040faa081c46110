//! The outbox: which rows the hub still needs, and when each may go.
//!
//! A conversation with the hub is hello, welcome, then rows. The welcome says what the hub has; every row it does not have
//! and that this conversation has not sent is a *hole*. New rows go at once and close their own hole: that is the live position.
//! Older holes are filled behind it, alarm lane first, with little in flight: that is the backlog position. Nothing else is remembered,
//! so whatever becomes of a connection, the next welcome starts from the truth. A row counts as delivered by the hub's
//! acknowledgement alone; MQTT's own only frees its slot.

use crate::row::{FromStore, HeldRow, Log, Row, UplinkRequest};
use crate::store::{Ask, Ranges};
use bytes::{Bytes, BytesMut};
use cotside_protocol::model::{Mono, Now, Wall};
use cotside_protocol::wire::convert::{from_hex, hex};
use cotside_protocol::wire::downstream::{Ack, Alive, LaneAck, Welcome};
use cotside_protocol::wire::topic::{AgentId, Lane, Upstream};
use cotside_protocol::wire::upstream::{Announce, Hello, LaneSeqs, Provenance, Status, WIRE_VERSION};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Backlog sent and not yet acknowledged, so that an alarm has at most this before it on the line.
const BACKLOG_BYTES_MAX: usize = 64 << 10;
const BACKLOG_PAYLOAD: usize = 16 << 10;
/// Live rows sent and not yet acknowledged; beyond it they wait on disk.
const LIVE_BYTES_MAX: usize = 256 << 10;
const LIVE_PAYLOAD: usize = 32 << 10;
/// Rows go only while the hub was heard within this time.
const ALIVE_WITHIN: Duration = Duration::from_secs(5);
/// A connection without a hub behind it is given up.
const SILENT_MAX: Duration = Duration::from_secs(30);
/// Rows in flight this long were lost on the way: the hub is asked what it has, or, if it acknowledges nothing at all,
/// the connection is given up.
const PROGRESS_WITHIN: Duration = Duration::from_secs(15);
const HELLO_EVERY: Duration = Duration::from_secs(5);
const HELLOS_MAX: u32 = 4;
const REFUSED_EVERY: Duration = Duration::from_secs(30);
/// An unanswered question to the store is asked again.
const ASK_EVERY: Duration = Duration::from_secs(5);
const TRUST_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub enum Input {
    /// The connection stands and `down/#` is subscribed; at most so many publishes may be unacknowledged by MQTT.
    Connected {
        slots: usize,
    },
    Disconnected,
    Store(FromStore),
    Bed(UplinkRequest),
    Welcome(Welcome),
    Ack(Ack),
    Alive(Alive),
    /// MQTT's word on a publish.
    Taken {
        id: u64,
        taken: Taken,
    },
    /// The deadline of `Output::Wait` is over.
    Timeout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Yes,
    /// The broker took it and nobody listens: it is not stored anywhere.
    NobodyListens,
    Refused,
}

#[derive(Debug, PartialEq)]
pub enum Output {
    /// QoS 1 with an id, QoS 0 without.
    Publish {
        id: Option<u64>,
        topic: Upstream,
        payload: Bytes,
    },
    Store(Ask),
    /// Throw the connection away and make another.
    Reconnect(&'static str),
    /// The hub is heard, or not, and why.
    Hub {
        reachable: bool,
        detail: String,
        bed: Option<String>,
    },
    /// Nothing to do before this instant.
    Wait(Mono),
}

/// Every row is in one of these. `stored = acked + waiting`; a gap record counts for the rows it stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub stored: u64,
    pub acked: u64,
    pub waiting: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No connection.
    Away,
    /// Hello is out, the welcome is not in.
    Greeting {
        since: Mono,
        hellos: u32,
    },
    Open,
    /// Connected, but no hub is heard.
    Silent {
        since: Mono,
    },
    /// The hub does not want this agent.
    Refused {
        since: Mono,
    },
}

#[derive(Debug, Default)]
struct LaneOut {
    next: u64,
    acked: Ranges,
    /// Acknowledged, or sent in this conversation.
    sent: Ranges,
}

/// A payload that was sent and is not acknowledged by the hub.
#[derive(Debug)]
struct Flight {
    lane: Lane,
    first: u64,
    end: u64,
    bytes: usize,
    backlog: bool,
    at: Mono,
}

pub struct Outbox {
    agent: AgentId,
    software: String,
    provenance: Provenance,
    log: Log,
    lanes: [LaneOut; 3],
    phase: Phase,
    /// The hub's store in this conversation.
    hub_store: Option<String>,
    slots: usize,
    /// Publishes that MQTT has not acknowledged.
    untaken: BTreeMap<u64, Kind>,
    flights: Vec<Flight>,
    asked: Option<(Lane, u64, Mono)>,
    alive_at: Mono,
    progress_at: Mono,
    trusted_at: Option<Mono>,
    announce: Option<Announce>,
    /// The latest announce has not gone out yet.
    announce_due: bool,
    status: Option<Status>,
    next_id: u64,
    out: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Live,
    Backlog,
    Announce,
    Hello,
}

impl Outbox {
    pub fn new(agent: AgentId, software: String, provenance: Provenance, log: Log) -> Self {
        let mut outbox = Self {
            agent,
            software,
            provenance,
            lanes: Default::default(),
            log,
            phase: Phase::Away,
            hub_store: None,
            slots: 1,
            untaken: BTreeMap::new(),
            flights: Vec::new(),
            asked: None,
            alive_at: Mono(0),
            progress_at: Mono(0),
            trusted_at: None,
            announce: None,
            announce_due: false,
            status: None,
            next_id: 0,
            out: VecDeque::new(),
        };
        outbox.take_log();
        outbox
    }

    /// The name under which the next hello goes out.
    pub fn set_agent(&mut self, agent: AgentId) {
        self.agent = agent;
    }

    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Connected { slots } => {
                self.slots = slots.max(4);
                self.untaken.clear();
                self.greet(now, 0);
            }
            Input::Disconnected => {
                self.phase = Phase::Away;
                self.flights.clear();
                self.untaken.clear();
                self.asked = None;
            }
            Input::Store(told) => self.hear_store(now, told),
            Input::Bed(UplinkRequest::Announce(announce)) => {
                self.announce = Some(announce);
                self.announce_due = true;
            }
            Input::Bed(UplinkRequest::Status(status)) => {
                self.status = Some(status);
                if self.phase == Phase::Open {
                    self.send_status();
                }
            }
            Input::Welcome(welcome) => self.welcome(now, welcome),
            Input::Ack(ack) => self.acknowledge(now, ack),
            Input::Alive(alive) => self.hear_hub(now, alive),
            Input::Taken { id, taken } => self.taken(now, id, taken),
            Input::Timeout => {}
        }
    }

    pub fn poll(&mut self, now: Now) -> Output {
        if self.out.is_empty() {
            self.expire(now);
            self.send_announce();
            self.send_backlog(now);
        }
        self.out.pop_front().unwrap_or_else(|| Output::Wait(self.deadline(now)))
    }

    /// What became of every row.
    pub fn count(&self) -> Count {
        self.lanes.iter().fold(Count::default(), |sum, lane| {
            let acked = lane.acked.count_below(lane.next);
            Count {
                stored: sum.stored + lane.next,
                acked: sum.acked + acked,
                waiting: sum.waiting + lane.next - acked,
            }
        })
    }

    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    fn take_log(&mut self) {
        let next = [self.log.next.alarm, self.log.next.numeric, self.log.next.waveform];
        self.lanes = next.map(|next| LaneOut { next, ..LaneOut::default() });
        self.flights.clear();
        self.asked = None;
    }

    // The conversation.

    fn greet(&mut self, now: Now, hellos: u32) {
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

    fn welcome(&mut self, now: Now, welcome: Welcome) {
        if self.phase == Phase::Away {
            return;
        }
        if let Some(why) = welcome.refused {
            self.phase = Phase::Refused { since: now.mono };
            let detail = format!("The hub refuses this gateway: {why}");
            self.out.push_back(Output::Hub { reachable: false, detail, bed: welcome.bed });
            return;
        }
        let mut lanes: [Ranges; 3] = Default::default();
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

    fn acknowledge(&mut self, now: Now, ack: Ack) {
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
                said.above().iter().for_each(|&(first, end)| set.insert(first, end));
            }
            if state.acked != before {
                self.progress_at = now.mono;
                self.settle(lane);
            }
        }
        let lanes = &self.lanes;
        self.flights.retain(|flight| lanes[flight.lane as usize].acked.hole(flight.first).0 < flight.end);
    }

    fn hear_hub(&mut self, now: Now, alive: Alive) {
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
        let (epoch, below, ranges) = (self.log.epoch, acked.below(), acked.above().to_vec());
        self.out.push_back(Output::Store(Ask::Settled { epoch, lane, below, ranges }));
    }

    fn fall_silent(&mut self, now: Now, why: &str) {
        self.phase = Phase::Silent { since: now.mono };
        self.flights.clear();
        self.asked = None;
        self.out.push_back(Output::Hub { reachable: false, detail: why.to_owned(), bed: None });
    }

    fn taken(&mut self, now: Now, id: u64, taken: Taken) {
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

    // Rows.

    fn hear_store(&mut self, now: Now, told: FromStore) {
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
                if self.phase != Phase::Away {
                    self.greet(now, 0);
                }
            }
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
            if !self.lanes[lane as usize].sent.contains(first) {
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
    fn send_backlog(&mut self, now: Now) {
        if !self.may_send(now) || self.asked.is_some() || self.untaken_of(Kind::Backlog) >= self.slots / 4 {
            return;
        }
        let room = BACKLOG_BYTES_MAX.saturating_sub(self.bytes_in_flight(true));
        // One row may be longer than the room that is left: a little room is none.
        if room < BACKLOG_PAYLOAD {
            return;
        }
        let hole = Lane::ALL.into_iter().find_map(|lane| {
            let state = &self.lanes[lane as usize];
            let (first, _) = state.sent.hole(0);
            (first < state.next).then_some((lane, first))
        });
        if let Some((lane, from)) = hole {
            self.asked = Some((lane, from, now.mono));
            self.out.push_back(Output::Store(Ask::Rows { lane, from, bytes_max: BACKLOG_PAYLOAD }));
        }
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

    fn may_send(&self, now: Now) -> bool {
        self.phase == Phase::Open && now.mono.since(self.alive_at) < ALIVE_WITHIN
    }

    fn bytes_in_flight(&self, backlog: bool) -> usize {
        self.flights.iter().filter(|flight| flight.backlog == backlog).map(|flight| flight.bytes).sum()
    }

    fn untaken_of(&self, kind: Kind) -> usize {
        self.untaken.values().filter(|other| **other == kind).count()
    }

    // Announces and status: full states, so the latest is enough.

    fn send_announce(&mut self) {
        let is_connected = matches!(self.phase, Phase::Open | Phase::Greeting { .. });
        if !self.announce_due || !is_connected || self.untaken_of(Kind::Announce) >= (self.slots / 8).max(1) {
            return;
        }
        if let Some(mut announce) = self.announce.clone() {
            self.announce_due = false;
            announce.epoch = hex(self.log.epoch.0);
            self.publish_json(Some(Kind::Announce), Upstream::Announce, &announce);
        }
    }

    fn send_status(&mut self) {
        if let Some(mut status) = self.status.clone() {
            status.epoch = hex(self.log.epoch.0);
            self.publish_json(None, Upstream::Status, &status);
        }
    }

    fn publish_json(&mut self, kind: Option<Kind>, topic: Upstream, message: &impl serde::Serialize) {
        match serde_json::to_vec(message) {
            Ok(json) => self.publish(kind, topic, json.into()),
            Err(error) => tracing::error!(%error, topic = topic.path(), "a message could not be written"),
        }
    }

    fn publish(&mut self, kind: Option<Kind>, topic: Upstream, payload: Bytes) {
        let id = kind.map(|kind| {
            self.next_id += 1;
            self.untaken.insert(self.next_id, kind);
            self.next_id
        });
        self.out.push_back(Output::Publish { id, topic, payload });
    }

    // Time.

    fn expire(&mut self, now: Now) {
        match self.phase {
            Phase::Away => {}
            Phase::Greeting { since, hellos } if now.mono.since(since) >= HELLO_EVERY => {
                if hellos >= HELLOS_MAX {
                    self.out.push_back(Output::Reconnect("the hub does not answer hello"));
                    self.phase = Phase::Away;
                } else {
                    self.greet(now, hellos);
                }
            }
            Phase::Open if now.mono.since(self.alive_at) >= ALIVE_WITHIN => {
                self.fall_silent(now, "The hub has not been heard for 5 seconds.");
            }
            Phase::Open if self.overdue_at().is_some_and(|at| at <= now.mono) => {
                if now.mono.since(self.progress_at) < PROGRESS_WITHIN {
                    self.greet(now, 0);
                } else {
                    self.out.push_back(Output::Reconnect("the hub acknowledges nothing"));
                    self.phase = Phase::Away;
                }
            }
            Phase::Silent { since } if now.mono.since(since) >= SILENT_MAX => {
                self.out.push_back(Output::Reconnect("no hub is heard on this connection"));
                self.phase = Phase::Away;
            }
            Phase::Refused { since } if now.mono.since(since) >= REFUSED_EVERY => self.greet(now, 0),
            Phase::Greeting { .. } | Phase::Open | Phase::Silent { .. } | Phase::Refused { .. } => {}
        }
        if self.asked.is_some_and(|(_, _, at)| now.mono.since(at) >= ASK_EVERY) {
            self.asked = None;
        }
    }

    /// When the oldest flight counts as lost. Flights are kept in the order in which they were sent.
    fn overdue_at(&self) -> Option<Mono> {
        self.flights.first().map(|flight| flight.at + PROGRESS_WITHIN)
    }

    fn deadline(&self, now: Now) -> Mono {
        let by_phase = match self.phase {
            Phase::Away => now.mono + SILENT_MAX,
            Phase::Greeting { since, .. } => since + HELLO_EVERY,
            Phase::Open => {
                let silent_at = self.alive_at + ALIVE_WITHIN;
                self.overdue_at().map_or(silent_at, |at| at.min(silent_at))
            }
            Phase::Silent { since } => since + SILENT_MAX,
            Phase::Refused { since } => since + REFUSED_EVERY,
        };
        self.asked.map_or(by_phase, |(_, _, at)| by_phase.min(at + ASK_EVERY))
    }
}

fn lane_of(ack: &LaneAck) -> Option<Lane> {
    Lane::ALL.into_iter().find(|lane| lane.name() == ack.lane)
}

fn ranges_of(ack: &LaneAck) -> Ranges {
    let mut ranges = Ranges::new(ack.below);
    ack.ranges.iter().for_each(|[first, end]| ranges.insert(*first, *end));
    ranges
}

/// The end of what is said to be committed.
fn reaches(ranges: &Ranges) -> u64 {
    ranges.above().last().map_or(ranges.below(), |(_, end)| *end)
}

fn join<'a>(mut parts: impl ExactSizeIterator<Item = &'a Bytes>, bytes: usize) -> Bytes {
    if parts.len() == 1 {
        return parts.next().cloned().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(bytes);
    parts.for_each(|part| whole.extend_from_slice(part));
    whole.freeze()
}
