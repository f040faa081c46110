//! What a test can only see from inside: a disk that fills up or refuses while the log is open.

use super::{Ask, FromStore, RETURN_EVERY, Settings, Store};
use crate::row::{Draft, Row};
use cotside_protocol::model::{Mono, Now, Provenance, Wall};
use cotside_protocol::wire::block::{Body, Decoder, Stretch};
use cotside_protocol::wire::block::{Channel, GapCause};
use cotside_protocol::wire::topic::Lane;
use std::path::PathBuf;
use std::time::Duration;

fn place(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("cotside-store-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

fn open(directory: &std::path::Path) -> Store {
    let settings =
        Settings { directory: directory.into(), provenance: Provenance::Simulated, ..Settings::default() };
    Store::open(settings, at(0))
}

fn at(second: u64) -> Now {
    let begin = Now { mono: Mono(1_000_000_000), wall: Wall(1_793_491_200_000_000) };
    begin.after(Duration::from_secs(second))
}

fn draft(second: u64, lane: Lane) -> Draft {
    let body = match lane {
        Lane::Alarm | Lane::Numeric => Body::Record("{}".into()),
        Lane::Waveform => Body::Waveforms(vec![Stretch {
            channel: Channel {
                link: 0,
                code: cotside_protocol::model::Code(131_328),
                site: cotside_protocol::model::Site::default(),
                setting: false,
            },
            ucum: "mV".into(),
            at_us: 0,
            period_us: 4000,
            gain: 1.0,
            offset: 0.0,
            quality: cotside_protocol::model::Quality::GOOD,
            samples: (0..500).map(|n| (n * 7919 + second as i32 * 31) % 1009).collect(),
        }]),
    };
    Draft { lane, provenance: Provenance::Simulated, begin: at(second), span_us: 1_000_000, body }
}

fn append(store: &mut Store, second: u64, lanes: &[Lane]) -> Vec<FromStore> {
    let mut told = Vec::new();
    let drafts: Vec<Draft> = lanes.iter().map(|lane| draft(second, *lane)).collect();
    store.append(at(second), &drafts, &mut told);
    told
}

fn stored(told: &[FromStore]) -> Vec<&Row> {
    told.iter()
        .filter_map(|told| if let FromStore::Stored(rows) = told { Some(rows) } else { None })
        .flatten()
        .collect()
}

#[test]
fn s7_the_log_is_readable_by_the_agents_user_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = place("mode");
    let mut store = open(&directory);
    append(&mut store, 0, &[Lane::Numeric]);
    for file in std::fs::read_dir(&directory).unwrap().map(Result::unwrap) {
        let (name, mode) = (file.file_name(), file.metadata().unwrap().permissions().mode());
        if name.to_string_lossy().starts_with(super::file::FILE) {
            assert_eq!(mode & 0o077, 0, "{name:?}");
        }
    }
    drop(store);
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_full_disk_still_takes_alarms_and_says_so_until_there_is_room() {
    let directory = place("full");
    let mut store = open(&directory);
    for second in 1..300 {
        append(&mut store, second, &[Lane::Waveform]);
    }
    let pages: i64 = store.ledger.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let full = |store: &Store, pages: i64| {
        store.ledger.db.execute_batch(&format!("PRAGMA max_page_count = {pages}")).unwrap();
    };
    full(&store, pages + 4);
    let mut dropped = 0;
    for second in 300..600 {
        let told = append(&mut store, second, &[Lane::Alarm, Lane::Waveform]);
        assert_eq!(stored(&told).len(), 2, "second {second}");
        dropped += told.iter().filter(|told| matches!(told, FromStore::Dropped { .. })).count();
    }
    assert!(!store.is_in_memory());
    assert!(dropped > 0);
    assert!(store.trouble().unwrap().contains("DISK FULL"));
    let alarms = store.rows(at(600), Lane::Alarm, 0, 1 << 20).len() as u64;
    assert_eq!(alarms, 256, "a read's worth of the 301 alarms");
    let first = &store.rows(at(600), Lane::Waveform, 0, 1 << 20)[0];
    let (block, _) = Decoder::new().decode(&first.bytes).unwrap();
    assert!(matches!(block.body, Body::Gap(gap) if gap.cause == GapCause::DroppedByPolicy));
    full(&store, 1 << 20);
    store.tick(at(601), &mut Vec::new());
    assert_eq!(store.trouble(), None);
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_disk_that_refuses_moves_the_log_to_memory_and_back_once_the_hub_has_it_all() {
    let directory = place("refusing");
    let mut store = open(&directory);
    append(&mut store, 1, &[Lane::Waveform]);
    let on_disk = store.log();
    store.ledger.db.pragma_update(None, "query_only", true).unwrap();
    let told = append(&mut store, 2, &[Lane::Alarm, Lane::Waveform]);
    let Some(FromStore::Log(in_memory)) = told.first() else { panic!("another log") };
    assert_eq!(in_memory.predecessor, Some(on_disk.epoch));
    assert_eq!(stored(&told).len(), 2, "nothing is lost on the way");
    assert!(store.is_in_memory());
    assert!(store.trouble().unwrap().contains("memory only"));
    // Not while the hub lacks anything.
    let mut told = Vec::new();
    store.tick(at(100), &mut told);
    assert!(told.is_empty() && store.is_in_memory());
    for lane in Lane::ALL {
        let epoch = in_memory.epoch;
        store.answer(at(101), Ask::Settled { epoch, lane, below: 1, ranges: Vec::new() }, &mut told);
    }
    store.tick(at(101).after(RETURN_EVERY), &mut told);
    let Some(FromStore::Log(back)) = told.first() else { panic!("the log on disk again") };
    assert_eq!((back.predecessor, back.next), (Some(on_disk.epoch), on_disk.next));
    assert!(in_memory.in_memory && !back.in_memory);
    assert!(!store.is_in_memory());
    assert_eq!(store.trouble(), None);
    assert_eq!(stored(&append(&mut store, 200, &[Lane::Waveform]))[0].seq, on_disk.next.waveform);
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_row_that_vanished_is_noticed_and_what_was_dropped_or_acknowledged_is_not_missed() {
    let directory = place("audit");
    let mut store = open(&directory);
    for second in 1..600 {
        append(&mut store, second, &[Lane::Waveform]);
    }
    let cap = store.ledger.used_bytes().unwrap() / 2;
    assert!(!store.ledger.make_room(at(600), cap).unwrap().is_empty());
    assert_eq!(store.ledger.audit(Lane::Waveform).unwrap(), 0, "a gap record stands for what was dropped");
    let epoch = store.log().epoch;
    store.ledger.settle(epoch, Lane::Waveform, 5, &[(590, 599)]).unwrap();
    assert_eq!(store.ledger.audit(Lane::Waveform).unwrap(), 0);
    store.ledger.db.execute("DELETE FROM waveform WHERE seq IN (580, 583)", []).unwrap();
    assert_eq!(store.ledger.audit(Lane::Waveform).unwrap(), 2);
    store.rows(at(601), Lane::Waveform, 579, 1 << 20);
    assert_eq!(store.ledger.audit(Lane::Waveform).unwrap(), 0, "read for the uplink, they are gap records");
    std::fs::remove_dir_all(directory).unwrap();
}
