//! Histories of the two files, end to end.

use super::*;
use crate::archive::Archive;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

const PATIENCE: Duration = Duration::from_secs(600);

/// A folder of its own, gone with it.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("cotside-two-ends-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // A memory filesystem where there is one: a commit then costs no disk.
        let memory = PathBuf::from("/dev/shm");
        let path = if memory.is_dir() { memory } else { std::env::temp_dir() }.join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn words(hub: &Hub) -> BTreeSet<&str> {
    hub.noticed.iter().map(|(what, _)| what.as_str()).collect()
}

/// So many starts on one log, each killed after some seconds of the bed.
fn starts(folder: &Path, count: u64, rows: u64, mut now: Now) -> Now {
    for _ in 0..count {
        let mut gateway = Gateway::start(folder, now);
        for _ in 0..rows {
            gateway.now = gateway.now.after(Duration::from_secs(1));
            gateway.write();
        }
        now = gateway.now.after(Duration::from_secs(2));
    }
    now
}

#[test]
fn five_hundred_starts_without_a_hub_all_arrive_in_order_and_nothing_is_taken_for_a_second_gateway() {
    let place = Place::new();
    let now = starts(&place.at("log"), 500, 2, BEGIN);
    let grace = Duration::from_secs(30);
    let mut gateway = Gateway::start_with(Settings { grace, ..settings(&place.at("log")) }, now);
    let mut hub = Hub::open(&place.at("hub.db"));
    let took = gateway.drain(&mut hub, PATIENCE);
    println!("500 epochs drained in {took:?}");
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert_eq!(words(&hub), BTreeSet::new());
    assert_eq!(hub.count("SELECT count(DISTINCT epoch) FROM sources"), 501);
    // Started and two rows, and but for the first a gap on each lane; the last has no rows of its own.
    let alarms = hub.count("SELECT count(*) FROM blocks JOIN sources ON sources.id = source WHERE lane = 0");
    assert_eq!(alarms, 500 * 4 + 2 - 1);
    assert_eq!(hub.count("SELECT count(*) FROM sources WHERE length(ranges) > 0"), 0, "no hole anywhere");
    let archive = Archive::read(&place.at("hub.db"), "gw-01").unwrap();
    assert_eq!((archive.doubled, archive.undecodable), (0, 0));
    // Every epoch begins where the one before it ends.
    let broken = hub.count(
        "SELECT count(*) FROM sources AS later JOIN sources AS before ON later.predecessor = before.epoch
         AND later.lane = before.lane WHERE later.first <> before.below",
    );
    assert_eq!(broken, 0);
    // Once the hub has had them for long enough, they are gone from the log, and their epochs with them.
    gateway.run(Some(&mut hub), Duration::from_secs(200));
    let mut told = Vec::new();
    gateway.log.answer(
        gateway.now,
        cotside_edge_agent::store::Ask::Past { lane: Lane::Alarm, from: 0 },
        &mut told,
    );
    assert!(matches!(&told[..], [FromStore::Past { epochs, .. }] if epochs.is_empty()), "{told:?}");
}

#[test]
fn alarms_of_all_earlier_epochs_come_before_any_of_their_waveforms() {
    let place = Place::new();
    let now = starts(&place.at("log"), 100, 5, BEGIN);
    let mut gateway = Gateway::start(&place.at("log"), now);
    let mut hub = Hub::open(&place.at("hub.db"));
    gateway.drain(&mut hub, PATIENCE);
    let late = hub.count(
        "SELECT count(*) FROM blocks AS alarm JOIN sources ON sources.id = alarm.source AND lane = 0
         WHERE alarm.id > (SELECT min(blocks.id) FROM blocks JOIN sources ON sources.id = source
                           WHERE lane = 2 AND epoch <> (SELECT epoch FROM greetings))",
    );
    assert_eq!(late, 0);
}

