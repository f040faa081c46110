//! What the driver targets share: bytes become a conversation in virtual time, and its invariants are checked.

use cotside_protocol::capture::{Capture, DEVICE_ADDRESS};
use cotside_protocol::device::{Driver, Path, Settings};
use cotside_protocol::devices;
use cotside_protocol::model::{Mono, Now, Wall};
use cotside_protocol::replay::Replay;
use std::time::Duration;

/// A capture's text is played as it says, so that the drivers' captures are the corpus; anything else is the device's bytes.
/// Panics where an invariant of every session is broken.
pub fn converse(driver: &str, data: &[u8]) {
    let driver = devices::driver(driver).expect("a target is named for its driver");
    match std::str::from_utf8(data).ok().and_then(|text| Capture::parse(text).ok()) {
        Some(capture) => play(driver, capture),
        None => feed(driver, data),
    }
}

fn play(driver: &'static Driver, mut capture: Capture) {
    // Any number of hours between two records would make the fuzzer count timeouts.
    capture.records.iter_mut().for_each(|record| record.at = record.at.min(Duration::from_secs(600)));
    let settings = capture.settings(driver.settings).unwrap_or_default();
    let Some(mut replay) = open(driver, settings) else { return };
    replay.play(&capture, &mut |_, _| {});
    check(&mut replay);
}

/// The first byte chooses the wire and the size of the pieces.
fn feed(driver: &'static Driver, data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    let Some(mut replay) = open(driver, Settings::check(driver.settings, &[]).unwrap_or_default()) else { return };
    let from = match choice % 4 {
        0 => Path::Datagram(DEVICE_ADDRESS),
        1 => Path::Announcement(DEVICE_ADDRESS),
        _ => Path::Line,
    };
    for piece in data.chunks(1 + usize::from(choice / 4) * 8) {
        replay.receive(from, piece, &mut |_, _| {});
        replay.pass(replay.now().mono + Duration::from_millis(40), &mut |_, _| {});
    }
    check(&mut replay);
}

fn open(driver: &'static Driver, settings: Settings) -> Option<Replay> {
    let begin = Now { mono: Mono(3_600_000_000), wall: Wall(1_795_000_000_000_000) };
    Replay::open(driver, settings, begin).ok()
}

fn check(replay: &mut Replay) {
    replay.pass(replay.now().mono + Duration::from_secs(1), &mut |_, _| {});
    let tally = replay.tally();
    assert!(tally.is_balanced(), "{tally:?}");
    assert_eq!(replay.spins(), 0, "woken in the past");
}
