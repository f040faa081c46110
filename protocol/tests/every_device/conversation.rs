//! A driver's session and its simulated device, talking over a cable in virtual time.

use crate::bench::{BEGIN, Body, Dice, Report};
use cotside_protocol::capture::DEVICE_ADDRESS;
use cotside_protocol::device::{
    Driver, Input, Output, Path, Peer, PeerKind, PeerOptions, PeerOutput, Session, Settings, Transport,
};
use cotside_protocol::devices::{DRIVERS, peer};
use cotside_protocol::model::{Event, Ignored, Mono, Now, Tally};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the link waits before it opens a line again.
const REOPEN_AFTER: Duration = Duration::from_secs(1);
const LATENCY: Duration = Duration::from_millis(4);
/// A session must be back to values this soon after the last fault.
const RECOVERED_WITHIN: Duration = Duration::from_secs(90);
const DEAD_WITHIN: Duration = Duration::from_secs(600);

#[test]
fn over_a_good_cable_nothing_is_malformed_and_values_flow() {
    for (driver, transport) in variants() {
        let mut room = Room::new(driver, transport, 0);
        room.pass(Duration::from_secs(60), Faults::NONE);
        let name = format!("{} on {transport:?}", driver.name);
        let tally = room.tally();
        assert_eq!(tally.malformed_total(), 0, "{name}: {tally:?} {:?}", room.report.lines.first());
        assert_eq!(
            tally.ignored(Ignored::UnknownMessage),
            0,
            "{name}: the device says what the session does not know"
        );
        assert!(room.is_identified, "{name}");
        assert!(room.report.values >= 50, "{name}: {} values in a minute", room.report.values);
        assert_eq!(room.hangups, 0, "{name}");
    }
}

#[test]
fn over_a_bad_cable_it_stumbles_and_comes_back_by_itself() {
    for (driver, transport) in variants() {
        for seed in 1..=6 {
            let mut room = Room::new(driver, transport, seed);
            let name = format!("{} on {transport:?}, seed {seed}", driver.name);
            room.pass(Duration::from_secs(20), Faults::NONE);
            room.pass(Duration::from_secs(120), Faults::of(seed));
            room.pass(RECOVERED_WITHIN, Faults::NONE);
            let before = room.report.values;
            room.pass(Duration::from_secs(20), Faults::NONE);
            assert!(
                room.report.values >= before + 10,
                "{name}: {} values after the faults",
                room.report.values - before
            );
        }
    }
}

#[test]
fn a_dead_cable_ends_in_a_hangup() {
    for (driver, transport) in variants() {
        let mut room = Room::new(driver, transport, 0);
        room.pass(Duration::from_secs(30), Faults::NONE);
        room.pass(DEAD_WITHIN, Faults { dead: true, ..Faults::NONE });
        assert!(room.hangups > 0, "{} on {transport:?}", driver.name);
    }
}

#[test]
fn a_session_asked_to_close_says_goodbye_and_hangs_up() {
    for (driver, transport) in variants() {
        let mut room = Room::new(driver, transport, 0);
        room.pass(Duration::from_secs(10), Faults::NONE);
        room.close();
        room.pass(Duration::from_secs(10), Faults::NONE);
        assert!(room.hangups > 0, "{} on {transport:?}: asked to close, and never did", driver.name);
    }
}

fn variants() -> impl Iterator<Item = (&'static Driver, Transport)> {
    // One of each kind: a second baud rate is the same conversation.
    DRIVERS.iter().flat_map(|driver| {
        let mut kinds = Vec::new();
        for transport in driver.transports {
            if !kinds.iter().any(|known| std::mem::discriminant(known) == std::mem::discriminant(transport)) {
                kinds.push(*transport);
            }
        }
        kinds.into_iter().map(|transport| (*driver, transport))
    })
}

