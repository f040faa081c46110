//! What follows from the blocks, and how far they have been followed. [`crate::ledger`] says what the columns mean.

use crate::ledger::{Hour, Outbox, Runs, Seconds};
use cotside_protocol::model::{Code, Site, Wall};
use cotside_protocol::wire::block::{Channel, Epoch};
use cotside_protocol::wire::topic::Lane;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A block as it stands in the store.
#[derive(Clone, Debug)]
pub struct Stored {
    pub id: i64,
    pub source: i64,
    pub seq: u64,
    pub bytes: Vec<u8>,
}

/// Whose block it is.
#[derive(Clone, Debug)]
pub struct Origin {
    pub agent: Arc<str>,
    pub epoch: Epoch,
    pub lane: Lane,
}

/// A stretch known to be missing, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapRow {
    pub lane: Lane,
    pub link: Option<u8>,
    pub from: Wall,
    pub to: Wall,
    pub cause: String,
    pub count: Option<u64>,
    pub source: i64,
    pub seq: u64,
}

/// Names the minutes of one hour of one channel. The hour counts from 1970.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HourKey {
    pub hour: i64,
    pub channel: Channel,
    pub ucum: String,
}

pub fn upto(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT upto FROM follower")?.query_row([], |row| row.get(0))
}

/// How many blocks have arrived and are not yet followed.
pub fn behind(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row(
        "SELECT coalesce((SELECT max(id) FROM blocks), 0) - (SELECT upto FROM follower)",
        [],
        |row| row.get(0),
    )
}

/// False: somebody else has moved it.
pub fn advance(connection: &Connection, from: i64, to: i64) -> rusqlite::Result<bool> {
    Ok(connection.prepare_cached("UPDATE follower SET upto = ?2 WHERE upto = ?1")?.execute([from, to])? == 1)
}

/// Forgets everything that follows from the blocks: following begins anew.
pub fn forget(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "DELETE FROM key_frames; DELETE FROM follower_waiting; DELETE FROM runs; DELETE FROM gaps;
         DELETE FROM heard; DELETE FROM hours; DELETE FROM links; DELETE FROM outboxes; UPDATE follower SET upto = 0;",
    )
}

/// The blocks that arrived after `upto`, in order of arrival, until one of the bounds is reached.
pub fn blocks_after(
    connection: &Connection,
    upto: i64,
    count_max: usize,
    bytes_max: usize,
) -> rusqlite::Result<Vec<Stored>> {
    let mut question =
        connection.prepare_cached("SELECT id, source, seq, bytes FROM blocks WHERE id > ?1 ORDER BY id")?;
    let mut rows = question.query([upto])?;
    let (mut blocks, mut size) = (Vec::new(), 0);
    while blocks.len() < count_max
        && size < bytes_max
        && let Some(row) = rows.next()?
    {
        let block = stored(row)?;
        size += block.bytes.len();
        blocks.push(block);
    }
    Ok(blocks)
}

pub fn block(connection: &Connection, id: i64) -> rusqlite::Result<Option<Stored>> {
    connection
        .prepare_cached("SELECT id, source, seq, bytes FROM blocks WHERE id = ?1")?
        .query_row([id], stored)
        .optional()
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        id: row.get(0)?,
        source: row.get(1)?,
        seq: row.get::<_, i64>(2)?.cast_unsigned(),
        bytes: row.get(3)?,
    })
}

pub fn origin(connection: &Connection, source: i64) -> rusqlite::Result<Origin> {
    connection.prepare_cached("SELECT agent, epoch, lane FROM sources WHERE id = ?1")?.query_row(
        [source],
        |row| {
            let agent: String = row.get(0)?;
            Ok(Origin {
                agent: agent.into(),
                epoch: Epoch(row.get::<_, i64>(1)?.cast_unsigned()),
                lane: lane(row.get(2)?),
            })
        },
    )
}

pub fn key_frame(connection: &Connection, source: i64, seq: u64) -> rusqlite::Result<Option<Stored>> {
    let id = connection
        .prepare_cached("SELECT block FROM key_frames WHERE source = ?1 AND seq = ?2")?
        .query_row(params![source, seq.cast_signed()], |row| row.get(0))
        .optional()?;
    id.map_or(Ok(None), |id| block(connection, id))
}

pub fn put_key_frame(connection: &Connection, source: i64, seq: u64, block: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT OR REPLACE INTO key_frames VALUES(?1, ?2, ?3)")?.execute(params![
        source,
        seq.cast_signed(),
        block
    ])?;
    Ok(())
}

/// Blocks that wait for a key frame of `[first, end)`.
pub fn waiting(connection: &Connection, source: i64, first: u64, end: u64) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare_cached("SELECT block FROM follower_waiting WHERE source = ?1 AND key >= ?2 AND key < ?3")?
        .query_map(params![source, first.cast_signed(), end.cast_signed()], |row| row.get(0))?
        .collect()
}

