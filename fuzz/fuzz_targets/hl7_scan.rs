//! HL7 v2 below the driver: framing, scanning, escapes, times and answers, against any bytes.
#![no_main]

use cotside_protocol::hl7::charset::{self, Charset};
use cotside_protocol::hl7::mllp::{self, Framer};
use cotside_protocol::hl7::scan::Message;
use cotside_protocol::hl7::{ack, escape, time};
use cotside_protocol::model::Wall;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    frame(data);
    let _ = charset::decode(data, Charset::LATIN_1);
    let _ = ack::reject_unreadable(data, Wall(1_795_000_000_000_000), "1");
    if let Ok(message) = Message::scan(data) {
        read(&message);
    }
});

/// Every byte fed is either still held or has been reported.
fn frame(data: &[u8]) {
    let mut framer = Framer::new(4096);
    let mut pieces = 0;
    for chunk in data.chunks(1 + data.len() % 61) {
        framer.feed(chunk, |_| pieces += 1);
        assert!(framer.pending() <= data.len());
    }
    framer.finish(|_| pieces += 1);
    assert_eq!(framer.pending(), 0);
    // What is framed comes out whole, unless it holds marks of frames itself.
    if !data.is_empty() && !data.iter().any(|byte| matches!(byte, 0x0b | 0x1c)) && data.len() < 4096 {
        let framed = mllp::frame(data);
        let mut framer = Framer::new(4096);
        framer.feed(&framed, |_| {});
        assert_eq!(framer.pending(), 0);
    }
}

fn read(message: &Message<'_>) {
    let separators = message.separators();
    for segment in message.segments().take(1000) {
        let _ = (segment.id(), segment.fields::<12>());
        for (_, field) in segment.numbered().take(64) {
            for repetition in field.repetitions().take(16) {
                for component in repetition.components().take(16) {
                    let text = escape::decode(component, &separators, Charset::LATIN_1);
                    let mut again = Vec::new();
                    escape::encode(&text, &separators, &mut again);
                    let _ = time::Time::parse(component);
                }
            }
        }
    }
    let _ = ack::Wanted::of(message);
    let _ = ack::read(message);
}
