//! What about an agent waits for a person? An alarm at its bed until somebody says that it is settled.

use super::events::{self, Event};
use cotside_protocol::model::Wall;
use cotside_protocol::wire::topic::AgentId;
use rusqlite::{Connection, params};

/// What of the events does not pass by itself.
const LASTING: [&str; 2] = ["identity-conflict", "store-set-back"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub agent: String,
    /// The word of its event.
    pub what: String,
    pub since: Wall,
    pub detail: String,
}

/// Writes an event, and a mark on its agent if it is of a kind that lasts.
pub fn note(connection: &Connection, event: &Event) -> rusqlite::Result<()> {
    if let Some(agent) = &event.agent
        && LASTING.contains(&event.what.as_ref())
    {
        connection
            .prepare_cached("INSERT INTO marks VALUES(?1, ?2, ?3, ?4) ON CONFLICT(agent, what) DO NOTHING")?
            .execute(params![agent, event.what, event.at.0, event.detail])?;
    }
    events::append(connection, event)
}

pub fn all(connection: &Connection) -> rusqlite::Result<Vec<Mark>> {
    connection
        .prepare_cached("SELECT agent, what, since_us, detail FROM marks ORDER BY agent, what")?
        .query_map([], |row| {
            Ok(Mark { agent: row.get(0)?, what: row.get(1)?, since: Wall(row.get(2)?), detail: row.get(3)? })
        })?
        .collect()
}

/// A person has looked into it, and says what was found. How many marks that ended.
pub fn settle(connection: &Connection, agent: &AgentId, found: &str, now: Wall) -> rusqlite::Result<usize> {
    let ended = connection.execute("DELETE FROM marks WHERE agent = ?1", [agent.as_str()])?;
    if ended > 0 {
        let event = Event {
            at: now,
            agent: Some(agent.to_string()),
            what: "settled".into(),
            detail: found.to_owned(),
        };
        events::append(connection, &event)?;
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::{all, note, settle};
    use crate::store::events::{self, Event};
    use crate::store::schema;
    use cotside_protocol::model::Wall;
    use cotside_protocol::wire::topic::AgentId;
    use rusqlite::Connection;

    #[test]
    fn what_lasts_is_marked_once_and_ends_when_a_person_says_what_it_was() {
        let store = Connection::open_in_memory().unwrap();
        schema::migrate(&store).unwrap();
        let event = |at, what: &'static str| Event {
            at: Wall(at),
            agent: Some("gw-01".into()),
            what: what.into(),
            detail: format!("at {at}"),
        };
        for event in [event(1, "identity-conflict"), event(2, "identity-conflict"), event(3, "enrolled")] {
            note(&store, &event).unwrap();
        }
        let marks = all(&store).unwrap();
        assert_eq!((marks.len(), marks[0].since), (1, Wall(1)));
        let agent = AgentId::new("gw-01").unwrap();
        assert_eq!(settle(&store, &agent, "a clone, taken away", Wall(9)).unwrap(), 1);
        assert_eq!(settle(&store, &agent, "again", Wall(10)).unwrap(), 0);
        assert!(all(&store).unwrap().is_empty());
        let newest = events::newest(&store, 10).unwrap();
        assert_eq!((newest.len(), newest[0].detail.as_str()), (4, "a clone, taken away"));
    }
}
