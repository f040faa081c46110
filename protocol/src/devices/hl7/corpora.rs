//! Foreign messages: each recorded file replayed to golden lines, every byte accounted for, whole or cut.

use super::DRIVER;
use crate::device::{Output, Path, Settings};
use crate::hl7::differential::{captures, files};
use crate::hl7::mllp;
use crate::model::{Event, Mono, Now, Tally, Wall};
use crate::replay::Replay;
use crate::transcript::Line;
use std::fmt::Write;
use std::time::Duration;

/// The day of the oldest sensible message and some: lag is measured by the sender's own times, so the date does not matter.
const BEGIN: Now = Now { mono: Mono(3_600_000_000), wall: Wall(1_717_236_000_000_000) };

#[test]
fn every_recorded_message_decodes_to_its_golden_lines() {
    let Some(folder) = captures() else { return };
    let mut text = String::new();
    for path in files(&folder) {
        let bytes = std::fs::read(&path).unwrap();
        let is_stream = path.extension().is_some_and(|extension| extension == "bin");
        let stream = if is_stream { bytes } else { mllp::frame(&bytes) };
        let (lines, tally) = play(&stream, stream.len());
        let (cut, cut_tally) = play(&stream, 7);
        assert_eq!(tally, cut_tally, "{}", path.display());
        assert_eq!(lines, cut, "{}", path.display());
        let name = path.strip_prefix(&folder).unwrap();
        writeln!(text, "== {}", name.display()).unwrap();
        lines.iter().for_each(|line| writeln!(text, "{line}").unwrap());
        writeln!(text, "{}", account(&tally)).unwrap();
    }
    let golden =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/devices/hl7/captures/corpora.golden");
    if std::env::var_os("BLESS").is_some() {
        return std::fs::write(golden, text).unwrap();
    }
    let expected = std::fs::read_to_string(golden).unwrap();
    for (n, (found, expected)) in text.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "line {}", n + 1);
    }
    assert_eq!(text.len(), expected.len());
}

fn play(stream: &[u8], cut: usize) -> (Vec<String>, Tally) {
    let settings = Settings::check(DRIVER.settings, &[]).unwrap();
    let mut replay = Replay::open(&DRIVER, settings, BEGIN).unwrap();
    let mut lines = Vec::new();
    let mut take = |_: Now, output: &Output| match output {
        Output::Event(Event::Checkpoint(_)) | Output::Transmit { .. } | Output::Wait { .. } => {}
        output => lines.push(Line(output).to_string()),
    };
    for piece in stream.chunks(cut.max(1)) {
        replay.receive(Path::Line, piece, &mut take);
    }
    replay.pass(BEGIN.mono + Duration::from_secs(31), &mut take);
    let tally = replay.tally();
    assert!(tally.is_balanced(), "{tally:?}");
    assert_eq!(tally.received, stream.len() as u64);
    assert_eq!(replay.spins(), 0);
    (lines, tally)
}

fn account(tally: &Tally) -> String {
    let mut line =
        format!("= {} bytes, {} messages, {} decoded", tally.received, tally.frames, tally.decoded);
    for reason in Tally::IGNORED.into_iter().filter(|reason| tally.ignored(*reason) > 0) {
        write!(line, ", {} ignored as {reason:?}", tally.ignored(reason)).unwrap();
    }
    for reason in Tally::MALFORMED.into_iter().filter(|reason| tally.malformed(*reason) > 0) {
        write!(line, ", {} malformed as {reason:?}", tally.malformed(reason)).unwrap();
    }
    line
}
