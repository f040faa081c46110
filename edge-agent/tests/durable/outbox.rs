//! The outbox against a lossy, reordering, duplicating broker and a hub that crashes, in virtual time, from seeds.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use cotside_edge_agent::row::{FromStore, HeldRow, Log, Row, UplinkRequest};
use cotside_edge_agent::store::Ask;
use cotside_edge_agent::uplink::{Input, Outbox, Output, Taken};
use cotside_protocol::model::{Now, Wall};
use cotside_protocol::wire::block::Epoch;
use cotside_protocol::wire::convert::hex;
use cotside_protocol::wire::downstream::{Ack, Alive, LaneAck, Welcome};
use cotside_protocol::wire::topic::{AgentId, Lane, Upstream};
use cotside_protocol::wire::upstream::{Announce, Hello, LaneSeqs, Provenance};
use cotside_protocol::wire::watermark::Watermark;
use std::collections::BTreeMap;
use std::time::Duration;

const EPOCH: Epoch = Epoch(0xfeed);
const BACKLOG_MAX: usize = 64 << 10;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 16) % end
    }

    fn chance(&mut self, per_thousand: u64) -> bool {
        self.below(1000) < per_thousand
    }

    fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(low + self.below(high - low))
    }
}

/// A row as the model writes it: lane, seq, end, then filler.
fn row_bytes(lane: Lane, seq: u64, end: u64, filler: usize) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(lane as u8);
    bytes.put_u64(seq);
    bytes.put_u64(end);
    bytes.put_u32(filler as u32);
    bytes.put_bytes(seq as u8, filler);
    bytes.freeze()
}

fn read_rows(mut payload: Bytes) -> Vec<(Lane, u64, u64, Bytes)> {
    let mut rows = Vec::new();
    while payload.has_remaining() {
        let whole = payload.clone();
        let lane = Lane::ALL[usize::from(payload.get_u8())];
        let (seq, end) = (payload.get_u64(), payload.get_u64());
        let filler = payload.get_u32() as usize;
        payload.advance(filler);
        rows.push((lane, seq, end, whole.slice(..21 + filler)));
    }
    rows
}

/// What the hub has committed, and what it has not yet.
#[derive(Clone, Default)]
struct Hub {
    up: bool,
    store: u64,
    rows: [BTreeMap<u64, (u64, Bytes)>; 3],
    committed: [Watermark; 3],
    uncommitted: Vec<(Now, Lane, u64, u64, Bytes)>,
    duplicates: u64,
    conflicts: u64,
}

impl Hub {
    fn take(&mut self, due: Now, payload: Bytes) {
        self.uncommitted.extend(
            read_rows(payload).into_iter().map(|(lane, seq, end, bytes)| (due, lane, seq, end, bytes)),
        );
    }

    /// Commits what is due; true if there is something to acknowledge.
    fn commit(&mut self, now: Now) -> bool {
        let (due, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.uncommitted).into_iter().partition(|(due, ..)| due.mono <= now.mono);
        self.uncommitted = rest;
        for (_, lane, seq, end, bytes) in &due {
            let lane = *lane as usize;
            if self.committed[lane].has(*seq) {
                match self.rows[lane].get(seq) {
                    Some((_, held)) if held == bytes => self.duplicates += 1,
                    Some(_) | None => self.conflicts += 1,
                }
                continue;
            }
            self.rows[lane].insert(*seq, (*end, bytes.clone()));
            self.committed[lane].insert(*seq, *end);
        }
        !due.is_empty()
    }

    fn acks(&self) -> Vec<LaneAck> {
        let ack = |lane: Lane| LaneAck {
            lane: lane.name().into(),
            below: self.committed[lane as usize].below(),
            ranges: self.committed[lane as usize].ranges().iter().take(32).map(|&(a, b)| [a, b]).collect(),
        };
        Lane::ALL.into_iter().map(ack).collect()
    }

    fn store_name(&self) -> String {
        format!("store-{}", self.store)
    }
}

