//! What one bed with waveforms costs its gateway and the hub: memory, CPU, wake-ups; beside the least that could do such a thing.

use super::bare::FLOOR;
use super::decoders::{CONVERSATION, conversation};
use super::line::{Dripping, Mute, Recording};
use super::usage::{PerSecond, Usage};
use crate::figures::Figures;
use anyhow::{Context, Result, ensure};
use cotside_protocol::device::PeerOptions;
use cotside_protocol::devices;
use cotside_simulators::cable::{Cable, Faults};
use cotside_simulators::newborn::Newborn;
use cotside_simulators::process::Process;
use cotside_simulators::run::{Device, Place};
use cotside_simulators::unit::{BedPlan, DevicePlan, On, OpenPeer, Plan, Unit};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Association, key frames and first growth are over.
const SETTLE: Duration = Duration::from_secs(15);
const WINDOW: Duration = Duration::from_secs(45);
const DEVICE_STOP: Duration = Duration::from_secs(2);
const LIVE_PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(200);
const FLOOR_NAME: &str = "tokio+rustls+SQLite, 1 row/s";
const CAT: &str = "cat reading the same line";
const LIMITS: &str = "\n[[limit]]\nparameter = \"SpO2\"\nlow = 85\ndelay = \"8s\"\npriority = \"high\"\n\
                      \n[[limit]]\nparameter = \"HR\"\nlow = 90\nhigh = 205\ndelay = \"5s\"\npriority = \"high\"\n";

pub async fn run(binaries: &Path, dir: PathBuf, figures: &mut Figures) -> Result<()> {
    let mute: OpenPeer = Arc::new(|_| Box::new(Mute));
    let plan = Plan {
        binaries: binaries.to_owned(),
        dir,
        beds: vec![monitor("01")?, bed("02", "masimo", mute, "")],
        http_port: None,
        broker: None,
        detours: Vec::new(),
    };
    let mut unit = Unit::start(&plan, |_| ()).await?;
    unit.agents[1].stop().await?;
    let mut floor = floor(&unit)?;
    let (mut cat, line_bytes) = cat(&mut unit).await?;
    let station = unit.station().await?;
    be_live(&station).await?;
    // One station watches: with nobody reading, the hub encodes nothing.
    let mut events = station.events("nicu").await?;
    let watching = tokio::spawn(async move { while events.next().await.is_ok() {} });

    tokio::time::sleep(SETTLE).await;
    let before = look(&unit, &floor, &cat)?;
    tokio::time::sleep(WINDOW).await;
    let after = look(&unit, &floor, &cat)?;
    watching.abort();
    for process in [&mut floor, &mut cat] {
        ensure!(process.is_running(), "{} had ended: {}", process.name(), process.last_words());
        process.kill().await?;
    }
    let dir = unit.dir.clone();
    ensure!(unit.stop().await?, "not every process stopped cleanly; logs in {}", dir.display());
    std::fs::remove_dir_all(&dir)?;
    print(&before, &after, line_bytes, figures);
    Ok(())
}

/// Agent, hub, floor, cat.
type Looks = [Usage; 4];

fn look(unit: &Unit, floor: &Process, cat: &Process) -> Result<Looks> {
    let usage =
        |process: &Process| Usage::of(process.pid().context("it does not run")?, unit.clock.now().mono);
    Ok([usage(&unit.agents[0])?, usage(&unit.hub)?, usage(floor)?, usage(cat)?])
}

