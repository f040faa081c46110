//! A campaign of `kill -9` against real processes on bad lines, and the ledger that must balance after it.

use crate::archive::Archive;
use crate::bench::quantile;
use crate::counting::{CountingOximeter, LINE_EVERY, Sent};
use crate::ledger::Ledger;
use crate::proxy::{Proxy, Weather};
use anyhow::Result;
use cotside_protocol::model::Mono;
use cotside_simulators::cable::Faults;
use cotside_simulators::newborn::Random;
use cotside_simulators::process::Process;
use cotside_simulators::unit::{BedPlan, DevicePlan, MakeBroker, On, Plan, Unit};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const BEDS: usize = 3;
/// After the last kill everything must be at the hub within this.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A process that was killed is ready again within this.
pub const READY_WITHIN: Duration = Duration::from_secs(3);
/// Patience for measuring one that takes longer.
const READY_PATIENCE: Duration = Duration::from_secs(30);
/// One kill in so many takes everybody at once, as a power cut of the house does.
const EVERYBODY_ONE_IN: u64 = 8;
/// One start in so many is killed before it is ready.
const AT_START_ONE_IN: u64 = 3;
/// A kill may cost what one loss window holds, and the link's opening.
const MISSING_A_KILL: Duration = Duration::from_secs(2);

pub struct Campaign {
    pub binaries: PathBuf,
    pub dir: PathBuf,
    pub seed: u64,
    pub kills: u32,
    /// None: the hub's own listener.
    pub broker: Option<MakeBroker>,
}

#[derive(Debug, Default)]
pub struct Outcome {
    pub hub_kills: u32,
    pub agent_kills: u32,
    pub broker_kills: u32,
    /// Of all of them: within the first milliseconds of a life.
    pub at_start: u32,
    /// Moments at which everybody was killed.
    pub together: u32,
    /// Times that a line between agent and hub went bad.
    pub foul_lines: u32,
    /// From exec to readiness, of every start that was let be, in seconds.
    pub ready_s: Vec<f64>,
    pub refused_starts: u32,
    /// Missing lines that the time the agents were down does not explain.
    pub unexplained: u64,
    pub ledgers: Vec<(String, Ledger)>,
}

impl Outcome {
    pub fn kills(&self) -> u32 {
        self.hub_kills + self.agent_kills + self.broker_kills
    }

    pub fn lost(&self) -> usize {
        self.ledgers.iter().map(|(_, ledger)| ledger.lost.len()).sum()
    }

    pub fn twice(&self) -> u64 {
        self.ledgers.iter().map(|(_, ledger)| ledger.twice).sum()
    }

    pub fn invented(&self) -> u64 {
        self.ledgers.iter().map(|(_, ledger)| ledger.invented).sum()
    }

    pub fn ready_max_s(&self) -> f64 {
        self.ready_s.iter().copied().fold(0.0, f64::max)
    }

    pub fn is_balanced(&self) -> bool {
        self.refused_starts == 0
            && self.unexplained == 0
            && self.ready_max_s() <= READY_WITHIN.as_secs_f64()
            && self.is_complete()
    }

    fn is_complete(&self) -> bool {
        self.ledgers.iter().all(|(_, ledger)| ledger.is_balanced())
    }

    pub fn table(&self) -> String {
        let mut ready = self.ready_s.clone();
        let head = format!(
            "kill -9: {} (hub {}, agents {}, broker {}; {} of them at the start, {} times everybody); bad lines {}\n\
             ready again: {} starts, p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms; refused starts {}; missing without reason {}\n",
            self.kills(),
            self.hub_kills,
            self.agent_kills,
            self.broker_kills,
            self.at_start,
            self.together,
            self.foul_lines,
            ready.len(),
            quantile(&mut ready, 0.5) * 1000.0,
            quantile(&mut ready, 0.99) * 1000.0,
            self.ready_max_s() * 1000.0,
            self.refused_starts,
            self.unexplained
        );
        let lines = self.ledgers.iter().map(|(agent, ledger)| ledger.line(agent) + "\n");
        std::iter::once(head).chain(lines).collect()
    }
}

/// Whom a kill meets: the hub, the broker, the agents by their beds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Hub,
    Broker,
    Agent(usize),
}

struct Scene {
    unit: Unit,
    lines: Vec<Proxy>,
    random: Random,
    outcome: Outcome,
    /// For how long each agent was not there, and how often it was killed.
    down: [(Duration, u32); BEDS],
}

impl Campaign {
    pub async fn run(&self) -> Result<Outcome> {
        let sent: Vec<Sent> = (0..BEDS).map(|_| Sent::default()).collect();
        let mut lines = Vec::new();
        for bed in 0..BEDS as u64 {
            lines.push(Proxy::open(Ipv4Addr::LOCALHOST, self.seed ^ bed << 32).await?);
        }
        let plan = Plan {
            binaries: self.binaries.clone(),
            dir: self.dir.clone(),
            beds: sent.iter().enumerate().map(|(at, sent)| counting_bed(at, sent.clone())).collect(),
            http_port: None,
            broker: self.broker,
            detours: lines.iter().map(|line| line.address).collect(),
        };
        let unit = Unit::start(&plan, |_| ()).await?;
        lines.iter().for_each(|line| line.lead_to(unit.mqtt));
        let (random, outcome) = (Random::new(self.seed), Outcome::default());
        let mut scene = Scene { unit, lines, random, outcome, down: Default::default() };
        while scene.outcome.kills() < self.kills {
            scene.change_the_weather();
            scene.pause(0.1, 0.9).await;
            scene.strike().await?;
        }
        scene.lines.iter().for_each(|line| line.turn(Weather::Fair));
        for process in scene.unit.agents.iter_mut().chain([&mut scene.unit.hub]) {
            scene.outcome.refused_starts += u32::from(!process.is_running());
        }
        let Scene { unit, mut outcome, down, lines: _lines, .. } = scene;
        outcome.ledgers = drain(&unit, &sent).await?;
        for ((_, ledger), (down, kills)) in outcome.ledgers.iter().zip(down) {
            let explained = (down + MISSING_A_KILL * kills).as_millis() / LINE_EVERY.as_millis();
            let missing = u128::from(ledger.gaps.values().sum::<u64>());
            outcome.unexplained += missing.saturating_sub(explained) as u64;
        }
        Ok(outcome)
    }
}

