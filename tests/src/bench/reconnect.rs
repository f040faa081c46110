//! The hub is killed and comes back to a thousand agents, with a broker between or without: how soon all are live again, and whether anything came twice or not at all.

use super::crowd::{self, Crowd, Heard};
use super::floor;
use super::line::Mute;
use super::usage::{Spent, Usage};
use crate::broker::mosquitto;
use crate::figures::Figures;
use anyhow::{Context, Result, ensure};
use cotside_central_hub::authority::Authority;
use cotside_edge_agent::uplink::credentials::{Credentials, TrustedTime};
use cotside_protocol::model::{Mono, Wall};
use cotside_simulators::cable::Faults;
use cotside_simulators::unit::{BedPlan, DevicePlan, On, Plan, Unit};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// `COTSIDE_CROWD`: the figures' names say how many there were.
const AGENTS: usize = 1000;
/// Sockets at either end, and what a process needs besides.
const FILES_BESIDE: u64 = 256;
/// How long the hub is away.
const AWAY: Duration = Duration::from_secs(10);
const SETTLE: Duration = Duration::from_secs(5);
const WINDOW: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const SECOND_US: u64 = 1_000_000;

/// What stands between the agents and the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Nothing: the hub's own listener.
    Own,
    /// An external broker, killed and started together with the hub, as when their machine restarts.
    Mosquitto,
}

pub async fn run(binaries: &Path, dir: PathBuf, way: Way, figures: &mut Figures) -> Result<()> {
    let agents = crowd_from_environment()?;
    let (files, needed) = (files_max()?, 2 * agents as u64 + FILES_BESIDE);
    ensure!(files >= needed, "only {files} files may be open: run `ulimit -n {needed}` first");
    let mut unit = Unit::start(&plan(binaries, &dir, way), |_| ()).await?;
    let clock = unit.clock;
    unit.agents[0].stop().await?;
    ensure!(unit.hub.stop().await? == 0, "the hub did not stop cleanly");
    let config = dir.join("hub/hub.toml");
    let beds: Vec<String> = (0..agents).map(|agent| format!("\"{}\"", crowd::bed(agent))).collect();
    let text = std::fs::read_to_string(&config)?;
    let more = text.replace("beds = [\"01\"]", &format!("beds = [{}]", beds.join(", ")));
    ensure!(more != text, "the hub's configuration has no place for more beds");
    std::fs::write(&config, more)?;
    crowd::enrol(&dir, agents, unit.mqtt.port(), clock.now().wall)?;

    unit.hub.start()?;
    let station = unit.station().await?;
    // Before the first of them can be live.
    let begin = clock.now().mono;
    let mut crowd = Crowd::start(&dir, agents, clock);
    let first = everyone_live(&mut crowd, agents, begin).await?;
    let mut events = station.events("nicu").await?;
    let watching = tokio::spawn(async move { while events.next().await.is_ok() {} });
    tokio::time::sleep(SETTLE).await;
    let hub = |unit: &Unit| Usage::of(unit.hub.pid().context("no hub")?, clock.now().mono);
    let before = hub(&unit)?;
    tokio::time::sleep(WINDOW).await;
    let after = hub(&unit)?;
    let live = after.spent_since(&before);

    unit.hub.kill().await?;
    if let Some(broker) = &mut unit.broker {
        broker.kill().await?;
    }
    watching.abort();
    tokio::time::sleep(AWAY).await;
    let begin = clock.now().mono;
    if let Some(broker) = &mut unit.broker {
        broker.start()?;
    }
    unit.hub.start()?;
    let again = everyone_live(&mut crowd, agents, begin).await?;
    let storm = hub(&unit)?.spent_since(&Usage::nothing(begin));
    let settled = everything_acknowledged(&crowd, agents, begin).await?;
    let stored = crowd.shared.stored.load(Ordering::Relaxed);
    ensure!(crowd.stop().await, "not every agent stopped");
    let hub_dir = dir.join("hub");
    ensure!(unit.stop().await?, "not every process stopped cleanly; logs in {}", dir.display());
    let (rows, different) = rows(&hub_dir)?;

    let credentials = Credentials::load(&crowd::credentials(&dir)).map_err(anyhow::Error::msg)?;
    let time = Arc::new(TrustedTime::new(clock, Wall(0)));
    let client = Arc::new(credentials.tls(time).map_err(anyhow::Error::msg)?);
    let bare = floor::handshakes(&clock, Authority::at(&hub_dir).tls_for_agents()?, client).await?;
    std::fs::remove_dir_all(&dir)?;

    let count = agents as f64;
    let least = count / bare;
    let named = |name: &str| {
        let name = name.replace("1000", &agents.to_string());
        match way {
            Way::Own => name,
            Way::Mosquitto => format!("reconnect-mosquitto-{}", name.trim_start_matches("reconnect-")),
        }
    };
    let beside = "so many bare TLS handshakes, both ends here";
    figures.beside(&named("connect-1000-live"), first.seconds, "s", beside, least);
    figures.beside(&named("reconnect-1000-live"), again.seconds, "s", beside, least);
    figures.beside(&named("reconnect-1000-half"), again.half_seconds, "s", beside, least);
    let per_second = "bare TLS handshakes a second";
    figures.beside(&named("reconnect-1000-peak-per-second"), again.peak, "1/s", per_second, bare);
    let until = "until the hub had every row of the time it was away";
    figures.alone(&named("reconnect-1000-settled"), settled, "s", until);
    figures.alone(&named("reconnect-1000-rows"), stored as f64, "rows", "two a second and agent, all told");
    let twice = "rows at the hub beyond one each";
    figures.alone(&named("reconnect-1000-duplicates"), (rows - different) as f64, "rows", twice);
    let missing = stored as f64 - different as f64;
    figures.alone(&named("reconnect-1000-missing"), missing, "rows", "rows not at the hub");
    figures.alone(&named("reconnect-1000-hub-cpu"), storm.cpu_s, "s", "from its start until all were live");
    let us = |spent: &Spent| spent.cores() * SECOND_US as f64 / count;
    let budget = "budget, 50 stations; here 1 watches";
    figures.beside(&named("hub-cpu-bed-second-1000-beds"), us(&live), "us", budget, 200.0);
    let goal = (40u64 << 20) as f64;
    figures.beside(&named("hub-rss-1000-beds"), after.rss_bytes, "bytes", "goal: 40 MiB", goal);
    Ok(())
}

