//! The log on disk: reopened, damaged, full, gone.

use super::*;
use cotside_edge_agent::row::HeldRow;
use cotside_edge_agent::store::Ask;
use cotside_protocol::wire::block::{Decoder, Epoch, Gap, GapCause};
use cotside_protocol::wire::upstream::LaneSeqs;
use std::fs;

fn log_file(place: &Place) -> PathBuf {
    place.path().join("log.db")
}

fn all_rows(store: &mut Store, lane: Lane) -> Vec<HeldRow> {
    let mut all: Vec<HeldRow> = Vec::new();
    loop {
        let from = all.last().map_or(0, |row| row.end);
        let rows = store.rows(at(10_000_000), lane, from, 64 << 10);
        if rows.is_empty() {
            return all;
        }
        assert_eq!(rows[0].seq, from, "rows have no hole");
        all.extend(rows);
    }
}

fn bodies(store: &mut Store, lane: Lane) -> Vec<Body> {
    let mut decoder = Decoder::new();
    let decode = |row: HeldRow| decoder.decode(&row.bytes).unwrap().0.body;
    all_rows(store, lane).into_iter().map(decode).collect()
}

fn gaps(store: &mut Store, lane: Lane) -> Vec<Gap> {
    let is_gap = |body| if let Body::Gap(gap) = body { Some(gap) } else { None };
    bodies(store, lane).into_iter().filter_map(is_gap).collect()
}

fn settle(store: &mut Store, now: Now, lane: Lane, below: u64, ranges: &[(u64, u64)]) {
    let epoch = store.log().epoch;
    store.answer(now, Ask::Settled { epoch, lane, below, ranges: ranges.into() }, &mut Vec::new());
}

fn set_aside(place: &Place) -> usize {
    let entries = fs::read_dir(place.path()).unwrap();
    entries
        .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().contains("set-aside"))
        .count()
}

#[test]
fn what_was_committed_is_there_after_a_kill_and_the_silence_is_a_gap() {
    let place = Place::new();
    let mut store = Store::open(settings(&place), at(0));
    let epoch = store.log().epoch;
    for n in 1..200 {
        append(&mut store, at(n), &second(at(n), n));
    }
    let next = store.log().next;
    // No close: the process is gone between two instructions.
    drop(store);
    let mut store = Store::open(settings(&place), at(500));
    assert_eq!(store.log().predecessor, Some(epoch), "a whole log goes on in another epoch");
    assert_eq!(store.log().first.numeric, next.numeric);
    assert!(store.trouble().is_none());
    let numerics = bodies(&mut store, Lane::Numeric);
    assert_eq!(numerics.iter().filter(|body| matches!(body, Body::Numerics(_))).count(), 199);
    let down = Gap {
        cause: GapCause::AgentDown,
        link: None,
        // What ended at 200 is on disk; what else was heard in the loss window before it may not be.
        from: at(199).wall,
        to: at(500).wall,
        seqs: None,
        count: None,
    };
    assert_eq!(gaps(&mut store, Lane::Numeric), [down]);
    assert_eq!(store.log().next.numeric, next.numeric + 1);
    let alarms = bodies(&mut store, Lane::Alarm);
    let started =
        alarms.iter().filter(|body| matches!(body, Body::Record(json) if json.contains("started"))).count();
    assert_eq!(started, 2);
}

#[test]
fn a_clean_stop_is_written_down() {
    let place = Place::new();
    let mut store = Store::open(settings(&place), at(0));
    append(&mut store, at(1), &second(at(1), 1));
    store.close(at(2));
    let mut store = Store::open(settings(&place), at(3));
    let alarms = bodies(&mut store, Lane::Alarm);
    assert!(alarms.iter().any(|body| matches!(body, Body::Record(json) if json.contains("stopped"))));
}

