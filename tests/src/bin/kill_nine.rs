//! `make prove`: hundreds of kill -9 against a unit of real processes on bad lines, and its ledger. `COTSIDE_KILLS`, `COTSIDE_SEED`.

#![expect(clippy::print_stdout, reason = "a command line prints")]

use anyhow::{Context, Result, ensure};
use cotside_simulators::unit::MakeBroker;
use cotside_tests::broker::mosquitto;
use cotside_tests::figures::Figures;
use cotside_tests::kill_nine::Campaign;
use cotside_tests::tidy_end;
use std::path::Path;

/// Each way from agent to hub gets half of the kills.
const WAYS: [(&str, Option<MakeBroker>); 2] =
    [("the hub's own listener", None), ("mosquitto between", Some(mosquitto))];

fn main() -> Result<()> {
    tidy_end::leave_nothing_behind()?;
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> Result<()> {
    let number =
        |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (kills, seed): (u32, u32) = (number("COTSIDE_KILLS", 500), number("COTSIDE_SEED", 1));
    let binaries = std::env::current_exe()?.parent().context("a binary lies in a folder")?.to_owned();
    let (mut count, mut lost, mut twice, mut invented, mut ready_s) = (0, 0, 0, 0, 0f64);
    for (way, broker) in WAYS {
        let kills = kills.div_ceil(WAYS.len() as u32);
        println!("kill -9, {kills} times, seed {seed}, {way}");
        let dir = std::env::temp_dir().join(format!("cotside-kill-nine-{}", std::process::id()));
        let seed = seed.into();
        let campaign = Campaign { binaries: binaries.clone(), dir: dir.clone(), seed, kills, broker };
        let outcome = campaign.run().await.with_context(|| format!("seed {seed}"))?;
        println!("{}", outcome.table());
        count += outcome.kills();
        lost += outcome.lost();
        twice += outcome.twice();
        invented += outcome.invented();
        ready_s = ready_s.max(outcome.ready_max_s());
        ensure!(
            outcome.is_balanced(),
            "seed {seed}: not as it should be; stores and logs in {}",
            dir.display()
        );
        std::fs::remove_dir_all(&dir)?;
    }
    let mut figures = Figures::default();
    figures.alone("kill-nine-run", f64::from(count), "kills", "real processes: hub, agents, broker");
    figures.alone("kill-nine-lost", lost as f64, "lines", "neither at the hub nor in a gap");
    figures.alone("kill-nine-twice", twice as f64, "lines", "at the hub more than once");
    figures.alone("kill-nine-invented", invented as f64, "lines", "at the hub, never sent");
    figures.alone("kill-nine-ready-max", ready_s, "s", "from exec to ready, the longest");
    println!("{}", figures.table());
    figures.write(Path::new("target/figures.tsv"))
}
