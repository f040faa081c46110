//! A person's word from afar: for this bed, in time, within bounds, and applied once however often it comes (hazards H6, S1).

use super::core::{Bed, Output};
use super::kept::Keep;
use crate::alarm::{Act, Refused};
use crate::row::UplinkRequest;
use cotside_protocol::model::{DeviceText, EpisodeId, Now, Wall};
use cotside_protocol::wire::convert::from_hex;
use cotside_protocol::wire::downstream::{self, Command};
use cotside_protocol::wire::upstream::{Outcome, Record, Refusal, Reply};
use std::collections::VecDeque;
use std::time::Duration;

/// Commands remembered, so that one that comes again is answered again and applied no more; they expire long before as many follow.
const REMEMBERED_MAX: usize = 64;
/// The sound of a bed is paused for two minutes at most: not the site's to choose.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(120);
/// The hub's clock is estimated: a command may seem to be made this much after now.
const CLOCKS_DIFFER_US: i64 = 2_000_000;

type Refusing = (Refusal, String);

/// What became of the last commands, by their ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Commands(VecDeque<(u64, Outcome)>);

impl Commands {
    fn outcome(&self, id: u64) -> Option<&Outcome> {
        self.0.iter().find(|(known, _)| *known == id).map(|(_, outcome)| outcome)
    }

    fn remember(&mut self, id: u64, outcome: Outcome) {
        if self.0.len() >= REMEMBERED_MAX {
            self.0.pop_front();
        }
        self.0.push_back((id, outcome));
    }

    /// For the next life: the ids of what was applied.
    fn kept(&self) -> String {
        let done = self.0.iter().filter(|(_, outcome)| *outcome == Outcome::Done);
        done.map(|(id, _)| format!("{id:016x}\n")).collect()
    }

    pub(super) fn from_kept(text: &str) -> Self {
        let ids = text.lines().filter_map(from_hex).take(REMEMBERED_MAX);
        Self(ids.map(|id| (id, Outcome::Done)).collect())
    }
}

impl Bed {
    pub(super) fn command(&mut self, now: Now, command: Command) {
        let Some(id) = from_hex(&command.id) else {
            // Without an id it could be applied twice, and its reply would reach nobody.
            tracing::warn!("a command without a readable id is ignored");
            return;
        };
        if let Some(outcome) = self.commands.outcome(id).cloned() {
            return self.reply(&command, outcome);
        }
        let outcome = outcome(self.apply(now, &command));
        self.commands.remember(id, outcome.clone());
        if outcome == Outcome::Done {
            self.outputs.push_back(Output::Keep(Keep::Commands, self.commands.kept()));
        }
        self.record(now, &Record::Commanded { command: harmless(&command), outcome: outcome.clone() });
        self.reply(&command, outcome);
    }

    /// A word said at the bed itself: needs no hub and no clock but the engine's own.
    pub(super) fn act_here(&mut self, now: Now, by: &DeviceText, act: downstream::Act) -> Result<(), String> {
        let done = self.within(&act).and_then(|act| self.act(now, by, &act));
        self.said_here += 1;
        let command = Command {
            id: format!("{:08x}{:08x}", self.setup.boot, self.said_here),
            bed: self.orders.bed.clone().unwrap_or_default(),
            by: by.to_string(),
            station: None,
            issued_us: now.wall.0,
            expires_us: now.wall.0,
            act,
        };
        let outcome = outcome(done.clone());
        self.record(now, &Record::Commanded { command, outcome });
        done.map_err(|(_, words)| words)
    }

    fn apply(&mut self, now: Now, command: &Command) -> Result<(), Refusing> {
        if self.orders.bed.as_deref() != Some(command.bed.as_str()) {
            let words = self.orders.bed.as_ref().map_or_else(
                || "this agent does not know yet which bed it serves".to_owned(),
                |bed| format!("this agent serves bed {bed}"),
            );
            return Err((Refusal::OtherBed, words));
        }
        in_time(command, self.own_clock.hub_now(now))?;
        let act = self.within(&command.act)?;
        self.act(now, &DeviceText::new(&command.by), &act)
    }