#[test]
fn a_file_that_is_no_log_is_set_aside_and_the_new_epoch_names_its_predecessor() {
    for damage in ["zeros", "text", "truncated", "middle", "empty", "directory"] {
        let place = Place::new();
        let mut store = Store::open(settings(&place), at(0));
        let old = store.log().epoch;
        for n in 1..50 {
            append(&mut store, at(n), &second(at(n), n));
        }
        store.close(at(50));
        let file = log_file(&place);
        let bytes = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        match damage {
            "zeros" => fs::write(&file, vec![0; bytes.len()]).unwrap(),
            "text" => fs::write(&file, "not a log\n".repeat(1000)).unwrap(),
            "truncated" => fs::write(&file, &bytes[..bytes.len() / 3]).unwrap(),
            "middle" => {
                let mut bytes = bytes;
                let length = bytes.len();
                bytes[2000..length - 10].fill(0x5a);
                fs::write(&file, bytes).unwrap();
            }
            "empty" => fs::write(&file, "").unwrap(),
            _ => fs::create_dir(&file).unwrap(),
        }
        let mut store = Store::open(settings(&place), at(60));
        assert!(!store.is_in_memory(), "{damage}");
        assert_ne!(store.log().epoch, old, "{damage}");
        assert_eq!(store.log().predecessor, Some(old), "{damage}");
        assert!(gaps(&mut store, Lane::Alarm).iter().any(|gap| gap.cause == GapCause::StoreLost), "{damage}");
        if damage != "empty" {
            assert!(store.trouble().unwrap().contains("set aside"), "{damage}");
            assert_eq!(set_aside(&place), 1, "{damage}");
        }
        append(&mut store, at(61), &second(at(61), 1));
        assert_eq!(all_rows(&mut store, Lane::Waveform).len(), 2, "{damage}");
    }
}

#[test]
fn a_log_of_a_newer_version_is_left_untouched_beside_the_new_one() {
    let place = Place::new();
    Store::open(settings(&place), at(0)).close(at(1));
    let db = rusqlite::Connection::open(log_file(&place)).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let store = Store::open(settings(&place), at(2));
    assert!(store.trouble().unwrap().contains("newer version"));
    assert_eq!(set_aside(&place), 1);
}

#[test]
fn damaged_logs_do_not_fill_the_disk() {
    let place = Place::new();
    for n in 0..6 {
        fs::write(log_file(&place), "no log").unwrap();
        Store::open(settings(&place), at(n)).close(at(n));
    }
    assert_eq!(set_aside(&place), 2);
}

#[test]
fn without_a_place_for_a_file_the_log_lives_in_bounded_memory_and_says_so() {
    let place = Place::new();
    let blocked = place.path().join("file");
    fs::write(&blocked, "").unwrap();
    let settings = Settings { directory: blocked.join("log"), memory_bytes: 200_000, ..settings(&place) };
    let mut store = Store::open(settings, at(0));
    assert!(store.is_in_memory());
    assert!(store.trouble().unwrap().contains("memory only"));
    for n in 1..1000 {
        append(&mut store, at(n), &second(at(n), n));
    }
    let status = store.outbox(at(1000));
    assert!(status.waiting_bytes < 250_000, "{status:?}");
    assert!(status.dropped_rows > 0);
    assert!(!gaps(&mut store, Lane::Waveform).is_empty());
}

#[test]
fn a_second_agent_on_the_same_log_gets_none_of_it() {
    let place = Place::new();
    let first = Store::open(settings(&place), at(0));
    let second = Store::open(settings(&place), at(1));
    assert!(second.is_in_memory());
    assert!(second.trouble().is_some());
    assert_ne!(first.log().epoch, second.log().epoch);
    assert_eq!(set_aside(&place), 0);
}

#[test]
fn under_pressure_waveforms_go_first_alarms_never_and_every_seq_stays_accounted_for() {
    let place = Place::new();
    let small = Settings { cap_bytes: 400_000, ..settings(&place) };
    let mut store = Store::open(small.clone(), at(0));
    for n in 1..3000u64 {
        let mut drafts = second(at(n), n);
        if n % 10 == 0 {
            drafts.push(alarm(at(n)));
        }
        append(&mut store, at(n), &drafts);
    }
    let alarms = bodies(&mut store, Lane::Alarm);
    assert_eq!(alarms.len(), 1 + 299, "the start and every alarm");
    let lost = gaps(&mut store, Lane::Waveform);
    assert!(lost.iter().all(|gap| gap.cause == GapCause::DroppedByPolicy && gap.from < gap.to));
    let covered: u64 = lost.iter().filter_map(|gap| gap.seqs).map(|(first, end)| end - first).sum();
    let held =
        bodies(&mut store, Lane::Waveform).iter().filter(|body| matches!(body, Body::Waveforms(_))).count();
    assert_eq!(covered + held as u64, 2999, "a gap record stands for every row that went");
    let numerics = gaps(&mut store, Lane::Numeric);
    let covered_numerics: u64 =
        numerics.iter().filter_map(|gap| gap.seqs).map(|(first, end)| end - first).sum();
    let status = store.outbox(at(3000));
    assert_eq!(status.dropped_rows, covered + covered_numerics);
    let stored: u64 = Lane::ALL.into_iter().map(|lane| all_rows(&mut store, lane).len() as u64).sum();
    assert_eq!(status.waiting_rows, stored);
    let weighed: usize =
        Lane::ALL.into_iter().flat_map(|lane| all_rows(&mut store, lane)).map(|row| row.bytes.len()).sum();
    let error = status.waiting_bytes.abs_diff(weighed as u64);
    assert!(error <= weighed as u64 / 20, "{} of {weighed}", status.waiting_bytes);
    // What is left decodes: every delta has its key frame (all_rows decoded them above), after a restart too.
    drop(store);
    let mut store = Store::open(small, at(4000));
    assert_eq!(store.outbox(at(4000)).dropped_rows, status.dropped_rows);
    let after = store.outbox(at(4000)).waiting_bytes;
    assert!(after.abs_diff(status.waiting_bytes) < 2000, "{after} {status:?}");
    bodies(&mut store, Lane::Numeric);
}

