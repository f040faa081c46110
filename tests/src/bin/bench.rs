//! `make bench`: prints the table of figures and writes `target/figures.tsv`. Words on the command line choose sections; a section that fails
//! is named at the end.

#![expect(clippy::print_stdout, reason = "a command line prints")]

use anyhow::{Context, Result};
use cotside_systemd::clock::Clock;
use cotside_tests::bench::reconnect::Way;
use cotside_tests::bench::sections::Sections;
use cotside_tests::bench::{self, bare::FLOOR};
use cotside_tests::image::Image;
use cotside_tests::tidy_end;
use std::path::{Path, PathBuf};

const SECTIONS: [&str; 13] = [
    "codec",
    "burden",
    "decoders",
    "alarm-engine",
    "ingest",
    "follower",
    "live",
    "agent",
    "full",
    "reconnect",
    "reconnect-mosquitto",
    "drain",
    "flash",
];

fn main() -> Result<()> {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    if let [word, credentials, store] = &chosen[..]
        && word == FLOOR
    {
        return bench::bare::live(Path::new(credentials), Path::new(store));
    }
    tidy_end::leave_nothing_behind()?;
    let mut sections = Sections::new(&SECTIONS, chosen, "target/figures.tsv".into())?;
    let binaries = std::env::current_exe()?.parent().context("a binary lies in a folder")?.to_owned();
    let clock = Clock::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    sections.run("codec", "blocks, there and back", |figures| {
        bench::codec::run(&clock, figures);
        Ok(())
    })?;
    sections.run(
        "burden",
        "a cohort's days under plain thresholds and under the shipped limits",
        bench::burden::run,
    )?;
    sections.run("decoders", "bytes of devices", |figures| bench::decoders::run(&clock, figures))?;
    sections.run("alarm-engine", "values of a bed with forty channels", |figures| {
        bench::alarms::run(&clock, figures);
        Ok(())
    })?;
    sections.run("ingest", "200,000 messages of a hundred agents, durable", |figures| {
        bench::ingest::run(&place("ingest"), &clock, figures)
    })?;
    sections.run("follower", "three minutes of forty beds, and a day's trend", |figures| {
        bench::follower::run(&place("follower"), &clock, figures)
    })?;
    sections.run("live", "two minutes of alarms through a real agent and a real hub", |figures| {
        runtime.block_on(bench::live::run(&binaries, place("live"), figures))
    })?;
    sections.run("agent", "a minute of one monitor with waveforms", |figures| {
        runtime.block_on(bench::agent::run(&binaries, place("agent"), figures))
    })?;
    sections.run("full", "a gateway with a log that nobody took", |figures| {
        let mib = bench::full::mib_from_environment()?;
        println!("full: {mib} MiB");
        runtime.block_on(bench::full::run(&binaries, place("full"), mib, figures))
    })?;
    sections.run("reconnect", "a crowd of agents loses its hub", |figures| {
        runtime.block_on(bench::reconnect::run(&binaries, place("reconnect"), Way::Own, figures))
    })?;
    sections.run(
        "reconnect-mosquitto",
        "a thousand agents lose mosquitto and the hub behind it",
        |figures| {
            runtime.block_on(bench::reconnect::run(&binaries, place("mosquitto"), Way::Mosquitto, figures))
        },
    )?;
    sections.run("drain", "beds come back after days", |figures| {
        let size = bench::drain::Size::from_environment()?;
        println!("drain: {} beds come back after {} hours", size.beds, size.hours);
        runtime.block_on(bench::drain::run(&binaries, place("drain"), size, figures))
    })?;
    sections.run(
        "flash",
        "five minutes of two monitors with waveforms, on disks of their own",
        |figures| {
            let place = place("flash");
            if let Err(why) = runtime.block_on(Image::is_possible(&place)) {
                println!("flash: SKIPPED, nothing is measured: it needs root and loop devices: {why:#}");
                return Ok(());
            }
            runtime.block_on(bench::flash::run(&binaries, &place, figures))?;
            Ok(std::fs::remove_dir_all(place)?)
        },
    )?;
    sections.end()
}

fn place(section: &str) -> PathBuf {
    std::env::temp_dir().join(format!("cotside-bench-{section}-{}", std::process::id()))
}
