//! The conversation: clear an old association, associate, confirm the system, keep polls alive, say goodbye.
//!
//! One monitor port serves one client. In listen mode nothing is sent and whatever comes is decoded: for recordings, and for a tap
//! on another host's line.

use super::alerts::Alerts;
use super::card::{Card, NamedBy, announced};
use super::channels::{Arrival, Channels};
use super::clock::Clock;
use super::duties::Duties;
use super::frame::{self, Deframer, Found};
use super::lists::Attributes;
use super::message::{Link, Message, Reply, class, group};
use super::query::{Query, Wishes};
use super::settings::{Averaging, Wanted};
use crate::device::{Hangup, Input, Output, Path, Session};
use crate::face::ClockFace;
use crate::model::{Event, Identity, Ignored, Malformed, Mono, Now, Tally, Zone};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// After an abort the monitor's port needs a moment before it answers.
const CLEARING: Duration = Duration::from_secs(1);
const ASSOCIATE_RETRY: Duration = Duration::from_secs(3);
const ASSOCIATE_TRIES: u8 = 3;
/// The monitor sends MDS create three times, 3 s apart, and gives up.
const MDS_CREATE_MAX: Duration = Duration::from_secs(10);
/// The monitor writes its date and time without fractions.
const FACE_RESOLUTION: Duration = Duration::from_secs(1);
/// Nothing valid for this long: the line is dead.
pub(super) const SILENT: Duration = Duration::from_secs(10);
const RELEASING: Duration = Duration::from_secs(1);
/// Connect indications come at least every 64 s, with jitter.
const SEEKING: Duration = Duration::from_secs(90);
/// A numeric stream asked for at 1 s is starved after this; slower averages are given their own period on top.
const STREAM_SILENT: Duration = Duration::from_secs(3);
/// So many bytes without a frame are another protocol or another baud rate.
const RUBBISH_MIN: u64 = 64;
/// The size of a block of samples, in ticks: its time is that of its begin, it is sent at its end.
const BLOCK_TICKS: u32 = 2048;

pub(super) struct Intellivue {
    state: State,
    wanted: Wanted,
    wishes: Wishes,
    /// What was asked for, then what was granted.
    averaging: Averaging,
    /// Where the monitor is; None: on the network, not found yet.
    monitor: Option<Path>,
    deframer: Deframer,
    clock: Clock,
    face: ClockFace,
    channels: Channels,
    alerts: Alerts,
    card: Card,
    /// The monitor has answered who it is.
    has_plate: bool,
    introduced: Option<Identity>,
    heard_at: Mono,
    tally: Tally,
    out: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    Listening,
    /// On the network, waiting for a connect indication.
    Seeking {
        until: Mono,
    },
    /// An old association has been told to go.
    Clearing {
        until: Mono,
    },
    Associating {
        tries: u8,
        until: Mono,
    },
    AwaitingSystem {
        until: Mono,
    },
    Active(Duties),
    Releasing {
        until: Mono,
    },
    Closed,
}

/// What became of a whole message.
type Verdict = Result<(), Ignored>;

impl Intellivue {
    pub(super) fn new(wanted: Wanted, now: Now) -> Self {
        let wishes = wanted.wishes();
        let monitor = wanted.address.map(Path::Datagram).or((!wanted.is_lan()).then_some(Path::Line));
        let mut session = Self {
            state: State::Listening,
            channels: Channels::new(wanted.averaging.pace(), !wanted.listens),
            wishes,
            averaging: wanted.averaging,
            monitor,
            deframer: Deframer::default(),
            clock: Clock::default(),
            face: ClockFace::default(),
            alerts: Alerts::default(),
            card: Card::default(),
            has_plate: false,
            introduced: None,
            heard_at: now.mono,
            tally: Tally::default(),
            out: VecDeque::new(),
            wanted,
        };
        if !session.wanted.listens {
            session.state = State::Seeking { until: now.mono + SEEKING };
            if session.monitor.is_some() {
                session.clear(now.mono);
            }
        }
        session
    }

    fn clear(&mut self, now: Mono) {
        self.send(Query::Abort);
        self.state = State::Clearing { until: now + CLEARING };
    }

