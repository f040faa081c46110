//! The agent's log: every block is on disk here before it is sent, and stays until the hub says it has it.
//!
//! The store never refuses. A file that cannot be read is set aside and a new log begins, which names its predecessor;
//! where no file can be written the log lives in memory, bounded, and the bed is told so. Both are the same [`Ledger`].

mod epochs;
mod file;
mod gaps;
mod ledger;
mod passed;
mod room;
mod run;
mod trouble;
mod weigh;

pub use passed::passed;
pub use run::{ASKS_MAX, FROM_STORE_MAX, REQUESTS_MAX, Wires, run};

use crate::row::{Draft, FromStore, HeldRow, Log, Row};
use cotside_protocol::model::{Mono, Now, Provenance, Wall};
use cotside_protocol::wire::block::{Body, Epoch, Gap, GapCause};
use cotside_protocol::wire::topic::Lane;
use cotside_protocol::wire::upstream::{OutboxStatus, Record};
use file::{Label, Unfit};
use ledger::{Ledger, Life};
use rusqlite::ErrorCode;
use std::path::PathBuf;
use std::time::Duration;
use trouble::Trouble;

/// How often the label and the acknowledged positions are written. They may lag: the hub says them at every welcome.
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// A moment without a commit is written down this often, so that a gap after a crash is no longer than that.
const BEAT_EVERY: Duration = Duration::from_secs(10);
/// How often a log in memory looks for its disk.
const RETURN_EVERY: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub struct Settings {
    pub directory: PathBuf,
    /// The log uses no more disk than this, but for alarms.
    pub cap_bytes: u64,
    /// Without a disk, the log uses no more memory than this.
    pub memory_bytes: u64,
    /// How long rows are kept after the hub has them: for a hub that is restored from a backup.
    pub grace: Duration,
    /// How long the bed gathers streaming data before it hands them over.
    pub loss_window: Duration,
    pub provenance: Provenance,
    pub software: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("/var/lib/cotside/agent"),
            cap_bytes: 2 << 30,
            memory_bytes: 3 << 20,
            grace: Duration::from_secs(3600),
            loss_window: Duration::from_secs(1),
            provenance: Provenance::Live,
            software: format!("edge-agent {}", env!("CARGO_PKG_VERSION")),
        }
    }
}

/// What the uplink asks of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Rows of a lane from a seq on, about so many bytes; answered by [`FromStore::Rows`].
    Rows { lane: Lane, from: u64, bytes_max: usize },
    /// Earlier epochs from a place on; answered by [`FromStore::Past`].
    Past { lane: Lane, from: u64 },
    /// What is said to be settled from now on is the word of the hub's store of this name.
    ConfirmedBy(String),
    /// What the hub has committed of an epoch: this, and nothing else of it.
    Settled { epoch: Epoch, lane: Lane, below: u64, ranges: Vec<(u64, u64)> },
    /// The hub's clock, proved by its certificate.
    Trusted(Wall),
    /// The live stream resumes: the next numerics are a key frame.
    KeyFrame,
    /// The hub claims rows of this epoch that were never written.
    Disputed { epoch: Epoch },
}

/// The log and where it lives.
pub struct Store {
    settings: Settings,
    ledger: Ledger,
    in_memory: bool,
    trouble: Option<Trouble>,
    noted_at: Mono,
    committed_at: Mono,
    tried_at: Mono,
    alive: Option<Wall>,
}

impl Store {
    /// Opens the log in the settings' directory, whatever is there, begins an epoch, and writes down that the agent starts and since
    /// when it was not there.
    pub fn open(settings: Settings, now: Now) -> Self {
        let life = Life { boot: random() as u32, provenance: settings.provenance };
        let mut trouble = None;
        let mut alive = None;
        let opened = open_on_disk(&settings, life, now, &mut trouble).and_then(|(mut ledger, lost)| {
            alive = ledger.heartbeat().ok().flatten();
            let mut first = started(&settings, &ledger, now);
            first.extend(lost);
            first.extend(absence(&ledger, &settings, now));
            begin(&mut ledger, &settings, now, &first).map(|()| ledger)
        });
        let (ledger, in_memory) = match opened {
            Ok(ledger) => (ledger, false),
            Err(place) => {
                trouble = Some(Trouble::memory_only(&settings.directory, place));
                let label = file::read_label(&settings.directory);
                let mut ledger = memory(life, label.epoch);
                let mut first = started(&settings, &ledger, now);
                // What the hub lacks of the log on disk stays there; whether anybody ever reads it again, nobody knows.
                first.extend(label.epoch.map(|_| lost(&settings, now, label)).into_iter().flatten());
                if let Err(error) = ledger.append(&first) {
                    tracing::error!(%error, "the start could not be written down");
                }
                (ledger, true)
            }
        };
        if !in_memory && !file::take_reserve(&settings.directory) {
            trouble.get_or_insert(Trouble::disk_full(&settings.directory));
        }
        Self {
            settings,
            ledger,
            in_memory,
            trouble,
            noted_at: now.mono,
            committed_at: now.mono,
            tried_at: now.mono,
            alive,
        }
    }

