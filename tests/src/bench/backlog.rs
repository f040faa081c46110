//! A backlog to measure with: the log that an agent would have written in so many hours without its hub, made by the agent's own store.

use super::codec::{numerics, waveforms};
use anyhow::{Context, Result, ensure};
use cotside_edge_agent::row::{Draft, FromStore, Log};
use cotside_edge_agent::store::{Settings, Store};
use cotside_protocol::model::{Mono, Now, Provenance, Wall};
use cotside_protocol::wire::block::Body;
use cotside_protocol::wire::topic::Lane;
use cotside_simulators::newborn::Newborn;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Seconds of signal that are made; a longer backlog says them again.
const SIGNAL: u64 = 300;
/// Seconds committed together: the store is what is filled, not what is measured.
const TOGETHER: u64 = 300;
const SECOND: Duration = Duration::from_secs(1);
const START: Mono = Mono(10_000_000);
const LOG: &str = "log.db";
const LABEL: &str = "log.label";
/// Below an agent's place in a unit.
const STATE: &str = "state";

/// A few minutes of the standard bed: 5 waveforms with 812 samples a second, 40 numerics.
pub struct Signal(Vec<(Body, Body)>);

impl Signal {
    pub fn new(seconds: u64) -> Self {
        let mut baby = Newborn::new(11, START, Vec::new());
        let second = |second: u64| {
            let begin = START + Duration::from_secs(second);
            baby.advance(begin + SECOND);
            (Body::Numerics(numerics(&baby, begin)), Body::Waveforms(waveforms(&baby, begin)))
        };
        Self((0..seconds).map(second).collect())
    }

    /// What a bed drafts in its n-th second.
    pub fn second(&self, n: u64, begin: Now) -> [Draft; 2] {
        let (numerics, waveforms) = &self.0[(n % self.0.len() as u64) as usize];
        [(Lane::Numeric, numerics), (Lane::Waveform, waveforms)].map(|(lane, body)| Draft {
            lane,
            provenance: Provenance::Simulated,
            begin,
            span_us: 1_000_000,
            body: body.clone(),
        })
    }
}

/// A log in a folder, closed, ready to be copied to as many beds as wanted.
pub struct Backlog {
    dir: PathBuf,
    pub log: Log,
    pub seconds: u64,
    pub rows: u64,
    pub bytes: u64,
}

impl Backlog {
    /// Everything of the last `seconds` before `now`.
    pub fn make(dir: &Path, seconds: u64, now: Now, cap_bytes: u64) -> Result<Self> {
        let signal = Signal::new(SIGNAL.min(seconds.max(1)));
        let at = |second: u64| {
            let ago = Duration::from_secs(seconds - second);
            Now { mono: START + Duration::from_secs(second), wall: Wall(now.wall.0 - ago.as_micros() as i64) }
        };
        let settings = Settings {
            directory: dir.to_owned(),
            cap_bytes,
            provenance: Provenance::Simulated,
            ..Settings::default()
        };
        let mut store = Store::open(settings, at(0));
        let (mut told, mut rows, mut bytes) = (Vec::new(), 0, 0);
        for begin in (0..seconds).step_by(TOGETHER as usize) {
            let end = (begin + TOGETHER).min(seconds);
            let drafts: Vec<Draft> = (begin..end).flat_map(|n| signal.second(n, at(n))).collect();
            store.append(at(end), &drafts, &mut told);
            for told in told.drain(..) {
                if let FromStore::Stored(stored) = told {
                    rows += stored.len() as u64;
                    bytes += stored.iter().map(|row| row.bytes.len() as u64).sum::<u64>();
                }
            }
        }
        ensure!(!store.is_in_memory(), "the backlog was not written to {}", dir.display());
        let log = store.log();
        store.close(at(seconds));
        Ok(Self { dir: dir.to_owned(), log, seconds, rows, bytes })
    }

    /// A gateway that has never run.
    pub fn remove_from(place: &Path) {
        let state = place.join(STATE);
        for name in [LOG, "log.db-wal", "log.db-shm", LABEL] {
            let _ = std::fs::remove_file(state.join(name));
        }
    }

    /// Puts the log where the stopped agent of this place will find it as its own.
    pub fn copy_to(&self, place: &Path) -> Result<()> {
        Self::remove_from(place);
        let state = place.join(STATE);
        for name in [LOG, LABEL] {
            std::fs::copy(self.dir.join(name), state.join(name))
                .with_context(|| format!("cannot copy {name} to {}", state.display()))?;
        }
        Ok(())
    }

    /// As many of its rows as fit in `bytes`, as they lie on disk.
    pub fn sample(&self, bytes: usize) -> Result<Vec<Vec<u8>>> {
        let db = rusqlite::Connection::open(self.dir.join(LOG))?;
        let mut query = db.prepare(
            "SELECT bytes FROM (SELECT until, bytes FROM numeric UNION ALL SELECT until, bytes FROM waveform) ORDER BY until",
        )?;
        let (mut rows, mut size) = (Vec::new(), 0);
        let mut found = query.query([])?;
        while let Some(row) = found.next()? {
            let bytes_of_row: Vec<u8> = row.get(0)?;
            size += bytes_of_row.len();
            if size > bytes {
                break;
            }
            rows.push(bytes_of_row);
        }
        Ok(rows)
    }
}
