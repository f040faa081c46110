//! Character sets (MSH-18, table 0211): a message is made UTF-8 as a whole before anything is split, because in GB 18030, Big5 and
//! Shift-JIS the second byte of a character may be `|`, `^` or `\`.

use super::scan::{Message, messages};
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use std::borrow::Cow;

/// How bytes become text and text becomes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

impl Charset {
    pub const UTF_8: Self = Self(UTF_8);
    /// Latin-1 as it is found in practice.
    pub const LATIN_1: Self = Self(WINDOWS_1252);

    /// A name from table 0211, or one of the free texts seen in its place. None: unknown, or not usable within a byte frame.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim();
        if let Some(part) = name.strip_prefix("8859/") {
            return Encoding::for_label(format!("iso-8859-{part}").as_bytes()).map(Self);
        }
        let encoding = match name.to_ascii_uppercase().as_str() {
            "ASCII" | "UNICODE" | "UNICODE UTF-8" | "ISO IR6" | "UTF8" => UTF_8,
            "GB 18030-2000" | "GB18030-2000" => encoding_rs::GB18030,
            "BIG-5" => encoding_rs::BIG5,
            "KS X 1001" => encoding_rs::EUC_KR,
            "ISO IR14" | "ISO IR87" => encoding_rs::ISO_2022_JP,
            _ => Encoding::for_label(name.as_bytes()).filter(|found| found.is_ascii_compatible())?,
        };
        Some(Self(encoding))
    }

    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Bytes of this character set as text; what cannot be decoded becomes U+FFFD.
    pub fn text(self, bytes: &[u8]) -> Cow<'_, str> {
        self.0.decode_without_bom_handling(bytes).0
    }

    /// Text as bytes of this character set; what it cannot express becomes `?`.
    pub fn bytes(self, text: &str) -> Cow<'_, [u8]> {
        let (bytes, _, lossy) = self.0.encode(text);
        if !lossy {
            return bytes;
        }
        let mut out = Vec::with_capacity(text.len());
        let mut one = [0; 4];
        for c in text.chars() {
            let (bytes, _, lossy) = self.0.encode(c.encode_utf8(&mut one));
            out.extend_from_slice(if lossy { b"?" } else { &bytes });
        }
        Cow::Owned(out)
    }
}

/// A frame whose text is UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    pub bytes: Cow<'a, [u8]>,
    /// What the frame really was in: an answer is written in it too.
    pub charset: Charset,
    /// The bytes were not what MSH-18 declares, or MSH-18 names a set that is not known here.
    pub contradicts_header: bool,
}

/// Makes a frame UTF-8. An absent MSH-18 means ASCII by the standard, UTF-8 or `fallback` in practice; a declaration that the bytes
/// contradict is treated in the same way, and reported.
pub fn decode(frame: &[u8], fallback: Charset) -> Decoded<'_> {
    let declared = declared(frame);
    let is_utf_8 = std::str::from_utf8(frame).is_ok();
    let settled = |charset: Charset, contradicts_header| Decoded {
        bytes: match charset {
            _ if charset == Charset::UTF_8 => Cow::Borrowed(frame),
            Charset(encoding) => match encoding.decode_without_bom_handling(frame).0 {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            },
        },
        charset,
        contradicts_header,
    };
    match declared {
        Declared::Known(charset) if charset != Charset::UTF_8 => {
            match charset.0.decode_without_bom_handling(frame) {
                (_, false) => settled(charset, false),
                _ if is_utf_8 => settled(Charset::UTF_8, true),
                _ => settled(fallback, true),
            }
        }
        Declared::Nothing => settled(if is_utf_8 { Charset::UTF_8 } else { fallback }, false),
        Declared::Known(_) if is_utf_8 => settled(Charset::UTF_8, false),
        Declared::Unknown if is_utf_8 => settled(Charset::UTF_8, true),
        Declared::Known(_) | Declared::Unknown => settled(fallback, true),
    }
}

enum Declared {
    Nothing,
    Known(Charset),
    Unknown,
}

