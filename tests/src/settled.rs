//! What waits for a person, as a person meets it: an alarm at the bed, a command that lists it with what to do, the command that ends it, and the record of that.

use crate::counting::Sent;
use crate::kill_nine::{counting_bed, drain};
use crate::ledger::Ledger;
use anyhow::{Context, Result, ensure};
use cotside_simulators::process::{Process, output};
use cotside_simulators::station::Station;
use cotside_simulators::unit::{Plan, Unit};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const BEDS: usize = 2;
const TURNS_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A value of a device that speaks ten times a second.
const FRESH_MS: u64 = 3000;

#[derive(Debug)]
pub struct Outcome {
    /// What `central-hub agents` said while it waited: of the second gateway, of the older store.
    pub words: [String; 2],
    /// Who did what, from the audit.
    pub audit: Vec<(String, String)>,
    pub ledgers: Vec<(String, Ledger)>,
}

struct Scene {
    unit: Unit,
    station: Station,
    program: PathBuf,
    config: PathBuf,
}

pub async fn run(binaries: &Path, dir: &Path) -> Result<Outcome> {
    let sent: Vec<Sent> = (0..BEDS).map(|_| Sent::default()).collect();
    let plan = Plan {
        binaries: binaries.to_owned(),
        dir: dir.to_owned(),
        beds: sent.iter().enumerate().map(|(at, sent)| counting_bed(at, sent.clone())).collect(),
        http_port: None,
        broker: None,
        detours: Vec::new(),
    };
    let mut unit = Unit::start(&plan, |_| ()).await?;
    let station = unit.station().await?;
    let program = binaries.join("central-hub");
    let config = unit.dir.join("hub/hub.toml");
    let mut scene = Scene { unit, station, program, config };
    for bed in ["01", "02"] {
        scene.turns(bed, is_fresh).await?;
    }

    let second = scene.with_a_second_gateway(binaries).await?;
    scene.settle("gw-01", "01", "identity-conflict", "second gateway taken away").await?;
    let left = scene.agents(&["agents"]).await?;
    ensure!(!left.contains("settle"), "nothing is left to settle: {left}");

    let older = scene.with_an_older_store().await?;
    for (agent, bed) in [("gw-01", "01"), ("gw-02", "02")] {
        scene.settle(agent, bed, "store-set-back", "this morning's backup was put back").await?;
    }
    let again = ["agents", "settle", "gw-02", "--found", "again"];
    ensure!(scene.agents(&again).await?.contains("Nothing about gw-02 waits"), "it was settled twice");
    let ledgers = drain(&scene.unit, &sent).await?;
    let audit = scene.audit()?;
    Ok(Outcome { words: [second, older], audit, ledgers })
}

impl Scene {
    /// The gateway's card is copied into another box, which speaks while the first is away, and then is taken away.
    async fn with_a_second_gateway(&mut self, binaries: &Path) -> Result<String> {
        self.unit.agents[0].stop().await?;
        let (own, other) = (self.unit.dir.join("gw-01"), self.unit.dir.join("copy-of-gw-01"));
        fs::create_dir_all(other.join("state"))?;
        for entry in fs::read_dir(own.join("state"))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), other.join("state").join(entry.file_name()))?;
            }
        }
        let text = fs::read_to_string(own.join("agent.toml"))?;
        let moved = |line: &str| {
            let stays = line.starts_with("credentials");
            if stays { line.to_owned() } else { line.replace("/gw-01/", "/copy-of-gw-01/") }
        };
        fs::write(other.join("agent.toml"), text.lines().map(moved).collect::<Vec<_>>().join("\n"))?;
        let log = self.unit.dir.join("log/copy-of-gw-01.log");
        let config = other.join("agent.toml").to_string_lossy().into_owned();
        let mut twin =
            Process::new("copy-of-gw-01", &binaries.join("edge-agent"), &["run", "--config", &config], &log);
        twin.start()?;
        self.turns("01", |bed| bed["agent"]["state"] == "live").await?;
        twin.stop().await?;
        self.unit.agents[0].start()?;
        self.turns("01", |bed| has_alarm(bed, "identity-conflict") && is_fresh(bed)).await?;
        self.agents(&["agents"]).await
    }

    /// The hub is stopped, and an older copy of its file put back.
    async fn with_an_older_store(&mut self) -> Result<String> {
        let store = self.unit.dir.join("hub/hub.db");
        let copy = self.unit.dir.join("backup.db");
        ensure!(self.unit.hub.stop().await? == 0, "the hub did not stop cleanly");
        fs::copy(&store, &copy)?;
        let before = rows(&store)?;
        self.unit.hub.start()?;
        self.wait("rows come that the copy lacks", || Ok(rows(&store)? > before + 10)).await?;
        ensure!(self.unit.hub.stop().await? == 0, "the hub did not stop cleanly");
        for beside in ["hub.db-wal", "hub.db-shm"] {
            let _ = fs::remove_file(self.unit.dir.join("hub").join(beside));
        }
        fs::copy(&copy, &store)?;
        self.unit.hub.start()?;
        self.station = self.unit.station().await?;
        for bed in ["01", "02"] {
            self.turns(bed, |bed| has_alarm(bed, "store-set-back") && is_fresh(bed)).await?;
        }
        self.agents(&["agents"]).await
    }

    /// As an operator would; then the alarm is gone, and the bed's data still come.
    async fn settle(&self, agent: &str, bed: &str, rule: &str, found: &str) -> Result<()> {
        let said = self.agents(&["agents", "settle", agent, "--found", found]).await?;
        ensure!(said.contains("Settled"), "{said}");
        self.turns(bed, |bed| !has_alarm(bed, rule) && is_fresh(bed)).await
    }

    async fn agents(&self, words: &[&str]) -> Result<String> {
        let config = self.config.to_string_lossy().into_owned();
        output(&self.program, words.iter().copied().chain(["--config", &config])).await
    }

    async fn turns(&self, bed: &str, is_seen: impl Fn(&Value) -> bool) -> Result<()> {
        let deadline = self.unit.clock.now().mono + TURNS_WITHIN;
        loop {
            let seen = self.station.get(&format!("/api/v1/beds/{bed}")).await;
            if seen.as_ref().is_ok_and(&is_seen) {
                return Ok(());
            }
            ensure!(self.unit.clock.now().mono < deadline, "a station still sees {seen:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn wait(&self, what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
        let deadline = self.unit.clock.now().mono + TURNS_WITHIN;
        while !is_so()? {
            ensure!(self.unit.clock.now().mono < deadline, "in vain: {what}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// What was done on the command line, by whom.
    fn audit(&self) -> Result<Vec<(String, String)>> {
        let db = look(&self.unit.dir.join("hub/hub.db"))?;
        let mut asked = db.prepare("SELECT who, what FROM audit WHERE who LIKE 'operator %' ORDER BY id")?;
        let all = asked.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        all.collect::<Result<_, _>>().context("the audit cannot be read")
    }
}

fn look(store: &Path) -> Result<Connection> {
    Ok(Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

fn rows(store: &Path) -> Result<i64> {
    Ok(look(store)?.query_row("SELECT count(*) FROM blocks", [], |row| row.get(0))?)
}

fn has_alarm(bed: &Value, rule: &str) -> bool {
    bed["alarms"].as_array().is_some_and(|alarms| alarms.iter().any(|alarm| alarm["rule"] == rule))
}

fn is_fresh(bed: &Value) -> bool {
    let values = bed["values"].as_array().map(Vec::as_slice).unwrap_or_default();
    values.iter().any(|value| value["age_ms"].as_u64().is_some_and(|age| age < FRESH_MS))
}
