//! Histories by the hundred, one seed each, on as many threads as there are cores; what they found, added up.

use super::weather::Weather;
use super::{At, Findings, Scenario};
use crate::figures::Figures;
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Power cuts in one history: enough that one comes down on the traces of another.
const CUTS_EACH: u32 = 40;
const BEDS: usize = 2;
/// Everything must arrive in this time without faults.
const CALM: Duration = Duration::from_secs(60);

/// What a campaign came to.
#[derive(Debug, Default)]
pub struct Outcome {
    pub histories: u64,
    pub cuts: u64,
    pub cuts_at: BTreeMap<At, u64>,
    pub kills: u64,
    pub network_cuts: u64,
    pub cable_pulls: u64,
    pub clock_jumps: u64,
    pub hub_refusals: u64,
    pub restores: u64,
    pub lasted: Duration,
    pub said: u64,
    pub once: u64,
    pub gaps: BTreeMap<&'static str, u64>,
    pub lost: u64,
    pub twice: u64,
    pub invented: u64,
    pub refused_starts: u64,
    /// The first seed whose history broke a rule, and the rules.
    pub broken: Option<(u64, Vec<String>)>,
}

/// The history of power cuts that belongs to a seed.
pub fn power_cuts(seed: u64, dir: PathBuf) -> Scenario {
    let weather = Weather::power_cuts(seed);
    Scenario { seed, beds: BEDS, weather, length: Duration::ZERO, cuts: CUTS_EACH, calm: CALM, dir }
}

/// Runs seeds from 1 on until there are as many cuts; only one seed, if it is given.
pub fn run(cuts: u64, only: Option<u64>, threads: usize, dir: &Path) -> Result<Outcome> {
    let last = cuts.div_ceil(CUTS_EACH.into());
    let next = AtomicU64::new(only.unwrap_or(1));
    let outcome = Mutex::new(Outcome::default());
    let work = || -> Result<()> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > only.unwrap_or(last) {
                return Ok(());
            }
            let scenario = power_cuts(seed, dir.join(seed.to_string()));
            let found = scenario.run()?;
            if found.broken.is_empty() {
                std::fs::remove_dir_all(&scenario.dir)?;
            }
            outcome.lock().expect("a thread that panicked ends the campaign").add(seed, found);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("the panic was printed"))
    })?;
    Ok(outcome.into_inner().expect("every thread has ended"))
}

impl Outcome {
    fn add(&mut self, seed: u64, found: Findings) {
        self.histories += 1;
        self.cuts += u64::from(found.cuts + found.hub_cuts);
        found
            .cuts_at
            .iter()
            .for_each(|(at, count)| *self.cuts_at.entry(*at).or_default() += u64::from(*count));
        self.kills += u64::from(found.kills + found.hub_kills);
        self.network_cuts += u64::from(found.network_cuts);
        self.cable_pulls += u64::from(found.cable_pulls);
        self.clock_jumps += u64::from(found.clock_jumps);
        self.hub_refusals += u64::from(found.hub_refusals);
        self.restores += u64::from(found.restores);
        self.refused_starts += u64::from(found.refused_starts);
        self.lasted += found.lasted;
        for (_, ledger) in &found.ledgers {
            self.said += ledger.sent;
            self.once += ledger.once;
            self.lost += ledger.lost.len() as u64;
            self.twice += ledger.twice;
            self.invented += ledger.invented;
            ledger.gaps.iter().for_each(|(cause, count)| *self.gaps.entry(cause).or_default() += count);
        }
        if !found.broken.is_empty() && self.broken.as_ref().is_none_or(|(first, _)| seed < *first) {
            self.broken = Some((seed, found.broken));
        }
    }

    pub fn lines(&self) -> String {
        format!(
            "{} power cuts in {} histories of {BEDS} beds, {:.1} h in all: {:?}\n\
             beside them: kills {}, network cuts {}, cables pulled {}, clocks set {}, commits refused by a full hub {}, hubs set back {}\n\
             lines said {}, once at the hub {}, in gaps {:?}, lost {}, twice {}, invented {}; refused starts {}",
            self.cuts,
            self.histories,
            self.lasted.as_secs_f64() / 3600.0,
            self.cuts_at,
            self.kills,
            self.network_cuts,
            self.cable_pulls,
            self.clock_jumps,
            self.hub_refusals,
            self.restores,
            self.said,
            self.once,
            self.gaps,
            self.lost,
            self.twice,
            self.invented,
            self.refused_starts
        )
    }

    pub fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        let mut count = |name, value: u64, what| figures.alone(name, value as f64, "", what);
        count("power-cuts-run", self.cuts, "in virtual time, at any byte of a store's call");
        count("power-cuts-lost", self.lost, "lines missing without a true cause");
        count("power-cuts-twice", self.twice, "lines at the hub more than once");
        count("power-cuts-invented", self.invented, "lines at the hub that no session heard");
        count("power-cuts-refused-starts", self.refused_starts, "starts that did not take up the log");
        figures
    }
}