enum Message {
    Up { id: Option<u64>, topic: Upstream, payload: Bytes },
    Down(Box<Input>),
}

struct Weather {
    loss: u64,
    twice: u64,
    reorder: bool,
    cuts: u64,
    hub_crashes: u64,
    restores: bool,
    drops: bool,
    stored_lost: u64,
}

struct World {
    random: Random,
    now: Now,
    outbox: Outbox,
    weather: Weather,
    store: [Vec<HeldRow>; 3],
    settled: [Watermark; 3],
    next: [u64; 3],
    told: Vec<(Now, FromStore)>,
    hub: Hub,
    snapshot: Option<Hub>,
    hub_back_at: Now,
    connected: bool,
    connect_at: Now,
    wire: Vec<(Now, Message)>,
    last_on_wire: Now,
    /// Backlog payloads of this conversation that the outbox was not told are committed.
    backlog: Vec<(Lane, u64, u64, usize)>,
    acked_said: [Watermark; 3],
    alarms_at_once: u64,
    seed: u64,
}

impl World {
    fn new(seed: u64, weather: Weather) -> Self {
        let now = super::at(0);
        let log = Log {
            epoch: EPOCH,
            predecessor: None,
            in_memory: false,
            boot: 1,
            first: LaneSeqs::default(),
            next: LaneSeqs::default(),
            confirmed: LaneSeqs::default(),
            confirmed_by: None,
            trusted: Wall(0),
        };
        let agent = AgentId::new("gw-01").unwrap();
        Self {
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            now,
            outbox: Outbox::new(agent, "test".into(), Provenance::Simulated, log),
            weather,
            store: Default::default(),
            settled: Default::default(),
            next: [0; 3],
            told: Vec::new(),
            hub: Hub { up: true, ..Hub::default() },
            snapshot: None,
            hub_back_at: now,
            connected: false,
            connect_at: now,
            wire: Vec::new(),
            last_on_wire: now,
            backlog: Vec::new(),
            acked_said: Default::default(),
            alarms_at_once: 0,
            seed,
        }
    }

    fn feed(&mut self, input: Input) {
        if let Input::Ack(ack) = &input {
            self.note(&ack.lanes);
        }
        if let Input::Welcome(welcome) = &input {
            self.acked_said = Default::default();
            self.backlog.clear();
            self.note(&welcome.acks);
        }
        self.outbox.handle(self.now, input);
        self.drain();
    }

    fn note(&mut self, acks: &[LaneAck]) {
        for (lane, ack) in acks.iter().enumerate() {
            self.acked_said[lane].insert(0, ack.below);
            ack.ranges.iter().for_each(|[a, b]| self.acked_said[lane].insert(*a, *b));
        }
        let said = &self.acked_said;
        self.backlog.retain(|(lane, first, end, _)| said[*lane as usize].hole(*first).0 < *end);
    }

    fn drain(&mut self) {
        loop {
            match self.outbox.poll(self.now) {
                Output::Publish { id, topic, payload } => {
                    assert!(self.connected, "seed {}: a publish without a connection", self.seed);
                    if let Upstream::Backlog(_) = topic {
                        let rows = read_rows(payload.clone());
                        let (lane, first, end) = (rows[0].0, rows[0].1, rows[rows.len() - 1].2);
                        self.backlog.push((lane, first, end, payload.len()));
                        let in_flight: usize = self.backlog.iter().map(|(.., bytes)| bytes).sum();
                        assert!(in_flight <= BACKLOG_MAX, "seed {}: {in_flight} in flight", self.seed);
                    }
                    self.send(Message::Up { id, topic, payload }, self.weather.loss);
                }
                Output::Store(ask) => self.ask(ask),
                Output::Reconnect(_) => self.cut(),
                Output::Hub { .. } => {}
                Output::Wait(until) => {
                    assert!(until > self.now.mono || self.outbox.poll(self.now) == Output::Wait(until));
                    return;
                }
            }
        }
    }

