//! One agent's log and outbox against one hub's intake and store, in virtual time, with nothing between them but a wire that may be cut.
//!
//! For histories of the two files: many starts, lost tails, copies put back at either end, a gateway cloned, a hub that lies.

use cotside_central_hub::agents::inbound::{self, Inbound, Receipt, Rules};
use cotside_central_hub::store::{self as hub_store, blocks, lives, schema};
use cotside_edge_agent::row::{Draft, FromStore};
use cotside_edge_agent::store::{Settings, Store};
use cotside_edge_agent::uplink::{self, Outbox, Taken};
use cotside_protocol::model::{Mono, Now, Provenance, Wall};
use cotside_protocol::wire::block::Body;
use cotside_protocol::wire::topic::{AgentId, Downstream, Lane, Upstream};
use cotside_protocol::wire::upstream;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const STEP: Duration = Duration::from_millis(20);

pub struct Hub {
    path: PathBuf,
    db: Connection,
    store: Arc<str>,
    /// What it noticed, by its stable word.
    pub noticed: Vec<(String, String)>,
    /// Rows it says it holds beyond what it does.
    pub lies: u64,
}

/// A gateway: its log's folder, and the process that runs on it.
pub struct Gateway {
    folder: PathBuf,
    pub now: Now,
    pub log: Store,
    pub outbox: Outbox,
    inbound: Option<Inbound>,
    told: Vec<FromStore>,
    ticked_at: Mono,
    next_row: u64,
}

pub fn agent() -> AgentId {
    AgentId::new("gw-01").expect("it is within the grammar")
}

impl Hub {
    pub fn open(path: &Path) -> Self {
        let db = hub_store::open(path, true).expect("a store");
        let store = schema::store_id(&db).expect("its name").into();
        Self { path: path.into(), db, store, noticed: Vec::new(), lies: 0 }
    }

    /// Its file as it is now.
    pub fn copy(&self, to: &Path) {
        self.db.execute("VACUUM INTO ?1", [to.to_str().expect("a path in UTF-8")]).expect("a copy");
    }

    /// An older copy takes the place of its file.
    pub fn put_back(&mut self, from: &Path) {
        let path = self.path.clone();
        self.db = Connection::open_in_memory().expect("memory");
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", path.display()));
        }
        std::fs::copy(from, &path).expect("the copy");
        let lies = self.lies;
        let noticed = std::mem::take(&mut self.noticed);
        *self = Self { lies, noticed, ..Self::open(&path) };
    }

    pub fn count(&self, question: &str) -> i64 {
        self.db.query_row(question, [], |row| row.get(0)).expect("a count")
    }

    fn meet(&mut self, life: &lives::Life, now: Now) -> lives::Met {
        let mut met = lives::meet(&self.db, &agent(), life, now.wall).expect("the store works");
        for known in met.known.iter_mut().filter(|_| life.is_present) {
            let below = known.mark.below();
            known.mark.insert(below, below + self.lies);
        }
        for event in &met.noticed {
            self.noticed.push((event.what.to_string(), event.detail.clone()));
        }
        met
    }
}

impl Gateway {
    /// A start on whatever lies in the folder.
    pub fn start(folder: &Path, now: Now) -> Self {
        Self::start_with(settings(folder), now)
    }

    pub fn start_with(settings: Settings, now: Now) -> Self {
        let folder = settings.directory.clone();
        let log = Store::open(settings, now);
        let outbox = Outbox::new(agent(), "test".into(), upstream::Provenance::Simulated, log.log());
        let told = Vec::new();
        Self { folder, now, log, outbox, inbound: None, told, ticked_at: now.mono, next_row: 0 }
    }

    /// Its files as they are now: what an image of its disk holds.
    pub fn copy(&self, to: &Path) {
        std::fs::create_dir_all(to).expect("a folder");
        for file in std::fs::read_dir(&self.folder).expect("the folder").flatten() {
            std::fs::copy(file.path(), to.join(file.file_name())).expect("a copy");
        }
    }

    /// One second of the bed.
    pub fn write(&mut self) {
        self.write_as(&[Lane::Alarm, Lane::Numeric, Lane::Waveform]);
    }

