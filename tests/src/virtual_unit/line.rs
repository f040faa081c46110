//! One cable of a bed: the device, the session that hears it, and what happens to the plug between them.

use super::oracle::{Fate, Said};
use super::*;
use cotside_protocol::device::{Hangup, Physiology};
use cotside_protocol::model::{Code, Event};

/// A session that ended is opened again after this.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Line {
    pub(super) driver: &'static Driver,
    session: Option<Box<dyn Session>>,
    /// The session before it, for its keepsake.
    last: Option<Box<dyn Session>>,
    reopen_at: Mono,
    session_due: Mono,
    peer: Box<dyn Peer>,
    peer_due: Mono,
    body: Option<Newborn>,
    there: Cable,
    back: Cable,
    path: Path,
    told_at: Mono,
    tell_every: Duration,
    heard_at: Option<Mono>,
    state: LinkState,
    /// The plug is out until then.
    pulled_until: Option<Mono>,
    count: Option<Count>,
}

/// What the counting oximeter said, and what became of each line on its way to a session.
pub(super) struct Count {
    sent: Sent,
    pub(super) said: Vec<Said>,
    pub(super) pulls: Vec<(Mono, Mono)>,
}

/// The counting oximeter lies beside the bed.
struct Nobody;

impl Physiology for Nobody {
    fn numeric(&self, _code: Code, _at: Mono) -> Option<f64> {
        None
    }

    fn sample(&self, _code: Code, _at: Mono) -> Option<f64> {
        None
    }
}

pub(super) fn counting(weather: &Weather, seed: u64) -> Line {
    let sent = Sent::default();
    let count = Count { sent: sent.clone(), said: Vec::new(), pulls: Vec::new() };
    let oximeter = CountingOximeter::new(sent).every(weather.line_every);
    let peer = Box::new(if weather.alarms { oximeter.with_dips() } else { oximeter });
    let tell_every = weather.house_every;
    Line { count: Some(count), tell_every, ..over("masimo", peer, None, seed, Faults::default(), false) }
}

pub(super) fn line(name: &str, seed: u64, faults: Faults, datagram: bool) -> Line {
    let options =
        PeerOptions { seed, serial: format!("SIM{}", seed % 9999), bed_label: "01".into(), datagram };
    let peer = (devices::peer(name).expect("every driver has a peer").open)(&options);
    let apnoea = |n: u64| Episode { begin_s: 40.0 + 130.0 * n as f64, length_s: 25.0, what: What::Apnoea };
    let body = Newborn::new(seed, START.mono, (0..50).map(apnoea).collect());
    over(name, peer, Some(body), seed, faults, datagram)
}

fn over(
    name: &str,
    peer: Box<dyn Peer>,
    body: Option<Newborn>,
    seed: u64,
    faults: Faults,
    datagram: bool,
) -> Line {
    Line {
        driver: devices::driver(name).expect("a driver of the list"),
        session: None,
        last: None,
        reopen_at: START.mono,
        session_due: START.mono,
        peer,
        peer_due: START.mono,
        body,
        there: Cable::new(seed ^ 1, faults),
        back: Cable::new(seed ^ 2, Faults { unplug_every: None, ..faults }),
        path: if datagram { Path::Datagram(([10, 0, 0, 9], 24_105).into()) } else { Path::Line },
        told_at: START.mono,
        tell_every: Duration::from_secs(1),
        heard_at: None,
        state: LinkState::Opening,
        pulled_until: None,
        count: None,
    }
}

impl Line {
    pub(super) fn count(&self) -> Option<&Count> {
        self.count.as_ref()
    }

    /// The plug comes out, and is put back then.
    pub(super) fn pull(&mut self, now: Mono, until: Mono) {
        if self.pulled_until.is_none() {
            self.pulled_until = Some(until);
            if let Some(count) = &mut self.count {
                count.pulls.push((now, until));
            }
        }
    }

    /// Its agent starts.
    pub(super) fn begin(&mut self, now: Mono) {
        (self.reopen_at, self.told_at) = (now, now);
        (self.heard_at, self.state) = (None, LinkState::Opening);
    }

    /// Its agent is gone, and everything in its memory.
    pub(super) fn end(&mut self) {
        (self.session, self.last) = (None, None);
    }

    pub(super) fn step(
        &mut self,
        now: Now,
        clock: &AgentClock,
        life: usize,
        link: u8,
        bed: &mut Bed,
        findings: &mut Findings,
    ) {
        let own = clock.at(now);
        if let Some(body) = &mut self.body {
            body.advance(now.mono);
        }
        let state = self.state;
        let is_plugged = self.is_plugged(now.mono);
        if !is_plugged {
            self.close(findings);
            self.state = LinkState::Down;
        }
        if is_plugged && self.session.is_none() && now.mono >= self.reopen_at {
            findings.reopened += 1;
            let settings = Settings::check(self.driver.settings, &[]).expect("defaults are valid");
            let session = self.driver.open_after(&settings, own, self.last.as_deref());
            self.session = Some(session.expect("defaults open"));
            self.session_due = now.mono;
            self.state = LinkState::Connecting;
            bed.handle(own, BedIn::Heard(Heard { link, at: own, what: News::Opened }));
        }
        if now.mono >= self.peer_due {
            self.listen(now, clock, life, link, bed, findings);
        }
        if self.session.is_some() && now.mono >= self.session_due {
            if let Some(session) = &mut self.session {
                session.handle(own, Input::Timeout);
            }
            self.drain(now, clock, link, bed, findings);
        }
        if self.state != state || now.mono.since(self.told_at) >= self.tell_every {
            self.told_at = now.mono;
            let what = News::State(self.status(now.mono, link));
            bed.handle(own, BedIn::Heard(Heard { link, at: own, what }));
        }
    }

