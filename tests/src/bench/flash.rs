//! What a bed's log writes to its disk in a day, the filesystem's own journal counted, beside a preallocated log that is only appended to.

use super::agent::{be_live, monitor};
use crate::archive::Archive;
use crate::figures::Figures;
use crate::image::Image;
use anyhow::{Context, Result, ensure};
use cotside_simulators::unit::{Plan, Unit};
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The chosen loss windows and their figures.
const WINDOWS: [(&str, Duration); 2] =
    [("flash-bed-day-1s", Duration::from_secs(1)), ("flash-bed-day-5s", Duration::from_secs(5))];
const DISK_BYTES: u64 = 256 << 20;
/// The floor's file is written once before it is measured: then nothing but data reaches the disk.
const FLOOR_BYTES: usize = 32 << 20;
/// Association, key frames, and the first files.
const SETTLE: Duration = Duration::from_secs(20);
/// Many syncs, and some of the minutes' notes.
const MEASURED: Duration = Duration::from_secs(300);
const DAY_S: f64 = 86_400.0;
const FLOOR_NAME: &str = "append to a preallocated file, fdatasync";

pub async fn run(binaries: &Path, dir: &Path, figures: &mut Figures) -> Result<()> {
    let mut disks = Vec::new();
    let unit_dir = dir.join("unit");
    for (at, (name, _)) in WINDOWS.iter().enumerate() {
        let agents = Image::make(&dir.join(name), DISK_BYTES).await?;
        let floors = Image::make(&dir.join(format!("{name}-floor")), DISK_BYTES).await?;
        let place = unit_dir.join(format!("gw-{:02}", at + 1));
        fs::create_dir_all(&place)?;
        std::os::unix::fs::symlink(&agents.at, place.join("state"))?;
        disks.push([agents, floors]);
    }
    let plan = Plan {
        binaries: binaries.to_owned(),
        dir: unit_dir,
        beds: vec![monitor("01")?, monitor("02")?],
        http_port: None,
        broker: None,
        detours: Vec::new(),
    };
    let mut unit = Unit::start(&plan, |_| ()).await?;
    for (agent, (_, window)) in unit.agents.iter_mut().zip(WINDOWS) {
        let config = unit.dir.join(agent.name()).join("agent.toml");
        let text = fs::read_to_string(&config)?;
        fs::write(&config, format!("loss_window = \"{}s\"\n{text}", window.as_secs()))?;
        agent.stop().await?;
        agent.start()?;
    }
    let station = unit.station().await?;
    be_live(&station).await?;
    let (began, begin) = (payloads(&unit)?, unit.clock.now().mono);
    tokio::time::sleep(SETTLE).await;
    let per_second = rates(&began, &payloads(&unit)?, unit.clock.now().mono.since(begin));
    let done = Arc::new(AtomicBool::new(false));
    let mut floors = Vec::new();
    for (([_, floor], (_, window)), rate) in disks.iter().zip(WINDOWS).zip(&per_second) {
        let (file, bytes) = (floor.at.join("log"), (rate * window.as_secs_f64()).round() as usize);
        floors.push(Floor::make(&file, bytes)?.run(window, done.clone()));
    }
    let (began, begin) = (payloads(&unit)?, unit.clock.now().mono);
    let before = written(&disks)?;
    tokio::time::sleep(MEASURED).await;
    let seconds = unit.clock.now().mono.since(begin);
    let per_second = rates(&began, &payloads(&unit)?, seconds);
    // A stop carries the pages of the write-ahead log to their places: what it held is paid for.
    for agent in &mut unit.agents {
        agent.stop().await?;
    }
    for [agent, _] in &disks {
        agent.sync().await?;
    }
    let after = written(&disks)?;
    done.store(true, Ordering::Relaxed);
    for floor in floors {
        floor.await.context("a floor panicked")??;
    }
    ensure!(unit.stop().await?, "not every process stopped cleanly; logs in {}", dir.display());
    for (at, (name, _)) in WINDOWS.iter().enumerate() {
        let day = |which: usize| (after[at][which] - before[at][which]) * DAY_S / seconds.as_secs_f64();
        figures.beside(name, day(0), "bytes", FLOOR_NAME, day(1));
        let payload = format!("{}-payload", name);
        figures.alone(&payload, per_second[at] * DAY_S, "bytes", "the blocks themselves");
    }
    Ok(())
}

fn written(disks: &[[Image; 2]]) -> Result<Vec<[f64; 2]>> {
    disks.iter().map(|[agent, floor]| Ok([agent.written_bytes()?, floor.written_bytes()?])).collect()
}

/// The bytes of each bed's blocks, as they stand at the hub.
fn payloads(unit: &Unit) -> Result<Vec<u64>> {
    let store = unit.dir.join("hub/hub.db");
    unit.agents.iter().map(|agent| Ok(Archive::read(&store, agent.name())?.bytes.iter().sum())).collect()
}

fn rates(before: &[u64], after: &[u64], span: Duration) -> Vec<f64> {
    before.iter().zip(after).map(|(before, after)| (after - before) as f64 / span.as_secs_f64()).collect()
}

/// The least that keeps a bed's data within the loss window.
struct Floor {
    file: fs::File,
    payload: Vec<u8>,
}

impl Floor {
    fn make(path: &Path, bytes: usize) -> Result<Self> {
        fs::write(path, vec![0; FLOOR_BYTES])?;
        let file = fs::File::options().write(true).open(path)?;
        file.sync_all()?;
        Ok(Self { file, payload: vec![0x5a; bytes] })
    }

    fn run(self, window: Duration, done: Arc<AtomicBool>) -> tokio::task::JoinHandle<Result<()>> {
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(window);
            let mut at = 0;
            while !done.load(Ordering::Relaxed) {
                ticks.tick().await;
                self.file.write_all_at(&self.payload, at)?;
                self.file.sync_data()?;
                at = (at + self.payload.len() as u64) % (FLOOR_BYTES - self.payload.len()) as u64;
            }
            Ok(())
        })
    }
}
