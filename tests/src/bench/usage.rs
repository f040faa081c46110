//! What a process costs, as the kernel counts it: CPU time, wake-ups, memory, bytes written.

use anyhow::{Context, Result};
use cotside_protocol::model::Mono;
use std::fs;

/// The counters of one process at one instant.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    at: Mono,
    cpu_ns: f64,
    wakeups: f64,
    written: f64,
    pub rss_bytes: f64,
}

/// What a second of it cost between two looks.
#[derive(Clone, Copy, Debug)]
pub struct PerSecond {
    pub cpu_ns: f64,
    pub wakeups: f64,
    pub written_bytes: f64,
}

/// What was spent between two looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    pub seconds: f64,
    pub cpu_s: f64,
    pub written_bytes: f64,
}

impl Usage {
    pub fn of(pid: u32, at: Mono) -> Result<Self> {
        let process = format!("/proc/{pid}");
        let (mut cpu_ns, mut wakeups) = (0.0, 0.0);
        for task in fs::read_dir(format!("{process}/task"))?.flatten() {
            // A thread may end while we look; it was one that had nothing to do.
            let Ok(times) = fs::read_to_string(task.path().join("schedstat")) else { continue };
            let Ok(status) = fs::read_to_string(task.path().join("status")) else { continue };
            cpu_ns += number(times.split_whitespace().next())?;
            wakeups += field(&status, "voluntary_ctxt_switches:")?;
        }
        let io = fs::read_to_string(format!("{process}/io"))?;
        let status = fs::read_to_string(format!("{process}/status"))?;
        Ok(Self {
            at,
            cpu_ns,
            wakeups,
            written: field(&io, "write_bytes:")?,
            rss_bytes: field(&status, "VmRSS:")? * 1024.0,
        })
    }

    /// The counters of a process that is yet to begin.
    pub fn nothing(at: Mono) -> Self {
        Self { at, cpu_ns: 0.0, wakeups: 0.0, written: 0.0, rss_bytes: 0.0 }
    }

    pub fn spent_since(&self, before: &Self) -> Spent {
        Spent {
            seconds: self.at.since(before.at).as_secs_f64(),
            cpu_s: (self.cpu_ns - before.cpu_ns) / 1e9,
            written_bytes: self.written - before.written,
        }
    }

    pub fn since(&self, before: &Self) -> PerSecond {
        let seconds = self.at.since(before.at).as_secs_f64();
        PerSecond {
            cpu_ns: (self.cpu_ns - before.cpu_ns) / seconds,
            wakeups: (self.wakeups - before.wakeups) / seconds,
            written_bytes: (self.written - before.written) / seconds,
        }
    }
}

impl Spent {
    /// How many cores were busy with it.
    pub fn cores(&self) -> f64 {
        self.cpu_s / self.seconds
    }
}

impl std::iter::Sum for Spent {
    /// Of processes that ran side by side.
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            seconds: sum.seconds.max(one.seconds),
            cpu_s: sum.cpu_s + one.cpu_s,
            written_bytes: sum.written_bytes + one.written_bytes,
        })
    }
}

impl PerSecond {
    pub fn cpu_s_an_hour(&self) -> f64 {
        self.cpu_ns * 3600.0 / 1e9
    }
}

fn field(text: &str, name: &str) -> Result<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    number(value.and_then(|value| value.split_whitespace().next())).with_context(|| name.to_owned())
}

fn number(text: Option<&str>) -> Result<f64> {
    Ok(text.context("a counter is missing")?.parse()?)
}