/// MSH-18 of the frame's first message. Later repetitions are alternates reached by escape sequences; of those only the Japanese
/// ones (ISO 2022) change how the frame is read.
fn declared(frame: &[u8]) -> Declared {
    let Some(Ok(message)) = messages(frame).next().map(Message::scan) else { return Declared::Nothing };
    let field = message.header().field(18);
    if field.is_empty() || field.is_null() {
        return Declared::Nothing;
    }
    let mut first = None;
    for repetition in field.repetitions() {
        let name = String::from_utf8_lossy(repetition.component(1));
        match Charset::named(&name) {
            Some(Charset(japanese)) if japanese == encoding_rs::ISO_2022_JP => {
                return Declared::Known(Charset(japanese));
            }
            found if first.is_none() && !name.trim().is_empty() => first = Some(found),
            _ => {}
        }
    }
    match first {
        None => Declared::Nothing,
        Some(Some(charset)) => Declared::Known(charset),
        Some(None) => Declared::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::{Charset, decode};

    fn framed(charset: &str, text: &[u8]) -> Vec<u8> {
        let mut bytes =
            format!("MSH|^~\\&|GW|NICU|||2024||ORU^R01|S|P|2.4||||||{charset}\rPID|||1||").into_bytes();
        bytes.extend_from_slice(text);
        bytes
    }

    fn decoded(charset: &str, text: &[u8]) -> (String, bool) {
        let frame = framed(charset, text);
        let decoded = decode(&frame, Charset::LATIN_1);
        let text = std::str::from_utf8(&decoded.bytes).unwrap();
        (text.rsplit('|').next().unwrap().to_owned(), decoded.contradicts_header)
    }

    #[test]
    fn msh_18_decides_how_text_is_read() {
        assert_eq!(decoded("UNICODE UTF-8", "Müller".as_bytes()), ("Müller".to_owned(), false));
        assert_eq!(decoded("UNICODE", "Müller".as_bytes()), ("Müller".to_owned(), false));
        assert_eq!(decoded("8859/1", b"\xb0C"), ("°C".to_owned(), false));
        assert_eq!(decoded("8859/5", b"\xc2\xd5\xe1\xe2"), ("Тест".to_owned(), false));
        assert_eq!(decoded("BIG-5", b"\xa4\xa4\xa4\xe5"), ("中文".to_owned(), false));
        assert_eq!(decoded("KS X 1001", b"\xc7\xd1"), ("한".to_owned(), false));
        assert_eq!(decoded("~ISO IR87", b"\x1b$BF|K\\\x1b(B"), ("日本".to_owned(), false));
    }

    #[test]
    fn no_declaration_means_utf_8_or_the_links_own() {
        assert_eq!(decoded("", "SpO₂".as_bytes()), ("SpO₂".to_owned(), false));
        assert_eq!(decoded("", b"J\xf6rg"), ("Jörg".to_owned(), false));
        assert_eq!(decoded("ASCII", b"J\xf6rg"), ("Jörg".to_owned(), true));
    }

    #[test]
    fn a_wrong_declaration_is_repaired_and_reported() {
        assert_eq!(decoded("UNICODE UTF-8", b"M\xfcller"), ("Müller".to_owned(), true));
        assert_eq!(decoded("klingon", b"x"), ("x".to_owned(), true));
        assert_eq!(decoded("UNICODE UTF-16", "ü".as_bytes()), ("ü".to_owned(), true));
    }

    #[test]
    fn a_trail_byte_that_is_a_delimiter_splits_nothing() {
        // U+4E5B is 81 5C, U+4EBA.. the second bytes 5C, 5E and 7C are characters' halves here.
        let frame = framed("GB 18030-2000", b"\x81\x5c\x81\x5e\x81\x7c^X");
        let decoded = decode(&frame, Charset::LATIN_1);
        let message = crate::hl7::scan::Message::scan(&decoded.bytes).unwrap();
        let name = message.segments().nth(1).unwrap().field(5);
        assert_eq!(std::str::from_utf8(name.component(1)).unwrap().chars().count(), 3);
        assert_eq!(name.component(2), b"X");
        assert_eq!(decoded.charset.bytes(std::str::from_utf8(&decoded.bytes).unwrap()), &frame[..]);
    }

    #[test]
    fn what_a_charset_cannot_say_becomes_a_question_mark() {
        assert_eq!(&*Charset::LATIN_1.bytes("a₂°"), b"a?\xb0");
    }
}