    fn ask(&mut self, ask: Ask) {
        match ask {
            Ask::Rows { lane, from, bytes_max } => {
                if self.random.chance(self.weather.stored_lost) {
                    return;
                }
                let rows = self.read(lane, from, bytes_max);
                let due = self.now.after(self.random.millis(1, 30));
                self.tell(due, FromStore::Rows { lane, from, rows });
            }
            Ask::Settled { lane, below, ranges, .. } => {
                let mut settled = Watermark::new(below);
                ranges.iter().for_each(|&(a, b)| settled.insert(a, b));
                self.settled[lane as usize] = settled;
            }
            Ask::Past { lane, from } => {
                let now = self.now;
                self.tell(now, FromStore::Past { lane, from, epochs: Vec::new() });
            }
            Ask::Trusted(_) | Ask::KeyFrame | Ask::ConfirmedBy(_) => {}
            Ask::Disputed { .. } => panic!("seed {}: the log was not set back", self.seed),
        }
    }

    /// What the store tells arrives in the order it was said.
    fn tell(&mut self, due: Now, told: FromStore) {
        let last = self.told.last().map_or(due, |(last, _)| if last.mono > due.mono { *last } else { due });
        self.told.push((last, told));
    }

    fn read(&mut self, lane: Lane, from: u64, bytes_max: usize) -> Vec<HeldRow> {
        let rows = &mut self.store[lane as usize];
        let at = rows.partition_point(|row| row.end <= from);
        if let Some(row) = rows.get_mut(at)
            && row.seq < from
        {
            *row = HeldRow { seq: from, end: row.end, bytes: row_bytes(lane, from, row.end, 20) };
        }
        let mut size = 0;
        let fits = |row: &&HeldRow| {
            let first = size == 0;
            size += row.bytes.len();
            first || size <= bytes_max
        };
        rows[at..].iter().take_while(fits).cloned().collect()
    }

    /// The bed's second: some rows, sometimes an alarm; then what the store tells of them.
    fn commit_rows(&mut self) {
        let mut rows = Vec::new();
        for lane in Lane::ALL {
            let count = match lane {
                Lane::Alarm => u64::from(self.random.chance(100)),
                Lane::Numeric | Lane::Waveform => 1,
            };
            for _ in 0..count {
                let seq = self.next[lane as usize];
                let filler = match lane {
                    Lane::Alarm => 100,
                    Lane::Numeric => 60,
                    Lane::Waveform => 400 + self.random.below(2000) as usize,
                };
                let bytes = row_bytes(lane, seq, seq + 1, filler);
                self.next[lane as usize] = seq + 1;
                self.store[lane as usize].push(HeldRow { seq, end: seq + 1, bytes: bytes.clone() });
                rows.push(Row { lane, seq, bytes });
            }
        }
        let due = self.now.after(self.random.millis(0, 15));
        if self.random.chance(self.weather.stored_lost) {
            let next = LaneSeqs { alarm: self.next[0], numeric: self.next[1], waveform: self.next[2] };
            self.tell(due.after(Duration::from_millis(700)), FromStore::Behind { epoch: EPOCH, next });
        } else {
            self.tell(due, FromStore::Stored(rows));
        }
        if self.weather.drops && self.random.chance(20) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let lane = Lane::Waveform;
        let (first, end) = self.settled[2].hole(0);
        let rows = &mut self.store[2];
        let Some(begin) = rows.iter().position(|row| row.seq >= first && row.end == row.seq + 1) else {
            return;
        };
        let first = rows[begin].seq;
        let count =
            rows[begin..].iter().take(30).take_while(|row| row.end == row.seq + 1 && row.end <= end).count();
        if first >= end || count < 2 || begin + count + 5 > rows.len() {
            return;
        }
        let end = rows[begin + count - 1].end;
        rows.splice(
            begin..begin + count,
            [HeldRow { seq: first, end, bytes: row_bytes(lane, first, end, 20) }],
        );
        let now = self.now;
        self.tell(now, FromStore::Dropped { lane, first, end });
    }

