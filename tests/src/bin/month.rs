//! `make prove`: thirty days of forty beds in virtual time, and every missing second by its cause. `DAYS`, `BEDS`, `COTSIDE_SEED`.

#![expect(clippy::print_stdout, reason = "a command line prints")]

use anyhow::{Result, ensure};
use cotside_systemd::clock::Clock;
use cotside_tests::virtual_unit::month::Month;
use std::path::{Path, PathBuf};

fn number(name: &str, default: u64) -> Result<u64> {
    std::env::var(name).map_or(Ok(default), |text| Ok(text.parse()?))
}

fn main() -> Result<()> {
    let month = Month {
        beds: usize::try_from(number("BEDS", 40)?)?,
        days: u32::try_from(number("DAYS", 30)?)?,
        seed: number("COTSIDE_SEED", 1)?,
    };
    let memory = PathBuf::from("/dev/shm");
    let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let dir = base.join(format!("cotside-month-{}", std::process::id()));
    let clock = Clock::start();
    let begin = clock.now();
    println!("{} days of {} beds, seed {}", month.days, month.beds, month.seed);
    let record = month.run(&dir, &mut |day| {
        println!("day {day:>3} is over after {:>4} s", clock.now().mono.since(begin.mono).as_secs());
    })?;
    println!("{}", record.table());
    let broken = &record.found.broken;
    ensure!(broken.is_empty(), "stores in {}: {:#?}", dir.display(), &broken[..broken.len().min(10)]);
    std::fs::remove_dir_all(&dir)?;
    record.figures().write(Path::new("target/figures.tsv"))
}
