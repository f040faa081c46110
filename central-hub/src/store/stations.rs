//! Which pages are stations, which ask to be, and which beds do they cover?

use crate::alarms::Beds;
use cotside_protocol::model::Wall;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::time::Duration;

/// How long a code is good.
pub const CODE_FOR: Duration = Duration::from_secs(10 * 60);
/// Pages that ask at once: the one that has waited longest makes room.
const WAITING_MAX: u32 = 32;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub id: String,
    pub label: String,
    pub name: String,
    pub beds: Beds,
    pub key: Vec<u8>,
    pub approved: Wall,
    pub seen: Option<Wall>,
}

/// A page that asks; its code is for the person who stands before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub id: String,
    pub label: String,
    pub asked: Wall,
}

/// False: that code is taken.
pub fn ask(
    connection: &Connection,
    [id, label, code]: [&str; 3],
    key: &[u8],
    now: Wall,
) -> rusqlite::Result<bool> {
    connection
        .execute("DELETE FROM stations WHERE code IS NOT NULL AND asked_us <= ?1", [(now - CODE_FOR).0])?;
    connection.execute(
        "DELETE FROM stations WHERE id IN (SELECT id FROM stations WHERE code IS NOT NULL ORDER BY asked_us DESC LIMIT -1 OFFSET ?1)",
        [WAITING_MAX - 1],
    )?;
    let made = connection.execute(
        "INSERT INTO stations(id, label, key, code, asked_us) VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        params![id, label, key, code, now.0],
    )?;
    Ok(made == 1)
}

/// Some(true): it is a station; Some(false): it waits; None: neither.
pub fn state(connection: &Connection, id: &str, now: Wall) -> rusqlite::Result<Option<bool>> {
    connection
        .prepare_cached(
            "SELECT approved_us IS NOT NULL FROM stations
             WHERE id = ?1 AND revoked_us IS NULL AND (approved_us IS NOT NULL OR asked_us > ?2)",
        )?
        .query_row(params![id, (now - CODE_FOR).0], |row| row.get(0))
        .optional()
}

/// The station that this code made, if any page shows it.
pub fn approve(
    connection: &Connection,
    code: &str,
    name: &str,
    beds: &Beds,
    now: Wall,
) -> rusqlite::Result<Option<String>> {
    let beds = match beds {
        Beds::All => None,
        Beds::Some(beds) => Some(beds.iter().map(String::as_str).collect::<Vec<_>>().join(",")),
    };
    connection
        .query_row(
            "UPDATE stations SET code = NULL, name = ?2, beds = ?3, approved_us = ?4
             WHERE code = ?1 AND asked_us > ?5 RETURNING id",
            params![code, name, beds, now.0, (now - CODE_FOR).0],
            |row| row.get(0),
        )
        .optional()
}

pub fn approved(connection: &Connection) -> rusqlite::Result<Vec<Kept>> {
    connection
        .prepare_cached(
            "SELECT id, label, name, beds, key, approved_us, seen_us FROM stations
             WHERE approved_us IS NOT NULL AND revoked_us IS NULL ORDER BY name, id",
        )?
        .query_map([], kept)?
        .collect()
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let beds: Option<String> = row.get(3)?;
    Ok(Kept {
        id: row.get(0)?,
        label: row.get(1)?,
        name: row.get(2)?,
        beds: beds.map_or(Beds::All, |beds| Beds::Some(beds.split(',').map(str::to_owned).collect())),
        key: row.get(4)?,
        approved: Wall(row.get(5)?),
        seen: row.get::<_, Option<i64>>(6)?.map(Wall),
    })
}

pub fn waiting(connection: &Connection, now: Wall) -> rusqlite::Result<Vec<Waiting>> {
    connection
        .prepare_cached(
            "SELECT id, label, asked_us FROM stations WHERE code IS NOT NULL AND asked_us > ?1 ORDER BY asked_us",
        )?
        .query_map([(now - CODE_FOR).0], |row| {
            Ok(Waiting { id: row.get(0)?, label: row.get(1)?, asked: Wall(row.get(2)?) })
        })?
        .collect()
}

pub fn seen(connection: &Connection, id: &str, now: Wall) -> rusqlite::Result<()> {
    connection.execute("UPDATE stations SET seen_us = ?2 WHERE id = ?1", params![id, now.0])?;
    Ok(())
}

/// True if it was one, or waited to be.
pub fn revoke(connection: &Connection, id: &str, now: Wall) -> rusqlite::Result<bool> {
    let sql = "UPDATE stations SET revoked_us = ?2, code = NULL WHERE id = ?1 AND revoked_us IS NULL";
    Ok(connection.execute(sql, params![id, now.0])? == 1)
}
