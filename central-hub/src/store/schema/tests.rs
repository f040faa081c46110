//! A store of every version there ever was is opened by this release: all that was in it is there, and its layout is a new file's.

use super::{MIGRATIONS, VERSION, Why, migrate, store_id, version};
use crate::ledger::{Bounds, next};
use crate::people::first_break;
use crate::store::{agents, derived, events, marks, open};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Entry n is a store as version n + 1 left it. A new version does not compile without one of its own: it comes from a store
/// that the new release has made (`sqlite3 hub.db .dump`), with something in every new table.
const LAYOUTS: [&str; MIGRATIONS.len()] = [
    include_str!("hub-v1.sql"),
    include_str!("hub-v2.sql"),
    include_str!("hub-v3.sql"),
    include_str!("hub-v4.sql"),
    include_str!("hub-v5.sql"),
    include_str!("hub-v6.sql"),
    include_str!("hub-v7.sql"),
];

/// Versions from which on there is something to read.
const WITH_PEOPLE: usize = 2;
const WITH_EPOCHS: usize = 4;

/// A store in a folder of its own, gone with the test.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static PLACES: AtomicUsize = AtomicUsize::new(0);
        let number = PLACES.fetch_add(1, Ordering::Relaxed);
        let name = format!("cotside-schema-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn file(&self) -> PathBuf {
        self.0.join("hub.db")
    }

    fn of_version(version: usize) -> Self {
        let place = Self::new();
        Connection::open(place.file()).unwrap().execute_batch(LAYOUTS[version - 1]).unwrap();
        place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Tables, indexes and triggers with the words that made them.
fn layout(store: &Connection) -> Vec<String> {
    let all = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name";
    let described = lines(store, all);
    assert!(!described.is_empty());
    described
}

/// Every row of a question as text.
fn lines(store: &Connection, question: &str) -> Vec<String> {
    let mut asked = store.prepare(question).unwrap();
    let columns = asked.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        let values: Vec<String> = (0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect();
        Ok(values.join(" "))
    };
    asked.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Table by table, each row of the columns that the version had.
fn content(store: &Connection) -> BTreeMap<String, (String, Vec<String>)> {
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table'";
    let mut asked = store.prepare(tables).unwrap();
    let tables: Vec<String> =
        asked.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let read = |table: String| {
        let columns = format!("SELECT group_concat(name, ', ') FROM pragma_table_info('{table}')");
        let columns: String = store.query_row(&columns, [], |row| row.get(0)).unwrap();
        let question = format!("SELECT {columns} FROM {table} ORDER BY {columns}");
        let rows = lines(store, &question);
        (table, (question, rows))
    };
    tables.into_iter().map(read).collect()
}

#[test]
fn a_store_of_each_version_opens_with_all_its_rows_in_the_layout_of_a_new_file() {
    let fresh = Place::new();
    let expected = layout(&open(&fresh.file(), true).unwrap());
    for earlier in 1..=MIGRATIONS.len() {
        let place = Place::of_version(earlier);
        let old = Connection::open(place.file()).unwrap();
        assert_eq!(version(&old).unwrap(), earlier as i64);
        let before = content(&old);
        let empty: Vec<&String> =
            before.iter().filter(|(_, (_, rows))| rows.is_empty()).map(|(name, _)| name).collect();
        assert_eq!(empty, [&""; 0], "version {earlier}: a table without a row shows nothing");
        drop(old);

        let store = open(&place.file(), false).unwrap();
        assert_eq!(version(&store).unwrap(), VERSION);
        for (table, (question, rows)) in &before {
            assert_eq!(&lines(&store, question), rows, "version {earlier}, table {table}");
        }
        assert_eq!(layout(&store), expected, "version {earlier}");
        assert_eq!(lines(&store, "PRAGMA integrity_check"), ["Text([111, 107])"], "version {earlier}");
        assert_eq!(lines(&store, "PRAGMA foreign_key_check"), [""; 0], "version {earlier}");
    }
}

#[test]
fn a_second_open_changes_nothing() {
    for earlier in 1..=MIGRATIONS.len() {
        let place = Place::of_version(earlier);
        let dump = |store: &Connection| (version(store).unwrap(), layout(store), content(store));
        let first = dump(&open(&place.file(), false).unwrap());
        let bytes = std::fs::read(place.file()).unwrap();
        let second = dump(&open(&place.file(), false).unwrap());
        assert_eq!(first, second, "version {earlier}");
        assert_eq!(bytes, std::fs::read(place.file()).unwrap(), "version {earlier}");
    }
}

#[test]
fn what_was_in_a_store_of_each_version_is_read_by_this_release() {
    let mut books = Vec::new();
    for earlier in 1..=MIGRATIONS.len() {
        let place = Place::of_version(earlier);
        let store = open(&place.file(), false).unwrap();
        assert_eq!(store_id(&store).unwrap(), "00c0ffee00c0ffee");
        let registered = agents::all(&store).unwrap();
        let beds: Vec<_> = registered.iter().map(|agent| (agent.id.as_str(), agent.bed.as_deref())).collect();
        assert_eq!(beds, [("gw-01", Some("01")), ("gw-02", None), ("gw-03", None)]);
        assert!(registered[1].revoked.is_some() && registered[2].enrolled.is_none());
        assert!(events::newest(&store, 10).unwrap().iter().any(|event| event.what == "enrolled"));
        if earlier >= WITH_PEOPLE {
            let lies: String = store
                .query_row(
                    "SELECT name FROM patients JOIN admissions ON patient = patients.id WHERE to_us IS NULL",
                    [],
                    |row| row.get(0),
                )
                .unwrap();
            assert_eq!(lies, "Nemo, Made Up");
            assert_eq!(first_break(&store).unwrap(), None, "version {earlier}: the audit is whole");
        }
        let waiting = marks::all(&store).unwrap();
        assert_eq!(waiting.len(), usize::from(earlier >= WITH_EPOCHS));
        while let Some(step) = next(&store, Bounds::STEP).unwrap() {
            assert!(step.write(&store).unwrap());
        }
        assert_eq!(derived::behind(&store).unwrap(), 0);
        books.push(
            ["runs", "heard", "hours", "key_frames"]
                .map(|table| lines(&store, &format!("SELECT * FROM {table}"))),
        );
    }
    let [runs, heard, hours, key_frames] = &books[0];
    assert_eq!((runs.len(), heard.len(), hours.len(), key_frames.len()), (2, 1, 40, 1));
    for (at, of_version) in books.iter().enumerate() {
        assert_eq!(of_version, &books[0], "the books of version {}", at + 1);
    }
}

#[test]
fn a_store_from_a_newer_release_is_refused_and_left_alone() {
    let connection = Connection::open_in_memory().unwrap();
    connection.pragma_update(None, "user_version", MIGRATIONS.len() as i64 + 1).unwrap();
    let refused = migrate(&connection);
    assert!(matches!(refused, Err(Why::Newer { found, known }) if found == known as i64 + 1));
    assert_eq!(lines(&connection, "SELECT * FROM sqlite_schema"), [""; 0]);
}

#[test]
fn migrating_twice_keeps_the_stores_name() {
    let connection = Connection::open_in_memory().unwrap();
    migrate(&connection).unwrap();
    let name = store_id(&connection).unwrap();
    migrate(&connection).unwrap();
    assert_eq!((store_id(&connection).unwrap(), name.len()), (name, 16));
}
