//! Acknowledgements (HL7 v2.x chapter 2.9): what a message asks for, how it is answered, and how an answer is read.
//!
//! Original mode (MSH-15 and MSH-16 empty) wants AA, AE or AR; enhanced mode wants CA, CE or CR as MSH-15 says and AA, AE or AR as
//! MSH-16 says. Whoever cannot store must not answer AA or CA.

use super::charset::Charset;
use super::escape;
use super::scan::{Message, Separators};
use super::time;
use crate::model::Wall;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Stored. AA, CA.
    Accepted,
    /// Could not be processed, and sending it again will not help. AE, CE.
    Failed(Fault),
    /// Not processed: not for us, of a wrong type. AR, CR.
    Rejected(Fault),
}

/// An ERR segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Table 0357.
    pub code: u16,
    pub text: &'static str,
    /// ERR-2, e.g. `MSH^1^9`, in the usual separators; empty if it is the whole message.
    pub location: &'static str,
}

impl Fault {
    pub const SEQUENCE: Self = Self { code: 100, text: "Segment sequence error", location: "" };
    pub const NO_MESSAGE_TYPE: Self = Self { code: 101, text: "Required field missing", location: "MSH^1^9" };
    pub const MESSAGE_TYPE: Self = Self { code: 200, text: "Unsupported message type", location: "MSH^1^9" };
    pub const EVENT: Self = Self { code: 201, text: "Unsupported event code", location: "MSH^1^9" };
    pub const UNKNOWN_KEY: Self = Self { code: 204, text: "Unknown key identifier", location: "PV1^1^3" };
    pub const INTERNAL: Self = Self { code: 207, text: "Application internal error", location: "" };
}

/// Which acknowledgements a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// CA, CE, CR.
    pub commit: When,
    /// AA, AE, AR.
    pub application: When,
}

/// Table 0155.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    Never,
    OnError,
    OnSuccess,
}

impl When {
    fn of(field: &[u8]) -> Self {
        match field.trim_ascii() {
            b"AL" => Self::Always,
            b"ER" => Self::OnError,
            b"SU" => Self::OnSuccess,
            _ => Self::Never,
        }
    }

    fn applies(self, verdict: Verdict) -> bool {
        let is_success = verdict == Verdict::Accepted;
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::OnError => !is_success,
            Self::OnSuccess => is_success,
        }
    }
}

impl Wanted {
    pub fn of(message: &Message<'_>) -> Self {
        let header: [&[u8]; 17] = message.header().fields();
        if header[15].is_empty() && header[16].is_empty() {
            return Self { commit: When::Never, application: When::Always };
        }
        Self { commit: When::of(header[15]), application: When::of(header[16]) }
    }
}

/// The answers to one message, each a message body ready to be framed: none, one, or the commit acknowledgement and then the other.
/// `control_id` becomes MSH-10 of the answer, with a suffix should there be two.
pub fn answers(
    message: &Message<'_>,
    charset: Charset,
    verdict: Verdict,
    now: Wall,
    control_id: &str,
) -> Vec<Vec<u8>> {
    let wanted = Wanted::of(message);
    let mut out = Vec::new();
    if wanted.commit.applies(verdict) {
        out.push(write(message, charset, 'C', verdict, now, control_id));
    }
    if wanted.application.applies(verdict) {
        let second = format!("{control_id}{}", if out.is_empty() { "" } else { "a" });
        out.push(write(message, charset, 'A', verdict, now, &second));
    }
    out
}

/// The answer to a frame whose header cannot be read: AR, with whatever stands where the control id should.
pub fn reject_unreadable(frame: &[u8], now: Wall, control_id: &str) -> Vec<u8> {
    let header = frame.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let id = header.split(|byte| *byte == b'|').nth(9).filter(|id| !id.is_empty()).unwrap_or(b"UNKNOWN");
    let mut out =
        format!("MSH|^~\\&|||||{}||ACK|{control_id}|P|2.3\rMSA|AR|", time::format(now)).into_bytes();
    out.extend(id.iter().filter(|byte| **byte >= 0x20));
    out.extend_from_slice(b"\rERR|||100^Segment sequence error^HL70357|E\r");
    out
}

