//! The one thread that writes, gathering changes into one transaction, and the readers beside it.

use super::{open, open_reader, reserve, schema, unfit};
use anyhow::{Context, Result, anyhow};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::Thread;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long the writer lets changes gather: one fsync then carries them all, and nothing that alarms waits for it.
const GATHER: Duration = Duration::from_millis(20);
/// Changes that weigh this much wait for no more company: about what one agent's backlog has under way.
const GATHERED_BYTES: usize = 60 << 10;
/// Changes in one transaction.
const GATHERED_MAX: usize = 4096;
/// Changes waiting: two stalled seconds of a thousand beds. Whoever meets a full queue waits, and with it its agent.
const QUEUE: usize = 8192;
/// Idle read connections that are kept.
const READERS: usize = 4;

/// A handle on the running store; copies share the writer and the readers.
#[derive(Clone)]
pub struct Store {
    id: Arc<str>,
    path: Arc<PathBuf>,
    changes: mpsc::Sender<Change>,
    /// Bytes of the changes that wait.
    weight: Arc<AtomicUsize>,
    writer: Thread,
    readers: Arc<Mutex<Vec<Connection>>>,
}

/// Resolves when every handle is gone and the last change is on disk.
pub struct WriterEnded(oneshot::Receiver<()>);

impl WriterEnded {
    pub async fn wait(self) {
        // An error means that the thread is gone all the same.
        let _ = self.0.await;
    }
}

/// A change on its way to the disk.
pub struct Pending<T>(oneshot::Receiver<Result<T>>);

impl<T> Pending<T> {
    pub async fn committed(self) -> Result<T> {
        self.0.await.context("the store cannot be written")?
    }
}

/// `apply` runs inside the transaction; what it returns runs after the commit and is told whether it held.
struct Change {
    bytes: usize,
    apply: Box<dyn FnOnce(&Connection) -> Settle + Send>,
}

type Settle = Box<dyn FnOnce(Result<(), String>) + Send>;

impl Store {
    /// Opens the store and starts its writer. Creates the file if `may_create`.
    pub fn start(path: &Path, may_create: bool) -> Result<(Self, WriterEnded)> {
        let connection = match open(path, may_create) {
            Err(unfit) if unfit.is_full() && reserve::give(path) => {
                tracing::warn!("{unfit}. This start uses what was kept for it");
                open(path, may_create)?
            }
            opened => opened?,
        };
        if let Err(error) = reserve::take(path) {
            tracing::warn!(%error, "no room is kept on the disk for a start when it is full");
        }
        unfit::look_through(&connection).map_err(|why| why.at(path))?;
        let id = schema::store_id(&connection)?;
        let (changes, queue) = mpsc::channel(QUEUE);
        let (ended, wait) = oneshot::channel();
        let weight = Arc::new(AtomicUsize::new(0));
        let waiting = weight.clone();
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                write(connection, queue, &waiting);
                let _ = ended.send(());
            })
            .context("cannot start the store's writer")?;
        let store = Self {
            id: id.into(),
            path: Arc::new(path.into()),
            changes,
            weight,
            writer: thread.thread().clone(),
            readers: Arc::default(),
        };
        Ok((store, WriterEnded(wait)))
    }

    /// Names this store towards agents.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Makes a change and returns what it answered once it is on disk. A change that fails takes nothing else with it.
    pub async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit(change).await?.committed().await
    }

    /// Queues a change behind those queued before it; the answer comes with the commit.
    pub async fn submit<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<Pending<T>> {
        self.submit_bytes(0, change).await
    }

    /// The same for a change that adds so many bytes: whoever sends many waits for nobody who sends few.
    pub async fn submit_bytes<T: Send + 'static>(
        &self,
        bytes: usize,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<Pending<T>> {
        let (answer, pending) = oneshot::channel();
        let apply = Box::new(move |connection: &Connection| {
            let outcome = in_savepoint(connection, change);
            let settle: Settle = Box::new(move |committed| {
                let outcome = match (outcome, committed) {
                    (Ok(answer), Ok(())) => Ok(answer),
                    (Ok(_), Err(trouble)) => Err(anyhow!("the store could not commit: {trouble}")),
                    (Err(error), _) => Err(anyhow!(error)),
                };
                // Whoever asked may have gone: the change stands all the same.
                let _ = answer.send(outcome);
            });
            settle
        });
        let permit = self.changes.reserve().await.map_err(|_| anyhow!("the store is closed"))?;
        // Weighed before it is there to be taken off again.
        let weight = self.weight.fetch_add(bytes, Ordering::Relaxed) + bytes;
        permit.send(Change { bytes, apply });
        if bytes > 0 && weight >= GATHERED_BYTES {
            self.writer.unpark();
        }
        Ok(Pending(pending))
    }

    /// Asks a question on a read-only connection, away from the event loop.
    pub async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (path, readers) = (self.path.clone(), self.readers.clone());
        tokio::task::spawn_blocking(move || {
            let idle = readers.lock().ok().and_then(|mut readers| readers.pop());
            let connection = match idle {
                Some(connection) => connection,
                None => open_reader(&path)?,
            };
            let answer = question(&connection)?;
            if let Ok(mut readers) = readers.lock()
                && readers.len() < READERS
            {
                readers.push(connection);
            }
            Ok(answer)
        })
        .await?
    }
}

