//! A thousand agents in one process: each with the real uplink, outbox, certificate and TLS connection; behind it a bed without devices and a log in memory.

use super::backlog::Signal;
use anyhow::{Context, Result, ensure};
use cotside_central_hub::authority::Authority;
use cotside_central_hub::store::{self, agents};
use cotside_edge_agent::row::{BedNotice, FromStore, HeldRow, Log, Row, UplinkRequest};
use cotside_edge_agent::store::{ASKS_MAX, Ask, FROM_STORE_MAX};
use cotside_edge_agent::uplink::{self, Settings, UPLINK_REQUESTS_MAX};
use cotside_protocol::model::{Mono, Now, Wall};
use cotside_protocol::wire::block::{Encoder, Epoch, Header};
use cotside_protocol::wire::topic::{AgentId, Lane};
use cotside_protocol::wire::upstream::{LaneSeqs, LinkState, LinkStatus, OutboxStatus, Provenance, Status};
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::{Stages, Stop};
use rcgen::{CertificateParams, KeyPair};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

const SECOND: Duration = Duration::from_secs(1);
const NOTICES_MAX: usize = 64;
const STOPS_WITHIN: Duration = Duration::from_secs(3);
const INVITED_FOR: Duration = Duration::from_secs(60);
const SIGNAL_S: u64 = 60;

/// What all agents share with whoever measures them.
pub struct Shared {
    pub clock: Clock,
    signal: Signal,
    /// Rows ever stored at the beds, and those that the hub has not acknowledged.
    pub stored: AtomicU64,
    pub waiting: AtomicU64,
    /// Beds measure nothing more; what waits is still sent.
    pub is_quiet: AtomicBool,
}

/// The hub is heard by this agent from now on, or no longer.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    pub agent: usize,
    pub at: Mono,
    pub reachable: bool,
}

pub struct Crowd {
    stages: Stages,
    pub shared: Arc<Shared>,
    pub heard: mpsc::UnboundedReceiver<Heard>,
}

/// The bed of the n-th agent, from 0.
pub fn bed(agent: usize) -> String {
    format!("{:04}", agent + 1)
}

fn name(agent: usize) -> String {
    format!("gw-{}", bed(agent))
}

fn folder(dir: &Path, agent: usize) -> PathBuf {
    dir.join("crowd").join(name(agent))
}

/// Makes the identities of so many agents at a hub that does not run: keys, certificates, register.
pub fn enrol(dir: &Path, count: usize, mqtt_port: u16, now: Wall) -> Result<()> {
    let hub = dir.join("hub");
    let authority = Authority::at(&hub);
    let ca = authority.authority_pem()?;
    let register = store::open(&hub.join("hub.db"), false)?;
    register.execute_batch("BEGIN")?;
    for agent in 0..count {
        let id = AgentId::new(&name(agent)).context("it is within the grammar")?;
        let key = KeyPair::generate()?;
        let request = CertificateParams::default().serialize_request(&key)?.pem()?;
        let certified = authority.sign_agent(&request, &id, now)?;
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&(agent as u64).to_le_bytes());
        let invitation = agents::Invitation { agent: id.clone(), bed: bed(agent) };
        agents::invite(&register, &hash, &invitation, now, INVITED_FOR)?;
        ensure!(agents::redeem(&register, &hash, now)?.is_ok(), "{id} is not invited");
        agents::certified(&register, &id, &certified.fingerprint, now)?;
        let folder = folder(dir, agent);
        std::fs::create_dir_all(&folder)?;
        let hub = serde_json::json!({
            "agent": id.as_str(), "mqtt": format!("localhost:{mqtt_port}"), "server_name": "localhost",
        });
        for (file, text) in [
            ("agent.key", &key.serialize_pem()),
            ("agent.pem", &certified.certificate_pem),
            ("ca.pem", &ca),
            ("hub.json", &hub.to_string()),
        ] {
            std::fs::write(folder.join(file), text)?;
        }
    }
    register.execute_batch("COMMIT")?;
    Ok(())
}

/// Where the first agent's credentials lie.
pub fn credentials(dir: &Path) -> PathBuf {
    folder(dir, 0)
}

impl Crowd {
    pub fn start(dir: &Path, count: usize, clock: Clock) -> Self {
        let shared = Arc::new(Shared {
            clock,
            signal: Signal::new(SIGNAL_S),
            stored: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            is_quiet: AtomicBool::new(false),
        });
        let (hear, heard) = mpsc::unbounded_channel();
        let mut stages = Stages::new();
        for agent in 0..count {
            let (to_uplink, requests) = mpsc::channel(UPLINK_REQUESTS_MAX);
            let (tell, told) = mpsc::channel(FROM_STORE_MAX);
            let (asks, asked) = mpsc::channel(ASKS_MAX);
            let (notify, notices) = mpsc::channel(NOTICES_MAX);
            let log = Log {
                epoch: Epoch(0xc04d_0000_0000_0000 | agent as u64),
                predecessor: None,
                in_memory: false,
                boot: agent as u32,
                first: LaneSeqs::default(),
                next: LaneSeqs::default(),
                confirmed: LaneSeqs::default(),
                confirmed_by: None,
                trusted: Wall(0),
            };
            let bed = Bed {
                agent,
                shared: shared.clone(),
                shelf: Shelf::new(&log),
                tell,
                asked,
                to_uplink,
                notices,
                hear: hear.clone(),
            };
            stages.start("bed", STOPS_WITHIN, |stop| bed.run(stop));
            let settings = Settings {
                credentials: folder(dir, agent),
                address: None,
                software: "crowd".to_owned(),
                provenance: Provenance::Simulated,
            };
            let wires = uplink::Wires { requests, store: told, asks, bed: notify };
            stages.start("uplink", STOPS_WITHIN, |stop| uplink::run(settings, log, clock, wires, stop));
        }
        Self { stages, shared, heard }
    }

