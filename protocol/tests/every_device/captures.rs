//! Recorded bytes: each capture replays to its golden events, however it is cut, and after whatever went wrong before.

use crate::bench::{BEGIN, Dice, Report, captures, open};
use cotside_protocol::capture::{Capture, Direction, Wire};
use cotside_protocol::device::Driver;
use cotside_protocol::devices::DRIVERS;
use cotside_protocol::model::Tally;
use cotside_protocol::transcript;
use std::fmt::Write;
use std::time::Duration;

/// How long after its last byte a capture is listened to: what a session holds back for a moment still counts.
const LISTEN_AFTER: Duration = Duration::from_secs(1);

/// No session may hang on to a dead cable for longer than this.
const DEAD_AFTER: Duration = Duration::from_secs(600);

/// `BLESS=1 cargo test` writes the golden files anew; read the difference before keeping it.
#[test]
fn each_capture_replays_to_its_events() {
    for driver in DRIVERS {
        for (path, capture) in captures(driver) {
            let (report, tally) = play(driver, &capture);
            assert_eq!(tally.received, capture.received(), "{}", path.display());
            assert!(tally.is_balanced(), "{}: {tally:?}", path.display());
            let mut text = report.lines.join("\n");
            writeln!(text, "\n{}", account(&tally)).unwrap();
            let golden = path.with_extension("events");
            if std::env::var_os("BLESS").is_some() {
                std::fs::write(&golden, text).unwrap();
                continue;
            }
            let expected = std::fs::read_to_string(&golden).unwrap_or_default();
            let differs = text.lines().zip(expected.lines()).position(|(found, expected)| found != expected);
            let at = differs.unwrap_or_else(|| text.lines().count().min(expected.lines().count()));
            let line = |text: &str| text.lines().nth(at).unwrap_or("(the end)").to_owned();
            assert!(
                text == expected,
                "{}:{}\n   found: {}\nexpected: {}",
                golden.display(),
                at + 1,
                line(&text),
                line(&expected)
            );
        }
    }
}

#[test]
fn a_stream_cut_anywhere_gives_the_same_events() {
    for driver in DRIVERS {
        for (path, capture) in captures(driver) {
            let (whole, tally) = play(driver, &capture);
            for seed in 0..8 {
                let (cut, cut_tally) = play(driver, &cut(&capture, seed));
                assert_eq!(cut_tally, tally, "{} seed {seed}", path.display());
                assert_eq!(
                    cut.without_malformed(),
                    whole.without_malformed(),
                    "{} seed {seed}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn after_any_damage_and_a_silence_the_next_connection_is_as_good_as_new() {
    for driver in DRIVERS {
        for (path, capture) in captures(driver) {
            let (fresh, _) = play(driver, &capture);
            for seed in 0..12 {
                let mut replay = open(driver, &capture);
                replay.play(&damaged(&capture, seed), &mut |_, _| {});
                let sessions = replay.sessions();
                replay.pass(replay.now().mono + DEAD_AFTER, &mut |_, _| {});
                assert!(
                    replay.sessions() > sessions,
                    "{} seed {seed}: a dead cable never ended in a hang-up",
                    path.display()
                );
                assert!(replay.tally().is_balanced(), "{} seed {seed}: {:?}", path.display(), replay.tally());
                assert_eq!(replay.spins(), 0, "{} seed {seed}: woken in the past", path.display());

                replay.close(&mut |_, _| {});
                replay.pass(replay.now().mono + Duration::from_millis(2), &mut |_, _| {});
                let mut again = Report::since(replay.now().mono);
                replay.play(&capture, &mut |now, output| again.take(now, output));
                replay.pass(replay.now().mono + LISTEN_AFTER, &mut |now, output| again.take(now, output));
                assert_eq!(again.values, fresh.values, "{} seed {seed}", path.display());
            }
        }
    }
}

#[test]
fn each_capture_says_where_it_comes_from() {
    for driver in DRIVERS {
        for (path, capture) in captures(driver) {
            let header = &capture.header;
            assert_eq!(header.driver, driver.name, "{}", path.display());
            for (name, value) in [
                ("device", &header.device),
                ("taken-by", &header.taken_by),
                ("date", &header.date),
                ("scrubbed", &header.scrubbed),
            ] {
                assert!(!value.is_empty(), "{}: no {name} in the header", path.display());
            }
            assert!(!capture.records.is_empty(), "{}", path.display());
        }
    }
}

fn play(driver: &'static Driver, capture: &Capture) -> (Report, Tally) {
    let mut replay = open(driver, capture);
    let mut report = Report::since(BEGIN.mono);
    replay.play(capture, &mut |now, output| report.take(now, output));
    replay.pass(replay.now().mono + LISTEN_AFTER, &mut |now, output| report.take(now, output));
    (report, replay.tally())
}

/// The last line of a golden file: where every byte went.
fn account(tally: &Tally) -> String {
    let mut line = format!("= received {} decoded {} frames {}", tally.received, tally.decoded, tally.frames);
    for reason in Tally::IGNORED.into_iter().filter(|reason| tally.ignored(*reason) > 0) {
        write!(line, " ignored {} {}", transcript::ignored(reason), tally.ignored(reason)).unwrap();
    }
    for reason in Tally::MALFORMED.into_iter().filter(|reason| tally.malformed(*reason) > 0) {
        write!(line, " malformed {} {}", transcript::malformed(reason), tally.malformed(reason)).unwrap();
    }
    if tally.pending > 0 {
        write!(line, " pending {}", tally.pending).unwrap();
    }
    line
}

/// The same bytes at the same moments, in other pieces; seed 0 is byte by byte. Datagrams are not cut: they come whole or not at all.
fn cut(capture: &Capture, seed: u64) -> Capture {
    let mut dice = Dice(seed);
    let mut pieces = Capture { header: capture.header.clone(), records: Vec::new() };
    for record in &capture.records {
        if record.wire != Wire::Line || record.bytes.is_empty() {
            pieces.records.push(record.clone());
            continue;
        }
        let mut rest = record.bytes.as_slice();
        while !rest.is_empty() {
            let length = if seed == 0 { 1 } else { 1 + dice.roll(rest.len().min(64)) };
            let (piece, after) = rest.split_at(length);
            pieces
                .records
                .push(cotside_protocol::capture::Record { bytes: piece.to_vec(), ..record.clone() });
            rest = after;
        }
    }
    pieces
}

/// Bytes flipped, lost and inserted, more of them with each seed; whole records lost and doubled.
fn damaged(capture: &Capture, seed: u64) -> Capture {
    let mut dice = Dice(seed);
    let one_in = 300 >> seed.min(8);
    let mut damaged = Capture { header: capture.header.clone(), records: Vec::new() };
    for record in capture.records.iter().filter(|record| record.direction == Direction::FromDevice) {
        let copies = [1, 1, 1, 1, 1, 1, 1, 0, 2][dice.roll(9)];
        for _ in 0..copies {
            let mut record = record.clone();
            record.bytes = damage(&record.bytes, one_in, &mut dice);
            damaged.records.push(record);
        }
    }
    damaged
}

fn damage(bytes: &[u8], one_in: usize, dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match dice.roll(one_in.max(2) * 3) {
            0 => {}
            1 => out.extend([*byte, dice.roll(256) as u8]),
            2 => out.push(byte ^ (1 << dice.roll(8))),
            _ => out.push(*byte),
        }
    }
    out
}
