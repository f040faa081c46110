//! Escape sequences (HL7 v2.x chapter 2.7): decoded once, in one pass, at the leaf; whatever is not one is data.

use super::charset::Charset;
use super::scan::Separators;
use std::borrow::Cow;

/// A formatting command may ask for so many line feeds or blanks and no more.
const FILL_MAX: usize = 16;

/// The text of one leaf (component or subcomponent), which is already UTF-8. `charset` is the message's own: `\X..\` holds its bytes.
///
/// Unknown and unterminated sequences stay as they are: a lone backslash is very common in free text.
pub fn decode<'a>(leaf: &'a [u8], separators: &Separators, charset: Charset) -> Cow<'a, str> {
    let text = String::from_utf8_lossy(leaf);
    let Some(escape) = separators.escape.filter(|mark| leaf.contains(mark)).map(char::from) else {
        return text;
    };
    let mut out = String::with_capacity(text.len());
    let mut raw = Vec::new();
    let mut rest = &*text;
    while let Some(at) = rest.find(escape) {
        let sequence = rest[at + 1..].split_once(escape);
        let decoded = sequence.and_then(|(body, after)| Some((sequence_of(body, separators)?, after)));
        // Several \X..\ in a row may spell one character, so their bytes are gathered before they are decoded.
        if at > 0 || !matches!(decoded, Some((Sequence::Bytes(_), _))) {
            out.push_str(&charset.text(&raw));
            raw.clear();
        }
        out.push_str(&rest[..at]);
        match decoded {
            Some((Sequence::Bytes(bytes), after)) => {
                raw.extend_from_slice(&bytes);
                rest = after;
            }
            Some((Sequence::Fill(what, count), after)) => {
                out.extend(std::iter::repeat_n(what, count));
                rest = after;
            }
            None => {
                out.push(escape);
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(&charset.text(&raw));
    out.push_str(rest);
    Cow::Owned(out)
}

enum Sequence {
    Bytes(Vec<u8>),
    Fill(char, usize),
}

fn sequence_of(body: &str, separators: &Separators) -> Option<Sequence> {
    let one = |byte: u8| Some(Sequence::Fill(char::from(byte), 1));
    match body {
        "F" => one(separators.field),
        "S" => one(separators.component),
        "R" => one(separators.repetition),
        "T" => one(separators.subcomponent?),
        "E" => one(separators.escape?),
        "P" => one(separators.truncation?),
        // Highlighting on and off: no text.
        "H" | "N" => Some(Sequence::Fill(' ', 0)),
        _ => match body.as_bytes() {
            [b'X', hex @ ..] => bytes_of_hex(hex).map(Sequence::Bytes),
            [b'.', b'b', b'r'] | [b'.', b'c', b'e'] => Some(Sequence::Fill('\n', 1)),
            [b'.', b'f', b'i'] | [b'.', b'n', b'f'] => Some(Sequence::Fill(' ', 0)),
            [b'.', b's', b'p', count @ ..] => fill('\n', count),
            [b'.', b's', b'k', count @ ..] => fill(' ', count),
            [b'.', b'i', b'n' | b't', rest @ ..] => {
                let digits = rest.strip_prefix(b"i").unwrap_or(rest);
                let digits = digits.strip_prefix(b"+").or(digits.strip_prefix(b"-")).unwrap_or(digits);
                digits.iter().all(u8::is_ascii_digit).then_some(Sequence::Fill(' ', 0))
            }
            _ => None,
        },
    }
}

fn fill(what: char, count: &[u8]) -> Option<Sequence> {
    let count = count.strip_prefix(b"+").unwrap_or(count);
    if count.is_empty() {
        return Some(Sequence::Fill(what, 1));
    }
    let number: usize = std::str::from_utf8(count).ok()?.parse().ok()?;
    Some(Sequence::Fill(what, number.min(FILL_MAX)))
}

fn bytes_of_hex(hex: &[u8]) -> Option<Vec<u8>> {
    if hex.is_empty() || !hex.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    hex.chunks_exact(2).map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()).collect()
}

/// Writes `text` so that [`decode`] gives it back. A separator that cannot be escaped (the message defines no escape character)
/// becomes a blank: better a lost mark than a shifted field.
pub fn encode(text: &str, separators: &Separators, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        let name = match byte {
            _ if byte == separators.field => Some(b'F'),
            _ if byte == separators.component => Some(b'S'),
            _ if byte == separators.repetition => Some(b'R'),
            _ if Some(byte) == separators.escape => Some(b'E'),
            _ if Some(byte) == separators.subcomponent => Some(b'T'),
            _ if Some(byte) == separators.truncation => Some(b'P'),
            _ => None,
        };
        match (name, separators.escape) {
            (Some(name), Some(escape)) => out.extend([escape, name, escape]),
            (None, Some(escape)) if byte < 0x20 => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.extend([escape, b'X', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)], escape]);
            }
            (Some(_), None) => out.push(b' '),
            (None, None) if byte < 0x20 => out.push(b' '),
            (None, _) => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use crate::hl7::charset::Charset;
    use crate::hl7::scan::Separators;
    use proptest::prelude::*;

    fn decoded(leaf: &str) -> String {
        decode(leaf.as_bytes(), &Separators::USUAL, Charset::UTF_8).into_owned()
    }

    #[test]
    fn every_escape_becomes_its_character() {
        assert_eq!(
            decoded(r"bar\F\ caret\S\ amp\T\ tilde\R\ back\E\slash"),
            r"bar| caret^ amp& tilde~ back\slash"
        );
        assert_eq!(decoded(r"\X0D0A\crlf \XC3A9\ \XC3\\XA9\"), "\r\ncrlf é é");
        assert_eq!(decoded(r"\H\bold\N\ \.br\line2 \.sp3\ \.in+4\x"), "bold \nline2 \n\n\n x");
    }

    #[test]
    fn what_is_no_escape_stays_as_it_is() {
        for text in [
            r"C:\temp\new",
            r"trailing\",
            r"lone\ backslash end\\",
            r"\Zabc\",
            r"\X0\",
            r"\XZZ\",
            r"\P\",
            r"\",
            "m\\s",
        ] {
            assert_eq!(decoded(text), text);
        }
        let none = Separators { escape: None, ..Separators::USUAL };
        assert_eq!(decode(br"a\F\b", &none, Charset::UTF_8), r"a\F\b");
    }

    #[test]
    fn an_escaped_escape_is_not_read_twice() {
        assert_eq!(decoded(r"\E\F\E\"), r"\F\");
        assert_eq!(decoded(r"C:\temp\F\new"), r"C:\temp|new");
    }

    #[test]
    fn a_formatting_command_cannot_ask_for_a_flood() {
        assert_eq!(decoded(r"\.sp99999999\").len(), super::FILL_MAX);
    }

    #[test]
    fn hex_bytes_are_of_the_messages_character_set() {
        let latin = Charset::named("8859/1").unwrap();
        assert_eq!(decode(br"20 \XB0\C", &Separators::USUAL, latin), "20 °C");
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(text in any::<String>()) {
            let mut out = Vec::new();
            encode(&text, &Separators::USUAL, &mut out);
            prop_assert!(!out.iter().any(|byte| b"|^~&\r\n".contains(byte)));
            prop_assert_eq!(decode(&out, &Separators::USUAL, Charset::UTF_8), text);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            decode(&bytes, &Separators::USUAL, Charset::UTF_8);
        }
    }
}
