//! The network comes back: how fast the backlog of many beds reaches the hub's disk, and what that does to the alarms of the same beds.

use super::backlog::Backlog;
use super::floor::{self, Appended};
use super::line::Mute;
use super::live::{LIMITS, Log, Scripted, bed, is_limit, us};
use super::quantile;
use super::usage::{Spent, Usage};
use crate::figures::Figures;
use anyhow::{Context, Result, bail, ensure};
use cotside_protocol::model::Mono;
use cotside_simulators::station::Events;
use cotside_simulators::unit::{OpenPeer, Plan, Unit};
use cotside_systemd::clock::Clock;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What `drain-72h-40-beds` is about.
const BEDS: u64 = 40;
const HOURS: u64 = 72;
const HOUR: u64 = 3600;
/// Of the machine that the budget is about.
const CORES: f64 = 2.0;
/// Beds whose oximeter raises an alarm about once a second throughout.
const LIVE_BEDS: usize = 4;
const IDLE: Duration = Duration::from_secs(20);
/// After a start: the first look at a line that is already low says nothing about the way of an alarm.
const SETTLE: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(3600);
const NO_CAP: u64 = 64 << 30;
/// For the floor: bytes that fit in memory, and a transaction as the hub gathers it.
const SAMPLE_BYTES: usize = 32 << 20;
const TOGETHER: usize = 1000;

/// How much is drained.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub beds: u64,
    pub hours: u64,
}

impl Size {
    /// From the environment, or a size that takes a minute.
    pub fn from_environment() -> Result<Self> {
        let number = |name: &str, otherwise: u64| match std::env::var(name) {
            Ok(text) => text.parse().with_context(|| format!("{name} is no number: {text}")),
            Err(_) => Ok(otherwise),
        };
        Ok(Self { beds: number("COTSIDE_DRAIN_BEDS", 4)?, hours: number("COTSIDE_DRAIN_HOURS", 24)? })
    }

    fn bed_hours(self) -> f64 {
        (self.beds * self.hours) as f64
    }
}

/// Alarms as the station saw them: when each was written, and how long it took.
type Seen = Arc<Mutex<Vec<(Mono, f64)>>>;

pub async fn run(binaries: &Path, dir: PathBuf, size: Size, figures: &mut Figures) -> Result<()> {
    let logs: Vec<Log> = (0..LIVE_BEDS.min(size.beds as usize)).map(|_| Log::default()).collect();
    let plan = plan(binaries, &dir, size, &logs);
    let mut unit = Unit::start(&plan, |_| ()).await?;
    let clock = unit.clock;
    let backlog = Backlog::make(&dir.join("backlog"), size.hours * HOUR, clock.now(), NO_CAP)?;
    let station = unit.station().await?;
    let seen = Seen::default();
    let watching = tokio::spawn(watch(clock, station.events("nicu").await?, logs, seen.clone()));

    tokio::time::sleep(SETTLE).await;
    let idle_from = clock.now().mono;
    let before = Look::at(&unit)?;
    tokio::time::sleep(IDLE).await;
    let idle = Look::at(&unit)?.since(&before);
    let idle_until = clock.now().mono;

    for at in 0..unit.agents.len() {
        unit.agents[at].stop().await?;
        backlog.copy_to(&unit.dir.join(unit.agents[at].name()))?;
    }
    let hub_before = Usage::of(unit.hub.pid().context("no hub")?, clock.now().mono)?;
    let begin = clock.now().mono;
    for agent in &mut unit.agents {
        agent.start()?;
    }
    let drained = until_drained(&unit, &backlog, size);
    tokio::time::timeout(PATIENCE, drained).await.context("the backlog does not arrive")??;
    let end = clock.now().mono;
    let seconds = end.since(begin).as_secs_f64();
    let hub = Usage::of(unit.hub.pid().context("the hub ended")?, end)?.spent_since(&hub_before);
    let mut agents = Vec::new();
    for agent in &unit.agents {
        // They were started within the window: everything they used belongs to it.
        let used = Usage::of(agent.pid().with_context(|| format!("{} ended", agent.name()))?, end)?;
        agents.push(used.spent_since(&Usage::nothing(begin)));
    }
    ensure!(!watching.is_finished(), "the station lost the stream");
    watching.abort();
    let of = |from: Mono, until: Mono| {
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|(at, _)| (from..until).contains(at)).map(|(_, us)| *us).collect::<Vec<f64>>()
    };
    let measured = Measured {
        seconds,
        idle,
        hub,
        agents: agents.into_iter().sum(),
        idle_alarms: of(idle_from, idle_until),
        drain_alarms: of(begin + SETTLE, end),
    };
    let sample = backlog.sample(SAMPLE_BYTES)?;
    ensure!(unit.stop().await?, "not every process stopped cleanly; logs in {}", dir.display());
    let appended = floor::append(&clock, &dir.join("floor.db"), &sample, TOGETHER)?;
    let copied = floor::copy(&clock)?;
    std::fs::remove_dir_all(&dir)?;
    print(size, &backlog, measured, (appended, copied), figures);
    Ok(())
}