#[derive(Clone, Copy)]
struct Faults {
    /// One byte in so many is lost, doubled or flipped; zero: none.
    byte_one_in: usize,
    /// One transmission in so many never arrives; zero: none.
    lose_one_in: usize,
    dead: bool,
}

impl Faults {
    const NONE: Self = Self { byte_one_in: 0, lose_one_in: 0, dead: false };

    const fn of(seed: u64) -> Self {
        let byte_one_in = [3000, 1000, 300, 100, 0, 30][seed as usize % 6];
        let lose_one_in = [0, 50, 20, 10, 3, 5][seed as usize % 6];
        Self { byte_one_in, lose_one_in, dead: false }
    }
}

enum Delivery {
    ToSession(Path, Vec<u8>),
    ToPeer(Path, Vec<u8>),
}

/// The session, the device, and what is on its way between them.
struct Room {
    driver: &'static Driver,
    transport: Transport,
    kind: &'static PeerKind,
    options: PeerOptions,
    session: Option<Box<dyn Session>>,
    /// The session before it, for its keepsake.
    last: Option<Box<dyn Session>>,
    peer: Box<dyn Peer>,
    now: Now,
    reopen_at: Mono,
    session_at: Mono,
    peer_at: Mono,
    on_the_way: BTreeMap<(Mono, u64), Delivery>,
    sent: u64,
    dice: Dice,
    faults: Faults,
    ended: Tally,
    report: Report,
    hangups: u32,
    is_identified: bool,
}

impl Room {
    fn new(driver: &'static Driver, transport: Transport, seed: u64) -> Self {
        let kind = peer(driver.name).expect("every driver has a peer");
        let datagram = matches!(transport, Transport::Udp { .. });
        let options =
            PeerOptions { seed, serial: "0000145838".to_owned(), bed_label: "3".to_owned(), datagram };
        Self {
            driver,
            transport,
            kind,
            peer: (kind.open)(&options),
            options,
            session: None,
            last: None,
            now: BEGIN,
            reopen_at: BEGIN.mono,
            session_at: BEGIN.mono,
            peer_at: BEGIN.mono,
            on_the_way: BTreeMap::new(),
            sent: 0,
            dice: Dice(seed),
            faults: Faults::NONE,
            ended: Tally::default(),
            report: Report::since(BEGIN.mono),
            hangups: 0,
            is_identified: false,
        }
    }

    fn tally(&self) -> Tally {
        let mut sum = self.ended;
        sum += self.session.as_ref().map(|session| session.tally()).unwrap_or_default();
        sum
    }

    fn pass(&mut self, span: Duration, faults: Faults) {
        self.faults = faults;
        let until = self.now.mono + span;
        while self.now.mono < until {
            self.step();
            let arrival = self.on_the_way.keys().next().map_or(until, |(at, _)| *at);
            let session_at = if self.session.is_some() { self.session_at } else { self.reopen_at };
            let next = arrival.min(session_at).min(self.peer_at).min(until);
            // Whoever asks to be woken in the past is woken a little later.
            let next = next.max(self.now.mono + Duration::from_millis(1));
            self.now = self.now.after(next.since(self.now.mono));
        }
        assert!(self.tally().is_balanced(), "{}: {:?}", self.driver.name, self.tally());
    }

    fn step(&mut self) {
        if self.session.is_none() && self.now.mono >= self.reopen_at {
            let settings = Settings::check(self.driver.settings, &[]).expect("defaults make a session");
            let session = self.driver.open_after(&settings, self.now, self.last.as_deref());
            self.session = Some(session.expect("defaults make a session"));
            if matches!(self.transport, Transport::TcpListen { .. } | Transport::TcpConnect { .. }) {
                // A TCP connection has a new conversation at both its ends; nothing of the old one arrives.
                self.peer = (self.kind.open)(&self.options);
                self.on_the_way.clear();
                self.peer_at = self.now.mono;
            }
            self.drain_session();
        }
        while let Some(entry) = self.on_the_way.first_entry().filter(|entry| entry.key().0 <= self.now.mono) {
            match entry.remove() {
                Delivery::ToSession(from, bytes) => {
                    self.wake_session(Input::Received { from, bytes: &bytes })
                }
                Delivery::ToPeer(from, bytes) => {
                    self.peer.handle(self.now, from, &bytes);
                    self.drain_peer();
                }
            }
        }
        if self.peer_at <= self.now.mono {
            self.drain_peer();
        }
        if self.session_at <= self.now.mono {
            self.wake_session(Input::Timeout);
        }
    }

