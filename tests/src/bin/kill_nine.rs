//! `make prove`: minutes of kill -9 against a unit of real processes, and its ledger. `COTSIDE_MINUTES`, `COTSIDE_SEED`.

#![expect(clippy::print_stdout, reason = "a command line prints")]

use anyhow::{Context, Result, ensure};
use cotside_tests::figures::Figures;
use cotside_tests::kill_nine::Campaign;
use std::path::Path;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<()> {
    let number =
        |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (minutes, seed): (u64, u64) = (number("COTSIDE_MINUTES", 3), number("COTSIDE_SEED", 1));
    let binaries = std::env::current_exe()?.parent().context("a binary lies in a folder")?.to_owned();
    let dir = std::env::temp_dir().join(format!("cotside-kill-nine-{}", std::process::id()));
    println!("kill -9 for {minutes} min, seed {seed}");
    let campaign = Campaign { binaries, dir, seed, length: Duration::from_secs(minutes * 60), broker: None };
    let outcome = campaign.run().await?;
    println!("{}", outcome.table());
    let mut figures = Figures::default();
    let kills = outcome.hub_kills + outcome.agent_kills;
    let lost: usize = outcome.ledgers.iter().map(|(_, ledger)| ledger.lost.len()).sum();
    figures.alone("kill-nine-run", f64::from(kills), "kills", "real processes, hub and agents");
    figures.alone("kill-nine-lost", lost as f64, "lines", "neither at the hub nor in a gap");
    figures.write(Path::new("target/figures.tsv"))?;
    ensure!(
        outcome.is_balanced(),
        "the ledger does not balance; stores and logs in {}",
        campaign.dir.display()
    );
    std::fs::remove_dir_all(&campaign.dir)?;
    Ok(())
}