fn crowd_from_environment() -> Result<usize> {
    let Ok(text) = std::env::var("COTSIDE_CROWD") else { return Ok(AGENTS) };
    let agents = text.parse().with_context(|| format!("COTSIDE_CROWD is no number: {text}"))?;
    ensure!(agents > 0, "COTSIDE_CROWD: a crowd has at least one agent");
    Ok(agents)
}

struct Storm {
    seconds: f64,
    /// Until half of them were live.
    half_seconds: f64,
    /// Most that became live within one second.
    peak: f64,
}

/// Until every agent hears the hub; those that did not yet lose it count when they hear it again.
async fn everyone_live(crowd: &mut Crowd, agents: usize, begin: Mono) -> Result<Storm> {
    let mut since: Vec<Option<Mono>> = vec![None; agents];
    let mut live = 0;
    let all = async {
        while live < agents {
            let Heard { agent, at, reachable } = crowd.heard.recv().await.context("no agent runs")?;
            if at < begin {
                continue;
            }
            live = live + usize::from(reachable) - usize::from(since[agent].is_some());
            since[agent] = reachable.then_some(at);
        }
        anyhow::Ok(())
    };
    let ended = tokio::time::timeout(PATIENCE, all).await;
    ended.with_context(|| format!("{live} of {agents} agents are live after {PATIENCE:?}"))??;
    let mut times: Vec<Mono> = since.into_iter().flatten().collect();
    times.sort_unstable();
    let seconds = |at: Mono| at.since(begin).as_secs_f64();
    let within = |at: &Mono| times.iter().filter(|other| (at.0..at.0 + SECOND_US).contains(&other.0)).count();
    let peak = times.iter().map(within).max().unwrap_or(0) as f64;
    Ok(Storm { seconds: seconds(times[agents - 1]), half_seconds: seconds(times[agents / 2]), peak })
}

/// Until the beds, which measure nothing more, have nothing left that the hub lacks.
async fn everything_acknowledged(crowd: &Crowd, agents: usize, begin: Mono) -> Result<f64> {
    let clock = crowd.shared.clock;
    let all = async {
        // What was measured while it was away, and what is measured meanwhile.
        while crowd.shared.waiting.load(Ordering::Relaxed) > 3 * agents as u64 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let caught_up = clock.now().mono.since(begin).as_secs_f64();
        crowd.shared.is_quiet.store(true, Ordering::Relaxed);
        while crowd.shared.waiting.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        caught_up
    };
    let waiting = || crowd.shared.waiting.load(Ordering::Relaxed);
    tokio::time::timeout(PATIENCE, all).await.with_context(|| format!("{} rows still wait", waiting()))
}

/// Rows of the crowd at the hub, and how many different ones.
fn rows(hub: &Path) -> Result<(u64, u64)> {
    let db = Connection::open_with_flags(hub.join("hub.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let count = "SELECT count(*), count(DISTINCT source << 40 | seq) FROM blocks WHERE source IN
                 (SELECT id FROM sources WHERE agent <> 'gw-01')";
    Ok(db.query_row(count, [], |row| {
        Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned()))
    })?)
}

/// Files that this process may have open at once.
fn files_max() -> Result<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()).context("no limit is stated")?;
    Ok(soft.parse().unwrap_or(u64::MAX))
}

/// A hub with one bed, whose agent makes way for the crowd.
fn plan(binaries: &Path, dir: &Path, way: Way) -> Plan {
    let mute = DevicePlan {
        name: "device",
        driver: "masimo",
        on: On::Serial,
        faults: Faults::default(),
        peer: Some(Arc::new(|_| Box::new(Mute))),
    };
    let bed = BedPlan {
        bed: "01".to_owned(),
        baby: None,
        seed: 0,
        script: Vec::new(),
        devices: vec![mute],
        limits: String::new(),
    };
    Plan {
        binaries: binaries.to_owned(),
        dir: dir.to_owned(),
        beds: vec![bed],
        http_port: None,
        broker: (way == Way::Mosquitto).then_some(mosquitto),
        detours: Vec::new(),
    }
}