#[test]
fn what_the_hub_has_is_kept_for_the_grace_and_then_deleted() {
    let place = Place::new();
    let settings = Settings { grace: Duration::from_secs(100), ..settings(&place) };
    let mut store = Store::open(settings, at(0));
    for n in 1..=300 {
        append(&mut store, at(n), &second(at(n), n));
    }
    settle(&mut store, at(300), Lane::Waveform, 250, &[(280, 300)]);
    assert_eq!(store.outbox(at(300)).waiting_rows, 30 + 300 + 1);
    store.tick(at(300), &mut Vec::new());
    let rows = store.rows(at(300), Lane::Waveform, 150, 1 << 20);
    assert!(matches!(Decoder::new().decode(&rows[0].bytes).unwrap().0.body, Body::Gap(_)), "pruned");
    let rows = store.rows(at(300), Lane::Waveform, 210, 1 << 20);
    assert!(matches!(Decoder::new().decode(&rows[0].bytes).unwrap().0.body, Body::Waveforms(_)), "kept");
}

#[test]
fn a_restored_hub_that_asks_for_pruned_rows_gets_a_gap_record_and_not_silence() {
    let place = Place::new();
    let settings = Settings { grace: Duration::ZERO, ..settings(&place) };
    let mut store = Store::open(settings, at(0));
    for n in 1..=100 {
        append(&mut store, at(n), &second(at(n), n));
    }
    settle(&mut store, at(200), Lane::Numeric, 90, &[]);
    store.tick(at(200), &mut Vec::new());
    settle(&mut store, at(201), Lane::Numeric, 20, &[]);
    let rows = store.rows(at(201), Lane::Numeric, 20, 1 << 20);
    assert_eq!((rows[0].seq, rows[0].end), (20, 90));
    assert_eq!(rows.last().unwrap().end, 100);
    let (block, _) = Decoder::new().decode(&rows[0].bytes).unwrap();
    let Body::Gap(gap) = block.body else { panic!("a gap record") };
    assert_eq!((gap.cause, gap.seqs), (GapCause::StoreLost, Some((20, 90))));
    assert_eq!(store.rows(at(202), Lane::Numeric, 20, 1 << 20), rows, "the same record every time");
}

#[test]
fn a_gap_record_whose_first_seqs_the_hub_has_stands_for_the_rest() {
    let place = Place::new();
    let small = Settings { cap_bytes: 100_000, ..settings(&place) };
    let mut store = Store::open(small, at(0));
    for n in 1..600u64 {
        append(&mut store, at(n), &second(at(n), n));
    }
    let first = all_rows(&mut store, Lane::Waveform)[0].clone();
    assert!(first.end > 10);
    let rows = store.rows(at(600), Lane::Waveform, 5, 1 << 20);
    assert_eq!((rows[0].seq, rows[0].end), (5, first.end));
    let (block, _) = Decoder::new().decode(&rows[0].bytes).unwrap();
    assert_eq!(block.header.seq, 5);
    assert!(
        matches!(block.body, Body::Gap(gap) if gap.seqs == Some((5, first.end)) && gap.cause == GapCause::DroppedByPolicy)
    );
}

#[test]
fn a_hub_that_claims_what_was_never_written_gets_a_new_epoch_and_nothing_leaves_the_log() {
    let place = Place::new();
    let mut store = Store::open(settings(&place), at(0));
    let old = store.log();
    append(&mut store, at(1), &second(at(1), 1));
    let waiting = store.outbox(at(2)).waiting_rows;
    let mut told = Vec::new();
    store.answer(at(2), Ask::Disputed { epoch: old.epoch }, &mut told);
    let Some(FromStore::Log(log)) = told.pop() else { panic!("another epoch") };
    assert_eq!(log.predecessor, Some(old.epoch));
    assert_eq!((log.first, set_aside(&place)), (log.next, 0), "in the same file");
    assert_eq!(store.outbox(at(2)).waiting_rows, waiting);
    assert!(store.trouble().unwrap().contains("never written"));
    told.clear();
    store.answer(at(3), Ask::Disputed { epoch: old.epoch }, &mut told);
    assert!(told.is_empty(), "said of an epoch that is over already");
    store.answer(at(3), Ask::Past { lane: Lane::Alarm, from: 0 }, &mut told);
    let Some(FromStore::Past { epochs, .. }) = told.first() else { panic!("its earlier epoch") };
    assert_eq!((epochs.len(), epochs[0].epoch, epochs[0].disputed), (1, old.epoch, true));
    assert_eq!((epochs[0].first, epochs[0].end), (LaneSeqs::default(), log.first));
}

