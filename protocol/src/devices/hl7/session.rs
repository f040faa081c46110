//! One MLLP connection: frames become events and a checkpoint, and a message is acknowledged only once its checkpoint is on disk.

use super::events::Teller;
use super::{Acknowledge, Link, alert, message};
use crate::device::{Hangup, Input, Output, Path, Session};
use crate::hl7::ack::{self, Fault, Verdict};
use crate::hl7::charset::{self, Charset};
use crate::hl7::mllp::{self, Framer, Piece};
use crate::hl7::scan::{Message, messages};
use crate::model::{Event, Ignored, Malformed, Mono, Now, StoreToken, Tally};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

/// From the start byte to the end of a message.
const MESSAGE_ENDS_WITHIN: Duration = Duration::from_secs(30);
/// So much rubbish in a row is another protocol.
const NOISE_BYTES_MAX: usize = 64 << 10;
/// Answers waiting for the disk. Beyond it a message stays unanswered: its sender will repeat it.
const ANSWERS_MAX: usize = 1024;
/// Messages remembered to recognise repetitions.
const RECENT_MAX: usize = 256;
/// Notices of one connection, each said once.
const NOTICES_MAX: usize = 32;

pub(super) struct Hl7Session {
    link: Link,
    framer: Framer,
    tally: Tally,
    out: VecDeque<Output>,
    /// When the message under way began, or the bytes outside any.
    begun_at: Option<Mono>,
    heard_at: Mono,
    has_hung_up: bool,
    checkpoint: StoreToken,
    stored: StoreToken,
    answers: VecDeque<Waiting>,
    answers_given: u64,
    recent: VecDeque<Seen>,
    teller: Teller,
    said: Vec<&'static str>,
}

/// An answer, and what must be on disk before it may leave.
struct Waiting {
    after: StoreToken,
    frames: Vec<u8>,
}

/// A message that was taken.
struct Seen {
    digest: Digest,
    /// What must be on disk before it is known to be.
    after: StoreToken,
}

/// Of a whole message, MSH-3 and MSH-10 among the rest: GE and others use one control id for ever, so the content must agree too.
type Digest = [u8; 16];

fn digest(message: &[u8]) -> Digest {
    let mut hasher = DefaultHasher::new();
    hasher.write(message);
    let mut out = [0; 16];
    out[..8].copy_from_slice(&hasher.finish().to_le_bytes());
    out[8..12].copy_from_slice(&crc32c::crc32c(message).to_le_bytes());
    out[12..].copy_from_slice(&(message.len() as u32).to_le_bytes());
    out
}

/// What became of a message, for the account of bytes.
enum Outcome {
    /// So many of its bytes could not be believed.
    Used {
        refused: usize,
    },
    Ignored(Ignored),
    Malformed(Malformed),
}

/// A resent message has the same sender, control id and content. Without any time in it, equal content is merely an equal state.
fn identifiable(message: &Message<'_>, report: &message::Report<'_>) -> bool {
    let header: [&[u8]; 11] = message.header().fields();
    !header[10].is_empty() && report.made_at.is_some()
}

impl Session for Hl7Session {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        if let Input::Stored(token) = input {
            // After the end of the conversation too: the keepsake tells what is on disk.
            self.stored = self.stored.max(token);
        }
        if self.has_hung_up {
            return;
        }
        match input {
            Input::Keepsake(bytes) => self.remember(bytes),
            Input::Received { bytes, .. } => self.received(now, bytes),
            Input::Stored(_) => self.release_answers(),
            Input::Timeout => {
                if self.begun_at.is_some_and(|begun_at| now.mono >= begun_at + MESSAGE_ENDS_WITHIN) {
                    self.give_up(now);
                } else if now.mono >= self.heard_at + self.link.hang_up_after {
                    self.hang_up(now, Hangup::Silent);
                }
            }
            Input::Close => self.hang_up(now, Hangup::Closed),
        }
    }

    fn poll(&mut self) -> Output {
        if let Some(output) = self.out.pop_front() {
            return output;
        }
        let silent_at = self.heard_at + self.link.hang_up_after;
        match self.begun_at.map(|begun_at| begun_at + MESSAGE_ENDS_WITHIN) {
            Some(until) if until < silent_at => Output::Wait { until, why: "the end of a message" },
            _ => Output::Wait { until: silent_at, why: "the next message" },
        }
    }

    fn tally(&self) -> Tally {
        let mut tally = self.tally;
        tally.pending = self.framer.pending() as u64;
        tally
    }

    /// What is on disk, so that a message whose answer was lost with the connection is not taken twice.
    fn keepsake(&self) -> Option<Vec<u8>> {
        let stored = self.recent.iter().filter(|seen| seen.after <= self.stored);
        Some(stored.flat_map(|seen| seen.digest).collect())
    }
}

