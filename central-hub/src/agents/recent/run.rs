//! Checksums of the newest blocks: whoever asks first looks for everybody who has asked by then.
//!
//! After a restart of the hub every agent says hello within seconds, and each look-up reads the same megabytes.

use crate::store::Store;
use crate::store::blocks::{self, Known};
use anyhow::{Result, anyhow};
use std::sync::{Mutex, PoisonError};
use tokio::sync::oneshot;

#[derive(Default)]
pub struct Recent {
    waiting: Mutex<Vec<Asked>>,
    /// Held by whoever looks.
    turn: tokio::sync::Mutex<()>,
}

struct Asked {
    known: Vec<Known>,
    answer: oneshot::Sender<Result<Vec<Known>, String>>,
}

impl Recent {
    /// The same sources with the checksums of their newest blocks.
    pub async fn complete(&self, store: &Store, known: Vec<Known>) -> Result<Vec<Known>> {
        let is_new = |known: &Known| known.mark.below() == 0 && known.mark.ranges().is_empty();
        if known.iter().all(is_new) {
            return Ok(known);
        }
        loop {
            let (answer, mut answered) = oneshot::channel();
            self.waiting().push(Asked { known: known.clone(), answer });
            let answer = tokio::select! {
                biased;
                answer = &mut answered => answer,
                turn = self.turn.lock() => {
                    self.look(store).await;
                    drop(turn);
                    answered.await
                }
            };
            match answer {
                Ok(found) => return found.map_err(|trouble| anyhow!(trouble)),
                // Whoever looked was cut off before the answer: ask again.
                Err(_) => continue,
            }
        }
    }

    async fn look(&self, store: &Store) {
        let asked = std::mem::take(&mut *self.waiting());
        let all: Vec<Known> = asked.iter().flat_map(|asked| asked.known.iter().cloned()).collect();
        match store.read(|connection| blocks::with_digests(connection, all)).await {
            Ok(found) => {
                let mut found = found.into_iter();
                for Asked { known, answer } in asked {
                    let _ = answer.send(Ok(found.by_ref().take(known.len()).collect()));
                }
            }
            Err(error) => {
                let trouble = format!("{error:#}");
                for Asked { answer, .. } in asked {
                    let _ = answer.send(Err(trouble.clone()));
                }
            }
        }
    }

    /// Held for a look, never across an await.
    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Asked>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;
    use crate::store::Store;
    use crate::store::blocks::{Known, Source};
    use cotside_protocol::wire::topic::Lane;
    use cotside_protocol::wire::watermark::Watermark;
    use std::sync::Arc;

    fn known(source: i64) -> Vec<Known> {
        let known =
            |lane| Known { source: Source(source), lane, mark: Watermark::new(3), digests: Vec::new() };
        vec![known(Lane::Alarm), known(Lane::Numeric)]
    }

    #[tokio::test]
    async fn everybody_gets_what_was_asked_although_some_who_looked_were_cut_off() {
        let dir = std::env::temp_dir().join(format!("cotside-recent-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        let (store, ended) = Store::start(&dir.join("hub.db"), true).unwrap();
        let recent = Arc::new(Recent::default());
        let asking: Vec<_> = (0..64)
            .map(|source| {
                let (recent, store) = (recent.clone(), store.clone());
                let task = tokio::spawn(async move { recent.complete(&store, known(source)).await });
                (source, task)
            })
            .collect();
        tokio::task::yield_now().await;
        for (source, task) in asking {
            if source % 5 == 0 {
                task.abort();
                continue;
            }
            let found = task.await.unwrap().unwrap();
            assert_eq!(found.iter().map(|known| known.source).collect::<Vec<_>>(), [Source(source); 2]);
        }
        drop((recent, store));
        ended.wait().await;
        std::fs::remove_dir_all(dir).unwrap();
    }
}
