//! One bed of the virtual unit: its lines, its agent between birth and death, its way to the hub.

use super::disk::{Disk, Image};
use super::line::Line;
use super::network::Network;
use super::oracle::{Committed, Death, Life};
use super::*;
use cotside_edge_agent::bed;
use cotside_edge_agent::row::FromStore;
use cotside_edge_agent::store::Ask;
use cotside_protocol::model::{Code, Decimal, Envelope, Limit, LimitSet, LimitSide, Priority};

/// The store keeps house this often, and beats in between when nothing else is written.
const HOUSE_EVERY: Duration = Duration::from_secs(60);
const BEAT_EVERY: Duration = Duration::from_secs(10);
/// Where the bed's texts for its next life lie.
const KEPT: &str = "kept";
/// Two minutes of rows in images of before.
const IMAGES_MAX: usize = 8;

/// An agent's clocks: the monotonic one begins at each boot, the wall clock is wrong by what somebody set.
#[derive(Clone, Copy, Debug)]
pub(super) struct AgentClock {
    pub(super) boot: Mono,
    pub(super) ahead_us: i64,
}

impl AgentClock {
    pub(super) fn at(&self, now: Now) -> Now {
        Now { mono: Mono(now.mono.0 - self.boot.0), wall: Wall(now.wall.0 + self.ahead_us) }
    }

    /// The instant of the world at which the agent's clock says `mono`.
    pub(super) fn world(&self, mono: Mono) -> Mono {
        Mono(mono.0.saturating_add(self.boot.0))
    }
}

/// Everything at one bed.
pub(super) struct BedWorld {
    pub(super) id: AgentId,
    pub(super) at: usize,
    pub(super) lines: Vec<Line>,
    pub(super) disk: Disk,
    pub(super) clock: AgentClock,
    pub(super) agent: Option<Agent>,
    /// When the agent that died comes back.
    pub(super) back_at: Mono,
    /// The power fails in the middle of this call of the next agent's.
    doom: Option<Doom>,
    pub(super) network: Network,
    pub(super) lives: Vec<Life>,
    pub(super) committed: Committed,
    /// The disk as it was, newest last.
    before: VecDeque<(Mono, Image)>,
    core_due: Mono,
}

pub(super) struct Agent {
    bed: Bed,
    log: Log,
    outbox: Outbox,
    disk: Disk,
    doom: Option<Doom>,
    tick_every: Duration,
    ticked_at: Mono,
    house_at: Mono,
    wrote_at: Mono,
    /// When the bed asked to be woken, by the agent's clock.
    bed_due: Mono,
}

/// A call of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Open,
    Append,
    Answer,
    /// What the hub has, and what it says of the time: kept in memory until the next housekeeping.
    Note,
    /// With the minute's housekeeping.
    House,
    /// With nothing but a moment written down.
    Beat,
    Tick,
}

#[derive(Clone, Copy, Debug)]
struct Doom {
    call: Call,
    /// So many of them pass.
    after: u64,
}

/// What the disk held before and after the call in which the power failed.
pub(super) struct PowerCut {
    before: Image,
    after: Image,
}

impl BedWorld {
    pub(super) fn new(id: AgentId, at: usize, lines: Vec<Line>, dir: PathBuf, weather: &Weather) -> Self {
        Self {
            id,
            at,
            lines,
            disk: Disk { dir, main: "log.db" },
            clock: AgentClock { boot: Mono(0), ahead_us: 0 },
            agent: None,
            back_at: START.mono,
            doom: None,
            network: Network::new(weather.way, START.mono),
            lives: Vec::new(),
            committed: Committed::default(),
            before: VecDeque::new(),
            core_due: START.mono,
        }
    }

