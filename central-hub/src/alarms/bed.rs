//! One bed as the desk knows it: what its agent says alarms, who is called for each, and what people have asked of it.

use super::cover::{Covered, Shown};
use super::duty::{Duty, Nurses};
use cotside_protocol::model::{DeviceText, Mono, Now};
use cotside_protocol::wire::downstream::Command;
use cotside_protocol::wire::topic::AgentId;
use cotside_protocol::wire::upstream::{Alarm, Announce, Condition, Inactivation, Pause, Priority, Standby};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// A bed's agent says something every second: silent for so long, its bed is offline.
pub(super) const OFFLINE_AFTER: Duration = Duration::from_secs(6);
/// An alarm older than this when it is first heard of was raised while nobody could be told.
pub(super) const LATE_AFTER_US: i64 = 10_000_000;
/// More than an agent can announce at once.
const OPEN_MAX: usize = 1024;
/// How long a refusal, or a command that nobody answered, is shown to people.
const TOLD_FOR: Duration = Duration::from_secs(5);
/// Commands remembered, so that one that comes again is one.
const REMEMBERED: usize = 64;
/// Episodes remembered as known, so that their rows are not late.
const KNOWN: usize = 512;
/// Clocks that differ by less agree.
const SKEW_MIN_US: u64 = 1_000_000;

#[derive(Clone, Debug, Default)]
pub(super) struct Bed {
    pub agent: Option<AgentId>,
    pub is_connected: bool,
    pub heard: Option<Mono>,
    /// None: it was not heard since, and an alarm says so.
    pub offline: Option<Mono>,
    pub epoch: Arc<str>,
    pub beat: u64,
    pub demand: Option<Priority>,
    pub alarms: BTreeMap<String, Watched>,
    pub pause: Option<Pause>,
    pub standby: Option<Standby>,
    pub stay: Option<String>,
    pub nurses: Nurses,
    pub covered: Covered,
    /// Since when it has an agent and no station shows it.
    pub bare: Option<Mono>,
    pub asked: Vec<Sent>,
    /// Names of commands that are over.
    pub over: VecDeque<String>,
    pub known: VecDeque<String>,
    /// The hub's wall clock minus the agent's.
    pub skew_us: i64,
}

/// An alarm that is open at the bed.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub alarm: Alarm,
    /// The first beat with it as it asks for attention now.
    pub since_beat: u64,
    pub duty: Option<Duty>,
    pub painted: BTreeSet<String>,
    pub sounded: BTreeSet<String>,
    /// It was raised before it could be told.
    pub late: bool,
}

/// A command on its way.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub command: Command,
    pub expires: Mono,
    pub fate: Fate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Waiting,
    /// The agent did it; its next announce shows it.
    Done,
    /// Shown until then, in words.
    Failed(&'static str, String, Mono),
}

/// What an announce changed.
#[derive(Clone, Debug, Default)]
pub(super) struct News {
    pub changed: bool,
    /// Episodes that ask for attention, for the first time or anew.
    pub asking: Vec<(String, u32)>,
    pub ended: Vec<(String, u32)>,
}

impl Bed {
    /// Another agent serves it, or none: what the last one said is no news of this bed.
    pub(super) fn serve(&mut self, agent: Option<AgentId>) {
        let nurses = std::mem::take(&mut self.nurses);
        *self = Self { agent, nurses, ..Self::default() };
    }

    pub(super) fn is_reachable(&self, now: Mono) -> bool {
        self.is_connected && self.heard.is_some_and(|at| now.since(at) < OFFLINE_AFTER)
    }

    pub(super) fn shown(&self) -> Option<Shown> {
        let is_live = self.is_connected && self.beat > 0;
        is_live.then(|| Shown { epoch: self.epoch.clone(), beat: self.beat, demand: self.demand })
    }

    pub(super) fn announce(&mut self, now: Now, announce: Announce) -> News {
        let mut news = News::default();
        let skew_us = now.wall.0.saturating_sub(announce.wall_us);
        if skew_us.abs_diff(self.skew_us) >= SKEW_MIN_US {
            self.skew_us = skew_us;
        }
        if *self.epoch != *announce.epoch {
            self.epoch = announce.epoch.as_str().into();
            self.beat = 0;
        }
        // One that was overtaken on the way says what was.
        if announce.beat < self.beat {
            return news;
        }
        self.beat = announce.beat;
        let pause = announce.pause.map(|pause| Pause { by: text(&pause.by), ..pause });
        let standby = announce.standby.map(|standby| Standby {
            by: text(&standby.by),
            reason: text(&standby.reason),
            ..standby
        });
        let stay = announce.stay.as_deref().map(text);
        news.changed = (&self.pause, &self.standby, &self.stay) != (&pause, &standby, &stay);
        (self.pause, self.standby, self.stay) = (pause, standby, stay);
        self.take(now, announce.alarms, &mut news);
        let demands = self.alarms.values().filter_map(|watched| demand(&watched.alarm, self.pause.as_ref()));
        self.demand = demands.max();
        // What was done is now to be seen, or has been undone by what came after.
        let before = self.asked.len();
        self.asked.retain(|sent| sent.fate != Fate::Done);
        news.changed |= before != self.asked.len();
        news
    }