impl Scene {
    /// One line turns foul or fair; the others stay as they are.
    fn change_the_weather(&mut self) {
        let line = self.random.next() as usize % self.lines.len();
        if self.random.once_in(2) {
            self.lines[line].turn(Weather::Fair);
        } else {
            self.outcome.foul_lines += 1;
            let weather = Weather::foul(&mut self.random);
            self.lines[line].turn(weather);
        }
    }

    /// Kills one or everybody, perhaps once more while they start, and waits until they are ready.
    async fn strike(&mut self) -> Result<()> {
        let victims = self.choose();
        let begin = self.unit.clock.now().mono;
        for victim in &victims {
            let was_running = self.process(*victim).is_running();
            self.outcome.refused_starts += u32::from(!was_running);
            self.kill(*victim).await?;
        }
        self.pause(0.0, 0.5).await;
        self.start(&victims)?;
        if self.random.once_in(AT_START_ONE_IN) {
            self.pause(0.0, 0.05).await;
            for victim in &victims {
                self.outcome.at_start += 1;
                self.kill(*victim).await?;
            }
            self.start(&victims)?;
        }
        for victim in victims {
            match self.process(victim).ready_within(READY_PATIENCE).await {
                Ok(after) => self.outcome.ready_s.push(after.as_secs_f64()),
                Err(error) => {
                    self.outcome.refused_starts += 1;
                    return Err(error);
                }
            }
            if let Victim::Agent(bed) = victim {
                self.down[bed].0 += self.unit.clock.now().mono.since(begin);
            }
        }
        Ok(())
    }

    fn choose(&mut self) -> Vec<Victim> {
        let broker = self.unit.broker.is_some().then_some(Victim::Broker);
        let all = [Victim::Hub].into_iter().chain(broker).chain((0..BEDS).map(Victim::Agent));
        let mut all: Vec<Victim> = all.collect();
        if self.random.once_in(EVERYBODY_ONE_IN) {
            self.outcome.together += 1;
            return all;
        }
        vec![all.swap_remove(self.random.next() as usize % all.len())]
    }

    async fn kill(&mut self, victim: Victim) -> Result<()> {
        match victim {
            Victim::Hub => self.outcome.hub_kills += 1,
            Victim::Broker => self.outcome.broker_kills += 1,
            Victim::Agent(bed) => {
                self.outcome.agent_kills += 1;
                self.down[bed].1 += 1;
            }
        }
        self.process(victim).kill().await
    }

    fn start(&mut self, victims: &[Victim]) -> Result<()> {
        victims.iter().try_for_each(|victim| self.process(*victim).start())
    }

    fn process(&mut self, victim: Victim) -> &mut Process {
        match victim {
            Victim::Hub => &mut self.unit.hub,
            Victim::Broker => self.unit.broker.as_mut().expect("chosen only where there is one"),
            Victim::Agent(bed) => &mut self.unit.agents[bed],
        }
    }

    async fn pause(&mut self, from_s: f64, to_s: f64) {
        tokio::time::sleep(Duration::from_secs_f64(self.random.between(from_s, to_s))).await;
    }
}

/// Waits until the ledgers of what was sent up to now balance, or patience ends.
pub async fn drain(unit: &Unit, sent: &[Sent]) -> Result<Vec<(String, Ledger)>> {
    let lines = |sent: &Sent| sent.lock().expect("no thread panics while it counts").clone();
    let due: Vec<usize> = sent.iter().map(|sent| lines(sent).len()).collect();
    let patience: Mono = unit.clock.now().mono + DRAIN_PATIENCE;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let mut ledgers = Vec::new();
        for ((agent, sent), due) in unit.agents.iter().zip(sent).zip(&due) {
            let archive = Archive::read(&unit.dir.join("hub/hub.db"), agent.name())?;
            // Taken after the archive: what is in the one and not in the other was never sent.
            let mut ledger = Ledger::draw_up_while_it_goes_on(&lines(sent), *due, &archive);
            ledger.twice += archive.doubled as u64;
            ledger.invented += archive.undecodable as u64;
            ledgers.push((agent.name().to_owned(), ledger));
        }
        let is_complete = ledgers.iter().all(|(_, ledger)| ledger.is_balanced());
        if is_complete || unit.clock.now().mono > patience {
            return Ok(ledgers);
        }
    }
}

/// A bed whose one device counts its lines.
pub fn counting_bed(at: usize, sent: Sent) -> BedPlan {
    let device = DevicePlan {
        name: "oximeter",
        driver: "masimo",
        on: On::Serial,
        faults: Faults::default(),
        peer: Some(Arc::new(move |_| Box::new(CountingOximeter::new(sent.clone())))),
    };
    BedPlan {
        bed: format!("{:02}", at + 1),
        baby: None,
        seed: at as u64,
        script: Vec::new(),
        devices: vec![device],
        limits: String::new(),
    }
}
