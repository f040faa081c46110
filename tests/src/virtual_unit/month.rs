//! Days of a whole unit in minutes: slow devices, and every outage that a hospital has; what of it is at the hub in the end.

use super::weather::Weather;
use super::{DAY, Findings, Scenario};
use crate::figures::Figures;
use crate::ledger::Ledger;
use anyhow::Result;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// The last outage may have lasted for days: its backlog needs a while.
const CALM: Duration = Duration::from_secs(1200);

pub struct Month {
    pub beds: usize,
    pub days: u32,
    pub seed: u64,
}

/// What became of it.
pub struct Record {
    pub found: Findings,
    line_every: Duration,
}

impl Month {
    /// `watch` hears of every day that is over.
    pub fn run(&self, dir: &Path, watch: &mut dyn FnMut(u32)) -> Result<Record> {
        let weather = Weather::month(u32::try_from(self.beds)?);
        let line_every = weather.line_every;
        let length = DAY * self.days;
        let scenario = Scenario {
            seed: self.seed,
            beds: self.beds,
            weather,
            length,
            cuts: 0,
            calm: CALM,
            dir: dir.into(),
        };
        Ok(Record { found: scenario.run_watched(watch)?, line_every })
    }
}

impl Record {
    fn seconds(&self, lines: u64) -> u64 {
        lines * self.line_every.as_secs()
    }

    /// What is at the hub, of what a gateway heard and had the time to write.
    fn completeness(ledger: &Ledger) -> f64 {
        let missing = ledger.lost.len() as u64;
        ledger.once as f64 / (ledger.once + missing).max(1) as f64
    }

    pub fn completeness_min(&self) -> f64 {
        self.found.ledgers.iter().map(|(_, ledger)| Self::completeness(ledger)).fold(1.0, f64::min)
    }

    pub fn unexplained_seconds(&self) -> u64 {
        self.found.ledgers.iter().map(|(_, ledger)| self.seconds(ledger.lost.len() as u64)).sum()
    }

    /// Each bed's seconds, by what became of them.
    pub fn table(&self) -> String {
        let found = &self.found;
        let mut out = format!(
            "{:.1} days: gateways without power or killed {}, stopped {}; hub off or killed {}; networks cut {}; cables pulled {}\n",
            found.lasted.as_secs_f64() / DAY.as_secs_f64(),
            found.kills,
            found.stops,
            found.hub_kills,
            found.network_cuts,
            found.cable_pulls
        );
        let _ = writeln!(
            out,
            "{:<8} {:>10} {:>10} {:>10}  missing seconds by cause",
            "bed", "seconds", "at the hub", "complete"
        );
        for (bed, ledger) in &found.ledgers {
            let mut causes: BTreeMap<&str, u64> = ledger.gaps.clone();
            causes.insert("unexplained", ledger.lost.len() as u64);
            let causes: Vec<String> =
                causes.iter().map(|(cause, lines)| format!("{cause} {}", self.seconds(*lines))).collect();
            let _ = writeln!(
                out,
                "{bed:<8} {:>10} {:>10} {:>9.4}%  {}",
                self.seconds(ledger.sent),
                self.seconds(ledger.once),
                Self::completeness(ledger) * 100.0,
                causes.join(", ")
            );
        }
        out
    }

    pub fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        figures.alone(
            "month-completeness-min",
            self.completeness_min(),
            "",
            "the worst bed, of what its gateway could write",
        );
        figures.alone(
            "month-unexplained-seconds",
            self.unexplained_seconds() as f64,
            "s",
            "missing without a true cause",
        );
        figures
    }
}
