//! The life of one alarm: delaying, active, ended. Each change is a new version, and the caller learns of each.

use super::rule::Rule;
use cotside_protocol::model::{
    Alarm, Condition, Decimal, DeviceText, Ended, EpisodeId, Inactivation, Mono, Now, Priority, Site, Wall,
};
use std::time::Duration;

/// What a rule found: why the condition is true, in words and numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) priority: Priority,
    pub(super) delay: Duration,
    pub(super) value: Option<Decimal>,
    pub(super) limit: Option<Decimal>,
    pub(super) ucum: &'static str,
    pub(super) text: String,
}

#[derive(Debug)]
pub(super) struct Episode {
    id: EpisodeId,
    version: u32,
    rule: Rule,
    finding: Finding,
    onset_at: Wall,
    acknowledged: Option<(Wall, DeviceText)>,
    state: State,
}

#[derive(Debug)]
enum State {
    Delaying { since: Mono },
    Active { at: Wall },
    Ended { activated_at: Option<Wall>, at: Wall },
}

impl Episode {
    /// The condition became true. Without a delay the episode is active at once.
    pub(super) fn begin(id: EpisodeId, rule: Rule, finding: Finding, now: Now) -> Self {
        let mut episode = Self {
            id,
            version: 1,
            rule,
            onset_at: now.wall,
            acknowledged: None,
            state: State::Delaying { since: now.mono },
            finding,
        };
        if episode.finding.delay.is_zero() {
            episode.state = State::Active { at: now.wall };
        }
        episode
    }

    /// When the delay is over, while it runs.
    pub(super) fn due_at(&self) -> Option<Mono> {
        match self.state {
            State::Delaying { since } => Some(since + self.finding.delay),
            State::Active { .. } | State::Ended { .. } => None,
        }
    }

    /// True if the delay has just ended.
    pub(super) fn pass(&mut self, now: Now) -> bool {
        let is_due = self.due_at().is_some_and(|due| due <= now.mono);
        if is_due {
            self.version += 1;
            self.state = State::Active { at: now.wall };
        }
        is_due
    }

    /// The condition is still true, perhaps for another reason or priority. True if a person should learn of it.
    pub(super) fn update(&mut self, finding: Finding) -> bool {
        let is_worse = worse(self.rule, finding.value, self.finding.value);
        let is_news = finding.priority != self.finding.priority
            || (self.finding.value.is_none() && finding.text != self.finding.text);
        if is_worse || is_news {
            self.version += 1;
            self.finding = finding;
        } else {
            self.finding.delay = finding.delay;
        }
        is_worse || is_news
    }

    /// False: somebody did before.
    pub(super) fn acknowledge(&mut self, now: Now, by: &DeviceText) -> bool {
        let is_first = self.acknowledged.is_none();
        if is_first {
            self.version += 1;
            self.acknowledged = Some((now.wall, by.clone()));
        }
        is_first
    }

    pub(super) fn end(&mut self, now: Now) {
        let activated_at = match self.state {
            State::Delaying { .. } => None,
            State::Active { at } => Some(at),
            State::Ended { activated_at, .. } => activated_at,
        };
        self.version += 1;
        self.state = State::Ended { activated_at, at: now.wall };
    }

    pub(super) fn alarm(&self) -> Alarm {
        let (condition, active_at, ended_at) = match self.state {
            State::Delaying { .. } => (Condition::Delaying, None, None),
            State::Active { at } => (Condition::Active, Some(at), None),
            State::Ended { activated_at, at } => (Condition::Inactive, activated_at, Some(at)),
        };
        let channel = self.rule.channel();
        Alarm {
            episode: self.id,
            version: self.version,
            attention: 1,
            rule: self.rule.name(),
            kind: self.rule.kind(),
            priority: self.finding.priority,
            condition,
            inactivation: self
                .acknowledged
                .clone()
                .map_or(Inactivation::Enabled, |(at, by)| Inactivation::Acknowledged { at, by }),
            code: channel.map(|(code, _)| code),
            site: channel.map_or(Site::Unspecified, |(_, site)| site),
            value: self.finding.value,
            limit: self.finding.limit,
            ucum: self.finding.ucum,
            text: DeviceText::new(&self.finding.text),
            parts: Vec::new(),
            link: None,
            delay: self.finding.delay,
            limits: 0,
            onset_at: self.onset_at,
            active_at,
            ended_at,
            ended: ended_at.map(|_| match active_at {
                Some(_) => Ended::Resolved,
                None => Ended::SuppressedByDelay,
            }),
        }
    }
}

/// A value is news when it is further beyond the limit than any before it in this episode: one step a reading, and no flood.
fn worse(rule: Rule, value: Option<Decimal>, worst: Option<Decimal>) -> bool {
    let (Some(value), Some(worst)) = (value.map(Decimal::to_f64), worst.map(Decimal::to_f64)) else {
        return false;
    };
    match rule {
        Rule::BeyondLimit { side: super::rule::Side::Low, .. } => value < worst,
        Rule::BeyondLimit { side: super::rule::Side::High, .. } => value > worst,
        _ => false,
    }
}
