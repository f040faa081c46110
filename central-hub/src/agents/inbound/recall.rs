//! Epochs of an agent's log: the present one, and earlier ones that are recalled because the hub may lack some of them.

use super::intake::Why;
use super::lane::Lanes;
use super::{Inbound, Open, Output, Phase, Refusal, ack};
use crate::store::blocks::Known;
use crate::store::lives::Life;
use cotside_protocol::wire::block::Epoch;
use cotside_protocol::wire::convert::from_hex;
use cotside_protocol::wire::upstream::{Hello, PastEpoch, Recall};

/// What a hello says of its epoch. None: it is no epoch.
pub(super) fn present(hello: &Hello) -> Option<Life> {
    Some(Life {
        epoch: epoch(&hello.epoch)?,
        predecessor: hello.predecessor.as_deref().and_then(epoch).filter(|_| !hello.in_memory),
        first: hello.first,
        confirmed: hello.confirmed,
        confirmed_by: hello.confirmed_by.clone(),
        is_present: true,
        is_disputed: false,
    })
}

fn past(past: &PastEpoch) -> Option<Life> {
    Some(Life {
        epoch: epoch(&past.epoch)?,
        predecessor: past.predecessor.as_deref().and_then(epoch),
        first: past.first,
        confirmed: past.confirmed,
        confirmed_by: past.confirmed_by.clone(),
        is_present: false,
        is_disputed: past.disputed,
    })
}

fn epoch(text: &str) -> Option<Epoch> {
    from_hex(text).map(Epoch)
}

impl Inbound {
    pub(super) fn recall(&mut self, recall: &Recall) {
        let Phase::Open(open) = &self.phase else { return };
        let lives: Option<Vec<Life>> = recall.epochs.iter().map(past).collect();
        let Some(lives) = lives.filter(|lives| lives.len() <= Recall::EPOCHS_MAX) else {
            return self.trouble("malformed", "a recall of what is no epoch, or of too many");
        };
        if open.refused.is_none() && lives.iter().all(|life| life.epoch != open.lanes.epoch()) {
            self.outputs.push_back(Output::Recall(lives));
        }
    }

    pub(super) fn recalled(&mut self, known: Vec<(Epoch, Vec<Known>)>) {
        let Phase::Open(open) = &mut self.phase else { return };
        open.recalled = known.into_iter().map(|(epoch, known)| Lanes::new(epoch, known)).collect();
        for lanes in &open.recalled {
            self.outputs.push_back(ack(&self.rules, lanes.epoch(), lanes.acks()));
        }
    }
}

impl Open {
    pub(super) fn lanes_of(&mut self, epoch: Epoch) -> Option<&mut Lanes> {
        std::iter::once(&mut self.lanes).chain(&mut self.recalled).find(|lanes| lanes.epoch() == epoch)
    }

    /// The epoch of a message, if rows of it are taken now; a message without rows counts for the present one.
    pub(super) fn of(&self, epoch: Option<Epoch>, live: bool) -> Result<Epoch, Why> {
        let epoch = epoch.unwrap_or(self.lanes.epoch());
        let is_recalled = !live && self.recalled.iter().any(|lanes| lanes.epoch() == epoch);
        if epoch == self.lanes.epoch() || is_recalled {
            return Ok(epoch);
        }
        Err((Refusal::NotAllowed, "a block of an epoch that was neither greeted nor recalled"))
    }
}
