//! A disk whose power is cut: which bytes of an SQLite store may be there afterwards.
//!
//! A store promises that what a finished call has committed is on disk. Of the call during which the power fails, any part may be:
//! the write-ahead log ends at any byte, in the middle of a page, between two commits of one call, or right after the last;
//! the main file, which only checkpoints write, may have any of its pages new. SQLite then recovers what is really there.

use anyhow::Result;
use cotside_protocol::model::Wall;
use cotside_simulators::newborn::Random;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

const WAL_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// A folder with one SQLite store and what lies beside it.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    pub(super) dir: PathBuf,
    /// The name of the main file.
    pub(super) main: &'static str,
}

/// The files of a folder at one moment; what is made of zeros and never changes is left where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Image(BTreeMap<String, Vec<u8>>);

/// Where in a call the power failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// Before anything was written.
    Before,
    /// In the middle of a commit: it is gone.
    Torn,
    /// After a commit of the call that was not its last.
    Between,
    /// While pages went from the write-ahead log to their places.
    Checkpoint,
    /// The log was renamed out of the way, and no new one begun.
    SetAside,
    /// After the last commit, before anybody was told.
    After,
}

impl Disk {
    pub(super) fn image(&self) -> Result<Image> {
        let files = self.files()?.into_iter();
        let read = |name: String| fs::read(self.dir.join(&name)).map(|bytes| (name, bytes));
        Ok(Image(files.map(read).collect::<std::io::Result<_>>()?))
    }

    /// Makes the folder hold what the image holds, last written at `written`. No store may be open there.
    pub(super) fn put_back(&self, image: &Image, written: Wall) -> Result<()> {
        for name in self.files()? {
            fs::remove_file(self.dir.join(name))?;
        }
        let since_1970 = Duration::from_micros(u64::try_from(written.0).unwrap_or(0));
        for (name, bytes) in &image.0 {
            let path = self.dir.join(name);
            fs::write(&path, bytes)?;
            fs::File::options().append(true).open(&path)?.set_modified(UNIX_EPOCH + since_1970)?;
        }
        Ok(())
    }

