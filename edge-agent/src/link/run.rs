//! The link's shell: opens the port, carries bytes and time to the driver's session and its events to the bed, and opens again.

use super::identity::{Followed, Guard};
use super::port::{Arrived, Opener, Port};
use super::quota::Quota;
use super::serial::TICK;
use super::state::State;
use super::tap::Tap;
use crate::backoff::Backoff;
use crate::row::{Heard, LinkIndex, News};
use anyhow::Result;
use cotside_config::agent::Link;
use cotside_protocol::capture::Direction;
use cotside_protocol::device::{Hangup, Input, Output, Session};
use cotside_protocol::model::{Event, Mono, Now, StoreToken};
use cotside_protocol::wire::upstream::LinkState;
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::Stop;
use cotside_systemd::timer::Timer;
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};

/// Between two tries to open a port.
const WAIT_MIN: Duration = Duration::from_millis(250);
/// A cable that is put back is found within this time.
const WAIT_MAX: Duration = Duration::from_secs(5);
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// A polite goodbye may take this long.
const GOODBYE_MAX: Duration = Duration::from_millis(500);
/// More than any datagram, and than a serial line fills in one tick.
const BUFFER: usize = 64 * 1024;
/// A line that says frame after frame without a pause is looked at every [`TICK`] all the same.
const HUSH_EVERY: Duration = Duration::from_millis(100);
/// Datagrams taken in one go.
const BURST_MAX: usize = 64;

/// What one link is wired to.
#[derive(Clone)]
pub struct Wires {
    pub clock: Clock,
    pub heard: mpsc::Sender<Heard>,
    /// Shared, because a link that is started again goes on with it.
    pub stored: Arc<Mutex<mpsc::Receiver<StoreToken>>>,
    pub tap: Tap,
    /// Where the identity of the first contact is kept.
    pub identity: PathBuf,
    pub seed: u64,
}

/// Runs one link until it is told to stop. A defect in its driver becomes a technical alarm and a restart, and touches no other.
pub async fn run(index: LinkIndex, link: Arc<Link>, wires: Wires, mut stop: Stop) -> Result<()> {
    let mut backoff = Backoff::new(WAIT_MIN, WAIT_MAX, wires.seed);
    loop {
        let task = tokio::spawn(attempt(index, Arc::clone(&link), wires.clone(), stop.clone()));
        let Err(error) = task.await else { return Ok(()) };
        tracing::error!(link = link.name, driver = link.driver.name, %error, "the link failed, which is a defect");
        let now = wires.clock.now();
        let mut state = State::new(index, &link, now.mono);
        state.crashed();
        let _ =
            wires.heard.send(Heard { link: index, at: now, what: News::State(state.status(now.mono)) }).await;
        tokio::select! {
            () = stop.requested() => return Ok(()),
            () = tokio::time::sleep(backoff.next()) => {}
        }
    }
}

async fn attempt(index: LinkIndex, link: Arc<Link>, wires: Wires, stop: Stop) {
    let pinned = std::fs::read_to_string(&wires.identity).ok().map(|text| text.trim().to_owned());
    let guard = Guard::new(link.serial.clone(), pinned.filter(|text| !text.is_empty()));
    let state = State::new(index, &link, wires.clock.now().mono);
    let quota = Quota::default();
    // A link that is started again goes on above every number that it had: time has passed.
    let checkpoints = Checkpoints { next: wires.clock.now().mono.0, open: VecDeque::new() };
    let report_at = Mono(0);
    let running = Running {
        index,
        link,
        wires,
        stop,
        guard,
        state,
        quota,
        reported: None,
        report_at,
        checkpoints,
        last: None,
        hushed_at: Mono(0),
    };
    running.run().await;
}

struct Running {
    index: LinkIndex,
    link: Arc<Link>,
    wires: Wires,
    stop: Stop,
    guard: Guard,
    state: State,
    quota: Quota,
    reported: Option<LinkState>,
    report_at: Mono,
    checkpoints: Checkpoints,
    /// The session of the last conversation: what is stored of it is still heard until the next one begins.
    last: Option<Box<dyn Session>>,
    /// When the line was last handed to the kernel without another look.
    hushed_at: Mono,
}

