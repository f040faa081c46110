//! The agents' side of the hub: who may speak, what arrives exactly once, and what is answered when.
//!
//! ```text
//! own listener:     TLS -> Endpoint (MQTT state) --\
//!                                                    Inbound --> feed (before the commit), store --> ack (after it)
//! external broker:  rumqttc, one for all agents ---/
//! ```

pub mod broker;
pub mod conversation;
pub mod door;
pub mod endpoint;
pub mod enrolment;
pub mod inbound;
pub mod quota;
pub mod recent;
pub mod roll;
pub mod run;
pub mod tended;
pub mod tending;

use crate::feed::Item;
use crate::ledger::Outbox;
use crate::limits::Ears;
use crate::store::Store;
use cotside_protocol::model::Wall;
use cotside_protocol::wire::topic::AgentId;
use cotside_protocol::wire::upstream::Status;
use cotside_systemd::clock::Clock;
use roll::Roll;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Items on their way to the unit: a second of a hundred beds. An agent whose item finds it full waits.
pub const FEED: usize = 1024;

/// What every connection shares.
pub struct House {
    pub clock: Clock,
    pub store: Store,
    pub rules: inbound::Rules,
    pub feed: mpsc::Sender<Item>,
    pub recent: recent::run::Recent,
    pub tending: tending::run::Tending,
    /// What the agents say of their limits.
    pub ears: Ears,
    roll: Arc<Mutex<Roll>>,
    /// Whether the last commit held.
    stores: AtomicBool,
    /// What the first one that did not hold met.
    trouble: Mutex<String>,
    /// What each agent said last that it still holds.
    outboxes: Mutex<BTreeMap<AgentId, Outbox>>,
}

impl House {
    pub fn new(clock: Clock, store: Store, rules: inbound::Rules, feed: mpsc::Sender<Item>) -> Self {
        Self {
            clock,
            store,
            rules,
            feed,
            recent: recent::run::Recent::default(),
            tending: tending::run::Tending::default(),
            ears: Ears::default(),
            roll: Arc::default(),
            stores: AtomicBool::new(true),
            trouble: Mutex::default(),
            outboxes: Mutex::default(),
        }
    }

    /// Notes that a commit held.
    pub fn stored(&self) {
        self.stores.store(true, Ordering::Relaxed);
    }

    /// Notes that one did not. True: the one before it did.
    pub fn not_stored(&self, why: &str) -> bool {
        let is_first = self.stores.swap(false, Ordering::Relaxed);
        if is_first {
            why.clone_into(&mut self.trouble.lock().unwrap_or_else(PoisonError::into_inner));
        }
        is_first
    }

    /// What the store said when it last began to fail.
    pub fn trouble(&self) -> String {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn stores(&self) -> bool {
        self.stores.load(Ordering::Relaxed)
    }

    /// Notes what an agent says that it still holds.
    pub fn holds(&self, agent: &AgentId, status: &Status) {
        let age_us = i64::try_from(status.outbox.oldest_ms).unwrap_or(i64::MAX).saturating_mul(1000);
        let oldest = Wall(status.wall_us.saturating_sub(age_us));
        let outbox = Outbox { at: Wall(status.wall_us), rows: status.outbox.waiting_rows, oldest };
        self.outboxes.lock().unwrap_or_else(PoisonError::into_inner).insert(agent.clone(), outbox);
    }

    pub fn outboxes(&self) -> BTreeMap<AgentId, Outbox> {
        self.outboxes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Held for a look, never across an await.
    pub fn roll(&self) -> MutexGuard<'_, Roll> {
        // Its methods leave it whole at every step, so a panic elsewhere spoils nothing.
        self.roll.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
