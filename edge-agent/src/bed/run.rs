//! The bed's shell: carries what is heard and the time to [`Bed`], and what it decides to uplink and store.
//!
//! It never waits for either: the uplink gets the newest announce when it has room, the store its requests in order.

use super::held::Held;
use super::kept::{self, Keep};
use super::{Bed, Input, Output, Signals, Snapshot};
use crate::row::{BedNotice, Heard, LinkIndex, StoreRequest, UplinkRequest};
use anyhow::Result;
use cotside_protocol::model::{DeviceText, Mono, Now, StoreToken};
use cotside_protocol::wire::downstream::Act;
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::{self, Stop};
use cotside_systemd::timer::Timer;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

const FEED_WATCHDOG_EVERY: Duration = Duration::from_secs(1);

/// What people at the machine, or a page, button or program beside the bed, want of it.
#[derive(Debug)]
pub enum Asked {
    Snapshot(oneshot::Sender<Snapshot>),
    Act {
        by: DeviceText,
        act: Act,
        done: oneshot::Sender<Result<(), String>>,
    },
    /// A button that pauses the sound, and ends the pause.
    Button {
        by: DeviceText,
    },
}

/// Everything that wakes the bed and everything that it wakes.
pub struct Wires {
    pub heard: mpsc::Receiver<Heard>,
    pub notices: mpsc::Receiver<BedNotice>,
    pub questions: mpsc::Receiver<Asked>,
    /// For whatever signals at the bed; the latest counts.
    pub signals: watch::Sender<Signals>,
    pub store: mpsc::Sender<StoreRequest>,
    pub uplink: mpsc::Sender<UplinkRequest>,
    /// By link: what it reported is on disk.
    pub links: Vec<mpsc::Sender<StoreToken>>,
    /// Where the texts for the next life go.
    pub kept: PathBuf,
}

pub async fn run(mut bed: Bed, mut wires: Wires, clock: Clock, mut stop: Stop) -> Result<()> {
    let mut timer = Timer::new(clock);
    let mut held = Held::default();
    let mut keeper = Keeper::new(wires.kept.clone());
    let mut fed_at = Mono(0);
    let mut was_set = None;
    loop {
        let is_set = clock.is_set();
        if was_set.replace(is_set) != Some(is_set) {
            bed.handle(clock.now(), Input::ClockIsSet(is_set));
        }
        let (wake_at, fell_behind) = drain(&mut bed, &mut held, &mut keeper, &wires, clock);
        keeper.start_next();
        let now = clock.now();
        if let Some(trouble) = fell_behind.or_else(|| pass_on(&mut held, now, &wires.store)) {
            bed.handle(now, Input::Notice(trouble));
            continue;
        }
        if now.mono.since(fed_at) >= FEED_WATCHDOG_EVERY {
            fed_at = now.mono;
            stages::still_alive();
        }
        tokio::select! {
            biased;
            () = stop.requested() => break,
            Some(heard) = wires.heard.recv() => {
                let now = clock.now();
                bed.handle(now, Input::Heard(heard));
                // What a link heard together is taken together.
                while let Ok(heard) = wires.heard.try_recv() {
                    bed.handle(now, Input::Heard(heard));
                }
            }
            Some(notice) = wires.notices.recv() => {
                let now = clock.now();
                let notice = balance(notice, &mut held, now.mono);
                bed.handle(now, Input::Notice(notice));
            }
            Some(asked) = wires.questions.recv() => answer(&mut bed, asked, clock.now()),
            () = keeper.written(), if keeper.is_writing() => {}
            permit = wires.store.reserve(), if held.has_requests() => give(permit.ok(), || held.next(clock.now())),
            permit = wires.uplink.reserve(), if held.has_announce() => give(permit.ok(), || held.take_announce()),
            () = timer.until(wake_at) => bed.handle(clock.now(), Input::Timeout),
        }
    }
    // The links have stopped before the bed: what they said last still waits here.
    while let Ok(heard) = wires.heard.try_recv() {
        bed.handle(clock.now(), Input::Heard(heard));
    }
    bed.handle(clock.now(), Input::Close);
    drain(&mut bed, &mut held, &mut keeper, &wires, clock);
    keeper.finish().await;
    while let Some(request) = held.next(clock.now()) {
        wires.store.send(request).await?;
    }
    Ok(())
}