#[test]
fn a_row_damaged_on_disk_becomes_a_gap_and_stops_nothing() {
    let place = Place::new();
    let mut store = Store::open(settings(&place), at(0));
    for n in 1..20 {
        append(&mut store, at(n), &second(at(n), n));
    }
    store.close(at(20));
    let db = rusqlite::Connection::open(log_file(&place)).unwrap();
    db.execute("UPDATE waveform SET bytes = zeroblob(length(bytes)) WHERE seq = 7", []).unwrap();
    drop(db);
    let mut store = Store::open(settings(&place), at(21));
    let lost = gaps(&mut store, Lane::Waveform);
    assert_eq!(lost[0].seqs, Some((7, 8)));
    assert_eq!(lost[0].cause, GapCause::StoreLost);
    let db_rows = all_rows(&mut store, Lane::Waveform).len();
    assert_eq!(db_rows, 20, "nineteen seconds and the stop");
}

#[test]
fn a_log_of_version_1_goes_on_its_rows_are_its_first_epoch() {
    let place = Place::new();
    let old = rusqlite::Connection::open(log_file(&place)).unwrap();
    old.execute_batch(include_str!("log-v1.sql")).unwrap();
    drop(old);
    let mut store = Store::open(settings(&place), at(100));
    assert!(store.trouble().is_none() && set_aside(&place) == 0);
    let log = store.log();
    let first = Epoch(8898686516400863482_i64.cast_unsigned());
    assert_eq!((log.predecessor, log.first.alarm, log.first.numeric), (Some(first), 3, 5));
    assert_eq!(log.confirmed.numeric, 2);
    let mut told = Vec::new();
    store.answer(at(100), Ask::Past { lane: Lane::Alarm, from: 0 }, &mut told);
    let Some(FromStore::Past { epochs, .. }) = told.pop() else { panic!("its first epoch") };
    assert_eq!((epochs.len(), epochs[0].epoch, epochs[0].predecessor), (1, first, Some(Epoch(77))));
    assert_eq!((epochs[0].first, epochs[0].end), (LaneSeqs::default(), log.first));
    // Every row is read under its own epoch, whole.
    let mut decoder = Decoder::new();
    let rows = all_rows(&mut store, Lane::Numeric);
    for row in &rows {
        let (block, _) = decoder.decode(&row.bytes).unwrap();
        let owner = if row.seq < 5 { first } else { log.epoch };
        assert_eq!((block.header.epoch, block.header.seq), (owner, row.seq));
        assert_eq!(matches!(block.body, Body::Numerics(_)), row.seq < 5);
    }
    assert_eq!(rows.len(), 5 + 1, "five seconds and the absence");
    assert_eq!(all_rows(&mut store, Lane::Alarm).len(), 3 + 2);
}

#[test]
fn a_log_of_version_2_goes_on_with_both_its_epochs() {
    let place = Place::new();
    let old = rusqlite::Connection::open(log_file(&place)).unwrap();
    old.execute_batch(include_str!("log-v2.sql")).unwrap();
    drop(old);
    let mut store = Store::open(settings(&place), at(200));
    assert!(store.trouble().is_none() && set_aside(&place) == 0);
    let log = store.log();
    let epochs = [8_898_686_516_400_863_482, 8_671_566_017_996_309_306].map(Epoch);
    assert_eq!((log.predecessor, log.first.alarm, log.first.numeric), (Some(epochs[1]), 5, 10));
    assert_eq!((log.confirmed.numeric, log.confirmed_by.as_deref()), (2, Some("00c0ffee00c0ffee")));
    let mut decoder = Decoder::new();
    let rows = all_rows(&mut store, Lane::Numeric);
    for row in &rows {
        let owner = match row.seq {
            0..5 => epochs[0],
            5..10 => epochs[1],
            _ => log.epoch,
        };
        let (block, _) = decoder.decode(&row.bytes).unwrap();
        assert_eq!((block.header.epoch, block.header.seq), (owner, row.seq));
    }
    assert_eq!(rows.len(), 10 + 1, "what was there and the absence");
    assert_eq!(all_rows(&mut store, Lane::Waveform).len(), 5 + 1);
}