/// The hole that an epoch a start closes: the disk forgot its end, the agent wrote on without a hub.
#[test]
fn h3_a_log_that_lost_its_tail_loses_no_row_that_comes_after() {
    let place = Place::new();
    let mut hub = Hub::open(&place.at("hub.db"));
    let mut gateway = Gateway::start(&place.at("log"), BEGIN);
    for _ in 0..20 {
        gateway.write();
        gateway.run(Some(&mut hub), Duration::from_secs(1));
    }
    gateway.copy(&place.at("image"));
    for _ in 0..20 {
        gateway.write();
        gateway.run(Some(&mut hub), Duration::from_secs(1));
    }
    gateway.drain(&mut hub, PATIENCE);
    let held = hub.count("SELECT count(*) FROM blocks");
    let now = gateway.now.after(Duration::from_secs(10));
    drop(gateway);
    // Without a hub it writes past everything the hub ever held of it.
    let now = starts(&place.at("image"), 1, 60, now);
    let mut gateway = Gateway::start(&place.at("image"), now);
    gateway.drain(&mut hub, PATIENCE);
    // Sixty seconds, the start and the absence of each of two starts, and nothing of what was there before.
    assert_eq!(hub.count("SELECT count(*) FROM blocks"), held + 3 * 60 + 2 * (1 + 3));
    // Nobody else follows the epoch that both copies know: to the hub this is one history.
    assert_eq!(words(&hub), BTreeSet::new());
}

#[test]
fn h3_an_image_put_back_after_a_later_start_is_an_identity_conflict_that_lasts_until_settled() {
    let place = Place::new();
    let mut hub = Hub::open(&place.at("hub.db"));
    let mut gateway = Gateway::start(&place.at("log"), BEGIN);
    gateway.write();
    gateway.drain(&mut hub, PATIENCE);
    gateway.copy(&place.at("image"));
    let now = gateway.now.after(Duration::from_secs(5));
    drop(gateway);
    let mut gateway = Gateway::start(&place.at("log"), now);
    gateway.drain(&mut hub, PATIENCE);
    assert_eq!(words(&hub), BTreeSet::new());
    let now = gateway.now.after(Duration::from_secs(5));
    drop(gateway);
    let mut restored = Gateway::start(&place.at("image"), now);
    restored.write();
    restored.drain(&mut hub, PATIENCE);
    assert_eq!(words(&hub), BTreeSet::from(["identity-conflict"]));
    assert_eq!(hub.count("SELECT count(*) FROM marks WHERE what = 'identity-conflict'"), 1);
    assert_eq!(hub.count("SELECT count(*) FROM conflicts"), 0, "no key is used twice");
}

#[test]
fn s3_two_gateways_with_one_identity_that_speak_in_turns_are_noticed_and_lose_nothing() {
    let place = Place::new();
    let mut hub = Hub::open(&place.at("hub.db"));
    let mut first = Gateway::start(&place.at("log"), BEGIN);
    first.write();
    first.drain(&mut hub, PATIENCE);
    first.copy(&place.at("clone"));
    let mut second = Gateway::start(&place.at("clone"), first.now.after(Duration::from_secs(2)));
    for _ in 0..5 {
        for gateway in [&mut first, &mut second] {
            for _ in 0..10 {
                gateway.write();
            }
            gateway.drain(&mut hub, PATIENCE);
            gateway.run(None, Duration::from_secs(1));
        }
    }
    assert_eq!(words(&hub), BTreeSet::from(["identity-conflict"]));
    // One and fifty seconds of the first, fifty of the second, the start of each and what the second says of its absence.
    assert_eq!(hub.count("SELECT count(*) FROM blocks"), 3 * 51 + 3 * 50 + 2 + 3);
}

#[test]
fn a_gateway_started_often_without_a_hub_is_no_second_gateway() {
    let place = Place::new();
    let mut hub = Hub::open(&place.at("hub.db"));
    let mut now = BEGIN;
    for round in 0..20 {
        now = starts(&place.at("log"), round % 5, 1, now);
        let mut gateway = Gateway::start(&place.at("log"), now);
        gateway.drain(&mut hub, PATIENCE);
        gateway.run(None, Duration::from_secs(1));
        gateway.drain(&mut hub, PATIENCE);
        now = gateway.now.after(Duration::from_secs(3));
    }
    assert_eq!(hub.noticed, []);
}

#[test]
fn a_log_moved_to_memory_and_back_is_no_second_gateway() {
    let place = Place::new();
    let mut hub = Hub::open(&place.at("hub.db"));
    let mut gateway = Gateway::start(&place.at("log"), BEGIN);
    gateway.drain(&mut hub, PATIENCE);
    let now = gateway.now;
    drop(gateway);
    // A start that finds no place for its file, on a log whose end is on disk.
    let blocker = rusqlite::Connection::open(place.at("log").join("log.db")).unwrap();
    blocker.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    let mut gateway = Gateway::start(&place.at("log"), now);
    assert!(gateway.log.is_in_memory());
    gateway.write();
    gateway.drain(&mut hub, PATIENCE);
    drop(blocker);
    gateway.run(Some(&mut hub), Duration::from_secs(120));
    assert!(!gateway.log.is_in_memory());
    gateway.write();
    gateway.drain(&mut hub, PATIENCE);
    let now = gateway.now;
    drop(gateway);
    Gateway::start(&place.at("log"), now).drain(&mut hub, PATIENCE);
    assert_eq!(hub.noticed, []);
}

