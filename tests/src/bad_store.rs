//! Stores as the biomedical engineer finds them: spoilt, foreign, read-only, full, gone. The agent starts, says so, and the bed is on the screen.

use crate::counting::Sent;
use crate::image::Image;
use crate::kill_nine::{READY_WITHIN, counting_bed, drain};
use crate::ledger::Ledger;
use anyhow::{Context, Result, ensure};
use cotside_simulators::newborn::Random;
use cotside_simulators::process::{Process, output};
use cotside_simulators::unit::{Plan, Unit};
use rusqlite::Connection;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is done to the agent's folder while it is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoil {
    Zeros,
    Halved,
    Noise,
    NoiseInside,
    Empty,
    NoiseInWal,
    Newer,
    Folder,
    ReadOnly,
    Full,
    Foreign,
    StateIsFile,
    Missing,
}

/// What the agent has to say about it, in the words that people read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// The old log was set aside, a new one is on disk.
    SetAside,
    /// There is no place for a log.
    MemoryOnly,
    /// Less than all of it is kept.
    DiskFull,
    /// Nothing: there is a log on disk and nothing that anybody could do.
    Nothing,
}

const CASES: [(Spoil, &str, Says); 13] = [
    (Spoil::Zeros, "log of zeros", Says::SetAside),
    (Spoil::Halved, "log cut in the middle", Says::SetAside),
    (Spoil::Noise, "log of random bytes", Says::SetAside),
    (Spoil::NoiseInside, "random bytes behind a sound head", Says::SetAside),
    (Spoil::Empty, "log of no bytes", Says::Nothing),
    (Spoil::NoiseInWal, "write-ahead log of random bytes", Says::Nothing),
    (Spoil::Newer, "written by a newer version", Says::SetAside),
    (Spoil::Folder, "the log is a folder", Says::SetAside),
    (Spoil::ReadOnly, "read-only filesystem", Says::MemoryOnly),
    (Spoil::Full, "full disk", Says::DiskFull),
    (Spoil::Foreign, "another user's folder", Says::MemoryOnly),
    (Spoil::StateIsFile, "the folder is a file", Says::MemoryOnly),
    (Spoil::Missing, "the folder is gone", Says::Nothing),
];

/// The last cases leave nothing of what was before: no log, no name of one. What was on its way then is missing without a trace.
const FORGETFUL: usize = 3;
/// Long enough that there is something to spoil.
const RECORDING: Duration = Duration::from_secs(4);
const LIVE_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const DISK_BYTES: u64 = 32 << 20;
/// Debian's nobody and nogroup.
const NOBODY: u32 = 65_534;

/// One line of the table.
#[derive(Debug, Default)]
pub struct Found {
    case: &'static str,
    ready: Duration,
    /// From exec until the hub shows a value measured since.
    live: Option<Duration>,
    status: String,
    at_hub: String,
    is_said: bool,
}

impl Found {
    pub fn is_right(&self) -> bool {
        self.ready <= READY_WITHIN && self.live.is_some() && self.is_said
    }
}

#[derive(Debug)]
pub struct Outcome {
    pub found: Vec<Found>,
    /// Words of the bed with the full disk, once there is room again.
    pub after_room: String,
    pub ledgers: Vec<(String, Ledger)>,
}

impl Outcome {
    pub fn is_right(&self) -> bool {
        self.found.iter().all(Found::is_right)
            && self.after_room.is_empty()
            && self.ledgers.iter().all(|(_, ledger)| ledger.is_balanced())
    }

    pub fn table(&self) -> String {
        let mut out = String::new();
        for Found { case, ready, live, status, at_hub, is_said } in &self.found {
            let live = live.map_or("NEVER".to_owned(), |live| format!("{} ms", live.as_millis()));
            let mark = if *is_said { "" } else { "NOT AS EXPECTED" };
            let _ = writeln!(
                out,
                "{case:<34} ready {:>4} ms, at the hub {live:>7} {mark}\n    status: {status}\n    hub:    {at_hub}",
                ready.as_millis()
            );
        }
        let _ = writeln!(out, "full disk, once there is room: {}", or_nothing(&self.after_room));
        self.ledgers.iter().for_each(|(agent, ledger)| {
            let _ = writeln!(out, "{}", ledger.line(agent));
        });
        out
    }
}

