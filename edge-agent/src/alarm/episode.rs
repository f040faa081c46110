//! The life of one alarm: delaying, active, latched, ended; and what people have said of it. Each change is a new version.

use super::rule::{Rule, Side};
use super::verdict::{Finding, Hold};
use cotside_protocol::model::{
    Alarm, Condition, Decimal, DeviceText, Ended, EpisodeId, Inactivation, Mono, Now, Priority, Site, Wall,
};
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) struct Episode {
    pub(super) id: EpisodeId,
    pub(super) rule: Rule,
    pub(super) finding: Finding,
    version: u32,
    attention: u32,
    /// The version of the limits in force at its onset.
    limits: u64,
    onset_at: Wall,
    state: State,
    /// The delay by what was heard last; the one in `finding` was told.
    waits: Duration,
    acknowledged: Option<Acknowledged>,
    held: Option<Held>,
    /// Its value and words when it asked for attention last.
    asked: (Option<Decimal>, String),
    is_changed: bool,
    asks: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State {
    Delaying { since: Mono },
    Active { at: Wall },
    Latched { at: Wall },
    Ended { activated_at: Option<Wall>, at: Wall, why: Ended },
}

/// A person has seen it. It asks anew when that was long ago.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Acknowledged {
    pub(super) at: Wall,
    pub(super) by: DeviceText,
    pub(super) remind_at: Mono,
}

/// Its sound is held back with that of the bed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    pub(super) until: Wall,
    pub(super) by: DeviceText,
}

/// What an earlier life of the agent left of one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Before {
    pub(super) id: EpisodeId,
    /// Above every version that was ever told.
    pub(super) version: u32,
    pub(super) onset_at: Wall,
    pub(super) active_at: Option<Wall>,
    pub(super) acknowledged: Option<Acknowledged>,
    pub(super) finding: Option<Finding>,
}

impl Episode {
    /// The condition became true. Without a delay the episode is active at once.
    pub(super) fn begin(id: EpisodeId, rule: Rule, finding: Finding, limits: u64, now: Now) -> Self {
        let since = finding.since.map_or(now.mono, |since| since.min(now.mono));
        let state =
            if finding.delay.is_zero() { State::Active { at: now.wall } } else { State::Delaying { since } };
        Self {
            id,
            rule,
            version: 0,
            attention: 0,
            limits,
            onset_at: now.wall - now.mono.since(since),
            state,
            waits: finding.delay,
            acknowledged: None,
            held: None,
            asked: (finding.value, finding.text.clone()),
            is_changed: true,
            asks: true,
            finding,
        }
    }

    /// Goes on with the life that a restart cut off. What a person had acknowledged stays so.
    pub(super) fn go_on(mut self, before: Before) -> Self {
        self.id = before.id;
        (self.version, self.attention) = (before.version, before.version);
        self.onset_at = before.onset_at;
        if let (State::Active { at }, Some(active_at)) = (&mut self.state, before.active_at) {
            *at = active_at;
        }
        if before.acknowledged.is_some() {
            self.asks = false;
        }
        self.acknowledged = before.acknowledged;
        self
    }

    pub(super) fn latch(&mut self) {
        if let State::Active { at } = self.state {
            self.state = State::Latched { at };
            self.is_changed = true;
        }
    }

    /// When something comes of time alone.
    pub(super) fn due_at(&self) -> Option<Mono> {
        match self.state {
            State::Delaying { since } => Some(since + self.waits),
            _ => self.acknowledged.as_ref().map(|acknowledged| acknowledged.remind_at),
        }
    }

    pub(super) fn pass(&mut self, now: Now) {
        let is_due = self.due_at().is_some_and(|due| due <= now.mono);
        match self.state {
            State::Delaying { .. } if is_due => {
                self.state = State::Active { at: now.wall };
                self.finding.delay = self.waits;
                self.ask();
            }
            State::Active { .. } | State::Latched { .. } if is_due => self.ask(),
            _ => {}
        }
    }

    /// The agent's clock cannot be trusted over this step: whatever waits for a time waits no longer.
    pub(super) fn wait_no_longer(&mut self) {
        if let State::Delaying { since } = &mut self.state {
            *since = Mono(0);
        }
        if let Some(acknowledged) = &mut self.acknowledged {
            acknowledged.remind_at = Mono(0);
        }
    }

    /// The condition is still true, perhaps for another reason or priority.
    pub(super) fn update(&mut self, mut finding: Finding) {
        if !matches!(self.state, State::Delaying { .. }) {
            finding.delay = self.finding.delay;
        }
        self.waits = finding.delay;
        // The gravest that it has been: what comes back to that is no news.
        let is_graver = finding.weight > self.finding.weight;
        finding.weight = finding.weight.max(self.finding.weight);
        let is_worse = worse(self.rule, finding.value, self.finding.value);
        let says_more = self.finding.value.is_none() && finding.text != self.finding.text;
        let was = &self.finding;
        let is_news = finding.priority != was.priority
            || finding.parts != was.parts
            || is_graver
            || finding.latching != was.latching;
        let is_urgent = finding.priority > was.priority || is_graver;
        if is_worse || is_news || says_more {
            self.is_changed = true;
            self.finding = finding;
        } else {
            self.finding.hold = finding.hold;
        }
        if let State::Latched { at } = self.state {
            self.state = State::Active { at };
            self.ask();
        } else if is_urgent || self.is_far_worse() {
            self.ask();
        }
    }

