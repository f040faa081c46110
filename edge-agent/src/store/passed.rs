//! What has passed for certain: for a machine whose clock starts in 1970.

use cotside_protocol::model::Wall;
use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// When something in the state directory was last written, by the machine's clock of then. To be asked before the log is opened.
pub fn passed(directory: &Path) -> Wall {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let written = entries.filter_map(|entry| entry.metadata().and_then(|data| data.modified()).ok());
    let since_1970 = written.max().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    Wall(0) + since_1970
}

#[cfg(test)]
mod tests {
    use super::passed;
    use cotside_protocol::model::Wall;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn the_newest_file_says_what_has_passed_and_nothing_says_nothing() {
        let directory = std::env::temp_dir().join(format!("cotside-passed-{}", std::process::id()));
        assert_eq!(passed(&directory), Wall(0));
        std::fs::create_dir_all(&directory).unwrap();
        for (name, seconds) in [("log.db", 1_800_000_500), ("log.label", 1_800_000_100)] {
            let file = std::fs::File::create(directory.join(name)).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        }
        assert_eq!(passed(&directory), Wall(1_800_000_500_000_000));
        std::fs::remove_dir_all(directory).unwrap();
    }
}