    fn send(&mut self, query: Query) {
        let Some(to) = self.monitor else { return };
        let mut message = Vec::new();
        query.emit(&self.wishes, &mut message);
        let bytes = if to == Path::Line {
            let mut framed = Vec::new();
            frame::emit(&message, &mut framed);
            framed
        } else {
            message
        };
        self.out.push_back(Output::Transmit { to, bytes });
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn hang_up(&mut self, why: Hangup) {
        self.state = State::Closed;
        self.out.push_back(Output::Hangup(why));
    }

    fn malformed(&mut self, reason: Malformed, bytes: usize) {
        self.tally.malform(reason, bytes);
        self.event(Event::Malformed { reason, bytes: bytes as u32 });
    }

    fn line(&mut self, now: Mono, mut bytes: &[u8]) {
        let mut deframer = std::mem::take(&mut self.deframer);
        while let Some(found) = deframer.next(&mut bytes) {
            match found {
                Found::Message { payload, wire } => self.message(now, payload, wire),
                Found::Foreign { reason, wire } => self.tally.ignore(reason, wire),
                Found::Bad { reason, wire } => self.malformed(reason, wire),
            }
        }
        self.tally.pending = deframer.pending();
        self.deframer = deframer;
    }

    fn datagram(&mut self, now: Mono, from: SocketAddr, bytes: &[u8]) {
        if self.wanted.listens && self.monitor.is_none_or(|path| path == Path::Line) {
            self.monitor = Some(Path::Datagram(from));
        }
        if self.monitor == Some(Path::Datagram(from)) {
            self.message(now, bytes, bytes.len());
        } else {
            self.tally.ignore(Ignored::NotOurs, bytes.len());
        }
    }

    /// A connect indication, of ours or of another monitor.
    fn announcement(&mut self, now: Mono, from: SocketAddr, bytes: &[u8]) {
        let attributes = match Message::parse(bytes) {
            Ok(Message::Indication { attributes, .. }) => attributes,
            Ok(_) => return self.tally.ignore(Ignored::UnknownMessage, bytes.len()),
            Err(reason) => return self.malformed(reason, bytes.len()),
        };
        let Some((mac, address)) = announced(attributes, from) else {
            return self.tally.ignore(Ignored::UnknownMessage, bytes.len());
        };
        let is_ours = match (&self.wanted.mac, self.wanted.address) {
            (Some(wanted), _) => *wanted == mac,
            (None, Some(wanted)) => wanted == address,
            (None, None) => true,
        };
        if !is_ours {
            return self.tally.ignore(Ignored::NotOurs, bytes.len());
        }
        self.tally.decoded += bytes.len() as u64;
        self.tally.frames += 1;
        // An announcement on a line not heard from means that the link is a network after all.
        let is_unheard = self.monitor == Some(Path::Line) && self.tally.frames == 1;
        let may_turn = is_unheard && !self.wanted.listens && self.wanted.may_be_lan();
        if may_turn || matches!(self.state, State::Seeking { .. }) {
            self.monitor = Some(Path::Datagram(address));
            self.heard_at = now;
            self.clear(now);
        }
    }

    fn message(&mut self, now: Mono, bytes: &[u8], wire: usize) {
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            Err(reason) => return self.malformed(reason, wire),
        };
        self.heard_at = now;
        let mut bad = 0;
        match self.receive(now, &message, &mut bad) {
            Ok(()) => {
                let bad = bad.min(wire);
                self.tally.decoded += (wire - bad) as u64;
                self.tally.frames += 1;
                if bad > 0 {
                    self.malformed(Malformed::Field, bad);
                }
            }
            Err(reason) => self.tally.ignore(reason, wire),
        }
    }