/// Checkpoints of the present conversation, under numbers that no other conversation of this link had: what the store says of an
/// earlier one must never make this one acknowledge.
struct Checkpoints {
    next: u64,
    open: VecDeque<(StoreToken, StoreToken)>,
}

impl Checkpoints {
    fn out(&mut self, inner: StoreToken) -> StoreToken {
        self.next += 1;
        let outer = StoreToken(self.next);
        self.open.push_back((outer, inner));
        outer
    }

    /// The session's own token. None: of a conversation that has ended.
    fn back(&mut self, outer: StoreToken) -> Option<StoreToken> {
        let at = self.open.iter().position(|(open, _)| *open == outer)?;
        self.open.drain(..=at).next_back().map(|(_, inner)| inner)
    }
}

/// How a conversation ended.
enum End {
    Stopped,
    HungUp(Hangup),
    Broke(io::Error),
    /// The device called again before it had hung up.
    Anew,
}

/// What the session wants after it was drained.
enum Drained {
    Wait(Mono),
    Hangup(Hangup),
}

impl Running {
    async fn run(mut self) {
        let mut opener = Opener::new(&self.link);
        let mut backoff = Backoff::new(WAIT_MIN, WAIT_MAX, self.wires.seed);
        loop {
            self.state.opening();
            self.report().await;
            let end = match self.open(&mut opener).await {
                None => End::Stopped,
                Some(Ok(mut port)) => self.talk_on(&mut port).await,
                Some(Err(error)) => {
                    self.state.not_opened(&error);
                    End::Broke(error)
                }
            };
            if matches!(end, End::Stopped) {
                return;
            }
            if self.state.was_heard_since_opened() {
                backoff.reset();
            }
            self.report().await;
            if self.pause(backoff.next()).await {
                return;
            }
        }
    }

    /// None: told to stop while waiting.
    async fn open(&mut self, opener: &mut Opener) -> Option<io::Result<Port>> {
        let (refusals, mut refused) = mpsc::channel(1);
        let mut refuse = move |from: IpAddr| {
            // One refusal in the queue says enough.
            let _ = refusals.try_send(from);
        };
        let opening = opener.open(&mut refuse);
        tokio::pin!(opening);
        loop {
            let report_at = self.wires.clock.instant(self.report_at).into();
            tokio::select! {
                opened = &mut opening => return Some(opened),
                Some(from) = refused.recv() => self.refuse(from).await,
                () = self.stop.requested() => return None,
                () = tokio::time::sleep_until(report_at) => self.report().await,
            }
        }
    }

    /// True: told to stop meanwhile.
    async fn pause(&mut self, span: Duration) -> bool {
        let end: tokio::time::Instant = self.wires.clock.instant(self.wires.clock.now().mono + span).into();
        loop {
            let report_at: tokio::time::Instant = self.wires.clock.instant(self.report_at).into();
            tokio::select! {
                () = self.stop.requested() => return true,
                () = tokio::time::sleep_until(end.min(report_at)) => {
                    if report_at <= end {
                        self.report().await;
                    } else {
                        return false;
                    }
                }
            }
        }
    }

    /// Conversations on one open port, until it has to be opened again.
    async fn talk_on(&mut self, port: &mut Port) -> End {
        loop {
            self.state.opened(self.wires.clock.now().mono);
            self.guard.connected();
            let opened = Heard { link: self.index, at: self.wires.clock.now(), what: News::Opened };
            let _ = self.wires.heard.send(opened).await;
            self.report().await;
            let end = self.talk(port).await;
            let now = self.wires.clock.now().mono;
            match &end {
                End::Anew => {
                    self.state.hung_up(Hangup::Released, now);
                    continue;
                }
                End::HungUp(why) => self.state.hung_up(*why, now),
                End::Broke(error) => self.state.broke(error),
                End::Stopped => {}
            }
            return end;
        }
    }

    async fn talk(&mut self, port: &mut Port) -> End {
        let stored = Arc::clone(&self.wires.stored);
        let mut stored = stored.lock().await;
        let mut session = self.open_session(&mut stored);
        let end = self.converse(&mut *session, port, &mut stored).await;
        self.last = Some(session);
        end
    }

