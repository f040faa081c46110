//! From the byte to the station: how long an alarm takes to the hub's stream and to its disk, beside a bare round trip in the same minute.

use super::bare::Bare;
use super::line::Mute;
use super::quantile;
use crate::figures::Figures;
use anyhow::{Context, Result, ensure};
use cotside_protocol::device::{Path as Way, Peer, PeerOutput, Physiology};
use cotside_protocol::model::{Mono, Now};
use cotside_simulators::cable::Faults;
use cotside_simulators::newborn::Random;
use cotside_simulators::station::Events;
use cotside_simulators::unit::{BedPlan, DevicePlan, On, OpenPeer, Plan, Unit};
use cotside_systemd::clock::Clock;
use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Half of them on a line that was quiet, half within the agent's read timer.
const EPISODES: usize = 140;
/// The agent looks at a line that speaks this often (`edge-agent/src/link/serial.rs`); one that was quiet wakes it.
const READ_TIMER_US: f64 = 50_000.0;
const PATIENCE: Duration = Duration::from_secs(300);
pub(super) const LIMITS: &str =
    "\n[[limit]]\nparameter = \"SpO2\"\nlow = 85\ndelay = \"0s\"\npriority = \"high\"\n";

/// One episode of the scripted oximeter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) at: Mono,
    /// The line had spoken just before, so that the agent looks at it on its timer.
    pub(super) after_speech: bool,
}

pub(super) type Log = Arc<Mutex<Vec<Written>>>;

#[derive(Default)]
struct Measured {
    to_stream: Vec<f64>,
    to_stream_timed: Vec<f64>,
    to_stored: Vec<f64>,
}

pub async fn run(binaries: &Path, dir: PathBuf, figures: &mut Figures) -> Result<()> {
    let log = Log::default();
    let script = log.clone();
    let oximeter: OpenPeer = Arc::new(move |_| Box::new(Scripted::new(script.clone())));
    let mute: OpenPeer = Arc::new(|_| Box::new(Mute));
    let plan = Plan {
        binaries: binaries.to_owned(),
        dir,
        beds: vec![bed("01", oximeter, LIMITS), bed("02", mute, "")],
        http_port: None,
        broker: None,
        detours: Vec::new(),
    };
    let mut unit = Unit::start(&plan, |_| ()).await?;
    unit.agents[1].stop().await?;
    let mut bare = Bare::connect(unit.clock, &unit.dir.join("gw-02")).await?;
    let station = unit.station().await?;
    let mut events = station.events("nicu").await?;

    let is_over = Arc::new(AtomicBool::new(false));
    let ended = is_over.clone();
    let trips = tokio::spawn(async move {
        let mut random = Random::new(3);
        let mut trips = Vec::new();
        let next = |now: Mono| now + Duration::from_secs_f64(random.between(0.02, 0.12));
        let take = |trip: Duration| {
            trips.push(trip.as_nanos() as f64 / 1000.0);
            Ok(!ended.load(Ordering::Relaxed))
        };
        bare.announce(next, take).await.map(|()| trips)
    });
    let follow = follow(unit.clock, &mut events, &log);
    let measured = tokio::time::timeout(PATIENCE, follow).await.context("the alarms do not come")??;
    is_over.store(true, Ordering::Relaxed);
    let mut trips = trips.await??;
    let dir = unit.dir.clone();
    ensure!(unit.stop().await?, "not every process stopped cleanly; logs in {}", dir.display());
    std::fs::remove_dir_all(&dir)?;
    print(measured, &mut trips, figures);
    Ok(())
}

fn print(mut measured: Measured, trips: &mut [f64], figures: &mut Figures) {
    for (name, quantity) in [("p50", 0.5), ("p99", 0.99)] {
        let bare = quantile(trips, quantity);
        let beside = format!("bare TLS QoS 1 round trip, {name}");
        let mut figure = |what: &str, values: &mut Vec<f64>| {
            figures.beside(&format!("{what}-{name}"), quantile(values, quantity), "us", &beside, bare);
        };
        figure("alarm-frame-to-stream", &mut measured.to_stream);
        figure("alarm-frame-in-timer-to-stream", &mut measured.to_stream_timed);
        figure("alarm-frame-to-stored", &mut measured.to_stored);
    }
    let remark = "half on a line quiet before: read at once";
    figures.alone("alarm-frame-episodes", EPISODES as f64, "alarms", remark);
    figures.alone("agent-read-timer", READ_TIMER_US, "us", "the other half waits for it: -in-timer-");
    figures.alone("bare-round-trips", trips.len() as f64, "trips", "to the same listener, meanwhile");
}