    fn send(&mut self, message: Message, loss: u64) {
        if self.random.chance(loss) {
            return;
        }
        let mut due = self.now.after(self.random.millis(1, 60));
        if !self.weather.reorder {
            due = if due.mono < self.last_on_wire.mono { self.last_on_wire } else { due };
            self.last_on_wire = due;
        }
        self.wire.push((due, message));
    }

    fn cut(&mut self) {
        if self.connected {
            self.connected = false;
            self.wire.retain(|(_, message)| !matches!(message, Message::Down(_)));
            self.connect_at = self.now.after(self.random.millis(200, 3000));
            self.feed(Input::Disconnected);
        }
    }

    fn deliver(&mut self) {
        let mut due: Vec<(Now, Message)> = Vec::new();
        let mut rest = Vec::new();
        for (at, message) in std::mem::take(&mut self.wire) {
            if at.mono <= self.now.mono { due.push((at, message)) } else { rest.push((at, message)) }
        }
        self.wire = rest;
        due.sort_by_key(|(at, _)| at.mono);
        for (_, message) in due {
            match message {
                Message::Down(input) if self.connected => self.feed(*input),
                Message::Down(_) => {}
                Message::Up { id, topic, payload } => self.arrive(id, topic, payload),
            }
        }
    }

    fn arrive(&mut self, id: Option<u64>, topic: Upstream, payload: Bytes) {
        if let Some(id) = id {
            let taken =
                if self.hub.up || self.random.chance(700) { Taken::Yes } else { Taken::NobodyListens };
            self.send(Message::Down(Box::new(Input::Taken { id, taken })), 0);
        }
        if !self.hub.up {
            return;
        }
        match topic {
            Upstream::Hello => {
                let hello: Hello = serde_json::from_slice(&payload).unwrap();
                assert_eq!(hello.epoch, hex(EPOCH.0));
                let welcome = Welcome {
                    wire: 1,
                    store: self.hub.store_name(),
                    hub_wall_us: self.now.wall.0,
                    bed: Some("01".into()),
                    acks: self.hub.acks(),
                    limits: None,
                    refused: None,
                };
                self.send(Message::Down(Box::new(Input::Welcome(welcome))), self.weather.loss);
            }
            Upstream::Live(_) | Upstream::Backlog(_) => {
                let due = self.now.after(self.random.millis(2, 40));
                self.hub.take(due, payload.clone());
                if self.random.chance(self.weather.twice) {
                    self.hub.take(due.after(Duration::from_millis(20)), payload);
                }
            }
            Upstream::Announce | Upstream::Reply | Upstream::Status | Upstream::Recall => {}
        }
    }

    fn hub_turn(&mut self, calm: bool) {
        if !self.hub.up {
            if self.now.mono >= self.hub_back_at.mono {
                self.hub.up = true;
            }
            return;
        }
        if !calm && self.random.chance(self.weather.hub_crashes) {
            self.hub.uncommitted.clear();
            self.hub.up = false;
            self.hub_back_at = self.now.after(self.random.millis(100, 40_000));
            if self.weather.restores && self.random.chance(300) {
                let mut restored = self.snapshot.take().unwrap_or_default();
                (restored.up, restored.store) = (false, self.hub.store + 1);
                restored.uncommitted.clear();
                self.hub = restored;
            }
            return;
        }
        if self.weather.restores && self.random.chance(2) {
            self.snapshot = Some(self.hub.clone());
        }
        if self.hub.commit(self.now) {
            let ack = Ack { store: self.hub.store_name(), epoch: hex(EPOCH.0), lanes: self.hub.acks() };
            self.send(Message::Down(Box::new(Input::Ack(ack))), self.weather.loss);
        }
        if self.now.mono.0.is_multiple_of(1_000_000) {
            let alive =
                Alive { store: self.hub.store_name(), hub_wall_us: self.now.wall.0, ..Alive::default() };
            self.send(Message::Down(Box::new(Input::Alive(alive))), self.weather.loss);
        }
    }