    /// What an image holds, by name: the files of the folder, and those one folder below.
    fn files(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_dir() {
                for below in fs::read_dir(entry.path())? {
                    names.push(format!("{name}/{}", below?.file_name().to_string_lossy()));
                }
            } else if !is_left(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// One of the states in which a power cut during a call may leave the folder.
    pub(super) fn cut(&self, before: &Image, after: &Image, random: &mut Random) -> (Image, At) {
        if random.once_in(8) {
            return (before.clone(), At::Before);
        }
        let is_set_aside = |name: &&String| name.contains(".set-aside-") && !before.0.contains_key(*name);
        let is_renamed = after.0.keys().any(|name| is_set_aside(&name));
        if is_renamed && random.once_in(3) {
            let of_old = |name: &String| !name.starts_with(self.main) || name.contains(".set-aside-");
            let files = after.0.iter().filter(|(name, _)| of_old(name));
            let mut image = Image(files.map(|(name, bytes)| (name.clone(), bytes.clone())).collect());
            image.take_others_of(before, self.main);
            return (image, At::SetAside);
        }
        let wal = format!("{}-wal", self.main);
        let (db, old_db) = (after.0.get(self.main), before.0.get(self.main).filter(|_| !is_renamed));
        let empty = Vec::new();
        let (new, old) = (after.0.get(&wal).unwrap_or(&empty), before.0.get(&wal).filter(|_| !is_renamed));
        let old = old.unwrap_or(&empty);
        let is_same_log = old.len() >= WAL_HEADER && new.starts_with(&old[..WAL_HEADER]);
        let mut image = after.clone();
        if let (Some(db), Some(old_db)) = (db, old_db)
            && db != old_db
            && !old_db.is_empty()
        {
            if is_same_log {
                image.0.insert(self.main.to_owned(), mixed(old_db, db, random));
                return (image, At::Checkpoint);
            }
            return (image, At::After);
        }
        let begin = if is_same_log { Frames::of(old).committed() } else { 0 };
        let frames = Frames::of(new);
        let end = frames.committed().max(begin);
        let commits: Vec<usize> =
            frames.commits.iter().copied().filter(|at| *at > begin && *at < end).collect();
        let (cut, at) = match random.next() % 4 {
            0 => (end, At::After),
            1 if !commits.is_empty() => (commits[random.next() as usize % commits.len()], At::Between),
            _ if end > begin => (begin + (random.next() % (end - begin) as u64) as usize, At::Torn),
            _ => (end, At::After),
        };
        let mut torn = new[..cut].to_vec();
        // Behind the cut lies what lay there before.
        torn.extend(old.get(cut..).unwrap_or_default());
        if after.0.contains_key(&wal) {
            image.0.insert(wal, torn);
        }
        // What is written after the last commit is there only if that is, and its rename need not be.
        if at != At::After || random.once_in(2) {
            image.take_others_of(before, self.main);
        }
        (image, at)
    }
}

impl Image {
    /// Bytes of the main file that are not as they were written.
    pub(super) fn damage(&mut self, main: &str, random: &mut Random) {
        let Some(bytes) = self.0.get_mut(main).filter(|bytes| bytes.len() > 100) else { return };
        // The header of the file, so that it is noticed at the start and not a week later.
        let at = random.next() as usize % 40;
        bytes[at] ^= 1 << (random.next() % 8);
        bytes[16..24].iter_mut().for_each(|byte| *byte ^= 0x5a);
        self.0.remove(&format!("{main}-wal"));
    }

    /// Files that are not the store's, as they were.
    fn take_others_of(&mut self, before: &Self, main: &str) {
        let is_other = |name: &String| !name.starts_with(main);
        self.0.retain(|name, _| !is_other(name));
        self.0.extend(
            before
                .0
                .iter()
                .filter(|(name, _)| is_other(name))
                .map(|(name, bytes)| (name.clone(), bytes.clone())),
        );
    }
}

fn is_left(name: &str) -> bool {
    name.ends_with(".reserve") || name.ends_with("-shm")
}

/// Some pages of one, some of the other, as a checkpoint leaves them that was not finished.
fn mixed(old: &[u8], new: &[u8], random: &mut Random) -> Vec<u8> {
    let page = page_bytes(new).max(512);
    let mut pages = new.to_vec();
    for (at, page_of_old) in old.chunks(page).enumerate() {
        if random.once_in(2)
            && let Some(place) = pages.get_mut(at * page..at * page + page_of_old.len())
        {
            place.copy_from_slice(page_of_old);
        }
    }
    pages
}

/// As the header of a main file says it; 1 stands for 65,536.
fn page_bytes(db: &[u8]) -> usize {
    match db.get(16..18) {
        Some([0, 1]) => 65_536,
        Some([high, low]) => usize::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    }
}

/// The ends of the commits in a write-ahead log.
struct Frames {
    commits: Vec<usize>,
}

impl Frames {
    fn of(wal: &[u8]) -> Self {
        let mut commits = Vec::new();
        let Some(header) = wal.get(..WAL_HEADER) else { return Self { commits } };
        let page = number(&header[8..12]);
        let salts = &header[16..24];
        let mut at = WAL_HEADER;
        while let Some(frame) = wal.get(at..at + FRAME_HEADER + page)
            && frame[8..16] == *salts
        {
            at += FRAME_HEADER + page;
            if number(&frame[4..8]) > 0 {
                commits.push(at);
            }
        }
        Self { commits }
    }

    fn committed(&self) -> usize {
        self.commits.last().copied().unwrap_or(0)
    }
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |all, byte| all << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::{At, Disk};
    use cotside_protocol::model::Wall;
    use cotside_simulators::newborn::Random;
    use rusqlite::Connection;
    use std::collections::BTreeSet;

    #[test]
    fn a_cut_leaves_what_was_committed_before_the_call_and_a_prefix_of_the_rest() {
        let dir = std::env::temp_dir().join(format!("cotside-disk-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        let disk = Disk { dir: dir.clone(), main: "some.db" };
        let open = || {
            let db = Connection::open(dir.join("some.db")).unwrap();
            db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 20; CREATE TABLE IF NOT EXISTS t(n)")
                .unwrap();
            db
        };
        let mut random = Random::new(7);
        let mut seen = BTreeSet::new();
        let mut committed = 0i64;
        let mut db = open();
        for _ in 0..300 {
            for _ in 0..random.next() % 4 {
                committed += 1;
                db.execute("INSERT INTO t VALUES (?1)", [committed]).unwrap();
            }
            let before = disk.image().unwrap();
            let more = (random.next() % 3 + 1).cast_signed();
            for n in 1..=more {
                db.execute("INSERT INTO t VALUES (?1)", [committed + n]).unwrap();
            }
            let after = disk.image().unwrap();
            drop(db);
            let (image, at) = disk.cut(&before, &after, &mut random);
            disk.put_back(&image, Wall(1)).unwrap();
            seen.insert(at);
            db = open();
            let held: i64 = db.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
            let last: i64 = db.query_row("SELECT max(n) FROM t", [], |row| row.get(0)).unwrap_or(0);
            assert_eq!(held, last);
            assert!((committed..=committed + more).contains(&held), "{at:?}: {held} of {committed}+{more}");
            if at == At::After {
                assert_eq!(held, committed + more);
            }
            committed = held;
        }
        let all = BTreeSet::from([At::Before, At::Torn, At::Between, At::Checkpoint, At::After]);
        assert_eq!(seen, all);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
