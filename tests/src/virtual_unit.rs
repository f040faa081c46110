//! A unit of beds in virtual time: real sessions, peers, beds, logs, outboxes and intake, joined by bad cables and a lossy network, from one seed.
//!
//! The cores are the product's own; only the shells are replaced by this loop. Logs and the hub's store are real SQLite files. One seed
//! and one length give one history.

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
/// A session that ended is opened again after this.
const REOPEN_AFTER: Duration = Duration::from_secs(1);
/// Time without faults at the end, in which everything must arrive.
const CALM: Duration = Duration::from_secs(60);
/// A continuous value older than this is no value.
const FRESH_MS: u64 = 10_000;

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

/// Everything at one bed.
struct BedWorld {
    id: AgentId,
    at: usize,
    lines: Vec<Line>,
    dir: PathBuf,
    agent: Option<Agent>,
    /// When the agent that died comes back.
    back_at: Mono,
    network: Network,
    sent: Sent,
}

struct Agent {
    bed: Bed,
    log: Log,
    outbox: Outbox,
    ticked_at: Mono,
}

struct Line {
    driver: &'static Driver,
    session: Option<Box<dyn Session>>,
    reopen_at: Mono,
    peer: Box<dyn Peer>,
    body: Newborn,
    there: Cable,
    back: Cable,
    path: Path,
    told_at: Mono,
}

#[derive(Default)]
struct Network {
    up: VecDeque<(Mono, Option<u64>, Upstream, bytes::Bytes)>,
    down: VecDeque<(Mono, Downstream, Vec<u8>)>,
    taken: VecDeque<(Mono, u64)>,
    is_connected: bool,
    connect_at: Mono,
}

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

