//! A unit of beds in virtual time: real sessions, peers, beds, logs, outboxes and intake, joined by bad cables and a lossy network, from one seed.
//!
//! The cores are the product's own; only the shells are replaced by this loop, which goes from one deadline to the next. Logs and the
//! hub's store are real SQLite files, whose power is cut to the byte. One seed gives one history.

mod bed;
pub mod campaign;
mod disk;
mod hub;
mod line;
pub mod month;
mod network;
mod oracle;
pub mod weather;

use self::bed::{AgentClock, BedWorld};
pub use self::disk::At;
use self::hub::Hub;
use self::line::line;
use self::oracle::Trial;
use self::weather::{Devices, Misfortune, Way, Weather};

use crate::archive::Archive;
use crate::completeness;
use crate::counting::{CountingOximeter, Sent};
use crate::ledger::Ledger;
use anyhow::Result;
use cotside_central_hub::agents::inbound::{Inbound, Input as In, Output as Out, Receipt, Rules};
use cotside_central_hub::feed::Item;
use cotside_central_hub::store;
use cotside_central_hub::store::blocks::{self, Addition};
use cotside_central_hub::unit::{Roster, Unit};
use cotside_edge_agent::bed::{Bed, Input as BedIn, Kept, LinkSetup, Output as BedOut, Setup};
use cotside_edge_agent::row::{BedNotice, Heard, News};
use cotside_edge_agent::store::{Settings as LogSettings, Store as Log};
use cotside_edge_agent::uplink::{Input as BoxIn, Outbox, Output as BoxOut, Taken};
use cotside_protocol::device::{
    Driver, Input, Output, Path, Peer, PeerOptions, PeerOutput, Session, Settings,
};
use cotside_protocol::devices;
use cotside_protocol::model::{Mono, Now, Provenance, StoreToken, Tally, Wall};
use cotside_protocol::wire::downstream::{Ack, Alive, Welcome};
use cotside_protocol::wire::topic::{AgentId, Downstream, Upstream};
use cotside_protocol::wire::upstream::{LinkState, LinkStatus};
use cotside_simulators::cable::{Cable, Faults};
use cotside_simulators::newborn::{Episode, Newborn, Random, What};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const START: Now = Now { mono: Mono(1_000_000_000), wall: Wall(1_795_000_000_000_000) };
const NEVER: Mono = Mono(u64::MAX);
const SOFTWARE: &str = "edge-agent test";

const DAY: Duration = Duration::from_secs(86_400);
const STEP_MAX: Duration = Duration::from_secs(1);

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub beds: usize,
    pub weather: Weather,
    /// Faults end when both are reached; then everything has the calm to arrive in.
    pub length: Duration,
    pub cuts: u32,
    pub calm: Duration,
    /// Where logs and the hub's store lie; a memory filesystem is fastest.
    pub dir: PathBuf,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    pub ledgers: Vec<(String, Ledger)>,
    pub tally: Tally,
    pub lasted: Duration,
    pub reopened: u32,
    /// Power cuts of agents and of the hub, and where in a call of the store they fell.
    pub cuts: u32,
    pub hub_cuts: u32,
    pub cuts_at: BTreeMap<At, u32>,
    pub kills: u32,
    pub stops: u32,
    pub hub_kills: u32,
    pub network_cuts: u32,
    pub cable_pulls: u32,
    pub clock_jumps: u32,
    /// Commits that the hub's full disk refused.
    pub hub_refusals: u32,
    /// Older copies of the hub's store that were put back.
    pub restores: u32,
    pub refused_starts: u32,
    /// What the hub noticed about the epochs of logs, by its word.
    pub noticed: BTreeMap<String, u32>,
    /// What the hub told a person, by its word.
    pub told: BTreeMap<&'static str, u32>,
    /// Messages that a broker delivered once more.
    pub redelivered: u64,
    /// Rows that the hub has not acknowledged in the end.
    pub waiting: u64,
    /// Rules that did not hold, in words.
    pub broken: Vec<String>,
}

struct World<'a> {
    scenario: &'a Scenario,
    now: Now,
    random: Random,
    hub: Hub,
    beds: Vec<BedWorld>,
    findings: Findings,
    /// When each trouble of the weather comes next.
    troubles: Vec<Mono>,
    watch: &'a mut dyn FnMut(u32),
    days: u32,
}

