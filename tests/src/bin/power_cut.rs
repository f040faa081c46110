//! `make prove`: power cuts of the disks under a unit of real processes, and its ledger. `COTSIDE_CUTS`, `COTSIDE_SEED`. Needs root.

#![expect(clippy::print_stdout, reason = "a command line prints")]

use anyhow::{Context, Result, ensure};
use cotside_tests::figures::Figures;
use cotside_tests::image::Image;
use cotside_tests::power_cut::Cuts;
use cotside_tests::tidy_end;
use std::path::Path;

/// Half of the cuts as the filesystem leaves the disk, half with torn logs on top.
const WAYS: [(&str, u64); 2] = [("as the filesystem leaves it", 0), ("tails of the logs torn", 2)];

fn main() -> Result<()> {
    tidy_end::leave_nothing_behind()?;
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> Result<()> {
    let number =
        |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (cuts, seed): (u32, u32) = (number("COTSIDE_CUTS", 120), number("COTSIDE_SEED", 1));
    let dir = std::env::temp_dir().join(format!("cotside-power-cut-{}", std::process::id()));
    if let Err(why) = Image::is_possible(&dir).await {
        println!(
            "SKIPPED, nothing is proved: power cuts of a mounted image need root and loop devices: {why:#}"
        );
        return Ok(());
    }
    let binaries = std::env::current_exe()?.parent().context("a binary lies in a folder")?.to_owned();
    let (mut count, mut lost, mut ready_s) = (0, 0, 0f64);
    for (way, torn_one_in) in WAYS {
        let cuts = cuts.div_ceil(WAYS.len() as u32);
        println!("power cuts, {cuts} disks, seed {seed}, {way}");
        let seed = seed.into();
        let campaign = Cuts { binaries: binaries.clone(), dir: dir.clone(), seed, cuts, torn_one_in };
        let outcome = campaign.run().await.with_context(|| format!("seed {seed}"))?;
        println!("{}", outcome.table());
        count += outcome.cuts();
        lost += outcome.lost();
        ready_s = ready_s.max(outcome.ready_max_s());
        ensure!(outcome.is_balanced(), "seed {seed}: not as it should be; logs in {}", dir.display());
        std::fs::remove_dir_all(&dir)?;
    }
    let mut figures = Figures::default();
    figures.alone("image-power-cuts-run", f64::from(count), "cuts", "ext4 images under real processes");
    figures.alone("image-power-cuts-lost", lost as f64, "lines", "neither at the hub nor in a gap");
    figures.alone("image-power-cuts-ready-max", ready_s, "s", "from exec to ready, the longest");
    println!("{}", figures.table());
    figures.write(Path::new("target/figures.tsv"))
}