    pub fn write_as(&mut self, lanes: &[Lane]) {
        self.next_row += 1;
        let json = format!(r#"{{"type":"stopped","clean":true,"n":{}}}"#, self.next_row);
        let draft = |lane: &Lane| Draft {
            lane: *lane,
            provenance: Provenance::Simulated,
            begin: self.now,
            span_us: 1_000_000,
            body: Body::Record(json.clone()),
        };
        let drafts: Vec<Draft> = lanes.iter().map(draft).collect();
        self.log.append(self.now, &drafts, &mut self.told);
    }

    /// Lets time pass, connected to the hub or not.
    pub fn run(&mut self, hub: Option<&mut Hub>, span: Duration) {
        let end = self.now.after(span);
        let mut hub = hub;
        if hub.is_none() {
            self.inbound = None;
            self.outbox.handle(self.now, uplink::Input::Disconnected);
        }
        while self.now.mono < end.mono {
            self.now = self.now.after(STEP);
            self.step(hub.as_deref_mut());
        }
    }

    /// Until the hub has everything. How long it took.
    pub fn drain(&mut self, hub: &mut Hub, patience: Duration) -> Duration {
        let begin = self.now.mono;
        while self.log.outbox(self.now).waiting_rows > 0 || !self.outbox.is_open() {
            assert!(self.now.mono.since(begin) < patience, "still waiting: {:?}", self.log.outbox(self.now));
            self.now = self.now.after(STEP);
            self.step(Some(hub));
        }
        self.now.mono.since(begin)
    }

    fn step(&mut self, hub: Option<&mut Hub>) {
        let now = self.now;
        if now.mono.since(self.ticked_at) >= Duration::from_secs(1) {
            self.ticked_at = now.mono;
            self.log.tick(now, &mut self.told);
        }
        if let Some(hub) = hub {
            if self.inbound.is_none() {
                let rules = Rules { store: hub.store.clone(), accepts: Provenance::Simulated };
                self.inbound = Some(Inbound::new(agent(), rules, now));
                self.outbox.handle(now, uplink::Input::Connected { slots: 64 });
            }
            self.say(Some(hub));
            if let Some(inbound) = &mut self.inbound {
                inbound.handle(now, inbound::Input::Timeout);
            }
            self.answer(hub);
        }
        self.outbox.handle(now, uplink::Input::Timeout);
        self.say(None);
    }

    /// Carries what the outbox says; without a hub it only asks the store.
    fn say(&mut self, mut hub: Option<&mut Hub>) {
        let now = self.now;
        loop {
            let told: Vec<FromStore> = self.told.drain(..).collect();
            told.into_iter().for_each(|told| self.outbox.handle(now, uplink::Input::Store(told)));
            match self.outbox.poll(now) {
                uplink::Output::Publish { id, topic, payload } => {
                    if let Some(inbound) = &mut self.inbound {
                        let receipt = id.map(Receipt);
                        inbound.handle(now, inbound::Input::Message { what: topic, payload, receipt });
                        if let (Some(id), true) = (id, topic == Upstream::Hello) {
                            self.outbox.handle(now, uplink::Input::Taken { id, taken: Taken::Yes });
                        }
                    }
                    if let Some(hub) = hub.as_deref_mut() {
                        self.answer(hub);
                    }
                }
                uplink::Output::Store(ask) => self.log.answer(now, ask, &mut self.told),
                uplink::Output::Reconnect(_) => {
                    self.inbound = None;
                    self.outbox.handle(now, uplink::Input::Disconnected);
                }
                uplink::Output::Hub { .. } => {}
                uplink::Output::Wait(_) if self.told.is_empty() => return,
                uplink::Output::Wait(_) => {}
            }
        }
    }

    fn answer(&mut self, hub: &mut Hub) {
        let now = self.now;
        while let Some(inbound) = &mut self.inbound {
            match inbound.poll() {
                inbound::Output::Send(what, payload) => {
                    let heard = match what {
                        Downstream::Welcome => serde_json::from_slice(&payload).map(uplink::Input::Welcome),
                        Downstream::Ack => serde_json::from_slice(&payload).map(uplink::Input::Ack),
                        Downstream::Alive => serde_json::from_slice(&payload).map(uplink::Input::Alive),
                        Downstream::Limits | Downstream::Command => continue,
                    };
                    self.outbox.handle(now, heard.expect("the hub writes what it promises"));
                }
                inbound::Output::Receive(Receipt(id)) => {
                    self.outbox.handle(now, uplink::Input::Taken { id, taken: Taken::Yes });
                }
                inbound::Output::Refuse(Receipt(id), why) => {
                    hub.noticed.push(("refused".into(), format!("{why:?}")));
                    self.outbox.handle(now, uplink::Input::Taken { id, taken: Taken::Refused });
                }
                inbound::Output::Open(life) => {
                    let (epoch, known) = (life.epoch, hub.meet(&life, now).known);
                    inbound.handle(now, inbound::Input::Opened { epoch, known, bed: Some("01".into()) });
                }
                inbound::Output::Recall(lives) => {
                    let met = lives.iter().map(|life| hub.meet(life, now));
                    let known = met.map(|met| (met.epoch, met.known)).collect();
                    inbound.handle(now, inbound::Input::Recalled(known));
                }
                inbound::Output::Commit(ticket, addition) => {
                    let mark = blocks::append(&hub.db, &addition).expect("the store works");
                    inbound.handle(now, inbound::Input::Committed(ticket, mark));
                }
                inbound::Output::Tell(what, detail) => hub.noticed.push((what.into(), detail)),
                inbound::Output::Close(_) => {
                    self.inbound = None;
                    self.outbox.handle(now, uplink::Input::Disconnected);
                }
                inbound::Output::Show(_) => {}
                inbound::Output::Wait(_) => return,
            }
        }
    }
}

pub fn settings(folder: &Path) -> Settings {
    Settings { directory: folder.into(), provenance: Provenance::Simulated, ..Settings::default() }
}

/// 2026-11-01, and a clock that has run for a while.
pub const BEGIN: Now = Now { mono: Mono(1_000_000_000), wall: Wall(1_793_491_200_000_000) };

#[cfg(test)]
mod tests;
