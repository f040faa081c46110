//! What people do at this bed: acknowledge, reset, pause the sound, stand by for a procedure, accept limits.

use super::engine::{Engine, Input};
use super::episode::{Episode, Held, State};
use super::verdict::Hold;
use cotside_protocol::model::{AlarmKind, DeviceText, Ended, EpisodeId, Mono, Now, Priority, Wall};
use std::collections::BTreeSet;
use std::time::Duration;

/// A person's word. Applied whole or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Ends the sound of this episode until it asks for attention anew; one that is latched it ends.
    Acknowledge {
        episode: EpisodeId,
        version: u32,
    },
    /// Ends an episode that is latched.
    Reset {
        episode: EpisodeId,
        version: u32,
    },
    /// Silences the bed for so long.
    PauseAudio(Duration),
    EndPause,
    /// A procedure, and why: the patient's alarms are held back, extremes not.
    Standby(Duration, DeviceText),
    EndStandby,
    /// The limits that were reset are seen, and good.
    AcceptLimits,
}

/// Why a person's word was not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No such episode is open.
    Unknown,
    /// It has asked for attention anew since that version.
    Superseded,
    /// Beyond what this agent allows.
    NotAllowed,
}

/// The sound of the bed is off, for a short time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    pub until: Wall,
    pub by: DeviceText,
    /// The highest priority that it silences: a higher one breaks through.
    pub up_to: Priority,
    pub(super) begun_at: Wall,
    pub(super) ends_at: Mono,
    /// What was open when the person decided. Some alarms are silenced only for those who saw them.
    pub(super) seen: BTreeSet<EpisodeId>,
}

/// The patient's alarms are held back for a procedure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standby {
    pub until: Wall,
    pub by: DeviceText,
    pub reason: DeviceText,
    pub(super) begun_at: Wall,
    pub(super) ends_at: Mono,
}

impl Engine {
    /// A person's word: applied at once, or refused and nothing has changed.
    pub fn act(&mut self, now: Now, by: &DeviceText, act: &Act) -> Result<(), Refused> {
        let now = self.advance(now);
        let bounded = |span: Duration, most: Duration| {
            if span.is_zero() || span > most { Err(Refused::NotAllowed) } else { Ok(span) }
        };
        match act {
            Act::Acknowledge { episode, version } => {
                let reminder = self.policy.reminder;
                let episode = self.find(*episode, *version)?;
                episode.acknowledge(now, by, reminder);
                let seen = episode.rule;
                // One value, one look: the milder limits that it is beyond as well.
                let milder = self.episodes.values_mut().filter(|episode| episode.rule.is_milder(seen));
                milder
                    .filter(|episode| episode.is_shown())
                    .for_each(|episode| episode.acknowledge(now, by, reminder));
            }
            Act::Reset { episode, version } => {
                let episode = self.find(*episode, *version)?;
                if !matches!(episode.state(), State::Latched { .. }) {
                    return Err(Refused::NotAllowed);
                }
                episode.end(now, Ended::Reset);
            }
            Act::PauseAudio(span) => {
                let span = bounded(*span, self.policy.pause_max)?;
                let shown = || self.episodes.values().filter(|episode| episode.is_shown());
                self.pause = Some(Pause {
                    until: now.wall + span,
                    by: by.clone(),
                    up_to: shown()
                        .map(|episode| episode.finding.priority)
                        .fold(Priority::Medium, Priority::max),
                    begun_at: now.wall,
                    ends_at: now.mono + span,
                    seen: shown().map(|episode| episode.id).collect(),
                });
            }
            Act::EndPause => self.pause = None,
            Act::Standby(span, reason) => {
                let span = bounded(*span, self.policy.standby_max)?;
                self.standby = Some(Standby {
                    until: now.wall + span,
                    by: by.clone(),
                    reason: reason.clone(),
                    begun_at: now.wall,
                    ends_at: now.mono + span,
                });
            }
            Act::EndStandby => self.standby = None,
            Act::AcceptLimits => self.house.limits_reset = false,
        }
        self.handle(now, Input::Timeout);
        Ok(())
    }

    fn find(&mut self, id: EpisodeId, version: u32) -> Result<&mut Episode, Refused> {
        let found = self.episodes.values_mut().find(|episode| episode.id == id);
        let episode = found.filter(|episode| version <= episode.version()).ok_or(Refused::Unknown)?;
        if version < episode.attention() { Err(Refused::Superseded) } else { Ok(episode) }
    }

    /// The sound of the bed is off.
    pub fn pause(&self) -> Option<&Pause> {
        self.pause.as_ref()
    }

    /// The patient's alarms are held back.
    pub fn standby(&self) -> Option<&Standby> {
        self.standby.as_ref()
    }

    /// Ends what has had its time, and brings every episode in step with what is left.
    pub(super) fn hold(&mut self, now: Mono) {
        self.pause.take_if(|pause| pause.ends_at <= now);
        self.standby.take_if(|standby| standby.ends_at <= now);
        for episode in self.episodes.values_mut() {
            let held = held(episode, self.pause.as_ref(), self.standby.as_ref());
            episode.hold(held.as_ref());
        }
    }
}

/// How long, and on whose word, the bed as a whole holds back the sound of this one.
fn held(episode: &Episode, pause: Option<&Pause>, standby: Option<&Standby>) -> Option<Held> {
    if !episode.is_shown() {
        return None;
    }
    let pause = pause.filter(|pause| {
        let may = match episode.can_hold() {
            Hold::Free => true,
            Hold::Seen => pause.seen.contains(&episode.id),
            Hold::Never => false,
        };
        may && episode.finding.priority <= pause.up_to
    });
    let is_patients = episode.rule.kind() == AlarmKind::Physiological;
    let standby = standby.filter(|_| is_patients && episode.can_hold() == Hold::Free);
    let pause = pause.map(|pause| Held { until: pause.until, by: pause.by.clone() });
    let standby = standby.map(|standby| Held { until: standby.until, by: standby.by.clone() });
    [pause, standby].into_iter().flatten().max_by_key(|held| held.until)
}
