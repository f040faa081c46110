//! The store's stage: what it tells whom, and that nothing handed to it is lost at a stop.

use super::*;
use cotside_edge_agent::row::{BedNotice, StoreRequest};
use cotside_edge_agent::store::{self, Wires};
use cotside_protocol::model::StoreToken;
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::Stages;
use tokio::sync::mpsc;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

struct Running {
    stages: Stages,
    clock: Clock,
    requests: mpsc::Sender<StoreRequest>,
    told: mpsc::Receiver<FromStore>,
    notices: mpsc::Receiver<BedNotice>,
    _asks: mpsc::Sender<store::Ask>,
}

fn start(settings: Settings) -> Running {
    let clock = Clock::start();
    let store = Store::open(settings, clock.now());
    let (requests, asked) = mpsc::channel(store::REQUESTS_MAX);
    let (_asks, asks) = mpsc::channel(store::ASKS_MAX);
    let (uplink, told) = mpsc::channel(store::FROM_STORE_MAX);
    let (bed, notices) = mpsc::channel(64);
    let mut stages = Stages::new();
    let wires = Wires { requests: asked, asks, uplink, bed };
    stages.start("store", Duration::from_secs(10), |stop| store::run(store, clock, wires, stop));
    Running { stages, clock, requests, told, notices, _asks }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_checkpoint_is_told_when_it_is_on_disk_and_what_was_handed_over_survives_a_stop() {
    let place = Place::new();
    block_on(async {
        let mut running = start(settings(&place));
        let now = running.clock.now();
        let token = (3, StoreToken(7));
        running
            .requests
            .send(StoreRequest { drafts: second(now, 1), checkpoints: vec![token] })
            .await
            .unwrap();
        let tokens = async {
            loop {
                if let Some(BedNotice::Stored(tokens)) = running.notices.recv().await {
                    return tokens;
                }
            }
        };
        assert_eq!(timeout(PATIENCE, tokens).await.unwrap(), [token]);
        for n in 2..30 {
            running
                .requests
                .send(StoreRequest { drafts: second(now, n), checkpoints: vec![] })
                .await
                .unwrap();
        }
        assert!(running.stages.stop().await);
    });
    let store = Store::open(settings(&place), at(1_000_000_000));
    assert_eq!(store.log().next.numeric, 29 + 1, "every second, and the gap of the absence");
}

#[test]
fn nothing_is_acknowledged_to_a_device_from_memory() {
    let place = Place::new();
    let blocked = place.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    block_on(async {
        let mut running = start(Settings { directory: blocked.join("log"), ..settings(&place) });
        let drafts = second(running.clock.now(), 1);
        running.requests.send(StoreRequest { drafts, checkpoints: vec![(0, StoreToken(1))] }).await.unwrap();
        assert!(matches!(timeout(PATIENCE, running.told.recv()).await, Ok(Some(FromStore::Stored(_)))));
        let trouble = async {
            loop {
                match running.notices.recv().await {
                    Some(BedNotice::Stored(_)) => panic!("acknowledged from memory"),
                    Some(BedNotice::StoreTrouble(Some(words))) => return words,
                    _ => {}
                }
            }
        };
        assert!(timeout(PATIENCE, trouble).await.unwrap().contains("memory only"));
        assert!(running.stages.stop().await);
    });
}
