//! One bed of the virtual unit: its lines, its agent between birth and death, its way to the hub.

use super::*;

/// A session that ended is opened again after this.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// Everything at one bed.
pub(super) struct BedWorld {
    pub(super) id: AgentId,
    pub(super) at: usize,
    pub(super) lines: Vec<Line>,
    pub(super) dir: PathBuf,
    pub(super) agent: Option<Agent>,
    /// When the agent that died comes back.
    pub(super) back_at: Mono,
    pub(super) network: Network,
    pub(super) sent: Sent,
}

pub(super) struct Agent {
    pub(super) bed: Bed,
    pub(super) log: Log,
    pub(super) outbox: Outbox,
    pub(super) ticked_at: Mono,
}

pub(super) struct Line {
    pub(super) driver: &'static Driver,
    pub(super) session: Option<Box<dyn Session>>,
    /// The session before it, for its keepsake.
    last: Option<Box<dyn Session>>,
    pub(super) reopen_at: Mono,
    pub(super) peer: Box<dyn Peer>,
    pub(super) body: Newborn,
    pub(super) there: Cable,
    pub(super) back: Cable,
    pub(super) path: Path,
    pub(super) told_at: Mono,
}

#[derive(Default)]
pub(super) struct Network {
    pub(super) up: VecDeque<(Mono, Option<u64>, Upstream, bytes::Bytes)>,
    pub(super) down: VecDeque<(Mono, Downstream, Vec<u8>)>,
    pub(super) taken: VecDeque<(Mono, u64)>,
    pub(super) is_connected: bool,
    pub(super) connect_at: Mono,
}

pub(super) fn line(name: &str, seed: u64, count: Option<Sent>, faults: Faults, datagram: bool) -> Line {
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
        last: None,
        reopen_at: START.mono,
        peer,
        body: Newborn::new(seed, START.mono, (0..50).map(apnoea).collect()),
        there: Cable::new(seed ^ 1, faults),
        back: Cable::new(seed ^ 2, Faults { unplug_every: None, ..faults }),
        path: if datagram { Path::Datagram(([10, 0, 0, 9], 24_105).into()) } else { Path::Line },
        told_at: START.mono,
    }
}

impl BedWorld {
    pub(super) fn be_born(&mut self, now: Now) {
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
    pub(super) fn die(&mut self, back_at: Mono) -> bool {
        self.back_at = back_at;
        for line in &mut self.lines {
            (line.session, line.last) = (None, None);
        }
        self.network = Network::default();
        self.agent.take().is_some()
    }

    pub(super) fn step(
        &mut self,
        now: Now,
        chance: &mut Chance<'_>,
        hub_is_up: bool,
        findings: &mut Findings,
    ) {
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
    pub(super) fn step(
        &mut self,
        now: Now,
        network: &mut Network,
        chance: &mut Chance<'_>,
    ) -> Vec<(u8, StoreToken)> {
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
    pub(super) fn deliver(&mut self, now: Now, agent: &mut Agent, hub_is_up: bool) {
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
    pub(super) fn step(&mut self, now: Now, link: u8, bed: &mut Bed, findings: &mut Findings) {
        self.body.advance(now.mono);
        if self.session.is_none() && now.mono >= self.reopen_at {
            findings.reopened += 1;
            let settings = Settings::check(self.driver.settings, &[]).expect("defaults are valid");
            let session = self.driver.open_after(&settings, now, self.last.as_deref());
            self.session = Some(session.expect("defaults open"));
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

    pub(super) fn drain(&mut self, now: Now, link: u8, bed: &mut Bed, findings: &mut Findings) {
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

    pub(super) fn deaf(&mut self, now: Now) {
        self.body.advance(now.mono);
        while let PeerOutput::Transmit { .. } = self.peer.poll(now, &self.body) {}
    }

    /// Every byte of the conversation is accounted for.
    pub(super) fn close(&mut self, findings: &mut Findings) {
        let Some(session) = self.session.take() else { return };
        let tally = session.tally();
        if !tally.is_balanced() {
            findings.broken.push(format!("{}: bytes do not add up: {tally:?}", self.driver.name));
        }
        findings.tally.received += tally.received;
        findings.tally.decoded += tally.decoded;
        findings.tally.frames += tally.frames;
        self.last = Some(session);
    }

    pub(super) fn status(&self, link: u8) -> LinkStatus {
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
            clock: None,
        }
    }
}