pub async fn run(binaries: &Path, dir: &Path) -> Result<Outcome> {
    let unit_dir = dir.join("unit");
    // Nobody may look into the folder of whoever builds.
    let programs = dir.join("programs");
    fs::create_dir_all(&programs)?;
    for program in ["edge-agent", "central-hub"] {
        fs::copy(binaries.join(program), programs.join(program))?;
    }
    let mut disks = Vec::new();
    for (at, (spoil, ..)) in CASES.iter().enumerate() {
        if matches!(spoil, Spoil::ReadOnly | Spoil::Full) {
            let disk = Image::make(&dir.join(format!("{spoil:?}")), DISK_BYTES).await?;
            let state = state_dir(&unit_dir, at);
            fs::create_dir_all(state.parent().context("a folder in a folder")?)?;
            std::os::unix::fs::symlink(&disk.at, state)?;
            disks.push((*spoil, disk));
        }
    }
    let sent: Vec<Sent> = CASES.iter().map(|_| Sent::default()).collect();
    let plan = Plan {
        binaries: programs,
        dir: unit_dir,
        beds: sent.iter().enumerate().map(|(at, sent)| counting_bed(at, sent.clone())).collect(),
        http_port: None,
        broker: None,
        detours: Vec::new(),
    };
    let mut unit = Unit::start(&plan, |_| ()).await?;
    tokio::time::sleep(RECORDING).await;
    for agent in &mut unit.agents {
        ensure!(agent.stop().await? == 0, "{} did not stop cleanly", agent.name());
    }
    let mut random = Random::new(1);
    for (at, (spoil, ..)) in CASES.iter().enumerate() {
        let disk = disks.iter().find(|(of, _)| of == spoil).map(|(_, disk)| disk);
        do_spoil(*spoil, &state_dir(&unit.dir, at), disk, &mut random).await?;
        if *spoil == Spoil::Foreign {
            as_nobody(&mut unit, at)?;
        }
    }
    let station = unit.station().await?;
    let begin = unit.clock.now();
    unit.agents.iter_mut().try_for_each(Process::start)?;
    let mut found = Vec::new();
    for (agent, (_, case, _)) in unit.agents.iter_mut().zip(CASES) {
        found.push(Found { case, ready: agent.ready_within(LIVE_WITHIN).await?, ..Found::default() });
    }
    let deadline = unit.clock.now().mono + LIVE_WITHIN;
    while !found.iter().all(Found::is_right) && unit.clock.now().mono < deadline {
        tokio::time::sleep(LOOK_EVERY).await;
        for (at, line) in found.iter_mut().enumerate().filter(|(_, line)| !line.is_right()) {
            let bed = station.get(&format!("/api/v1/beds/{:02}", at + 1)).await?;
            if line.live.is_none() && has_value_since(&bed, begin.wall.0 / 1000) {
                line.live = Some(unit.clock.now().mono.since(begin.mono));
            }
            line.at_hub = technical(&bed);
            line.status = store_words(&unit, at).await?;
            line.is_said = is_said(CASES[at].2, line);
        }
    }
    let full = CASES.iter().position(|(spoil, ..)| *spoil == Spoil::Full).context("a case")?;
    fs::remove_file(state_dir(&unit.dir, full).join(FILLER))?;
    let freed = unit.clock.now().mono;
    let mut after_room = store_words(&unit, full).await?;
    while !after_room.is_empty() && unit.clock.now().mono.since(freed) < LIVE_WITHIN {
        tokio::time::sleep(LOOK_EVERY).await;
        after_room = store_words(&unit, full).await?;
    }
    let ledgers = drain(&unit, &sent[..CASES.len() - FORGETFUL]).await?;
    drop(unit);
    Ok(Outcome { found, after_room, ledgers })
}

pub const FILLER: &str = "filler";