fn print(before: &Looks, after: &Looks, line_bytes: f64, figures: &mut Figures) {
    let spent = |at: usize| -> PerSecond { after[at].since(&before[at]) };
    let (agent, hub, floor, cat) = (spent(0), spent(1), spent(2), spent(3));
    let [agent_end, hub_end, floor_end, _] = after;
    figures.alone("monitor-line-bytes", line_bytes, "bytes/s", "one monitor with waveforms, in 16 ms pieces");
    figures.beside("agent-rss", agent_end.rss_bytes, "bytes", FLOOR_NAME, floor_end.rss_bytes);
    figures.beside("agent-cpu-bed-hour", agent.cpu_s_an_hour(), "s", FLOOR_NAME, floor.cpu_s_an_hour());
    figures.beside("agent-cpu-over-cat", agent.cpu_s_an_hour(), "s", CAT, cat.cpu_s_an_hour());
    figures.beside("agent-wakeups", agent.wakeups, "1/s", CAT, cat.wakeups);
    figures.beside("agent-wakeups-over-floor", agent.wakeups, "1/s", FLOOR_NAME, floor.wakeups);
    let us = |spent: &PerSecond| spent.cpu_ns / 1000.0;
    figures.beside("hub-cpu-bed-second", us(&hub), "us", FLOOR_NAME, us(&floor));
    figures.beside("hub-rss", hub_end.rss_bytes, "bytes", FLOOR_NAME, floor_end.rss_bytes);
}

/// The bench's own program once more, as the least gateway, with the second bed's certificate.
fn floor(unit: &Unit) -> Result<Process> {
    let program = std::env::current_exe()?;
    let (credentials, store) = (unit.dir.join("gw-02"), unit.dir.join("floor.db"));
    let arguments = [FLOOR, &credentials.to_string_lossy(), &store.to_string_lossy()];
    let mut floor = Process::new(FLOOR, &program, &arguments, &unit.dir.join("log/floor.log"));
    floor.start()?;
    Ok(floor)
}

/// The same minute of the same monitor, again and again, on a line that `cat` reads; and its bytes a second.
async fn cat(unit: &mut Unit) -> Result<(Process, f64)> {
    let said = conversation()?;
    let bytes: usize = said.iter().map(|(_, bytes)| bytes.len()).sum();
    let line = unit.dir.join("tty-cat");
    let recording = Recording::new(said, CONVERSATION);
    let device = Device {
        peer: Box::new(Dripping::new(Box::new(recording))),
        body: Newborn::new(1, unit.origin, Vec::new()),
        cable: Cable::new(1, Faults::default()),
        clock: unit.clock,
    };
    let place = Place::Pty(line.clone());
    unit.devices.start("device", DEVICE_STOP, |stop| device.run(place, stop));
    while !line.exists() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let mut cat = Process::new("cat", Path::new("cat"), &[&line.to_string_lossy()], Path::new("/dev/null"));
    cat.start()?;
    Ok((cat, bytes as f64 / CONVERSATION.as_secs_f64()))
}

/// Until the monitor's values are on the hub.
pub(super) async fn be_live(station: &cotside_simulators::station::Station) -> Result<()> {
    let has_values = async {
        loop {
            let unit = station.get("/api/v1/units/nicu").await?;
            let values = unit["beds"][0]["values"].as_array().map_or(0, Vec::len);
            if values > 0 {
                return anyhow::Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(LIVE_PATIENCE, has_values).await.context("the monitor's values do not arrive")?
}

/// A bed with one monitor that sends every waveform over a serial line.
pub(super) fn monitor(name: &str) -> Result<BedPlan> {
    let monitor = devices::peer("intellivue").context("no simulated monitor")?;
    let monitor: OpenPeer =
        Arc::new(|options: &PeerOptions| Box::new(Dripping::new((monitor.open)(options))));
    Ok(bed(name, "intellivue", monitor, LIMITS))
}

fn bed(bed: &str, driver: &'static str, peer: OpenPeer, limits: &str) -> BedPlan {
    let device =
        DevicePlan { name: "device", driver, on: On::Serial, faults: Faults::default(), peer: Some(peer) };
    BedPlan {
        bed: bed.to_owned(),
        baby: None,
        seed: 5,
        script: Vec::new(),
        devices: vec![device],
        limits: limits.to_owned(),
    }
}