pub fn put_waiting(connection: &Connection, source: i64, key: u64, block: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO follower_waiting VALUES(?1, ?2, ?3)")?
        .execute(params![source, key.cast_signed(), block])?;
    Ok(())
}

pub fn end_waiting(connection: &Connection, source: i64, first: u64, end: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM follower_waiting WHERE source = ?1 AND key >= ?2 AND key < ?3")?
        .execute(params![source, first.cast_signed(), end.cast_signed()])?;
    Ok(())
}

/// How many blocks of an agent wait for a key frame.
pub fn count_waiting(connection: &Connection, agent: &str) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT count(*) FROM follower_waiting WHERE source IN (SELECT id FROM sources WHERE agent = ?1)",
        )?
        .query_row([agent], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))
}

pub fn runs(connection: &Connection, source: i64) -> rusqlite::Result<Runs> {
    let mut question = connection
        .prepare_cached("SELECT first, end, from_us, to_us FROM runs WHERE source = ?1 ORDER BY first")?;
    let mut runs = Runs::default();
    let mut rows = question.query([source])?;
    while let Some(row) = rows.next()? {
        let seq = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        runs.insert(seq(0)?, seq(1)?, Wall(row.get(2)?), Wall(row.get(3)?));
    }
    Ok(runs)
}

pub fn put_runs(connection: &Connection, source: i64, runs: &Runs) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM runs WHERE source = ?1")?.execute([source])?;
    let mut insert = connection.prepare_cached("INSERT INTO runs VALUES(?1, ?2, ?3, ?4, ?5)")?;
    for run in runs.iter() {
        insert.execute(params![
            source,
            run.first.cast_signed(),
            run.end.cast_signed(),
            run.from.0,
            run.to.0
        ])?;
    }
    Ok(())
}

/// The time that the unbroken runs of an agent's lane span, run by run.
pub fn spans(connection: &Connection, agent: &str, of: Lane) -> rusqlite::Result<Vec<(Wall, Wall)>> {
    connection
        .prepare_cached(
            "SELECT from_us, to_us FROM runs WHERE source IN (SELECT id FROM sources WHERE agent = ?1 AND lane = ?2)
             ORDER BY from_us",
        )?
        .query_map(params![agent, number(of)], |row| Ok((Wall(row.get(0)?), Wall(row.get(1)?))))?
        .collect()
}

/// Every gap of an agent that reaches into `[from, to)`, the earliest end first.
pub fn gaps(connection: &Connection, agent: &str, from: Wall, to: Wall) -> rusqlite::Result<Vec<GapRow>> {
    let mut found = Vec::new();
    for of in Lane::ALL {
        let mut question = connection.prepare_cached(
            "SELECT lane, link, from_us, to_us, cause, count, source, seq FROM gaps
             WHERE agent = ?1 AND lane = ?2 AND to_us > ?3 AND from_us < ?4",
        )?;
        let rows = question.query_map(params![agent, number(of), from.0, to.0], |row| {
            Ok(GapRow {
                lane: lane(row.get(0)?),
                link: row.get(1)?,
                from: Wall(row.get(2)?),
                to: Wall(row.get(3)?),
                cause: row.get(4)?,
                count: row.get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
                source: row.get(6)?,
                seq: row.get::<_, i64>(7)?.cast_unsigned(),
            })
        })?;
        for row in rows {
            found.push(row?);
        }
    }
    Ok(found)
}

pub fn put_gap(connection: &Connection, agent: &str, gap: &GapRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO gaps(agent, lane, to_us, from_us, source, seq, link, cause, count)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            agent,
            number(gap.lane),
            gap.to.0,
            gap.from.0,
            gap.source,
            gap.seq.cast_signed(),
            gap.link,
            gap.cause,
            gap.count.map(u64::cast_signed),
        ])?;
    Ok(())
}

/// What was heard on one day, by lane and link.
pub fn heard(
    connection: &Connection,
    agent: &str,
    day: i64,
) -> rusqlite::Result<BTreeMap<(Lane, u8), Seconds>> {
    connection
        .prepare_cached("SELECT lane, link, seconds FROM heard WHERE agent = ?1 AND day = ?2")?
        .query_map(params![agent, day], |row| {
            let seconds = read_seconds(day, row.get_ref(2)?.as_blob()?);
            Ok(((lane(row.get(0)?), row.get(1)?), seconds))
        })?
        .collect()
}

pub fn heard_of(
    connection: &Connection,
    agent: &str,
    day: i64,
    of: Lane,
    link: u8,
) -> rusqlite::Result<Seconds> {
    let seconds = connection
        .prepare_cached(
            "SELECT seconds FROM heard WHERE agent = ?1 AND day = ?2 AND lane = ?3 AND link = ?4",
        )?
        .query_row(params![agent, day, number(of), link], |row| {
            Ok(read_seconds(day, row.get_ref(0)?.as_blob()?))
        })
        .optional()?;
    Ok(seconds.unwrap_or_default())
}

