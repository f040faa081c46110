//! Session and peer over a cable in virtual time.

use super::super::association::UserInfo;
use super::super::message::{Message, WAVE_LIST, class, group};
use super::super::query::{Query, Wishes};
use super::super::{DRIVER, PEER};
use crate::capture::DEVICE_ADDRESS;
use crate::device::{
    Hangup, Input, Output, Path, Peer, PeerOptions, PeerOutput, Physiology, Session, Settings,
};
use crate::devices::intellivue::frame::{Deframer, Found};
use crate::model::{Code, Event, Mono, Now, Pace, Quality, Site, Wall, Waveform};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

const BEGIN: Now = Now { mono: Mono(50_000_000), wall: Wall(1_795_000_000_250_000) };
const LATENCY: Duration = Duration::from_millis(7);
const STEP: Duration = Duration::from_millis(1);

/// Numbers that say what they are, and waves that tell the time: a ramp of 2 mV in a second.
struct Body;

impl Physiology for Body {
    fn numeric(&self, code: Code, _at: Mono) -> Option<f64> {
        match code.0 {
            147_842 => Some(152.0),
            160_296 => Some(97.0),
            160_300 => Some(93.0),
            150_021..=150_023 => Some(f64::from(code.0 - 150_000)),
            150_388 => Some(36.5),
            151_562 => Some(0.0),
            _ => None,
        }
    }

