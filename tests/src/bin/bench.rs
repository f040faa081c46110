//! `make bench`: prints the table of figures and writes `target/figures.tsv`. Words on the command line choose sections.

#![expect(clippy::print_stdout, reason = "a command line prints")]

use anyhow::{Context, Result};
use cotside_systemd::clock::Clock;
use cotside_tests::bench::{self, bare::FLOOR};
use cotside_tests::figures::Figures;
use cotside_tests::image::Image;
use std::path::{Path, PathBuf};

fn main() -> Result<()> {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    if let [word, credentials, store] = &chosen[..]
        && word == FLOOR
    {
        return bench::bare::live(Path::new(credentials), Path::new(store));
    }
    let is_chosen = |section: &str| chosen.is_empty() || chosen.iter().any(|word| word == section);
    let binaries = std::env::current_exe()?.parent().context("a binary lies in a folder")?.to_owned();
    let clock = Clock::start();
    let mut figures = Figures::default();
    if is_chosen("codec") {
        bench::codec::run(&clock, &mut figures);
    }
    if is_chosen("decoders") {
        bench::decoders::run(&clock, &mut figures)?;
    }
    if is_chosen("ingest") {
        println!("ingest: 200,000 messages of a hundred agents, durable");
        bench::ingest::run(&place("ingest"), &clock, &mut figures)?;
    }
    if is_chosen("follower") {
        println!("follower: three minutes of forty beds, and a day's trend");
        bench::follower::run(&place("follower"), &clock, &mut figures)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if is_chosen("live") {
        println!("live: two minutes of alarms through a real agent and a real hub");
        runtime.block_on(bench::live::run(&binaries, place("live"), &mut figures))?;
    }
    if is_chosen("agent") {
        println!("agent: a minute of one monitor with waveforms");
        runtime.block_on(bench::agent::run(&binaries, place("agent"), &mut figures))?;
    }
    if is_chosen("full") {
        let mib = bench::full::mib_from_environment()?;
        println!("full: a gateway with a log of {mib} MiB that nobody took");
        runtime.block_on(bench::full::run(&binaries, place("full"), mib, &mut figures))?;
    }
    if is_chosen("reconnect") {
        println!("reconnect: a thousand agents lose their hub");
        runtime.block_on(bench::reconnect::run(&binaries, place("reconnect"), &mut figures))?;
    }
    if is_chosen("drain") {
        let size = bench::drain::Size::from_environment()?;
        println!("drain: {} beds come back after {} hours", size.beds, size.hours);
        runtime.block_on(bench::drain::run(&binaries, place("drain"), size, &mut figures))?;
    }
    if is_chosen("flash") {
        let place = place("flash");
        match runtime.block_on(Image::is_possible(&place)) {
            Ok(()) => {
                println!("flash: five minutes of two monitors with waveforms, on disks of their own");
                runtime.block_on(bench::flash::run(&binaries, &place, &mut figures))?;
                std::fs::remove_dir_all(place)?;
            }
            Err(why) => {
                println!("flash: SKIPPED, nothing is measured: it needs root and loop devices: {why:#}")
            }
        }
    }
    println!("{}", figures.table());
    figures.write(Path::new("target/figures.tsv"))
}

fn place(section: &str) -> PathBuf {
    std::env::temp_dir().join(format!("cotside-bench-{section}-{}", std::process::id()))
}
