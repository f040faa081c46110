//! A campaign of `kill -9` against real processes, and the ledger that must balance after it.

use crate::archive::Archive;
use crate::counting::{CountingOximeter, Sent};
use crate::ledger::Ledger;
use anyhow::Result;
use cotside_protocol::model::Mono;
use cotside_simulators::cable::Faults;
use cotside_simulators::newborn::Random;
use cotside_simulators::unit::{BedPlan, DevicePlan, MakeBroker, On, Plan, Unit};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const BEDS: usize = 3;
/// After the last kill everything must be at the hub within this.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub struct Campaign {
    pub binaries: PathBuf,
    pub dir: PathBuf,
    pub seed: u64,
    pub length: Duration,
    /// None: the hub's own listener.
    pub broker: Option<MakeBroker>,
}

#[derive(Debug, Default)]
pub struct Outcome {
    pub hub_kills: u32,
    pub agent_kills: u32,
    pub broker_kills: u32,
    pub ledgers: Vec<(String, Ledger)>,
    /// Longest time from a restart to a log line that says it is running; the process never refused to start.
    pub refused_starts: u32,
}

impl Outcome {
    pub fn is_balanced(&self) -> bool {
        self.refused_starts == 0 && self.ledgers.iter().all(|(_, ledger)| ledger.is_balanced())
    }

    pub fn table(&self) -> String {
        let kills = format!(
            "kill -9: hub {}, agents {}, broker {}; refused starts {}\n",
            self.hub_kills, self.agent_kills, self.broker_kills, self.refused_starts
        );
        let lines = self.ledgers.iter().map(|(agent, ledger)| ledger.line(agent) + "\n");
        std::iter::once(kills).chain(lines).collect()
    }
}

impl Campaign {
    pub async fn run(&self) -> Result<Outcome> {
        let sent: Vec<Sent> = (0..BEDS).map(|_| Sent::default()).collect();
        let beds = sent.iter().enumerate().map(|(at, sent)| bed(at, sent.clone())).collect();
        let plan = Plan {
            binaries: self.binaries.clone(),
            dir: self.dir.clone(),
            beds,
            http_port: None,
            broker: self.broker,
        };
        let mut unit = Unit::start(&plan, |_| ()).await?;
        let mut random = Random::new(self.seed);
        let mut outcome = Outcome::default();
        let end = unit.clock.now().mono + self.length;
        while unit.clock.now().mono < end {
            pause(&mut random, 0.4, 2.5).await;
            let victims = BEDS as u64 + 1 + u64::from(unit.broker.is_some());
            let victim = match (random.next() % victims, &mut unit.broker) {
                (0, _) => {
                    outcome.hub_kills += 1;
                    &mut unit.hub
                }
                (1, Some(broker)) => {
                    outcome.broker_kills += 1;
                    broker
                }
                (other, _) => {
                    outcome.agent_kills += 1;
                    &mut unit.agents[other as usize % BEDS]
                }
            };
            outcome.refused_starts += u32::from(!victim.is_running());
            victim.kill().await?;
            pause(&mut random, 0.0, 1.5).await;
            victim.start()?;
        }
        for process in unit.agents.iter_mut().chain([&mut unit.hub]) {
            outcome.refused_starts += u32::from(!process.is_running());
        }
        self.drain(&unit, &sent, &mut outcome).await?;
        Ok(outcome)
    }

    /// Waits until the ledgers of what was sent up to now balance, or patience ends.
    async fn drain(&self, unit: &Unit, sent: &[Sent], outcome: &mut Outcome) -> Result<()> {
        let lines: Vec<_> = sent.iter().map(|sent| sent.lock().expect("no thread panics").clone()).collect();
        let patience: Mono = unit.clock.now().mono + DRAIN_PATIENCE;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            outcome.ledgers = unit
                .agents
                .iter()
                .zip(&lines)
                .map(|(agent, lines)| {
                    let archive = Archive::read(&unit.dir.join("hub/hub.db"), agent.name())?;
                    let mut ledger = Ledger::draw_up(lines, &archive);
                    // Lines sent while we looked are not in the list.
                    ledger.invented = 0;
                    ledger.twice += archive.doubled as u64;
                    Ok((agent.name().to_owned(), ledger))
                })
                .collect::<Result<_>>()?;
            if outcome.is_balanced() || unit.clock.now().mono > patience {
                return Ok(());
            }
        }
    }
}

fn bed(at: usize, sent: Sent) -> BedPlan {
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

async fn pause(random: &mut Random, from_s: f64, to_s: f64) {
    tokio::time::sleep(Duration::from_secs_f64(random.between(from_s, to_s))).await;
}
