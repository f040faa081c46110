//! `make prove`: minutes of kill -9 against a unit of real processes, and its ledger. `COTSIDE_MINUTES`, `COTSIDE_SEED`.

#![expect(clippy::print_stdout, reason = "a command line prints")]

use anyhow::{Context, Result, ensure};
use cotside_simulators::unit::MakeBroker;
use cotside_tests::broker::mosquitto;
use cotside_tests::figures::Figures;
use cotside_tests::kill_nine::Campaign;
use std::path::Path;
use std::time::Duration;

/// Each way from agent to hub gets all the minutes.
const WAYS: [(&str, Option<MakeBroker>); 2] =
    [("the hub's own listener", None), ("mosquitto between", Some(mosquitto))];

#[tokio::main]
async fn main() -> Result<()> {
    let number =
        |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (minutes, seed): (u64, u64) = (number("COTSIDE_MINUTES", 3), number("COTSIDE_SEED", 1));
    let binaries = std::env::current_exe()?.parent().context("a binary lies in a folder")?.to_owned();
    let (mut kills, mut lost) = (0, 0);
    for (way, broker) in WAYS {
        println!("kill -9 for {minutes} min, seed {seed}, {way}");
        let dir = std::env::temp_dir().join(format!("cotside-kill-nine-{}", std::process::id()));
        let length = Duration::from_secs(minutes * 60);
        let campaign = Campaign { binaries: binaries.clone(), dir: dir.clone(), seed, length, broker };
        let outcome = campaign.run().await?;
        println!("{}", outcome.table());
        kills += outcome.hub_kills + outcome.agent_kills + outcome.broker_kills;
        lost += outcome.ledgers.iter().map(|(_, ledger)| ledger.lost.len()).sum::<usize>();
        ensure!(outcome.is_balanced(), "the ledger does not balance; stores and logs in {}", dir.display());
        std::fs::remove_dir_all(&dir)?;
    }
    let mut figures = Figures::default();
    figures.alone("kill-nine-run", f64::from(kills), "kills", "real processes: hub, agents, broker");
    figures.alone("kill-nine-lost", lost as f64, "lines", "neither at the hub nor in a gap");
    figures.write(Path::new("target/figures.tsv"))
}