    /// The last moment before this start that was written down; the record of the start says that nothing was heard since.
    pub fn alive(&self) -> Option<Wall> {
        self.alive
    }

    pub fn log(&self) -> Log {
        self.ledger.log()
    }

    /// Words for the alarm while the log is not as it should be.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.as_ref().map(|trouble| trouble.words.clone())
    }

    pub fn is_in_memory(&self) -> bool {
        self.in_memory
    }

    /// Commits drafts together. Whatever becomes of the disk, they are in the log afterwards; `told` gets what the uplink must know.
    pub fn append(&mut self, now: Now, drafts: &[Draft], told: &mut Vec<FromStore>) {
        if drafts.is_empty() {
            return;
        }
        match self.append_or_make_room(now, drafts, told) {
            Ok(rows) => {
                self.committed_at = now.mono;
                told.push(FromStore::Stored(rows));
            }
            Err(error) => self.move_to_memory(&error, drafts, told),
        }
        self.keep_cap(now, told);
    }

    fn append_or_make_room(
        &mut self,
        now: Now,
        drafts: &[Draft],
        told: &mut Vec<FromStore>,
    ) -> rusqlite::Result<Vec<Row>> {
        let error = match self.ledger.append(drafts) {
            Ok(rows) => return Ok(rows),
            Err(error) => error,
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => {
                let had_reserve = file::give_reserve(&self.settings.directory);
                tracing::warn!(had_reserve, "the disk is full");
                self.trouble = Some(Trouble::disk_full(&self.settings.directory));
                let cap = self.ledger.used_bytes()? / 8 * 7;
                let dropped = self.ledger.make_room(now, cap)?;
                told.extend(dropped.into_iter().map(from_dropped));
                self.ledger.append(drafts)
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                self.begin_anew(now, "it is damaged", told)?;
                self.ledger.append(drafts)
            }
            Some(_) | None => Err(error),
        }
    }

    fn keep_cap(&mut self, now: Now, told: &mut Vec<FromStore>) {
        let cap = if self.in_memory { self.settings.memory_bytes } else { self.settings.cap_bytes };
        match self.ledger.make_room(now, cap) {
            Ok(dropped) => told.extend(dropped.into_iter().map(from_dropped)),
            Err(error) => tracing::warn!(%error, "no room could be made in the log"),
        }
    }

    /// Rows from `from` on, without a hole.
    pub fn rows(&mut self, now: Now, lane: Lane, from: u64, bytes_max: usize) -> Vec<HeldRow> {
        match self.ledger.rows(now, lane, from, bytes_max) {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%error, lane = lane.name(), from, "rows could not be read");
                Vec::new()
            }
        }
    }

    pub fn answer(&mut self, now: Now, ask: Ask, told: &mut Vec<FromStore>) {
        match ask {
            Ask::Rows { lane, from, bytes_max } => {
                let rows = self.rows(now, lane, from, bytes_max);
                told.push(FromStore::Rows { lane, from, rows });
            }
            Ask::Settled { epoch, lane, below, ranges } => {
                if let Err(error) = self.ledger.settle(epoch, lane, below, &ranges) {
                    tracing::warn!(%error, lane = lane.name(), "what the hub has could not be noted");
                }
            }
            Ask::Past { lane, from } => match self.ledger.past(lane, from) {
                Ok(epochs) => told.push(FromStore::Past { lane, from, epochs }),
                // The question is asked again in its time.
                Err(error) => tracing::warn!(%error, "earlier epochs could not be read"),
            },
            Ask::ConfirmedBy(store) => {
                if let Err(error) = self.ledger.confirmed_by(&store) {
                    tracing::warn!(%error, "the name of the hub's store could not be noted");
                }
            }
            Ask::Trusted(wall) => self.ledger.trusted = self.ledger.trusted.max(wall),
            Ask::KeyFrame => self.ledger.key_frame(),
            Ask::Disputed { epoch } if epoch == self.ledger.present.epoch => self.dispute(now, told),
            Ask::Disputed { .. } => {}
        }
    }

    /// Nothing leaves the log on the word of a hub that claims what was never written: what it does not have by an earlier word is
    /// sent again, and new rows get a name of which it has claimed nothing.
    fn dispute(&mut self, now: Now, told: &mut Vec<FromStore>) {
        tracing::warn!("the hub claims rows that were never written; a new epoch begins");
        match self.ledger.dispute(Epoch(random())) {
            Ok(()) => {
                self.trouble = Some(Trouble::disputed(now));
                self.label(now);
                told.push(FromStore::Log(self.ledger.log()));
            }
            Err(error) => self.move_to_memory(&error, &[], told),
        }
    }

    pub fn outbox(&self, now: Now) -> OutboxStatus {
        self.ledger.status(now.wall).unwrap_or_else(|error| {
            tracing::warn!(%error, "the log could not be counted");
            OutboxStatus::default()
        })
    }

    /// Housekeeping, about once a second.
    pub fn tick(&mut self, now: Now, told: &mut Vec<FromStore>) {
        if self.in_memory {
            self.return_to_disk(now, told);
        }
        if let Err(error) = self.keep_house(now) {
            tracing::warn!(%error, "the log's house could not be kept");
        }
        if self.trouble.as_ref().is_some_and(|trouble| trouble.is_over(now)) {
            self.trouble = None;
        }
        // A full disk that has room again.
        if !self.in_memory
            && self.trouble.as_ref().is_some_and(Trouble::lasts)
            && file::take_reserve(&self.settings.directory)
        {
            self.trouble = None;
        }
    }

    fn keep_house(&mut self, now: Now) -> rusqlite::Result<()> {
        // Together and seldom: each of these is a commit of its own, and flash wears.
        if now.mono.since(self.noted_at) >= NOTE_EVERY {
            self.noted_at = now.mono;
            self.committed_at = now.mono;
            self.ledger.beat(now.wall)?;
            self.ledger.write_meta()?;
            self.ledger.prune(now.wall - self.settings.grace)?;
            for lane in Lane::ALL {
                let missing = self.ledger.audit(lane)?;
                if missing > 0 {
                    // The uplink's reading leaves a gap record in their place.
                    tracing::error!(lane = lane.name(), missing, "rows are missing from the log");
                }
            }
            self.label(now);
        } else if now.mono.since(self.committed_at) >= BEAT_EVERY {
            self.committed_at = now.mono;
            self.ledger.beat(now.wall)?;
        }
        Ok(())
    }

    fn label(&self, now: Now) {
        if !self.in_memory {
            label(&self.ledger, &self.settings, now);
        }
    }

    /// Writes that the agent stops, and closes the file.
    pub fn close(mut self, now: Now) {
        let stopped = record(self.settings.provenance, now, &Record::Stopped { clean: true });
        let closed = self
            .ledger
            .append(stopped.as_slice())
            .and_then(|_| self.ledger.beat(now.wall))
            .and_then(|()| self.ledger.write_meta());
        match closed {
            Ok(()) => self.label(now),
            Err(error) => tracing::warn!(%error, "the stop could not be written to the log"),
        }
    }

    /// Sets the file aside and begins a new log on disk.
    fn begin_anew(&mut self, now: Now, why: &str, told: &mut Vec<FromStore>) -> rusqlite::Result<()> {
        let label = Label {
            epoch: Some(self.ledger.present.epoch),
            settled: self
                .ledger
                .settled(now.wall)
                .ok()
                .or(file::read_label(&self.settings.directory).settled),
            written: Some(now.wall),
        };
        // The old connection must be gone before its file is renamed.
        self.ledger = memory(self.ledger.life, label.epoch);
        let fresh = set_aside_and_open(&self.settings, self.ledger.life, now, label);
        let fresh = fresh.and_then(|(mut ledger, lost, aside)| {
            begin(&mut ledger, &self.settings, now, &lost).map(|()| (ledger, aside))
        });
        match fresh {
            Ok((ledger, aside)) => {
                self.ledger = ledger;
                self.trouble = Some(Trouble::set_aside(now, why, &aside));
                told.push(FromStore::Log(self.ledger.log()));
                Ok(())
            }
            Err(place) => {
                tracing::warn!(%place, "no new log could be begun on disk");
                Err(rusqlite::Error::InvalidPath(self.settings.directory.clone()))
            }
        }
    }

    fn move_to_memory(&mut self, error: &rusqlite::Error, drafts: &[Draft], told: &mut Vec<FromStore>) {
        tracing::error!(%error, "the log goes on in memory");
        self.trouble = Some(Trouble::memory_only(&self.settings.directory, error));
        self.ledger = memory(self.ledger.life, Some(self.ledger.present.epoch));
        self.in_memory = true;
        told.push(FromStore::Log(self.ledger.log()));
        match self.ledger.append(drafts) {
            Ok(rows) => told.push(FromStore::Stored(rows)),
            Err(error) => tracing::error!(%error, "rows are lost: neither disk nor memory takes them"),
        }
    }

    /// The log on disk goes on as soon as the hub has everything that is in memory only.
    fn return_to_disk(&mut self, now: Now, told: &mut Vec<FromStore>) {
        let waiting = self.outbox(now).waiting_rows;
        if waiting > 0 || now.mono.since(self.tried_at) < RETURN_EVERY {
            return;
        }
        self.tried_at = now.mono;
        let mut trouble = None;
        let life = self.ledger.life;
        // A file that opens may still refuse to be written.
        let opened = open_on_disk(&self.settings, life, now, &mut trouble)
            .and_then(|(mut ledger, lost)| begin(&mut ledger, &self.settings, now, &lost).map(|()| ledger));
        let Ok(ledger) = opened else { return };
        tracing::info!("the log is on disk again");
        self.ledger = ledger;
        self.in_memory = false;
        self.trouble = trouble;
        told.push(FromStore::Log(self.ledger.log()));
    }
}