/// Follows the stream until every episode was seen; alarms that were never marked as recorded are an error.
async fn follow(clock: Clock, events: &mut Events, log: &Log) -> Result<Measured> {
    let mut measured = Measured::default();
    let mut seen: HashMap<String, Written> = HashMap::new();
    let mut recorded = 0;
    let mut unmatched = 0;
    while recorded < EPISODES {
        let event = events.next().await?;
        let now = clock.now().mono;
        let beds = event.data["beds"].as_array().map(Vec::as_slice).unwrap_or_default();
        let alarms = beds.iter().filter(|bed| bed["bed"] == "01").flat_map(|bed| bed["alarms"].as_array());
        for alarm in alarms.flatten().filter(|alarm| alarm["rule"].as_str().is_some_and(is_limit)) {
            let episode = alarm["episode"].as_str().context("an alarm without a name")?;
            let is_recorded = alarm["recorded"] == true;
            let Some(written) = seen.get(episode).copied() else {
                let written = *log.lock().expect("no thread panics").last().context("an alarm of no line")?;
                if written.at > now {
                    unmatched += 1;
                    continue;
                }
                seen.insert(episode.to_owned(), written);
                let waited = us(now, written.at);
                if written.after_speech {
                    measured.to_stream_timed.push(waited);
                } else {
                    measured.to_stream.push(waited);
                }
                ensure!(!is_recorded, "an alarm was shown only after it was on disk");
                continue;
            };
            if is_recorded && written.at != Mono(0) {
                recorded += 1;
                if !written.after_speech {
                    measured.to_stored.push(us(now, written.at));
                }
                // Once is enough.
                seen.insert(episode.to_owned(), Written { at: Mono(0), ..written });
            }
        }
    }
    ensure!(unmatched == 0 && seen.len() <= EPISODES + 1, "{} alarms, {recorded} recorded", seen.len());
    Ok(measured)
}

pub(super) fn is_limit(rule: &str) -> bool {
    rule.starts_with("limit")
}

pub(super) fn us(now: Mono, before: Mono) -> f64 {
    now.since(before).as_nanos() as f64 / 1000.0
}

pub(super) fn bed(bed: &str, peer: OpenPeer, limits: &str) -> BedPlan {
    let device = DevicePlan {
        name: "oximeter",
        driver: "masimo",
        on: On::Serial,
        faults: Faults::default(),
        peer: Some(peer),
    };
    BedPlan {
        bed: bed.to_owned(),
        baby: None,
        seed: 0,
        script: Vec::new(),
        devices: vec![device],
        limits: limits.to_owned(),
    }
}

/// An oximeter whose saturation falls below the limit and comes back, again and again, and that notes when it said so.
pub(super) struct Scripted {
    log: Log,
    random: Random,
    /// What it says when; `Some` with the manner of an alarm.
    plan: VecDeque<(Mono, Option<bool>)>,
    episodes: usize,
}

impl Scripted {
    pub(super) fn new(log: Log) -> Self {
        Self { log, random: Random::new(9), plan: VecDeque::new(), episodes: 0 }
    }

    /// Low for 0.4 s, well before and after for as long.
    fn next_episode(&mut self, begin: Mono) {
        let at = |seconds: f64| begin + Duration::from_secs_f64(seconds);
        let low = self.random.between(0.40, 0.50);
        let after_speech = self.episodes % 2 == 1;
        self.episodes += 1;
        if after_speech {
            self.plan.push_back((at(low - self.random.between(0.001, 0.049)), None));
        }
        self.plan.push_back((at(low), Some(after_speech)));
        self.plan.push_back((at(low + 0.4), None));
    }
}

impl Peer for Scripted {
    fn handle(&mut self, _now: Now, _from: Way, _bytes: &[u8]) {}

    fn poll(&mut self, now: Now, _body: &dyn Physiology) -> PeerOutput {
        if self.plan.is_empty() {
            self.next_episode(now.mono);
        }
        let (due, alarm) = self.plan[0];
        if now.mono < due {
            return PeerOutput::Wait { until: due };
        }
        self.plan.pop_front();
        let saturation = if alarm.is_some() { 71 } else { 97 };
        let second = now.wall.0.div_euclid(1_000_000).rem_euclid(86_400);
        let line = format!(
            "11/22/26 {:02}:{:02}:{:02} SN=0000077777 SPO2={saturation:03}% BPM=142 PI=02.31% SPCO=--.-% \
             SPMET=--.-% DESAT=-- PIDELTA=+-- ALARM=0000 EXC=000800\r\n",
            second / 3600,
            second / 60 % 60,
            second % 60
        );
        if let Some(after_speech) = alarm {
            // The bytes are written right after this: what that takes is counted in.
            self.log.lock().expect("no thread panics").push(Written { at: now.mono, after_speech });
        }
        PeerOutput::Transmit { to: Way::Line, bytes: line.into_bytes() }
    }
}