    fn act(&mut self, now: Now, by: &DeviceText, act: &Act) -> Result<(), Refusing> {
        self.engine.act(now, by, act).map_err(refusing)?;
        if *act == Act::AcceptLimits {
            self.limits_accepted();
        }
        Ok(())
    }

    /// What the engine is asked to do, if this agent lets anybody ask for it.
    fn within(&self, act: &downstream::Act) -> Result<Act, Refusing> {
        Ok(match act {
            downstream::Act::Acknowledge { episode: id, version } => {
                Act::Acknowledge { episode: episode(id)?, version: *version }
            }
            downstream::Act::Reset { episode: id, version } => {
                Act::Reset { episode: episode(id)?, version: *version }
            }
            downstream::Act::PauseAudio { seconds } => {
                Act::PauseAudio(span(*seconds, PAUSE_MAX, "an audio pause")?)
            }
            downstream::Act::EndPause => Act::EndPause,
            downstream::Act::Standby { seconds, reason } => {
                let span = span(*seconds, self.setup.standby_max, "a standby")?;
                Act::Standby(span, DeviceText::new(reason))
            }
            downstream::Act::EndStandby => Act::EndStandby,
            downstream::Act::AcceptLimits { version } if *version == self.limits_version() => {
                Act::AcceptLimits
            }
            downstream::Act::AcceptLimits { .. } => {
                let words = format!("version {} is in force", self.limits_version());
                return Err((Refusal::Superseded, words));
            }
        })
    }

    fn reply(&mut self, command: &Command, outcome: Outcome) {
        let reply = Reply { command: command.id.clone(), outcome };
        self.outputs.push_back(Output::Uplink(UplinkRequest::Reply(reply)));
    }
}

fn outcome(done: Result<(), Refusing>) -> Outcome {
    match done {
        Ok(()) => Outcome::Done,
        Err((why, words)) => Outcome::Refused { why, words },
    }
}

fn refusing(refused: Refused) -> Refusing {
    match refused {
        Refused::Unknown => (Refusal::Unknown, "no such alarm is open".to_owned()),
        Refused::Superseded => (Refusal::Superseded, "it has called again since".to_owned()),
        Refused::NotAllowed => (Refusal::NotAllowed, "this alarm does not allow it".to_owned()),
    }
}

/// By the hub's clock, as far as it is known here.
fn in_time(command: &Command, hub_now: Option<Wall>) -> Result<(), Refusing> {
    let refused = |words: &str| Err((Refusal::Expired, words.to_owned()));
    let Some(hub_now) = hub_now else { return refused("the hub's clock is not known here yet") };
    let longest = i64::try_from(Command::EXPIRES_AFTER_MS * 1_000).unwrap_or(i64::MAX) + CLOCKS_DIFFER_US;
    if command.expires_us < hub_now.0 {
        refused("it came too late")
    } else if command.expires_us - hub_now.0 > longest {
        refused("it claims to hold for longer than any may")
    } else {
        Ok(())
    }
}

fn episode(id: &str) -> Result<EpisodeId, Refusing> {
    from_hex(id).map(EpisodeId).ok_or_else(|| refusing(Refused::Unknown))
}

fn span(seconds: u32, max: Duration, what: &str) -> Result<Duration, Refusing> {
    let span = Duration::from_secs(u64::from(seconds));
    if span.is_zero() || span > max {
        return Err((Refusal::NotAllowed, format!("{what} lasts 1 to {} s", max.as_secs())));
    }
    Ok(span)
}

/// As it goes on record: what people wrote in it is text from outside.
fn harmless(command: &Command) -> Command {
    let clean = |text: &str| DeviceText::new(text).to_string();
    let mut command = command.clone();
    command.bed = clean(&command.bed);
    command.by = clean(&command.by);
    command.station = command.station.as_deref().map(clean);
    match &mut command.act {
        downstream::Act::Standby { reason, .. } => *reason = clean(reason),
        downstream::Act::Acknowledge { episode, .. } | downstream::Act::Reset { episode, .. } => {
            *episode = clean(episode);
        }
        downstream::Act::PauseAudio { .. }
        | downstream::Act::EndPause
        | downstream::Act::EndStandby
        | downstream::Act::AcceptLimits { .. } => {}
    }
    command
}
