//! One watched value a bed: whoever changes it never waits, whoever speaks to the agent wakes.

use crate::agents::tended::Tended;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Cheap to copy; copies share the beds.
#[derive(Clone, Debug)]
pub struct Tending(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    beds: Mutex<BTreeMap<String, watch::Sender<Tended>>>,
    /// Counts the changes that may not wait: one task that speaks to many agents need not wait at each.
    urgent: watch::Sender<u64>,
}

impl Default for Tending {
    fn default() -> Self {
        Self(Arc::new(Shared { beds: Mutex::default(), urgent: watch::channel(0).0 }))
    }
}

impl Tending {
    /// Changes what is to be said at a bed; what is the same as before wakes nobody.
    pub fn change(&self, bed: &str, change: impl FnOnce(&mut Tended)) {
        let mut is_urgent = false;
        self.of(bed).send_if_modified(|tended| {
            let before = tended.clone();
            change(tended);
            is_urgent = tended.is_urgent_after(&before);
            *tended != before
        });
        if is_urgent {
            self.0.urgent.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// What is to be said at a bed now, and whenever it changes.
    pub fn follow(&self, bed: &str) -> watch::Receiver<Tended> {
        let mut following = self.of(bed).subscribe();
        following.mark_changed();
        following
    }

    /// Resolves whenever something may not wait at any bed.
    pub fn urgent(&self) -> watch::Receiver<u64> {
        self.0.urgent.subscribe()
    }

    fn of(&self, bed: &str) -> watch::Sender<Tended> {
        self.beds().entry(bed.to_owned()).or_default().clone()
    }

    /// Held for a look, never across an await; whole at every step, so a panic elsewhere spoils nothing.
    fn beds(&self) -> MutexGuard<'_, BTreeMap<String, watch::Sender<Tended>>> {
        self.0.beds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