    fn receive(&mut self, now: Mono, message: &Message<'_>, bad: &mut usize) -> Verdict {
        match (&mut self.state, message) {
            (State::Listening, Message::MdsCreate { attributes, time, .. }) => {
                self.clock.heard(now, *time);
                self.introduce(now, *attributes);
                Ok(())
            }
            (State::Listening, Message::Reply { invoke, link, reply }) => {
                self.reply(now, *invoke, *link, reply, bad)
            }
            (State::Listening, Message::Associated(info)) => {
                if let Some(averaging) = info.options.and_then(Averaging::granted) {
                    self.channels.pace = averaging.pace();
                }
                Ok(())
            }
            // The other side of somebody else's conversation.
            (State::Listening, _) => Err(Ignored::NotOurs),

            (State::Associating { .. }, Message::Associated(info)) => {
                match info.options.and_then(Averaging::granted) {
                    Some(averaging) => {
                        self.averaging = averaging;
                        self.channels.pace = averaging.pace();
                    }
                    None => self.event(Event::Notice(
                        "the monitor granted no stream of numerics: another of its ports may hold the averaging",
                    )),
                }
                self.state = State::AwaitingSystem { until: now + MDS_CREATE_MAX };
                Ok(())
            }
            (State::Associating { .. }, Message::Refused) => {
                self.event(Event::Notice(
                    "the monitor refuses the association: another client is associated, or it belongs to a central station",
                ));
                self.hang_up(Hangup::Refused);
                Ok(())
            }
            (State::Associating { .. } | State::AwaitingSystem { .. } | State::Active(_), Message::Abort) => {
                self.event(Event::Notice("the monitor aborted the association"));
                self.hang_up(Hangup::Refused);
                Ok(())
            }
            // Without a response before it, the response was lost: the monitor would refuse to be asked again.
            (
                State::Associating { .. } | State::AwaitingSystem { .. } | State::Active(_),
                Message::MdsCreate { invoke, time, attributes },
            ) => {
                let (invoke, time) = (*invoke, *time);
                self.send(Query::ConfirmSystem { invoke, time });
                self.clock.heard(now, time);
                self.read_card(now, *attributes);
                self.channels.is_demo = self.card.is_demo;
                if !matches!(self.state, State::Active(_)) {
                    self.state = State::Active(self.duties(now));
                }
                Ok(())
            }
            (State::Active(duties), Message::Reply { invoke, link, reply }) => {
                duties.heard(now, *invoke);
                self.reply(now, *invoke, *link, reply, bad)
            }
            (State::Active(duties), Message::Lists { invoke, .. }) => {
                duties.heard(now, *invoke);
                Ok(())
            }
            (State::Active(duties), Message::Failed { invoke, .. }) => {
                duties.heard(now, *invoke);
                if *invoke == Query::SelectWaves.number() {
                    self.event(Event::Notice("the monitor did not accept the list of waves"));
                }
                Ok(())
            }
            (State::Active(_) | State::Releasing { .. }, Message::Release | Message::Released) => {
                let was_asked = matches!(self.state, State::Releasing { .. });
                self.hang_up(if was_asked { Hangup::Closed } else { Hangup::Released });
                Ok(())
            }
            (State::Active(_), Message::Other { .. }) => Err(Ignored::UnknownMessage),
            // Answers to an association before ours, or to a question no longer asked.
            _ => Err(Ignored::OutOfState),
        }
    }

    fn duties(&self, now: Mono) -> Duties {
        let selects = self.wishes.labels.as_ref().is_some_and(|labels| !labels.is_empty());
        let silent = STREAM_SILENT + self.averaging.period();
        Duties::new(now, selects, self.wanted.has_waves(), silent)
    }

    fn reply(&mut self, now: Mono, invoke: u16, link: Link, reply: &Reply<'_>, bad: &mut usize) -> Verdict {
        if reply.time != 0 {
            let has_samples =
                reply.class == class::WAVE && !reply.contexts.is_empty() && reply.sequence != Some(0);
            let finished = if has_samples { reply.time.wrapping_add(BLOCK_TICKS) } else { reply.time };
            self.clock.heard(now, finished);
        }
        let out = &mut self.out;
        let mut sink = |event| out.push_back(Output::Event(event));
        match reply.class {
            class::NUMERIC | class::WAVE => {
                // The answer to the question for labels also holds values: those of the stream are enough.
                let is_answer = !self.wanted.listens && invoke == Query::NumericContexts.number();
                let arrival = Arrival { now, clock: &self.clock, time: reply.time };
                *bad += self.channels.take(arrival, reply, !is_answer, &mut sink);
                if std::mem::take(&mut self.channels.is_wanting)
                    && let State::Active(duties) = &mut self.state
                {
                    duties.want_contexts(now);
                }
                Ok(())
            }
            // The answer to a keep-alive has no lists, and must not end one that is being assembled.
            class::ALERTS if reply.group == group::STATIC => Ok(()),
            class::ALERTS => {
                *bad += self.alerts.take(invoke, link, reply, &mut sink);
                Ok(())
            }
            class::MDS | class::PATIENT => {
                self.has_plate |= reply.class == class::MDS;
                for object in reply.contexts.objects() {
                    self.introduce(now, object.attributes);
                }
                Ok(())
            }
            _ => Err(Ignored::UnknownMessage),
        }
    }

    /// Reads who the monitor is, and says so when it has changed.
    fn introduce(&mut self, now: Mono, attributes: Attributes<'_>) {
        self.read_card(now, attributes);
        if self.card.is_demo && !self.channels.is_demo {
            self.event(Event::Notice("the monitor is in demonstration mode: its values are marked"));
        }
        self.channels.is_demo = self.card.is_demo;
        if !self.has_plate && !self.wanted.listens {
            return;
        }
        // A listener may never see the type plate, and an identity must not change once told.
        let by = if self.wanted.listens { NamedBy::SystemId } else { NamedBy::Serial };
        let identity = self.card.identity(by);
        if !identity.model.is_empty() && self.introduced.as_ref() != Some(&identity) {
            self.introduced = Some(identity.clone());
            self.event(Event::Identified(identity));
        }
    }

