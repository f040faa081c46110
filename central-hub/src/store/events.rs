//! What did the hub itself notice about its agents?

use cotside_protocol::model::Wall;
use rusqlite::{Connection, params};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: Wall,
    pub agent: Option<String>,
    /// Stable word: `second-connection`, `identity-conflict`, `provenance-refused`, `enrolled`, `revoked` ...
    pub what: &'static str,
    pub detail: String,
}

pub fn append(connection: &Connection, event: &Event) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO events(at_us, agent, what, detail) VALUES(?1, ?2, ?3, ?4)")?
        .execute(params![event.at.0, event.agent, event.what, event.detail])?;
    Ok(())
}

/// The newest events first: when, about which agent, what, in words.
pub fn newest(
    connection: &Connection,
    count: u32,
) -> rusqlite::Result<Vec<(Wall, Option<String>, String, String)>> {
    connection
        .prepare_cached("SELECT at_us, agent, what, detail FROM events ORDER BY id DESC LIMIT ?1")?
        .query_map([count], |row| Ok((Wall(row.get(0)?), row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect()
}
