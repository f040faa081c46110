//! Hub stores as the operator finds them: spoilt, foreign, read-only, full, gone. The hub ends at once, says what to do, and has left everything as it was.

use crate::bad_store::{FILLER, fill};
use crate::image::Image;
use anyhow::{Context, Result, ensure};
use cotside_simulators::newborn::Random;
use cotside_simulators::process::output;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// What is done to the hub's folder while it is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoil {
    Zeros,
    Halved,
    Noise,
    NoiseBehindTheHead,
    NoiseInRegister,
    Empty,
    Missing,
    Newer,
    OtherTables,
    Folder,
    ReadOnly,
    Forbidden,
    Full,
}

/// What the hub has to say, in the words that people read.
const CASES: [(Spoil, &str, &[&str]); 13] = [
    (Spoil::Zeros, "store of zeros", &["DAMAGED", "newest backup"]),
    (Spoil::Halved, "store cut in the middle", &["DAMAGED", "newest backup"]),
    (Spoil::Noise, "store of random bytes", &["DAMAGED", "newest backup"]),
    (Spoil::NoiseBehindTheHead, "random bytes behind a sound head", &["DAMAGED", "newest backup"]),
    (Spoil::NoiseInRegister, "random bytes in the register of agents", &["DAMAGED", "newest backup"]),
    (Spoil::Empty, "store of no bytes", &["EMPTY", "newest backup"]),
    (Spoil::Missing, "no store", &["there is no store", "newest backup"]),
    (Spoil::Newer, "written by a newer release", &["newer release (schema 99", "install that release"]),
    (Spoil::OtherTables, "another program's database", &["no hub's store", "data_dir"]),
    (Spoil::Folder, "the store is a folder", &["it is a folder"]),
    (Spoil::ReadOnly, "read-only filesystem", &["mounted read-only", "mount it for writing"]),
    (Spoil::Forbidden, "another user's store", &["user 65534 may not use", "of user 0", "chown"]),
    (Spoil::Full, "full disk before the first start", &["FULL", "make room"]),
];

/// EX_IOERR of sysexits.h.
const EXIT_IO: i32 = 74;
/// A refusal takes no longer, whatever is in the file.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
const DISK_BYTES: u64 = 16 << 20;
/// Debian's nobody and nogroup.
const NOBODY: &str = "65534";

/// One line of the table.
#[derive(Debug)]
pub struct Found {
    case: &'static str,
    /// Of `serve` and of `check`; None: it ran on.
    exits: [Option<i32>; 2],
    said: String,
    is_said: bool,
    /// Every byte of the folder is as it was.
    is_untouched: bool,
}

impl Found {
    pub fn is_right(&self) -> bool {
        self.exits == [Some(EXIT_IO); 2] && self.is_said && self.is_untouched
    }
}

pub fn table(found: &[Found]) -> String {
    let mut out = String::new();
    for Found { case, exits, said, is_said, is_untouched } in found {
        let said_mark = if *is_said { "" } else { "NOT AS EXPECTED " };
        let touched = if *is_untouched { "left as it was" } else { "CHANGED" };
        let _ = writeln!(out, "{case:<40} serve, check: {exits:?}; {touched} {said_mark}\n    {said}");
    }
    out
}

pub async fn run(binaries: &Path, dir: &Path) -> Result<Vec<Found>> {
    // Nobody may look into the folder of whoever builds.
    let program = dir.join("central-hub");
    fs::create_dir_all(dir)?;
    fs::copy(binaries.join("central-hub"), &program)?;
    let whole = dir.join("whole");
    output(&program, ["quickstart".as_ref(), whole.as_os_str()]).await?;
    let mut random = Random::new(1);
    let mut found = Vec::new();
    for (spoil, case, words) in CASES {
        let place = dir.join(format!("{spoil:?}"));
        let needs_disk = matches!(spoil, Spoil::ReadOnly | Spoil::Full);
        let disk = if needs_disk { Some(Image::make(&place, DISK_BYTES).await?) } else { None };
        let data = disk.as_ref().map_or_else(|| place.join("hub"), |disk| disk.at.join("hub"));
        copy(&whole, &data)?;
        // Beside the folder, so that what is wrong with the folder is not in the way of the configuration.
        let config = place.join("hub.toml");
        fs::write(&config, configuration(&data))?;
        do_spoil(spoil, &data, disk.as_ref(), &mut random).await?;
        let before = content(&data)?;
        let mut exits = [None; 2];
        let mut said = String::new();
        for (command, exit) in ["serve", "check"].iter().zip(&mut exits) {
            let text;
            (*exit, text) = ends(&program, command, &config, spoil == Spoil::Forbidden).await?;
            if said.is_empty() {
                said = text;
            }
        }
        let is_untouched = before == content(&data)?;
        let is_said = words.iter().all(|words| said.contains(words));
        found.push(Found { case, exits, said, is_said, is_untouched });
    }
    Ok(found)
}

