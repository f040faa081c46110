//! The agent's stages and how they are wired; sink first up, source first down.
//!
//! ```text
//! devices --> link (one each) --Heard--> bed --StoreRequest--> store
//!                  ^                      | \                    | FromStore
//!                  '------StoreToken------'  '--UplinkRequest--> uplink --> hub
//! people  --> local ------question------> bed <---BedNotice---- store, uplink
//! ```

use crate::bed::{self, Bed, Kept, LinkSetup, Setup, Signals};
use crate::link::{self, tap::Tap};
use crate::local::{self, TapPoint};
use crate::page;
use crate::row::{FromStore, UplinkRequest};
use crate::sounder;
use crate::store::{self, Store};
use crate::uplink;
use anyhow::Result;
use cotside_config::agent::{Agent, Bedside};
use cotside_protocol::model::Wall;
use cotside_protocol::wire::convert;
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::{self, Stages, Stop};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, watch};

pub const SOFTWARE: &str = concat!("edge-agent ", env!("CARGO_PKG_VERSION"));

/// Two seconds of the busiest bed: a bed that is busy for longer slows its links, and no other.
const HEARD_MAX: usize = 256;
const NOTICES_MAX: usize = 64;
/// Checkpoints that a link has open.
const STORED_MAX: usize = 64;
const LINK_STOPS_WITHIN: Duration = Duration::from_secs(2);
const STOPS_WITHIN: Duration = Duration::from_secs(3);
const STORE_STOPS_WITHIN: Duration = Duration::from_secs(10);

/// Everything that runs, in the order of its start.
pub struct Running {
    stages: Stages,
}

impl Running {
    /// Waits for the end, then stops. True if every stage ended in time and without error.
    pub async fn until_stopped(mut self) -> Result<bool> {
        self.stages.ready()?;
        let why = self.stages.wait().await?;
        stages::stopping();
        tracing::info!(why, "stopping");
        Ok(self.stages.stop().await)
    }
}

/// Starts every stage.
pub fn start(config: Agent, clock: Clock) -> Result<Running> {
    let listener = local::bind(&config.socket)?;
    let mut stages = Stages::new();
    let clock = clock.not_before(store::passed(&config.state_dir));
    let store = Store::open(store_settings(&config), clock.now());
    let (log, alive) = (store.log(), store.alive());
    let clock = clock.not_before(log.trusted);

    let (to_store, requests) = mpsc::channel(store::REQUESTS_MAX);
    let (asks, asked) = mpsc::channel(store::ASKS_MAX);
    let (from_store, told) = mpsc::channel(store::FROM_STORE_MAX);
    let (to_uplink, uplink_requests) = mpsc::channel(uplink::UPLINK_REQUESTS_MAX);
    let (notify, notices) = mpsc::channel(NOTICES_MAX);
    let (hear, heard) = mpsc::channel(HEARD_MAX);
    let (questions, asked_by_people) = mpsc::channel(local::QUESTIONS_MAX);

    let (signal, signals) = watch::channel(Signals::default());
    at_the_bed(&config.bedside, &mut stages, || sounder::run::Wires {
        clock,
        signals: signals.clone(),
        bed: notify.clone(),
        asks: questions.clone(),
    });

    let notify_page = notify.clone();

    let store_wires = store::Wires { requests, asks: asked, uplink: from_store, bed: notify.clone() };
    stages.start("store", STORE_STOPS_WITHIN, |stop| store::run(store, clock, store_wires, stop));
    match uplink_settings(&config) {
        Some(settings) => {
            let wires = uplink::Wires { requests: uplink_requests, store: told, asks, bed: notify };
            let log = log.clone();
            stages.start("uplink", STOPS_WITHIN, |stop| uplink::run(settings, log, clock, wires, stop));
        }
        None => stages.start("uplink", STOPS_WITHIN, |stop| alone(told, uplink_requests, asks, stop)),
    }

    let boot = log.boot;
    let bed = Bed::new(bed_setup(&config, boot, alive), clock.now());
    let (stored_senders, stored): (Vec<_>, Vec<_>) =
        config.links.iter().map(|_| mpsc::channel(STORED_MAX)).unzip();
    let wires = bed::run::Wires {
        heard,
        notices,
        questions: asked_by_people,
        signals: signal,
        store: to_store,
        uplink: to_uplink,
        links: stored_senders,
        kept: kept_in(&config),
    };
    stages.start("bed", STOPS_WITHIN, |stop| bed::run::run(bed, wires, clock, stop));

    let taps: Vec<Tap> = config.links.iter().map(|_| Tap::default()).collect();
    let points = config.links.iter().zip(&taps).map(|(link, tap)| TapPoint {
        link: link.name.clone(),
        driver: link.driver.name,
        tap: tap.clone(),
    });
    if let Some(page) = config.bedside.page.clone() {
        let (asks, bed) = (questions.clone(), notify_page);
        let wires = page::run::Wires { clock, signals, bed, asks };
        stages.start("page", STOPS_WITHIN, |stop| page::run::run(page, wires, stop));
    }

    let local_wires = local::Wires { clock, questions, taps: Arc::new(points.collect()) };
    stages.start("local", STOPS_WITHIN, |stop| local::run(listener, local_wires, stop));

    for (((index, link), stored), tap) in (0..).zip(config.links).zip(stored).zip(taps) {
        tracing::info!(link = link.name, driver = link.driver.name, place = %link.place, "starting link");
        let wires = link::run::Wires {
            clock,
            heard: hear.clone(),
            stored: Arc::new(Mutex::new(stored)),
            tap,
            identity: link::run::identity_file(&config.state_dir, &link.name),
            seed: u64::from(boot) << 8 | u64::from(index),
        };
        stages.start("link", LINK_STOPS_WITHIN, |stop| link::run::run(index, Arc::new(link), wires, stop));
    }
    Ok(Running { stages })
}