    fn be_born(&mut self, now: Now, scene: &mut Scene<'_>) -> Result<()> {
        let weather = scene.weather;
        self.doom = Doom::draw(weather, scene.chance.random);
        let own = self.clock.at(now);
        let settings = LogSettings {
            directory: self.disk.dir.clone(),
            provenance: Provenance::Simulated,
            software: SOFTWARE.into(),
            loss_window: weather.loss_window,
            grace: weather.grace,
            cap_bytes: weather.cap_bytes,
            ..LogSettings::default()
        };
        let is_doomed = self.doom.is_some_and(|doom| doom.call == Call::Open) && scene.may_fail;
        let before = if is_doomed { Some(self.disk.image()?) } else { None };
        let log = Log::open(settings, own);
        let was_damaged = self.lives.last().is_some_and(|life| life.left_damage);
        if log.is_in_memory() || (log.trouble().is_some() && !was_damaged) {
            scene.findings.refused_starts += 1;
            let words = format!("{}: a start that was refused: {:?}", self.id, log.trouble());
            scene.findings.broken.push(words);
        }
        self.lives.push(Life::begin(now.mono));
        if let Some(before) = before {
            let after = self.disk.image()?;
            drop(log);
            self.lose_power(now, PowerCut { before, after }, scene)?;
            if let Some(life) = self.lives.last_mut() {
                // What was not set aside yet will be.
                life.left_damage |= was_damaged;
            }
            return Ok(());
        }
        if let Some(life) = self.lives.last_mut() {
            life.has_opened = true;
        }
        let links = self.lines.iter().enumerate().map(|(at, line)| LinkSetup {
            name: format!("link-{at}"),
            driver: line.driver.name.to_owned(),
            place: "virtual".into(),
        });
        let setup = Setup {
            agent: self.id.to_string(),
            software: SOFTWARE,
            provenance: Provenance::Simulated,
            loss_window: weather.loss_window,
            boot: log.log().boot,
            links: links.collect(),
            limits: LimitSet {
                limits: if weather.alarms { vec![low_saturation()] } else { Vec::new() },
                ..LimitSet::default()
            },
            preferences: Vec::new(),
            kept: Kept::read(&self.disk.dir.join(KEPT), log.alive()),
            has_hub: true,
            envelope: Envelope::neonatal(),
            standby_max: Duration::from_secs(1_800),
        };
        self.committed.begin(log.log().epoch);
        let simulated = cotside_protocol::wire::upstream::Provenance::Simulated;
        let outbox = Outbox::new(self.id.clone(), SOFTWARE.into(), simulated, log.log());
        self.agent = Some(Agent {
            bed: Bed::new(setup, own),
            log,
            outbox,
            disk: self.disk.clone(),
            doom: self.doom,
            tick_every: weather.house_every,
            ticked_at: now.mono,
            house_at: now.mono,
            wrote_at: now.mono,
            bed_due: own.mono,
        });
        self.network.cut(now.mono, scene.chance.random);
        self.lines.iter_mut().for_each(|line| line.begin(now.mono));
        self.core_due = now.mono;
        Ok(())
    }

    /// SIGKILL: what was written is there, what was not committed is gone.
    pub(super) fn be_killed(&mut self, now: Now, until: Mono, scene: &mut Scene<'_>) -> Result<()> {
        self.end_between_calls(now, until, Death::Killed, scene)
    }

    /// The power is gone between two calls.
    pub(super) fn be_unplugged(&mut self, now: Now, until: Mono, scene: &mut Scene<'_>) -> Result<()> {
        self.end_between_calls(now, until, Death::PowerCut, scene)
    }

    fn end_between_calls(&mut self, now: Now, until: Mono, how: Death, scene: &mut Scene<'_>) -> Result<()> {
        if self.agent.is_none() {
            return Ok(());
        }
        let image = self.disk.image()?;
        scene.findings.kills += 1;
        self.die(now, until, how, scene);
        self.disk.put_back(&image, self.clock.at(now).wall)
    }

    /// As an administrator stops it: everything is written.
    pub(super) fn be_stopped(&mut self, now: Now, until: Mono, scene: &mut Scene<'_>) {
        let Some(agent) = self.agent.take() else { return };
        scene.findings.stops += 1;
        agent.stop(self.clock.at(now));
        self.die(now, until, Death::Stopped, scene);
    }

    /// The power is gone in the middle of a call.
    fn lose_power(&mut self, now: Now, cut: PowerCut, scene: &mut Scene<'_>) -> Result<()> {
        let random = &mut *scene.chance.random;
        let (mut image, at) = self.disk.cut(&cut.before, &cut.after, random);
        let mut lost_since = None;
        if random.once_in(scene.weather.lost_tail_one_in) && !self.before.is_empty() {
            let chosen = random.next() as usize % self.before.len();
            lost_since = Some(self.before[chosen].0);
            image = self.before[chosen].1.clone();
            self.before.truncate(chosen + 1);
        }
        let is_damaged = random.once_in(scene.weather.damage_one_in) && self.lives.len() > 1;
        if is_damaged {
            image.damage(self.disk.main, random);
        }
        scene.findings.cuts += 1;
        *scene.findings.cuts_at.entry(at).or_default() += 1;
        let until = now.mono + spread(scene.weather.off_for, scene.chance.random);
        self.die(now, until, Death::PowerCut, scene);
        if let Some(life) = self.lives.last_mut() {
            life.left_damage = is_damaged;
            life.lost_since = lost_since;
        }
        self.disk.put_back(&image, self.clock.at(now).wall)
    }

    fn die(&mut self, now: Now, until: Mono, how: Death, scene: &mut Scene<'_>) {
        self.back_at = until;
        self.lines.iter_mut().for_each(Line::end);
        self.network.cut(self.back_at, scene.chance.random);
        self.agent = None;
        if let Some(life) = self.lives.last_mut() {
            life.end(now.mono, how);
        }
    }