    /// Ten milliseconds.
    fn step(&mut self, calm: bool) {
        self.now = self.now.after(Duration::from_millis(10));
        if self.now.mono.0.is_multiple_of(1_000_000) {
            self.commit_rows();
        }
        if !self.connected && self.now.mono >= self.connect_at.mono {
            self.connected = true;
            self.feed(Input::Connected { slots: 64 });
        }
        if !calm && self.connected && self.random.chance(self.weather.cuts) {
            self.cut();
        }
        self.deliver();
        self.hub_turn(calm);
        while self.told.first().is_some_and(|(due, _)| due.mono <= self.now.mono) {
            let (_, told) = self.told.remove(0);
            let alarm = match &told {
                FromStore::Stored(rows) => rows.iter().find(|row| row.lane == Lane::Alarm).map(|row| row.seq),
                _ => None,
            };
            let sent_before = self.wire.len();
            self.feed(Input::Store(told));
            if alarm.is_some() && self.outbox.is_open() && self.weather.loss == 0 {
                let sent = self.wire[sent_before..].iter().any(|(_, message)| {
                    matches!(message, Message::Up { topic: Upstream::Live(Lane::Alarm), .. })
                });
                assert!(sent, "seed {}: an alarm waited", self.seed);
                self.alarms_at_once += 1;
            }
        }
        self.feed(Input::Timeout);
        let count = self.outbox.count();
        assert_eq!(count.stored, count.acked + count.waiting);
    }

    fn run(&mut self, storm: Duration) {
        let end = self.now.after(storm);
        while self.now.mono < end.mono {
            self.step(false);
        }
        // The weather clears: everything must arrive.
        self.weather.loss = 0;
        self.weather.stored_lost = 0;
        let end = self.now.after(Duration::from_secs(600));
        while self.now.mono < end.mono {
            self.step(true);
            if self.outbox.count().waiting == 0 && self.told.is_empty() && self.outbox.count().stored > 0 {
                break;
            }
        }
        let count = self.outbox.count();
        assert_eq!(count.waiting, 0, "seed {}: {count:?}", self.seed);
        for lane in Lane::ALL {
            let hub = &self.hub.rows[lane as usize];
            assert_eq!(self.hub.committed[lane as usize].below(), self.next[lane as usize]);
            let held = &self.store[lane as usize];
            // A row the hub took before it was dropped here is there with its own bytes: more than the gap record says.
            if !self.weather.drops {
                assert_eq!(hub.len(), held.len(), "seed {} {lane:?}", self.seed);
                for row in held {
                    assert_eq!(hub.get(&row.seq), Some(&(row.end, row.bytes.clone())), "seed {}", self.seed);
                }
            }
        }
    }
}

fn calm() -> Weather {
    Weather {
        loss: 0,
        twice: 0,
        reorder: false,
        cuts: 0,
        hub_crashes: 0,
        restores: false,
        drops: false,
        stored_lost: 0,
    }
}

#[test]
fn every_row_reaches_the_hub_once_through_a_broker_that_loses_doubles_and_reorders() {
    let mut duplicates = 0;
    for seed in 1..=60 {
        let weather = Weather {
            loss: 30,
            twice: 30,
            reorder: true,
            cuts: 1,
            hub_crashes: 1,
            stored_lost: 50,
            ..calm()
        };
        let mut world = World::new(seed, weather);
        world.run(Duration::from_secs(240));
        assert_eq!(world.hub.conflicts, 0, "seed {seed}");
        duplicates += world.hub.duplicates;
    }
    assert!(duplicates > 100, "the weather was bad: {duplicates}");
}

