//! What does the hub know of an alarm beyond what its agent records, and what was its whole life?

use crate::alarms::Entry;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// What the log is made to hold: years of a unit that alarms a thousand times a day. Beyond it goes on, as long as the disk does.
pub const ENTRIES: u64 = 5_000_000;

pub fn append(connection: &Connection, entries: &[Entry]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO alarm_log(at_us, bed, episode, version, what, who, station, detail)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for Entry { at, bed, episode, version, what, by, station, detail } in entries {
        insert.execute(params![at.0, bed, episode, version, what, by, station, detail])?;
    }
    Ok(())
}

/// How many entries there are: rows are never taken out.
pub fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let newest = "SELECT coalesce(max(id), 0) FROM alarm_log";
    connection.prepare_cached(newest)?.query_row([], |row| Ok(row.get::<_, i64>(0)?.unsigned_abs()))
}

pub fn full_percent(connection: &Connection) -> rusqlite::Result<u64> {
    Ok(used(connection)?.saturating_mul(100) / ENTRIES)
}

/// Which alarms are asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub bed: Option<String>,
    /// Some(true): open ones.
    pub open: Option<bool>,
    pub priority: Option<String>,
    /// Of the onset, agent wall time, [from, to).
    pub from_us: i64,
    pub to_us: i64,
    /// Rows of the record before this one.
    pub before: i64,
    pub count: usize,
}

/// One alarm: the newest row of it, as its agent wrote it, and its life.
#[derive(Debug)]
pub struct Told {
    /// Place in the record: what follows is before it.
    pub id: i64,
    pub bed: Option<String>,
    /// As its agent wrote it, each version in order.
    pub rows: Vec<(i64, String)>,
    pub entries: Vec<Line>,
}

#[derive(Debug)]
pub struct Line {
    pub at_us: i64,
    pub version: u32,
    pub what: String,
    pub who: Option<String>,
    pub station: Option<String>,
    pub detail: String,
}

/// The newest first, by their beginning in the record.
pub fn told(connection: &Connection, wanted: &Wanted) -> rusqlite::Result<Vec<Told>> {
    // The first row of an episode stands for it; its newest decides what it is.
    let mut question = connection.prepare_cached(
        "SELECT first.id, first.bed, first.episode FROM records AS first
         WHERE first.type = 'alarm' AND first.id < ?1 AND first.at_us >= ?2 AND first.at_us < ?3
           AND (?4 IS NULL OR first.bed = ?4)
           AND first.id = (SELECT min(id) FROM records AS same
                           WHERE same.episode = first.episode AND same.bed IS first.bed)
           AND (?5 IS NULL OR ?5 = (SELECT json_extract(json, '$.condition') <> 'inactive' FROM records AS last
                WHERE last.episode = first.episode AND last.bed IS first.bed AND last.type = 'alarm' ORDER BY id DESC LIMIT 1))
           AND (?6 IS NULL OR ?6 = (SELECT json_extract(json, '$.priority') FROM records AS last
                WHERE last.episode = first.episode AND last.bed IS first.bed AND last.type = 'alarm' ORDER BY id DESC LIMIT 1))
         ORDER BY first.id DESC LIMIT ?7",
    )?;
    let count = i64::try_from(wanted.count).unwrap_or(i64::MAX);
    let found = question.query_map(
        params![wanted.before, wanted.from_us, wanted.to_us, wanted.bed, wanted.open, wanted.priority, count],
        |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?)),
    )?;
    let mut rows = connection.prepare_cached(
        "SELECT at_us, json FROM records WHERE episode = ?1 AND bed IS ?2 AND type = 'alarm' ORDER BY id LIMIT 256",
    )?;
    let mut lines = connection.prepare_cached(
        "SELECT at_us, version, what, who, station, detail FROM alarm_log WHERE episode = ?1 AND bed = ?2 ORDER BY id LIMIT 256",
    )?;
    let mut told = BTreeMap::new();
    for found in found {
        let (id, bed, episode): (i64, Option<String>, String) = found?;
        let rows = rows.query_map(params![episode, bed], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let entries = lines.query_map(params![episode, bed], |row| {
            Ok(Line {
                at_us: row.get(0)?,
                version: row.get(1)?,
                what: row.get(2)?,
                who: row.get(3)?,
                station: row.get(4)?,
                detail: row.get(5)?,
            })
        })?;
        let alarm = Told {
            id,
            bed,
            rows: rows.collect::<Result<_, _>>()?,
            entries: entries.collect::<Result<_, _>>()?,
        };
        told.insert(std::cmp::Reverse(id), alarm);
    }
    Ok(told.into_values().collect())
}