    pub(super) fn step(&mut self, now: Now, scene: &mut Scene<'_>) -> Result<()> {
        if self.agent.is_none() && now.mono >= self.back_at {
            if self.lives.last().is_some_and(|life| life.death == Some(Death::PowerCut)) {
                // A boot takes a second.
                self.clock.boot = Mono(now.mono.0 - 1_000_000);
            }
            self.be_born(now, scene)?;
        }
        let Some(agent) = &mut self.agent else {
            self.lines.iter_mut().for_each(|line| line.deaf(now, &self.clock));
            return Ok(());
        };
        agent.doom = agent.doom.filter(|_| scene.may_fail);
        let life = self.lives.len() - 1;
        for (at, line) in self.lines.iter_mut().enumerate() {
            line.step(now, &self.clock, life, at as u8, &mut agent.bed, scene.findings);
        }
        agent.hear(now, &self.clock, &mut self.network, scene.hub_listens);
        let stepped = agent.step(now, &self.clock, &mut self.network, &mut self.committed, scene);
        let stepped = match stepped {
            Ok(stepped) => stepped,
            Err(cut) => return self.lose_power(now, *cut, scene),
        };
        self.core_due = stepped.due;
        for (link, token) in stepped.stored {
            let line = &mut self.lines[usize::from(link)];
            line.stored(now, &self.clock, token, link, &mut agent.bed, scene.findings);
            self.core_due = now.mono;
        }
        if scene.weather.lost_tail_one_in > 0 && scene.chance.random.once_in(12) {
            if self.before.len() == IMAGES_MAX {
                self.before.pop_front();
            }
            self.before.push_back((now.mono, self.disk.image()?));
        }
        Ok(())
    }

    /// Rows that the hub has not acknowledged.
    pub(super) fn waiting(&self) -> u64 {
        self.agent.as_ref().map_or(0, |agent| agent.outbox.count().waiting)
    }

    /// When something happens here, if nothing new comes from the hub.
    pub(super) fn due(&self, hub_listens: bool) -> Mono {
        let lines = self.lines.iter().map(|line| line.due(self.agent.is_some()));
        let own = match self.agent {
            Some(_) => self.core_due.min(self.network.agent_due(hub_listens)),
            None => self.back_at,
        };
        lines.fold(own, Mono::min)
    }
}

impl Doom {
    fn draw(weather: &Weather, random: &mut Random) -> Option<Self> {
        if weather.agent_calls == 0 {
            return None;
        }
        let mut pass = |mean: u64| random.next() % (2 * mean);
        let after = pass(weather.agent_calls);
        let (call, after) = match random.next() % 32 {
            0..5 => (Call::Open, 0),
            5..8 => (Call::Answer, after),
            8 => (Call::House, 0),
            9 => (Call::Beat, 0),
            10 => (Call::Tick, after),
            _ => (Call::Append, after),
        };
        Some(Self { call, after })
    }
}

/// What a step of an agent came to.
struct Stepped {
    /// Which checkpoints are on disk now.
    stored: Vec<(u8, StoreToken)>,
    due: Mono,
}

impl Agent {
    /// A call of the store, in which the power may fail.
    fn on_disk<T>(&mut self, call: Call, work: impl FnOnce(&mut Log) -> T) -> Result<T, Box<PowerCut>> {
        let strikes = match &mut self.doom {
            Some(doom) if doom.call == call && doom.after == 0 => true,
            Some(doom) if doom.call == call => {
                doom.after -= 1;
                false
            }
            _ => false,
        };
        if !strikes {
            return Ok(work(&mut self.log));
        }
        let before = self.disk.image().expect("the folder of a running agent can be read");
        work(&mut self.log);
        let after = self.disk.image().expect("the folder of a running agent can be read");
        Err(Box::new(PowerCut { before, after }))
    }

    fn stop(mut self, own: Now) {
        self.bed.handle(own, BedIn::Close);
        loop {
            match self.bed.poll(own) {
                BedOut::Store(request) => self.log.append(own, &request.drafts, &mut Vec::new()),
                BedOut::Wait(_) => break,
                _ => {}
            }
        }
        self.log.close(own);
    }

