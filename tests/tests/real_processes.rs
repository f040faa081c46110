//! Real processes, real TLS, real disks, bad lines: a short campaign of kill -9 with the hub's own listener, and one with mosquitto between.

#![expect(clippy::print_stdout, reason = "the ledger is what this test is read for")]
#![allow(clippy::unwrap_used, reason = "a test fails where it fails")]

use cotside_simulators::unit::MakeBroker;
use cotside_tests::broker::mosquitto;
use cotside_tests::kill_nine::Campaign;
use std::path::PathBuf;

/// `make prove` kills by the hundred, from any seed.
const KILLS: u32 = 24;
const SEED: u64 = 7;

async fn campaign(name: &str, broker: Option<MakeBroker>) {
    // The binaries lie one folder above the test's own.
    let deps = std::env::current_exe().unwrap();
    let binaries: PathBuf = deps.ancestors().nth(2).unwrap().into();
    let dir = std::env::temp_dir().join(format!("cotside-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let campaign = Campaign { binaries, dir: dir.clone(), seed: SEED, kills: KILLS, broker };
    let outcome = campaign.run().await.unwrap();
    println!("{name}, seed {SEED}\n{}", outcome.table());
    assert!(outcome.is_balanced(), "seed {SEED}; stores and logs in {}", dir.display());
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn after_kill_nine_every_line_is_at_the_hub_once_or_in_a_gap() {
    campaign("kill-nine-own", None).await;
}

#[tokio::test]
async fn with_an_external_broker_that_dies_too_the_ledger_is_the_same() {
    campaign("kill-nine-mosquitto", Some(mosquitto)).await;
}
