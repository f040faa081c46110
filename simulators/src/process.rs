//! One real process of ours, started by path, its log in a file, its readiness heard as systemd hears it, killed by nobody but us.

use anyhow::{Context, Result, bail};
use cotside_systemd::clock::Clock;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// How long a daemon may take to stop when asked.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// The word of sd_notify(3).
const READY: &str = "READY=1";
const NOTICE_BYTES_MAX: usize = 256;

#[derive(Debug)]
pub struct Process {
    name: String,
    binary: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
    /// How long this life of it took to say that it is ready.
    ready: watch::Receiver<Option<Duration>>,
}

impl Process {
    pub fn new(name: &str, binary: &Path, arguments: &[&str], log: &Path) -> Self {
        Self {
            name: name.to_owned(),
            binary: binary.to_owned(),
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            log: log.to_owned(),
            child: None,
            ready: watch::channel(None).1,
        }
    }

    /// The same program started by another one, which ends in becoming it (`ip netns exec`, `setpriv`).
    #[must_use]
    pub fn started_by(mut self, program: &Path, arguments: &[&str]) -> Self {
        let own = std::mem::replace(&mut self.binary, program.to_owned());
        let before = arguments.iter().map(|word| (*word).to_owned());
        self.arguments = before.chain([own.to_string_lossy().into_owned()]).chain(self.arguments).collect();
        self
    }

    pub fn start(&mut self) -> Result<()> {
        let open = || File::options().create(true).append(true).open(&self.log);
        let (out, err) = (open()?, open()?);
        let notices = self.log.with_extension("notices");
        self.ready = listen(&notices)?;
        let child = Command::new(&self.binary)
            .args(&self.arguments)
            .env("NOTIFY_SOCKET", &notices)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        self.child = Some(child);
        Ok(())
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of the log, for an error that says what happened.
    pub fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// How long it took from its start until it said that it is ready; an error if it ends before, or is not ready after `patience`.
    pub async fn ready_within(&mut self, patience: Duration) -> Result<Duration> {
        let mut ready = self.ready.clone();
        let said = tokio::time::timeout(patience, ready.wait_for(Option::is_some)).await;
        match said {
            Ok(Ok(after)) => after.context("a readiness without its time"),
            _ if !self.is_running() => bail!("{} refused to start\n{}", self.name, self.last_words()),
            _ => bail!("{} was not ready within {patience:?}\n{}", self.name, self.last_words()),
        }
    }

    /// True while it runs.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// SIGKILL: what a power cut or the kernel's memory killer does.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await.with_context(|| format!("cannot kill {}", self.name))?;
        }
        Ok(())
    }

    /// SIGTERM, and its exit code.
    pub async fn stop(&mut self) -> Result<i32> {
        let Some(mut child) = self.child.take() else { return Ok(0) };
        if let Some(pid) = child.id() {
            // The standard library cannot send SIGTERM; `kill` is in every Debian.
            Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
        }
        match tokio::time::timeout(STOP_PATIENCE, child.wait()).await {
            Ok(status) => Ok(status?.code().unwrap_or(-1)),
            Err(_) => {
                child.kill().await?;
                bail!("{} did not stop within {STOP_PATIENCE:?}\n{}", self.name, self.last_words())
            }
        }
    }
}

/// Hears when the process that is about to start says that it is ready.
fn listen(at: &Path) -> Result<watch::Receiver<Option<Duration>>> {
    let _ = std::fs::remove_file(at);
    let socket = UnixDatagram::bind(at).with_context(|| format!("cannot listen on {}", at.display()))?;
    // Whoever it runs as.
    std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o666))?;
    let clock = Clock::start();
    let begin = clock.now().mono;
    let (say, ready) = watch::channel(None);
    tokio::spawn(async move {
        let mut notice = [0; NOTICE_BYTES_MAX];
        loop {
            tokio::select! {
                () = say.closed() => return,
                read = socket.recv(&mut notice) => match read {
                    Ok(count) if String::from_utf8_lossy(&notice[..count]).contains(READY) => {
                        say.send_replace(Some(clock.now().mono.since(begin)));
                        return;
                    }
                    Ok(_) => {}
                    Err(_) => return,
                },
            }
        }
    });
    Ok(ready)
}

/// Runs a command to its end; its standard output, or an error with what it said.
pub async fn output(binary: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String> {
    let output = Command::new(binary).args(arguments).stdin(Stdio::null()).output().await;
    let output = output.with_context(|| format!("cannot start {}", binary.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{} failed: {text}{}", binary.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}
