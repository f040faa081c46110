//! A unit of beds in virtual time under seeded faults: every seed is a history that replays.

use cotside_tests::virtual_unit::month::Month;
use cotside_tests::virtual_unit::weather::Weather;
use cotside_tests::virtual_unit::{Scenario, campaign};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Power cuts in `make test`; `make prove` asks for thousands.
const CUTS: u64 = 400;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// A memory filesystem where there is one: a commit then costs no disk.
fn scratch(what: &str) -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let dir = base.join(format!("cotside-{what}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

#[test]
fn what_the_devices_said_is_at_the_hub_once_or_in_a_gap_with_a_cause() {
    let seeds = number("COTSIDE_SEEDS").unwrap_or(3);
    let dir = scratch("unit");
    for seed in number("COTSIDE_SEED").map_or(1..=seeds, |seed| seed..=seed) {
        let length = Duration::from_secs(240);
        let dir = dir.join(seed.to_string());
        let calm = Duration::from_secs(60);
        let weather = Weather::bad_week();
        let scenario = Scenario { seed, beds: 3, weather, length, cuts: 0, calm, dir: dir.clone() };
        let found = scenario.run().unwrap();
        println!(
            "seed {seed}: 240 s of 3 beds; power cuts: agents {}, hub {}; kills: agents {}, hub {}; network cuts {}; sessions opened {}; {} bytes, {} frames",
            found.cuts,
            found.hub_cuts,
            found.kills,
            found.hub_kills,
            found.network_cuts,
            found.reopened,
            found.tally.received,
            found.tally.frames
        );
        for (agent, ledger) in &found.ledgers {
            println!("  {}", ledger.line(agent));
        }
        let replay = format!("replay with COTSIDE_SEED={seed}; stores in {}", dir.display());
        assert!(found.broken.is_empty(), "{replay}: {:#?}", &found.broken[..found.broken.len().min(10)]);
        assert!(found.ledgers.iter().all(|(_, ledger)| ledger.is_balanced() && ledger.once > 0), "{replay}");
        std::fs::remove_dir_all(&dir).unwrap();
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn after_any_power_cut_the_record_is_whole_and_every_gap_has_a_true_cause() {
    let dir = scratch("cuts");
    let asked = number("COTSIDE_CUTS");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let only = number("COTSIDE_SEED");
    let outcome = campaign::run(asked.unwrap_or(CUTS), only, threads, &dir).unwrap();
    println!("{}", outcome.lines());
    if let Some((seed, broken)) = &outcome.broken {
        let shown = &broken[..broken.len().min(10)];
        panic!("replay with COTSIDE_SEED={seed}; stores in {}/{seed}: {shown:#?}", dir.display());
    }
    assert_eq!((outcome.lost, outcome.twice, outcome.invented, outcome.refused_starts), (0, 0, 0, 0));
    assert!(outcome.once > 0);
    std::fs::remove_dir_all(&dir).unwrap();
    if asked.is_some() && only.is_none() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/figures.tsv");
        outcome.figures().write(&file).unwrap();
    }
}

#[test]
fn of_a_day_of_three_beds_no_second_is_unexplained() {
    let dir = scratch("day");
    let record = Month { beds: 3, days: 1, seed: 1 }.run(&dir, &mut |_| {}).unwrap();
    println!("{}", record.table());
    let broken = &record.found.broken;
    assert!(broken.is_empty(), "stores in {}: {:#?}", dir.display(), &broken[..broken.len().min(10)]);
    assert_eq!((record.unexplained_seconds(), record.completeness_min()), (0, 1.0));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn what_a_broker_delivers_again_for_an_hour_is_stored_once_acknowledged_and_told_by_name() {
    let dir = scratch("again");
    let weather = Weather::redelivering_for_an_hour();
    let length = weather.redeliveries.unwrap().until + Duration::from_secs(240);
    let calm = Duration::from_secs(60);
    let scenario = Scenario { seed: 1, beds: 2, weather, length, cuts: 0, calm, dir: dir.clone() };
    let found = scenario.run().unwrap();
    println!("{} messages delivered again; told {:?}", found.redelivered, found.told);
    for (agent, ledger) in &found.ledgers {
        println!("  {}", ledger.line(agent));
    }
    assert!(found.broken.is_empty(), "{:#?}", &found.broken[..found.broken.len().min(10)]);
    for (agent, ledger) in &found.ledgers {
        assert_eq!((ledger.once, ledger.twice, ledger.invented), (ledger.sent, 0, 0), "{agent}");
    }
    // Each bed's sixty live rows alone come a hundred and seventy times.
    assert!(found.redelivered > 2 * 60 * 170, "{}", found.redelivered);
    // Once an hour of each bed, not once a message; and what was said last is on its way.
    assert!((2..=4).contains(&found.told["delivered-again"]), "{:?}", found.told);
    assert!(found.waiting <= 8, "{} rows are not acknowledged", found.waiting);
    std::fs::remove_dir_all(&dir).unwrap();
}
