//! A hub's station half on a free port, its agents replaced by a channel of items.

use anyhow::Result;
use cotside_central_hub::agents::tending::run::Tending;
use cotside_central_hub::alarms;
use cotside_central_hub::api;
use cotside_central_hub::feed::{Item, News};
use cotside_central_hub::limits::{Ears, Limits};
use cotside_central_hub::live::{self, Live};
use cotside_central_hub::people::{Role, create_user};
use cotside_central_hub::store::Store;
use cotside_central_hub::unit::Roster;
use cotside_central_hub::unit::view::UnitName;
use cotside_config::hub::escalation;
use cotside_protocol::model::{Code, Decimal, Envelope, Mono, Pace, Provenance, Quality, Site};
use cotside_protocol::wire::block::{Channel, Epoch, Header, Sample};
use cotside_protocol::wire::topic::{AgentId, Lane};
use cotside_protocol::wire::upstream::{Alarm, AlarmKind, Announce, Condition, Inactivation, Priority};
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::{Stages, Stop};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::confidential::*;

pub(crate) const PASSWORD: &str = "a long enough password";
/// Generous: a loaded machine is slow, not wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A hub's station half on a free port, with one user per role.
pub(crate) struct Hub {
    pub(crate) at: SocketAddr,
    pub(crate) items: mpsc::Sender<Item>,
    pub(crate) live: Live,
    /// What the bed's agent would be told.
    pub(crate) tending: Tending,
    pub(crate) state: api::State,
    pub(crate) stop: Stop,
    pub(crate) stages: Stages,
    pub(crate) clock: Clock,
    pub(crate) folder: PathBuf,
    pub(crate) ears: Ears,
}

impl Hub {
    pub(crate) async fn start() -> Hub {
        Self::start_with(false).await
    }

    /// Believes what a request says that it was forwarded for.
    pub(crate) async fn start_behind_proxy() -> Hub {
        Self::start_with(true).await
    }

    async fn start_with(trusts_proxy: bool) -> Hub {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("cotside-station-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self::start_in(folder, trusts_proxy).await
    }

    pub(crate) async fn start_in(folder: PathBuf, trusts_proxy: bool) -> Hub {
        // The second test of a process finds it installed.
        let _ = tracing::subscriber::set_global_default(Confidential);
        let path = folder.join("hub.db");
        let is_new = !path.exists();
        let (store, _ended) = Store::start(&path, true).unwrap();
        let clock = Clock::start();
        if is_new {
            let at = clock.now().wall;
            let path = path.clone();
            tokio::task::spawn_blocking(move || {
                let connection = cotside_central_hub::store::open(&path, false).unwrap();
                for role in Role::ALL {
                    create_user(&connection, role.name(), role, PASSWORD, at).unwrap();
                }
            })
            .await
            .unwrap();
        }
        let roster = Roster {
            unit: UnitName { id: "nicu".to_owned(), name: "Neonatal intensive care".to_owned() },
            beds: vec![("01".to_owned(), Some(agent())), ("02".to_owned(), None)],
        };
        let (items, news) = mpsc::channel(256);
        let rules = alarms::Rules { escalation: escalation::shipped() };
        let tending = Tending::default();
        let (wires, journal) = alarms::run::open(rules, tending.clone(), store.clone());
        let (live, unit) = live::open(roster, clock, news, wires);
        let mut stages = Stages::new();
        stages.start("journal", PATIENCE, |stop| journal.run(stop));
        stages.start("unit", PATIENCE, |stop| unit.run(stop));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let ears = Ears::default();
        let bedside = (tending.clone(), ears.clone());
        let rules = (None, Envelope::neonatal());
        let limits = Limits::open(store.clone(), clock, live.clone(), bedside, rules).await.unwrap();
        let state = api::State::open(live.clone(), store, clock, limits.clone(), trusts_proxy).await.unwrap();
        stages.start("limits", PATIENCE, |stop| limits.run(stop));
        let (told, stop) = oneshot::channel();
        let served = state.clone();
        stages.start("api", PATIENCE, move |stop| async move {
            let _ = told.send(stop.clone());
            api::serve(listener, None, served, stop).await
        });
        let stop = stop.await.unwrap();
        Hub { at, items, live, tending, ears, state, stop, stages, clock, folder }
    }

    /// The same store under a new process.
    pub(crate) async fn restart(mut self) -> Hub {
        assert!(std::mem::take(&mut self.stages).stop().await);
        let folder = std::mem::take(&mut self.folder);
        drop(self);
        Self::start_in(folder, false).await
    }

    pub(crate) fn store(&self) -> rusqlite::Connection {
        cotside_central_hub::store::open(&self.folder.join("hub.db"), false).unwrap()
    }

    /// (who, what) of every deed.
    pub(crate) fn audit(&self) -> Vec<(String, String)> {
        let store = self.store();
        let mut question = store.prepare("SELECT who, what FROM audit ORDER BY id").unwrap();
        let deeds = question.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        deeds.collect::<Result<_, _>>().unwrap()
    }

    pub(crate) async fn tell(&self, what: News) {
        self.items.send(Item { agent: agent(), bed: Some("01".to_owned()), what }).await.unwrap();
    }

    pub(crate) fn header(&self, lane: Lane) -> Header {
        let now = self.clock.now();
        Header {
            lane,
            epoch: Epoch(1),
            seq: 1,
            provenance: Provenance::Live,
            boot: 7,
            mono: Mono(now.mono.0),
            wall: now.wall,
            span_us: 0,
        }
    }

    pub(crate) async fn heart_rate(&self, value: i64) {
        let header = self.header(Lane::Numeric);
        self.tell(News::Numerics(header, vec![sample(value)])).await;
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if !self.folder.as_os_str().is_empty() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

pub(crate) fn agent() -> AgentId {
    AgentId::new("gw-01").unwrap()
}

pub(crate) fn channel(code: u32) -> Channel {
    Channel { link: 0, code: Code(code), site: Site::Unspecified, setting: false }
}

pub(crate) fn sample(value: i64) -> Sample {
    Sample {
        channel: channel(147_842),
        ucum: "{beats}/min".to_owned(),
        pace: Pace::Continuous,
        value: Some(Decimal::new(value, 0)),
        quality: Quality::GOOD,
        at_us: 0,
        lag_ms: 0,
    }
}

pub(crate) fn alarm(version: u32, condition: Condition) -> Alarm {
    Alarm {
        episode: "00000000000000a1".to_owned(),
        version,
        attention: 1,
        rule: "limit-low".to_owned(),
        kind: AlarmKind::Physiological,
        priority: Priority::High,
        condition,
        inactivation: Inactivation::Enabled,
        code: Some(150_456),
        site: None,
        value: Some("71".to_owned()),
        limit: Some("85".to_owned()),
        ucum: "%".to_owned(),
        text: "SpO2 71 < 85".to_owned(),
        parts: Vec::new(),
        link: None,
        delay_ms: 0,
        limits: 0,
        onset_us: 1_768_360_364_000_000,
        active_us: None,
        ended_us: None,

        ended: None,
    }
}

pub(crate) fn announce(alarms: Vec<Alarm>) -> News {
    News::Announce(Announce { epoch: "0".repeat(16), alarms, ..Announce::default() })
}
