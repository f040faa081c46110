//! A zero-copy scanner: a message is its bytes, and every segment, field, repetition, component and subcomponent is a slice of them.
//!
//! The separators are those of the message itself (MSH-1 and MSH-2, HL7 v2.x chapter 2.5.4); nothing is assumed, nothing is allocated.
//! Input is expected in UTF-8 or any other character set whose trail bytes are never ASCII: decode first ([`super::charset`]).

use memchr::{memchr, memchr2};

pub use super::separators::{BadHeader, Separators};

/// One message, from MSH to the byte before the next MSH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    bytes: &'a [u8],
    separators: Separators,
}

impl<'a> Message<'a> {
    /// `bytes` must begin with `MSH`, as the slices of [`messages`] do.
    pub fn scan(bytes: &'a [u8]) -> Result<Self, BadHeader> {
        if !bytes.starts_with(b"MSH") {
            return Err(BadHeader::NoHeader);
        }
        let first = &bytes[..memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len())];
        Ok(Self { bytes, separators: Separators::of_header(first)? })
    }

    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub const fn separators(&self) -> Separators {
        self.separators
    }

    /// All segments in order, the header first. Empty ones are skipped.
    pub fn segments(&self) -> Segments<'a> {
        Segments {
            rest: self.bytes,
            separators: self.separators,
            only_line_feeds: memchr(b'\r', self.bytes).is_none(),
        }
    }

    /// The MSH segment.
    pub fn header(&self) -> Segment<'a> {
        self.segments().next().unwrap_or(Segment { bytes: &self.bytes[..3], separators: self.separators })
    }
}

/// Segments end with 0D; 0D 0A and mixtures are taken. Where the message has any 0D, a bare 0A is data,
/// unless what follows looks like the start of a segment.
#[derive(Clone, Debug)]
pub struct Segments<'a> {
    rest: &'a [u8],
    separators: Separators,
    only_line_feeds: bool,
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        while !self.rest.is_empty() {
            let end = segment_end(self.rest, self.separators.field, self.only_line_feeds);
            let bytes = &self.rest[..end];
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            let bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            if !bytes.is_empty() {
                return Some(Segment { bytes, separators: self.separators });
            }
        }
        None
    }
}

fn segment_end(bytes: &[u8], field: u8, only_line_feeds: bool) -> usize {
    let mut from = 0;
    while let Some(at) = memchr2(b'\r', b'\n', &bytes[from..]).map(|at| from + at) {
        if bytes[at] == b'\r' || only_line_feeds || starts_segment(&bytes[at + 1..], field) {
            return at;
        }
        from = at + 1;
    }
    bytes.len()
}

fn starts_segment(bytes: &[u8], field: u8) -> bool {
    matches!(bytes, [a, b, c, d, ..] if a.is_ascii_uppercase()
        && [b, c].iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && *d == field)
}

/// One segment, without its terminator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    bytes: &'a [u8],
    separators: Separators,
}

