//! The store's shell: one thread that waits for the disk, and a stage that never does.
//!
//! ```text
//! bed ----StoreRequest--> stage --Work--> thread (SQLite)
//! uplink -----Ask-------->  |   <--Done--    |
//!   <-------FromStore-------+
//! bed <-----BedNotice-------'
//! ```
//! The stage always listens to the thread, so neither can wait for the other; slow readers cost a queue, never a commit.

use super::{Ask, Store};
use crate::row::{BedNotice, Draft, FromStore, LinkIndex, Log, StoreRequest};
use anyhow::{Context, Result, bail};
use cotside_protocol::model::StoreToken;
use cotside_protocol::wire::upstream::OutboxStatus;
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::Stop;
use cotside_systemd::timer::Timer;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Requests the bed may be ahead of the disk: at three a second, a disk that stalls for 20 s blocks nobody.
pub const REQUESTS_MAX: usize = 64;
/// The uplink has one question open for each lane, and says what is settled once a second.
pub const ASKS_MAX: usize = 32;
/// Messages the uplink may be behind before its rows are left for it on disk.
pub const FROM_STORE_MAX: usize = 64;

const WORK_MAX: usize = 64;
const DONE_MAX: usize = 16;
/// Messages kept for an uplink that does not read; beyond it, rows are left on disk and it is told so.
const UNREAD_MAX: usize = 64;
/// Housekeeping goes with what is written after this time,
const TICK_AFTER: Duration = Duration::from_millis(750);
/// and alone where nothing is.
const TICK_WITHIN: Duration = Duration::from_millis(1500);

/// What the store's stage is wired to.
pub struct Wires {
    pub requests: Receiver<StoreRequest>,
    pub asks: Receiver<Ask>,
    pub uplink: Sender<FromStore>,
    pub bed: Sender<BedNotice>,
}

/// What the thread is woken for.
#[derive(Default)]
struct Work {
    append: Option<StoreRequest>,
    asks: Vec<Ask>,
    tick: bool,
    close: bool,
}

impl Work {
    /// What the hub has said of rows that it holds is in no hurry: it goes with what is.
    fn is_due(&self) -> bool {
        let waits = |ask: &Ask| matches!(ask, Ask::Settled { .. } | Ask::ConfirmedBy(_) | Ask::Trusted(_));
        let may_wait = self.asks.len() < ASKS_MAX && self.asks.iter().all(waits);
        self.append.is_some() || self.tick || self.close || !may_wait
    }
}

enum Done {
    Told(FromStore),
    Checkpoints(Vec<(LinkIndex, StoreToken)>),
    House { trouble: Option<String>, outbox: OutboxStatus, log: Log },
}

/// Runs until asked to stop, then writes what is left and closes the file.
pub async fn run(store: Store, clock: Clock, mut wires: Wires, mut stop: Stop) -> Result<()> {
    let (work, to_do) = mpsc::channel(WORK_MAX);
    let (done, mut finished) = mpsc::channel(DONE_MAX);
    let mut shelf = Shelf { trouble: Some(store.trouble()).filter(Option::is_some), ..Shelf::default() };
    let thread = std::thread::Builder::new()
        .name("store".into())
        .spawn(move || write(store, clock, to_do, done))
        .context("the store's thread could not be started")?;
    let mut timer = Timer::new(clock);
    let mut ticked_at = clock.now().mono;
    let mut next = Work { tick: true, ..Work::default() };
    let mut stopping = false;
    loop {
        if stopping && next.append.is_none() {
            next.append = wires.requests.try_recv().ok();
            next.close = next.append.is_none();
        }
        tokio::select! {
            biased;
            () = stop.requested(), if !stopping => stopping = true,
            done = finished.recv() => match done {
                Some(done) => shelf.put(done),
                None => break,
            },
            permit = work.reserve(), if next.is_due() => if let Ok(permit) = permit {
                let now = clock.now().mono;
                next.tick |= next.append.is_some() && now.since(ticked_at) >= TICK_AFTER;
                if next.tick {
                    ticked_at = now;
                }
                permit.send(std::mem::take(&mut next));
            },
            permit = wires.uplink.reserve(), if shelf.has_for_uplink() => match permit {
                Ok(permit) => shelf.hand_to_uplink(permit),
                Err(_) => shelf.uplink_left(),
            },
            permit = wires.bed.reserve(), if shelf.has_for_bed() => match permit {
                Ok(permit) => shelf.hand_to_bed(permit),
                Err(_) => shelf.bed_left(),
            },
            Some(request) = wires.requests.recv(), if next.append.is_none() && !stopping => {
                next.append = Some(request);
            },
            Some(ask) = wires.asks.recv(), if next.asks.len() < ASKS_MAX && !stopping => next.asks.push(ask),
            () = timer.until(ticked_at + TICK_WITHIN), if !next.tick && !stopping => next.tick = true,
        }
    }
    if thread.join().is_err() {
        bail!("the store's thread panicked");
    }
    if !stopping {
        bail!("the store's thread ended by itself");
    }
    Ok(())
}

