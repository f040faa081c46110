//! The store's file: opened, migrated, or set aside. Nothing here refuses to start; it says what it found.

use cotside_protocol::model::Wall;
use cotside_protocol::wire::block::Epoch;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

pub(super) const FILE: &str = "log.db";
/// Says beside the log which epoch it is, so that a log that cannot be read still has a name.
const LABEL: &str = "log.label";
/// Space that is given back when the disk is full, so that alarms still find room.
const RESERVE: &str = "log.reserve";
const RESERVE_BYTES: usize = 2 << 20;
/// Damaged logs kept for whoever wants to look; older ones are removed.
const SET_ASIDE_MAX: usize = 2;
/// Small pages: a commit appends to three of them, and flash is written by the page (measured: 0.7 GB a day and bed, 1.4 with 4 KiB).
const PAGE_BYTES: u32 = 512;
const CACHE_KIB: i64 = 512;
/// About 2 MiB of write-ahead log before its pages go to their places.
const CHECKPOINT_PAGES: u32 = 4096;
/// The write-ahead log at its longest: that many pages and the last commit, each with its head.
const WAL_BYTES: u64 = (CHECKPOINT_PAGES as u64 + 512) * (PAGE_BYTES as u64 + 24);

/// `user_version` of a log this program writes.
const VERSION: i64 = MIGRATIONS.len() as i64;

/// Entry n brings a log from version n to n + 1.
const MIGRATIONS: [&str; 2] = [LANES, EPOCHS];

const LANES: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE gaps (lane INTEGER NOT NULL, seq INTEGER NOT NULL, end INTEGER NOT NULL, freed INTEGER NOT NULL, PRIMARY KEY (lane, seq)) WITHOUT ROWID;
    CREATE TABLE damaged (lane INTEGER NOT NULL, seq INTEGER NOT NULL, bytes BLOB NOT NULL);
    CREATE TABLE alarm (seq INTEGER PRIMARY KEY, until INTEGER NOT NULL, total INTEGER NOT NULL, head INTEGER NOT NULL, bytes BLOB NOT NULL);
    CREATE TABLE numeric (seq INTEGER PRIMARY KEY, until INTEGER NOT NULL, total INTEGER NOT NULL, head INTEGER NOT NULL, bytes BLOB NOT NULL);
    CREATE TABLE waveform (seq INTEGER PRIMARY KEY, until INTEGER NOT NULL, total INTEGER NOT NULL, head INTEGER NOT NULL, bytes BLOB NOT NULL);
";

/// An epoch a start: the log of before is the first. `alarm`, `numeric`, `waveform`: its first seqs.
const EPOCHS: &str = "
    CREATE TABLE words (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE epochs (place INTEGER PRIMARY KEY, epoch INTEGER NOT NULL UNIQUE, predecessor INTEGER, disputed INTEGER NOT NULL, alarm INTEGER NOT NULL, numeric INTEGER NOT NULL, waveform INTEGER NOT NULL);
    CREATE INDEX epochs_alarm ON epochs (alarm);
    CREATE INDEX epochs_numeric ON epochs (numeric);
    CREATE INDEX epochs_waveform ON epochs (waveform);
    INSERT INTO epochs SELECT 1, own.value, before.value, 0, 0, 0, 0 FROM meta AS own
        LEFT JOIN meta AS before ON before.name = 'predecessor' WHERE own.name = 'epoch';
    DELETE FROM meta WHERE name IN ('epoch', 'predecessor');
";

/// Why the file is not a log this program can go on with.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    /// The content is no good: set it aside and begin anew.
    #[error("it is damaged ({0})")]
    Damaged(String),
    #[error("a newer version of the software wrote it (format {0})")]
    Newer(i64),
    /// The place is no good: no file can be written there.
    #[error("{0}")]
    Place(String),
}

impl From<rusqlite::Error> for Unfit {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DiskFull
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory,
            ) => Self::Place(error.to_string()),
            Some(_) | None => Self::Damaged(error.to_string()),
        }
    }
}

/// Opens or creates the log in `directory`.
pub(super) fn open(directory: &Path) -> Result<Connection, Unfit> {
    fs::create_dir_all(directory).map_err(|error| Unfit::Place(error.to_string()))?;
    // A patient's data: readable by the agent's user only. The files beside it take over these permissions. Whatever is wrong
    // with the place is said by the open that follows.
    let _ = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(directory.join(FILE));
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let db = Connection::open_with_flags(directory.join(FILE), flags)?;
    db.pragma_update(None, "page_size", PAGE_BYTES)?;
    // One owner: a second agent on the same log is told so, and no shared-memory file is needed.
    db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    db.pragma_update(None, "journal_size_limit", i64::from(CHECKPOINT_PAGES * PAGE_BYTES * 2))?;
    let opened = prepare(db)?;
    lay_out_wal(directory);
    Ok(opened)
}