    fn step(
        &mut self,
        now: Now,
        clock: &AgentClock,
        network: &mut Network,
        committed: &mut Committed,
        scene: &mut Scene<'_>,
    ) -> Result<Stepped, Box<PowerCut>> {
        let own = clock.at(now);
        let (mut stored, mut told) = (Vec::new(), Vec::new());
        if self.bed_due <= own.mono {
            self.bed.handle(own, BedIn::Timeout);
        }
        if now.mono.since(self.ticked_at) >= self.tick_every {
            self.tick(now, own, &mut told)?;
            told.iter().for_each(|told| committed.hear(now.mono, told));
        }
        self.outbox.handle(own, BoxIn::Timeout);
        loop {
            self.bed_due = self.drain_bed(now, own, &mut told, &mut stored, committed)?;
            told.drain(..).for_each(|told| self.outbox.handle(own, BoxIn::Store(told)));
            match self.outbox.poll(own) {
                BoxOut::Publish { id, topic, payload } => {
                    network.publish(now.mono, id, topic, payload, &mut scene.chance, scene.hub_listens);
                }
                BoxOut::Store(ask) => {
                    let call = if matches!(ask, Ask::Rows { .. }) { Call::Answer } else { Call::Note };
                    self.on_disk(call, |log| log.answer(own, ask, &mut told))?;
                    told.iter().for_each(|told| committed.hear(now.mono, told));
                }
                BoxOut::Reconnect(_) => {
                    network.cut(now.mono + Duration::from_secs(1), scene.chance.random);
                    self.outbox.handle(own, BoxIn::Disconnected);
                }
                BoxOut::Hub { reachable, detail, bed } => {
                    self.bed.handle(own, BedIn::Notice(BedNotice::Hub { reachable, detail, bed }));
                }
                BoxOut::Wait(box_due) => {
                    let due = clock.world(self.bed_due.min(box_due)).min(self.ticked_at + self.tick_every);
                    return Ok(Stepped { stored, due });
                }
            }
        }
    }

    fn drain_bed(
        &mut self,
        now: Now,
        own: Now,
        told: &mut Vec<FromStore>,
        stored: &mut Vec<(u8, StoreToken)>,
        committed: &mut Committed,
    ) -> Result<Mono, Box<PowerCut>> {
        loop {
            match self.bed.poll(own) {
                BedOut::Uplink(request) => self.outbox.handle(own, BoxIn::Bed(request)),
                BedOut::Store(request) => {
                    let mut fresh = Vec::new();
                    self.on_disk(Call::Append, |log| log.append(own, &request.drafts, &mut fresh))?;
                    self.wrote_at = now.mono;
                    fresh.iter().for_each(|told| committed.hear(now.mono, told));
                    told.append(&mut fresh);
                    self.bed.handle(own, BedIn::Notice(BedNotice::Stored(request.checkpoints)));
                }
                BedOut::Signals(_) => {}
                BedOut::Stored(link, token) => stored.push((link, token)),
                BedOut::Keep(keep, text) => {
                    bed::keep(&self.disk.dir.join(KEPT), keep, &text).expect("the folder takes files");
                }
                BedOut::Wait(due) => return Ok(due),
            }
        }
    }

    fn tick(&mut self, now: Now, own: Now, told: &mut Vec<FromStore>) -> Result<(), Box<PowerCut>> {
        self.ticked_at = now.mono;
        let call = if now.mono.since(self.house_at) >= HOUSE_EVERY {
            self.house_at = now.mono;
            Call::House
        } else if now.mono.since(self.wrote_at) >= BEAT_EVERY {
            Call::Beat
        } else {
            Call::Tick
        };
        if call != Call::Tick {
            self.wrote_at = now.mono;
        }
        self.on_disk(call, |log| log.tick(own, told))?;
        self.bed.handle(own, BedIn::Notice(BedNotice::StoreTrouble(self.log.trouble())));
        self.bed.handle(own, BedIn::Notice(BedNotice::Outbox(self.log.outbox(own))));
        Ok(())
    }

    /// What came down, and the state of the connection.
    fn hear(&mut self, now: Now, clock: &AgentClock, network: &mut Network, hub_listens: bool) {
        let own = clock.at(now);
        let can_connect = hub_listens || network.reaches_a_broker();
        if !network.is_connected {
            self.outbox.handle(own, BoxIn::Disconnected);
            if can_connect && now.mono >= network.connect_at {
                network.is_connected = true;
                self.outbox.handle(own, BoxIn::Connected { slots: 32 });
            }
            return;
        }
        while let Some((id, taken)) = network.taken(now.mono) {
            self.outbox.handle(own, BoxIn::Taken { id, taken });
        }
        while let Some((what, payload)) = network.came_down(now.mono) {
            let input = match what {
                Downstream::Welcome => serde_json::from_slice::<Welcome>(&payload).map(BoxIn::Welcome),
                Downstream::Ack => serde_json::from_slice::<Ack>(&payload).map(BoxIn::Ack),
                Downstream::Alive => serde_json::from_slice::<Alive>(&payload).map(BoxIn::Alive),
                Downstream::Limits | Downstream::Command => continue,
            };
            self.outbox.handle(own, input.expect("the hub writes what it promises"));
        }
    }
}

/// The oximeter's dips alarm.
fn low_saturation() -> Limit {
    Limit {
        delay: Duration::from_millis(500),
        priority: Priority::High,
        ..Limit::plain(Code(150_456), LimitSide::Low, Decimal::new(88, 0), "%")
    }
}
