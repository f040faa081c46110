//! When did this hub last date anything by its own clock?

use cotside_protocol::model::Wall;
use rusqlite::Connection;

/// The newest moment among rows that the hub itself dated; what agents dated proves nothing of the hub's clock.
pub fn newest(connection: &Connection) -> rusqlite::Result<Wall> {
    const LAST: [&str; 4] = [
        "SELECT at_us FROM audit ORDER BY id DESC LIMIT 1",
        "SELECT at_us FROM events ORDER BY id DESC LIMIT 1",
        "SELECT max(heard_us) FROM agents",
        "SELECT first_us FROM sources ORDER BY id DESC LIMIT 1",
    ];
    let mut newest = 0;
    for question in LAST {
        let mut asked = connection.prepare(question)?;
        let mut rows = asked.query([])?;
        if let Some(row) = rows.next()? {
            newest = newest.max(row.get::<_, Option<i64>>(0)?.unwrap_or(0));
        }
    }
    Ok(Wall(newest))
}

#[cfg(test)]
mod tests {
    use super::newest;
    use crate::store::events::{Event, append};
    use crate::store::schema;
    use cotside_protocol::model::Wall;
    use rusqlite::Connection;

    #[test]
    fn a_fresh_store_knows_no_moment_and_each_event_is_one() {
        let connection = Connection::open_in_memory().unwrap();
        schema::migrate(&connection).unwrap();
        assert_eq!(newest(&connection).unwrap(), Wall(0));
        let event = Event { at: Wall(77), agent: None, what: "enrolled".into(), detail: String::new() };
        append(&connection, &event).unwrap();
        assert_eq!(newest(&connection).unwrap(), Wall(77));
    }
}
