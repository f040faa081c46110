//! The monitor's half of the conversation: one client at a time, MDS create until it is confirmed, polls answered and streams kept.

mod objects;
mod plate;

use super::association::UserInfo;
use super::attribute::id;
use super::frame::{self, Deframer, Found};
use super::lists::{Attributes, Contexts, emit_attributes};
use super::message::{Link, Message, Poll, Reply, class, group};
use super::octets::{Reader, put_list, put_u16};
use crate::device::{Path, Peer, PeerKind, PeerOptions, PeerOutput, Physiology};
use crate::model::{Mono, Now};
use objects::{BLOCK_TICKS, Measured, Written};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

pub static PEER: PeerKind =
    PeerKind { name: "intellivue", open: |options| Box::new(Monitor::new(options.clone())) };

const MULTICAST: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(224, 0, 23, 63), 24_005));
const ANNOUNCE_FIRST: Duration = Duration::from_secs(4);
const ANNOUNCE_MAX: Duration = Duration::from_secs(64);
const MDS_CREATE_EVERY: Duration = Duration::from_secs(3);
const MDS_CREATE_TRIES: u8 = 3;
/// At a negotiated poll period below 3.3 s.
const ASSOCIATION_LIFE: Duration = Duration::from_secs(10);
const SINGLE_POLL_EVERY: Duration = Duration::from_secs(1);
const BLOCK: Duration = Duration::from_millis(256);
const SECOND: Duration = Duration::from_millis(1024);
/// The shortest poll period of an MP70.
const MIN_POLL_TICKS: u32 = 3125;

struct Monitor {
    options: PeerOptions,
    deframer: Deframer,
    /// Power-on: tick 0, some way in the past.
    booted: Option<Mono>,
    stage: Stage,
    announce_at: Option<Mono>,
    announce_every: Duration,
    measured: Measured,
    /// Polls wait here until a body is at hand.
    asked: VecDeque<(u16, Poll)>,
    out: VecDeque<PeerOutput>,
}

enum Stage {
    Idle,
    /// Associated; MDS create is sent until it is confirmed.
    Creating {
        client: Path,
        mtu: usize,
        tries: u8,
        again_at: Mono,
    },
    Active(Association),
}

struct Association {
    client: Path,
    mtu: usize,
    heard_at: Mono,
    streams: Vec<Stream>,
    /// When each class was last polled singly.
    singles: Vec<(u16, Mono)>,
    wave_labels: Option<Vec<u32>>,
    wave_turn: usize,
}

struct Stream {
    invoke: u16,
    poll: Poll,
    sequence: u16,
    next_at: Mono,
    ends_at: Mono,
}

impl Monitor {
    fn new(options: PeerOptions) -> Self {
        Self {
            options,
            deframer: Deframer::default(),
            booted: None,
            stage: Stage::Idle,
            announce_at: None,
            announce_every: ANNOUNCE_FIRST,
            measured: Measured::default(),
            asked: VecDeque::new(),
            out: VecDeque::new(),
        }
    }

    /// When this monitor was switched on: minutes to hours before it was first asked for anything.
    fn booted(&mut self, now: Mono) -> Mono {
        let ago = Duration::from_millis(self.options.seed.wrapping_mul(7_919) % 3_000_000 + 60_000);
        *self.booted.get_or_insert(Mono(now.0.saturating_sub(ago.as_micros() as u64)))
    }

    fn ticks(&mut self, now: Mono) -> u32 {
        let booted = self.booted(now);
        (now.since(booted).as_micros() / 125) as u32
    }

    fn send(&mut self, to: Path, message: &Message<'_>) {
        let mut bytes = Vec::new();
        message.emit(&mut bytes);
        let bytes = if to == Path::Line {
            let mut framed = Vec::new();
            frame::emit(&bytes, &mut framed);
            framed
        } else {
            bytes
        };
        self.out.push_back(PeerOutput::Transmit { to, bytes });
    }

    fn client(&self) -> Option<Path> {
        match &self.stage {
            Stage::Idle => None,
            Stage::Creating { client, .. } => Some(*client),
            Stage::Active(association) => Some(association.client),
        }
    }

