//! A driver of one-line words, so that a test says exactly what the device does: `HR 120`, `ID 5`, `STORE 1`, `PANIC`, `BYE`.

use cotside_protocol::device::{
    Driver, Framing, Hangup, Input, Opened, Output, Parity, Path, Session, Settings, Transport,
};
use cotside_protocol::model::{
    Code, Decimal, Event, Identity, Kind, Malformed, Mono, Now, Numeric, Pace, Quality, Site, StoreToken,
    Tally,
};
use std::collections::VecDeque;
use std::time::Duration;

pub(crate) static TOY: Driver = Driver {
    name: "toy",
    summary: "one word a line",
    models: &["Toy"],
    transports: &[
        Transport::Serial { baud: 9600, bits: 8, parity: Parity::None, stop: 1 },
        Transport::TcpListen { port: 2575 },
        Transport::TcpConnect { port: 2575 },
        Transport::Udp { port: 2575, announce: None, group: None },
    ],
    framing: Framing::Stream,
    settings: &[],
    parameters: Vec::new,
    silent_after_ms: 400,
    open,
};

struct Toy {
    line: Vec<u8>,
    tally: Tally,
    out: VecDeque<Output>,
    heard_at: Mono,
    stored: Option<StoreToken>,
}

fn open(_: &Settings, now: Now) -> Opened {
    Ok(Box::new(Toy {
        line: Vec::new(),
        tally: Tally::default(),
        out: VecDeque::new(),
        heard_at: now.mono,
        stored: None,
    }))
}

impl Session for Toy {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Received { bytes, .. } => {
                self.tally.received += bytes.len() as u64;
                for byte in bytes {
                    if *byte == b'\n' {
                        let line = std::mem::take(&mut self.line);
                        self.word(now, &String::from_utf8_lossy(&line), line.len() + 1);
                    } else {
                        self.line.push(*byte);
                    }
                }
            }
            Input::Stored(token) => {
                self.stored = Some(token);
                self.say(format!("OK {}\n", token.0));
            }
            Input::Keepsake(bytes) => {
                self.stored = String::from_utf8_lossy(bytes).parse().ok().map(StoreToken);
                self.say(format!("KEPT {}\n", String::from_utf8_lossy(bytes)));
            }
            Input::Timeout => {}
            Input::Close => {
                self.say("CLOSING\n".to_owned());
                self.out.push_back(Output::Hangup(Hangup::Closed));
            }
        }
    }

    fn poll(&mut self) -> Output {
        let until = self.heard_at + Duration::from_secs(3_600);
        self.out.pop_front().unwrap_or(Output::Wait { until, why: "the next word" })
    }

    fn tally(&self) -> Tally {
        let mut tally = self.tally;
        tally.pending = self.line.len() as u64;
        tally
    }

    fn keepsake(&self) -> Option<Vec<u8>> {
        self.stored.map(|token| token.0.to_string().into_bytes())
    }
}

impl Toy {
    fn word(&mut self, now: Now, line: &str, bytes: usize) {
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let event = match word {
            "HR" => Event::Numeric(Numeric {
                code: Code(147_842),
                site: Site::Unspecified,
                value: Decimal::parse(rest),
                ucum: "{beats}/min",
                quality: Quality::GOOD,
                kind: Kind::Measurement,
                pace: Pace::Continuous,
                device_at: None,
                lag: Duration::ZERO,
            }),
            "ID" => Event::Identified(Identity { serial: rest.into(), ..Identity::default() }),
            "STORE" => Event::Checkpoint(StoreToken(rest.parse().unwrap_or(0))),
            "PANIC" => panic!("a defect of the driver, made on purpose"),
            "BYE" => {
                self.out.push_back(Output::Hangup(Hangup::Released));
                return;
            }
            _ => {
                self.tally.malform(Malformed::Noise, bytes);
                self.out.push_back(Output::Event(Event::Malformed {
                    reason: Malformed::Noise,
                    bytes: bytes as u32,
                }));
                return;
            }
        };
        self.tally.decoded += bytes as u64;
        self.tally.frames += 1;
        self.heard_at = now.mono;
        self.out.push_back(Output::Event(event));
    }

    fn say(&mut self, words: String) {
        self.out.push_back(Output::Transmit { to: Path::Line, bytes: words.into_bytes() });
    }
}
