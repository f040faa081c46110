//! The device's half: a gateway that sends PCD-01 from a simulated body, waits for each answer, and repeats what was not answered.

use crate::device::{Path, Peer, PeerKind, PeerOptions, PeerOutput, Physiology};
use crate::hl7::ack;
use crate::hl7::escape;
use crate::hl7::mllp::{self, Framer, Piece};
use crate::hl7::scan::{Message, Separators, messages};
use crate::hl7::time;
use crate::model::{Code, Mono, Now, parameter};
use std::fmt::Write as _;
use std::time::Duration;

pub const PEER: PeerKind = PeerKind { name: "hl7", open: |options| Box::new(Hl7Peer::new(options)) };

const SEND_EVERY: Duration = Duration::from_secs(1);
/// Then the same message, with the same MSH-10, is sent again.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The cuff measures so often.
const CUFF_EVERY: Duration = Duration::from_secs(300);
/// Samples of one pleth row, one row a second.
const PLETH_PER_SECOND: u32 = 50;

#[rustfmt::skip]
/// What the monitor measures: place, code, decimals.
const NUMERICS: &[(&str, u32, usize)] = &[
    ("1.1.1.1", 147_842, 0),
    ("1.1.1.2", 151_578, 0),
    ("1.2.1.1", 150_456, 0),
    ("1.2.1.2", 149_530, 0),
    ("1.2.1.3", 150_488, 2),
    ("1.3.1.1", 150_388, 1),
    ("1.5.1.1", 150_037, 0),
    ("1.5.1.2", 150_038, 0),
    ("1.5.1.3", 150_039, 0),
];

#[rustfmt::skip]
const CUFF: &[(&str, u32, usize)] = &[
    ("1.4.1.1", 150_021, 0),
    ("1.4.1.2", 150_022, 0),
    ("1.4.1.3", 150_023, 0),
];

struct Hl7Peer {
    serial: String,
    bed: String,
    framer: Framer,
    sent: u64,
    next_at: Mono,
    cuff_at: Option<Mono>,
    unanswered: Option<Unanswered>,
}

struct Unanswered {
    control_id: String,
    frame: Vec<u8>,
    sent_at: Mono,
}

impl Hl7Peer {
    fn new(options: &PeerOptions) -> Self {
        let bed = options.bed_label.as_str();
        Self {
            serial: options.serial.clone(),
            bed: if bed.contains('^') { bed.to_owned() } else { format!("^^{}", text(bed)) },
            framer: Framer::default(),
            sent: 0,
            next_at: Mono(0),
            cuff_at: None,
            unanswered: None,
        }
    }

    fn message(&mut self, now: Now, body: &dyn Physiology) -> (String, Vec<u8>) {
        self.sent += 1;
        let control_id = format!("{}-{}", self.serial, self.sent);
        let at = time::format(now.wall);
        let second = Duration::from_secs(1);
        let serial = text(&self.serial);
        let mut out = format!(
            "MSH|^~\\&|COTSIDESIM^{serial}^EUI-64|COTSIDE|||{at}||ORU^R01^ORU_R01|{}|P|2.6|||AL|NE||UNICODE UTF-8\
             |||IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO\r\
             PID|||SIM-{}^^^COTSIDE^MR\rPV1||I|{}\r\
             OBR|1|||182777000^monitoring of patient^SCT|||{}|{at}\r\
             OBX|1||69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC|1.0.0.0|||||||X|||||||{serial}^SIMULATOR^{serial}^EUI-64\r",
            text(&control_id),
            // All devices of one bed name one patient.
            text(self.bed.rsplit('^').next().unwrap_or_default()),
            self.bed,
            time::format(now.wall - second),
        );
        let mut row = 1;
        for (place, code, decimals) in NUMERICS {
            numeric(&mut out, &mut row, body, now, (place, *code, *decimals), "");
        }
        if self.cuff_at.is_none_or(|last| now.mono.since(last) >= CUFF_EVERY) {
            self.cuff_at = Some(now.mono);
            for (place, code, decimals) in CUFF {
                numeric(&mut out, &mut row, body, now, (place, *code, *decimals), &at);
            }
        }
        pleth(&mut out, &mut row, body, now.mono);
        (control_id, mllp::frame(out.as_bytes()))
    }
}