impl Hl7Session {
    pub(super) fn new(link: Link, now: Now) -> Self {
        Self {
            framer: Framer::new(link.message_bytes_max),
            teller: Teller::new(link.dialect.clone(), link.offset_min),
            link,
            tally: Tally::default(),
            out: VecDeque::new(),
            begun_at: None,
            heard_at: now.mono,
            has_hung_up: false,
            checkpoint: StoreToken(0),
            stored: StoreToken(0),
            answers: VecDeque::new(),
            answers_given: 0,
            recent: VecDeque::new(),
            said: Vec::new(),
        }
    }

    fn received(&mut self, now: Now, bytes: &[u8]) {
        self.tally.received += bytes.len() as u64;
        let mut framer = std::mem::replace(&mut self.framer, Framer::new(0));
        let mut has_ended = false;
        framer.feed(bytes, |piece| {
            has_ended = true;
            self.take(now, piece);
        });
        self.begun_at = match self.begun_at {
            _ if framer.pending() == 0 => None,
            Some(begun_at) if !has_ended => Some(begun_at),
            _ => Some(now.mono),
        };
        self.framer = framer;
        if self.framer.noise() > NOISE_BYTES_MAX {
            self.hang_up(now, Hangup::Garbage);
        }
    }

    /// An unfinished message ends the connection, so that its sender repeats it; noise is only reported.
    fn give_up(&mut self, now: Now) {
        if self.framer.is_within_message() {
            return self.hang_up(now, Hangup::Garbage);
        }
        self.notice("bytes arrive that no MLLP start (0B) precedes");
        self.finish_piece(now);
    }

    fn finish_piece(&mut self, now: Now) {
        let mut framer = std::mem::replace(&mut self.framer, Framer::new(0));
        framer.finish(|piece| self.take(now, piece));
        self.framer = framer;
        self.begun_at = None;
    }

    fn hang_up(&mut self, now: Now, why: Hangup) {
        self.finish_piece(now);
        self.has_hung_up = true;
        self.out.push_back(Output::Hangup(why));
    }

    fn take(&mut self, now: Now, piece: Piece<'_>) {
        match piece {
            Piece::Message { body, wire } => self.take_frame(now, body, wire),
            Piece::Filler { wire } => self.tally.ignore(Ignored::Filler, wire),
            Piece::Noise { wire } => self.malformed(Malformed::Noise, wire),
            Piece::Truncated { wire } => self.malformed(Malformed::Truncated, wire),
            Piece::TooLong { head, wire } => {
                self.malformed(Malformed::TooLong, wire);
                if let Ok(message) = Message::scan(head) {
                    self.answer(now, &message, Charset::UTF_8, Verdict::Rejected(Fault::INTERNAL));
                }
            }
        }
    }

    /// A frame may hold a batch; its bytes are accounted message by message, what surrounds them with the last.
    fn take_frame(&mut self, now: Now, body: &[u8], wire: usize) {
        if matches!(body, [0x06] | [0x15]) {
            // MLLP release 2: a commit acknowledgement of the transport itself.
            return self.tally.ignore(Ignored::Filler, wire);
        }
        let decoded = charset::decode(body, self.link.charset);
        if decoded.contradicts_header {
            self.notice("the text is not in the character set that MSH-18 names");
        }
        let mut rest = wire;
        let mut all = messages(&decoded.bytes).peekable();
        if all.peek().is_none() {
            self.malformed(Malformed::Structure, wire);
            return self.answer_unreadable(now, body);
        }
        self.heard_at = now.mono;
        while let Some(bytes) = all.next() {
            // Decoding may change lengths; what is accounted is the wire's bytes.
            let share = if all.peek().is_none() { rest } else { bytes.len().min(rest) };
            rest -= share;
            match self.take_message(now, bytes, decoded.charset) {
                Outcome::Used { refused } => {
                    let refused = refused.min(share);
                    self.tally.frames += 1;
                    self.tally.malform(Malformed::Field, refused);
                    self.tally.decoded += (share - refused) as u64;
                }
                Outcome::Ignored(reason) => self.tally.ignore(reason, share),
                Outcome::Malformed(reason) => self.malformed(reason, share),
            }
        }
    }

