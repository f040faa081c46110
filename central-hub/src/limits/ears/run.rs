//! Whoever hears an agent never waits; whoever looks after the limits wakes when one has said something new.

use crate::feed::News;
use crate::limits::standing::Heard;
use cotside_protocol::wire::upstream::Record;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What the agents say of their limits, as their conversations hear it. Cheap to copy.
#[derive(Clone, Debug, Default)]
pub struct Ears(Arc<(Mutex<BTreeMap<String, Heard>>, Notify)>);

impl Ears {
    pub fn hear(&self, bed: &str, what: &News) {
        match what {
            // It comes anew, or another one serves the bed: what it has is not known until it says so.
            News::Connected => self.change(bed, |heard| *heard = Heard::default()),
            News::Status(status) => self.change(bed, |heard| {
                if status.limits.is_some() {
                    heard.in_force.clone_from(&status.limits);
                }
                heard.refused =
                    status.limits_refused.as_ref().map(|refused| (refused.version, refused.words.clone()));
            }),
            News::Record(_, Record::LimitsTaken { version, refused: None, .. }) => {
                self.change(bed, |heard| heard.taken = heard.taken.max(Some(*version)));
            }
            News::Disconnected { .. }
            | News::Announce(_)
            | News::Reply(_)
            | News::Numerics(..)
            | News::Waveforms(..)
            | News::Record(..) => {}
        }
    }

    fn change(&self, bed: &str, change: impl FnOnce(&mut Heard)) {
        let mut beds = lock(&self.0.0);
        let heard = beds.entry(bed.to_owned()).or_default();
        let before = heard.clone();
        change(heard);
        if *heard != before {
            self.0.1.notify_one();
        }
    }

    /// Resolves when an agent has said something new.
    pub(in crate::limits) async fn news(&self) {
        self.0.1.notified().await;
    }

    pub(in crate::limits) fn of(&self, bed: &str) -> Heard {
        lock(&self.0.0).get(bed).cloned().unwrap_or_default()
    }
}

fn lock(beds: &Mutex<BTreeMap<String, Heard>>) -> MutexGuard<'_, BTreeMap<String, Heard>> {
    // What it guards is whole at every instant, so a panic elsewhere does not spoil it.
    beds.lock().unwrap_or_else(PoisonError::into_inner)
}