/// Takes all that the bed has decided; returns when to wake it, and words if the store has fallen too far behind.
fn drain(
    bed: &mut Bed,
    held: &mut Held,
    keeper: &mut Keeper,
    wires: &Wires,
    clock: Clock,
) -> (Mono, Option<BedNotice>) {
    let mut fell_behind = None;
    loop {
        match bed.poll(clock.now()) {
            Output::Uplink(request) => tell_uplink(request, held, &wires.uplink),
            Output::Store(request) => fell_behind = held.keep(request).or(fell_behind),
            Output::Keep(keep, text) => keeper.keep(keep, text),
            Output::Signals(signals) => drop(wires.signals.send_replace(signals)),
            Output::Stored(link, token) => stored(wires, link, token),
            Output::Wait(until) => return (until, fell_behind),
        }
    }
}

/// Whoever asked may have left.
fn answer(bed: &mut Bed, asked: Asked, now: Now) {
    match asked {
        Asked::Snapshot(to) => drop(to.send(bed.snapshot(now))),
        Asked::Act { by, act, done } => drop(done.send(bed.here(now, &by, act))),
        Asked::Button { by } => {
            if let Err(words) = bed.pressed(now, &by) {
                tracing::warn!(words, "the button at the bed was not obeyed");
            }
        }
    }
}

fn tell_uplink(request: UplinkRequest, held: &mut Held, uplink: &mpsc::Sender<UplinkRequest>) {
    if matches!(request, UplinkRequest::Announce(_)) {
        held.keep_announce(None);
    }
    match uplink.try_send(request) {
        Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
        Err(mpsc::error::TrySendError::Full(announce @ UplinkRequest::Announce(_))) => {
            held.keep_announce(Some(announce));
        }
        // The next status comes within a second, and a command without its reply is sent again.
        Err(mpsc::error::TrySendError::Full(UplinkRequest::Status(_) | UplinkRequest::Reply(_))) => {}
    }
}

/// Words, when the store has caught up.
fn pass_on(held: &mut Held, now: Now, store: &mpsc::Sender<StoreRequest>) -> Option<BedNotice> {
    while held.has_requests() {
        let permit = store.try_reserve().ok()?;
        give(Some(permit), || held.next(now));
    }
    held.caught_up()
}

fn give<T>(permit: Option<mpsc::Permit<'_, T>>, next: impl FnOnce() -> Option<T>) {
    if let Some(permit) = permit
        && let Some(request) = next()
    {
        permit.send(request);
    }
}

/// The store's account of what it was given, completed by what never got there.
fn balance(notice: BedNotice, held: &mut Held, now: Mono) -> BedNotice {
    let BedNotice::Outbox(mut outbox) = notice else { return notice };
    if let Some(words) = held.compare(now, outbox.entries.stored) {
        tracing::error!(words, "the accounts of bed and store differ");
    }
    outbox.entries.lost = held.lost();
    BedNotice::Outbox(outbox)
}

fn stored(wires: &Wires, link: LinkIndex, token: StoreToken) {
    if let Some(to) = wires.links.get(usize::from(link)) {
        // A link that is being restarted has forgotten its checkpoints; its peer asks again.
        let _ = to.try_send(token);
    }
}

/// Writes kept texts beside the loop, the newest of each kind, one at a time: the alarm path waits for no disk.
struct Keeper {
    directory: PathBuf,
    newest: VecDeque<(Keep, String)>,
    writing: Option<JoinHandle<io::Result<()>>>,
}

impl Keeper {
    fn new(directory: PathBuf) -> Self {
        Self { directory, newest: VecDeque::new(), writing: None }
    }

    fn keep(&mut self, keep: Keep, text: String) {
        self.newest.retain(|(of, _)| *of != keep);
        self.newest.push_back((keep, text));
    }

    fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    fn start_next(&mut self) {
        if self.writing.is_none()
            && let Some((keep, text)) = self.newest.pop_front()
        {
            let directory = self.directory.clone();
            self.writing = Some(tokio::task::spawn_blocking(move || kept::write(&directory, keep, &text)));
        }
    }

    async fn written(&mut self) {
        let Some(writing) = &mut self.writing else { return };
        let ended = writing.await;
        self.writing = None;
        if let Ok(Err(error)) = ended {
            // The store alarms for the disk; these texts only make a restart quicker.
            tracing::warn!(directory = %self.directory.display(), %error, "cannot keep the bed's state for a restart");
        }
    }

    async fn finish(&mut self) {
        loop {
            self.start_next();
            if !self.is_writing() {
                return;
            }
            self.written().await;
        }
    }
}
