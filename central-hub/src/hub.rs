//! Builds the hub out of its stages and stops it again, source first.
//!
//! ```text
//! agents (listener or broker) --feed--> unit --frames--> api --> stations
//!        \--write--> store <--read, write--/
//! ```

use crate::agents::inbound::Rules;
use crate::agents::{self, FEED, House, broker, enrolment};
use crate::alarms;
use crate::api;
use crate::authority::Authority;
use crate::ledger;
use crate::limits::Limits;
use crate::live;
use crate::passed_time::PassedTime;
use crate::store::agents::Agent;
use crate::store::{self, Store, WriterEnded};
use crate::unit::Roster;
use crate::unit::view::UnitName;
use anyhow::{Context, Result};
use cotside_config::hub::{Broker, Hub, Security};
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::Stages;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const AGENTS_STOP: Duration = Duration::from_secs(6);
const STAGE_STOP: Duration = Duration::from_secs(3);
/// The last commit and the checkpoint after it.
const STORE_STOP: Duration = Duration::from_secs(10);

/// A hub that runs.
pub struct Running {
    stages: Stages,
    house: Option<Arc<House>>,
    store_ended: WriterEnded,
    /// Where it really listens.
    pub mqtt: Option<SocketAddr>,
    pub enrolment: SocketAddr,
    pub http: SocketAddr,
}

/// Why a hub does not start: what `main` makes an exit code of.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{0:#}")]
    Store(anyhow::Error),
    #[error("{0:#}")]
    Certificates(anyhow::Error),
    #[error("{0:#}")]
    Unavailable(anyhow::Error),
}

impl Running {
    pub async fn start(config: &Hub, clock: Clock) -> Result<Self, Fault> {
        let (store, store_ended) = Store::start(&config.store(), false).map_err(Fault::Store)?;
        let authority = Authority::at(&config.data_dir);
        let newest = store.read(store::newest).await.map_err(Fault::Store)?;
        let until = authority.valid_until().map_err(Fault::Certificates)?;
        let passed = Arc::new(PassedTime::new(clock, newest, until));
        let clock = if newest <= until { clock.not_before(newest) } else { clock };
        let authority = authority.by(passed.clone());
        let (feed, items) = mpsc::channel(FEED);
        let rules = Rules { store: store.id().into(), accepts: config.accepts };
        let house = Arc::new(House::new(clock, store, rules, feed));
        let registered = house.store.read(store::agents::all).await.map_err(Fault::Store)?;
        let roster = roster(config, &registered);
        house.roll().renew(registered);
        let enrolment = listen(config.agents.enrolment).await?;
        let http = listen(config.http.listen).await?;
        let mqtt = match config.agents.broker {
            Broker::Own => Some(listen(config.agents.mqtt).await?),
            Broker::External { .. } => None,
        };
        let address = |listener: &TcpListener| {
            listener.local_addr().context("a listener has no address").map_err(Fault::Unavailable)
        };
        let (enrolment_at, http_at) = (address(&enrolment)?, address(&http)?);
        let mqtt_at = mqtt.as_ref().map(address).transpose()?;

        let mut stages = Stages::new();
        let rules = alarms::Rules { escalation: config.escalation.clone() };
        let (wires, journal) = alarms::run::open(rules, house.tending.clone(), house.store.clone());
        let (live, unit) = live::open(roster, clock, items, wires);
        stages.start("alarm log", STORE_STOP, |stop| journal.run(stop));
        stages.start("unit", STAGE_STOP, |stop| unit.run(stop));
        let tls =
            (config.http.security == Security::Tls).then(|| authority.tls_for_anyone(&[b"h2", b"http/1.1"]));
        let tls = tls.transpose().map_err(Fault::Certificates)?;
        let limits = Limits::open(
            house.store.clone(),
            clock,
            live.clone(),
            (house.tending.clone(), house.ears.clone()),
            (Some(config.profiles.clone()), config.envelope.clone()),
        );
        let limits = limits.await.map_err(Fault::Store)?;
        let state = api::State::open(
            live.clone(),
            house.store.clone(),
            clock,
            limits.clone(),
            config.http.security == Security::Proxy,
        )
        .await
        .map_err(Fault::Store)?;
        stages.start("api", STAGE_STOP, |stop| api::serve(http, tls, state, stop));
        stages.start("limits", STAGE_STOP, |stop| limits.run(stop));
        let shared = house.clone();
        stages.start("register", STAGE_STOP, |stop| agents::run::renew(shared, live, passed, stop));
        let shared = house.clone();
        stages.start("ledger", STAGE_STOP, |stop| ledger::run(shared, stop));
        let tls = authority.tls_for_anyone(&[b"http/1.1"]).map_err(Fault::Certificates)?;
        let desk = Arc::new(enrolment::run::Desk {
            house: house.clone(),
            authority: authority.clone(),
            mqtt: mqtt_at.map_or_else(
                || config.mqtt_for_agents(),
                |at| format!("{}:{}", config.agents.name, at.port()),
            ),
        });
        stages.start("enrolment", STAGE_STOP, |stop| enrolment::run::run(enrolment, tls, desk, stop));
        let shared = house.clone();
        match (&config.agents.broker, mqtt) {
            (Broker::External { host, port }, _) => {
                let tls = authority.tls_towards_broker().map_err(Fault::Certificates)?;
                let (host, port) = (host.clone(), *port);
                stages.start("agents", AGENTS_STOP, move |stop| {
                    broker::run::run(host, port, tls, shared, stop)
                });
            }
            (Broker::Own, Some(listener)) => {
                let tls = authority.tls_for_agents().map_err(Fault::Certificates)?;
                stages.start("agents", AGENTS_STOP, |stop| agents::run::run(listener, tls, shared, stop));
            }
            (Broker::Own, None) => {}
        }
        Ok(Self {
            stages,
            house: Some(house),
            store_ended,
            mqtt: mqtt_at,
            enrolment: enrolment_at,
            http: http_at,
        })
    }

    /// Tells systemd; from before this on a signal stops the hub cleanly.
    pub fn ready(&mut self) -> Result<()> {
        self.stages.ready()
    }

    /// Waits for a signal, or for the first stage that ends by itself. Says why.
    pub async fn wait(&mut self) -> Result<&'static str> {
        self.stages.wait().await
    }

    /// Agents first, the store last. True if everything ended in time and without error.
    pub async fn stop(mut self) -> bool {
        let clean = self.stages.stop().await;
        self.house.take();
        let stored = tokio::time::timeout(STORE_STOP, self.store_ended.wait()).await.is_ok();
        if !stored {
            tracing::error!("the store did not finish in time");
        }
        clean && stored
    }
}

async fn listen(at: SocketAddr) -> Result<TcpListener, Fault> {
    let listener = TcpListener::bind(at).await.with_context(|| format!("cannot listen on {at}"));
    listener.map_err(Fault::Unavailable)
}

/// Every bed of the unit, with the agent that serves it.
fn roster(config: &Hub, agents: &[Agent]) -> Roster {
    let serving = |bed: &String| agents.iter().find(|agent| agent.bed.as_ref() == Some(bed));
    let beds = config.unit.beds.iter().map(|bed| (bed.clone(), serving(bed).map(|agent| agent.id.clone())));
    Roster {
        unit: UnitName { id: config.unit.id.clone(), name: config.unit.name.clone() },
        beds: beds.collect(),
    }
}