struct Measured {
    seconds: f64,
    /// The hub's, then all agents'.
    idle: (Spent, Spent),
    hub: Spent,
    agents: Spent,
    idle_alarms: Vec<f64>,
    drain_alarms: Vec<f64>,
}

fn print(size: Size, backlog: &Backlog, measured: Measured, floors: (Appended, f64), figures: &mut Figures) {
    let Measured { seconds, idle, hub, agents, mut idle_alarms, mut drain_alarms } = measured;
    let (appended, copied) = floors;
    let bytes = (backlog.bytes * size.beds) as f64;
    let rows = (backlog.rows * size.beds) as f64;
    let per_bed_hour = backlog.bytes as f64 / size.hours as f64;
    let rate = size.bed_hours() / seconds;
    let raw = "the same rows, SQLite alone";
    figures.alone("drain-beds", size.beds as f64, "beds", "COTSIDE_DRAIN_BEDS, each with an agent process");
    figures.alone("drain-hours", size.hours as f64, "h", "COTSIDE_DRAIN_HOURS");
    figures.alone("drain-bytes", bytes, "bytes", "payload of the backlog, as the beds encoded it");
    let raw_rate = appended.bytes_per_second / per_bed_hour;
    figures.beside("drain-bed-hours-per-second", rate, "bed-h/s", raw, raw_rate);
    figures.beside(
        "drain-bytes-per-second",
        bytes / seconds,
        "bytes/s",
        "one TLS copy over loopback",
        copied,
    );
    let whole = (BEDS * HOURS) as f64;
    if (size.beds, size.hours) == (BEDS, HOURS) {
        figures.beside("drain-72h-40-beds", seconds, "s", raw, whole / raw_rate);
    } else {
        // As slow for each bed as here, or as slow as the processors: whichever is more.
        let by_bed = seconds / size.hours as f64 * HOURS as f64;
        let by_cpu = (hub.cpu_s + agents.cpu_s) / size.bed_hours() * whole / CORES;
        let projected = by_bed.max(by_cpu);
        figures.beside("drain-72h-40-beds-projected", projected, "s", raw, whole / raw_rate);
    }
    for (name, quantity) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
        let idle = quantile(&mut idle_alarms, quantity);
        figures.alone(&format!("drain-idle-{name}"), idle, "us", "frame to stream, no backlog");
        let draining = quantile(&mut drain_alarms, quantity);
        figures.beside(&format!("drain-live-{name}"), draining, "us", "the same beds without backlog", idle);
    }
    figures.alone("drain-live-alarms", drain_alarms.len() as f64, "alarms", "of beds that drain meanwhile");
    figures.beside("drain-cpu", hub.cores(), "cores", "the same hub without backlog", idle.0.cores());
    figures.beside("drain-cpu-agents", agents.cores(), "cores", "the same agents idle", idle.1.cores());
    let ms = |spent: &Spent| spent.cpu_s * 1000.0 / size.bed_hours();
    let raw_ms = backlog.rows as f64 / size.hours as f64 / appended.rows_per_cpu_second * 1000.0;
    figures.beside("drain-hub-cpu-bed-hour", ms(&hub), "ms", raw, raw_ms);
    figures.beside("drain-agent-cpu-bed-hour", ms(&agents), "ms", raw, raw_ms);
    let (per_cpu, raw_per_cpu) = (rows / hub.cpu_s, appended.rows_per_cpu_second);
    figures.beside("drain-blocks-per-hub-cpu-second", per_cpu, "1/s", raw, raw_per_cpu);
    let written = hub.written_bytes / bytes;
    figures.beside("hub-bytes-written-per-byte", written, "", raw, appended.written_per_byte);
}