    fn leave(&mut self, now: Mono) {
        self.stage = Stage::Idle;
        self.asked.clear();
        self.announce_every = ANNOUNCE_FIRST;
        self.announce_at = Some(now + ANNOUNCE_FIRST);
    }

    fn receive(&mut self, now: Now, from: Path, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else { return };
        let is_client = self.client() == Some(from);
        if is_client && let Stage::Active(association) = &mut self.stage {
            association.heard_at = now.mono;
        }
        match message {
            Message::Associate(wish) => {
                if self.client().is_some() {
                    return self.send(from, &Message::Refused);
                }
                let granted = UserInfo {
                    system_type: UserInfo::SERVER,
                    startup: UserInfo::HOT_START,
                    min_poll_period: wish.min_poll_period.max(MIN_POLL_TICKS),
                    options: wish.options.map(|options| options & !UserInfo::ENUMERATIONS),
                    ..wish
                };
                self.send(from, &Message::Associated(granted));
                let mtu = wish.mtu_rx.clamp(300, 1364) as usize;
                self.stage = Stage::Creating { client: from, mtu, tries: 0, again_at: now.mono };
            }
            Message::Abort if is_client => self.leave(now.mono),
            Message::Release if is_client => {
                self.send(from, &Message::Released);
                self.leave(now.mono);
            }
            Message::MdsCreateResult { .. } if is_client => {
                if let Stage::Creating { client, mtu, .. } = self.stage {
                    self.stage = Stage::Active(Association {
                        client,
                        mtu,
                        heard_at: now.mono,
                        streams: Vec::new(),
                        singles: Vec::new(),
                        wave_labels: None,
                        wave_turn: 0,
                    });
                }
            }
            Message::Poll { invoke, poll } if is_client => self.asked.push_back((invoke, poll)),
            Message::Select { invoke, list, labels } if is_client => {
                if let Stage::Active(association) = &mut self.stage {
                    association.wave_labels = Some(labels.iter().collect());
                    let mut value = Vec::new();
                    labels.emit(&mut value);
                    let mut attributes = Vec::new();
                    emit_attributes(&[(list, &value)], &mut attributes);
                    if let Some(attributes) = Attributes::parse(&mut Reader(&attributes)) {
                        self.send(from, &Message::Lists { invoke, is_set: true, attributes });
                    }
                }
            }
            // A monitor is silent to what it does not expect.
            _ => {}
        }
    }

    /// Answers what was asked, or notes it as a stream.
    fn answer(&mut self, now: Now, invoke: u16, poll: Poll, body: &dyn Physiology) {
        let Stage::Active(association) = &mut self.stage else { return };
        match poll.keep_sending {
            None => {
                let singles = &mut association.singles;
                let asked = singles.iter().filter(|(class, _)| *class == poll.class).map(|(_, at)| *at).max();
                if asked.is_some_and(|at| now.mono.since(at) < SINGLE_POLL_EVERY) {
                    return;
                }
                singles.retain(|(class, _)| *class != poll.class);
                singles.push((poll.class, now.mono));
                let objects = self.objects(now, poll, body);
                let time = self.ticks(now.mono);
                self.reply(invoke, poll, 0, time, &objects);
            }
            Some(ticks) => {
                let ends_at = now.mono + Duration::from_micros(u64::from(ticks) * 125);
                match association.streams.iter_mut().find(|stream| stream.poll.class == poll.class) {
                    Some(stream) => {
                        // A renewal: the cadence goes on.
                        (stream.invoke, stream.poll, stream.ends_at) = (invoke, poll, ends_at);
                    }
                    None => {
                        let booted = self.booted(now.mono);
                        let Stage::Active(association) = &mut self.stage else { return };
                        let next_at = next_beat(booted, now.mono, every(poll.class));
                        association.streams.push(Stream { invoke, poll, sequence: 1, next_at, ends_at });
                    }
                }
                // The confirmation; for waves it brings the first context.
                let objects = if poll.class == class::WAVE {
                    let labels = self.wave_labels();
                    objects::wave_block(body, now.mono, labels.as_deref(), Some(0), false)
                } else {
                    self.objects(now, poll, body)
                };
                let time = self.ticks(now.mono);
                self.reply(invoke, poll, 0, time, &objects);
            }
        }
    }