/// Writes the write-ahead log's space behind what stands there, once: a commit into a file that grows also writes the filesystem's
/// journal, three times its own size. Zeros end a write-ahead log, and whoever writes it overwrites them. Without room for them it grows with each commit.
fn lay_out_wal(directory: &Path) {
    let path = directory.join(format!("{FILE}-wal"));
    let Ok(mut wal) = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&path) else {
        return;
    };
    let Ok(length) = wal.metadata().map(|wal| wal.len()) else { return };
    let zeros = vec![0; usize::try_from(WAL_BYTES.saturating_sub(length)).unwrap_or(0)];
    if wal.write_all(&zeros).and_then(|()| wal.sync_all()).is_err() {
        let _ = wal.set_len(length);
    }
}

/// The same log without a file, for when there is no place for one.
pub(super) fn open_in_memory() -> rusqlite::Result<Connection> {
    let db = Connection::open_in_memory()?;
    MIGRATIONS.iter().try_for_each(|migration| db.execute_batch(migration))?;
    Ok(db)
}

fn prepare(mut db: Connection) -> Result<Connection, Unfit> {
    db.pragma_update(None, "cache_size", -CACHE_KIB)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    if version > VERSION {
        return Err(Unfit::Newer(version));
    }
    if version == 0 && tables > 0 {
        return Err(Unfit::Damaged("tables without a version".into()));
    }
    let missing = usize::try_from(version).unwrap_or(0);
    let all = db.transaction()?;
    for migration in &MIGRATIONS[missing..] {
        all.execute_batch(migration)?;
    }
    all.pragma_update(None, "user_version", VERSION)?;
    all.commit()?;
    Ok(db)
}

/// What is known of a log whose file cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) epoch: Option<Epoch>,
    /// The hub had everything up to here.
    pub(super) settled: Option<Wall>,
    /// The log was last written then.
    pub(super) written: Option<Wall>,
}

pub(super) fn read_label(directory: &Path) -> Label {
    let text = fs::read_to_string(directory.join(LABEL)).unwrap_or_default();
    let mut words = text.split_whitespace();
    let epoch = words.next().and_then(|word| u64::from_str_radix(word, 16).ok()).map(Epoch);
    let settled = words.next().and_then(|word| word.parse().ok()).map(Wall);
    let modified = fs::metadata(directory.join(FILE)).and_then(|file| file.modified()).ok();
    let since_1970 = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let written = since_1970.and_then(|span| i64::try_from(span.as_micros()).ok()).map(Wall);
    Label { epoch, settled, written }
}

/// Overwrites the one line in its place: it never changes its length, fits into a sector, and costs no change of the folder.
pub(super) fn write_label(directory: &Path, epoch: Epoch, settled: Wall) -> std::io::Result<()> {
    let path = directory.join(LABEL);
    let is_new = !path.exists();
    let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    file.write_all_at(format!("{:016x} {:020}\n", epoch.0, settled.0).as_bytes(), 0)?;
    file.sync_data()?;
    // The name must not be older than the rows that follow under it.
    if is_new { fs::File::open(directory)?.sync_all() } else { Ok(()) }
}

/// Renames the log out of the way, with the time in its name. Returns the new name.
pub(super) fn set_aside(directory: &Path, now: Wall) -> std::io::Result<PathBuf> {
    let aside = directory.join(format!("{FILE}.set-aside-{}", now.0));
    fs::rename(directory.join(FILE), &aside)?;
    for part in ["wal", "shm"] {
        let from = directory.join(format!("{FILE}-{part}"));
        if from.exists() {
            fs::rename(from, directory.join(format!("{FILE}.set-aside-{}-{part}", now.0)))?;
        }
    }
    forget_old(directory);
    Ok(aside)
}

fn forget_old(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let prefix = format!("{FILE}.set-aside-");
    let mut asides: Vec<(i64, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let stamp = name.strip_prefix(&prefix)?.split('-').next()?.parse().ok()?;
            Some((stamp, directory.join(name)))
        })
        .collect();
    asides.sort();
    let mut stamps: Vec<i64> = asides.iter().map(|(stamp, _)| *stamp).collect();
    stamps.dedup();
    let keep_from = stamps.len().saturating_sub(SET_ASIDE_MAX);
    for (_, path) in asides.iter().filter(|(stamp, _)| stamps[..keep_from].contains(stamp)) {
        let _ = fs::remove_file(path);
    }
}