    fn take(&mut self, now: Now, mut alarms: Vec<Alarm>, news: &mut News) {
        alarms.sort_by_key(|alarm| Reverse(alarm.priority));
        alarms.truncate(OPEN_MAX);
        let mut before = std::mem::take(&mut self.alarms);
        for alarm in alarms.into_iter().filter(|alarm| alarm.condition != Condition::Inactive) {
            let episode = text(&alarm.episode);
            let mut watched = match before.remove(&episode) {
                Some(held) if held.alarm.version > alarm.version => held,
                Some(mut held) => {
                    if held.alarm.attention != alarm.attention {
                        held.since_beat = self.beat;
                        held.painted.clear();
                        held.sounded.clear();
                        held.duty = None;
                    }
                    news.changed |= held.alarm != alarm;
                    held.alarm = alarm;
                    held
                }
                None => {
                    news.changed = true;
                    let active_us = alarm.active_us.map(|us| us.saturating_add(self.skew_us));
                    Watched {
                        late: active_us.is_some_and(|us| now.wall.0.saturating_sub(us) > LATE_AFTER_US),
                        alarm,
                        since_beat: self.beat,
                        duty: None,
                        painted: BTreeSet::new(),
                        sounded: BTreeSet::new(),
                    }
                }
            };
            match (watched.asks(), watched.duty.is_some()) {
                (true, false) => {
                    watched.duty = Some(Duty::new(now.mono));
                    news.asking.push((episode.clone(), watched.alarm.version));
                    remember(&mut self.known, &episode, KNOWN);
                }
                (false, true) => {
                    watched.duty = None;
                    news.changed = true;
                }
                _ => {}
            }
            self.alarms.insert(episode, watched);
        }
        news.changed |= !before.is_empty();
        news.ended = before.into_iter().map(|(episode, watched)| (episode, watched.alarm.version)).collect();
    }

    /// Ends what has waited too long, and what was told long enough. True if that changes what is seen.
    pub(super) fn expire(&mut self, now: Mono) -> Vec<Command> {
        let mut expired = Vec::new();
        for sent in &mut self.asked {
            if sent.fate == Fate::Waiting && now >= sent.expires {
                let words = "the bed did not answer".to_owned();
                sent.fate = Fate::Failed("expired", words, now + TOLD_FOR);
                expired.push(sent.command.clone());
            }
        }
        let over = |sent: &Sent| matches!(sent.fate, Fate::Failed(_, _, until) if now >= until);
        self.asked.retain(|sent| !over(sent));
        expired
    }

    pub(super) fn refuse(sent: &mut Sent, now: Mono, words: &str) {
        sent.fate = Fate::Failed("refused", text(words), now + TOLD_FOR);
    }

    pub(super) fn commands(&self) -> Vec<Command> {
        let waiting = self.asked.iter().filter(|sent| sent.fate == Fate::Waiting);
        waiting.map(|sent| sent.command.clone()).collect()
    }

    pub(super) fn remember(&mut self, command: &str) {
        remember(&mut self.over, command, REMEMBERED);
    }

    pub(super) fn ours_ms(&self, us: i64) -> i64 {
        us.saturating_add(self.skew_us).div_euclid(1000)
    }
}

impl Watched {
    /// Somebody should come: it is active, and no person has acknowledged it or pressed pause.
    fn asks(&self) -> bool {
        let alarm = &self.alarm;
        matches!(alarm.condition, Condition::Active | Condition::Latched)
            && alarm.inactivation == Inactivation::Enabled
    }
}

/// What must sound for this alarm.
pub(super) fn demand(alarm: &Alarm, pause: Option<&Pause>) -> Option<Priority> {
    let sounds = match alarm.condition {
        Condition::Active => true,
        // Latched ones of less priority are a message.
        Condition::Latched => alarm.priority == Priority::High,
        Condition::Inactive | Condition::Delaying => false,
    };
    let is_held = alarm.inactivation != Inactivation::Enabled
        || pause.is_some_and(|pause| alarm.priority <= pause.up_to);
    (sounds && !is_held && alarm.priority != Priority::Advisory).then_some(alarm.priority)
}

fn remember(names: &mut VecDeque<String>, name: &str, most: usize) {
    if names.iter().all(|known| known != name) {
        names.push_back(name.to_owned());
        if names.len() > most {
            names.pop_front();
        }
    }
}

pub(super) fn text(text: &str) -> String {
    DeviceText::new(text).as_str().to_owned()
}