impl<'a> Segment<'a> {
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What stands before the first field separator: three upper-case characters, if the sender keeps the rules.
    pub fn id(&self) -> &'a [u8] {
        if self.is_header() {
            return &self.bytes[..3];
        }
        &self.bytes[..memchr(self.separators.field, self.bytes).unwrap_or(self.bytes.len())]
    }

    /// The id in upper case (lower-case ids are seen in the wild); blanks if it is not three characters.
    pub fn kind(&self) -> [u8; 3] {
        match self.bytes {
            [a, b, c] => [*a, *b, *c].map(|byte| byte.to_ascii_uppercase()),
            [a, b, c, mark, ..] if *mark == self.separators.field => {
                [*a, *b, *c].map(|byte| byte.to_ascii_uppercase())
            }
            _ => *b"   ",
        }
    }

    pub fn is(&self, id: &[u8; 3]) -> bool {
        self.kind() == *id
    }

    fn is_header(&self) -> bool {
        self.bytes.len() > 3
            && matches!(&self.bytes[..3], b"MSH" | b"FHS" | b"BHS")
            && self.bytes[3] == self.separators.field
    }

    /// Field `n`, counted from 1 as the standard does; empty if absent. MSH-1 is the separator itself.
    pub fn field(&self, n: usize) -> Field<'a> {
        if n == 1 && self.is_header() {
            return self.whole(&self.bytes[3..4]);
        }
        self.numbered().find(|(number, _)| *number == n).map_or(self.whole(&[]), |(_, field)| field)
    }

    /// The first fields at once, in one pass: element `n` is field `n`, element 0 the id.
    pub fn fields<const N: usize>(&self) -> [&'a [u8]; N] {
        let mut all: [&'a [u8]; N] = [&[]; N];
        let mut from = 0;
        let mut number = 0;
        if self.is_header() {
            if let [id, mark, ..] = all.as_mut_slice() {
                (*id, *mark) = (&self.bytes[..3], &self.bytes[3..4]);
            }
            (from, number) = (4, 2);
        }
        let start = from;
        let (words, tail) = self.bytes[start..].as_chunks::<8>();
        for (n, word) in words.iter().enumerate() {
            let mut hits = Hits::of(u64::from_le_bytes(*word), self.separators.field);
            while let Some(place) = hits.take() {
                let at = start + n * 8 + place;
                let Some(slot) = all.get_mut(number) else { return all };
                *slot = &self.bytes[from..at];
                (number, from) = (number + 1, at + 1);
            }
        }
        let tail_at = self.bytes.len() - tail.len();
        for (place, byte) in tail.iter().enumerate() {
            if *byte == self.separators.field {
                let Some(slot) = all.get_mut(number) else { return all };
                *slot = &self.bytes[from..tail_at + place];
                (number, from) = (number + 1, tail_at + place + 1);
            }
        }
        if let Some(slot) = all.get_mut(number) {
            *slot = &self.bytes[from..];
        }
        all
    }

    /// Every field that is there, with its number; for a header, MSH-2 comes first.
    pub fn numbered(&self) -> impl Iterator<Item = (usize, Field<'a>)> + use<'a> {
        let (separators, first) = (self.separators, if self.is_header() { 2 } else { 1 });
        let rest = memchr(separators.field, self.bytes).map(|at| &self.bytes[at + 1..]);
        Pieces { rest, separator: Some(separators.field) }
            .enumerate()
            .map(move |(at, bytes)| (at + first, Field { bytes, separators }))
    }

    /// Gives a slice of this segment the message's separators.
    pub const fn whole(&self, bytes: &'a [u8]) -> Field<'a> {
        Field { bytes, separators: self.separators }
    }
}

/// One field: repetitions of components. MSH-2 is the one field that must not be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    bytes: &'a [u8],
    separators: Separators,
}

impl<'a> Field<'a> {
    /// As it stands in the message, escapes and all.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// `""`: the sender says that the value is to be removed. Empty says nothing at all.
    pub fn is_null(&self) -> bool {
        self.bytes == b"\"\""
    }

    pub fn repetitions(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let separators = self.separators;
        Pieces { rest: Some(self.bytes), separator: Some(separators.repetition) }
            .map(move |bytes| Field { bytes, separators })
    }

    /// The components of this field; of the first repetition, unless this *is* a repetition.
    pub fn components(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let end = memchr(self.separators.repetition, self.bytes).unwrap_or(self.bytes.len());
        Pieces { rest: Some(&self.bytes[..end]), separator: Some(self.separators.component) }
    }

    /// Component `n`, counted from 1; empty if absent.
    pub fn component(&self, n: usize) -> &'a [u8] {
        self.components().nth(n.wrapping_sub(1)).unwrap_or_default()
    }

    /// The first components at once: element `n` is component `n + 1`.
    pub fn first<const N: usize>(&self) -> [&'a [u8]; N] {
        let mut all: [&'a [u8]; N] = [&[]; N];
        let (mut number, mut from) = (0, 0);
        let (words, tail) = self.bytes.as_chunks::<8>();
        let mut take = |at: usize| {
            let Some(slot) = all.get_mut(number) else { return false };
            *slot = &self.bytes[from..at];
            (number, from) = (number + 1, at + 1);
            self.bytes.get(at) == Some(&self.separators.component)
        };
        for (n, word) in words.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            let mut hits =
                Hits::of(word, self.separators.component).or(Hits::of(word, self.separators.repetition));
            while let Some(place) = hits.take() {
                if !take(n * 8 + place) {
                    return all;
                }
            }
        }
        let tail_at = self.bytes.len() - tail.len();
        for (place, byte) in tail.iter().enumerate() {
            let is_hit = *byte == self.separators.component || *byte == self.separators.repetition;
            if is_hit && !take(tail_at + place) {
                return all;
            }
        }
        take(self.bytes.len());
        all
    }

    /// The subcomponents of one component of this message.
    pub fn subcomponents(&self, component: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        Pieces { rest: Some(component), separator: self.separators.subcomponent }
    }

    /// Subcomponent `m` of component `n`, both counted from 1; empty if absent.
    pub fn subcomponent(&self, n: usize, m: usize) -> &'a [u8] {
        self.subcomponents(self.component(n)).nth(m.wrapping_sub(1)).unwrap_or_default()
    }
}

/// The places of one byte among eight: fields are too short for a search to be begun anew at each.
struct Hits(u64);

impl Hits {
    fn of(word: u64, byte: u8) -> Self {
        const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
        let differs = word ^ u64::from_ne_bytes([byte; 8]);
        // The high bit of each byte that does not differ; exact, because no carry crosses a byte.
        Self(!(((differs & LOW) + LOW) | differs | LOW))
    }

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn take(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let place = self.0.trailing_zeros() as usize / 8;
        self.0 &= self.0 - 1;
        Some(place)
    }
}

/// Splits at one byte. An empty slice is one empty piece, as in HL7.
struct Pieces<'a> {
    rest: Option<&'a [u8]>,
    separator: Option<u8>,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        // Components are a few bytes long: a plain loop beats a call.
        match self.separator.and_then(|mark| rest.iter().position(|byte| *byte == mark)) {
            Some(at) => {
                self.rest = Some(&rest[at + 1..]);
                Some(&rest[..at])
            }
            None => self.rest.take(),
        }
    }
}