async fn do_spoil(spoil: Spoil, state: &Path, disk: Option<&Image>, random: &mut Random) -> Result<()> {
    let log = state.join("log.db");
    let length = fs::metadata(&log)?.len() as usize;
    let mut noise = |length: usize| -> Vec<u8> { (0..length).map(|_| random.next() as u8).collect() };
    match spoil {
        Spoil::Zeros => fs::write(log, vec![0; length])?,
        Spoil::Halved => fs::File::options().write(true).open(log)?.set_len(length as u64 / 2)?,
        Spoil::Noise => fs::write(log, noise(length))?,
        Spoil::NoiseInside => {
            let mut bytes = fs::read(&log)?;
            let head = 1024.min(length);
            bytes[head..].copy_from_slice(&noise(length - head));
            fs::write(log, bytes)?;
        }
        Spoil::Empty => fs::write(log, [])?,
        Spoil::NoiseInWal => fs::write(state.join("log.db-wal"), noise(100_000))?,
        Spoil::Newer => Connection::open(log)?.pragma_update(None, "user_version", 99)?,
        Spoil::Folder => {
            fs::remove_file(&log)?;
            fs::create_dir(log)?;
        }
        Spoil::ReadOnly => disk.context("a disk of its own")?.remount("ro").await?,
        Spoil::Full => fill(&state.join(FILLER))?,
        Spoil::Foreign => fs::set_permissions(state, fs::Permissions::from_mode(0o700))?,
        Spoil::StateIsFile => {
            fs::remove_dir_all(state)?;
            fs::write(state, "not a folder")?;
        }
        Spoil::Missing => fs::remove_dir_all(state)?,
    }
    Ok(())
}

/// Until the disk takes no byte more.
pub fn fill(path: &Path) -> Result<()> {
    use std::io::Write as _;
    let mut file = fs::File::create(path)?;
    for piece in [1 << 16, 1] {
        while file.write_all(&vec![7; piece]).is_ok() {}
    }
    // What does not fit is said at the latest here.
    let _ = file.sync_all();
    Ok(())
}

/// The agent runs as a user who may do everything it needs but enter its state folder, which is root's.
fn as_nobody(unit: &mut Unit, at: usize) -> Result<()> {
    let place = unit.dir.join(unit.agents[at].name());
    chown(&place, Some(NOBODY), Some(NOBODY))?;
    for entry in fs::read_dir(&place)?.map(|entry| entry.map(|entry| entry.path())) {
        let entry = entry?;
        // With the link goes the terminal that it names.
        if !entry.ends_with("state") {
            chown(entry, Some(NOBODY), Some(NOBODY))?;
        }
    }
    let user = NOBODY.to_string();
    let as_user = ["--reuid", &user, "--regid", &user, "--clear-groups"];
    let process = unit.agents.remove(at).started_by(Path::new("setpriv"), &as_user);
    unit.agents.insert(at, process);
    Ok(())
}

fn state_dir(unit: &Path, at: usize) -> PathBuf {
    unit.join(format!("gw-{:02}/state", at + 1))
}

fn has_value_since(bed: &Value, since_ms: i64) -> bool {
    let values = bed["values"].as_array().map(Vec::as_slice).unwrap_or_default();
    values.iter().any(|value| value["at_ms"].as_i64().is_some_and(|at| at > since_ms))
}

/// The texts of the bed's technical alarms as a station shows them.
fn technical(bed: &Value) -> String {
    let alarms = bed["alarms"].as_array().map(Vec::as_slice).unwrap_or_default();
    let texts = alarms.iter().filter(|alarm| alarm["rule"] == "store-trouble");
    texts.filter_map(|alarm| alarm["text"].as_str()).collect::<Vec<_>>().join(" | ")
}

/// What `edge-agent status` says about the store; nothing if all is well.
async fn store_words(unit: &Unit, at: usize) -> Result<String> {
    let config = unit.dir.join(unit.agents[at].name()).join("agent.toml");
    let program = unit.dir.with_file_name("programs/edge-agent");
    let status = output(&program, ["status".as_ref(), "--config".as_ref(), config.as_os_str()]).await?;
    Ok(status.lines().find_map(|line| line.strip_prefix("store")).unwrap_or_default().trim().to_owned())
}

fn is_said(says: Says, line: &Found) -> bool {
    let both = |words: &str| line.status.contains(words) && line.at_hub.contains(words);
    match says {
        Says::SetAside => both("OLD LOG set aside"),
        Says::MemoryOnly => both("memory only"),
        Says::DiskFull => both("DISK FULL"),
        Says::Nothing => line.status.is_empty() && line.at_hub.is_empty(),
    }
}

fn or_nothing(words: &str) -> &str {
    if words.is_empty() { "nothing more to say" } else { words }
}
