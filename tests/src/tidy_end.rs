//! A long run that is stopped by a signal leaves nothing behind: no process that it started, no disk that it mounted, no folder.
//!
//! Where the machine allows it the whole run has a mount namespace of its own, so that its disks are gone with its last process however it ends.

use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Set in the namespace, so that it is entered once.
const INSIDE: &str = "COTSIDE_OWN_MOUNTS";
/// Children may start children while they are killed.
const ROUNDS: u32 = 20;
const ROUND: Duration = Duration::from_millis(50);
/// As a shell says that a signal ended a program: 128 and its number.
const ENDED_BY: i32 = 128;

/// The first thing that such a program does.
pub fn leave_nothing_behind() -> Result<()> {
    enter_own_mounts();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut terminated, mut interrupted) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let wait = move || {
        let number = runtime.block_on(async {
            tokio::select! {
                _ = terminated.recv() => SignalKind::terminate(),
                _ = interrupted.recv() => SignalKind::interrupt(),
            }
        });
        clean_up();
        std::process::exit(ENDED_BY + number.as_raw_value());
    };
    thread::Builder::new().name("tidy-end".into()).spawn(wait).context("no thread can be started")?;
    Ok(())
}

/// Becomes the same program in a mount namespace of its own; goes on as it is where that is not allowed.
fn enter_own_mounts() {
    let Ok(own) = std::env::current_exe() else { return };
    let unshare = ["--mount", "--propagation", "private"];
    let is_allowed = || {
        Command::new("unshare")
            .args(unshare)
            .arg("true")
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|ended| ended.success())
    };
    if std::env::var_os(INSIDE).is_none() && is_allowed() {
        // Returns only if it fails.
        let _ = Command::new("unshare")
            .args(unshare)
            .arg(own)
            .args(std::env::args_os().skip(1))
            .env(INSIDE, "1")
            .exec();
    }
}

fn clean_up() {
    for _ in 0..ROUNDS {
        let children = descendants();
        if children.is_empty() {
            break;
        }
        let killed = Command::new("kill")
            .arg("-KILL")
            .args(children.iter().map(ToString::to_string))
            .stderr(Stdio::null())
            .status();
        // One that is gone already is what was wanted.
        let _ = killed;
        thread::sleep(ROUND);
    }
    let folders = folders();
    for mounted in mounts_below(&folders) {
        let _ = Command::new("umount").arg("--lazy").arg(mounted).stderr(Stdio::null()).status();
    }
    for folder in folders {
        let _ = fs::remove_dir_all(folder);
    }
}

/// What this process started, and what that started, as far as it is alive.
fn descendants() -> BTreeSet<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // Behind the name, which may hold anything: state and parent.
            let mut words = stat.rsplit_once(')')?.1.split_whitespace();
            let is_dead = words.next()? == "Z";
            (!is_dead).then_some((pid, words.next()?.parse().ok()?))
        })
        .collect();
    let mut found = BTreeSet::from([std::process::id()]);
    loop {
        let more: Vec<u32> = parents
            .iter()
            .filter(|(pid, parent)| found.contains(parent) && !found.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if more.is_empty() {
            break;
        }
        found.extend(more);
    }
    found.remove(&std::process::id());
    found
}

/// The folders of this run: their names end in its number.
fn folders() -> Vec<PathBuf> {
    let end = format!("-{}", std::process::id());
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().filter_map(Result::ok);
    let is_ours = |entry: &fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("cotside-") && name.ends_with(&end)
    };
    entries.filter(is_ours).map(|entry| entry.path()).collect()
}

fn mounts_below(folders: &[PathBuf]) -> Vec<PathBuf> {
    let all = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let places = all.lines().filter_map(|line| line.split_whitespace().nth(4)).map(PathBuf::from);
    places.filter(|place| folders.iter().any(|folder| place.starts_with(folder))).collect()
}

/// What there is of a run: processes that name its folders, disks in them, the folders.
pub fn traces_of(run: u32) -> Vec<String> {
    let end = format!("-{run}");
    let is_named = |text: &str| {
        let words = text.split(|letter: char| letter == '/' || letter == '\0' || letter.is_whitespace());
        words.into_iter().any(|word| word.starts_with("cotside-") && word.ends_with(&end))
    };
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
    let entries = |folder: &str| fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let processes = entries("/proc").map(|entry| read(entry.path().join("cmdline")));
    let disks = entries("/sys/block").map(|entry| read(entry.path().join("loop/backing_file")));
    let temporary = std::env::temp_dir().to_string_lossy().into_owned();
    let folders = entries(&temporary).map(|entry| entry.file_name().to_string_lossy().into_owned());
    processes.chain(disks).chain(folders).filter(|text| is_named(text)).collect()
}