    fn listen(
        &mut self,
        now: Now,
        clock: &AgentClock,
        life: usize,
        link: u8,
        bed: &mut Bed,
        findings: &mut Findings,
    ) {
        while let Some(bytes) = self.speak(now) {
            let arrived = self.there.carry(now.mono, &bytes);
            let fate = if self.session.is_some() { Fate::Heard(life as u32) } else { Fate::NotConnected };
            self.note(now, clock, fate);
            if let Some(session) = &mut self.session
                && !arrived.is_empty()
            {
                session.handle(clock.at(now), Input::Received { from: self.path, bytes: &arrived });
                self.drain(now, clock, link, bed, findings);
            }
        }
    }

    fn speak(&mut self, now: Now) -> Option<Vec<u8>> {
        let body = self.body.as_ref().map_or(&Nobody as &dyn Physiology, |body| body);
        match self.peer.poll(now, body) {
            PeerOutput::Transmit { bytes, .. } => Some(bytes),
            PeerOutput::Wait { until } => {
                self.peer_due = until;
                None
            }
        }
    }

    fn note(&mut self, now: Now, clock: &AgentClock, fate: Fate) {
        if let Some(count) = &mut self.count {
            count.said.push(Said { at: now.mono, wall: clock.at(now).wall, fate });
            debug_assert_eq!(count.said.len(), count.sent.lock().expect("one thread").len());
        }
    }

    pub(super) fn stored(
        &mut self,
        now: Now,
        clock: &AgentClock,
        token: StoreToken,
        link: u8,
        bed: &mut Bed,
        findings: &mut Findings,
    ) {
        if let Some(session) = &mut self.session {
            session.handle(clock.at(now), Input::Stored(token));
        }
        self.drain(now, clock, link, bed, findings);
    }

    fn drain(&mut self, now: Now, clock: &AgentClock, link: u8, bed: &mut Bed, findings: &mut Findings) {
        let own = clock.at(now);
        while let Some(session) = &mut self.session {
            match session.poll() {
                Output::Transmit { bytes, .. } => {
                    let arrived = self.back.carry(now.mono, &bytes);
                    self.peer.handle(now, self.path, &arrived);
                    self.peer_due = now.mono;
                }
                Output::Event(event) => {
                    if !matches!(event, Event::Malformed { .. } | Event::Notice(_)) {
                        (self.heard_at, self.state) = (Some(now.mono), LinkState::Live);
                    }
                    bed.handle(own, BedIn::Heard(Heard { link, at: own, what: News::Event(event) }));
                }
                Output::Hangup(why) => {
                    self.close(findings);
                    self.state = if why == Hangup::Silent { LinkState::Silent } else { LinkState::Down };
                    self.reopen_at = now.mono + REOPEN_AFTER;
                }
                Output::Wait { until, why } => {
                    if until.0 == u64::MAX {
                        findings.broken.push(format!("{}: waits for ever: {why}", self.driver.name));
                    }
                    self.session_due = clock.world(until);
                    return;
                }
            }
        }
    }

    /// Devices go on without a listener.
    pub(super) fn deaf(&mut self, now: Now, clock: &AgentClock) {
        if let Some(body) = &mut self.body {
            body.advance(now.mono);
        }
        self.is_plugged(now.mono);
        if now.mono >= self.peer_due {
            while self.speak(now).is_some() {
                self.note(now, clock, Fate::AgentDown);
            }
        }
    }

    /// When something happens here, if nothing comes from outside.
    pub(super) fn due(&self, is_heard: bool) -> Mono {
        let mut due = self.peer_due;
        if is_heard {
            due = due.min(self.told_at + self.tell_every);
            due = match (self.pulled_until, &self.session) {
                (Some(until), _) => due.min(until),
                (None, Some(_)) => due.min(self.session_due),
                (None, None) => due.min(self.reopen_at),
            };
        }
        due
    }

    fn is_plugged(&mut self, now: Mono) -> bool {
        if self.pulled_until.is_some_and(|until| until <= now) {
            self.pulled_until = None;
        }
        self.pulled_until.is_none()
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

    fn status(&self, now: Mono, link: u8) -> LinkStatus {
        LinkStatus {
            link,
            name: format!("link-{link}"),
            driver: self.driver.name.to_owned(),
            state: self.state,
            detail: String::new(),
            manufacturer: String::new(),
            model: String::new(),
            serial: String::new(),
            firmware: String::new(),
            heard_ms: self.heard_at.map(|at| now.since(at).as_millis() as u64),
            frames: 0,
            malformed_bytes: 0,
            clock: None,
        }
    }
}
