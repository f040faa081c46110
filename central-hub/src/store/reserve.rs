//! Room on the disk that is kept for a start: a hub that is started on a full disk shows the unit all the same, and says that nothing is stored.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// For the write-ahead log, its index, and a few people who log in.
const BYTES: usize = 1 << 20;

fn file(store: &Path) -> PathBuf {
    store.with_extension("reserve")
}

/// Takes the room, really written, unless it is taken.
pub(super) fn take(store: &Path) -> io::Result<()> {
    let path = file(store);
    if fs::metadata(&path).is_ok_and(|found| found.len() == BYTES as u64) {
        return Ok(());
    }
    let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
    let written = made.and_then(|mut file| {
        file.write_all(&vec![0; BYTES])?;
        file.sync_all()
    });
    written.inspect_err(|_| {
        // Half a reserve only takes what others could use.
        let _ = fs::remove_file(&path);
    })
}

/// Gives it to whoever needs it. True if there was any.
pub(super) fn give(store: &Path) -> bool {
    fs::remove_file(file(store)).is_ok()
}