    fn sample(&self, code: Code, at: Mono) -> Option<f64> {
        matches!(code.0, 131_330 | 150_452 | 151_552).then(|| (at.0 % 1_000_000) as f64 / 500_000.0 - 1.0)
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

struct Room {
    session: Box<dyn Session>,
    peer: Box<dyn Peer>,
    now: Now,
    to_session: VecDeque<(Mono, Path, Vec<u8>)>,
    to_peer: VecDeque<(Mono, Path, Vec<u8>)>,
    sent: Vec<Vec<u8>>,
    /// What reached the session.
    heard: Vec<(Now, Path, Vec<u8>)>,
    events: Vec<(Mono, Event)>,
    hangup: Option<Hangup>,
    session_at: Mono,
    peer_at: Mono,
    /// One transmission in so many is lost.
    lose_one_in: u64,
    is_cut: bool,
    /// Messages that begin with this byte are lost on their way to the session.
    swallowed: Option<u8>,
    dice: Dice,
}

fn open(given: &[(&str, &str)], now: Now) -> Box<dyn Session> {
    let given: Vec<_> = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    (DRIVER.open)(&Settings::check(DRIVER.settings, &given).unwrap(), now).unwrap()
}

fn monitor(datagram: bool) -> Box<dyn Peer> {
    let (serial, bed_label) = ("DE843A1664".to_owned(), "NICU 3".to_owned());
    (PEER.open)(&PeerOptions { seed: 11, serial, bed_label, datagram })
}

impl Room {
    fn new(datagram: bool, given: &[(&str, &str)]) -> Self {
        Self {
            session: open(given, BEGIN),
            peer: monitor(datagram),
            now: BEGIN,
            to_session: VecDeque::new(),
            to_peer: VecDeque::new(),
            sent: Vec::new(),
            heard: Vec::new(),
            events: Vec::new(),
            hangup: None,
            session_at: BEGIN.mono,
            peer_at: BEGIN.mono,
            lose_one_in: 0,
            is_cut: false,
            swallowed: None,
            dice: Dice(0x5EED),
        }
    }

    /// Lets time pass, from one thing that happens to the next.
    fn pass(&mut self, span: Duration) {
        let until = self.now.mono + span;
        self.drain_session();
        while self.now.mono < until && self.hangup.is_none() {
            let arrivals = self.to_peer.front().into_iter().chain(self.to_session.front());
            let next = arrivals.map(|(at, ..)| *at).chain([self.session_at, self.peer_at]).min();
            let next = next.map_or(until, |next| next.min(until)).max(self.now.mono + STEP);
            self.now = self.now.after(next.since(self.now.mono));
            self.step();
        }
        assert!(self.session.tally().is_balanced());
    }

    fn step(&mut self) {
        while let Some((_, path, bytes)) = self.to_peer.pop_front_if(|(at, ..)| *at <= self.now.mono) {
            self.peer.handle(self.now, path, &bytes);
        }
        loop {
            let (to, bytes) = match self.peer.poll(self.now, &Body) {
                PeerOutput::Transmit { to, bytes } => (to, bytes),
                PeerOutput::Wait { until } => {
                    self.peer_at = until;
                    break;
                }
            };
            if self.arrives() && self.swallowed != bytes.first().copied() {
                let from = match to {
                    Path::Line => Path::Line,
                    Path::Datagram(_) => Path::Datagram(DEVICE_ADDRESS),
                    Path::Announcement(_) => Path::Announcement(DEVICE_ADDRESS),
                };
                self.to_session.push_back((self.now.mono + LATENCY, from, bytes));
            }
        }
        while let Some((_, from, bytes)) = self.to_session.pop_front_if(|(at, ..)| *at <= self.now.mono) {
            self.session.handle(self.now, Input::Received { from, bytes: &bytes });
            self.drain_session();
            self.heard.push((self.now, from, bytes));
        }
        if self.session_at <= self.now.mono {
            self.session.handle(self.now, Input::Timeout);
            self.drain_session();
        }
    }

    fn arrives(&mut self) -> bool {
        !self.is_cut && (self.lose_one_in == 0 || self.dice.roll(self.lose_one_in) != 0)
    }

    fn drain_session(&mut self) {
        loop {
            match self.session.poll() {
                Output::Transmit { to, bytes } => {
                    self.sent.push(bytes.clone());
                    if self.arrives() {
                        self.to_peer.push_back((self.now.mono + LATENCY, to, bytes));
                    }
                }
                Output::Event(event) => self.events.push((self.now.mono, event)),
                Output::Hangup(why) => self.hangup = Some(why),
                Output::Wait { until, .. } => {
                    self.session_at = until;
                    break;
                }
            }
        }
    }

    fn waves(&self, code: u32) -> Vec<&Waveform> {
        let waves = self.events.iter().filter_map(|(_, event)| match event {
            Event::Waveform(wave) if wave.code == Code(code) => Some(wave),
            _ => None,
        });
        waves.collect()
    }

    fn notices(&self) -> Vec<&'static str> {
        let notices = self.events.iter().filter_map(|(_, event)| match event {
            Event::Notice(words) => Some(*words),
            _ => None,
        });
        notices.collect()
    }
}

const ON_LAN: &[(&str, &str)] = &[("over", "lan"), ("address", "192.0.2.1:24105")];

#[test]
fn on_either_cable_it_associates_and_reports_what_the_body_is() {
    for (datagram, given) in
        [(false, &[][..]), (true, ON_LAN), (true, &[("over", "lan")][..]), (true, &[][..])]
    {
        let mut room = Room::new(datagram, given);
        room.pass(Duration::from_secs(30));
        assert_eq!((room.hangup, room.notices().len()), (None, 0), "{:?}", room.notices());
        let Some((_, Event::Identified(who))) =
            room.events.iter().find(|(_, event)| matches!(event, Event::Identified(_)))
        else {
            panic!("not identified")
        };
        assert_eq!((who.model.as_str(), who.serial.as_str()), ("M8007A", "DE843A1664"));
        assert_eq!((who.firmware.as_str(), who.bed_label.as_str()), ("L.01.12", "NICU 3"));
        let numerics = |code: u32| {
            let found = room.events.iter().filter_map(move |(_, event)| match event {
                Event::Numeric(numeric) if numeric.code == Code(code) => Some(numeric.clone()),
                _ => None,
            });
            found.collect::<Vec<_>>()
        };
        let hr = numerics(147_842);
        assert!(hr.len() >= 20, "{} heart rates in 30 s", hr.len());
        assert_eq!(
            (hr[0].value.unwrap().to_f64(), hr[0].ucum, hr[0].quality),
            (152.0, "{beats}/min", Quality::GOOD)
        );
        assert!(
            hr.iter().all(|numeric| numeric.lag < Duration::from_millis(20) && numeric.device_at.is_some())
        );
        assert_eq!(numerics(160_296)[0].site, Site::Preductal);
        assert_eq!(numerics(160_300)[0].site, Site::Postductal);
        assert_eq!(numerics(150_388)[0].value.unwrap().to_string(), "36.5");
        let cuff = numerics(150_021);
        assert_eq!((cuff.len(), cuff[0].pace), (1, Pace::Episodic), "a cuff reading is reported once");
        assert!(
            room.events.iter().any(|(_, event)| matches!(event, Event::Alert(alert) if !alert.technical))
        );
        assert_eq!(room.session.tally().malformed_total(), 0);
    }
}

#[test]
fn a_wave_is_dated_where_it_was_sampled_and_its_runs_join() {
    for (datagram, given) in [(false, &[][..]), (true, ON_LAN)] {
        let mut room = Room::new(datagram, given);
        room.pass(Duration::from_secs(120));
        for code in [131_330, 151_552] {
            let waves = room.waves(code);
            assert!(waves.len() > 440, "{} runs", waves.len());
            for pair in waves.windows(2) {
                assert_eq!(pair[1].begin.0 - pair[0].begin.0, 256_000, "{code}");
            }
            for wave in waves {
                let told = wave.offset + wave.gain * f64::from(wave.samples[0]);
                let meant = Body.sample(Code(code), wave.begin).unwrap();
                // 2 units a second, seen through the latency of the cable, the step of the test and a sample's rounding.
                let off = (told - meant).abs();
                assert!(
                    !(0.04..=1.96).contains(&off) || (code == 151_552 && meant < -0.55),
                    "{code}: {told} for {meant}"
                );
            }
        }
    }
}

#[test]
fn a_lost_block_leaves_a_hole_and_a_lost_question_is_asked_again() {
    let mut room = Room::new(true, ON_LAN);
    room.lose_one_in = 8;
    room.pass(Duration::from_secs(300));
    assert_eq!(room.hangup, None, "{:?}", room.notices());
    let waves = room.waves(131_330);
    assert!(waves.len() > 800, "{} of 1,170 runs", waves.len());
    for pair in waves.windows(2) {
        let step = pair[1].begin.0 - pair[0].begin.0;
        assert_eq!(step % 256_000, 0, "{step}");
    }
}

#[test]
fn a_lost_association_response_is_told_by_what_follows_it() {
    let mut room = Room::new(true, ON_LAN);
    room.swallowed = Some(0x0E);
    room.pass(Duration::from_secs(10));
    assert_eq!((room.hangup, room.notices().len()), (None, 0), "{:?}", room.notices());
    assert!(room.events.iter().any(|(_, event)| matches!(event, Event::Numeric(_))));
}

#[test]
fn h2_nobody_is_introduced_by_half() {
    for seed in 1..40 {
        let mut room = Room::new(true, ON_LAN);
        (room.dice, room.lose_one_in) = (Dice(seed), 3);
        room.pass(Duration::from_secs(40));
        for (_, event) in &room.events {
            if let Event::Identified(who) = event {
                assert_eq!((who.serial.as_str(), who.firmware.as_str()), ("DE843A1664", "L.01.12"));
            }
        }
    }
}

#[test]
fn a_dead_cable_is_silence_within_ten_seconds() {
    for (datagram, given) in [(false, &[][..]), (true, ON_LAN)] {
        let mut room = Room::new(datagram, given);
        room.pass(Duration::from_secs(20));
        room.is_cut = true;
        let cut_at = room.now.mono;
        room.pass(Duration::from_secs(60));
        assert_eq!(room.hangup, Some(Hangup::Silent));
        assert!(room.now.mono.since(cut_at) <= Duration::from_millis(10_100));
    }
}

#[test]
fn an_unanswered_association_is_told_in_words() {
    let mut room = Room::new(false, &[]);
    room.is_cut = true;
    room.pass(Duration::from_secs(30));
    assert_eq!(room.hangup, Some(Hangup::Silent));
    assert!(room.notices()[0].contains("Data Export"), "{:?}", room.notices());

    let mut session = open(&[], BEGIN);
    let mut now = BEGIN;
    let mut words = Vec::new();
    let mut why = None;
    for _ in 0..120 {
        now = now.after(Duration::from_millis(100));
        session.handle(now, Input::Received { from: Path::Line, bytes: &[0x55, 0xFE, 0x81, 0x30, 0x00] });
        loop {
            match session.poll() {
                Output::Event(Event::Notice(notice)) => words.push(notice),
                Output::Hangup(hangup) => why = Some(hangup),
                Output::Wait { .. } => break,
                _ => {}
            }
        }
    }
    assert!(words.iter().any(|notice| notice.contains("baud rate right")), "{words:?}");
    assert_eq!(why, Some(Hangup::Garbage));
}

#[test]
fn asked_to_close_it_releases_and_waits_for_the_answer() {
    let mut room = Room::new(false, &[]);
    room.pass(Duration::from_secs(10));
    room.session.handle(room.now, Input::Close);
    room.pass(Duration::from_secs(5));
    assert_eq!(room.hangup, Some(Hangup::Closed));
    assert!(room.now.mono.since(BEGIN.mono) < Duration::from_millis(10_100));
    // And the monitor is free again.
    room.session = open(&[], room.now);
    room.hangup = None;
    room.pass(Duration::from_secs(5));
    assert!(room.notices().is_empty());
}

#[test]
fn a_session_after_a_crash_ends_its_forgotten_association_first() {
    let mut room = Room::new(false, &[]);
    room.pass(Duration::from_secs(10));
    room.session = open(&[], room.now);
    room.events.clear();
    room.pass(Duration::from_secs(5));
    assert_eq!((room.hangup, room.notices().len()), (None, 0));
    assert!(room.events.iter().any(|(_, event)| matches!(event, Event::Numeric(_))));
}

#[test]
fn a_monitor_that_another_client_holds_refuses_and_the_session_says_so() {
    let mut peer = monitor(true);
    let mut out = Vec::new();
    Query::Associate.emit(&wishes(), &mut out);
    let other: SocketAddr = "192.0.2.77:5000".parse().unwrap();
    peer.handle(BEGIN, Path::Datagram(other), &out);
    let mut room = Room::new(true, ON_LAN);
    room.peer = peer;
    room.pass(Duration::from_secs(5));
    assert_eq!(room.hangup, Some(Hangup::Refused));
    assert!(room.notices()[0].contains("another client"), "{:?}", room.notices());
}

#[test]
fn data_of_another_monitor_are_not_ours() {
    let mut room = Room::new(true, ON_LAN);
    room.pass(Duration::from_secs(5));
    let before = room.session.tally();
    let stranger = Path::Datagram("192.0.2.99:24105".parse().unwrap());
    room.session.handle(room.now, Input::Received { from: stranger, bytes: &[0x19; 48] });
    room.drain_session();
    assert_eq!(room.hangup, None);
    assert_eq!(room.session.tally().ignored_total(), before.ignored_total() + 48);
}

fn wishes() -> Wishes {
    Wishes { mtu: 1364, options: 0x8800_0000, labels: Some(vec![0x0002_0100, 0x0002_4BB4]) }
}

/// The messages of the protocol sheet, letter for letter.
#[test]
fn queries_are_those_of_the_guide() {
    let emitted = |query: Query| {
        let mut out = vec![0xA5; 5];
        query.emit(&wishes(), &mut out);
        assert_eq!(out[..5], [0xA5; 5]);
        out.split_off(5)
    };
    let hex = |text: &str| -> Vec<u8> {
        let digits: Vec<_> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
        digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
    };
    let mut associate = vec![0xA5; 5];
    UserInfo::client(1364, 0x8C00_0000).emit_request(&mut associate);
    let guide = hex(
        "0dec0508130100160102800014020002c1dc3180a0808001010000a280a003000001a480308002010106045201000130
             8006025101000000003080020102060c2a8648ce14020100000001013080060c2a8648ce140201000000020100000000
             000061803080020101a0806080a180060c2a8648ce14020100000003010000be802880060c2a8648ce14020100000001
             0102010281488000000040000000000000008000000020000000000000000001002c000100288000000000001f400000
             055400000554ffffffff600000000001000cf00100088c0000000000000000000000000000000000000000000000",
    );
    assert_eq!(associate[5..], guide);
    let confirm = Query::ConfirmSystem { invoke: 1, time: 0x0048_4700 };
    assert_eq!(emitted(confirm), hex("e1000002000200140001000100 0e002100000000004847000d060000"));
    assert_eq!(
        emitted(Query::KeepAlive),
        hex("e1000002 0001 001c 0008 0007 0016 0021 0000 0000 00000000 0c16 0008 0008 0001 0036 0811")
    );
    assert_eq!(
        emitted(Query::Numerics),
        hex("e1000002 0001 0028 0004 0007 0022 0021 0000 0000 00000000 f13b 0014 0004 0001 0006 0803
             0001 0008 f13e 0004 00075300")
    );
    assert_eq!(
        emitted(Query::SelectWaves),
        hex("e1000002 0001 0026 0002 0005 0020 0021 0000 0000 00000000 0001 0012 0000 f23a 000c 0002 0008
             00020100 00024bb4")
    );
    let all = [
        Query::Abort,
        Query::Associate,
        Query::Release,
        confirm,
        Query::System,
        Query::SelectWaves,
        Query::NumericContexts,
        Query::Numerics,
        Query::Waves,
        Query::Alerts,
        Query::Patient,
        Query::KeepAlive,
    ];
    for query in all {
        let bytes = emitted(query);
        let message = Message::parse(&bytes).unwrap();
        let mut again = vec![0xA5; 9];
        message.emit(&mut again);
        assert_eq!(again[9..], bytes, "{query:?}");
        assert_eq!(Message::parse(&again[9..]), Ok(message));
    }
}

/// H14: under whatever comes in, nothing leaves but the listed queries.
#[test]
fn h14_nothing_but_the_listed_queries_ever_leaves() {
    for (seed, datagram) in (1..=8).flat_map(|seed| [(seed, false), (seed, true)]) {
        let mut room = Room::new(datagram, if datagram { ON_LAN } else { &[] });
        room.dice = Dice(seed * 0x9E37_79B9);
        room.pass(Duration::from_secs(4));
        let mut recorded: Vec<(Path, Vec<u8>)> =
            room.to_session.drain(..).map(|(_, path, bytes)| (path, bytes)).collect();
        while let PeerOutput::Transmit { to, bytes } =
            room.peer.poll(room.now.after(Duration::from_secs(1)), &Body)
        {
            recorded.push((if to == Path::Line { to } else { Path::Datagram(DEVICE_ADDRESS) }, bytes));
        }
        assert!(!recorded.is_empty());
        for _ in 0..400 {
            let (from, mut bytes) = recorded[room.dice.roll(recorded.len() as u64) as usize].clone();
            for _ in 0..room.dice.roll(8) {
                let at = room.dice.roll(bytes.len() as u64) as usize;
                bytes[at] = room.dice.roll(256) as u8;
            }
            room.now = room.now.after(Duration::from_millis(room.dice.roll(300)));
            room.session.handle(room.now, Input::Received { from, bytes: &bytes });
            room.drain_session();
            assert!(room.session.tally().is_balanced());
            if room.hangup.take().is_some() {
                room.session = open(if datagram { ON_LAN } else { &[] }, room.now);
                room.drain_session();
            }
        }
        for bytes in &room.sent {
            assert!(is_listed(bytes, datagram), "{bytes:02x?}");
        }
    }
}

fn is_listed(bytes: &[u8], datagram: bool) -> bool {
    let mut deframer = Deframer::default();
    let mut rest = bytes;
    let payload = if datagram {
        bytes
    } else {
        match deframer.next(&mut rest) {
            Some(Found::Message { payload, .. }) => payload,
            _ => return false,
        }
    };
    match Message::parse(payload) {
        Ok(Message::Abort | Message::Associate(_) | Message::Release | Message::MdsCreateResult { .. }) => {
            true
        }
        Ok(Message::Select { list, .. }) => list == WAVE_LIST,
        Ok(Message::Poll { poll, .. }) => matches!(
            (poll.class, poll.group, poll.keep_sending.is_some()),
            (class::MDS | class::NUMERIC, group::ALL, false)
                | (class::PATIENT, group::PATIENT, false)
                | (class::ALERTS, group::STATIC, false)
                | (class::NUMERIC, group::OBSERVED, true)
                | (class::WAVE, group::ALL, true)
                | (class::ALERTS, group::ALERTS, true)
        ),
        _ => false,
    }
}

#[test]
fn a_listener_says_nothing_and_hears_everything() {
    let mut room = Room::new(false, &[]);
    let mut tap = open(&[("listen", "yes")], BEGIN);
    room.pass(Duration::from_secs(23));
    let (mut numerics, mut waves) = (0, 0);
    for (now, path, bytes) in &room.heard {
        tap.handle(*now, Input::Received { from: *path, bytes });
        loop {
            match tap.poll() {
                Output::Event(Event::Numeric(_)) => numerics += 1,
                Output::Event(Event::Waveform(_)) => waves += 1,
                Output::Event(_) => {}
                Output::Wait { .. } => break,
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(numerics > 100 && waves > 150, "{numerics} numerics, {waves} waves");
}

#[test]
fn a_setting_that_cannot_be_is_refused_in_words() {
    let refused = |name: &str, value: &str| {
        let given = [(name.to_owned(), value.to_owned())];
        let settings = Settings::check(DRIVER.settings, &given).unwrap();
        (DRIVER.open)(&settings, BEGIN).err().map(|bad| bad.to_string())
    };
    assert!(refused("waves", "ecg, spirometry").unwrap().contains("no wave \"spirometry\""));
    assert!(refused("address", "monitor-3").unwrap().contains("IP address"));
    assert!(refused("mac", "00:09:FB").unwrap().contains("hardware address"));
    assert_eq!(refused("waves", "none"), None);
}
