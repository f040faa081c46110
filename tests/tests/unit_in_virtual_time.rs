//! A unit of beds in virtual time under seeded faults: every seed is a history that replays.

use cotside_tests::virtual_unit::Scenario;
use std::path::PathBuf;
use std::time::Duration;

/// How many histories; `make prove` asks for thousands.
fn seeds() -> u64 {
    std::env::var("COTSIDE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// A memory filesystem where there is one: a commit then costs no disk.
fn scratch(seed: u64) -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
    base.join(format!("cotside-virtual-{}-{seed}", std::process::id()))
}

#[test]
fn what_the_devices_said_is_at_the_hub_once_or_in_a_gap_with_a_cause() {
    let only: Option<u64> = std::env::var("COTSIDE_SEED").ok().and_then(|text| text.parse().ok());
    for seed in only.map_or(1..=seeds(), |seed| seed..=seed) {
        let dir = scratch(seed);
        let _ = std::fs::remove_dir_all(&dir);
        let scenario = Scenario { seed, beds: 3, length: Duration::from_secs(240), dir: dir.clone() };
        let found = scenario.run().unwrap();
        println!(
            "seed {seed}: 240 s of 3 beds; deaths: agents {}, hub {}; network cuts {}; sessions opened {}; {} bytes, {} frames",
            found.agent_deaths,
            found.hub_deaths,
            found.network_cuts,
            found.reopened,
            found.tally.received,
            found.tally.frames
        );
        for (agent, ledger) in &found.ledgers {
            println!("  {}", ledger.line(agent));
        }
        let balanced = found.ledgers.iter().all(|(_, ledger)| ledger.is_balanced() && ledger.once > 0);
        let replay = format!("replay with COTSIDE_SEED={seed}; stores in {}", dir.display());
        assert!(found.broken.is_empty(), "{replay}: {:#?}", &found.broken[..found.broken.len().min(10)]);
        assert!(balanced, "{replay}");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
