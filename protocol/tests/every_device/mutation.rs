//! A short, seeded slice of what the fuzz targets do for hours: no bytes whatsoever may bring a session down.

use crate::bench::{BEGIN, Dice, captures};
use cotside_protocol::capture::{Capture, Direction, Wire};
use cotside_protocol::device::{Driver, Settings};
use cotside_protocol::devices::DRIVERS;
use cotside_protocol::replay::Replay;
use std::time::Duration;

/// Runs a driver; in a debug build this is about a second each.
const RUNS: u64 = 300;
const CHUNKS_A_RUN: usize = 24;

#[test]
fn no_bytes_whatsoever_bring_a_session_down() {
    for driver in DRIVERS {
        let seeds = seeds(driver);
        for run in 0..RUNS {
            let mut dice = Dice(run);
            let settings = Settings::check(driver.settings, &[]).unwrap_or_default();
            let Ok(mut replay) = Replay::open(driver, settings, BEGIN) else { break };
            for _ in 0..CHUNKS_A_RUN {
                let (wire, bytes) = mutated(&seeds, &mut dice);
                replay.receive(wire.path(), &bytes, &mut |_, _| {});
                let pause = Duration::from_millis([0, 1, 16, 1000, 5000][dice.roll(5)]);
                replay.pass(replay.now().mono + pause, &mut |_, _| {});
                let tally = replay.tally();
                assert!(tally.is_balanced(), "{} run {run}: {tally:?}", driver.name);
            }
            assert_eq!(replay.spins(), 0, "{} run {run}: woken in the past", driver.name);
        }
    }
}

#[test]
fn no_text_whatsoever_brings_the_capture_reader_down() {
    for driver in DRIVERS {
        for (path, _) in captures(driver) {
            let text = std::fs::read(path).unwrap();
            for seed in 0..2_000 {
                let mut dice = Dice(seed);
                let mut text = text[..text.len().min(600)].to_vec();
                mutate(&mut text, &mut dice);
                if let Ok(capture) = Capture::parse(&String::from_utf8_lossy(&text)) {
                    let again = Capture::parse(&capture.to_string()).unwrap();
                    assert_eq!(again.records, capture.records);
                }
            }
        }
    }
}

fn seeds(driver: &Driver) -> Vec<(Wire, Vec<u8>)> {
    let records = captures(driver).into_iter().flat_map(|(_, capture)| capture.records);
    records
        .filter(|record| record.direction == Direction::FromDevice)
        .map(|record| (record.wire, record.bytes))
        .collect()
}

/// A known record with some damage, two of them spliced, or plain noise.
fn mutated(seeds: &[(Wire, Vec<u8>)], dice: &mut Dice) -> (Wire, Vec<u8>) {
    let (wire, seed) = &seeds[dice.roll(seeds.len())];
    let mut bytes = seed.clone();
    match dice.roll(6) {
        0 => bytes = (0..dice.roll(600)).map(|_| dice.roll(256) as u8).collect(),
        1 => {
            let (_, other) = &seeds[dice.roll(seeds.len())];
            bytes.truncate(dice.roll(bytes.len() + 1));
            bytes.extend_from_slice(&other[dice.roll(other.len() + 1)..]);
        }
        2 => {}
        _ => mutate(&mut bytes, dice),
    }
    (*wire, bytes)
}

fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    const TELLING: [u8; 12] = [0, 1, 0x7f, 0x80, 0xff, 0xc0, 0xc1, 0x7d, 0x0b, 0x1c, b'|', b'\r'];
    for _ in 0..=dice.roll(6) {
        let at = dice.roll(bytes.len() + 1);
        match dice.roll(5) {
            0 => bytes.insert(at, TELLING[dice.roll(TELLING.len())]),
            1 if at < bytes.len() => bytes[at] ^= 1 << dice.roll(8),
            2 if at < bytes.len() => bytes[at] = TELLING[dice.roll(TELLING.len())],
            3 if at < bytes.len() => drop(bytes.drain(at..bytes.len().min(at + 1 + dice.roll(8)))),
            _ => {
                let repeated = bytes[at..bytes.len().min(at + dice.roll(32))].to_vec();
                bytes.splice(at..at, repeated);
            }
        }
    }
}
