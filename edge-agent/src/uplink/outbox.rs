//! The outbox: which rows the hub still needs, and when each may go.
//!
//! A conversation with the hub is hello, welcome, then rows. The welcome says what the hub has; every row it does not have
//! and that this conversation has not sent is a *hole*. New rows go at once and close their own hole: that is the live position.
//! Older holes are filled behind it, alarm lane first, with little in flight: that is the backlog position. Nothing else is remembered,
//! so whatever becomes of a connection, the next welcome starts from the truth. A row counts as delivered by the hub's
//! acknowledgement alone; MQTT's own only frees its slot. Seqs go on from one epoch of the log to the next, so one set a lane says
//! what the hub has; rows are sent only where the hub has said what it holds: in the present epoch, and in those that were recalled.

mod conversation;
mod past;
mod rows;

use crate::row::{FromStore, Log, UplinkRequest};
use crate::store::Ask;
use bytes::Bytes;
use cotside_protocol::model::{Mono, Now};
use cotside_protocol::wire::convert::hex;
use cotside_protocol::wire::downstream::{Ack, Alive, Welcome};
use cotside_protocol::wire::topic::{AgentId, Lane, Upstream};
use cotside_protocol::wire::upstream::{Announce, Provenance, Status};
use cotside_protocol::wire::watermark::Watermark;
use past::Recalled;
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
/// Rows in flight this long were lost on the way, or not stored: the hub is asked what it has. If nothing at all is answered,
/// the connection is given up.
const PROGRESS_WITHIN: Duration = Duration::from_secs(15);
const HELLO_EVERY: Duration = Duration::from_secs(5);
const HELLOS_MAX: u32 = 4;
const REFUSED_EVERY: Duration = Duration::from_secs(30);
/// An unanswered question to the store is asked again.
const ASK_EVERY: Duration = Duration::from_secs(5);
const TRUST_EVERY: Duration = Duration::from_secs(60);
/// A hub that claims what was never written, and does so again within this time, is left alone for a while.
const DISPUTE_EVERY: Duration = Duration::from_secs(300);

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
    acked: Watermark,
    /// Acknowledged, or sent in this conversation.
    sent: Watermark,
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
    recalled: Recalled,
    disputed_at: Option<Mono>,
    /// Acknowledgements of epochs that were not asked for.
    strangers: u64,
    /// When the hub last welcomed.
    opened_at: Mono,
    alive_at: Mono,
    progress_at: Mono,
    /// When MQTT last answered a publish.
    taken_at: Mono,
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
    Recall,
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
            recalled: Recalled::default(),
            disputed_at: None,
            strangers: 0,
            opened_at: Mono(0),
            alive_at: Mono(0),
            progress_at: Mono(0),
            taken_at: Mono(0),
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
                self.status = Some(*status);
                if self.is_connected() {
                    self.send_status();
                }
            }
            Input::Bed(UplinkRequest::Reply(reply)) => {
                if self.is_connected() {
                    self.publish_json(None, Upstream::Reply, &reply);
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
            self.recall(now);
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

    /// Acknowledgements that were ignored, because nothing was asked about their epoch.
    pub fn strangers(&self) -> u64 {
        self.strangers
    }

    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Somebody may listen: a hub that cannot commit gives no heartbeat, and still shows alarms and states (H12).
    fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Greeting { .. } | Phase::Silent { .. })
    }

    fn take_log(&mut self) {
        self.lanes = Lane::ALL.map(|lane| {
            let acked = Watermark::new(self.log.confirmed.of(lane));
            LaneOut { next: self.log.next.of(lane), sent: acked.clone(), acked }
        });
        self.flights.clear();
        self.asked = None;
        self.recalled = Recalled::default();
    }

    // Announces and status: full states, so the latest is enough.

    fn send_announce(&mut self) {
        if !self.announce_due
            || !self.is_connected()
            || self.untaken_of(Kind::Announce) >= (self.slots / 8).max(1)
        {
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
                let said_at = self.progress_at.max(self.taken_at);
                if now.mono.since(said_at) < PROGRESS_WITHIN {
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
        let asked = self.asked.map(|(_, _, at)| at + ASK_EVERY);
        let recalled = self.recalled.deadline().filter(|_| self.phase == Phase::Open);
        [asked, recalled].into_iter().flatten().fold(by_phase, Mono::min)
    }
}
