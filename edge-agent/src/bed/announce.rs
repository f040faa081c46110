//! The full alarm state as it goes out, beat by beat, and what comes back of it.

use super::core::{ANNOUNCE_EVERY, Bed, Output};
use super::signals::Signals;
use super::watch::Monitoring;
use crate::alarm::Input as Alarming;
use crate::row::UplinkRequest;
use cotside_protocol::model::{Alarm, Now};
use cotside_protocol::wire::upstream::{Announce, Pause, Standby};
use cotside_protocol::wire::{convert, downstream};

/// What of the bed's signals people hold back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HeldBack {
    pub(super) pause: Option<Pause>,
    pub(super) standby: Option<Standby>,
}

impl Bed {
    pub(super) fn holds_back(&self) -> HeldBack {
        let pause = self.engine.pause().map(|pause| Pause {
            until_us: pause.until.0,
            by: pause.by.to_string(),
            up_to: convert::priority(pause.up_to),
        });
        let standby = self.engine.standby().map(|standby| Standby {
            until_us: standby.until.0,
            by: standby.by.to_string(),
            reason: standby.reason.to_string(),
        });
        HeldBack { pause, standby }
    }

    pub(super) fn limits_version(&self) -> u64 {
        self.engine.limits().version
    }

    pub(super) fn limits_in_force(&self) -> downstream::Limits {
        let bed = self.orders.bed.as_deref().unwrap_or_default();
        self.orders
            .limits
            .clone()
            .unwrap_or_else(|| convert::limit_set_out(self.engine.limits(), "configuration", "", bed))
    }

    /// Central monitoring holds, or the engine alarms; it has waited for a whole lease before it says so.
    pub(super) fn judge_watch(&mut self, now: Now) {
        let Some(watching) = &self.watching else { return };
        let judged = watching.judge(now.mono);
        if self.monitoring == judged {
            return;
        }
        let (hub, undelivered) = match &judged {
            Monitoring::Held => (Ok(()), None),
            Monitoring::Missing { words, is_urgent } => {
                (Err(words.as_str()), is_urgent.then_some(words.as_str()))
            }
        };
        self.engine.handle(now, Alarming::Hub(hub));
        self.engine.handle(now, Alarming::Undelivered(undelivered));
        self.monitoring = judged;
    }

    /// The full state: every open episode, and those that ended just now.
    pub(super) fn announce(&mut self, now: Now, changed: &[Alarm]) {
        self.beat += 1;
        let open: Vec<Alarm> = self.engine.open().collect();
        if let Some(watching) = &mut self.watching {
            watching.drew(now.mono, self.beat, &open);
        }
        let held_back = self.holds_back();
        let signals = Signals::of(&open, self.engine.pause().map(|pause| pause.until));
        if self.signals != signals {
            self.signals = signals.clone();
            self.outputs.push_back(Output::Signals(signals));
        }
        let ended = changed.iter().filter(|alarm| alarm.ended_at.is_some());
        let announce = Announce {
            epoch: String::new(),
            wall_us: now.wall.0,
            beat: self.beat,
            alarms: open.iter().chain(ended).map(convert::alarm).collect(),
            standby: held_back.standby.clone(),
            pause: held_back.pause.clone(),
            stay: self.orders.stay_id().map(str::to_owned),
        };
        self.held_back = held_back;
        self.announce_at = now.mono + ANNOUNCE_EVERY;
        self.outputs.push_back(Output::Uplink(UplinkRequest::Announce(announce)));
    }
}
