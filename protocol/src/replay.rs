//! Replay: a driver's sessions played from recorded bytes in virtual time, for `decode`, for golden files, and for faults by the million.
//!
//! Nobody answers here: what a session transmits is shown and goes nowhere. A checkpoint counts as stored at once, and a session
//! that hangs up is followed by a new one, which gets no keepsake: a recording that is played twice is decoded twice.

use crate::capture::{Capture, Direction};
use crate::device::{BadSetting, Driver, Input, Output, Path, Session, Settings};
use crate::model::{Event, Mono, Now, Tally};
use std::time::Duration;

/// A session that asks to be woken in the past is woken this much later instead; [`Replay::spins`] counts it.
const SPIN_STEP: Duration = Duration::from_millis(1);

/// One driver's conversation, in time that only moves when told to.
pub struct Replay {
    driver: &'static Driver,
    settings: Settings,
    session: Box<dyn Session>,
    /// The session has been asked what it wants first.
    started: bool,
    now: Now,
    wake_at: Mono,
    /// The account of the sessions that have ended.
    ended: Tally,
    sessions: u32,
    spins: u32,
}

impl Replay {
    pub fn open(driver: &'static Driver, settings: Settings, now: Now) -> Result<Self, BadSetting> {
        let session = (driver.open)(&settings, now)?;
        let ended = Tally::default();
        Ok(Self {
            driver,
            settings,
            session,
            started: false,
            now,
            wake_at: now.mono,
            ended,
            sessions: 1,
            spins: 0,
        })
    }

    pub const fn now(&self) -> Now {
        self.now
    }

    /// Sessions opened so far.
    pub const fn sessions(&self) -> u32 {
        self.sessions
    }

    /// How often a session asked to be woken at a moment already past: zero for every sound one.
    pub const fn spins(&self) -> u32 {
        self.spins
    }

    /// The account of every byte fed in, over all sessions.
    pub fn tally(&self) -> Tally {
        let mut sum = self.ended;
        sum += self.session.tally();
        sum
    }

    /// Lets time pass: wakes the session at each of its deadlines up to `until`.
    pub fn pass(&mut self, until: Mono, out: &mut dyn FnMut(Now, &Output)) {
        self.start(out);
        while self.wake_at <= until {
            if self.wake_at <= self.now.mono {
                self.spins += 1;
                self.wake_at = self.now.mono + SPIN_STEP;
                continue;
            }
            self.now = self.now.after(self.wake_at.since(self.now.mono));
            self.handle(Input::Timeout, out);
            self.start(out);
        }
        self.now = self.now.after(until.since(self.now.mono));
    }

    /// Bytes from the device, now.
    pub fn receive(&mut self, from: Path, bytes: &[u8], out: &mut dyn FnMut(Now, &Output)) {
        self.start(out);
        self.handle(Input::Received { from, bytes }, out);
    }

    /// Plays a whole capture from where time stands.
    pub fn play(&mut self, capture: &Capture, out: &mut dyn FnMut(Now, &Output)) {
        let begin = self.now.mono;
        for record in capture.records.iter().filter(|record| record.direction == Direction::FromDevice) {
            self.pass(begin + record.at, out);
            self.receive(record.wire.path(), &record.bytes, out);
        }
    }

    /// Asks the session to say goodbye.
    pub fn close(&mut self, out: &mut dyn FnMut(Now, &Output)) {
        self.start(out);
        self.handle(Input::Close, out);
    }

    fn start(&mut self, out: &mut dyn FnMut(Now, &Output)) {
        if !self.started {
            self.started = true;
            self.drain(out);
        }
    }

    fn handle(&mut self, input: Input<'_>, out: &mut dyn FnMut(Now, &Output)) {
        self.session.handle(self.now, input);
        self.drain(out);
    }

    fn drain(&mut self, out: &mut dyn FnMut(Now, &Output)) {
        let mut stored = None;
        loop {
            let output = self.session.poll();
            out(self.now, &output);
            match output {
                Output::Event(Event::Checkpoint(token)) => stored = Some(token),
                Output::Hangup(_) => return self.reopen(),
                Output::Wait { until, .. } => {
                    self.wake_at = until;
                    let Some(token) = stored.take() else { return };
                    self.session.handle(self.now, Input::Stored(token));
                }
                Output::Transmit { .. } | Output::Event(_) => {}
            }
        }
    }

    fn reopen(&mut self) {
        let next =
            (self.driver.open)(&self.settings, self.now).expect("these settings opened a session before");
        self.ended += std::mem::replace(&mut self.session, next).tally();
        self.sessions += 1;
        self.started = false;
        self.wake_at = self.now.mono + SPIN_STEP;
    }
}
