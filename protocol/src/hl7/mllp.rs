//! MLLP, the minimal lower layer: `0B` message `1C 0D`, cut out of a byte stream that may be cut anywhere.
//!
//! Sans-IO and incremental: every byte is looked at once, nothing is scanned again. What real senders get wrong is taken where it is
//! unambiguous (a missing `0D`, `0D 1C 0A`, a new start inside an unfinished message) and accounted for where it is not.

use memchr::{memchr, memchr2};

const START: u8 = 0x0B;
const END: u8 = 0x1C;
const CR: u8 = 0x0D;

/// The default limit of one message.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Of a message that is too long so much is kept, enough for its header to be answered.
const HEAD_BYTES_MAX: usize = 4096;
/// A buffer that a long message has grown is given back beyond this.
const BUFFER_BYTES_KEPT: usize = 64 << 10;

/// What the framer found. `wire` counts every byte that belongs to it, framing included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A whole message body, without its framing.
    Message { body: &'a [u8], wire: usize },
    /// Line ends, blanks, empty frames between messages.
    Filler { wire: usize },
    /// A run of bytes outside any frame, reported when it ends.
    Noise { wire: usize },
    /// A message that a new start cut off.
    Truncated { wire: usize },
    /// A message beyond the limit, reported when it ends; `head` is its beginning.
    TooLong { head: &'a [u8], wire: usize },
}

/// Cuts one direction of one connection into messages.
#[derive(Clone, Debug)]
pub struct Framer {
    state: State,
    /// The body so far, without its start byte.
    buffer: Vec<u8>,
    limit: usize,
    /// Where in the buffer a start byte stands that may begin a new message, once `MSH` follows it.
    restart_at: Option<usize>,
    noise: usize,
    /// The latest byte of the body.
    last: u8,
    /// Bytes of the message under way that were counted and not kept.
    dropped: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Body,
    /// After an `1C` within a body.
    MaybeEnd,
}

impl Default for Framer {
    fn default() -> Self {
        Self::new(MESSAGE_BYTES_MAX)
    }
}

impl Framer {
    pub const fn new(message_bytes_max: usize) -> Self {
        Self {
            state: State::Idle,
            buffer: Vec::new(),
            limit: message_bytes_max,
            restart_at: None,
            noise: 0,
            last: 0,
            dropped: 0,
        }
    }

    /// Bytes that were fed and not yet reported in a [`Piece`].
    pub fn pending(&self) -> usize {
        let begun = match self.state {
            State::Idle => 0,
            State::Body => 1,
            State::MaybeEnd => 2,
        };
        self.noise + self.dropped + self.buffer.len() + begun
    }

    /// A message has begun and not ended.
    pub fn is_within_message(&self) -> bool {
        self.state != State::Idle
    }

    /// The length of the current run of bytes outside any frame.
    pub const fn noise(&self) -> usize {
        self.noise
    }

    pub fn feed(&mut self, mut bytes: &[u8], mut found: impl FnMut(Piece<'_>)) {
        while let Some(first) = bytes.first().copied() {
            bytes = match self.state {
                State::Idle => self.seek_start(bytes, &mut found),
                State::Body => self.take_body(bytes, &mut found),
                State::MaybeEnd => {
                    self.after_end(first, &mut found);
                    &bytes[1..]
                }
            };
        }
    }

    /// The connection is over, or has been given up: what is left is reported.
    pub fn finish(&mut self, mut found: impl FnMut(Piece<'_>)) {
        self.end_noise(&mut found);
        let wire = self.pending();
        match self.state {
            State::Idle => return,
            _ if wire == 1 => found(Piece::Filler { wire }),
            _ if self.dropped > 0 => found(Piece::TooLong { head: &self.buffer, wire }),
            _ => found(Piece::Truncated { wire }),
        }
        self.reset();
    }

    fn seek_start<'b>(&mut self, bytes: &'b [u8], found: &mut impl FnMut(Piece<'_>)) -> &'b [u8] {
        let end = memchr(START, bytes).unwrap_or(bytes.len());
        let filler = bytes[..end].iter().filter(|byte| matches!(byte, b'\r' | b'\n' | b' ' | 0)).count();
        if filler > 0 {
            found(Piece::Filler { wire: filler });
        }
        self.noise += end - filler;
        if end < bytes.len() {
            self.end_noise(found);
            self.state = State::Body;
        }
        &bytes[(end + 1).min(bytes.len())..]
    }

    fn end_noise(&mut self, found: &mut impl FnMut(Piece<'_>)) {
        if self.noise > 0 {
            found(Piece::Noise { wire: self.noise });
            self.noise = 0;
        }
    }

    /// Takes up to the next byte that may mean something.
    fn take_body<'b>(&mut self, bytes: &'b [u8], found: &mut impl FnMut(Piece<'_>)) -> &'b [u8] {
        if let Some(at) = self.restart_at {
            let expected = b"MSH".get(self.buffer.len() - at - 1);
            self.restart_at = match expected {
                Some(byte) if *byte == bytes[0] => Some(at),
                _ => None,
            };
            if self.restart_at.is_some() {
                self.buffer.push(bytes[0]);
                self.last = bytes[0];
                if self.buffer.len() - at == 4 {
                    self.restart(at, found);
                }
                return &bytes[1..];
            }
        }
        match memchr2(END, START, bytes) {
            None => {
                self.keep(bytes);
                &[]
            }
            Some(at) => {
                self.keep(&bytes[..at]);
                if bytes[at] == END {
                    self.state = State::MaybeEnd;
                } else {
                    self.watch_restart();
                }
                &bytes[at + 1..]
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        self.last = *last;
        let is_too_long = self.dropped > 0 || self.buffer.len() + bytes.len() > self.limit;
        self.buffer.extend_from_slice(bytes);
        if is_too_long {
            self.drop_tail();
        }
    }

    fn drop_tail(&mut self) {
        let head = HEAD_BYTES_MAX.min(self.limit);
        self.dropped += self.buffer.len().saturating_sub(head);
        self.buffer.truncate(head);
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
    }

    /// Holds a start byte within a body, whatever the limit, until the three bytes after it tell what it is.
    fn watch_restart(&mut self) {
        self.restart_at = Some(self.buffer.len());
        self.buffer.push(START);
        self.last = START;
    }

    /// `0B MSH` within a body: the message before it never ended, or ended in a way of its own.
    fn restart(&mut self, at: usize, found: &mut impl FnMut(Piece<'_>)) {
        let wire = 1 + at + self.dropped;
        let before = &self.buffer[..at];
        if self.dropped > 0 {
            found(Piece::TooLong { head: before, wire });
        } else if before.iter().all(|byte| *byte == START) {
            found(Piece::Filler { wire });
        } else {
            found(Piece::Truncated { wire });
        }
        self.buffer.drain(..=at);
        self.dropped = 0;
        self.restart_at = None;
    }

    fn after_end(&mut self, byte: u8, found: &mut impl FnMut(Piece<'_>)) {
        let is_message = self.buffer.starts_with(b"MSH");
        match byte {
            CR => self.deliver(2, found),
            // Seen: a line feed in place of the carriage return. Only right after a segment's end can it mean nothing else.
            b'\n' if is_message && self.last == CR => self.deliver(2, found),
            START if is_message => {
                self.deliver(1, found);
                self.state = State::Body;
            }
            END => self.keep(&[END]),
            _ => {
                self.state = State::Body;
                self.keep(&[END]);
                if byte == START {
                    self.watch_restart();
                } else {
                    self.keep(&[byte]);
                }
            }
        }
    }

    fn deliver(&mut self, ending: usize, found: &mut impl FnMut(Piece<'_>)) {
        let wire = 1 + self.buffer.len() + self.dropped + ending;
        found(match &*self.buffer {
            head if self.dropped > 0 => Piece::TooLong { head, wire },
            [] => Piece::Filler { wire },
            body => Piece::Message { body, wire },
        });
        self.reset();
    }

    fn reset(&mut self) {
        self.state = State::Idle;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        self.restart_at = None;
        self.dropped = 0;
        self.last = 0;
    }
}

/// Puts the frame around a message; the message must not contain `1C 0D`, which HL7 text cannot.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 3);
    out.push(START);
    out.extend_from_slice(message);
    out.extend([END, CR]);
    out
}

#[cfg(test)]
mod tests {
    use super::{Framer, Piece, frame};
    use proptest::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Found {
        Message(Vec<u8>),
        Noise(usize),
        Truncated(usize),
        TooLong(usize),
    }

    /// Everything found, filler aside, and the bytes accounted for.
    fn run(limit: usize, chunks: &[&[u8]]) -> (Vec<Found>, usize) {
        let mut framer = Framer::new(limit);
        let mut all = Vec::new();
        let mut accounted = 0;
        let mut take = |piece: Piece<'_>| {
            let (wire, found) = match piece {
                Piece::Message { body, wire } => (wire, Some(Found::Message(body.to_vec()))),
                Piece::Filler { wire } => (wire, None),
                Piece::Noise { wire } => (wire, Some(Found::Noise(wire))),
                Piece::Truncated { wire } => (wire, Some(Found::Truncated(wire))),
                Piece::TooLong { wire, .. } => (wire, Some(Found::TooLong(wire))),
            };
            accounted += wire;
            all.extend(found);
        };
        let mut fed = 0;
        for chunk in chunks {
            fed += chunk.len();
            framer.feed(chunk, &mut take);
        }
        let pending = framer.pending();
        framer.finish(&mut take);
        let _ = take;
        assert!(pending <= fed);
        assert_eq!(accounted, fed, "every byte is accounted for");
        assert_eq!(framer.pending(), 0);
        (all, pending)
    }

    fn found(bytes: &[u8]) -> Vec<Found> {
        run(1 << 20, &[bytes]).0
    }

    fn message(text: &[u8]) -> Found {
        Found::Message(text.to_vec())
    }

    #[test]
    fn frames_are_cut_out_of_the_stream() {
        assert_eq!(found(b"\x0bMSH|1\r\x1c\r\x0bMSH|2\r\x1c\r"), [message(b"MSH|1\r"), message(b"MSH|2\r")]);
        assert_eq!(found(b"\x0bMSH|1\r\x1c\r\n \x0bMSH|2\x1c\r"), [message(b"MSH|1\r"), message(b"MSH|2")]);
    }

    #[test]
    fn what_senders_get_wrong_is_taken_where_it_is_unambiguous() {
        assert_eq!(found(b"\x0bMSH|1\r\x1c\x0bMSH|2\r\x1c\r"), [message(b"MSH|1\r"), message(b"MSH|2\r")]);
        assert_eq!(found(b"\x0bMSH|1\r\x1c\n\x0bMSH|2\r\x1c\n"), [message(b"MSH|1\r"), message(b"MSH|2\r")]);
        assert_eq!(found(b"\x0b\x0bMSH|1\r\x1c\r"), [message(b"MSH|1\r")]);
        assert_eq!(found(b"\x0bMSH|a\x1cb\x1c\x1cc\x1c\x1c\r"), [message(b"MSH|a\x1cb\x1c\x1cc\x1c")]);
        assert_eq!(found(b"\x0b\x1c\r"), []);
    }

    #[test]
    fn a_new_start_ends_a_truncated_message() {
        assert_eq!(found(b"\x0bMSH|NICU\x0bMSH|2\r\x1c\r"), [Found::Truncated(9), message(b"MSH|2\r")]);
        assert_eq!(found(b"\x0bMSH|a\x0bMSb\x1c\r"), [message(b"MSH|a\x0bMSb")]);
        assert_eq!(found(b"\x0bMSH|a\x0bM\x0bMSH|2\x1c\r"), [Found::Truncated(8), message(b"MSH|2")]);
        assert_eq!(found(b"\x0bxyz\x1c\x0bMSH|2\x1c\r"), [Found::Truncated(5), message(b"MSH|2")]);
    }

    #[test]
    fn garbage_is_counted_and_skipped() {
        assert_eq!(found(b"\r\nHELLO\x0bMSH|1\x1c\r"), [Found::Noise(5), message(b"MSH|1")]);
        assert_eq!(found(b"MSH|without a start\x1c\r"), [Found::Noise(18)]);
        assert_eq!(found(b"\x0bMSH|never ends"), [Found::Truncated(15)]);
    }

    #[test]
    fn a_message_that_is_too_long_is_dropped_and_the_next_is_found() {
        let long = [b"\x0bMSH|".to_vec(), vec![b'x'; 10_000_000], b"\x1c\r\x0bMSH|2\x1c\r".to_vec()].concat();
        let expected = [Found::TooLong(10_000_007), message(b"MSH|2")];
        assert_eq!(found(&long), expected);
        let pieces: Vec<&[u8]> = long.chunks(1500).collect();
        assert_eq!(run(1 << 20, &pieces).0, expected);
        let mut framer = Framer::new(1 << 20);
        for piece in long[..9_000_000].chunks(1500) {
            framer.feed(piece, |_| {});
        }
        assert!(framer.buffer.capacity() <= 64 << 10, "what is too long is not kept");
        assert_eq!(framer.pending(), 9_000_000);
    }

    fn hostile_stream() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            Just(b"\x0b".to_vec()),
            Just(b"\x1c".to_vec()),
            Just(b"\r".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"MSH|".to_vec()),
            Just(b"\x1c\r".to_vec()),
            Just(b"\x0bMSH|x\r\x1c\r".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..20),
        ];
        proptest::collection::vec(part, 0..30).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn the_same_bytes_cut_anywhere_give_the_same_messages(
            bytes in hostile_stream(), cuts in proptest::collection::vec(1usize..9, 1..40), limit in 4usize..64,
        ) {
            let mut chunks = Vec::new();
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (chunk, after) = rest.split_at((*cut).min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            prop_assert_eq!(run(1 << 20, &chunks), run(1 << 20, &[&bytes]));
            prop_assert_eq!(run(limit, &chunks).0, run(limit, &[&bytes]).0);
        }

        #[test]
        fn a_good_frame_after_anything_is_found(bytes in hostile_stream()) {
            // Two frames: the first may be swallowed by an open one, never the second.
            let stream = [bytes, frame(b"MSH|1\r"), frame(b"MSH|2\r")].concat();
            let all = found(&stream);
            prop_assert_eq!(all.last(), Some(&message(b"MSH|2\r")));
        }
    }
}