struct Hub {
    store: rusqlite::Connection,
    name: Arc<str>,
    inbounds: Vec<Option<Inbound>>,
    commits: VecDeque<(Mono, usize, cotside_central_hub::agents::inbound::Ticket, Addition)>,
    unit: Unit,
    is_up: bool,
    back_at: Mono,
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

fn line(name: &str, seed: u64, count: Option<Sent>, faults: Faults, datagram: bool) -> Line {
    let driver = devices::driver(name).expect("a driver of the list");
    let options =
        PeerOptions { seed, serial: format!("SIM{}", seed % 9999), bed_label: "01".into(), datagram };
    let peer: Box<dyn Peer> = match count {
        Some(sent) => Box::new(CountingOximeter::new(sent)),
        None => (devices::peer(name).expect("every driver has a peer").open)(&options),
    };
    let apnoea = |n: u64| Episode { begin_s: 40.0 + 130.0 * n as f64, length_s: 25.0, what: What::Apnoea };
    Line {
        driver,
        session: None,
        reopen_at: START.mono,
        peer,
        body: Newborn::new(seed, START.mono, (0..50).map(apnoea).collect()),
        there: Cable::new(seed ^ 1, faults),
        back: Cable::new(seed ^ 2, Faults { unplug_every: None, ..faults }),
        path: if datagram { Path::Datagram(([10, 0, 0, 9], 24_105).into()) } else { Path::Line },
        told_at: START.mono,
    }
}

fn unit(beds: &[BedWorld]) -> Unit {
    let roster = beds.iter().map(|bed| (format!("{:02}", bed.at + 1), Some(bed.id.clone())));
    let unit = cotside_central_hub::unit::view::UnitName { id: "nicu".into(), name: "NICU".into() };
    Unit::new(Roster { unit, beds: roster.collect() })
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

impl BedWorld {
    fn be_born(&mut self, now: Now) {
        let settings = LogSettings {
            directory: self.dir.clone(),
            provenance: Provenance::Simulated,
            software: "edge-agent test".into(),
            ..LogSettings::default()
        };
        let log = Log::open(settings, now);
        let links = self.lines.iter().enumerate().map(|(at, line)| LinkSetup {
            name: format!("link-{at}"),
            driver: line.driver.name.to_owned(),
            place: "virtual".into(),
        });
        let setup = Setup {
            agent: self.id.to_string(),
            software: "edge-agent test",
            provenance: Provenance::Simulated,
            loss_window: Duration::from_secs(1),
            boot: log.log().boot,
            links: links.collect(),
            limits: Vec::new(),
            preferences: Vec::new(),
            kept: Kept::default(),
            has_hub: true,
        };
        let simulated = cotside_protocol::wire::upstream::Provenance::Simulated;
        let outbox = Outbox::new(self.id.clone(), "edge-agent test".into(), simulated, log.log());
        self.agent = Some(Agent { bed: Bed::new(setup, now), log, outbox, ticked_at: now.mono });
        self.network = Network { connect_at: now.mono, ..Network::default() };
        for line in &mut self.lines {
            line.reopen_at = now.mono;
        }
    }

    /// SIGKILL: what was not committed is gone.
    fn die(&mut self, back_at: Mono) -> bool {
        self.back_at = back_at;
        for line in &mut self.lines {
            line.session = None;
        }
        self.network = Network::default();
        self.agent.take().is_some()
    }

    fn step(&mut self, now: Now, chance: &mut Chance<'_>, hub_is_up: bool, findings: &mut Findings) {
        if self.agent.is_none() && now.mono >= self.back_at {
            self.be_born(now);
        }
        let Some(agent) = &mut self.agent else {
            // Devices go on without a listener.
            self.lines.iter_mut().for_each(|line| line.deaf(now));
            return;
        };
        for (at, line) in self.lines.iter_mut().enumerate() {
            line.step(now, at as u8, &mut agent.bed, findings);
        }
        self.network.deliver(now, agent, hub_is_up);
        for (link, token) in agent.step(now, &mut self.network, chance) {
            let line = &mut self.lines[usize::from(link)];
            if let Some(session) = &mut line.session {
                session.handle(now, Input::Stored(token));
            }
            line.drain(now, link, &mut agent.bed, findings);
        }
    }
}

impl Agent {
    /// Which checkpoints are on disk now.
    fn step(&mut self, now: Now, network: &mut Network, chance: &mut Chance<'_>) -> Vec<(u8, StoreToken)> {
        let mut stored = Vec::new();
        self.bed.handle(now, BedIn::Timeout);
        let mut told = Vec::new();
        loop {
            match self.bed.poll(now) {
                BedOut::Uplink(UplinkRequest::Announce(announce)) => {
                    self.outbox.handle(now, BoxIn::Bed(UplinkRequest::Announce(announce)));
                }
                BedOut::Uplink(request) => self.outbox.handle(now, BoxIn::Bed(request)),
                BedOut::Store(request) => {
                    self.log.append(now, &request.drafts, &mut told);
                    self.bed.handle(now, BedIn::Notice(BedNotice::Stored(request.checkpoints)));
                }
                BedOut::Stored(link, token) => stored.push((link, token)),
                // These agents start anew with what their log holds.
                BedOut::Keep(..) => {}
                BedOut::Wait(_) => break,
            }
        }
        if now.mono.since(self.ticked_at) >= Duration::from_secs(1) {
            self.ticked_at = now.mono;
            self.log.tick(now, &mut told);
        }
        self.outbox.handle(now, BoxIn::Timeout);
        loop {
            for told in told.drain(..) {
                self.outbox.handle(now, BoxIn::Store(told));
            }
            match self.outbox.poll(now) {
                BoxOut::Publish { id, topic, payload } if network.is_connected => {
                    let at = now.mono + chance.delay();
                    if !chance.strays() {
                        network.up.push_back((at, id, topic, payload));
                    } else if let Some(id) = id {
                        network.taken.push_back((at, id));
                    }
                }
                BoxOut::Publish { .. } => {}
                BoxOut::Store(ask) => self.log.answer(now, ask, &mut told),
                BoxOut::Reconnect(_) => {
                    *network =
                        Network { connect_at: now.mono + Duration::from_secs(1), ..Network::default() };
                    self.outbox.handle(now, BoxIn::Disconnected);
                }
                BoxOut::Hub { reachable, detail, bed } => {
                    self.bed.handle(now, BedIn::Notice(BedNotice::Hub { reachable, detail, bed }));
                }
                BoxOut::Wait(_) if told.is_empty() => return stored,
                BoxOut::Wait(_) => {}
            }
        }
    }
}

impl Network {
    /// What came down, and the state of the connection.
    fn deliver(&mut self, now: Now, agent: &mut Agent, hub_is_up: bool) {
        if self.is_connected && !hub_is_up {
            *self = Self { connect_at: now.mono + Duration::from_secs(1), ..Self::default() };
        }
        if !self.is_connected {
            agent.outbox.handle(now, BoxIn::Disconnected);
            if hub_is_up && now.mono >= self.connect_at {
                self.is_connected = true;
                agent.outbox.handle(now, BoxIn::Connected { slots: 32 });
            }
            return;
        }
        while self.taken.front().is_some_and(|(at, _)| *at <= now.mono) {
            let (_, id) = self.taken.pop_front().expect("just looked");
            agent.outbox.handle(now, BoxIn::Taken { id, taken: Taken::Yes });
        }
        while self.down.front().is_some_and(|(at, ..)| *at <= now.mono) {
            let (_, what, payload) = self.down.pop_front().expect("just looked");
            let input = match what {
                Downstream::Welcome => serde_json::from_slice::<Welcome>(&payload).map(BoxIn::Welcome),
                Downstream::Ack => serde_json::from_slice::<Ack>(&payload).map(BoxIn::Ack),
                Downstream::Alive => serde_json::from_slice::<Alive>(&payload).map(BoxIn::Alive),
                Downstream::Limits => continue,
            };
            agent.outbox.handle(now, input.expect("the hub writes what it promises"));
        }
    }
}

impl Line {
    fn step(&mut self, now: Now, link: u8, bed: &mut Bed, findings: &mut Findings) {
        self.body.advance(now.mono);
        if self.session.is_none() && now.mono >= self.reopen_at {
            findings.reopened += 1;
            let settings = Settings::check(self.driver.settings, &[]).expect("defaults are valid");
            self.session = Some((self.driver.open)(&settings, now).expect("defaults open"));
            bed.handle(now, BedIn::Heard(Heard { link, at: now, what: News::Opened }));
        }
        while let PeerOutput::Transmit { bytes, .. } = self.peer.poll(now, &self.body) {
            let arrived = self.there.carry(now.mono, &bytes);
            if let Some(session) = &mut self.session
                && !arrived.is_empty()
            {
                session.handle(now, Input::Received { from: self.path, bytes: &arrived });
                self.drain(now, link, bed, findings);
            }
        }
        if let Some(session) = &mut self.session {
            session.handle(now, Input::Timeout);
            self.drain(now, link, bed, findings);
        }
        if now.mono.since(self.told_at) >= Duration::from_secs(1) {
            self.told_at = now.mono;
            bed.handle(now, BedIn::Heard(Heard { link, at: now, what: News::State(self.status(link)) }));
        }
    }

    fn drain(&mut self, now: Now, link: u8, bed: &mut Bed, findings: &mut Findings) {
        while let Some(session) = &mut self.session {
            match session.poll() {
                Output::Transmit { bytes, .. } => {
                    let arrived = self.back.carry(now.mono, &bytes);
                    self.peer.handle(now, self.path, &arrived);
                }
                Output::Event(event) => {
                    bed.handle(now, BedIn::Heard(Heard { link, at: now, what: News::Event(event) }));
                }
                Output::Hangup(_) => {
                    self.close(findings);
                    self.reopen_at = now.mono + REOPEN_AFTER;
                }
                Output::Wait { until, why } => {
                    if until.0 == u64::MAX {
                        findings.broken.push(format!("{}: waits for ever: {why}", self.driver.name));
                    }
                    return;
                }
            }
        }
    }

    fn deaf(&mut self, now: Now) {
        self.body.advance(now.mono);
        while let PeerOutput::Transmit { .. } = self.peer.poll(now, &self.body) {}
    }

    /// Every byte of the conversation is accounted for.
    fn close(&mut self, findings: &mut Findings) {
        let Some(session) = self.session.take() else { return };
        let tally = session.tally();
        if !tally.is_balanced() {
            findings.broken.push(format!("{}: bytes do not add up: {tally:?}", self.driver.name));
        }
        findings.tally.received += tally.received;
        findings.tally.decoded += tally.decoded;
        findings.tally.frames += tally.frames;
    }

    fn status(&self, link: u8) -> LinkStatus {
        LinkStatus {
            link,
            name: format!("link-{link}"),
            driver: self.driver.name.to_owned(),
            state: if self.session.is_some() { LinkState::Live } else { LinkState::Opening },
            detail: String::new(),
            manufacturer: String::new(),
            model: String::new(),
            serial: String::new(),
            firmware: String::new(),
            heard_ms: Some(0),
            frames: 0,
            malformed_bytes: 0,
        }
    }
}

impl Hub {
    /// SIGKILL: conversations and what was not committed are gone, the store stays.
    fn die(&mut self, back_at: Mono) {
        self.is_up = false;
        self.back_at = back_at;
        self.commits.clear();
        self.inbounds.iter_mut().for_each(|inbound| *inbound = None);
    }

    fn step(
        &mut self,
        now: Now,
        chance: &mut Chance<'_>,
        beds: &mut [BedWorld],
        findings: &mut Findings,
    ) -> Result<()> {
        if !self.is_up && now.mono >= self.back_at {
            self.is_up = true;
            self.unit = unit(beds);
        }
        if !self.is_up {
            return Ok(());
        }
        while self.commits.front().is_some_and(|(at, ..)| *at <= now.mono) {
            let (_, bed, ticket, addition) = self.commits.pop_front().expect("just looked");
            let mark = blocks::append(&self.store, &addition)?;
            if let Some(inbound) = &mut self.inbounds[bed] {
                inbound.handle(now, In::Committed(ticket, mark));
            }
        }
        for (at, bed) in beds.iter_mut().enumerate() {
            self.serve(now, chance, at, bed)?;
        }
        self.unit.ages(now.mono);
        self.look(now, findings);
        Ok(())
    }

    fn serve(&mut self, now: Now, chance: &mut Chance<'_>, at: usize, bed: &mut BedWorld) -> Result<()> {
        if !bed.network.is_connected {
            self.inbounds[at] = None;
            return Ok(());
        }
        let rules = Rules { store: self.name.clone(), accepts: Provenance::Simulated };
        let inbound = self.inbounds[at].get_or_insert_with(|| Inbound::new(bed.id.clone(), rules, now));
        while bed.network.up.front().is_some_and(|(at, ..)| *at <= now.mono) {
            let (_, id, what, payload) = bed.network.up.pop_front().expect("just looked");
            // Some arrive twice, as after a lost PUBACK.
            for _ in 0..1 + u32::from(chance.strays()) {
                let receipt = id.map(Receipt);
                inbound.handle(now, In::Message { what, payload: payload.clone(), receipt });
            }
        }
        inbound.handle(now, In::Timeout);
        loop {
            match inbound.poll() {
                Out::Send(what, payload) => {
                    let at = now.mono + chance.delay();
                    if !chance.strays() {
                        bed.network.down.push_back((at, what, payload));
                    }
                }
                Out::Receive(Receipt(id)) | Out::Refuse(Receipt(id), _) => {
                    bed.network.taken.push_back((now.mono, id));
                }
                Out::Show(what) => {
                    let serves = Some(format!("{:02}", bed.at + 1));
                    self.unit.handle(now, Item { agent: bed.id.clone(), bed: serves, what });
                }
                Out::Open { epoch, predecessor } => {
                    let known = blocks::sources(&self.store, &bed.id, epoch, predecessor, now.wall)?;
                    inbound.handle(now, In::Opened { known, bed: Some(format!("{:02}", bed.at + 1)) });
                }
                Out::Commit(ticket, addition) => {
                    let at = now.mono + Duration::from_millis(20 + chance.random.next() % 150);
                    // Commits are made in the order asked.
                    let at = self.commits.back().map_or(at, |(last, ..)| at.max(*last));
                    self.commits.push_back((at, bed.at, ticket, addition));
                }
                Out::Tell(..) => {}
                Out::Close(_) => {
                    self.inbounds[at] = None;
                    bed.network =
                        Network { connect_at: now.mono + Duration::from_secs(1), ..Network::default() };
                    return Ok(());
                }
                Out::Wait(_) => return Ok(()),
            }
        }
    }

    /// No value is shown that is older than it may be.
    fn look(&self, now: Now, findings: &mut Findings) {
        for bed in self.unit.view(now).beds {
            for value in &bed.values {
                if value.value.is_some() && value.pace == "continuous" && value.age_ms > FRESH_MS {
                    let words = format!(
                        "bed {}: {} is {} ms old and still shown",
                        bed.bed, value.label, value.age_ms
                    );
                    findings.broken.push(words);
                }
            }
        }
    }
}
