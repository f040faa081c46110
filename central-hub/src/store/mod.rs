//! The hub's one SQLite file: who may speak, which bed an agent serves when, and every block exactly once.
//!
//! SQL stands in one file per question. Rows are appended in the order of arrival and never found through a unique
//! index: what is new is decided by the watermarks, which are committed in the same transaction.
//!
//! ```text
//! agents --write--> writer thread --one transaction per gathering--> hub.db
//! api    --write-->       |                                             |
//! api    <----------------+----------------read----------------<--------+
//! ```

pub mod agents;
pub mod alarm_log;
pub mod blocks;
mod dated;
pub mod derived;
pub mod events;
pub mod limits;
pub mod lives;
pub mod marks;
mod newest;
pub mod nurses;
mod reserve;
mod run;
pub mod schema;
pub mod stations;
mod unfit;

pub use newest::newest;
pub use run::{Pending, Store, WriterEnded};
pub use unfit::Unfit;

use rusqlite::{Connection, OpenFlags};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;
use unfit::Why;

/// How long one process waits for another's transaction (the operator's command line beside the running hub).
const BUSY: Duration = Duration::from_secs(10);

/// Opens the store and brings it to the current schema. Only if `may_create` it makes a new one, where there is none; over a store that
/// is no good it never does.
pub fn open(path: &Path, may_create: bool) -> Result<Connection, Unfit> {
    let unfit = |why: Why| why.at(path);
    if may_create && !path.exists() {
        // Patients' data: readable by the hub's user only. The log beside it takes over these permissions.
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        made.map_err(|error| unfit(error.into()))?;
    }
    unfit::reach(path).map_err(unfit)?;
    let connection = Connection::open(path).map_err(|error| unfit(error.into()))?;
    connection.busy_timeout(BUSY).map_err(|error| unfit(error.into()))?;
    if !may_create {
        // Before anything is written: preparing it would begin a store in an empty file.
        schema::is_begun(&connection).map_err(unfit)?;
    }
    prepare(&connection).map_err(|error| unfit(error.into()))?;
    schema::migrate(&connection).map_err(unfit)?;
    Ok(connection)
}

/// A connection that can only look.
fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    // FULL: what was acknowledged to anyone is on disk.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA wal_autocheckpoint = 4000;",
    )
}
