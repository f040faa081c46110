//! What people ask of a bed: checked against the newest version that is known, then sent to its agent, who decides (H6, H16, S1).

use super::Entry;
use super::bed::{Bed, Fate, Sent, text};
use super::desk::Desk;
use super::duty::State;
use crate::agents::tended::COMMANDS_MAX;
use cotside_protocol::model::Now;
use cotside_protocol::wire::downstream::{Act, Command};
use cotside_protocol::wire::upstream::{self, Condition, Reply};
use std::time::Duration;

/// A person's word, with the person, and the station it was said at.
#[derive(Clone, Debug)]
pub struct Wish {
    /// 16 hex digits; the same wish said again has the same.
    pub id: String,
    pub bed: String,
    pub by: String,
    pub station: Option<String>,
    pub act: Act,
}

/// An answer to being called for an alarm.
#[derive(Clone, Debug)]
pub struct Asked {
    pub bed: String,
    pub episode: String,
    pub by: String,
    pub station: Option<String>,
    pub answer: Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Accept,
    Reject,
    Withdraw,
}

/// A command on its way to the bed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Requested {
    pub command: String,
    pub state: &'static str,
}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    NoBed,
    UnknownEpisode,
    Superseded,
    NotLatched,
    NotAccepted,
    NotReachable,
    Busy,
}

const EXPIRES_AFTER: Duration = Duration::from_millis(Command::EXPIRES_AFTER_MS);

impl Desk {
    /// Asks the bed's agent for something.
    pub fn wish(&mut self, now: Now, wish: Wish) -> Result<Requested, Refused> {
        let bed = self.beds.get_mut(&wish.bed).ok_or(Refused::NoBed)?;
        let is_known = bed.asked.iter().any(|sent| sent.command.id == wish.id) || bed.over.contains(&wish.id);
        if is_known {
            return Ok(Requested { command: wish.id, state: "requested" });
        }
        let (episode, version) = match &wish.act {
            Act::Acknowledge { episode, version } | Act::Reset { episode, version } => {
                let watched = bed.alarms.get(episode).ok_or(Refused::UnknownEpisode)?;
                let alarm = &watched.alarm;
                // Nobody has seen a version that there is not.
                if *version < alarm.attention || *version > alarm.version {
                    return Err(Refused::Superseded);
                }
                if matches!(wish.act, Act::Reset { .. }) && alarm.condition != Condition::Latched {
                    return Err(Refused::NotLatched);
                }
                (episode.clone(), *version)
            }
            Act::PauseAudio { .. }
            | Act::EndPause
            | Act::Standby { .. }
            | Act::EndStandby
            | Act::AcceptLimits { .. } => (String::new(), 0),
        };
        if !bed.is_reachable(now.mono) {
            return Err(Refused::NotReachable);
        }
        if bed.commands().len() >= COMMANDS_MAX {
            return Err(Refused::Busy);
        }
        let expires = now.after(EXPIRES_AFTER);
        let command = Command {
            id: wish.id.clone(),
            bed: wish.bed.clone(),
            by: wish.by.clone(),
            station: wish.station.clone(),
            issued_us: now.wall.0,
            expires_us: expires.wall.0,
            act: wish.act,
        };
        let detail = words(&command.act);
        bed.asked.push(Sent { command, expires: expires.mono, fate: Fate::Waiting });
        bed.remember(&wish.id);
        self.log(Entry {
            at: now.wall,
            bed: wish.bed.clone(),
            episode,
            version,
            what: "requested",
            by: Some(wish.by),
            station: wish.station,
            detail,
        });
        self.tend(&wish.bed);
        self.changed(&wish.bed);
        Ok(Requested { command: wish.id, state: "requested" })
    }

    /// A person answers for an alarm, or does not. Silences nothing.
    pub fn answer(&mut self, now: Now, asked: Asked) -> Result<(), Refused> {
        let ladders = self.rules.escalation.clone();
        let bed = self.beds.get_mut(&asked.bed).ok_or(Refused::NoBed)?;
        let watched = bed.alarms.get_mut(&asked.episode).ok_or(Refused::UnknownEpisode)?;
        let version = watched.alarm.version;
        let ladder = ladders.of(super::desk::priority(watched.alarm.priority));
        let duty = watched.duty.as_mut();
        let (what, has_risen) = match (asked.answer, duty) {
            (Answer::Accept, Some(duty)) => {
                duty.state = State::Accepted(asked.by.clone());
                ("accepted", false)
            }
            (Answer::Reject, Some(duty)) => ("rejected", duty.reject(&asked.by, ladder)),
            (Answer::Withdraw, Some(duty)) if matches!(duty.state, State::Accepted(_)) => {
                duty.withdraw(now.mono);
                ("withdrawn", false)
            }
            (_, _) => return Err(Refused::NotAccepted),
        };
        self.log(Entry {
            at: now.wall,
            bed: asked.bed.clone(),
            episode: asked.episode.clone(),
            version,
            what,
            by: Some(asked.by),
            station: asked.station,
            detail: String::new(),
        });
        if has_risen {
            self.tell_tier(now, &asked.bed, &asked.episode);
        }
        self.changed(&asked.bed);
        Ok(())
    }

    /// What became of a command. Only of one that was sent to the bed which this agent serves.
    pub(super) fn reply(&mut self, now: Now, bed: &str, reply: &Reply) {
        let Some(place) = self.beds.get_mut(bed) else { return };
        let waiting = |sent: &&mut Sent| sent.command.id == reply.command && sent.fate == Fate::Waiting;
        let Some(sent) = place.asked.iter_mut().find(waiting) else { return };
        let command = sent.command.clone();
        let (what, detail) = match &reply.outcome {
            upstream::Outcome::Done => {
                sent.fate = Fate::Done;
                ("done", String::new())
            }
            upstream::Outcome::Refused { words, .. } => {
                Bed::refuse(sent, now.mono, words);
                ("refused", text(words))
            }
        };
        self.log_command(now, &command, what, detail);
        self.tend(bed);
        self.changed(bed);
    }

    pub(super) fn log_command(&mut self, now: Now, command: &Command, what: &'static str, detail: String) {
        let (episode, version) = match &command.act {
            Act::Acknowledge { episode, version } | Act::Reset { episode, version } => {
                (episode.clone(), *version)
            }
            _ => (String::new(), 0),
        };
        let detail = if detail.is_empty() { words(&command.act) } else { detail };
        self.log(Entry {
            at: now.wall,
            bed: command.bed.clone(),
            episode,
            version,
            what,
            by: Some(command.by.clone()),
            station: command.station.clone(),
            detail,
        });
    }
}

/// The stable word of an act.
pub(super) const fn word(act: &Act) -> &'static str {
    match act {
        Act::Acknowledge { .. } => "acknowledge",
        Act::Reset { .. } => "reset",
        Act::PauseAudio { .. } => "pause-audio",
        Act::EndPause => "end-pause",
        Act::Standby { .. } => "standby",
        Act::EndStandby => "end-standby",
        Act::AcceptLimits { .. } => "accept-limits",
    }
}

fn words(act: &Act) -> String {
    match act {
        Act::PauseAudio { seconds } => format!("pause-audio {seconds} s"),
        Act::Standby { seconds, reason } => format!("standby {seconds} s: {reason}"),
        Act::AcceptLimits { version } => format!("accept-limits {version}"),
        act => word(act).to_owned(),
    }
}
