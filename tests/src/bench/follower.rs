//! What the hub's account costs: following a bed-second beside the decoding of its blocks, and a day's trend out of what it wrote.

use super::{codec, quantile};
use crate::bench::usage::Usage;
use crate::figures::Figures;
use anyhow::{Context, Result};
use bytes::Bytes;
use cotside_central_hub::ledger::{Bounds, Hour, TrendRequest, next, trends_of_bed};
use cotside_central_hub::store::blocks::{self, Addition, Row, Source};
use cotside_central_hub::store::derived::{self, HourKey};
use cotside_central_hub::store::lives::{Life, meet};
use cotside_central_hub::store::{agents, open};
use cotside_protocol::model::{Code, Mono, Provenance, Site, Wall};
use cotside_protocol::wire::block::{Body, Channel, Decoder, Encoder, Epoch, Header};
use cotside_protocol::wire::topic::{AgentId, Lane};
use cotside_simulators::newborn::Newborn;
use cotside_systemd::clock::Clock;
use rusqlite::Connection;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

const BEDS: usize = 40;
/// As often as the hub looks.
const STEP_S: u64 = 10;
const STEPS: u64 = 18;
const TREND_BEDS: usize = 32;
const TREND_DAYS: i64 = 3;
const TRENDS: usize = 200;
const BEGIN: Wall = Wall(1_768_381_200_000_000);
const HOUR_S: i64 = 3600;

pub fn run(place: &Path, clock: &Clock, figures: &mut Figures) -> Result<()> {
    std::fs::create_dir_all(place)?;
    let store = open(&place.join("hub.db"), true)?;
    follow(&store, clock, figures)?;
    trend(&store, clock, figures)?;
    drop(store);
    std::fs::remove_dir_all(place)?;
    Ok(())
}

fn follow(store: &Connection, clock: &Clock, figures: &mut Figures) -> Result<()> {
    let origin = Mono(10_000_000);
    let mut baby = Newborn::new(11, origin, Vec::new());
    let mut encoder = Encoder::new();
    let mut sources: Vec<(AgentId, Vec<Source>)> = Vec::new();
    for bed in 0..BEDS {
        let agent = AgentId::new(&format!("gw-{bed:02}")).context("a name of letters and digits")?;
        let known = meet(store, &agent, &Life::new(Epoch(7), None), BEGIN)?.known;
        sources.push((agent, known.into_iter().map(|known| known.source).collect()));
    }
    let pid = std::process::id();
    let (mut followed_s, mut decoded_s) = (0.0, 0.0);
    let mut decoder = Decoder::new();
    for step in 0..STEPS {
        store.execute_batch("BEGIN")?;
        let mut all = Vec::new();
        for second in step * STEP_S..(step + 1) * STEP_S {
            baby.advance(origin + Duration::from_secs(second + 1));
            let mono = origin + Duration::from_secs(second);
            for (lane, body) in [
                (Lane::Numeric, Body::Numerics(codec::numerics(&baby, mono))),
                (Lane::Waveform, Body::Waveforms(codec::waveforms(&baby, mono))),
            ] {
                let header = Header {
                    lane,
                    epoch: Epoch(7),
                    seq: second,
                    provenance: Provenance::Live,
                    boot: 1,
                    mono,
                    wall: BEGIN + Duration::from_secs(second),
                    span_us: 1_000_000,
                };
                let mut bytes = Vec::new();
                encoder.encode(&header, &body, &mut bytes);
                let bytes = Bytes::from(bytes);
                for (agent, sources) in &sources {
                    let row = Row { seq: second, end: second + 1, begin: header.wall, bytes: bytes.clone() };
                    let addition = Addition {
                        source: sources[lane as usize],
                        agent: agent.clone(),
                        blocks: vec![row],
                        records: Vec::new(),
                        conflicts: Vec::new(),
                        at: header.wall,
                    };
                    blocks::append(store, &addition)?;
                }
                all.push(bytes);
            }
        }
        store.execute_batch("COMMIT")?;
        let before = Usage::of(pid, clock.now().mono)?;
        while let Some(step) = next(store, Bounds::STEP)? {
            store.execute_batch("BEGIN IMMEDIATE")?;
            step.write(store)?;
            store.execute_batch("COMMIT")?;
        }
        let between = Usage::of(pid, clock.now().mono)?;
        for _ in 0..BEDS {
            for bytes in &all {
                let _ = black_box(decoder.decode(bytes));
            }
        }
        followed_s += between.spent_since(&before).cpu_s;
        decoded_s += Usage::of(pid, clock.now().mono)?.spent_since(&between).cpu_s;
    }
    let bed_seconds = (BEDS as u64 * STEPS * STEP_S) as f64;
    let us = |cpu_s: f64| cpu_s * 1e6 / bed_seconds;
    figures.beside(
        "hub-follower-bed-second",
        us(followed_s),
        "us",
        "decoding the same blocks",
        us(decoded_s),
    );
    Ok(())
}

/// The middle of a store of some days of a unit: three parameters over 24 h, in minutes.
fn trend(store: &Connection, clock: &Clock, figures: &mut Figures) -> Result<()> {
    let first = BEGIN.0 / 1_000_000 / HOUR_S;
    let mut hour = Hour::default();
    for second in 0..3600u16 {
        hour.add(second, 140_000_000 + i64::from(second % 7) * 1_000_000);
    }
    store.execute_batch("BEGIN")?;
    for bed in 0..TREND_BEDS {
        let agent = AgentId::new(&format!("tr-{bed:02}")).context("a name of letters and digits")?;
        let invitation = agents::Invitation { agent, bed: format!("{bed:02}") };
        let hash = [u8::try_from(bed)?; 32];
        agents::invite(store, &hash, &invitation, BEGIN, Duration::from_secs(60))?;
        let redeemed = agents::redeem(store, &hash, BEGIN)?;
        anyhow::ensure!(redeemed.is_ok(), "an invitation that was just made");
    }
    for number in 0..TREND_DAYS * 24 {
        for bed in 0..TREND_BEDS {
            for code in 0..40u32 {
                let code = Code(147_842 + code);
                let channel = Channel { link: 0, code, site: Site::Unspecified, setting: false };
                let key = HourKey { hour: first + number, channel, ucum: "%".into() };
                derived::put_hour(store, &format!("tr-{bed:02}"), &key, &hour)?;
            }
        }
    }
    store.execute_batch("COMMIT")?;
    let mut times = Vec::with_capacity(TRENDS);
    for turn in 0..TRENDS {
        let from = BEGIN + Duration::from_secs(3600 * (turn as u64 % 40));
        let request = TrendRequest {
            bed: format!("{:02}", turn % TREND_BEDS),
            codes: vec![Code(147_842), Code(147_850), Code(147_860)],
            from,
            to: from + Duration::from_secs(86_400),
            resolution_s: 60,
        };
        let began = clock.now().mono;
        let found = trends_of_bed(store, &request)?;
        times.push(clock.now().mono.since(began).as_secs_f64() * 1000.0);
        anyhow::ensure!(found.len() == 3 && found[0].points.len() >= 1440, "a day has 1440 minutes");
    }
    figures.alone(
        "trend-24h-p95",
        quantile(&mut times, 0.95),
        "ms",
        "3 parameters, 3 days of 32 beds; budget 100",
    );
    Ok(())
}
