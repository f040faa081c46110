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

    pub fn since(&self, before: &Self) -> PerSecond {
        let seconds = self.at.since(before.at).as_secs_f64();
        PerSecond {
            cpu_ns: (self.cpu_ns - before.cpu_ns) / seconds,
            wakeups: (self.wakeups - before.wakeups) / seconds,
            written_bytes: (self.written - before.written) / seconds,
        }
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
