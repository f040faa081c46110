//! What leaves the desk: words to the beds, entries to the log. Nobody who raises an alarm waits for either.

use super::{Entry, Rules};
use crate::agents::tending::run::Tending;
use crate::store::{Store, alarm_log};
use anyhow::Result;
use cotside_systemd::stages::Stop;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Entries on their way to the store: a thousand alarms at once, each with all that follows from it at five stations.
const ENTRIES: usize = 16 * 1024;
/// Written in one change.
const BATCH: usize = 512;
/// A store that cannot write is asked again.
const AGAIN: Duration = Duration::from_secs(1);
const NONCE_BYTES: usize = 16;

/// Where the desk's words go.
#[derive(Clone, Debug)]
pub struct Wires {
    pub rules: Rules,
    pub tending: Tending,
    pub journal: Journal,
}

/// The way into the alarm log. Cheap to copy.
#[derive(Clone, Debug)]
pub struct Journal {
    entries: mpsc::Sender<Entry>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    lost: AtomicU64,
    full_percent: AtomicU64,
}

/// Writes the entries to the store; give it to a stage.
pub struct Writer {
    entries: mpsc::Receiver<Entry>,
    shared: Arc<Shared>,
    store: Store,
}

pub fn open(rules: Rules, tending: Tending, store: Store) -> (Wires, Writer) {
    let (entries, waiting) = mpsc::channel(ENTRIES);
    let shared = Arc::<Shared>::default();
    let journal = Journal { entries, shared: shared.clone() };
    (Wires { rules, tending, journal }, Writer { entries: waiting, shared, store })
}

impl Journal {
    /// One that finds no room is counted, and the count is an alarm.
    pub(crate) fn note(&self, entry: Entry) {
        if self.entries.try_send(entry).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    pub(crate) fn full_percent(&self) -> u64 {
        self.shared.full_percent.load(Ordering::Relaxed)
    }
}

impl Writer {
    pub async fn run(mut self, mut stop: Stop) -> Result<()> {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let count = tokio::select! {
                biased;
                count = self.entries.recv_many(&mut batch, BATCH) => count,
                () = stop.requested() => return Ok(()),
            };
            if count == 0 {
                return Ok(());
            }
            let entries: Arc<[Entry]> = batch.drain(..).collect();
            loop {
                let written = entries.clone();
                let append = move |connection: &rusqlite::Connection| {
                    alarm_log::append(connection, &written)?;
                    alarm_log::full_percent(connection)
                };
                match self.store.write(append).await {
                    Ok(percent) => {
                        self.shared.full_percent.store(percent, Ordering::Relaxed);
                        break;
                    }
                    Err(error) => tracing::error!(error = format!("{error:#}"), "the alarm log waits"),
                }
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    () = stop.requested() => return Ok(()),
                }
            }
        }
    }
}

/// What a tick carries, and a station that has painted what went before it echoes. Without randomness nothing can be proven, and
/// the beds are told that nobody watches.
pub(crate) fn nonce() -> String {
    let mut bits = [0u8; NONCE_BYTES];
    match getrandom::fill(&mut bits) {
        Ok(()) => bits.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }),
        Err(_) => String::new(),
    }
}
