//! The scanner against another implementation: wherever `hl7-parser` accepts a message, every segment, field, repetition, component
//! and subcomponent agrees, but for the differences listed in [`ACCEPTED`].

use super::charset::{self, Charset};
use super::escape;
use super::scan::{Field, Message, Segment, messages};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Every difference that stands, and why.
const ACCEPTED: [(Difference, &str); 4] = [
    (
        Difference::EncodingCharacters,
        "the reference takes the four characters after MSH-1 for MSH-2, whatever they are; MSH-2 has two to five in the field",
    ),
    (
        Difference::StopsEarly,
        "the reference ends the message at a blank line or at what is no segment; what follows is still the sender's",
    ),
    (
        Difference::LineFeed,
        "where segments end with carriage returns, a line feed inside a text field is data (chapter 2.5.3); the reference splits there",
    ),
    (
        Difference::Escapes,
        "the reference knows the separators and line breaks only, drops the marks around what it does not know and all that follows an unpaired one",
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    EncodingCharacters,
    StopsEarly,
    LineFeed,
    Escapes,
}

#[derive(Debug, Default)]
struct Account {
    refused_by_reference: usize,
    messages: usize,
    leaves: usize,
    differences: BTreeMap<Difference, usize>,
}

impl Account {
    fn compare(&mut self, text: &str) {
        let Ok(theirs) = hl7_parser::Message::parse_with_lenient_newlines(text, true) else {
            self.refused_by_reference += 1;
            return;
        };
        let Ok(ours) = Message::scan(text.as_bytes()) else {
            // Doubled or missing separators: the reference splits with them all the same.
            return self.differ(Difference::EncodingCharacters);
        };
        self.messages += 1;
        let header = ours.header();
        if header.field(2).bytes().len() != 4 || ours.separators().subcomponent.is_none() {
            return self.differ(Difference::EncodingCharacters);
        }
        let mut theirs_segments = theirs.segments();
        for segment in ours.segments() {
            if segment.bytes().contains(&b'\n') {
                return self.differ(Difference::LineFeed);
            }
            let Some(their_segment) = theirs_segments.next() else {
                self.assert_stopped(text, theirs.raw_value().len(), segment);
                return self.differ(Difference::StopsEarly);
            };
            if segment.is(b"MSH") && segment.bytes().len() == 8 {
                continue;
            }
            self.segment(segment, their_segment, &theirs.separators);
        }
        assert!(theirs_segments.next().is_none_or(|rest| rest.raw_value().is_empty()), "{text}");
    }

    fn differ(&mut self, difference: Difference) {
        assert!(ACCEPTED.iter().any(|(accepted, why)| *accepted == difference && !why.is_empty()));
        *self.differences.entry(difference).or_default() += 1;
    }

    /// The reference may only have stopped at something that it cannot take for a segment.
    fn assert_stopped(&self, text: &str, at: usize, next: Segment<'_>) {
        let rest = text[at..].trim_start_matches(['\r', '\n']);
        let blank = text[at..].starts_with("\r\r")
            || text[at..].starts_with("\n\n")
            || text[at..].starts_with("\r\n\r");
        let is_segment =
            next.id().len() == 3 && next.id().iter().all(u8::is_ascii_alphanumeric) && next.bytes().len() > 3;
        assert!(blank || text[at..].matches(['\r', '\n']).count() > 1 || !is_segment, "stopped at {rest:?}");
    }

    fn segment(
        &mut self,
        ours: Segment<'_>,
        theirs: &hl7_parser::message::Segment<'_>,
        marks: &hl7_parser::message::Separators,
    ) {
        assert_eq!(ours.id(), theirs.name.as_bytes());
        let mut fields: Vec<Field<'_>> = ours.numbered().map(|(_, field)| field).collect();
        if ours.is(b"MSH") {
            fields.insert(0, ours.field(1));
        }
        assert_eq!(fields.len(), theirs.fields.len(), "{}", theirs.raw_value());
        for (n, (field, their_field)) in fields.iter().zip(theirs.fields()).enumerate() {
            assert_eq!(field.bytes(), their_field.raw_value().as_bytes());
            assert_eq!(ours.field(n + 1), *field);
            if ours.is(b"MSH") && n < 2 {
                continue;
            }
            self.field(*field, their_field, marks);
        }
    }

    fn field(
        &mut self,
        ours: Field<'_>,
        theirs: &hl7_parser::message::Field<'_>,
        marks: &hl7_parser::message::Separators,
    ) {
        let repetitions: Vec<_> = ours.repetitions().collect();
        assert_eq!(repetitions.len(), theirs.repeats.len());
        for (repetition, their_repetition) in repetitions.iter().zip(theirs.repeats()) {
            assert_eq!(repetition.bytes(), their_repetition.raw_value().as_bytes());
            let components: Vec<_> = repetition.components().collect();
            assert_eq!(components.len(), their_repetition.components.len());
            for (n, (component, their_component)) in
                components.iter().zip(their_repetition.components()).enumerate()
            {
                assert_eq!(*component, their_component.raw_value().as_bytes());
                assert_eq!(repetition.component(n + 1), *component);
                let leaves: Vec<_> = repetition.subcomponents(component).collect();
                assert_eq!(leaves.len(), their_component.subcomponents.len());
                for (leaf, their_leaf) in leaves.iter().zip(their_component.subcomponents()) {
                    assert_eq!(*leaf, their_leaf.value.as_bytes());
                    self.leaves += 1;
                    self.decoded(their_leaf.value, marks);
                }
            }
        }
    }

    /// Decoded text agrees wherever a leaf holds no sequence that only one of the two knows.
    fn decoded(&mut self, leaf: &str, marks: &hl7_parser::message::Separators) {
        if !leaf.is_ascii() && leaf.contains(marks.escape) {
            // The reference counts characters and cuts at bytes: it would panic.
            return self.differ(Difference::Escapes);
        }
        let as_byte = |c: char| u8::try_from(c).expect("the reference takes ASCII separators only");
        let ours = super::scan::Separators {
            field: as_byte(marks.field),
            component: as_byte(marks.component),
            repetition: as_byte(marks.repetition),
            escape: Some(as_byte(marks.escape)),
            subcomponent: Some(as_byte(marks.subcomponent)),
            truncation: None,
        };
        let decoded = escape::decode(leaf.as_bytes(), &ours, Charset::UTF_8);
        let theirs = marks.decode(leaf).to_string();
        if decoded != theirs {
            let escapes = leaf.matches(marks.escape).count();
            assert!(escapes >= 1, "{leaf:?}: ours {decoded:?}, theirs {theirs:?}");
            self.differ(Difference::Escapes);
        }
    }
}

#[test]
fn over_the_recorded_messages_the_reference_agrees() {
    let Some(folder) = captures() else { return };
    let mut account = Account::default();
    for path in files(&folder) {
        let bytes = std::fs::read(&path).unwrap();
        let decoded = charset::decode(&bytes, Charset::LATIN_1);
        for message in messages(&decoded.bytes) {
            account.compare(std::str::from_utf8(message).unwrap());
        }
    }
    assert_eq!(format!("{account:?}"), GOLDEN);
}

/// What the corpora hold: a change of the scanner that changes a figure is seen here.
const GOLDEN: &str = "Account { refused_by_reference: 3, messages: 191, leaves: 21357, \
    differences: {EncodingCharacters: 9, StopsEarly: 16, LineFeed: 2, Escapes: 11} }";

fn segment() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[A-Za-z0-9 .,+-]{0,8}".prop_map(|text| text),
        "[äß₂中🦀]{1,2}".prop_map(|text| text),
        prop_oneof![Just(r"\F\"), Just(r"\S\x"), Just(r"a\E\"), Just(r"\T\\R\")].prop_map(str::to_owned),
        Just("\"\"".to_owned()),
    ];
    let joined = |leaf: BoxedStrategy<String>, mark: &'static str, most: usize| {
        proptest::collection::vec(leaf, 1..=most).prop_map(move |parts| parts.join(mark)).boxed()
    };
    let component = joined(leaf.boxed(), "&", 3);
    let repetition = joined(component, "^", 4);
    let field = joined(repetition, "~", 2);
    ("[A-Z][A-Z0-9]{2}", joined(field, "|", 8)).prop_map(|(id, fields)| format!("{id}|{fields}"))
}