/// The log of the directory in a fresh epoch that is not yet written, and what to write down of a log that is gone.
fn open_on_disk(
    settings: &Settings,
    life: Life,
    now: Now,
    trouble: &mut Option<Trouble>,
) -> Result<(Ledger, Vec<Draft>), String> {
    let label = file::read_label(&settings.directory);
    let mut opened = Ledger::open(&settings.directory, life, Epoch(random()));
    if matches!(opened, Err(Unfit::Place(_))) && file::give_reserve(&settings.directory) {
        opened = Ledger::open(&settings.directory, life, Epoch(random()));
    }
    match opened {
        // A new file beside an old label: the log is gone, its name is not.
        Ok((mut ledger, true)) if label.epoch.is_some() => {
            ledger.present.predecessor = label.epoch;
            Ok((ledger, lost(settings, now, label)))
        }
        Ok((ledger, _)) => Ok((ledger, Vec::new())),
        Err(Unfit::Place(place)) => Err(place),
        Err(why @ (Unfit::Damaged(_) | Unfit::Newer(_))) => {
            let (ledger, lost, aside) = set_aside_and_open(settings, life, now, label)?;
            *trouble = Some(Trouble::set_aside(now, &why.to_string(), &aside));
            Ok((ledger, lost))
        }
    }
}

