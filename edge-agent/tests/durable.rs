//! What must survive: a log reopened after a kill, damaged, full, without a disk; a hub that is away, restored, or lossy.

#![allow(clippy::unwrap_used, reason = "these are tests, helpers included")]

#[path = "durable/authority.rs"]
mod authority;
#[path = "durable/broker.rs"]
mod broker;
#[path = "durable/enrolment.rs"]
mod enrolment;
#[path = "durable/outbox.rs"]
mod outbox;
#[path = "durable/stage.rs"]
mod stage;
#[path = "durable/store.rs"]
mod store;
#[path = "durable/wrong_clock.rs"]
mod wrong_clock;

use cotside_edge_agent::row::{Draft, FromStore, Row};
use cotside_edge_agent::store::{Settings, Store};
use cotside_protocol::model::{Code, Decimal, Mono, Now, Pace, Provenance, Quality, Site, Wall};
use cotside_protocol::wire::block::{Body, Channel, Sample, Stretch};
use cotside_protocol::wire::topic::Lane;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A directory of its own for a test, gone with it.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cotside-durable-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// 2026-11-01 and so many seconds.
pub(crate) fn at(second: u64) -> Now {
    let begin = Now { mono: Mono(1_000_000_000), wall: Wall(1_793_491_200_000_000) };
    begin.after(Duration::from_secs(second))
}

pub(crate) fn settings(place: &Place) -> Settings {
    Settings { directory: place.path().into(), provenance: Provenance::Simulated, ..Settings::default() }
}

pub(crate) fn alarm(now: Now) -> Draft {
    let json = r#"{"type":"stopped","clean":true}"#.to_owned();
    draft(now, Lane::Alarm, Body::Record(json))
}

pub(crate) fn numerics(now: Now, value: i64) -> Draft {
    let samples = (0..40).map(|n| Sample {
        channel: channel(n),
        ucum: "/min".into(),
        pace: Pace::Continuous,
        value: Some(Decimal::new(value + i64::from(n), 0)),
        quality: Quality::GOOD,
        at_us: 0,
        lag_ms: 0,
    });
    draft(now, Lane::Numeric, Body::Numerics(samples.collect()))
}

pub(crate) fn waveforms(now: Now, seed: i32) -> Draft {
    let samples = (0..800i32).map(|n| ((n * 37 + seed * 11) % 97) + (n % 50) * 20).collect();
    let stretch = Stretch {
        channel: channel(1),
        ucum: "uV".into(),
        at_us: 0,
        period_us: 1250,
        gain: 0.5,
        offset: 0.0,
        quality: Quality::GOOD,
        samples,
    };
    draft(now, Lane::Waveform, Body::Waveforms(vec![stretch]))
}

fn channel(n: u8) -> Channel {
    Channel { link: 0, code: Code(147_842 + u32::from(n)), site: Site::default(), setting: false }
}

fn draft(begin: Now, lane: Lane, body: Body) -> Draft {
    Draft { lane, provenance: Provenance::Simulated, begin, span_us: 1_000_000, body }
}

/// One second of a bed.
pub(crate) fn second(now: Now, n: u64) -> Vec<Draft> {
    vec![numerics(now, 100 + (n % 50) as i64), waveforms(now, n as i32)]
}

/// Appends and returns the rows; what else was told is dropped.
pub(crate) fn append(store: &mut Store, now: Now, drafts: &[Draft]) -> Vec<Row> {
    let mut told = Vec::new();
    store.append(now, drafts, &mut told);
    told.into_iter()
        .flat_map(|told| if let FromStore::Stored(rows) = told { rows } else { Vec::new() })
        .collect()
}