/// What everybody in a step sees.
struct Scene<'a> {
    weather: &'a Weather,
    chance: Chance<'a>,
    hub_listens: bool,
    may_fail: bool,
    findings: &'a mut Findings,
}

struct Chance<'a> {
    random: &'a mut Random,
    weather: &'a Weather,
    may_fail: bool,
}

impl Chance<'_> {
    fn strays(&mut self) -> bool {
        self.may_fail && self.random.once_in(self.weather.stray_one_in)
    }

    /// Two to forty milliseconds.
    fn delay(&mut self) -> Duration {
        Duration::from_millis(2 + self.random.next() % 40)
    }

    /// How long after the first the same message comes again, if it does.
    fn redelivery(&mut self) -> Option<Duration> {
        let within = self.weather.redelivers_within.as_millis() as u64;
        (self.may_fail && within > 0 && self.random.once_in(2))
            .then(|| Duration::from_millis(self.random.next() % within))
    }
}

/// About the mean, and never twice the same.
fn spread(mean: Duration, random: &mut Random) -> Duration {
    mean.mul_f64(random.between(0.05, 1.95))
}

impl Scenario {
    pub fn run(&self) -> Result<Findings> {
        self.run_watched(&mut |_| {})
    }

    /// `watch` hears of every day that is over.
    pub fn run_watched(&self, watch: &mut dyn FnMut(u32)) -> Result<Findings> {
        std::fs::create_dir_all(self.dir.join("hub"))?;
        let mut random = Random::new(self.seed);
        let beds: Vec<BedWorld> =
            (0..self.beds).map(|at| self.bed(at, &mut random)).collect::<Result<_>>()?;
        let hub = Hub::begin(self.dir.join("hub"), &beds, &self.weather, &mut random)?;
        let findings = Findings::default();
        let first =
            self.weather.troubles.iter().map(|trouble| START.mono + spread(trouble.every, &mut random));
        let troubles = first.collect();
        World { scenario: self, now: START, random, hub, beds, findings, troubles, watch, days: 0 }.run()
    }

    fn bed(&self, at: usize, random: &mut Random) -> Result<BedWorld> {
        let id = AgentId::new(&format!("gw-{:02}", at + 1)).expect("a name of letters and digits");
        let seed = random.next();
        // Every bed counts on one line; the others carry the other drivers over worse cables.
        let mut lines = vec![line::counting(&self.weather, seed)];
        let bad = Faults {
            lose_one_in: 3000,
            flip_one_in: 3000,
            cut_one_in: 200,
            unplug_every: Some(Duration::from_secs(90)),
            unplugged_for: Duration::from_secs(15),
        };
        for (n, driver) in devices::DRIVERS.iter().enumerate() {
            let datagram = driver.name == "intellivue" && at % 2 == 1;
            let is_here = self.weather.devices == Devices::All && !(at + n).is_multiple_of(3);
            if driver.name != "masimo" && is_here {
                lines.push(line(driver.name, seed, bad, datagram));
            }
        }
        let dir = self.dir.join(id.as_str());
        std::fs::create_dir_all(&dir)?;
        Ok(BedWorld::new(id, at, lines, dir, &self.weather))
    }
}