    fn wave_labels(&self) -> Option<Vec<u32>> {
        match &self.stage {
            Stage::Active(association) => association.wave_labels.clone(),
            Stage::Idle | Stage::Creating { .. } => None,
        }
    }

    fn objects(&mut self, now: Now, poll: Poll, body: &dyn Physiology) -> Vec<Written> {
        match poll.class {
            class::NUMERIC => {
                let with_values = matches!(poll.group, group::ALL | group::OBSERVED);
                self.measured.numerics(now, body, poll.group != group::OBSERVED, with_values)
            }
            class::ALERTS if poll.group != group::STATIC => vec![objects::alerts(body, now.mono)],
            class::MDS => {
                let time = self.ticks(now.mono);
                let attributes = plate::system(&self.options, now.wall, time);
                vec![objects::object_of(0, &attributes)]
            }
            class::PATIENT => vec![objects::object_of(
                0x0050,
                &[
                    (id::HANDLE, vec![0x00, 0x50]),
                    (0x0957, vec![0, 2]),
                    (0x0962, vec![0, 3]),
                    (id::PATIENT_ID, objects::text("")),
                ],
            )],
            _ => Vec::new(),
        }
    }

    /// Sends objects, over as many linked replies as the client's MTU asks for.
    fn reply(&mut self, invoke: u16, poll: Poll, sequence: u16, time: u32, objects: &[Written]) {
        let Stage::Active(association) = &self.stage else { return };
        let (client, mtu) = (association.client, association.mtu);
        // Command header, poll header and list header take some 60 bytes of the MTU.
        let room = mtu - 60;
        let mut fragments: Vec<Vec<&Written>> = vec![Vec::new()];
        let mut size = 0;
        for object in objects {
            if size + object.1.len() > room && size > 0 {
                fragments.push(Vec::new());
                size = 0;
            }
            size += object.1.len();
            if let Some(last) = fragments.last_mut() {
                last.push(object);
            }
        }
        let parts = fragments.len() - 1;
        for (at, fragment) in fragments.iter().enumerate() {
            let link = if at == parts {
                Link::Final
            } else {
                // 1 first, 2 between, 3 last; of a single one before the closing reply: last.
                let state = if at + 1 == parts {
                    3
                } else if at == 0 {
                    1
                } else {
                    2
                };
                Link::Part { state, count: (at + 1) as u8 }
            };
            let bytes = contexts(fragment);
            if let Some(contexts) = Contexts::parse(&mut Reader(&bytes)) {
                let reply = Reply::new(poll, sequence, time, contexts);
                self.send(client, &Message::Reply { invoke, link, reply });
            }
        }
    }

    fn run_streams(&mut self, now: Now, body: &dyn Physiology) {
        loop {
            let Stage::Active(association) = &mut self.stage else { return };
            association.streams.retain(|stream| now.mono < stream.ends_at);
            let Some(stream) = association
                .streams
                .iter_mut()
                .filter(|stream| stream.next_at <= now.mono)
                .min_by_key(|stream| stream.next_at)
            else {
                return;
            };
            let (invoke, poll, sequence, beat) =
                (stream.invoke, stream.poll, stream.sequence, stream.next_at);
            stream.sequence = if sequence == u16::MAX { 1 } else { sequence + 1 };
            stream.next_at = beat + every(poll.class);
            if poll.class == class::WAVE {
                let begin = Mono(beat.0 - BLOCK.as_micros() as u64);
                association.wave_turn += 1;
                let turn = association.wave_turn;
                let labels = association.wave_labels.clone();
                // Every fourth block brings the context of the wave whose turn it is.
                let context_of = (poll.group == group::ALL && turn % 4 == 0).then_some(turn / 4);
                let objects = objects::wave_block(body, begin, labels.as_deref(), context_of, true);
                let time = self.ticks(beat).wrapping_sub(BLOCK_TICKS);
                self.reply(invoke, poll, sequence, time, &objects);
            } else {
                let objects = self.objects(now, poll, body);
                let time = self.ticks(beat);
                self.reply(invoke, poll, sequence, time, &objects);
            }
        }
    }