fn read_seconds(day: i64, blob: &[u8]) -> Seconds {
    // Of another version is as if not followed yet: `forget` makes it again.
    Seconds::from_bytes(day * 86_400, blob).unwrap_or_default()
}

pub fn put_heard(
    connection: &Connection,
    agent: &str,
    day: i64,
    (of, link): (Lane, u8),
    seconds: &Seconds,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO heard VALUES(?1, ?2, ?3, ?4, ?5)")?
        .execute(params![agent, day, number(of), link, seconds.to_bytes(day * 86_400)])?;
    Ok(())
}

pub fn hour(connection: &Connection, agent: &str, key: &HourKey) -> rusqlite::Result<Hour> {
    let Channel { link, code, site, setting } = key.channel;
    let hour = connection
        .prepare_cached(
            "SELECT minutes FROM hours WHERE agent = ?1 AND hour = ?2 AND code = ?3 AND site = ?4 AND link = ?5
             AND setting = ?6 AND ucum = ?7",
        )?
        .query_row(params![agent, key.hour, code.0, site_number(site), link, setting, key.ucum], |row| {
            Ok(Hour::from_bytes(row.get_ref(0)?.as_blob()?))
        })
        .optional()?;
    Ok(hour.flatten().unwrap_or_default())
}

/// Every channel of one parameter in one hour.
pub fn hours(
    connection: &Connection,
    agent: &str,
    hour: i64,
    code: Code,
) -> rusqlite::Result<Vec<(HourKey, Hour)>> {
    connection
        .prepare_cached(
            "SELECT site, link, setting, ucum, minutes FROM hours WHERE agent = ?1 AND hour = ?2 AND code = ?3",
        )?
        .query_map(params![agent, hour, code.0], |row| {
            let channel =
                Channel { link: row.get(1)?, code, site: site(row.get(0)?), setting: row.get(2)? };
            let minutes = Hour::from_bytes(row.get_ref(4)?.as_blob()?).unwrap_or_default();
            Ok((HourKey { hour, channel, ucum: row.get(3)? }, minutes))
        })?
        .collect()
}

pub fn put_hour(connection: &Connection, agent: &str, key: &HourKey, hour: &Hour) -> rusqlite::Result<()> {
    let Channel { link, code, site, setting } = key.channel;
    connection
        .prepare_cached("INSERT OR REPLACE INTO hours VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            agent,
            key.hour,
            code.0,
            site_number(site),
            link,
            setting,
            key.ucum,
            hour.to_bytes()
        ])?;
    Ok(())
}

/// What an agent's links were called last.
pub fn links(connection: &Connection, agent: &str) -> rusqlite::Result<BTreeMap<u8, String>> {
    connection
        .prepare_cached("SELECT link, name FROM links WHERE agent = ?1")?
        .query_map([agent], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Keeps the name that was given last by the agent's own clock.
pub fn put_link(
    connection: &Connection,
    agent: &str,
    link: u8,
    name: &str,
    at: (Wall, u64),
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO links VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(agent, link) DO UPDATE
             SET name = excluded.name, at_us = excluded.at_us, seq = excluded.seq
             WHERE (excluded.at_us, excluded.seq, excluded.name) > (at_us, seq, name)",
        )?
        .execute(params![agent, link, name, at.0.0, at.1.cast_signed()])?;
    Ok(())
}

pub fn outbox(connection: &Connection, agent: &str) -> rusqlite::Result<Option<Outbox>> {
    connection
        .prepare_cached("SELECT at_us, rows, oldest_us FROM outboxes WHERE agent = ?1")?
        .query_row([agent], |row| {
            Ok(Outbox {
                at: Wall(row.get(0)?),
                rows: row.get::<_, i64>(1)?.cast_unsigned(),
                oldest: Wall(row.get(2)?),
            })
        })
        .optional()
}

pub fn put_outbox(connection: &Connection, agent: &str, outbox: &Outbox) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT OR REPLACE INTO outboxes VALUES(?1, ?2, ?3, ?4)")?.execute(params![
        agent,
        outbox.at.0,
        outbox.rows.cast_signed(),
        outbox.oldest.0
    ])?;
    Ok(())
}

const fn number(lane: Lane) -> i64 {
    super::blocks::number(lane)
}

fn lane(number: i64) -> Lane {
    match number {
        0 => Lane::Alarm,
        1 => Lane::Numeric,
        _ => Lane::Waveform,
    }
}

const NUMBERED: i64 = 16;

fn site_number(site: Site) -> i64 {
    match site {
        Site::Unspecified => 0,
        Site::Preductal => 1,
        Site::Postductal => 2,
        Site::Numbered(number) => NUMBERED + i64::from(number),
    }
}

fn site(number: i64) -> Site {
    match number {
        1 => Site::Preductal,
        2 => Site::Postductal,
        _ => u8::try_from(number - NUMBERED).map_or(Site::Unspecified, Site::Numbered),
    }
}