fn set_aside_and_open(
    settings: &Settings,
    life: Life,
    now: Now,
    label: Label,
) -> Result<(Ledger, Vec<Draft>, PathBuf), String> {
    let aside = file::set_aside(&settings.directory, now.wall).map_err(|error| error.to_string())?;
    tracing::warn!(aside = %aside.display(), "the log was set aside and a new one begins");
    let (mut ledger, _) =
        Ledger::open(&settings.directory, life, Epoch(random())).map_err(|unfit| unfit.to_string())?;
    ledger.present.predecessor = label.epoch;
    Ok((ledger, lost(settings, now, label), aside))
}

/// Writes the fresh epoch and its first rows. No hub hears of an epoch that is not on disk, and the label knows it first: whatever
/// is lost in between, no epoch is ever named as predecessor by two others.
fn begin(ledger: &mut Ledger, settings: &Settings, now: Now, first: &[Draft]) -> Result<(), String> {
    label_since(ledger, settings, now, file::read_label(&settings.directory).settled);
    let mut written = ledger.append(first);
    if written.as_ref().is_err_and(|error| error.sqlite_error_code() == Some(ErrorCode::DiskFull)) {
        file::give_reserve(&settings.directory);
        let cap = ledger.used_bytes().map_err(|error| error.to_string())? / 8 * 7;
        ledger.make_room(now, cap).map_err(|error| error.to_string())?;
        written = ledger.append(first);
    }
    written.map(drop).map_err(|error| error.to_string())
}