/// One acknowledgement in the separators and the character set of the message, so that what is copied needs no second escaping.
fn write(
    message: &Message<'_>,
    charset: Charset,
    level: char,
    verdict: Verdict,
    now: Wall,
    control_id: &str,
) -> Vec<u8> {
    let header: [&[u8]; 19] = message.header().fields();
    let marks = message.separators();
    let mut out = Writer { out: Vec::with_capacity(320), marks };
    out.out.extend_from_slice(b"MSH");
    out.out.push(marks.field);
    out.out.extend_from_slice(header[2]);
    for copied in [header[5], header[6], header[3], header[4]] {
        out.field(copied);
    }
    out.field(time::format(now).as_bytes());
    out.field(b"");
    out.field(b"ACK");
    let event = message.header().field(9).component(2);
    if is_since_2_4(header[12]) && !event.is_empty() {
        out.component(event);
        out.component(b"ACK");
    }
    out.field_text(control_id);
    out.field(header[11]);
    out.field(header[12]);
    if !header[18].is_empty() {
        for _ in 13..18 {
            out.field(b"");
        }
        out.field(header[18]);
    }
    let (letter, fault) = match verdict {
        Verdict::Accepted => ('A', None),
        Verdict::Failed(fault) => ('E', Some(fault)),
        Verdict::Rejected(fault) => ('R', Some(fault)),
    };
    out.segment(b"MSA");
    out.field_text(&format!("{level}{letter}"));
    // Verbatim, blanks included (MSA-2).
    out.field(if header[10].is_empty() { b"UNKNOWN" } else { header[10] });
    if let Some(fault) = fault {
        out.fault(fault);
    }
    out.out.push(b'\r');
    match std::str::from_utf8(&out.out) {
        Ok(text) if charset != Charset::UTF_8 => charset.bytes(text).into_owned(),
        _ => out.out,
    }
}

/// Versions read `2.6`, `2.3.1`, and other things besides.
fn is_since_2_4(version: &[u8]) -> bool {
    let number = version.strip_prefix(b"2.").and_then(|minor| minor.first()).copied();
    number.is_none_or(|minor| minor >= b'4')
}

struct Writer {
    out: Vec<u8>,
    marks: Separators,
}

impl Writer {
    fn segment(&mut self, id: &[u8]) {
        self.out.push(b'\r');
        self.out.extend_from_slice(id);
    }

    /// Bytes of the same message: already escaped.
    fn field(&mut self, bytes: &[u8]) {
        self.out.push(self.marks.field);
        self.copy(bytes);
    }

    fn component(&mut self, bytes: &[u8]) {
        self.out.push(self.marks.component);
        self.copy(bytes);
    }

    /// Verbatim, but for the bytes that frame a message: what is copied must not end the answer.
    fn copy(&mut self, bytes: &[u8]) {
        self.out.extend(bytes.iter().filter(|byte| !matches!(byte, 0x0B | 0x1C)));
    }

    fn field_text(&mut self, text: &str) {
        self.out.push(self.marks.field);
        escape::encode(text, &self.marks, &mut self.out);
    }

    fn fault(&mut self, fault: Fault) {
        self.segment(b"ERR");
        self.field(b"");
        self.field(b"");
        for (at, part) in fault.location.split('^').enumerate() {
            if at > 0 {
                self.out.push(self.marks.component);
            }
            escape::encode(part, &self.marks, &mut self.out);
        }
        self.field_text(&fault.code.to_string());
        self.out.push(self.marks.component);
        escape::encode(fault.text, &self.marks, &mut self.out);
        self.component(b"HL70357");
        self.field(b"E");
    }
}

/// What an acknowledgement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    pub code: Code,
    /// MSA-2: the control id of the message that is answered.
    pub control_id: &'a [u8],
}

/// MSA-1, table 0008. In the wild AA answers everything, even where CA was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Accepted,
    Failed,
    Rejected,
}

/// Reads an acknowledgement. None: the message is something else.
pub fn read<'a>(message: &Message<'a>) -> Option<Answer<'a>> {
    let segment = message.segments().find(|segment| segment.is(b"MSA"))?;
    let [_, code, control_id]: [&[u8]; 3] = segment.fields();
    let code = match code {
        b"AA" | b"CA" => Code::Accepted,
        b"AE" | b"CE" => Code::Failed,
        b"AR" | b"CR" => Code::Rejected,
        _ => return None,
    };
    Some(Answer { code, control_id })
}

#[cfg(test)]
mod tests {
    use super::{Answer, Code, Fault, Verdict, answers, read, reject_unreadable};
    use crate::hl7::charset::Charset;
    use crate::hl7::scan::Message;
    use crate::model::Wall;

    const NOW: Wall = Wall(1_717_236_000_620_000);

    fn answered(header: &str, verdict: Verdict) -> Vec<String> {
        let message = Message::scan(header.as_bytes()).unwrap();
        let all = answers(&message, Charset::UTF_8, verdict, NOW, "A1");
        all.into_iter().map(|bytes| String::from_utf8(bytes).unwrap()).collect()
    }

