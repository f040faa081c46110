//! Real processes, real TLS, real disks, bad lines: a short campaign of kill -9 with the hub's own listener, and one with mosquitto between.

#![expect(clippy::print_stdout, reason = "the ledger is what this test is read for")]
#![allow(clippy::unwrap_used, reason = "a test fails where it fails")]

use cotside_simulators::process::output;
use cotside_simulators::unit::MakeBroker;
use cotside_tests::bad_hub;
use cotside_tests::bad_store;
use cotside_tests::broker::mosquitto;
use cotside_tests::cable_out;
use cotside_tests::full_hub;
use cotside_tests::image::Image;
use cotside_tests::kill_nine::Campaign;
use cotside_tests::power_cut::Cuts;
use cotside_tests::settled;
use cotside_tests::tidy_end;
use std::path::PathBuf;
use std::time::Duration;

/// `make prove` kills by the hundred, from any seed.
const KILLS: u32 = 24;
const CUTS: u32 = 6;
const SEED: u64 = 7;

/// The binaries lie one folder above the test's own.
fn binaries() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().into()
}

/// An empty place for one test.
fn place(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("cotside-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

async fn campaign(name: &str, broker: Option<MakeBroker>) {
    let dir = place(name);
    let campaign = Campaign { binaries: binaries(), dir: dir.clone(), seed: SEED, kills: KILLS, broker };
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_power_cuts_of_their_disks_every_line_is_at_the_hub_once_or_in_a_gap() {
    let dir = place("power-cut");
    if let Err(why) = Image::is_possible(&dir).await {
        println!("power cuts: SKIPPED, nothing is proved: they need root and loop devices: {why:#}");
        return;
    }
    let cuts = Cuts { binaries: binaries(), dir: dir.clone(), seed: SEED, cuts: CUTS, torn_one_in: 3 };
    let outcome = cuts.run().await.unwrap();
    println!("power-cut, seed {SEED}\n{}", outcome.table());
    assert!(outcome.is_balanced(), "seed {SEED}; logs in {}", dir.display());
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cable_pulled_out_between_gateway_and_hub_costs_nothing() {
    if let Err(why) = cable_out::is_possible().await {
        println!("cable out: SKIPPED, nothing is proved: it needs root and network namespaces: {why:#}");
        return;
    }
    let dir = place("cable-out");
    let outcome = cable_out::run(&binaries(), dir.clone(), SEED).await.unwrap();
    println!("cable out {} times; meanwhile: {}", outcome.outs, outcome.words);
    outcome.ledgers.iter().for_each(|(agent, ledger)| println!("{}", ledger.line(agent)));
    assert!(outcome.ledgers.iter().all(|(_, ledger)| ledger.is_balanced()), "logs in {}", dir.display());
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_with_any_bad_store_the_agent_starts_says_so_and_the_bed_is_on_the_screen() {
    let dir = place("bad-store");
    if let Err(why) = Image::is_possible(&dir).await {
        println!("bad stores: SKIPPED, nothing is proved: they need root and loop devices: {why:#}");
        return;
    }
    let outcome = bad_store::run(&binaries(), &dir).await.unwrap();
    println!("bad stores\n{}", outcome.table());
    assert!(outcome.is_right(), "logs in {}", dir.display());
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_with_a_bad_store_ends_says_what_to_do_and_leaves_everything_as_it_is() {
    let dir = place("bad-hub");
    if let Err(why) = Image::is_possible(&dir).await {
        println!("bad hub stores: SKIPPED, nothing is proved: they need root and loop devices: {why:#}");
        return;
    }
    let found = bad_hub::run(&binaries(), &dir).await.unwrap();
    println!("bad hub stores\n{}", bad_hub::table(&found));
    assert!(found.iter().all(bad_hub::Found::is_right), "folders in {}", dir.display());
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_hubs_disk_is_full_the_screen_goes_on_and_the_gateways_keep_everything() {
    let dir = place("full-hub");
    if let Err(why) = Image::is_possible(&dir).await {
        println!("full hub: SKIPPED, nothing is proved: it needs root and loop devices: {why:#}");
        return;
    }
    let ledgers = full_hub::run(&binaries(), &dir).await.unwrap();
    ledgers.iter().for_each(|(agent, ledger)| println!("full hub: {}", ledger.line(agent)));
    assert!(ledgers.iter().all(|(_, ledger)| ledger.is_balanced() && ledger.gaps.is_empty()));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_has_to_settle_is_listed_with_what_to_do_and_its_alarm_ends_with_one_command() {
    let dir = place("settled");
    let outcome = settled::run(&binaries(), &dir).await.unwrap();
    let [second, older] = &outcome.words;
    println!("{second}\n{older}");
    assert!(
        second.contains("gw-01: identity-conflict since") && !second.contains("gw-02: identity-conflict")
    );
    assert!(second.contains("second gateway with a copy of its card, and take it away"));
    assert!(second.contains("central-hub agents settle gw-01 --found \"second gateway taken away\""));
    assert!(older.contains("gw-01: store-set-back since") && older.contains("gw-02: store-set-back since"));
    assert!(older.contains("an older copy of its file was put back"));
    let deeds: Vec<&str> = outcome.audit.iter().map(|(_, what)| what.as_str()).collect();
    // The older store has the first deed: it was copied after it.
    assert_eq!(
        deeds,
        ["settle gw-01: identity-conflict", "settle gw-01: store-set-back", "settle gw-02: store-set-back"]
    );
    outcome.ledgers.iter().for_each(|(agent, ledger)| println!("settled: {}", ledger.line(agent)));
    assert!(outcome.ledgers.iter().all(|(_, ledger)| ledger.is_balanced()), "logs in {}", dir.display());
    std::fs::remove_dir_all(&dir).unwrap();
}

/// A long run is stopped while its agents and its disks are there.
async fn is_stopped_without_a_trace(program: &str, arguments: &[&str], signal: &str, code: i32) {
    let log = std::env::temp_dir().join(format!("cotside-stopped-{program}-{signal}.log"));
    let out = std::fs::File::create(&log).unwrap();
    let mut run = tokio::process::Command::new(binaries().join(program))
        .args(arguments)
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let pid = run.id().unwrap();
    let works = async {
        while !tidy_end::traces_of(pid)
            .iter()
            .any(|trace| trace.contains("edge-agent") && trace.contains("run"))
        {
            assert!(run.try_wait().unwrap().is_none(), "{}", std::fs::read_to_string(&log).unwrap());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), works).await.unwrap();
    output(std::path::Path::new("kill"), ["-s", signal, &pid.to_string()]).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), run.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(code), "{program}");
    // The kernel lets go of a disk a moment after its last process.
    let gone = async {
        while !tidy_end::traces_of(pid).is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let left = tokio::time::timeout(Duration::from_secs(10), gone).await;
    assert!(left.is_ok(), "{program} left {:?}", tidy_end::traces_of(pid));
    std::fs::remove_file(log).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_run_that_is_stopped_leaves_no_process_no_disk_and_no_folder() {
    is_stopped_without_a_trace("kill_nine", &[], "INT", 130).await;
    let dir = place("stopped");
    if let Err(why) = Image::is_possible(&dir).await {
        println!(
            "stopped runs with disks: SKIPPED, nothing is proved: they need root and loop devices: {why:#}"
        );
        return;
    }
    is_stopped_without_a_trace("power_cut", &[], "TERM", 143).await;
    is_stopped_without_a_trace("bench", &["flash"], "TERM", 143).await;
}