/// The messages of one frame: a batch (FHS, BHS, ... BTS, FTS) is cut at each MSH, whatever its separators. What stands before
/// the first MSH (byte order mark, blanks, batch headers) belongs to no message.
pub fn messages(frame: &[u8]) -> Messages<'_> {
    let mut messages = Messages { frame, at: 0 };
    if !starts_message(frame) {
        let blanks =
            frame.iter().take_while(|byte| byte.is_ascii_whitespace() || matches!(byte, 0xEF | 0xBB | 0xBF));
        let begin = blanks.count();
        messages.at = if starts_message(&frame[begin..]) { begin } else { next_message(frame, begin) };
    }
    messages
}

#[derive(Clone, Debug)]
pub struct Messages<'a> {
    frame: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Messages<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let begin = self.at;
        if begin >= self.frame.len() {
            return None;
        }
        self.at = next_message(self.frame, begin);
        Some(&self.frame[begin..self.at])
    }
}

fn next_message(frame: &[u8], from: usize) -> usize {
    memchr::memmem::find_iter(&frame[from..], b"MSH")
        .map(|at| from + at)
        .find(|at| *at > from && matches!(frame[*at - 1], b'\r' | b'\n') && starts_message(&frame[*at..]))
        .unwrap_or(frame.len())
}

fn starts_message(bytes: &[u8]) -> bool {
    matches!(bytes, [b'M', b'S', b'H', rest @ ..] if rest.first().is_none_or(|byte| !byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::{Message, messages};

    fn message(text: &str) -> Message<'_> {
        Message::scan(text.as_bytes()).unwrap()
    }

    fn ids(text: &str) -> Vec<String> {
        message(text).segments().map(|segment| String::from_utf8_lossy(segment.id()).into_owned()).collect()
    }

    #[test]
    fn fields_are_numbered_as_the_standard_numbers_them() {
        let message = message("MSH|^~\\&|APP^EUI|FAC\rOBX|1|NM|a^b&c~d|");
        let header = message.header();
        assert_eq!(header.field(1).bytes(), b"|");
        assert_eq!(header.field(2).bytes(), b"^~\\&");
        assert_eq!(header.field(3).component(2), b"EUI");
        assert_eq!(header.field(9).bytes(), b"");
        let all: [&[u8]; 6] = header.fields();
        assert_eq!(all, [&b"MSH"[..], b"|", b"^~\\&", b"APP^EUI", b"FAC", b""]);
        let observation = message.segments().nth(1).unwrap();
        assert_eq!(observation.field(3).subcomponent(2, 2), b"c");
        assert_eq!(observation.field(3).repetitions().nth(1).unwrap().bytes(), b"d");
        let all: [&[u8]; 5] = observation.fields();
        assert_eq!(all, [&b"OBX"[..], b"1", b"NM", b"a^b&c~d", b""]);
        assert_eq!(observation.fields::<2>(), [&b"OBX"[..], b"1"]);
    }

    #[test]
    fn separators_are_read_and_never_assumed() {
        let message = message("MSH#!@%$#GW#NICU\rOBX#1#NM#147842!MDC_ECG_HEART_RATE!MDC##1|5^2");
        let observation = message.segments().nth(1).unwrap();
        assert_eq!(observation.field(3).component(2), b"MDC_ECG_HEART_RATE");
        assert_eq!(observation.field(5).component(1), b"1|5^2");
    }

    #[test]
    fn line_feeds_end_segments_only_where_they_must() {
        assert_eq!(ids("MSH|^~\\&|a\nPID|1\n\nPV1|1\n"), ["MSH", "PID", "PV1"]);
        assert_eq!(ids("MSH|^~\\&|a\r\nPID|1\r\n\r\nPV1|1\r\n"), ["MSH", "PID", "PV1"]);
        assert_eq!(ids("MSH|^~\\&|a\rPID|1\nPV1|1\r"), ["MSH", "PID", "PV1"]);
        let with_data = message("MSH|^~\\&|a\rOBX|1|TX|two\nlines\rNTE|1");
        assert_eq!(with_data.segments().nth(1).unwrap().field(3).bytes(), b"two\nlines");
    }

    #[test]
    fn a_batch_is_cut_at_each_header() {
        let frame = b"\xEF\xBB\xBFBHS|^~\\&|x\rMSH|^~\\&|one\rPID|1 MSH|\rMSH#!@%$#two\r\nBTS|2\r";
        let cut: Vec<_> = messages(frame).collect();
        assert_eq!(cut, [&b"MSH|^~\\&|one\rPID|1 MSH|\r"[..], b"MSH#!@%$#two\r\nBTS|2\r"]);
        assert_eq!(messages(b"\xEF\xBB\xBF \r\nMSH|^~\\&").count(), 1);
        assert_eq!(messages(b"EVN|A01\rPID").count(), 0);
        assert_eq!(messages(b"").count(), 0);
        assert_eq!(messages(b"MSH").count(), 1);
    }
}