    fn close(&mut self) {
        self.wake_session(Input::Close);
    }

    fn wake_session(&mut self, input: Input<'_>) {
        if let Some(session) = &mut self.session {
            session.handle(self.now, input);
            self.drain_session();
        }
    }

    fn drain_session(&mut self) {
        let mut stored = None;
        while let Some(session) = &mut self.session {
            let output = session.poll();
            self.report.take(self.now, &output);
            match output {
                Output::Transmit { to, bytes } => self.send(to, bytes, Delivery::ToPeer),
                Output::Event(Event::Checkpoint(token)) => stored = Some(token),
                Output::Event(Event::Identified(_)) => self.is_identified = true,
                Output::Event(_) => {}
                Output::Hangup(_) => {
                    self.hangups += 1;
                    self.ended += session.tally();
                    self.last = self.session.take();
                    self.reopen_at = self.now.mono + REOPEN_AFTER;
                }
                Output::Wait { until, .. } => {
                    self.session_at = until;
                    let Some(token) = stored.take() else { return };
                    session.handle(self.now, Input::Stored(token));
                }
            }
        }
    }

    fn drain_peer(&mut self) {
        loop {
            match self.peer.poll(self.now, &Body) {
                PeerOutput::Transmit { to, bytes } => self.send(to, bytes, Delivery::ToSession),
                PeerOutput::Wait { until } => {
                    self.peer_at = until;
                    return;
                }
            }
        }
    }

    fn send(&mut self, to: Path, bytes: Vec<u8>, delivery: fn(Path, Vec<u8>) -> Delivery) {
        // The addresses on either side of a datagram are the link's business; here there are only two ends.
        let path = match to {
            Path::Line => Path::Line,
            Path::Datagram(_) => Path::Datagram(DEVICE_ADDRESS),
            Path::Announcement(_) => Path::Announcement(DEVICE_ADDRESS),
        };
        let is_lost = self.faults.lose_one_in > 0 && self.dice.roll(self.faults.lose_one_in) == 0;
        if is_lost || self.faults.dead {
            return;
        }
        let bytes = if path == Path::Line { self.worn(&bytes) } else { bytes };
        if path != Path::Line {
            return self.deliver(delivery(path, bytes));
        }
        // A stream arrives in pieces.
        let cut = self.dice.roll(bytes.len() + 1);
        let (first, second) = bytes.split_at(cut);
        for piece in [first, second] {
            if !piece.is_empty() {
                self.deliver(delivery(path, piece.to_vec()));
            }
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        self.sent += 1;
        self.on_the_way.insert((self.now.mono + LATENCY, self.sent), delivery);
    }

    fn worn(&mut self, bytes: &[u8]) -> Vec<u8> {
        // TCP delivers what was sent or nothing at all.
        let is_serial = matches!(self.transport, Transport::Serial { .. });
        if self.faults.byte_one_in == 0 || !is_serial {
            return bytes.to_vec();
        }
        let mut out = Vec::with_capacity(bytes.len());
        for byte in bytes {
            match self.dice.roll(self.faults.byte_one_in * 3) {
                0 => {}
                1 => out.extend([*byte, *byte]),
                2 => out.push(byte ^ (1 << self.dice.roll(8))),
                _ => out.push(*byte),
            }
        }
        out
    }
}
