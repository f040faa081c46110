//! The bed's shell: carries what is heard and the time to [`Bed`], and what it decides to uplink and store.
//!
//! It never waits for either: the uplink gets the newest announce when it has room, the store its requests in order.

use super::kept::{self, Keep};
use super::{Bed, Input, Output, Snapshot};
use crate::row::{BedNotice, Heard, LinkIndex, StoreRequest, UplinkRequest};
use anyhow::Result;
use cotside_protocol::model::{Mono, StoreToken};
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::{self, Stop};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Requests held while the store is busy: minutes of them, at one a second. Beyond, streaming data is lost and said to be.
const STORE_BACKLOG_MAX: usize = 256;
const FEED_WATCHDOG_EVERY: Duration = Duration::from_secs(1);

/// Everything that wakes the bed and everything that it wakes.
pub struct Wires {
    pub heard: mpsc::Receiver<Heard>,
    pub notices: mpsc::Receiver<BedNotice>,
    pub questions: mpsc::Receiver<oneshot::Sender<Snapshot>>,
    pub store: mpsc::Sender<StoreRequest>,
    pub uplink: mpsc::Sender<UplinkRequest>,
    /// By link: what it reported is on disk.
    pub links: Vec<mpsc::Sender<StoreToken>>,
    /// Where the texts for the next life go.
    pub kept: PathBuf,
}

pub async fn run(mut bed: Bed, mut wires: Wires, clock: Clock, mut stop: Stop) -> Result<()> {
    let mut held = Held::default();
    let mut keeper = Keeper::new(wires.kept.clone());
    let mut fed_at = Mono(0);
    loop {
        let wake_at = drain(&mut bed, &mut held, &mut keeper, &wires, clock);
        keeper.start_next();
        held.pass_on(&wires);
        if let Some(trouble) = held.trouble.take() {
            bed.handle(clock.now(), Input::Notice(trouble));
            continue;
        }
        let now = clock.now();
        if now.mono.since(fed_at) >= FEED_WATCHDOG_EVERY {
            fed_at = now.mono;
            stages::still_alive();
        }
        tokio::select! {
            biased;
            () = stop.requested() => break,
            Some(heard) = wires.heard.recv() => bed.handle(clock.now(), Input::Heard(heard)),
            Some(notice) = wires.notices.recv() => bed.handle(clock.now(), Input::Notice(notice)),
            Some(question) = wires.questions.recv() => {
                // Whoever asked may have left.
                let _ = question.send(bed.snapshot(clock.now()));
            }
            () = keeper.written(), if keeper.is_writing() => {}
            permit = wires.store.reserve(), if !held.store.is_empty() => held.give_store(permit.ok()),
            permit = wires.uplink.reserve(), if held.announce.is_some() => held.give_uplink(permit.ok()),
            () = tokio::time::sleep_until(clock.instant(wake_at).into()) => bed.handle(clock.now(), Input::Timeout),
        }
    }
    // The links have stopped before the bed: what they said last still waits here.
    while let Ok(heard) = wires.heard.try_recv() {
        bed.handle(clock.now(), Input::Heard(heard));
    }
    bed.handle(clock.now(), Input::Close);
    drain(&mut bed, &mut held, &mut keeper, &wires, clock);
    keeper.finish().await;
    for request in held.store.drain(..) {
        wires.store.send(request).await?;
    }
    Ok(())
}

/// Takes all that the bed has decided; returns when to wake it.
fn drain(bed: &mut Bed, held: &mut Held, keeper: &mut Keeper, wires: &Wires, clock: Clock) -> Mono {
    loop {
        match bed.poll(clock.now()) {
            Output::Uplink(request) => held.uplink(request, &wires.uplink),
            Output::Store(request) => held.keep(request),
            Output::Keep(keep, text) => keeper.keep(keep, text),
            Output::Stored(link, token) => stored(wires, link, token),
            Output::Wait(until) => return until,
        }
    }
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

/// What uplink and store had no room for yet.
#[derive(Default)]
struct Held {
    /// The newest: it is the full state, an older one says nothing more.
    announce: Option<UplinkRequest>,
    store: VecDeque<StoreRequest>,
    /// Something was lost because the store did not keep up; said until it has caught up.
    is_behind: bool,
    trouble: Option<BedNotice>,
}

impl Held {
    fn uplink(&mut self, request: UplinkRequest, uplink: &mpsc::Sender<UplinkRequest>) {
        if matches!(request, UplinkRequest::Announce(_)) {
            self.announce = None;
        }
        match uplink.try_send(request) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(request @ UplinkRequest::Announce(_))) => {
                self.announce = Some(request);
            }
            // The next status comes within a second.
            Err(mpsc::error::TrySendError::Full(UplinkRequest::Status(_))) => {}
        }
    }

    fn keep(&mut self, request: StoreRequest) {
        if self.store.len() == STORE_BACKLOG_MAX {
            let is_streaming =
                |request: &StoreRequest| request.drafts.iter().all(crate::row::Draft::is_streaming);
            let oldest = self.store.iter().position(is_streaming).unwrap_or(0);
            self.store.remove(oldest);
            if !std::mem::replace(&mut self.is_behind, true) {
                self.trouble = Some(BedNotice::StoreTrouble(Some("the store does not keep up".to_owned())));
            }
        }
        self.store.push_back(request);
    }

    fn pass_on(&mut self, wires: &Wires) {
        while !self.store.is_empty() {
            match wires.store.try_reserve() {
                Ok(permit) => self.give_store(Some(permit)),
                Err(_) => return,
            }
        }
        if std::mem::take(&mut self.is_behind) {
            self.trouble = Some(BedNotice::StoreTrouble(None));
        }
    }

    fn give_store(&mut self, permit: Option<mpsc::Permit<'_, StoreRequest>>) {
        if let (Some(permit), Some(request)) = (permit, self.store.pop_front()) {
            permit.send(request);
        }
    }

    fn give_uplink(&mut self, permit: Option<mpsc::Permit<'_, UplinkRequest>>) {
        if let (Some(permit), Some(request)) = (permit, self.announce.take()) {
            permit.send(request);
        }
    }
}