#[test]
fn h3_a_hub_set_back_to_an_older_copy_says_so_and_gets_again_what_the_log_still_holds() {
    for is_restarted in [false, true] {
        let place = Place::new();
        let mut hub = Hub::open(&place.at("hub.db"));
        let now = starts(&place.at("log"), 3, 10, BEGIN);
        let mut gateway = Gateway::start(&place.at("log"), now);
        gateway.drain(&mut hub, PATIENCE);
        hub.copy(&place.at("copy.db"));
        for _ in 0..50 {
            gateway.write();
        }
        gateway.drain(&mut hub, PATIENCE);
        gateway.run(Some(&mut hub), Duration::from_secs(70));
        let held = hub.count("SELECT count(*) FROM blocks");
        gateway.run(None, Duration::from_secs(1));
        hub.put_back(&place.at("copy.db"));
        assert!(hub.count("SELECT count(*) FROM blocks") < held);
        let starts = if is_restarted {
            let now = gateway.now;
            drop(gateway);
            gateway = Gateway::start(&place.at("log"), now);
            // Its start, and the absence on every lane.
            4
        } else {
            0
        };
        gateway.drain(&mut hub, PATIENCE);
        gateway.run(Some(&mut hub), Duration::from_secs(20));
        gateway.drain(&mut hub, PATIENCE);
        assert_eq!(words(&hub), BTreeSet::from(["store-set-back"]), "restarted: {is_restarted}");
        assert!(hub.noticed[0].1.contains("50 numeric row(s)"), "{:?}", hub.noticed);
        assert_eq!(hub.count("SELECT count(*) FROM blocks"), held + starts, "restarted: {is_restarted}");
        assert_eq!(hub.count("SELECT count(*) FROM marks WHERE what = 'store-set-back'"), 1);
    }
}

#[test]
fn what_a_hub_that_was_set_back_asks_for_too_late_is_a_gap_record() {
    let place = Place::new();
    let mut hub = Hub::open(&place.at("hub.db"));
    let grace = Duration::from_secs(30);
    let mut gateway = Gateway::start_with(Settings { grace, ..settings(&place.at("log")) }, BEGIN);
    gateway.drain(&mut hub, PATIENCE);
    hub.copy(&place.at("copy.db"));
    for _ in 0..50 {
        gateway.write();
        gateway.run(Some(&mut hub), Duration::from_secs(1));
    }
    gateway.run(Some(&mut hub), Duration::from_secs(200));
    let now = gateway.now;
    drop(gateway);
    hub.put_back(&place.at("copy.db"));
    let mut gateway = Gateway::start_with(Settings { grace, ..settings(&place.at("log")) }, now);
    gateway.write();
    gateway.drain(&mut hub, PATIENCE);
    gateway.run(Some(&mut hub), Duration::from_secs(20));
    gateway.drain(&mut hub, PATIENCE);
    assert_eq!(words(&hub), BTreeSet::from(["store-set-back"]));
    let holes = hub.count("SELECT count(*) FROM sources WHERE length(ranges) > 0");
    assert_eq!(holes, 0, "every seq is there, in a row or in a gap record");
}

#[test]
fn a_hub_that_claims_what_was_never_written_releases_nothing_and_gets_everything_under_another_name() {
    let place = Place::new();
    let mut hub = Hub::open(&place.at("hub.db"));
    let mut gateway = Gateway::start(&place.at("log"), BEGIN);
    for _ in 0..10 {
        gateway.write();
    }
    let waiting = gateway.log.outbox(gateway.now).waiting_rows;
    hub.lies = 1000;
    gateway.run(Some(&mut hub), Duration::from_secs(120));
    assert_eq!(gateway.log.outbox(gateway.now).waiting_rows, waiting, "nothing leaves on its word");
    assert!(gateway.log.trouble().unwrap().contains("never written"));
    assert_eq!(hub.count("SELECT count(DISTINCT epoch) FROM sources"), 2, "it is not asked again and again");
    hub.lies = 0;
    gateway.drain(&mut hub, PATIENCE);
    gateway.write();
    gateway.drain(&mut hub, PATIENCE);
    let rows = hub.count("SELECT count(*) FROM blocks");
    assert_eq!(rows as u64, waiting + 3);
}