    fn tick(&mut self, now: Now, body: &dyn Physiology) {
        if self.options.datagram {
            let at = *self.announce_at.get_or_insert(now.mono + Duration::from_millis(500));
            if now.mono >= at {
                self.announce(now);
                self.announce_at = Some(now.mono + self.announce_every);
                self.announce_every = (self.announce_every * 2).min(ANNOUNCE_MAX);
            }
        }
        if let Stage::Creating { client, tries, again_at, .. } = &mut self.stage
            && now.mono >= *again_at
        {
            let client = *client;
            if *tries == MDS_CREATE_TRIES {
                self.send(client, &Message::Abort);
                return self.leave(now.mono);
            }
            *tries += 1;
            *again_at = now.mono + MDS_CREATE_EVERY;
            self.create(now, client);
        }
        while let Some((invoke, poll)) = self.asked.pop_front() {
            self.answer(now, invoke, poll, body);
        }
        self.run_streams(now, body);
        if let Stage::Active(association) = &self.stage
            && now.mono.since(association.heard_at) >= ASSOCIATION_LIFE
        {
            let client = association.client;
            self.send(client, &Message::Abort);
            self.leave(now.mono);
        }
    }

    fn create(&mut self, now: Now, client: Path) {
        let time = self.ticks(now.mono);
        let system = plate::system(&self.options, now.wall, time);
        // The event says less than the poll: no production specification.
        let brief: Vec<_> = system
            .iter()
            .filter(|(id, _)| *id != id::PRODUCTION)
            .map(|(id, value)| (*id, value.as_slice()))
            .collect();
        let mut bytes = Vec::new();
        emit_attributes(&brief, &mut bytes);
        if let Some(attributes) = Attributes::parse(&mut Reader(&bytes)) {
            self.send(client, &Message::MdsCreate { invoke: 1, time, attributes });
        }
    }

    fn announce(&mut self, now: Now) {
        let bytes = plate::announcement(&self.options.serial);
        let time = self.ticks(now.mono);
        if let Some(attributes) = Attributes::parse(&mut Reader(&bytes)) {
            self.send(Path::Announcement(MULTICAST), &Message::Indication { time, attributes });
        }
    }

    fn deadline(&self, now: Mono) -> Mono {
        let stage = match &self.stage {
            Stage::Idle => now + Duration::from_secs(60),
            Stage::Creating { again_at, .. } => *again_at,
            Stage::Active(association) => association
                .streams
                .iter()
                .map(|stream| stream.next_at)
                .fold(association.heard_at + ASSOCIATION_LIFE, Mono::min),
        };
        self.announce_at.map_or(stage, |at| at.min(stage))
    }
}

impl Peer for Monitor {
    fn handle(&mut self, now: Now, from: Path, bytes: &[u8]) {
        match from {
            Path::Line if !self.options.datagram => {
                let mut deframer = std::mem::take(&mut self.deframer);
                let mut rest = bytes;
                while let Some(found) = deframer.next(&mut rest) {
                    if let Found::Message { payload, .. } = found {
                        self.receive(now, from, payload);
                    }
                }
                self.deframer = deframer;
            }
            Path::Datagram(_) if self.options.datagram => self.receive(now, from, bytes),
            Path::Line | Path::Datagram(_) | Path::Announcement(_) => {}
        }
    }

    fn poll(&mut self, now: Now, body: &dyn Physiology) -> PeerOutput {
        if self.out.is_empty() {
            self.tick(now, body);
        }
        self.out.pop_front().unwrap_or_else(|| PeerOutput::Wait { until: self.deadline(now.mono) })
    }
}

const fn every(class: u16) -> Duration {
    if class == class::WAVE { BLOCK } else { SECOND }
}

/// Streams beat on the monitor's own grid, whoever asks when.
fn next_beat(booted: Mono, now: Mono, every: Duration) -> Mono {
    let step = every.as_micros() as u64;
    let beats = now.since(booted).as_micros() as u64 / step + 1;
    Mono(booted.0 + beats * step)
}

fn contexts(objects: &[&Written]) -> Vec<u8> {
    let mut out = Vec::new();
    put_list(&mut out, |out| {
        if let Some((context, _)) = objects.first() {
            put_u16(out, *context);
            put_list(out, |out| {
                objects.iter().for_each(|(_, bytes)| out.extend_from_slice(bytes));
                objects.len() as u16
            });
        }
        u16::from(!objects.is_empty())
    });
    out
}