impl Peer for Hl7Peer {
    fn handle(&mut self, _now: Now, _from: Path, bytes: &[u8]) {
        let awaited = self.unanswered.as_ref().map(|sent| text(&sent.control_id));
        let mut is_answered = false;
        self.framer.feed(bytes, |piece| {
            let Piece::Message { body, .. } = piece else { return };
            for message in messages(body).filter_map(|bytes| Message::scan(bytes).ok()) {
                // Another message's answer may come late. Whatever the verdict, repeating would not change it.
                let answer = ack::read(&message);
                is_answered |= awaited
                    .as_ref()
                    .zip(answer)
                    .is_some_and(|(id, answer)| answer.control_id == id.as_bytes());
            }
        });
        if is_answered {
            self.unanswered = None;
        }
    }

    fn poll(&mut self, now: Now, body: &dyn Physiology) -> PeerOutput {
        if let Some(sent) = &mut self.unanswered {
            if now.mono < sent.sent_at + ANSWER_WITHIN {
                return PeerOutput::Wait { until: sent.sent_at + ANSWER_WITHIN };
            }
            sent.sent_at = now.mono;
            return PeerOutput::Transmit { to: Path::Line, bytes: sent.frame.clone() };
        }
        if now.mono < self.next_at {
            return PeerOutput::Wait { until: self.next_at };
        }
        let (control_id, frame) = self.message(now, body);
        self.next_at = now.mono + SEND_EVERY;
        self.unanswered = Some(Unanswered { control_id, frame: frame.clone(), sent_at: now.mono });
        PeerOutput::Transmit { to: Path::Line, bytes: frame }
    }
}

type Measured<'a> = (&'a str, u32, usize);

fn numeric(
    out: &mut String,
    row: &mut u32,
    body: &dyn Physiology,
    now: Now,
    (place, code, decimals): Measured<'_>,
    at: &str,
) {
    let Some(known) = parameter(Code(code)) else { return };
    // Not connected to this body: no row.
    let Some(value) = body.numeric(Code(code), now.mono) else { return };
    let ucum = text(known.ucum);
    *row += 1;
    let _ = write!(
        out,
        "OBX|{row}|NM|{code}^{}^MDC|{place}|{value:.decimals$}|{ucum}^{ucum}^UCUM|||||R|||{at}\r",
        known.reference
    );
}

fn pleth(out: &mut String, row: &mut u32, body: &dyn Physiology, now: Mono) {
    const PLETH: Code = Code(150_452);
    let from = now.0.saturating_sub(1_000_000);
    let period = u64::from(1_000_000 / PLETH_PER_SECOND);
    let samples = (0..u64::from(PLETH_PER_SECOND)).map(|n| body.sample(PLETH, Mono(from + n * period)));
    let Some(samples) = samples.collect::<Option<Vec<f64>>>() else { return };
    *row += 1;
    let _ = write!(out, "OBX|{row}|NA|150452^MDC_PULS_OXIM_PLETH^MDC|1.2.1.150452|");
    for (n, sample) in samples.iter().enumerate() {
        let _ = write!(out, "{}{:.3}", if n == 0 { "" } else { "^" }, sample);
    }
    let _ = write!(out, "|1^1^UCUM|||||R\r");
    *row += 1;
    let _ = write!(
        out,
        "OBX|{row}|NM|0^MDC_ATTR_SAMP_RATE^MDC|1.2.1.150452.1|{PLETH_PER_SECOND}|264608^MDC_DIM_PER_SEC^MDC|||||R\r"
    );
}

fn text(raw: &str) -> String {
    let mut out = Vec::new();
    escape::encode(raw, &Separators::USUAL, &mut out);
    String::from_utf8(out).expect("escaping text adds ASCII only")
}
