//! Why the file is not a store that the hub can go on with, in words that say what to do. Nothing here changes the file.

use rusqlite::{Connection, ErrorCode, ffi};
use std::ffi::c_int;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Small, and nothing works without them: looked through whenever the hub starts. The record itself is looked through by
/// `central-hub check`, which takes as long as reading the disk.
const KEY_TABLES: [&str; 9] =
    ["meta", "agents", "assignments", "tokens", "users", "patients", "admissions", "greetings", "marks"];

/// Shown as a sentence on what is wrong, and one on what to do.
#[derive(Debug, thiserror::Error)]
pub struct Unfit {
    path: PathBuf,
    why: Why,
}

#[derive(Debug)]
pub(crate) enum Why {
    Missing,
    /// A file without a single table: what was in it is gone.
    Empty,
    Damaged(String),
    /// Tables, but not a hub's.
    Foreign,
    Newer {
        found: i64,
        known: usize,
    },
    /// Nothing there can be written by anyone.
    ReadOnly,
    /// The operating system does not let this user.
    Forbidden,
    Full,
    Busy,
    Other(String),
}

impl Why {
    pub(super) fn at(self, path: &Path) -> Unfit {
        Unfit { path: path.into(), why: self }
    }
}

impl From<rusqlite::Error> for Why {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            // No room for the index of the write-ahead log, which is made with each start.
            _ if is_extended(&error, ffi::SQLITE_IOERR_SHMSIZE) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::PermissionDenied) => Self::Forbidden,
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Damaged(error.to_string()),
            Some(_) | None => Self::Other(error.to_string()),
        }
    }
}

fn is_extended(error: &rusqlite::Error, code: c_int) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == code)
}

impl From<io::Error> for Why {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::PermissionDenied => Self::Forbidden,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::StorageFull => Self::Full,
            _ => Self::Other(error.to_string()),
        }
    }
}

/// What the operating system says, before SQLite makes something of it: a file that cannot be written it would only read.
pub(super) fn reach(path: &Path) -> Result<(), Why> {
    if fs::metadata(path)?.is_dir() {
        return Err(Why::Other("it is a folder".into()));
    }
    OpenOptions::new().write(true).open(path)?;
    Ok(())
}

/// Whether what the hub itself lives on can be read to its last row.
pub(super) fn look_through(connection: &Connection) -> Result<(), Why> {
    for table in KEY_TABLES {
        let question = format!("PRAGMA quick_check({table})");
        let found: String = connection.query_row(&question, [], |row| row.get(0))?;
        if found != "ok" {
            let found = found.replace('\n', " ");
            return Err(Why::Damaged(format!("{table}: {found}")));
        }
    }
    Ok(())
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NOT_OVER: &str = "A new record is not begun over it";
        let path = self.path.display();
        match &self.why {
            Why::Missing => write!(
                f,
                "there is no store at {path}: put back the newest backup, or, for a hub that never ran, let `central-hub quickstart` make one"
            ),
            Why::Empty => write!(
                f,
                "the store {path} is EMPTY: what was in it is gone. {NOT_OVER}: put back the newest backup"
            ),
            Why::Damaged(how) => write!(
                f,
                "the store {path} is DAMAGED ({how}). {NOT_OVER}: copy it and the files beside it to a safe place, then put back the newest backup, \
                 or what `sqlite3 {path} .recover` still reads"
            ),
            Why::Foreign => write!(
                f,
                "{path} is no hub's store: it has tables of something else. Put back the newest backup, or correct `data_dir`"
            ),
            Why::Newer { found, known } => write!(
                f,
                "the store {path} was written by a newer release (schema {found}, this one knows {known}): install that release again. \
                 The store was left as it is"
            ),
            Why::ReadOnly => write!(
                f,
                "the store {path} cannot be written: its disk is mounted read-only, which a disk often is after an error. Look into the \
                 system's log, then mount it for writing"
            ),
            Why::Forbidden => f.write_str(&self.forbidden()),
            Why::Full => write!(
                f,
                "the disk of the store {path} is FULL: make room on it. The gateways keep what they record until then"
            ),
            Why::Busy => write!(
                f,
                "the store {path} is in use by another process for too long: look for a second hub or a copy that is being made"
            ),
            Why::Other(what) => write!(f, "the store {path} cannot be opened: {what}"),
        }
    }
}

impl Unfit {
    pub(super) fn is_full(&self) -> bool {
        matches!(self.why, Why::Full)
    }

    /// Whose it is, as far as that can be seen from here.
    fn forbidden(&self) -> String {
        let path = &self.path;
        let user = |path: &Path| fs::metadata(path).map(|found| found.uid());
        let me = user(Path::new("/proc/self")).map_or_else(|_| "this user".into(), |me| format!("user {me}"));
        let folder = path.parent().unwrap_or(path);
        let (place, owner) = match (user(path), user(folder)) {
            (Ok(owner), _) => (path.as_path(), Some(owner)),
            (Err(_), Ok(owner)) => (folder, Some(owner)),
            (Err(_), Err(_)) => (folder, None),
        };
        let owner = owner.map_or_else(String::new, |owner| format!(" of user {owner}"));
        format!(
            "the store {}: {me} may not use {}{owner}: run the hub as the user whose store it is, or give it back with `chown -R`",
            path.display(),
            place.display()
        )
    }
}
