//! The hub's disk is full: the screen goes on and says that nothing is recorded, the gateways keep what the hub cannot, and nothing is missing after it.

use crate::bad_store::{FILLER, fill};
use crate::counting::Sent;
use crate::image::Image;
use crate::kill_nine::{READY_WITHIN, counting_bed, drain};
use crate::ledger::Ledger;
use anyhow::{Result, ensure};
use cotside_simulators::process::output;
use cotside_simulators::station::Station;
use cotside_simulators::unit::{Plan, Unit};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;

const DISK_BYTES: u64 = 32 << 20;
const FULL_FOR: Duration = Duration::from_secs(5);
const TURNS_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A value of a device that speaks ten times a second.
const FRESH_MS: u64 = 3000;

/// How a hub ends while its disk is full.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Killed,
    Stopped,
}

pub async fn run(binaries: &Path, dir: &Path) -> Result<Vec<(String, Ledger)>> {
    let disk = Image::make(&dir.join("centre"), DISK_BYTES).await?;
    let unit_dir = dir.join("unit");
    fs::create_dir_all(&unit_dir)?;
    fs::create_dir(disk.at.join("hub"))?;
    std::os::unix::fs::symlink(disk.at.join("hub"), unit_dir.join("hub"))?;
    let sent = [Sent::default()];
    let plan = Plan {
        binaries: binaries.to_owned(),
        dir: unit_dir,
        beds: vec![counting_bed(0, sent[0].clone())],
        http_port: None,
        broker: None,
        detours: Vec::new(),
    };
    let mut unit = Unit::start(&plan, |_| ()).await?;
    let station = unit.station().await?;
    turns(&unit, &station, |seen| is_fresh(seen) && seen["store_ok"] == true).await?;
    fill(&disk.at.join(FILLER))?;
    turns(&unit, &station, |seen| seen["store_ok"] == false).await?;
    tokio::time::sleep(FULL_FOR).await;
    turns(&unit, &station, |seen| is_fresh(seen) && seen["store_ok"] == false).await?;
    ensure!(unit.hub.is_running() && unit.agents[0].is_running(), "a full disk ended a process");
    for how in [Ending::Killed, Ending::Stopped] {
        match how {
            Ending::Killed => unit.hub.kill().await?,
            Ending::Stopped => ensure!(unit.hub.stop().await? == 0, "a full disk is no reason not to stop"),
        }
        // What the hub gave back on its way out is somebody else's.
        fill(&disk.at.join(format!("{FILLER}-{how:?}")))?;
        unit.hub.start()?;
        unit.hub.ready_within(READY_WITHIN).await?;
        // So is what a start on a full disk had given back.
        fill(&disk.at.join(format!("{FILLER}-{how:?}-again")))?;
        turns(&unit, &station, |seen| is_fresh(seen) && seen["store_ok"] == false).await?;
    }
    for how in ["", "-Killed", "-Killed-again", "-Stopped", "-Stopped-again"] {
        fs::remove_file(disk.at.join(format!("{FILLER}{how}")))?;
    }
    turns(&unit, &station, |seen| is_fresh(seen) && seen["store_ok"] == true).await?;
    let ledgers = drain(&unit, &sent).await?;
    let config = unit.dir.join("hub/hub.toml");
    let events = ["events".as_ref(), "--config".as_ref(), config.as_os_str()];
    let deadline = unit.clock.now().mono + TURNS_WITHIN;
    loop {
        let said = output(&binaries.join("central-hub"), events).await?;
        if said.contains("store-failed") && said.contains("nothing was stored for") {
            break;
        }
        ensure!(unit.clock.now().mono < deadline, "no event says that nothing was stored: {said}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    drop(unit);
    Ok(ledgers)
}

fn is_fresh(seen: &Value) -> bool {
    let values = seen["beds"][0]["values"].as_array().map(Vec::as_slice).unwrap_or_default();
    values.iter().any(|value| value["age_ms"].as_u64().is_some_and(|age| age < FRESH_MS))
}

/// Waits until the station sees it.
async fn turns(unit: &Unit, station: &Station, is_seen: impl Fn(&Value) -> bool) -> Result<()> {
    let deadline = unit.clock.now().mono + TURNS_WITHIN;
    loop {
        let seen = station.get("/api/v1/units/nicu").await?;
        if is_seen(&seen) {
            return Ok(());
        }
        ensure!(unit.clock.now().mono < deadline, "a station still sees {seen}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
