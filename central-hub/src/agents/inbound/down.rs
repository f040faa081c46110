//! What the hub says of itself: its heartbeat with who watches and who lies there, people's commands, limits.
//!
//! Nothing here is sent for another bed than the one this agent serves, nor another epoch's lease for this one's.

use super::{Inbound, Output, Phase, json};
use crate::agents::tended::{COMMANDS_MAX, Tended};
use cotside_protocol::model::{Mono, Now};
use cotside_protocol::wire::convert::hex;
use cotside_protocol::wire::downstream::{Alive, Limits, Watch};
use cotside_protocol::wire::topic::Downstream;
use cotside_protocol::wire::upstream::Status;
use std::time::Duration;

/// The hub's heartbeat.
pub(super) const ALIVE_EVERY: Duration = Duration::from_secs(1);
/// A lease that only moves on is said with the next heartbeat, which then comes earlier, but not more often than this.
const ALIVE_SOON: Duration = Duration::from_millis(250);
/// The agent says every ten seconds which limits are in force; a set that it should have is then sent again.
const LIMITS_AGAIN: Duration = Duration::from_secs(10);

/// What was said on this connection, since its hello.
#[derive(Debug, Default)]
pub(super) struct Down {
    pub(super) bed: Option<String>,
    tended: Tended,
    alive_at: Mono,
    /// When the last heartbeat went out.
    said_at: Mono,
    /// Names of the commands that were sent.
    sent: Vec<String>,
    /// The version in force, as the agent said it. None: not yet, so nothing is pushed.
    in_force: Option<u64>,
    refused: Option<u64>,
    /// The set sent last, and when.
    pushed: Option<(u64, Mono)>,
}

impl Down {
    pub(super) fn hello(&mut self, now: Mono, bed: Option<String>) {
        let tended = std::mem::take(&mut self.tended);
        *self = Self { bed, tended, alive_at: now, ..Self::default() };
    }

    pub(super) fn serve(&mut self, bed: Option<String>) {
        self.tended = Tended::default();
        self.sent.clear();
        self.pushed = None;
        self.bed = bed;
    }

    pub(super) fn take(&mut self, now: Mono, tended: Tended) {
        if tended.is_urgent_after(&self.tended) {
            self.alive_at = now;
        } else if tended.watch != self.tended.watch {
            self.alive_at = self.alive_at.min((self.said_at + ALIVE_SOON).max(now));
        }
        self.tended = tended;
    }

    /// The agent says what it watches by.
    pub(super) fn confirms(&mut self, status: &Status) {
        if let Some(limits) = &status.limits {
            self.in_force = Some(limits.version);
        }
        self.refused = status.limits_refused.as_ref().map(|refused| refused.version);
    }

    pub(super) fn deadline(&self) -> Mono {
        self.alive_at
    }

    fn watch(&self, epoch: &str) -> Option<Watch> {
        let watch = self.tended.watch.as_ref()?;
        Some(match watch.epoch == epoch {
            true => watch.clone(),
            false => {
                Watch { epoch: epoch.to_owned(), beat: None, why: "not shown at any station yet".to_owned() }
            }
        })
    }

    /// The set to send now, if one is due.
    fn limits_due(&mut self, now: Mono) -> Option<&Limits> {
        let wanted = self.tended.limits.as_deref()?;
        let in_force = self.in_force?;
        let is_ours = wanted.bed.is_empty() || Some(&wanted.bed) == self.bed.as_ref();
        let is_known = self.refused == Some(wanted.version);
        let is_on_its_way = self
            .pushed
            .is_some_and(|(version, at)| version == wanted.version && now.since(at) < LIMITS_AGAIN);
        if !is_ours || is_known || is_on_its_way || wanted.version <= in_force {
            return None;
        }
        self.pushed = Some((wanted.version, now));
        Some(wanted)
    }
}

impl Inbound {
    /// Everything that is due to be said. Nothing is, while this hub cannot commit: it then is no hub to rely on.
    pub(super) fn say(&mut self, now: Now) {
        let is_stuck = self.is_stuck(now.mono);
        let Phase::Open(open) = &self.phase else { return };
        let (epoch, down) = (hex(open.lanes.epoch().0), &mut self.down);
        if open.refused.is_none() && down.bed.is_some() {
            down.tended.commands.truncate(COMMANDS_MAX);
            let Tended { commands, .. } = &down.tended;
            down.sent.retain(|id| commands.iter().any(|command| command.id == *id));
            for command in commands {
                let is_ours = Some(&command.bed) == down.bed.as_ref();
                if is_ours && now.wall.0 < command.expires_us && !down.sent.contains(&command.id) {
                    down.sent.push(command.id.clone());
                    self.outputs.push_back(Output::Send(Downstream::Command, json(command)));
                }
            }
            if let Some(limits) = down.limits_due(now.mono) {
                self.outputs.push_back(Output::Send(Downstream::Limits, json(limits)));
            }
        }
        if now.mono >= down.alive_at {
            (down.said_at, down.alive_at) = (now.mono, now.mono + ALIVE_EVERY);
            if !is_stuck {
                let is_served = open.refused.is_none() && down.bed.is_some();
                let alive = Alive {
                    store: self.rules.store.to_string(),
                    hub_wall_us: now.wall.0,
                    watch: down.watch(&epoch).filter(|_| is_served),
                    stay: down.tended.stay.clone().filter(|_| is_served),
                };
                self.outputs.push_back(Output::Send(Downstream::Alive, json(&alive)));
            }
        }
    }
}