/// As long as anything waits, the hub may lack all that it lacked at the last label: what was lost then is itself a row that waits.
fn label(ledger: &Ledger, settings: &Settings, now: Now) {
    let waits = ledger.status(now.wall).is_ok_and(|status| status.waiting_rows > 0);
    let since = if waits { file::read_label(&settings.directory).settled } else { None };
    label_since(ledger, settings, now, since);
}

fn label_since(ledger: &Ledger, settings: &Settings, now: Now, since: Option<Wall>) {
    let settled = ledger.settled(now.wall).unwrap_or(now.wall);
    let settled = since.map_or(settled, |since| settled.min(since));
    if let Err(error) = file::write_label(&settings.directory, ledger.present.epoch, settled) {
        tracing::debug!(%error, "the log's label could not be written");
    }
}

/// What a log that is gone may have held.
fn lost(settings: &Settings, now: Now, label: Label) -> Vec<Draft> {
    let written = label.written.unwrap_or(now.wall).min(now.wall);
    // The hub has every row that ended by then; the next one began a loss window earlier.
    let from = label.settled.unwrap_or(written).min(written) - settings.loss_window;
    gaps(settings.provenance, now, GapCause::StoreLost, from, now.wall)
}

fn memory(life: Life, predecessor: Option<Epoch>) -> Ledger {
    Ledger::in_memory(life, Epoch(random()), predecessor).expect("SQLite opens a database in memory")
}

fn started(settings: &Settings, ledger: &Ledger, now: Now) -> Vec<Draft> {
    let started = Record::Started {
        boot: format!("{:08x}", ledger.life.boot),
        predecessor: ledger.present.predecessor.map(|epoch| format!("{:016x}", epoch.0)),
        software: settings.software.clone(),
    };
    record(settings.provenance, now, &started).into_iter().collect()
}

/// A gap record on every lane for the time the agent was not there.
fn absence(ledger: &Ledger, settings: &Settings, now: Now) -> Vec<Draft> {
    match ledger.heartbeat() {
        Ok(Some(last)) if last <= now.wall => {
            // When the last moment was written, streaming data of this long were heard and not yet committed.
            let from = last - settings.loss_window;
            gaps(settings.provenance, now, GapCause::AgentDown, from, now.wall)
        }
        // The clock was set back while nobody looked: for how long the agent was down is not known, that it was is.
        Ok(Some(last)) => {
            let mut all = gaps(settings.provenance, now, GapCause::AgentDown, now.wall, now.wall);
            all.extend(gaps(settings.provenance, now, GapCause::ClockStep, now.wall, last));
            all
        }
        Ok(None) => Vec::new(),
        Err(error) => {
            tracing::warn!(%error, "it is not known since when the agent was down");
            Vec::new()
        }
    }
}

fn gaps(provenance: Provenance, now: Now, cause: GapCause, from: Wall, to: Wall) -> Vec<Draft> {
    let gap = Gap { cause, link: None, from, to, seqs: None, count: None };
    let draft = |lane| Draft { lane, provenance, begin: now, span_us: 0, body: Body::Gap(gap.clone()) };
    Lane::ALL.into_iter().map(draft).collect()
}

fn record(provenance: Provenance, now: Now, record: &Record) -> Option<Draft> {
    let json = serde_json::to_string(record).ok()?;
    Some(Draft { lane: Lane::Alarm, provenance, begin: now, span_us: 0, body: Body::Record(json) })
}

fn from_dropped(dropped: room::Dropped) -> FromStore {
    FromStore::Dropped { lane: dropped.lane, first: dropped.first, end: dropped.end }
}

fn random() -> u64 {
    getrandom::u64().expect("the operating system has random numbers")
}

#[cfg(test)]
mod tests;
