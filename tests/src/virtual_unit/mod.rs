//! A unit of beds in virtual time: real sessions, peers, beds, logs, outboxes and intake, joined by bad cables and a lossy network, from one seed.
//!
//! The cores are the product's own; only the shells are replaced by this loop. Logs and the hub's store are real SQLite files. One seed
//! and one length give one history.

mod bed;
mod disk;
mod hub;

use self::bed::{BedWorld, Network, line};
use self::hub::{Hub, unit};

use crate::archive::Archive;
use crate::counting::{CountingOximeter, Sent};
use crate::ledger::Ledger;
use anyhow::Result;
use cotside_central_hub::agents::inbound::{Inbound, Input as In, Output as Out, Receipt, Rules};
use cotside_central_hub::feed::Item;
use cotside_central_hub::store;
use cotside_central_hub::store::blocks::{self, Addition};
use cotside_central_hub::unit::{Roster, Unit};
use cotside_edge_agent::bed::{Bed, Input as BedIn, Kept, LinkSetup, Output as BedOut, Setup};
use cotside_edge_agent::row::{BedNotice, Heard, News, UplinkRequest};
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
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The loop's step.
const TICK: Duration = Duration::from_millis(20);

const START: Now = Now { mono: Mono(1_000_000_000), wall: Wall(1_795_000_000_000_000) };

/// Time without faults at the end, in which everything must arrive.
const CALM: Duration = Duration::from_secs(60);

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub beds: usize,
    pub length: Duration,
    /// Where logs and the hub's store lie; a memory filesystem is fastest.
    pub dir: PathBuf,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    pub ledgers: Vec<(String, Ledger)>,
    pub tally: Tally,
    pub reopened: u32,
    pub agent_deaths: u32,
    pub hub_deaths: u32,
    pub network_cuts: u32,
    /// Rules that did not hold, in words.
    pub broken: Vec<String>,
}

struct World {
    now: Now,
    random: Random,
    hub: Hub,
    beds: Vec<BedWorld>,
    findings: Findings,
}

/// One message in so many is lost or doubled on its way, as by a broker that died with it; none in the calm at the end.
const STRAY_ONE_IN: u64 = 500;

struct Chance<'a> {
    random: &'a mut Random,
    stray_one_in: u64,
}

impl Chance<'_> {
    fn strays(&mut self) -> bool {
        self.random.once_in(self.stray_one_in)
    }

    /// Two to forty milliseconds.
    fn delay(&mut self) -> Duration {
        Duration::from_millis(2 + self.random.next() % 40)
    }
}

impl Scenario {
    pub fn run(&self) -> Result<Findings> {
        std::fs::create_dir_all(&self.dir)?;
        let store = store::open(&self.dir.join("hub.db"), true)?;
        let name: Arc<str> = store::schema::store_id(&store)?.into();
        let mut random = Random::new(self.seed);
        let beds: Vec<BedWorld> =
            (0..self.beds).map(|at| self.bed(at, &mut random)).collect::<Result<_>>()?;
        let hub = Hub {
            unit: unit(&beds),
            store,
            name,
            inbounds: beds.iter().map(|_| None).collect(),
            commits: VecDeque::new(),
            is_up: true,
            back_at: START.mono,
        };
        let mut world = World { now: START, random, hub, beds, findings: Findings::default() };
        let end = START.mono + self.length;
        let calm = Mono(end.0.saturating_sub(CALM.as_micros() as u64));
        while world.now.mono < end {
            world.now = world.now.after(TICK);
            world.step(world.now.mono < calm)?;
        }
        world.settle(&self.dir)
    }

    fn bed(&self, at: usize, random: &mut Random) -> Result<BedWorld> {
        let id = AgentId::new(&format!("gw-{:02}", at + 1)).expect("a name of letters and digits");
        let sent = Sent::default();
        let seed = random.next();
        // Every bed counts on one line; the others carry the other drivers over worse cables.
        let mut lines = vec![line("masimo", seed, Some(sent.clone()), Faults::default(), false)];
        let bad = Faults {
            lose_one_in: 3000,
            flip_one_in: 3000,
            cut_one_in: 200,
            unplug_every: Some(Duration::from_secs(90)),
            unplugged_for: Duration::from_secs(15),
        };
        for (n, driver) in devices::DRIVERS.iter().enumerate() {
            let datagram = driver.name == "intellivue" && at % 2 == 1;
            if driver.name != "masimo" && !(at + n).is_multiple_of(3) {
                lines.push(line(driver.name, seed, None, bad, datagram));
            }
        }
        let dir = self.dir.join(id.as_str());
        std::fs::create_dir_all(&dir)?;
        let mut bed = BedWorld {
            id,
            at,
            lines,
            dir,
            agent: None,
            back_at: START.mono,
            network: Network::default(),
            sent,
        };
        bed.be_born(START);
        Ok(bed)
    }
}

impl World {
    fn step(&mut self, may_fail: bool) -> Result<()> {
        if may_fail {
            self.misfortune();
        }
        let Self { now, random, hub, beds, findings } = self;
        let mut chance = Chance { random, stray_one_in: if may_fail { STRAY_ONE_IN } else { 0 } };
        for bed in &mut *beds {
            bed.step(*now, &mut chance, hub.is_up, findings);
        }
        hub.step(*now, &mut chance, beds, findings)
    }

    /// About every 40 s somebody dies, about every 20 s a network cable is pulled.
    fn misfortune(&mut self) {
        let (now, random) = (self.now, &mut self.random);
        let ticks_per_s = 1000 / TICK.as_millis() as u64;
        if random.once_in(40 * ticks_per_s) && self.hub.is_up {
            self.findings.hub_deaths += 1;
            self.hub.die(now.mono + Duration::from_millis(random.next() % 8000));
        }
        if random.once_in(40 * ticks_per_s) {
            let at = random.next() as usize % self.beds.len();
            let back_at = now.mono + Duration::from_millis(500 + random.next() % 5000);
            self.findings.agent_deaths += u32::from(self.beds[at].die(back_at));
        }
        if random.once_in(20 * ticks_per_s) {
            self.findings.network_cuts += 1;
            let at = random.next() as usize % self.beds.len();
            let connect_at = now.mono + Duration::from_millis(random.next() % 15_000);
            self.beds[at].network = Network { connect_at, ..Network::default() };
        }
    }

    fn settle(mut self, dir: &std::path::Path) -> Result<Findings> {
        for bed in &mut self.beds {
            for line in &mut bed.lines {
                line.close(&mut self.findings);
            }
            let archive = Archive::read(&dir.join("hub.db"), bed.id.as_str())?;
            let sent = bed.sent.lock().expect("one thread").clone();
            // What was said in the last seconds is still in windows and on the way.
            let settled = sent.partition_point(|at| *at < self.now.wall - Duration::from_secs(5));
            let mut ledger = Ledger::draw_up(&sent[..settled], &archive);
            ledger.invented = 0;
            ledger.twice += archive.doubled as u64;
            self.findings.ledgers.push((bed.id.to_string(), ledger));
            if archive.undecodable > 0 {
                self.findings
                    .broken
                    .push(format!("{}: {} blocks do not decode", bed.id, archive.undecodable));
            }
        }
        Ok(self.findings)
    }
}