/// The thread: takes what has gathered, commits it together, answers, says what was done.
fn write(mut store: Store, clock: Clock, mut work: Receiver<Work>, done: Sender<Done>) {
    let mut told = Vec::new();
    let mut entries_stored = 0;
    while let Some(first) = work.blocking_recv() {
        let mut gathered = vec![first];
        while gathered.len() < WORK_MAX
            && let Ok(more) = work.try_recv()
        {
            gathered.push(more);
        }
        let now = clock.now();
        let (mut drafts, mut checkpoints): (Vec<Draft>, Vec<_>) = (Vec::new(), Vec::new());
        let (mut asks, mut tick, mut close) = (Vec::new(), false, false);
        for work in gathered {
            if let Some(request) = work.append {
                drafts.extend(request.drafts);
                checkpoints.extend(request.checkpoints);
            }
            asks.extend(work.asks);
            tick |= work.tick;
            close |= work.close;
        }
        store.append(now, &drafts, &mut told);
        entries_stored += drafts.iter().map(Draft::entries).sum::<u64>();
        let on_disk = !store.is_in_memory();
        asks.into_iter().for_each(|ask| store.answer(now, ask, &mut told));
        if tick {
            store.tick(now, &mut told);
        }
        let mut all: Vec<Done> = told.drain(..).map(Done::Told).collect();
        // Who waits for a checkpoint will acknowledge: memory is not enough for that.
        if on_disk && !checkpoints.is_empty() {
            all.push(Done::Checkpoints(checkpoints));
        }
        if tick {
            let mut outbox = store.outbox(now);
            outbox.entries.stored = entries_stored;
            all.push(Done::House { trouble: store.trouble(), outbox, log: store.log() });
        }
        for done_one in all {
            if done.blocking_send(done_one).is_err() {
                break;
            }
        }
        if close {
            break;
        }
    }
    store.close(clock.now());
}

/// What waits for its reader.
#[derive(Default)]
struct Shelf {
    uplink: VecDeque<FromStore>,
    /// Rows were left on disk without a word.
    left_behind: bool,
    checkpoints: Vec<(LinkIndex, StoreToken)>,
    trouble: Option<Option<String>>,
    said: Option<String>,
    outbox: Option<OutboxStatus>,
}

impl Shelf {
    fn put(&mut self, done: Done) {
        match done {
            Done::Told(FromStore::Stored(rows)) => {
                if self.uplink.len() < UNREAD_MAX {
                    self.uplink.push_back(FromStore::Stored(rows));
                } else {
                    self.left_behind = true;
                }
            }
            Done::Told(other) => self.uplink.push_back(other),
            Done::Checkpoints(checkpoints) => self.checkpoints.extend(checkpoints),
            Done::House { trouble, outbox, log } => {
                if self.left_behind && self.uplink.len() < UNREAD_MAX {
                    self.left_behind = false;
                    self.uplink.push_back(FromStore::Behind { epoch: log.epoch, next: log.next });
                }
                if trouble != self.said {
                    self.trouble = Some(trouble);
                }
                self.outbox = Some(outbox);
            }
        }
    }

    fn has_for_uplink(&self) -> bool {
        !self.uplink.is_empty()
    }

    fn hand_to_uplink(&mut self, permit: mpsc::Permit<'_, FromStore>) {
        if let Some(told) = self.uplink.pop_front() {
            permit.send(told);
        }
    }

    /// At stop the uplink goes first; what it would have read is on disk.
    fn uplink_left(&mut self) {
        self.uplink.clear();
    }

    fn has_for_bed(&self) -> bool {
        !self.checkpoints.is_empty() || self.trouble.is_some() || self.outbox.is_some()
    }

    fn hand_to_bed(&mut self, permit: mpsc::Permit<'_, BedNotice>) {
        if !self.checkpoints.is_empty() {
            permit.send(BedNotice::Stored(std::mem::take(&mut self.checkpoints)));
        } else if let Some(trouble) = self.trouble.take() {
            self.said.clone_from(&trouble);
            permit.send(BedNotice::StoreTrouble(trouble));
        } else if let Some(outbox) = self.outbox.take() {
            permit.send(BedNotice::Outbox(outbox));
        }
    }

    fn bed_left(&mut self) {
        self.checkpoints.clear();
        self.trouble = None;
        self.outbox = None;
    }
}