#[test]
fn an_alarm_never_waits_for_the_backlog() {
    let mut at_once = 0;
    for seed in 1..=20 {
        let weather = Weather { cuts: 1, hub_crashes: 1, ..calm() };
        let mut world = World::new(seed, weather);
        // An hour without a hub, then a backlog to fill while the bed goes on.
        world.hub.up = false;
        world.hub_back_at = world.now.after(Duration::from_secs(1200));
        world.run(Duration::from_secs(1500));
        at_once += world.alarms_at_once;
    }
    assert!(at_once > 100, "{at_once}");
}

#[test]
fn a_hub_restored_from_a_backup_gets_again_what_it_lost() {
    for seed in 1..=40 {
        let weather = Weather { hub_crashes: 2, restores: true, cuts: 1, ..calm() };
        World::new(seed, weather).run(Duration::from_secs(300));
    }
}

#[test]
fn rows_dropped_for_space_leave_no_hole_and_no_conflict() {
    for seed in 1..=40 {
        let weather = Weather { hub_crashes: 1, cuts: 2, drops: true, loss: 10, ..calm() };
        let mut world = World::new(seed, weather);
        world.run(Duration::from_secs(400));
        assert_eq!(world.hub.conflicts, 0, "seed {seed}");
    }
}

#[test]
fn an_acknowledgement_that_nobody_asked_for_is_counted_and_releases_nothing() {
    let mut world = World::new(1, calm());
    (0..30).for_each(|_| world.step(true));
    assert!(world.outbox.is_open());
    let before = (world.outbox.count(), world.outbox.strangers());
    let lanes = vec![LaneAck { lane: Lane::Numeric.name().into(), below: u64::MAX, ranges: Vec::new() }];
    let ack = Ack { store: world.hub.store_name(), epoch: hex(EPOCH.0 ^ 1), lanes };
    world.outbox.handle(world.now, Input::Ack(ack));
    assert_eq!((world.outbox.count(), world.outbox.strangers()), (before.0, before.1 + 1));
}

#[test]
fn h12_a_hub_that_gives_no_heartbeat_is_still_told_of_alarms() {
    let mut world = World::new(1, calm());
    (0..30).for_each(|_| world.step(true));
    assert!(world.outbox.is_open());
    // The connection stands and the hub takes what it is sent, but its store hangs: it says nothing of its own.
    let mut announces = 0;
    for second in 0..20 {
        world.now = world.now.after(Duration::from_secs(1));
        let announce = Announce { wall_us: second, ..Announce::default() };
        world.outbox.handle(world.now, Input::Bed(UplinkRequest::Announce(announce)));
        loop {
            match world.outbox.poll(world.now) {
                Output::Publish { id, topic, .. } => {
                    announces += usize::from(topic == Upstream::Announce);
                    if let Some(id) = id {
                        world.outbox.handle(world.now, Input::Taken { id, taken: Taken::Yes });
                    }
                }
                Output::Wait(_) => break,
                _ => {}
            }
        }
    }
    assert!(!world.outbox.is_open());
    assert_eq!(announces, 20);
}

#[test]
fn an_announce_goes_out_ahead_of_rows_and_again_after_every_welcome() {
    let mut world = World::new(1, calm());
    let announce = Announce::default();
    let announces = |world: &World| {
        let is_announce =
            |(_, message): &&(Now, Message)| matches!(message, Message::Up { topic: Upstream::Announce, .. });
        world.wire.iter().filter(is_announce).count()
    };
    world.feed(Input::Bed(UplinkRequest::Announce(announce)));
    assert_eq!(announces(&world), 0, "nothing without a connection");
    world.step(true);
    assert_eq!(announces(&world), 1, "with the hello");
    (0..30).for_each(|_| world.step(true));
    assert!(world.outbox.is_open());
    let hub = world.hub.store;
    world.hub.store = hub + 1;
    let mut again = 0;
    for _ in 0..200 {
        let before = announces(&world);
        world.step(true);
        again += announces(&world).saturating_sub(before);
    }
    assert!(again >= 1, "the full state after a new welcome");
}