    fn take_message(&mut self, now: Now, bytes: &[u8], charset: Charset) -> Outcome {
        let Ok(message) = Message::scan(bytes) else {
            self.answer_unreadable(now, bytes);
            return Outcome::Malformed(Malformed::Structure);
        };
        let header = message.header();
        let [kind, event] = header.field(9).first::<2>();
        match (kind, event) {
            (b"ACK", _) => return Outcome::Ignored(Ignored::UnknownMessage),
            (b"ORU", b"R01" | b"R30" | b"R32" | b"R40" | b"R42" | b"") => {}
            (b"ORU", _) => return self.reject(now, &message, charset, Fault::EVENT),
            (b"", _) => return self.reject(now, &message, charset, Fault::NO_MESSAGE_TYPE),
            _ => return self.reject(now, &message, charset, Fault::MESSAGE_TYPE),
        }
        let mut report = message::read(&message, &self.link.dialect);
        if let Some(bed) = &self.link.location
            && !report.location.is_some_and(|location| bed.is(location))
        {
            // A message that names no bed is nobody's: it is never guessed whose.
            self.notice(match report.location {
                Some(_) => "messages of other beds arrive on this link; they are rejected",
                None => "messages without a location arrive on this link; they are rejected",
            });
            self.answer(now, &message, charset, Verdict::Rejected(Fault::UNKNOWN_KEY));
            return Outcome::Ignored(Ignored::NotOurs);
        }
        let digest = identifiable(&message, &report).then(|| digest(message.bytes()));
        if digest.is_some_and(|digest| self.recent.iter().any(|seen| seen.digest == digest)) {
            self.answer(now, &message, charset, Verdict::Accepted);
            return Outcome::Ignored(Ignored::Duplicate);
        }
        let alert = if event == b"R40" { alert::read(&message, charset) } else { None };
        if event == b"R40" {
            // Its rows are facets of one alert, a value among them: not observations.
            report.forget_observations();
        }
        let mut said = Vec::new();
        let out = &mut self.out;
        self.teller.tell(now, &message, charset, &report, |event| match event {
            Event::Notice(words) => said.push(words),
            event => out.push_back(Output::Event(event)),
        });
        said.into_iter().for_each(|words| self.notice(words));
        if let Some(alert) = alert {
            self.event(Event::Alert(alert));
        }
        report.refused.iter().for_each(|(reason, bytes)| self.report(*reason, *bytes));
        if report.not_modelled > 0 {
            self.notice("some observations have no code that can be kept");
        }
        self.checkpoint.0 += 1;
        self.event(Event::Checkpoint(self.checkpoint));
        if let Some(digest) = digest {
            self.remember_one(Seen { digest, after: self.checkpoint });
        }
        self.answer(now, &message, charset, Verdict::Accepted);
        Outcome::Used { refused: report.refused.iter().map(|(_, bytes)| bytes).sum() }
    }

    fn reject(&mut self, now: Now, message: &Message<'_>, charset: Charset, fault: Fault) -> Outcome {
        self.notice("messages other than observations arrive on this link; they are rejected");
        self.answer(now, message, charset, Verdict::Rejected(fault));
        Outcome::Ignored(Ignored::UnknownMessage)
    }

    fn remember(&mut self, keepsake: &[u8]) {
        let (digests, _) = keepsake.as_chunks();
        digests.iter().for_each(|digest| self.remember_one(Seen { digest: *digest, after: StoreToken(0) }));
    }

    fn remember_one(&mut self, seen: Seen) {
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(seen);
    }

    /// An answer leaves after everything taken before it is on disk, so answers are in order and never early.
    fn answer(&mut self, now: Now, message: &Message<'_>, charset: Charset, verdict: Verdict) {
        let id = self.control_id(now);
        let answers = ack::answers(message, charset, verdict, now.wall, &id);
        self.queue_answers(answers);
    }

    fn answer_unreadable(&mut self, now: Now, frame: &[u8]) {
        let id = self.control_id(now);
        self.queue_answers(vec![ack::reject_unreadable(frame, now.wall, &id)]);
    }

    /// Unique as long as two connections do not begin in one microsecond; twenty characters at most (MSH-10).
    fn control_id(&mut self, now: Now) -> String {
        self.answers_given += 1;
        format!("{:X}-{:X}", now.wall.0, self.answers_given % 0x1_0000)
    }

    fn queue_answers(&mut self, answers: Vec<Vec<u8>>) {
        if answers.is_empty() || self.link.acknowledge == Acknowledge::Never {
            return;
        }
        if self.answers.len() == ANSWERS_MAX {
            return self.notice("too many messages wait for the disk; some stay unacknowledged");
        }
        let frames = answers.iter().flat_map(|answer| mllp::frame(answer)).collect();
        self.answers.push_back(Waiting { after: self.checkpoint, frames });
        self.release_answers();
    }

    fn release_answers(&mut self) {
        while self.answers.front().is_some_and(|waiting| waiting.after <= self.stored) {
            let Some(waiting) = self.answers.pop_front() else { break };
            self.out.push_back(Output::Transmit { to: Path::Line, bytes: waiting.frames });
        }
    }

    fn malformed(&mut self, reason: Malformed, bytes: usize) {
        self.tally.malform(reason, bytes);
        self.report(reason, bytes);
    }

    fn report(&mut self, reason: Malformed, bytes: usize) {
        self.event(Event::Malformed { reason, bytes: u32::try_from(bytes).unwrap_or(u32::MAX) });
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    /// Says a thing once per connection.
    fn notice(&mut self, words: &'static str) {
        if !self.said.contains(&words) && self.said.len() < NOTICES_MAX {
            self.said.push(words);
            self.event(Event::Notice(words));
        }
    }
}
