//! Foreign recordings, decoded whole: every byte accounted for, and the same results as when they were last looked at.
//!
//! `BLESS=1` writes the golden table anew; a changed digest means that some event changed. The transcripts of what changed are left
//! in `target/corpora/`: read why before keeping it.

use cotside_protocol::capture::Capture;
use cotside_protocol::device::Output;
use cotside_protocol::devices;
use cotside_protocol::model::{Event, Mono, NO_SAMPLE, Now, Wall};
use cotside_protocol::replay::Replay;
use cotside_protocol::transcript::Line;
use cotside_tests::corpora::{Recording, folder, recordings};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

const COLUMNS: &str = "driver\trecording\tbytes\tframes\tdecoded\tignored\tmalformed\tpending\tnumerics\tvalues\tsamples\talerts\tcrc";

/// What one recording decodes to.
#[derive(Default)]
struct Outcome {
    numerics: u64,
    values: u64,
    samples: u64,
    alerts: u64,
    transcript: String,
}

#[test]
fn every_foreign_recording_decodes_to_its_golden_result() {
    let Some(folder) = folder() else {
        println!("skipped: the recordings are not here (COTSIDE_CAPTURES names their folder)");
        return;
    };
    let golden_path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/corpora.tsv");
    let golden = std::fs::read_to_string(&golden_path).unwrap_or_default();
    let golden: BTreeMap<&str, &str> =
        golden.lines().skip(1).filter_map(|row| Some((row.split('\t').nth(1)?, row))).collect();
    let is_blessing = std::env::var_os("BLESS").is_some();

    let mut table = format!("{COLUMNS}\n");
    let mut differences = String::new();
    for recording in recordings(&folder).expect("the recordings can be read") {
        let (row, transcript) = replay(&recording);
        if golden.get(recording.path.as_str()) != Some(&row.as_str()) {
            let expected = golden.get(recording.path.as_str()).unwrap_or(&"nothing");
            write!(differences, "\n   found: {row}\nexpected: {expected}")
                .expect("a String takes everything");
            keep(&recording.path, &transcript);
        }
        writeln!(table, "{row}").expect("a String takes everything");
    }
    println!("{}", aligned(&table));
    if is_blessing {
        std::fs::write(&golden_path, table).expect("the golden table can be written");
    } else {
        assert!(differences.is_empty(), "{differences}");
    }
}

fn keep(path: &str, transcript: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/corpora");
    std::fs::create_dir_all(&folder).expect("target can be written");
    std::fs::write(folder.join(path.replace('/', "_")), transcript).expect("target can be written");
}

/// The row of a recording, and everything that was reported from it.
fn replay(recording: &Recording) -> (String, String) {
    // Through its text, as `edge-agent decode` would read it.
    let capture = Capture::parse(&recording.capture.to_string()).expect("what was written can be read");
    assert_eq!(capture.records, recording.capture.records, "{}", recording.path);
    let driver = devices::driver(&capture.header.driver).expect("a corpus names a driver");
    let settings = capture.settings(driver.settings).expect("a corpus has sound settings");
    let begin = Now { mono: Mono(0), wall: Wall(1_795_000_000_000_000) };
    let mut replay = Replay::open(driver, settings, begin).expect("a corpus has sound settings");

    let mut outcome = Outcome::default();
    let mut take = |now: Now, output: &Output| outcome.take(now, output);
    replay.play(&capture, &mut take);
    replay.pass(replay.now().mono + Duration::from_secs(1), &mut take);
    let tally = replay.tally();
    assert!(tally.is_balanced(), "{}: {tally:?}", recording.path);
    assert_eq!(tally.received, capture.received(), "{}", recording.path);
    assert_eq!(replay.spins(), 0, "{}: woken in the past", recording.path);

    let Outcome { numerics, values, samples, alerts, transcript } = outcome;
    let crc = crc32c::crc32c(transcript.as_bytes());
    let row = format!(
        "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{numerics}\t{values}\t{samples}\t{alerts}\t{crc:08x}",
        driver.name,
        recording.path,
        tally.received,
        tally.frames,
        tally.decoded,
        tally.ignored_total(),
        tally.malformed_total(),
        tally.pending,
    );
    (row, transcript)
}

impl Outcome {
    fn take(&mut self, now: Now, output: &Output) {
        match output {
            Output::Wait { .. } => return,
            Output::Event(Event::Numeric(numeric)) => {
                self.numerics += 1;
                self.values += u64::from(numeric.value.is_some());
            }
            Output::Event(Event::Waveform(waveform)) => {
                self.samples += waveform.samples.iter().filter(|sample| **sample != NO_SAMPLE).count() as u64;
            }
            Output::Event(Event::Alert(_)) => self.alerts += 1,
            Output::Event(_) | Output::Transmit { .. } | Output::Hangup(_) => {}
        }
        writeln!(self.transcript, "+{} {}", now.mono.0 / 1000, Line(output))
            .expect("a String takes everything");
    }
}

/// The table with its columns under each other, and a sum for each driver.
fn aligned(table: &str) -> String {
    let rows: Vec<Vec<&str>> = table.lines().map(|row| row.split('\t').collect()).collect();
    let mut sums: BTreeMap<&str, (usize, Vec<u64>)> = BTreeMap::new();
    for row in rows.iter().skip(1) {
        let (count, sum) = sums.entry(row[0]).or_insert_with(|| (0, vec![0; 10]));
        *count += 1;
        sum.iter_mut().zip(&row[2..12]).for_each(|(sum, cell)| *sum += cell.parse::<u64>().unwrap_or(0));
    }
    let mut out = String::new();
    let mut line = |driver: &str, name: &str, cells: &[String]| {
        let cells: String = cells.iter().map(|cell| format!("{cell:>10}")).collect();
        let kept: String = name.chars().rev().take(48).collect::<Vec<_>>().into_iter().rev().collect();
        writeln!(out, "{driver:<11}{kept:<50}{cells}").expect("a String takes everything");
    };
    for row in &rows {
        line(row[0], row[1], &row[2..].iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
    }
    for (driver, (count, sum)) in &sums {
        line(driver, &format!("all {count} recordings"), &sum.iter().map(u64::to_string).collect::<Vec<_>>());
    }
    out
}