/// What sounds at the bed stops after the bed that tells it what to say.
fn at_the_bed(bedside: &Bedside, stages: &mut Stages, wires: impl Fn() -> sounder::run::Wires) {
    if !bedside.hook.is_empty() {
        let (hook, wires) = (bedside.hook.clone(), wires());
        stages.start("hook", STOPS_WITHIN, |stop| sounder::run::hook(hook, wires, stop));
    }
    if let Some(gpio) = bedside.gpio.clone() {
        let wires = wires();
        stages.start("buzzer", STOPS_WITHIN, |stop| sounder::run::gpio(gpio, wires, stop));
    }
}

fn store_settings(config: &Agent) -> store::Settings {
    store::Settings {
        directory: config.state_dir.clone(),
        cap_bytes: config.store_max,
        provenance: config.provenance,
        software: SOFTWARE.to_owned(),
        loss_window: config.loss_window,
        ..store::Settings::default()
    }
}

fn uplink_settings(config: &Agent) -> Option<uplink::Settings> {
    config.hub.as_ref().map(|hub| uplink::Settings {
        credentials: hub.credentials.clone(),
        address: hub.address.clone(),
        software: SOFTWARE.to_owned(),
        provenance: convert::provenance(config.provenance),
    })
}

fn kept_in(config: &Agent) -> PathBuf {
    config.state_dir.join("kept")
}

fn bed_setup(config: &Agent, boot: u32, alive: Option<Wall>) -> Setup {
    let links = config.links.iter().map(|link| LinkSetup {
        name: link.name.clone(),
        driver: link.driver.name.to_owned(),
        place: link.place.to_string(),
    });
    Setup {
        agent: config.id.to_string(),
        software: SOFTWARE,
        provenance: config.provenance,
        loss_window: config.loss_window,
        boot,
        links: links.collect(),
        limits: config.limits.clone(),
        preferences: config.preferences.iter().map(|prefer| (prefer.code, prefer.links.clone())).collect(),
        kept: Kept::read(&kept_in(config), alive),
        has_hub: config.hub.is_some(),
        envelope: config.envelope.clone(),
        standby_max: config.standby_max,
    }
}

/// Without a hub nobody reads what is stored: it stays until the cap. Announces have nowhere to go.
async fn alone(
    mut told: mpsc::Receiver<FromStore>,
    mut requests: mpsc::Receiver<UplinkRequest>,
    asks: mpsc::Sender<store::Ask>,
    mut stop: Stop,
) -> Result<()> {
    // Held for as long as the store runs: it ends when nobody can ask any more.
    let _asks = asks;
    loop {
        tokio::select! {
            () = stop.requested() => return Ok(()),
            Some(_) = told.recv() => {}
            Some(_) = requests.recv() => {}
        }
    }
}