    fn codes(modes: &str, verdict: Verdict) -> Vec<String> {
        let all = answered(&format!("MSH|^~\\&|a|b|c|d|t||ORU^R01|7|P|2.6|||{modes}"), verdict);
        all.iter().map(|text| text.split("MSA|").nth(1).unwrap()[..2].to_owned()).collect()
    }

    #[test]
    fn a_commit_acknowledgement_reads_like_the_worked_example() {
        let header = "MSH|^~\\&|NICUGW^02FE00FFFE000001^EUI-64|NICU|HUB|HOSP|20240601120000.500+0200||ORU^R01^ORU_R01|01HZXA1|P|2.6|||AL|NE||UNICODE UTF-8|||IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO\r";
        assert_eq!(
            answered(header, Verdict::Accepted),
            [
                "MSH|^~\\&|HUB|HOSP|NICUGW^02FE00FFFE000001^EUI-64|NICU|20240601100000.620+0000||ACK^R01^ACK|A1|P|2.6||||||UNICODE UTF-8\rMSA|CA|01HZXA1\r"
            ]
        );
        assert_eq!(
            answered(header, Verdict::Rejected(Fault::UNKNOWN_KEY))[0].split('\r').nth(2).unwrap(),
            "ERR||PV1^1^3|204^Unknown key identifier^HL70357|E"
        );
    }

    #[test]
    fn each_mode_gets_the_answers_it_asks_for() {
        let ok = Verdict::Accepted;
        let bad = Verdict::Rejected(Fault::MESSAGE_TYPE);
        assert_eq!(codes("", ok), ["AA"]);
        assert_eq!(codes("", bad), ["AR"]);
        assert_eq!(codes("", Verdict::Failed(Fault::INTERNAL)), ["AE"]);
        assert_eq!(codes("AL|NE", ok), ["CA"]);
        assert_eq!(codes("AL|NE", bad), ["CR"]);
        assert_eq!(codes("NE|AL", ok), ["AA"]);
        assert_eq!(codes("AL|AL", ok), ["CA", "AA"]);
        assert_eq!(codes("NE|NE", ok), [""; 0]);
        assert_eq!(codes("ER|SU", ok), ["AA"]);
        assert_eq!(codes("ER|SU", bad), ["CR"]);
        assert_eq!(codes("AL", ok), ["CA"]);
    }

    #[test]
    fn an_answer_keeps_to_the_senders_separators_and_version() {
        let answer = &answered(
            "MSH#!@%$#GW#NICU#HUB#H#2024##ORU!R01#S%F%3#P#2.3",
            Verdict::Rejected(Fault::MESSAGE_TYPE),
        )[0];
        assert_eq!(
            answer,
            "MSH#!@%$#HUB#H#GW#NICU#20240601100000.620+0000##ACK#A1#P#2.3\rMSA#AR#S%F%3\rERR##MSH!1!9#200!Unsupported message type!HL70357#E\r"
        );
        let message = Message::scan(answer.as_bytes()).unwrap();
        assert_eq!(read(&message), Some(Answer { code: Code::Rejected, control_id: b"S%F%3" }));
    }

    #[test]
    fn an_answer_is_in_the_messages_own_character_set() {
        let text = "MSH|^~\\&|Süd|b|||t||ORU^R01|Nº7|P|2.3||||||8859/1";
        let message = Message::scan(text.as_bytes()).unwrap();
        let answer = &answers(&message, Charset::LATIN_1, Verdict::Accepted, NOW, "A1")[0];
        assert!(answer.ends_with(b"\rMSA|AA|N\xba7\r"), "{}", String::from_utf8_lossy(answer));
    }

    #[test]
    fn what_is_copied_cannot_end_the_answers_frame() {
        let answer = &answered("MSH|^~\\&|a\x0bb|b|||t||ORU^R01|7\x1c|P|2.3", Verdict::Accepted)[0];
        assert!(answer.contains("|ab|b|") && answer.ends_with("\rMSA|AA|7\r"), "{answer:?}");
    }

    #[test]
    fn an_unreadable_header_is_rejected_with_what_can_be_found() {
        let text =
            String::from_utf8(reject_unreadable(b"MSH|^^\\&|a|b|c|d|t||ORU|77|P\rPID", NOW, "A1")).unwrap();
        assert!(text.contains("MSA|AR|77\r"), "{text}");
        assert!(
            String::from_utf8(reject_unreadable(b"rubbish", NOW, "A1")).unwrap().contains("MSA|AR|UNKNOWN\r")
        );
    }
}
