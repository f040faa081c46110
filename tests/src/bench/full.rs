//! A gateway whose hub was away until its log was full: what it needs in memory, and how long it takes to start, beside one with nothing to send.

use super::agent::{be_live, monitor};
use super::backlog::Backlog;
use super::quantile;
use super::usage::{Spent, Usage};
use crate::figures::Figures;
use anyhow::{Context, Result, ensure};
use cotside_simulators::process::Process;
use cotside_simulators::unit::{Plan, Unit};
use cotside_systemd::clock::Clock;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixDatagram;

const MIB_OTHERWISE: u64 = 128;
const STARTS: usize = 5;
const READY_WITHIN: Duration = Duration::from_secs(60);
const BUDGET_US: f64 = 3_000_000.0;
/// Association, key frames and first growth are over.
const SETTLE: Duration = Duration::from_secs(15);
const WINDOW: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A bed-second, generously: what a log of so many bytes holds is found by filling it over its cap.
const SECOND_BYTES: u64 = 500;

/// Log size from the environment, in MiB: `COTSIDE_FULL_MIB=2048` is weeks of one bed.
pub fn mib_from_environment() -> Result<u64> {
    match std::env::var("COTSIDE_FULL_MIB") {
        Ok(text) => text.parse().with_context(|| format!("COTSIDE_FULL_MIB is no number: {text}")),
        Err(_) => Ok(MIB_OTHERWISE),
    }
}

pub async fn run(binaries: &Path, dir: PathBuf, mib: u64, figures: &mut Figures) -> Result<()> {
    let plan = Plan {
        binaries: binaries.to_owned(),
        dir: dir.clone(),
        beds: vec![monitor("01")?],
        http_port: None,
        broker: None,
        detours: Vec::new(),
    };
    let mut unit = Unit::start(&plan, |_| ()).await?;
    let clock = unit.clock;
    be_live(&unit.station().await?).await?;
    tokio::time::sleep(SETTLE).await;
    let empty = watch(&clock, &unit.agents[0]).await?;
    unit.agents[0].stop().await?;
    ensure!(unit.hub.stop().await? == 0, "the hub did not stop cleanly");

    let cap = mib << 20;
    let backlog = Backlog::make(&dir.join("backlog"), cap / SECOND_BYTES, clock.now(), cap)?;
    let place = dir.join("gw-01");
    let config = place.join("agent.toml");
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, format!("store_max = \"{mib}MiB\"\n{text}"))?;
    let gateway = Gateway { clock, binary: binaries.join("edge-agent"), config, dir: dir.clone() };

    let mut empty_starts = Vec::new();
    for _ in 0..STARTS {
        Backlog::remove_from(&place);
        let (mut agent, us) = gateway.start().await?;
        empty_starts.push(us);
        ensure!(agent.stop().await? == 0, "an agent did not stop cleanly");
    }
    backlog.copy_to(&place)?;
    let mut full_starts = Vec::new();
    for _ in 0..STARTS {
        let (mut agent, us) = gateway.start().await?;
        full_starts.push(us);
        tokio::time::sleep(LOOK_EVERY * 10).await;
        // As a power cut does: the next start finds a write-ahead log.
        agent.kill().await?;
    }
    let (mut agent, us) = gateway.start().await?;
    full_starts.push(us);
    tokio::time::sleep(SETTLE).await;
    let away = watch(&clock, &agent).await?;
    unit.hub.start()?;
    unit.station().await?;
    let draining = watch(&clock, &agent).await?;
    ensure!(agent.stop().await? == 0, "the agent did not stop cleanly");
    ensure!(unit.stop().await?, "not every process stopped cleanly; logs in {}", dir.display());
    std::fs::remove_dir_all(&dir)?;

    figures.alone("agent-log-full", cap as f64, "bytes", "COTSIDE_FULL_MIB: the log's cap, reached");
    figures.alone("agent-rss-empty-backlog", empty.rss_bytes, "bytes", "most within 20 s, hub connected");
    let beside = "with an empty backlog";
    figures.beside("agent-rss-full-backlog", away.rss_bytes, "bytes", beside, empty.rss_bytes);
    figures.beside("agent-rss-draining-full", draining.rss_bytes, "bytes", beside, empty.rss_bytes);
    let hour = |spent: &Spent| spent.cores() * 3600.0;
    figures.beside("agent-cpu-bed-hour-at-cap", hour(&away.spent), "s", beside, hour(&empty.spent));
    let start = |starts: &mut Vec<f64>| (quantile(starts, 0.5), quantile(starts, 1.0));
    let ((empty, empty_max), (full, full_max)) = (start(&mut empty_starts), start(&mut full_starts));
    let budget = "budget: ready within 3 s";
    figures.beside("agent-start-empty", empty, "us", budget, BUDGET_US);
    figures.beside("agent-start-empty-max", empty_max, "us", budget, BUDGET_US);
    figures.beside("agent-start-full", full, "us", "with an empty log", empty);
    figures.beside("agent-start-full-max", full_max, "us", budget, BUDGET_US);
    Ok(())
}

/// The most memory it had in a while, and what the while cost.
struct Watched {
    rss_bytes: f64,
    spent: Spent,
}

async fn watch(clock: &Clock, agent: &Process) -> Result<Watched> {
    let look = || Usage::of(agent.pid().context("the agent does not run")?, clock.now().mono);
    let before = look()?;
    let mut rss_bytes = before.rss_bytes;
    let until = clock.now().mono + WINDOW;
    while clock.now().mono < until {
        tokio::time::sleep(LOOK_EVERY).await;
        rss_bytes = rss_bytes.max(look()?.rss_bytes);
    }
    Ok(Watched { rss_bytes, spent: look()?.spent_since(&before) })
}

/// Starts the agent as systemd does, and hears when it is ready.
struct Gateway {
    clock: Clock,
    binary: PathBuf,
    config: PathBuf,
    dir: PathBuf,
}

impl Gateway {
    async fn start(&self) -> Result<(Process, f64)> {
        let notified = self.dir.join("notify.sock");
        let _ = std::fs::remove_file(&notified);
        let socket = UnixDatagram::bind(&notified)?;
        let (binary, config) = (self.binary.to_string_lossy(), self.config.to_string_lossy());
        let variable = format!("NOTIFY_SOCKET={}", notified.display());
        // `env` becomes the agent: same process, one variable more.
        let words = [&*variable, &*binary, "run", "--config", &*config];
        let mut agent = Process::new("gw-01", Path::new("env"), &words, &self.dir.join("log/full.log"));
        let begin = self.clock.now().mono;
        agent.start()?;
        let ready = async {
            let mut said = [0; 256];
            loop {
                let count = socket.recv(&mut said).await?;
                if said[..count].starts_with(b"READY=1") {
                    return anyhow::Ok(());
                }
            }
        };
        let ready = tokio::time::timeout(READY_WITHIN, ready).await;
        ready.with_context(|| format!("never ready: {}", agent.last_words()))??;
        let us = self.clock.now().mono.since(begin).as_micros() as f64;
        Ok((agent, us))
    }
}
