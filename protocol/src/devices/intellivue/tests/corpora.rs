//! Foreign recordings: no panic, every byte accounted for, and the values that other people's programs read from them.

use super::super::DRIVER;
use super::super::frame::{Deframer, Found};
use super::super::message::Message;
use crate::device::{Input, Output, Path, Session, Settings};
use crate::model::{Event, Mono, Now, Numeric, Tally, Wall, Waveform};
use std::path::PathBuf;
use std::time::Duration;

/// The recorded corpora, if they are on this machine.
fn corpus(path: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("COTSIDE_CAPTURES").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/captures")),
        PathBuf::from,
    );
    let file = root.join("intellivue").join(path);
    let bytes = std::fs::read(&file).ok();
    if bytes.is_none() {
        println!("skipped: {} is not here", file.display());
    }
    bytes
}

fn listening() -> Box<dyn Session> {
    let given = [("listen".to_owned(), "yes".to_owned())];
    (DRIVER.open)(&Settings::check(DRIVER.settings, &given).unwrap(), at(0)).unwrap()
}

fn at(micros: u64) -> Now {
    Now { mono: Mono(micros), wall: Wall(micros as i64) }
}

#[derive(Default)]
struct Heard {
    numerics: Vec<Numeric>,
    waves: Vec<Waveform>,
    events: Vec<Event>,
    tally: Tally,
}

impl Heard {
    fn drain(&mut self, session: &mut dyn Session) {
        loop {
            match session.poll() {
                Output::Event(Event::Numeric(numeric)) => self.numerics.push(numeric),
                Output::Event(Event::Waveform(wave)) => self.waves.push(wave),
                Output::Event(event) => self.events.push(event),
                Output::Transmit { .. } => panic!("a listener sent something"),
                Output::Hangup(_) => panic!("hung up"),
                Output::Wait { .. } => break,
            }
        }
        self.tally = session.tally();
        assert!(self.tally.is_balanced(), "{:?}", self.tally);
    }
}

/// Plays a stream in pieces of `cut` bytes, 256 ms for each KiB.
fn play(bytes: &[u8], cut: usize) -> Heard {
    let mut session = listening();
    let mut heard = Heard::default();
    let mut micros = 0;
    for piece in bytes.chunks(cut) {
        micros += piece.len() as u64 * 250;
        session.handle(at(micros), Input::Received { from: Path::Line, bytes: piece });
        heard.drain(session.as_mut());
    }
    heard
}

fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut deframer = Deframer::default();
    let mut rest = bytes;
    let mut messages = Vec::new();
    while let Some(found) = deframer.next(&mut rest) {
        match found {
            Found::Message { payload, .. } => messages.push(payload.to_vec()),
            other => panic!("{other:?}"),
        }
    }
    messages
}

/// Every message parses, and what is emitted from it is, byte for byte, what was recorded.
fn assert_mirrored(message: &[u8]) {
    let parsed = Message::parse(message).unwrap_or_else(|reason| panic!("{reason:?}: {message:02x?}"));
    let mut emitted = vec![0xA5; 3];
    parsed.emit(&mut emitted);
    assert_eq!(&emitted[3..], message, "{parsed:?}");
}

#[test]
fn the_jvs_stream_decodes_whole_and_every_message_is_emitted_as_it_was() {
    let Some(bytes) = corpus("jvscapture_mp_serial/MPRawoutput1.raw") else { return };
    let messages = frames(&bytes);
    assert_eq!(messages.len(), 2887);
    messages.iter().for_each(|message| assert_mirrored(message));
    let heard = play(&bytes, 1000);
    println!("{:?}", heard.tally);
    for event in heard.events.iter().take(10) {
        println!("{event:?}");
    }
    println!("{} numerics, {} waves", heard.numerics.len(), heard.waves.len());
    for n in heard.numerics.iter().take(40) {
        println!("{n:?}");
    }
    for w in heard.waves.iter().take(8) {
        println!("{:?} {:?}", w.samples.len(), Waveform { samples: vec![], ..w.clone() });
    }
    let _ = Duration::ZERO;
}