    /// The next conversation knows what is on disk of the last one, and begins its checkpoints anew.
    fn open_session(&mut self, stored: &mut mpsc::Receiver<StoreToken>) -> Box<dyn Session> {
        let now = self.wires.clock.now();
        let mut last = self.last.take();
        while let (Some(last), Ok(token)) = (&mut last, stored.try_recv()) {
            if let Some(token) = self.checkpoints.back(token) {
                last.handle(now, Input::Stored(token));
            }
        }
        self.checkpoints.open.clear();
        let session = self.link.driver.open_after(&self.link.settings, now, last.as_deref());
        session.expect("the configuration was checked by opening a session with the same settings")
    }

    async fn converse(
        &mut self,
        session: &mut dyn Session,
        port: &mut Port,
        stored: &mut mpsc::Receiver<StoreToken>,
    ) -> End {
        let clock = self.wires.clock;
        let mut buffer = vec![0; BUFFER];
        let mut timer = Timer::new(clock);
        let mut read_at = clock.now().mono;
        loop {
            let wake_at = match self.drain(session, port).await {
                Ok(Drained::Wait(until)) => until,
                Ok(Drained::Hangup(why)) => return End::HungUp(why),
                Err(error) => return End::Broke(error),
            };
            let now = clock.now();
            self.state.look(session.tally(), now.mono);
            if now.mono >= self.report_at || self.reported != Some(self.state.current()) {
                self.report().await;
            }
            let may_read = now.mono >= read_at;
            let until = wake_at.min(self.report_at).min(if may_read { Mono(u64::MAX) } else { read_at });
            tokio::select! {
                biased;
                () = self.stop.requested() => {
                    self.say_goodbye(session, port).await;
                    return End::Stopped;
                }
                Some(token) = stored.recv() => {
                    if let Some(token) = self.checkpoints.back(token) {
                        session.handle(clock.now(), Input::Stored(token));
                    }
                }
                arrived = port.arrived(&mut buffer), if may_read => {
                    read_at = match self.take(session, port, arrived, &mut buffer).await {
                        Ok(Some(next)) => next,
                        Ok(None) => return End::Anew,
                        Err(error) => return End::Broke(error),
                    };
                }
                () = timer.until(until) => {
                    if clock.now().mono >= wake_at {
                        session.handle(clock.now(), Input::Timeout);
                    }
                }
            }
        }
    }

    /// Hands what arrived to the session; returns when to read again. None: another conversation begins.
    async fn take(
        &mut self,
        session: &mut dyn Session,
        port: &mut Port,
        arrived: io::Result<Arrived>,
        buffer: &mut [u8],
    ) -> io::Result<Option<Mono>> {
        let mut arrived = arrived?;
        let mut read_at = self.wires.clock.now().mono + TICK;
        for _ in 0..BURST_MAX {
            match arrived {
                Arrived::Anew => return Ok(None),
                Arrived::Refused(from) => self.refuse(from).await,
                Arrived::Bytes(from, count) => {
                    let now = self.wires.clock.now();
                    self.wires.tap.copy(now.mono, Direction::FromDevice, from, &buffer[..count]);
                    session.handle(now, Input::Received { from, bytes: &buffer[..count] });
                    if let Some(later) = self.quota.take(now.mono, count) {
                        tracing::warn!(
                            link = self.link.name,
                            times = self.quota.exceeded(),
                            "the device babbles, read more slowly"
                        );
                        return Ok(Some(later));
                    }
                }
            }
            match port.more(buffer)? {
                // Each input is drained before the next.
                Some(next) => match self.drain(session, port).await? {
                    Drained::Wait(_) => arrived = next,
                    // It will say so again when drained by the caller.
                    Drained::Hangup(_) => break,
                },
                None => break,
            }
            read_at = self.wires.clock.now().mono + TICK;
        }
        // Nothing is about to come after the end of a frame: the look that would find nothing is saved.
        let now = self.wires.clock.now().mono;
        if port.is_looked_at() && session.tally().pending == 0 && now.since(self.hushed_at) >= HUSH_EVERY {
            self.hushed_at = now;
            read_at = now;
        }
        Ok(Some(read_at))
    }