/// Until the hub holds every row of every bed's backlog.
async fn until_drained(unit: &Unit, backlog: &Backlog, size: Size) -> Result<()> {
    let store = unit.dir.join("hub/hub.db");
    let db = rusqlite::Connection::open_with_flags(store, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(Duration::from_secs(10))?;
    let next = &backlog.log.next;
    let epoch = backlog.log.epoch.0.cast_signed();
    loop {
        let held: u64 = db
            .prepare_cached(
                "SELECT count(*) FROM sources
                 WHERE epoch = ?1 AND below >= CASE lane WHEN 0 THEN ?2 WHEN 1 THEN ?3 ELSE ?4 END",
            )?
            .query_row(
                rusqlite::params![
                    epoch,
                    next.alarm.cast_signed(),
                    next.numeric.cast_signed(),
                    next.waveform.cast_signed()
                ],
                |row| row.get::<_, i64>(0),
            )?
            .cast_unsigned();
        if held == 3 * size.beds {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Notes every alarm of the live beds when it first appears on the stream.
async fn watch(clock: Clock, mut events: Events, logs: Vec<Log>, seen: Seen) -> Result<()> {
    let mut known: HashSet<String> = HashSet::new();
    loop {
        let event = events.next().await?;
        let now = clock.now().mono;
        for bed in event.data["beds"].as_array().into_iter().flatten() {
            let number = bed["bed"].as_str().and_then(|bed| bed.parse::<usize>().ok());
            let Some(log) = number.and_then(|number| logs.get(number - 1)) else { continue };
            for alarm in bed["alarms"].as_array().into_iter().flatten() {
                let Some(episode) = alarm["episode"].as_str() else { bail!("an alarm without a name") };
                if !alarm["rule"].as_str().is_some_and(is_limit) || !known.insert(episode.to_owned()) {
                    continue;
                }
                let Some(written) = log.lock().expect("no thread panics").last().copied() else { continue };
                if !written.after_speech {
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.push((written.at, us(now, written.at)));
                }
            }
        }
    }
}

/// The hub, and all agents together.
struct Look(Usage, Vec<Usage>);

impl Look {
    fn at(unit: &Unit) -> Result<Self> {
        let now = unit.clock.now().mono;
        let usage = |pid: Option<u32>| Usage::of(pid.context("a process does not run")?, now);
        let agents = unit.agents.iter().map(|agent| usage(agent.pid())).collect::<Result<_>>()?;
        Ok(Self(usage(unit.hub.pid())?, agents))
    }

    fn since(&self, before: &Self) -> (Spent, Spent) {
        let agents = self.1.iter().zip(&before.1).map(|(after, before)| after.spent_since(before));
        (self.0.spent_since(&before.0), agents.sum())
    }
}

fn plan(binaries: &Path, dir: &Path, size: Size, logs: &[Log]) -> Plan {
    let beds = (1..=size.beds).map(|number| {
        let name = format!("{number:02}");
        match logs.get(number as usize - 1).cloned() {
            Some(log) => {
                let peer: OpenPeer = Arc::new(move |_| Box::new(Scripted::new(log.clone())));
                bed(&name, peer, LIMITS)
            }
            None => bed(&name, Arc::new(|_| Box::new(Mute)), ""),
        }
    });
    Plan {
        binaries: binaries.to_owned(),
        dir: dir.to_owned(),
        beds: beds.collect(),
        http_port: None,
        broker: None,
        detours: Vec::new(),
    }
}