fn in_savepoint<T>(
    connection: &Connection,
    change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.prepare_cached("SAVEPOINT change")?.execute([])?;
    let outcome = change(connection);
    if outcome.is_err() {
        connection.prepare_cached("ROLLBACK TO change")?.execute([])?;
    }
    connection.prepare_cached("RELEASE change")?.execute([])?;
    outcome
}

fn write(connection: Connection, mut queue: mpsc::Receiver<Change>, weight: &AtomicUsize) {
    while let Some(first) = queue.blocking_recv() {
        if weight.load(Ordering::Relaxed) < GATHERED_BYTES {
            // Woken before its time, at worst a commit carries less.
            std::thread::park_timeout(GATHER);
        }
        if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
            tracing::error!(%error, "the store cannot be written");
            weight.fetch_sub(first.bytes, Ordering::Relaxed);
            continue;
        }
        let (mut settled, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(change) = next {
            bytes += change.bytes;
            settled.push((change.apply)(&connection));
            next = if settled.len() < GATHERED_MAX { queue.try_recv().ok() } else { None };
        }
        weight.fetch_sub(bytes, Ordering::Relaxed);
        let committed = connection.execute_batch("COMMIT").map_err(|error| error.to_string());
        if let Err(trouble) = &committed {
            tracing::error!(trouble, changes = settled.len(), "the store could not commit");
            // Already rolled back for some causes; then there is nothing left to undo.
            let _ = connection.execute_batch("ROLLBACK");
        }
        for settle in settled {
            settle(committed.clone());
        }
    }
    // Leaves one file without a log beside it.
    let _ = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
}

#[cfg(test)]
mod tests {
    use super::Store;
    use std::path::PathBuf;

    fn path(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("cotside-store-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        dir.join("hub.db")
    }

    #[tokio::test]
    async fn a_change_that_fails_takes_nothing_else_with_it() {
        let path = path("fails");
        let (store, ended) = Store::start(&path, true).unwrap();
        let put = |key: &'static str| {
            move |connection: &rusqlite::Connection| {
                connection.execute("INSERT INTO meta VALUES(?1, '')", [key])?;
                // The second statement fails for `bad` alone: its first must not stay.
                connection.execute("INSERT INTO meta SELECT ?1, '' WHERE ?1 = 'bad'", [key])
            }
        };
        // Queued together, so that one transaction carries all three.
        let queued =
            [store.submit(put("a")).await, store.submit(put("bad")).await, store.submit(put("b")).await];
        let mut held = Vec::new();
        for pending in queued {
            held.push(pending.unwrap().committed().await.is_ok());
        }
        assert_eq!(held, [true, false, true]);
        let keys = "SELECT count(*) FROM meta WHERE key IN ('a', 'b', 'bad')";
        let count: i64 =
            store.read(|connection| connection.query_row(keys, [], |row| row.get(0))).await.unwrap();
        assert_eq!(count, 2);
        drop(store);
        ended.wait().await;
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[tokio::test]
    async fn what_was_answered_is_there_after_a_start_and_under_the_same_name() {
        let path = path("answered");
        let (store, ended) = Store::start(&path, true).unwrap();
        store.write(|connection| connection.execute("INSERT INTO meta VALUES('a', '')", [])).await.unwrap();
        let name = store.id().to_owned();
        drop(store);
        ended.wait().await;
        let (store, _ended) = Store::start(&path, false).unwrap();
        let a = "SELECT count(*) FROM meta WHERE key = 'a'";
        let count: i64 =
            store.read(|connection| connection.query_row(a, [], |row| row.get(0))).await.unwrap();
        assert_eq!((count, store.id()), (1, name.as_str()));
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_store_that_is_not_there_is_not_made_by_accident() {
        let path = path("absent");
        assert!(Store::start(&path, false).is_err() && !path.exists());
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
