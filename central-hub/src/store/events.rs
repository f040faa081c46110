//! What did the hub itself notice about its agents?

use cotside_protocol::model::Wall;
use rusqlite::{Connection, params};
use std::borrow::Cow;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: Wall,
    pub agent: Option<String>,
    /// Stable word: `second-connection`, `identity-conflict`, `provenance-refused`, `enrolled`, `revoked` ...
    pub what: Cow<'static, str>,
    pub detail: String,
}

pub fn append(connection: &Connection, event: &Event) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO events(at_us, agent, what, detail) VALUES(?1, ?2, ?3, ?4)")?
        .execute(params![event.at.0, event.agent, event.what, event.detail])?;
    Ok(())
}

/// The newest first.
pub fn newest(connection: &Connection, count: u32) -> rusqlite::Result<Vec<Event>> {
    connection
        .prepare_cached("SELECT at_us, agent, what, detail FROM events ORDER BY id DESC LIMIT ?1")?
        .query_map([count], |row| {
            let what: String = row.get(2)?;
            Ok(Event { at: Wall(row.get(0)?), agent: row.get(1)?, what: what.into(), detail: row.get(3)? })
        })?
        .collect()
}