/// A message in any separators: letters and digits stay, marks are exchanged.
fn message() -> impl Strategy<Value = String> {
    let segments = proptest::collection::vec(segment(), 0..6);
    let marks = Just("|^~\\&!#$%*:;<=>?@_`".chars().collect::<Vec<_>>()).prop_shuffle();
    (segments, marks, prop_oneof![Just("\r"), Just("\r\n"), Just("\n")], any::<bool>()).prop_map(
        |(segments, marks, end, is_usual)| {
            let text = format!("MSH|^~\\&|GW^1^X|F~G|a&b{end}{}{end}", segments.join(end));
            if is_usual { text } else { text.chars().map(|c| exchanged(c, &marks)).collect() }
        },
    )
}

fn exchanged(c: char, marks: &[char]) -> char {
    "|^~\\&".find(c).map_or(c, |at| marks[at])
}

proptest! {
    #[test]
    fn over_generated_messages_the_reference_agrees(text in message()) {
        let mut account = Account::default();
        account.compare(&text);
        prop_assert_eq!(account.refused_by_reference, 0);
        prop_assert_eq!(account.differences.get(&Difference::LineFeed), None);
    }

    #[test]
    fn over_any_text_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let text = [&b"MSH|^~\\&|"[..], &bytes].concat();
        for message in messages(&text) {
            let Ok(message) = Message::scan(message) else { continue };
            for segment in message.segments() {
                let all: [&[u8]; 12] = segment.fields();
                for (n, bytes) in all.iter().enumerate().skip(1) {
                    prop_assert_eq!(segment.field(n).bytes(), *bytes);
                }
            }
        }
    }
}

/// The recorded corpora, which are not ours to keep here.
pub(crate) fn captures() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures");
    let folder = std::env::var_os("COTSIDE_CAPTURES").map_or(root, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no captures at {}", folder.display());
    None
}

/// The HL7 and MLLP files of the corpora, in order.
pub(crate) fn files(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if ["hl7-", "mllp"].iter().any(|name| entry.file_name().to_string_lossy().starts_with(name)) {
            all.extend(std::fs::read_dir(entry.path()).unwrap().map(|file| file.unwrap().path()));
        }
    }
    all.retain(|path| path.extension().is_some_and(|extension| extension != "md"));
    all.sort();
    all
}