impl World<'_> {
    fn run(mut self) -> Result<Findings> {
        let mut calm_since = None;
        loop {
            let has_lasted = self.now.mono.since(START.mono);
            if has_lasted >= DAY * (self.days + 1) {
                self.days += 1;
                (self.watch)(self.days);
            }
            let cuts = self.findings.cuts + self.findings.hub_cuts;
            let is_over =
                has_lasted + self.scenario.calm >= self.scenario.length && cuts >= self.scenario.cuts;
            if is_over && calm_since.is_none() {
                calm_since = Some(self.now.mono);
            }
            if calm_since.is_some_and(|since| self.now.mono.since(since) >= self.scenario.calm) {
                self.findings.lasted = has_lasted;
                return self.settle();
            }
            self.step(calm_since.is_none())?;
        }
    }

    fn step(&mut self, may_fail: bool) -> Result<()> {
        let due =
            self.beds.iter().map(|bed| bed.due(self.hub.is_up())).fold(self.hub.due(&self.beds), Mono::min);
        let due = due.max(self.now.mono + self.scenario.weather.step).min(self.now.mono + STEP_MAX);
        self.now = self.now.after(due.since(self.now.mono));
        if may_fail {
            self.misfortune()?;
        }
        let Self { now, random, hub, beds, findings, scenario, .. } = self;
        let weather = &scenario.weather;
        let mut scene = Scene {
            weather,
            chance: Chance { random, weather, may_fail },
            hub_listens: hub.is_up(),
            may_fail,
            findings,
        };
        for bed in &mut *beds {
            if bed.due(scene.hub_listens) <= now.mono {
                bed.step(*now, &mut scene)?;
            }
        }
        hub.step(*now, beds, &mut scene)
    }

    fn misfortune(&mut self) -> Result<()> {
        for at in 0..self.troubles.len() {
            if self.troubles[at] <= self.now.mono {
                let trouble = self.scenario.weather.troubles[at];
                self.troubles[at] = self.now.mono + spread(trouble.every, &mut self.random);
                let lasts = spread(trouble.lasts, &mut self.random);
                self.strike(trouble.what, lasts)?;
            }
        }
        Ok(())
    }

    fn strike(&mut self, what: Misfortune, lasts: Duration) -> Result<()> {
        let Self { now, random, hub, beds, findings, scenario, .. } = self;
        let (now, weather) = (*now, &scenario.weather);
        let hit = random.next() as usize % beds.len();
        let until = now.mono + lasts;
        let hub_listens = hub.is_up();
        match what {
            Misfortune::NetworkCut | Misfortune::AllNetworksCut => {
                findings.network_cuts += 1;
                let hit = if what == Misfortune::NetworkCut { &mut beds[hit..=hit] } else { &mut beds[..] };
                hit.iter_mut().for_each(|bed| bed.network.outage(until, random));
            }
            Misfortune::CablePulled => {
                findings.cable_pulls += 1;
                beds[hit].lines[0].pull(now.mono, until);
            }
            Misfortune::ClockSet => {
                findings.clock_jumps += 1;
                let clock = &mut beds[hit].clock;
                clock.ahead_us = match random.next() % 5 {
                    // The battery of the clock is empty.
                    0 => -START.wall.0,
                    1 => 3_600_000_000,
                    2 => -3_600_000_000,
                    3 => clock.ahead_us + 1_500_000,
                    _ => 0,
                };
            }
            Misfortune::HubFull => hub.full_until = until,
            _ => {
                let chance = Chance { random, weather, may_fail: true };
                let mut scene = Scene { weather, chance, hub_listens, may_fail: true, findings };
                match what {
                    Misfortune::AgentKilled => beds[hit].be_killed(now, until, &mut scene)?,
                    Misfortune::GatewayOff => beds[hit].be_unplugged(now, until, &mut scene)?,
                    Misfortune::AgentStopped => beds[hit].be_stopped(now, until, &mut scene),
                    _ if hub_listens => hub.be_killed(now, until, beds, &mut scene)?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn settle(mut self) -> Result<Findings> {
        for bed in &mut self.beds {
            for line in &mut bed.lines {
                line.close(&mut self.findings);
            }
        }
        for bed in &self.beds {
            self.findings.redelivered += bed.network.redelivered;
            self.findings.waiting += bed.waiting();
            let archive = Archive::read(&self.scenario.dir.join("hub/hub.db"), bed.id.as_str())?;
            let broken = &mut self.findings.broken;
            let weather = &self.scenario.weather;
            let has_jumps = self.findings.clock_jumps > 0;
            let mut must_decode = true;
            if let Some(trial) = Trial::new(bed, &archive, weather, self.now.mono, has_jumps) {
                must_decode = !trial.has_lost_rows();
                let mut ledger = trial.hold(broken);
                ledger.twice += archive.doubled as u64;
                self.findings.ledgers.push((bed.id.to_string(), ledger));
            }
            if archive.undecodable > 0 && must_decode {
                broken.push(format!("{}: {} blocks do not decode", bed.id, archive.undecodable));
            }
            let [records, distinct] = archive.records;
            if (records, records) != (distinct, archive.record_blocks()) {
                let blocks = archive.record_blocks();
                let words = format!(
                    "{}: {blocks} records came, {records} stand in the table, {distinct} different",
                    bed.id
                );
                broken.push(words);
            }
        }
        let served: Vec<_> =
            self.beds.iter().map(|bed| (bed.id.clone(), format!("{:02}", bed.at + 1))).collect();
        let store = self.scenario.dir.join("hub/hub.db");
        let faults = completeness::faults(&store, &served, START.wall, self.now.wall)?;
        self.findings.broken.extend(faults.into_iter().map(|words| format!("unexplained: {words}")));
        Ok(self.findings)
    }
}