    fn is_far_worse(&self) -> bool {
        let (Some(value), Some(asked_at)) = (self.finding.value, self.asked.0) else { return false };
        worse(self.rule, Some(value), Some(asked_at))
            && (value.to_f64() - asked_at.to_f64()).abs() >= self.finding.far
    }

    /// A person is asked to look, whatever was said of it before.
    fn ask(&mut self) {
        self.is_changed = true;
        self.asks = true;
        self.acknowledged = None;
        self.asked = (self.finding.value, self.finding.text.clone());
    }

    /// The condition is false.
    pub(super) fn clear(&mut self, now: Now) {
        match self.state {
            State::Delaying { .. } => self.end(now, Ended::SuppressedByDelay),
            State::Active { .. } if self.finding.latching && self.acknowledged.is_none() => self.latch(),
            State::Active { .. } => self.end(now, Ended::Resolved),
            State::Latched { .. } | State::Ended { .. } => {}
        }
    }

    pub(super) fn fade(&mut self, now: Now) {
        self.finding.latching = true;
        self.clear(now);
    }

    pub(super) fn end(&mut self, now: Now, why: Ended) {
        let activated_at = match self.state {
            State::Delaying { .. } => None,
            State::Active { at } | State::Latched { at } => Some(at),
            State::Ended { .. } => return,
        };
        (self.is_changed, self.asks) = (true, false);
        self.state = State::Ended { activated_at, at: now.wall, why };
    }

    pub(super) fn acknowledge(&mut self, now: Now, by: &DeviceText, reminder: Duration) {
        if matches!(self.state, State::Latched { .. }) {
            return self.end(now, Ended::Reset);
        }
        // The second to acknowledge sees who was the first (hazard H16).
        if self.acknowledged.is_none() {
            self.is_changed = true;
            let remind_at = now.mono + reminder;
            self.acknowledged = Some(Acknowledged { at: now.wall, by: by.clone(), remind_at });
        }
    }

    /// The bed's pause or standby as it applies to this one.
    pub(super) fn hold(&mut self, held: Option<&Held>) {
        if self.held.as_ref() != held {
            self.held = held.cloned();
            self.is_changed = true;
        }
    }

    /// The new version, if there is one, and whether a person is asked to look.
    pub(super) fn commit(&mut self) -> Option<(Alarm, bool)> {
        if !std::mem::take(&mut self.is_changed) {
            return None;
        }
        self.version = self.version.saturating_add(1);
        let asks = std::mem::take(&mut self.asks);
        if asks {
            self.attention = self.version;
        }
        let is_heard = asks && self.is_shown() && self.finding.priority > Priority::Advisory;
        Some((self.alarm(), is_heard))
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }

    /// Active or latched: a person can see it.
    pub(super) const fn is_shown(&self) -> bool {
        matches!(self.state, State::Active { .. } | State::Latched { .. })
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    pub(super) const fn version(&self) -> u32 {
        self.version
    }

    pub(super) const fn attention(&self) -> u32 {
        self.attention
    }

    pub(super) const fn onset_at(&self) -> Wall {
        self.onset_at
    }

    pub(super) const fn acknowledged(&self) -> Option<&Acknowledged> {
        self.acknowledged.as_ref()
    }

    /// Value and words when it asked for attention last.
    pub(super) const fn asked(&self) -> &(Option<Decimal>, String) {
        &self.asked
    }

    pub(super) const fn can_hold(&self) -> Hold {
        self.finding.hold
    }

    pub(super) fn alarm(&self) -> Alarm {
        let (condition, active_at, ended_at, ended) = match self.state {
            State::Delaying { .. } => (Condition::Delaying, None, None, None),
            State::Active { at } => (Condition::Active, Some(at), None, None),
            State::Latched { at } => (Condition::Latched, Some(at), None, None),
            State::Ended { activated_at, at, why } => {
                (Condition::Inactive, activated_at, Some(at), Some(why))
            }
        };
        let inactivation = match (&self.acknowledged, &self.held) {
            (Some(Acknowledged { at, by, .. }), _) => Inactivation::Acknowledged { at: *at, by: by.clone() },
            (None, Some(Held { until, by })) => Inactivation::AudioPaused { until: *until, by: by.clone() },
            (None, None) => Inactivation::Enabled,
        };
        Alarm {
            episode: self.id,
            version: self.version,
            attention: self.attention,
            rule: self.rule.name(),
            kind: self.rule.kind(),
            priority: self.finding.priority,
            condition,
            inactivation,
            code: self.rule.code(),
            site: self.rule.channel().map_or(Site::Unspecified, |(_, site)| site),
            value: self.finding.value,
            limit: self.finding.limit,
            ucum: self.finding.ucum,
            text: DeviceText::new(&self.finding.text),
            parts: self.finding.parts.iter().map(|part| DeviceText::new(part)).collect(),
            link: self.rule.link(),
            delay: self.finding.delay,
            limits: self.limits,
            onset_at: self.onset_at,
            active_at,
            ended_at,
            ended,
        }
    }
}

/// A value is news when it is further beyond the limit than any before it in this episode: one step a reading, and no flood.
fn worse(rule: Rule, value: Option<Decimal>, worst: Option<Decimal>) -> bool {
    let (Some(value), Some(worst)) = (value.map(Decimal::to_f64), worst.map(Decimal::to_f64)) else {
        return false;
    };
    match rule.side() {
        Some(Side::Low) => value < worst,
        Some(Side::High) => value > worst,
        None => false,
    }
}