/// How it ends, if it does, and its last line.
async fn ends(
    program: &Path,
    command: &str,
    config: &Path,
    as_nobody: bool,
) -> Result<(Option<i32>, String)> {
    let mut asked = Command::new(program);
    if as_nobody {
        asked = Command::new("setpriv");
        asked.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(program);
    }
    asked.args([command, "--config"]).arg(config).stdin(Stdio::null()).kill_on_drop(true);
    let Ok(ended) = tokio::time::timeout(ENDS_WITHIN, asked.output()).await else {
        return Ok((None, "it ran on".to_owned()));
    };
    let ended = ended?;
    let text = String::from_utf8_lossy(&ended.stderr).into_owned();
    let last = text.lines().last().unwrap_or_default().trim_start_matches("central-hub: ").to_owned();
    Ok((ended.status.code(), last))
}

fn configuration(data: &Path) -> String {
    format!(
        "data_dir = \"{}\"\n[unit]\nbeds = [\"01\"]\n[agents]\nmqtt = \"127.0.0.1:0\"\nenrolment = \"127.0.0.1:0\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\nsecurity = \"plain\"\n",
        data.display()
    )
}

async fn do_spoil(spoil: Spoil, data: &Path, disk: Option<&Image>, random: &mut Random) -> Result<()> {
    let store = data.join("hub.db");
    let length = fs::metadata(&store)?.len() as usize;
    let mut noise = |length: usize| -> Vec<u8> { (0..length).map(|_| random.next() as u8).collect() };
    match spoil {
        Spoil::Zeros => fs::write(store, vec![0; length])?,
        Spoil::Halved => fs::File::options().write(true).open(store)?.set_len(length as u64 / 2)?,
        Spoil::Noise => fs::write(store, noise(length))?,
        Spoil::NoiseBehindTheHead => {
            let mut bytes = fs::read(&store)?;
            bytes[1024..].copy_from_slice(&noise(length - 1024));
            fs::write(store, bytes)?;
        }
        Spoil::NoiseInRegister => {
            let (page, size) = {
                let db = Connection::open(&store)?;
                let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'agents'";
                let page: i64 = db.query_row(root, [], |row| row.get(0))?;
                let size: i64 = db.pragma_query_value(None, "page_size", |row| row.get(0))?;
                (usize::try_from(page)?, usize::try_from(size)?)
            };
            let mut bytes = fs::read(&store)?;
            bytes[(page - 1) * size..page * size].copy_from_slice(&noise(size));
            fs::write(store, bytes)?;
        }
        Spoil::Empty => fs::write(store, [])?,
        Spoil::Missing => fs::remove_file(store)?,
        Spoil::Newer => Connection::open(store)?.pragma_update(None, "user_version", 99)?,
        Spoil::OtherTables => {
            fs::remove_file(&store)?;
            Connection::open(store)?.execute_batch("CREATE TABLE invoices(amount INTEGER)")?;
        }
        Spoil::Folder => {
            fs::remove_file(&store)?;
            fs::create_dir(store)?;
        }
        Spoil::ReadOnly => disk.context("a disk of its own")?.remount("ro").await?,
        Spoil::Forbidden => fs::set_permissions(store, fs::Permissions::from_mode(0o600))?,
        Spoil::Full => fill(&disk.context("a disk of its own")?.at.join(FILLER))?,
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        ensure!(entry.file_type()?.is_file(), "a hub's folder holds files only");
        let target = to.join(entry.file_name());
        fs::copy(entry.path(), &target)?;
        // Its keys too, so that nothing but the store is in nobody's way.
        fs::set_permissions(target, fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

/// Every file of the folder with its bytes; what SQLite lays beside a store that it opens is no part of it.
fn content(data: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(data)? {
        let path = entry?.path();
        let is_scratch = ["-wal", "-shm", ".reserve"].iter().any(|end| path.to_string_lossy().ends_with(end));
        if !is_scratch {
            let bytes = if path.is_dir() { Vec::new() } else { fs::read(&path)? };
            all.insert(path, bytes);
        }
    }
    Ok(all)
}