    pub async fn stop(self) -> bool {
        self.stages.stop().await
    }
}

/// What stands for devices, bed and store of one agent.
struct Bed {
    agent: usize,
    shared: Arc<Shared>,
    shelf: Shelf,
    tell: mpsc::Sender<FromStore>,
    asked: mpsc::Receiver<Ask>,
    to_uplink: mpsc::Sender<UplinkRequest>,
    notices: mpsc::Receiver<BedNotice>,
    hear: mpsc::UnboundedSender<Heard>,
}

impl Bed {
    async fn run(mut self, mut stop: Stop) -> Result<()> {
        let clock = self.shared.clock;
        // Beds do not measure in step.
        let phase = Duration::from_micros(self.agent as u64 * 7919 % 1_000_000);
        let mut tick = tokio::time::interval_at(clock.instant(clock.now().mono + phase).into(), SECOND);
        let mut second = self.agent as u64;
        loop {
            tokio::select! {
                () = stop.requested() => return Ok(()),
                Some(ask) = self.asked.recv() => self.answer(ask).await,
                Some(notice) = self.notices.recv() => if let BedNotice::Hub { reachable, .. } = notice {
                    let _ = self.hear.send(Heard { agent: self.agent, at: clock.now().mono, reachable });
                },
                _ = tick.tick() => {
                    second += 1;
                    self.measure(second, clock.now()).await;
                }
            }
        }
    }

    async fn measure(&mut self, second: u64, now: Now) {
        if !self.shared.is_quiet.load(Ordering::Relaxed) {
            let rows = self.shelf.store(&self.shared.signal, second, now);
            self.shared.stored.fetch_add(rows.len() as u64, Ordering::Relaxed);
            self.shared.waiting.fetch_add(rows.len() as u64, Ordering::Relaxed);
            // The uplink always reads: it cannot be gone before this stage.
            let _ = self.tell.send(FromStore::Stored(rows)).await;
        }
        let _ = self.to_uplink.send(UplinkRequest::Status(Box::new(status(now)))).await;
    }

    async fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Rows { lane, from, bytes_max } => {
                let rows = self.shelf.rows(lane, from, bytes_max);
                let _ = self.tell.send(FromStore::Rows { lane, from, rows }).await;
            }
            Ask::Settled { lane, below, .. } => {
                let settled = self.shelf.settle(lane, below);
                self.shared.waiting.fetch_sub(settled, Ordering::Relaxed);
            }
            Ask::KeyFrame => self.shelf.encoder.restart(),
            Ask::Past { lane, from } => {
                let _ = self.tell.send(FromStore::Past { lane, from, epochs: Vec::new() }).await;
            }
            Ask::Trusted(_) | Ask::ConfirmedBy(_) | Ask::Disputed { .. } => {}
        }
    }
}

/// A log in memory: rows until the hub has them.
struct Shelf {
    epoch: Epoch,
    boot: u32,
    encoder: Encoder,
    next: [u64; 3],
    held: [VecDeque<HeldRow>; 3],
}

impl Shelf {
    fn new(log: &Log) -> Self {
        Self {
            epoch: log.epoch,
            boot: log.boot,
            encoder: Encoder::new(),
            next: [0; 3],
            held: Default::default(),
        }
    }

    fn store(&mut self, signal: &Signal, second: u64, now: Now) -> Vec<Row> {
        let mut rows = Vec::new();
        for draft in signal.second(second, now) {
            let seq = self.next[draft.lane as usize];
            self.next[draft.lane as usize] += 1;
            let header = Header {
                lane: draft.lane,
                epoch: self.epoch,
                seq,
                provenance: draft.provenance,
                boot: self.boot,
                mono: now.mono,
                wall: now.wall,
                span_us: draft.span_us,
            };
            let mut bytes = Vec::new();
            self.encoder.encode(&header, &draft.body, &mut bytes);
            let row = Row { lane: draft.lane, seq, bytes: bytes.into() };
            self.held[draft.lane as usize].push_back(HeldRow { seq, end: seq + 1, bytes: row.bytes.clone() });
            rows.push(row);
        }
        rows
    }

    fn rows(&self, lane: Lane, from: u64, bytes_max: usize) -> Vec<HeldRow> {
        let mut size = 0;
        let fits = |row: &&HeldRow| {
            size += row.bytes.len();
            size <= bytes_max || row.seq == from
        };
        self.held[lane as usize].iter().skip_while(|row| row.seq < from).take_while(fits).cloned().collect()
    }

    /// How many rows the hub has now that it had not before.
    fn settle(&mut self, lane: Lane, below: u64) -> u64 {
        let held = &mut self.held[lane as usize];
        let before = held.len();
        while held.front().is_some_and(|row| row.seq < below) {
            held.pop_front();
        }
        (before - held.len()) as u64
    }
}

fn status(now: Now) -> Status {
    let link = LinkStatus {
        link: 0,
        name: "monitor".to_owned(),
        driver: "intellivue".to_owned(),
        state: LinkState::Live,
        detail: "Connected.".to_owned(),
        manufacturer: String::new(),
        model: String::new(),
        serial: String::new(),
        firmware: String::new(),
        heard_ms: Some(12),
        frames: 1,
        malformed_bytes: 0,
        clock: None,
    };
    Status {
        epoch: String::new(),
        wall_us: now.wall.0,
        links: vec![link],
        outbox: OutboxStatus::default(),
        limits: None,
        limits_refused: None,
    }
}