/// Takes space for the reserve, really written, unless it is there. False: there is no room for it.
pub(super) fn take_reserve(directory: &Path) -> bool {
    let path = directory.join(RESERVE);
    let whole = |path: &Path| fs::metadata(path).is_ok_and(|file| file.len() == RESERVE_BYTES as u64);
    if whole(&path) {
        return true;
    }
    let written = fs::File::create(&path).and_then(|mut file| {
        file.write_all(&vec![0; RESERVE_BYTES])?;
        file.sync_all()
    });
    if written.is_err() {
        give_reserve(directory);
    }
    written.is_ok()
}

/// Gives the reserve back to the disk. True if there was one.
pub(super) fn give_reserve(directory: &Path) -> bool {
    fs::remove_file(directory.join(RESERVE)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{FILE, MIGRATIONS, VERSION, open};
    use rusqlite::Connection;
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    /// Entry n is a log as version n + 1 left it. A new version does not compile without one of its own: it comes from a log
    /// that the new release has written (`sqlite3 log.db .dump`).
    const LAYOUTS: [&str; MIGRATIONS.len()] =
        [include_str!("../../tests/durable/log-v1.sql"), include_str!("../../tests/durable/log-v2.sql")];
    /// What a step turns into something else: the one epoch of a log of version 1 becomes the first of many.
    const MOVED: [(usize, &str); 1] =
        [(1, "SELECT name, value FROM meta WHERE name NOT IN ('epoch', 'predecessor') ORDER BY name, value")];

    fn place(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("cotside-layout-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn lines(db: &Connection, question: &str) -> Vec<String> {
        let mut asked = db.prepare(question).unwrap();
        let columns = asked.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let values: Vec<String> =
                (0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect();
            Ok(values.join(" "))
        };
        asked.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn layout(db: &Connection) -> Vec<String> {
        lines(db, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")
    }

    /// Each table's rows, by the question for the columns that it has.
    fn content(db: &Connection) -> BTreeMap<String, Vec<String>> {
        let mut asked = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
        let tables: Vec<String> =
            asked.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        let read = |table: String| {
            let columns = format!("SELECT group_concat(name, ', ') FROM pragma_table_info('{table}')");
            let columns: String = db.query_row(&columns, [], |row| row.get(0)).unwrap();
            let question = format!("SELECT {columns} FROM {table} ORDER BY {columns}");
            let rows = lines(db, &question);
            (question, rows)
        };
        tables.into_iter().map(read).collect()
    }

    #[test]
    fn a_log_of_each_version_opens_with_all_its_rows_in_the_layout_of_a_new_one_and_then_stays() {
        let fresh = place("fresh");
        let expected = layout(&open(&fresh).unwrap());
        std::fs::remove_dir_all(fresh).unwrap();
        for (at, dump) in LAYOUTS.iter().enumerate() {
            let version = at + 1;
            let directory = place(&format!("v{version}"));
            let old = Connection::open(directory.join(FILE)).unwrap();
            old.execute_batch(dump).unwrap();
            let is = |db: &Connection| {
                db.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap()
            };
            assert_eq!(is(&old), version as i64);
            let mut before = content(&old);
            for (_, question) in MOVED.iter().filter(|(of, _)| *of == version) {
                before.retain(|known, _| !known.contains("FROM meta"));
                before.insert((*question).to_owned(), lines(&old, question));
            }
            drop(old);

            let db = open(&directory).unwrap();
            for (question, rows) in &before {
                assert_eq!(&lines(&db, question), rows, "version {version}: {question}");
            }
            assert_eq!((is(&db), layout(&db)), (VERSION, expected.clone()), "version {version}");
            let epochs = lines(&db, "SELECT epoch, predecessor FROM epochs ORDER BY place LIMIT 1");
            assert_eq!(epochs, ["Integer(8898686516400863482) Integer(77)"], "version {version}");
            let first = content(&db);
            drop(db);
            let db = open(&directory).unwrap();
            assert_eq!((content(&db), layout(&db)), (first, expected.clone()), "version {version}");
            drop(db);
            std::fs::remove_dir_all(directory).unwrap();
        }
    }
}
