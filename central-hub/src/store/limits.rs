//! Every set of limits that a bed was to have, who wanted it and why: appended, never changed. The newest of a bed is the one wanted.

use cotside_protocol::model::Wall;
use cotside_protocol::wire::downstream::Limits;
use rusqlite::{Connection, OptionalExtension, Row};

/// One version of one bed.
#[derive(Clone, Debug, PartialEq)]
pub struct Issue {
    pub bed: String,
    pub version: u64,
    /// The stay that it was made for.
    pub stay: String,
    pub at: Wall,
    /// Who, as people are named in the audit; `hub` for what followed from a profile or from time alone.
    pub author: String,
    pub reason: String,
    /// The postmenstrual age for which it was resolved.
    pub pma_days: i64,
    /// What was changed for this patient, as `limits/change.rs` writes it.
    pub changes: String,
    pub set: Limits,
}

const COLUMNS: &str = "bed, version, stay, at_us, author, reason, pma_days, changes, resolved";

/// Refused by the store where the version does not rise.
pub fn append(connection: &Connection, issue: &Issue) -> rusqlite::Result<()> {
    let set =
        serde_json::to_string(&issue.set).expect("a set has string keys and its Serialize does not fail");
    connection
        .prepare_cached(&format!("INSERT INTO limits({COLUMNS}) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"))?
        .execute((
            &issue.bed,
            issue.version as i64,
            &issue.stay,
            issue.at.0,
            &issue.author,
            &issue.reason,
            issue.pma_days,
            &issue.changes,
            set,
        ))?;
    Ok(())
}

pub fn newest(connection: &Connection, bed: &str) -> rusqlite::Result<Option<Issue>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM limits WHERE bed = ?1 ORDER BY version DESC LIMIT 1"
        ))?
        .query_row([bed], read)
        .optional()
}

/// The newest first.
pub fn history(connection: &Connection, bed: &str, most: usize) -> rusqlite::Result<Vec<Issue>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM limits WHERE bed = ?1 ORDER BY version DESC LIMIT ?2"
        ))?
        .query_map((bed, most as i64), read)?
        .collect()
}

/// Of every bed.
pub fn newest_of_all(connection: &Connection) -> rusqlite::Result<Vec<Issue>> {
    let question = format!(
        "SELECT {COLUMNS} FROM limits AS wanted
         WHERE version = (SELECT max(version) FROM limits WHERE bed = wanted.bed) ORDER BY bed"
    );
    connection.prepare(&question)?.query_map([], read)?.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Issue> {
    let set: String = row.get(8)?;
    Ok(Issue {
        bed: row.get(0)?,
        version: row.get::<_, i64>(1)? as u64,
        stay: row.get(2)?,
        at: Wall(row.get(3)?),
        author: row.get(4)?,
        reason: row.get(5)?,
        pma_days: row.get(6)?,
        changes: row.get(7)?,
        // Written by us.
        set: serde_json::from_str(&set).unwrap_or_default(),
    })
}