    /// The tick counter says when the monitor's clock read so, however late the answer is.
    fn read_card(&mut self, now: Mono, attributes: Attributes<'_>) {
        if let Some((ticks, wall)) = self.card.read(attributes, &mut self.clock) {
            let read_at = self.clock.mono(ticks).unwrap_or(now).min(now);
            let told = self.face.look(read_at, wall, Zone::Unknown, FACE_RESOLUTION);
            self.out.extend(told.map(Output::Event));
        }
    }

    /// What is due by the clock alone.
    fn tick(&mut self, now: Mono) {
        let is_silent = now.since(self.heard_at) >= SILENT;
        match &mut self.state {
            State::Listening if is_silent => self.hang_up(Hangup::Silent),
            State::Seeking { until } if now >= *until => {
                self.event(Event::Notice(
                    "no connect indication heard: is the monitor on this network, and without a central station?",
                ));
                self.hang_up(Hangup::Silent);
            }
            State::Clearing { until } if now >= *until => {
                self.state = State::Associating { tries: 1, until: now + ASSOCIATE_RETRY };
                self.send(Query::Associate);
            }
            State::Associating { tries, until } if now >= *until => {
                if *tries < ASSOCIATE_TRIES {
                    *tries += 1;
                    *until = now + ASSOCIATE_RETRY;
                    self.send(Query::Associate);
                } else {
                    let (words, why) = self.why_unanswered();
                    self.event(Event::Notice(words));
                    self.hang_up(why);
                }
            }
            State::AwaitingSystem { until } if now >= *until => {
                self.event(Event::Notice("the monitor associated and then said nothing"));
                self.hang_up(Hangup::Silent);
            }
            State::Active(_) if is_silent => self.hang_up(Hangup::Silent),
            State::Active(duties) => {
                if let Some(query) = duties.next(now) {
                    self.send(query);
                }
            }
            State::Releasing { until } if now >= *until => self.hang_up(Hangup::Closed),
            // Not yet.
            _ => {}
        }
    }

    fn why_unanswered(&self) -> (&'static str, Hangup) {
        if self.tally.frames == 0 && self.tally.received > RUBBISH_MIN {
            ("bytes arrive but no frame is among them: is the baud rate right?", Hangup::Garbage)
        } else {
            (
                "the monitor does not answer: is its port set to Data Export, at this baud rate?",
                Hangup::Silent,
            )
        }
    }

    fn close(&mut self, now: Mono) {
        match self.state {
            State::Active(_) => {
                self.send(Query::Release);
                self.state = State::Releasing { until: now + RELEASING };
            }
            State::Associating { .. } | State::AwaitingSystem { .. } => {
                self.send(Query::Abort);
                self.hang_up(Hangup::Closed);
            }
            State::Listening | State::Seeking { .. } | State::Clearing { .. } => self.hang_up(Hangup::Closed),
            State::Releasing { .. } | State::Closed => {}
        }
    }

    fn deadline(&self) -> (Mono, &'static str) {
        let silent = self.heard_at + SILENT;
        match &self.state {
            State::Listening => (silent, "silence"),
            State::Seeking { until } => (*until, "connect indication"),
            State::Clearing { until } => (*until, "old association to end"),
            State::Associating { until, .. } => (*until, "association response"),
            State::AwaitingSystem { until } => (*until, "MDS create"),
            State::Active(duties) if duties.deadline() < silent => (duties.deadline(), "next query"),
            State::Active(_) => (silent, "silence"),
            State::Releasing { until } => (*until, "release response"),
            State::Closed => (Mono(u64::MAX), "closed"),
        }
    }
}

impl Session for Intellivue {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Received { from, bytes } => {
                self.tally.received += bytes.len() as u64;
                match from {
                    _ if matches!(self.state, State::Closed) => {
                        self.tally.ignore(Ignored::OutOfState, bytes.len());
                    }
                    Path::Line => self.line(now.mono, bytes),
                    Path::Datagram(from) => self.datagram(now.mono, from, bytes),
                    Path::Announcement(from) => self.announcement(now.mono, from, bytes),
                }
            }
            Input::Close => self.close(now.mono),
            // Nothing here is acknowledged to the monitor by content.
            Input::Stored(_) | Input::Timeout | Input::Keepsake(_) => {}
        }
        self.tick(now.mono);
    }

    fn poll(&mut self) -> Output {
        self.out.pop_front().unwrap_or_else(|| {
            let (until, why) = self.deadline();
            Output::Wait { until, why }
        })
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}
