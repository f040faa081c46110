//! Trends of one bed: the minutes of some parameters, gathered into buckets. A bucket without a reading is absent, never made up.

use super::fold::HOUR_S;
use super::hour::{Minute, from_micro};
use crate::store::agents::{self, Assignment};
use crate::store::derived::{self, HourKey};
use cotside_protocol::model::{Code, Wall, parameter};
use cotside_protocol::wire::convert::site_name;
use rusqlite::Connection;
use serde::Serialize;
use std::collections::BTreeMap;

const MINUTE_US: i64 = 60_000_000;

#[derive(Clone, Debug)]
pub struct TrendRequest {
    pub bed: String,
    pub codes: Vec<Code>,
    pub from: Wall,
    pub to: Wall,
    /// Whole minutes.
    pub resolution_s: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trend {
    pub code: u32,
    pub label: &'static str,
    pub name: &'static str,
    pub site: Option<String>,
    pub device: Option<String>,
    pub ucum: String,
    pub setting: bool,
    pub points: Vec<Point>,
}

/// Begin of the bucket in ms, min, mean, max, count, coverage from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point(pub i64, pub f64, pub f64, pub f64, pub u32, pub f64);

/// A channel, whichever agent served the bed.
type Series = (Code, Option<String>, bool, u8, String);

/// In the order asked, then by site and device.
pub fn trends_of_bed(connection: &Connection, asked: &TrendRequest) -> rusqlite::Result<Vec<Trend>> {
    let mut buckets: BTreeMap<Series, BTreeMap<i64, Bucket>> = BTreeMap::new();
    let mut devices: BTreeMap<u8, String> = BTreeMap::new();
    for assignment in agents::assignments(connection, &asked.bed)? {
        let from = asked.from.max(assignment.from);
        let to = assignment.to.map_or(asked.to, |to| to.min(asked.to));
        if from >= to {
            continue;
        }
        devices.extend(derived::links(connection, &assignment.agent)?);
        let others = agents::assignments_elsewhere(connection, &assignment.agent, &asked.bed)?;
        let hour_us = HOUR_S * 1_000_000;
        for hour in from.0.div_euclid(hour_us)..=(to.0 - 1).div_euclid(hour_us) {
            for code in &asked.codes {
                for (HourKey { channel, ucum, .. }, minutes) in
                    derived::hours(connection, &assignment.agent, hour, *code)?
                {
                    let series = (*code, site_name(channel.site), channel.setting, channel.link, ucum);
                    let series = buckets.entry(series).or_default();
                    for (minute, values) in minutes.minutes() {
                        let at = Wall(hour * hour_us + i64::from(minute) * MINUTE_US);
                        // The whole minute belongs to this bed, or it belongs to none.
                        let is_elsewhere = |other: &Assignment| {
                            other.from.0 < at.0 + MINUTE_US && other.to.is_none_or(|to| to > at)
                        };
                        if at.0 + MINUTE_US <= from.0 || at >= to || others.iter().any(is_elsewhere) {
                            continue;
                        }
                        let begin_s = (at.0 / 1_000_000).div_euclid(asked.resolution_s) * asked.resolution_s;
                        series.entry(begin_s).or_insert(Bucket::EMPTY).add(values);
                    }
                }
            }
        }
    }
    // A setting is not a measurement: it is drawn only where it has a parameter to itself.
    let measured: Vec<Code> = buckets.keys().filter(|series| !series.2).map(|series| series.0).collect();
    buckets.retain(|series, _| !series.2 || !measured.contains(&series.0));
    buckets.retain(|_, points| !points.is_empty());
    let is_asked = |series: &Series| asked.codes.iter().position(|code| *code == series.0);
    let mut trends: Vec<(Option<usize>, Trend)> = buckets
        .iter()
        .map(|(series, points)| (is_asked(series), trend(series, points, &devices, asked.resolution_s)))
        .collect();
    trends.sort_by_key(|(position, _)| *position);
    Ok(trends.into_iter().map(|(_, trend)| trend).collect())
}

fn trend(
    (code, site, setting, link, ucum): &Series,
    points: &BTreeMap<i64, Bucket>,
    devices: &BTreeMap<u8, String>,
    resolution_s: i64,
) -> Trend {
    let row = parameter(*code);
    Trend {
        code: code.0,
        label: row.map_or("", |row| row.label),
        name: row.map_or("", |row| row.name),
        site: site.clone(),
        device: devices.get(link).cloned(),
        ucum: ucum.clone(),
        setting: *setting,
        points: points.iter().map(|(begin_s, bucket)| bucket.point(*begin_s, resolution_s)).collect(),
    }
}

struct Bucket {
    min: i64,
    max: i64,
    sum: i128,
    count: u32,
    seconds: u32,
}

impl Bucket {
    const EMPTY: Self = Self { min: i64::MAX, max: i64::MIN, sum: 0, count: 0, seconds: 0 };

    fn add(&mut self, minute: &Minute) {
        self.min = self.min.min(minute.min);
        self.max = self.max.max(minute.max);
        self.sum += i128::from(minute.sum);
        self.count = self.count.saturating_add(minute.count);
        self.seconds += minute.seconds.count_ones();
    }

    fn point(&self, begin_s: i64, resolution_s: i64) -> Point {
        let mean = self.sum as f64 / f64::from(self.count.max(1)) / 1e6;
        let coverage = f64::from(self.seconds) / resolution_s as f64;
        Point(
            begin_s * 1000,
            from_micro(self.min),
            (mean * 1e4).round() / 1e4,
            from_micro(self.max),
            self.count,
            (coverage * 1e3).round() / 1e3,
        )
    }
}
