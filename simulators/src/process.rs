//! One real process of ours, started by path, its log in a file, killed by nobody but us.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long a daemon may take to stop when asked.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Process {
    name: String,
    binary: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    pub fn new(name: &str, binary: &Path, arguments: &[&str], log: &Path) -> Self {
        Self {
            name: name.to_owned(),
            binary: binary.to_owned(),
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            log: log.to_owned(),
            child: None,
        }
    }

    pub fn start(&mut self) -> Result<()> {
        let open = || File::options().create(true).append(true).open(&self.log);
        let (out, err) = (open()?, open()?);
        let child = Command::new(&self.binary)
            .args(&self.arguments)
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
