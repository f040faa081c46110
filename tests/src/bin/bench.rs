//! `make bench`: prints the table of figures and writes `target/figures.tsv`.

#![expect(clippy::print_stdout, reason = "a command line prints")]

use anyhow::Result;
use cotside_systemd::clock::Clock;
use cotside_tests::bench;
use cotside_tests::figures::Figures;
use std::path::Path;

fn main() -> Result<()> {
    let clock = Clock::start();
    let mut figures = Figures::default();
    bench::codec::run(&clock, &mut figures);
    bench::decoders::run(&clock, &mut figures)?;
    println!("{}", figures.table());
    figures.write(Path::new("target/figures.tsv"))
}
