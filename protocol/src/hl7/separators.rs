//! The characters that structure a message, as its own header defines them (MSH-1 and MSH-2; HL7 v2.x chapter 2.5.4).

use memchr::memchr;

/// The characters that structure one message. None: the message defines none, and such a byte is data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Separators {
    pub field: u8,
    pub component: u8,
    pub repetition: u8,
    pub escape: Option<u8>,
    pub subcomponent: Option<u8>,
    /// Version 2.7 and later.
    pub truncation: Option<u8>,
}

impl Separators {
    /// `|^~\&`, what everybody uses.
    pub const USUAL: Self = Self {
        field: b'|',
        component: b'^',
        repetition: b'~',
        escape: Some(b'\\'),
        subcomponent: Some(b'&'),
        truncation: None,
    };

    /// Reads MSH-1 and MSH-2 (or FHS, BHS) from the start of a header segment.
    pub fn of_header(segment: &[u8]) -> Result<Self, BadHeader> {
        let field = *segment.get(3).ok_or(BadHeader::NoSeparators)?;
        if !is_separator(field) {
            return Err(BadHeader::NoSeparators);
        }
        let rest = &segment[4..];
        let marks = &rest[..memchr(field, rest).unwrap_or(rest.len())];
        let usual = Self { field, ..Self::USUAL };
        let separators = match *marks {
            // Fewer than two is no definition at all.
            [] | [_] => usual,
            // Seen from monitors: the escape character is missing, `&` stands in its place.
            [component, repetition, b'&'] => {
                Self { component, repetition, escape: None, subcomponent: Some(b'&'), ..usual }
            }
            [component, repetition, ref more @ ..] if more.len() <= 3 => Self {
                component,
                repetition,
                escape: more.first().copied(),
                subcomponent: more.get(1).copied(),
                truncation: more.get(2).copied(),
                ..usual
            },
            _ => return Err(BadHeader::EncodingCharacters),
        };
        if separators.are_distinct() { Ok(separators) } else { Err(BadHeader::EncodingCharacters) }
    }

    fn are_distinct(&self) -> bool {
        let all = [
            Some(self.field),
            Some(self.component),
            Some(self.repetition),
            self.escape,
            self.subcomponent,
            self.truncation,
        ];
        all.iter().enumerate().all(|(at, mark)| match mark {
            Some(byte) => is_separator(*byte) && !all[..at].contains(mark),
            None => true,
        })
    }
}

fn is_separator(byte: u8) -> bool {
    byte.is_ascii_punctuation()
}

/// Why a message cannot be read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    #[error("the message does not begin with MSH")]
    NoHeader,
    #[error("MSH ends before its separators")]
    NoSeparators,
    #[error("MSH-2 defines one character twice, or too many")]
    EncodingCharacters,
}

#[cfg(test)]
mod tests {
    use super::{BadHeader, Separators};

    #[test]
    fn a_header_may_define_two_to_five_encoding_characters() {
        let of = |header: &str| Separators::of_header(header.as_bytes());
        let usual = Separators::USUAL;
        assert_eq!(of("MSH|^~\\&|x"), Ok(usual));
        assert_eq!(of("MSH|^~\\&#|x"), Ok(Separators { truncation: Some(b'#'), ..usual }));
        assert_eq!(of("MSH|^~|x"), Ok(Separators { escape: None, subcomponent: None, ..usual }));
        assert_eq!(of("MSH|^~&|x"), Ok(Separators { escape: None, ..usual }));
        assert_eq!(of("MSH|^~\\|x"), Ok(Separators { subcomponent: None, ..usual }));
        assert_eq!(of("MSH|^~\\`|x"), Ok(Separators { subcomponent: Some(b'`'), ..usual }));
        assert_eq!(of("MSH||x"), Ok(usual));
        assert_eq!(of("MSH|^|x"), Ok(usual));
        assert_eq!(of("MSH"), Err(BadHeader::NoSeparators));
        assert_eq!(of("MSHX"), Err(BadHeader::NoSeparators));
        assert_eq!(of("MSH|^^\\&|x"), Err(BadHeader::EncodingCharacters));
        assert_eq!(of("MSH|^|~\\&"), Ok(usual));
        assert_eq!(of("MSH|^~\\&NICU|x"), Err(BadHeader::EncodingCharacters));
    }
}
