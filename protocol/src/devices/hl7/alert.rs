//! A device's alert (IHE ACM, PCD-04, ORU^R40): one message, one alert, told in facets (the fifth number of OBX-4).

use super::message::Containment;
use super::params;
use crate::hl7::charset::Charset;
use crate::hl7::escape;
use crate::hl7::scan::{Message, Segment};
use crate::model::{Alert, AlertPhase, Code, DeviceText, Priority};

/// None: the message holds no event facet.
pub(super) fn read(message: &Message<'_>, charset: Charset) -> Option<Alert> {
    let mut alert = Alert {
        code: 0,
        source: None,
        priority: Priority::Advisory,
        text: DeviceText::default(),
        phase: AlertPhase::Present,
        technical: false,
    };
    let mut has_event = false;
    let mut stated = Stated::default();
    for segment in message.segments().filter(|segment| segment.is(b"OBX")) {
        let fields: [&[u8]; 9] = segment.fields();
        let value = segment.whole(fields[5]);
        match facet(&segment, fields[3], fields[4]) {
            Some(1) => {
                has_event = true;
                let text =
                    |bytes: &[u8]| DeviceText::new(&escape::decode(bytes, &message.separators(), charset));
                (alert.code, alert.text) = event(&segment, fields, text);
                segment.whole(fields[8]).repetitions().for_each(|flag| stated.flag(flag.component(1)));
            }
            Some(2) => alert.source = source(&segment, fields[3], fields[5]),
            Some(3) => stated.phase = phase(value.component(1)).or(stated.phase),
            Some(4) => stated.state = state(value.component(1)).or(stated.state),
            Some(6) => stated.priority = priority(value.component(1)).or(stated.priority),
            Some(7) => stated.is_technical = is_technical(value.component(1)).or(stated.is_technical),
            _ => {}
        }
    }
    // The phase wins where the states were left out; a latched alert whose condition has ended is still shown by the device.
    alert.phase = stated.phase.or(stated.state).unwrap_or(AlertPhase::Present);
    alert.priority = stated.priority.or(stated.priority_flag).unwrap_or(Priority::Advisory);
    alert.technical = stated.is_technical.or(stated.technical_flag).unwrap_or(false);
    has_event.then_some(alert)
}

#[derive(Default)]
struct Stated {
    phase: Option<AlertPhase>,
    state: Option<AlertPhase>,
    priority: Option<Priority>,
    priority_flag: Option<Priority>,
    is_technical: Option<bool>,
    technical_flag: Option<bool>,
}

impl Stated {
    /// OBX-8 of the event, the older place: `L~PM~SP`. Rows of their own win.
    fn flag(&mut self, flag: &[u8]) {
        self.priority_flag = priority(flag).or(self.priority_flag);
        self.technical_flag = is_technical(flag).or(self.technical_flag);
    }
}

/// The attribute's own code decides; the fifth number of OBX-4 where the code is none of them (vendors mislabel it).
fn facet(segment: &Segment<'_>, name: &[u8], place: &[u8]) -> Option<u32> {
    let [first, second] = segment.whole(name).first::<2>();
    for word in [first, second] {
        match params::number(word) {
            Some(code @ 68_480..=68_485) => return Some(code - 68_478),
            _ => continue,
        }
    }
    let place = Containment::parse(place);
    (place.depth >= 5).then_some(place.parts[4])
}

/// Numeric alarms name the event in OBX-3 and its text in OBX-5; technical ones name MDC_EVT_ALARM and the event in OBX-5.
fn event(segment: &Segment<'_>, fields: [&[u8]; 9], text: impl Fn(&[u8]) -> DeviceText) -> (u32, DeviceText) {
    const EVT_ALARM: u32 = 196_616;
    let [id, second] = segment.whole(fields[3]).first::<2>();
    let named = params::number(id).or_else(|| params::number(second)).unwrap_or(0);
    let value = segment.whole(fields[5]);
    if named != EVT_ALARM || !matches!(fields[2], b"CWE" | b"CE" | b"CF") {
        return (named, text(value.component(1)));
    }
    // CWE-9 is the original text; CWE-2 the reference id.
    let shown = [9, 23, 2, 1].map(|n| value.component(n)).into_iter().find(|bytes| !bytes.is_empty());
    (params::number(value.component(1)).unwrap_or(named), text(shown.unwrap_or_default()))
}

fn source(segment: &Segment<'_>, name: &[u8], value: &[u8]) -> Option<Code> {
    match params::named(segment.whole(name)) {
        params::Named::Code(code) => Some(code),
        _ => match params::named(segment.whole(value)) {
            params::Named::Code(code) => Some(code),
            _ => None,
        },
    }
}

fn phase(word: &[u8]) -> Option<AlertPhase> {
    match word.to_ascii_lowercase().as_slice() {
        b"end" | b"stop" | b"reset" | b"inactivate" => Some(AlertPhase::Ended),
        b"" => None,
        _ => Some(AlertPhase::Present),
    }
}

fn state(word: &[u8]) -> Option<AlertPhase> {
    match word.to_ascii_lowercase().as_slice() {
        b"inactive" => Some(AlertPhase::Ended),
        b"active" | b"latched" => Some(AlertPhase::Present),
        _ => None,
    }
}

fn priority(word: &[u8]) -> Option<Priority> {
    match word {
        b"PH" => Some(Priority::High),
        b"PM" => Some(Priority::Medium),
        b"PL" => Some(Priority::Low),
        b"PN" => Some(Priority::Advisory),
        _ => None,
    }
}

fn is_technical(word: &[u8]) -> Option<bool> {
    match word {
        b"ST" => Some(true),
        b"SP" | b"SA" => Some(false),
        _ => None,
    }
}