    async fn drain(&mut self, session: &mut dyn Session, port: &mut Port) -> io::Result<Drained> {
        // One stamp for all that one input said: what a device says together stays together.
        let now = self.wires.clock.now();
        loop {
            match session.poll() {
                Output::Transmit { to, bytes } => {
                    self.wires.tap.copy(self.wires.clock.now().mono, Direction::ToDevice, to, &bytes);
                    port.send(to, &bytes).await?;
                }
                Output::Event(event) => self.event(now, event).await,
                Output::Hangup(why) => return Ok(Drained::Hangup(why)),
                Output::Wait { until, .. } => return Ok(Drained::Wait(until)),
            }
        }
    }

    async fn event(&mut self, now: Now, event: Event) {
        if let Event::Identified(identity) = &event
            && let Followed::Pin(serial) = self.guard.identified(identity)
        {
            self.pin(&serial);
        }
        if let (Event::Identified(_), Some(words)) = (&event, self.guard.wrong()) {
            tracing::warn!(
                link = self.link.name, words, kept_in = %self.wires.identity.display(),
                "wrong device: nothing of it is taken; if it is the right one, set its serial in the configuration, or delete the file"
            );
        }
        tracing::trace!(link = self.link.name, event = %cotside_protocol::transcript::Line(&Output::Event(event.clone())), "heard");
        if let Event::Notice(words) = &event {
            tracing::info!(link = self.link.name, words, "notice");
        }
        self.state.event(&event, &self.guard, now.mono);
        if self.reported != Some(self.state.current()) {
            self.report().await;
        }
        // Who it is may always be told; what it says is this bed's only if it is the confirmed one.
        let is_told = self.guard.passes()
            || matches!(event, Event::Identified(_) | Event::Malformed { .. } | Event::Notice(_));
        if is_told {
            let event = match event {
                Event::Checkpoint(token) => Event::Checkpoint(self.checkpoints.out(token)),
                other => other,
            };
            let _ =
                self.wires.heard.send(Heard { link: self.index, at: now, what: News::Event(event) }).await;
        }
    }

    fn pin(&self, serial: &str) {
        tracing::info!(
            link = self.link.name,
            "first contact: this device is the one confirmed for this link"
        );
        let path = &self.wires.identity;
        let written =
            path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(path, serial));
        if let Err(error) = written {
            tracing::error!(path = %path.display(), %error, "cannot keep the device's identity");
        }
    }

    async fn refuse(&mut self, from: IpAddr) {
        if self.state.refuse(from) {
            tracing::warn!(link = self.link.name, %from, "refused: another sender has this link");
            let what = News::Refused(from);
            let _ = self.wires.heard.send(Heard { link: self.index, at: self.wires.clock.now(), what }).await;
        }
    }

    async fn report(&mut self) {
        let now = self.wires.clock.now();
        self.report_at = now.mono + REPORT_EVERY;
        let status = self.state.status(now.mono);
        if self.reported != Some(status.state) {
            tracing::info!(link = self.link.name, state = ?status.state, detail = status.detail, "link");
        }
        self.reported = Some(status.state);
        // The bed ends after the links: a closed channel means that the agent is stopping.
        let _ = self.wires.heard.send(Heard { link: self.index, at: now, what: News::State(status) }).await;
    }

    /// A device that alarms when its host vanishes is asked to stop politely (hazard H14).
    async fn say_goodbye(&mut self, session: &mut dyn Session, port: &mut Port) {
        session.handle(self.wires.clock.now(), Input::Close);
        let goodbye = async {
            let mut buffer = vec![0; BUFFER];
            while let Ok(Drained::Wait(until)) = self.drain(session, port).await {
                let now = self.wires.clock.now();
                tokio::select! {
                    arrived = port.arrived(&mut buffer) => match arrived {
                        Ok(Arrived::Bytes(from, count)) => {
                            session.handle(self.wires.clock.now(), Input::Received { from, bytes: &buffer[..count] });
                        }
                        Ok(Arrived::Refused(_)) => {}
                        Ok(Arrived::Anew) | Err(_) => return,
                    },
                    () = tokio::time::sleep(until.since(now.mono)) => session.handle(self.wires.clock.now(), Input::Timeout),
                }
            }
        };
        if tokio::time::timeout(GOODBYE_MAX, goodbye).await.is_err() {
            tracing::debug!(link = self.link.name, "no goodbye from the device in time");
        }
    }
}

/// The file that keeps the identity of a link's first contact.
pub fn identity_file(state_dir: &std::path::Path, link: &str) -> PathBuf {
    state_dir.join("identities").join(link)
}
