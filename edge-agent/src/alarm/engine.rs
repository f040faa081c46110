//! The engine: holds the rules against what was heard and the time that passed.
//!
//! After every input each rule is asked again whether its condition is true, false or not known. Not known keeps what was:
//! a value that turns invalid keeps its episode and its running delay (hazard H1), and a lost link clears nothing.

use super::alerts::Alerts;
use super::breath::Part;
use super::channel::Sources;
use super::episode::{Before, Episode};
use super::house::{House, HubLost};
use super::links::Links;
use super::person::{Pause, Standby};
use super::policy::Policy;
use super::rates::Slopes;
use super::rule::{LinkCondition, Rule};
use super::together::Together;
use super::verdict::{Finding, Verdict, Verdicts};
use cotside_protocol::model::{
    Alarm, AlarmKind, Alert, Code, Ended, EpisodeId, Kind, LimitSet, Mono, Now, Numeric, Quality, Site,
};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Inputs are dated when they were heard, a little before others that were handled meanwhile. A clock that goes back by more
/// than this is not to be waited for.
const STEP_MAX: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    Numeric {
        link: u8,
        numeric: &'a Numeric,
    },
    /// The device's own alarm: every time that it says so, not only at the first.
    Alert {
        link: u8,
        alert: &'a Alert,
    },
    Link {
        link: u8,
        condition: LinkCondition,
        words: &'a str,
    },
    /// The device's own clock needs to be set, in words; None: it does not.
    DeviceClock {
        link: u8,
        words: Option<&'a str>,
    },
    /// This gateway's own clock needs to be set, in words; None: it does not.
    Clock(Option<&'a str>),
    /// The store cannot write, in words; None: it can again.
    Store(Option<&'a str>),
    /// The hub is heard, or in words why not.
    Hub(Result<(), &'a str>),
    /// An alarm of the patient was announced and nobody confirmed it in time, in words why; None: all are confirmed.
    Undelivered(Option<&'a str>),
    /// Another set of limits is in force.
    Limits(&'a LimitSet),
    /// A set of limits was refused, in words; None: the last one given is in force.
    LimitsRefused(Option<&'a str>),
    /// Defaults are in force where others were: LIMITS RESET until a person accepts them (hazard H4).
    LimitsReset(bool),
    /// What signals at the bed cannot, in words; None: it can.
    Mute(Option<&'a str>),
    /// Another patient lies here, or none: all that is of the last one ends (hazard H2).
    TurnOver,
    Timeout,
}

#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) policy: Policy,
    pub(super) set: LimitSet,
    pub(super) sources: Sources,
    pub(super) links: Links,
    pub(super) alerts: Alerts,
    pub(super) slopes: Slopes,
    pub(super) together: Together,
    pub(super) house: House,
    pub(super) episodes: BTreeMap<Rule, Episode>,
    pub(super) pause: Option<Pause>,
    pub(super) standby: Option<Standby>,
    /// What a restart cut off and has not been asked about yet.
    pub(super) resumed: BTreeMap<Rule, Before>,
    /// The latest state of each episode that changed: no more of them than there are episodes.
    changes: VecDeque<Alarm>,
    /// Drawn at start; with the counter it makes episodes unique for ever.
    boot: u32,
    drawn: u32,
    pub(super) latest: Mono,
}

impl Engine {
    /// `links` are the names of the bed's links, by position.
    pub fn new(
        policy: Policy,
        links: &[&str],
        set: LimitSet,
        preferences: Vec<(Code, Vec<u8>)>,
        boot: u32,
    ) -> Self {
        Self {
            policy,
            set,
            sources: Sources::new(preferences),
            links: Links::new(links),
            alerts: Alerts::default(),
            slopes: Slopes::default(),
            together: Together::default(),
            house: House::default(),
            episodes: BTreeMap::new(),
            pause: None,
            standby: None,
            resumed: BTreeMap::new(),
            changes: VecDeque::new(),
            boot,
            drawn: 0,
            latest: Mono(0),
        }
    }

    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        let heard_at = now;
        let now = self.advance(now);
        match input {
            // The common case asks only the rules that a number can move.
            Input::Numeric { link, numeric } => return self.numeric(heard_at, now, link, numeric),
            Input::Alert { link, alert } => self.alerts.take(now.mono, link, alert),
            Input::Link { link, condition, words } => self.links.set(now.mono, link, condition, words),
            Input::DeviceClock { link, words } => self.links.set_clock(link, words),
            Input::Clock(words) => self.house.clock = words.map(str::to_owned),
            Input::Store(trouble) => self.house.store = trouble.map(str::to_owned),
            Input::Hub(Ok(())) => self.house.hub = None,
            Input::Hub(Err(words)) => {
                let since = self.house.hub.as_ref().map_or(now.mono, |lost| lost.since);
                self.house.hub = Some(HubLost { since, words: words.to_owned() });
            }
            Input::Undelivered(words) => self.house.undelivered = words.map(str::to_owned),
            Input::Limits(set) => self.take_set(set),
            Input::LimitsRefused(words) => self.house.limits_refused = words.map(str::to_owned),
            Input::Mute(words) => self.house.mute = words.map(str::to_owned),
            Input::LimitsReset(is_reset) => self.house.limits_reset = is_reset,
            Input::TurnOver => self.turn_over(now),
            Input::Timeout => {}
        }
        self.follow_parts(now.mono);
        let verdicts = self.verdicts(now.mono);
        self.settle(now, verdicts);
    }

    /// Drain until None: the latest state of every episode that changed, in order.
    pub fn poll(&mut self) -> Option<Alarm> {
        self.changes.pop_front()
    }

    /// Every open episode as it stands.
    pub fn open(&self) -> impl Iterator<Item = Alarm> + '_ {
        self.episodes.values().map(Episode::alarm)
    }

    /// What is in force.
    pub fn limits(&self) -> &LimitSet {
        &self.set
    }

    /// When to be asked again, at the latest.
    pub fn deadline(&self, now: Mono) -> Option<Mono> {
        let policy = &self.policy;
        let hub = self.house.hub.iter().map(|lost| lost.since + policy.hub_lost_rises_after);
        let others = [
            self.sources.next_change(now, policy),
            self.links.next_change(now, policy),
            self.alerts.next_change(now, policy, &self.links),
            self.slopes.next_change(now, &self.set.rates),
            self.house.heard.next_change(now, policy),
        ];
        let later = hub.chain(self.parts_due()).chain(others.into_iter().flatten()).filter(|at| *at > now);
        let pause = self.pause.iter().map(|pause| pause.ends_at);
        let standby = self.standby.iter().map(|standby| standby.ends_at);
        let episodes = self.episodes.values().filter_map(Episode::due_at);
        later.chain(pause).chain(standby).chain(episodes).min()
    }

    /// The link whose channel of a parameter counts now, for the limits and for the tile.
    pub fn source(&self, now: Mono, code: Code, site: Site) -> Option<u8> {
        self.sources.current(now, &self.policy, (code, site)).map(|(link, _)| link)
    }

    /// Time does not run backwards here. Over a great step nothing can be timed: whatever waits, waits no longer.
    pub(super) fn advance(&mut self, now: Now) -> Now {
        if now.mono + STEP_MAX < self.latest {
            (self.pause, self.standby) = (None, None);
            self.episodes.values_mut().for_each(Episode::wait_no_longer);
            self.sources.clear();
            self.slopes.clear();
            self.together.clear();
            self.house.heard.clear();
            self.latest = now.mono;
        }
        self.latest = self.latest.max(now.mono);
        Now { mono: self.latest, ..now }
    }

    fn numeric(&mut self, heard_at: Now, now: Now, link: u8, numeric: &Numeric) {
        let mut verdicts = Verdicts::new();
        let demo_until = now.mono + self.policy.fresh_for;
        if numeric.quality.has(Quality::DEMO) && self.links.plays_demo(link, demo_until) {
            self.judge_demo(now.mono, link, &mut verdicts);
        }
        // A setting is not a measurement; no rule can take it.
        if numeric.kind == Kind::Measurement {
            let channel = (numeric.code, numeric.site);
            self.sources.take(link, numeric, heard_at);
            self.judge_channel(now.mono, channel, &mut verdicts);
            if !self.set.rates.is_empty() {
                self.follow_rates(now.mono, channel);
                self.judge_rates(now.mono, Some(numeric.code), &mut verdicts);
            }
            if Part::concerns(numeric.code) && self.watches_breath() {
                self.follow_parts(now.mono);
                self.judge_apnoea(&mut verdicts);
            }
        }
        self.settle(now, verdicts);
    }

    fn take_set(&mut self, set: &LimitSet) {
        self.set = set.clone();
        self.slopes.clear();
        let mut together = std::mem::take(&mut self.together);
        together.retain(|rule| rule == Rule::Apnoea || self.has_limit(rule));
        self.together = together;
        let mut resumed = std::mem::take(&mut self.resumed);
        resumed.retain(|rule, _| self.is_in_force(*rule));
        self.resumed = resumed;
    }

    fn turn_over(&mut self, now: Now) {
        self.sources.clear();
        self.slopes.clear();
        self.together.clear();
        self.alerts.clear();
        self.resumed.clear();
        self.house.limits_reset = false;
        (self.pause, self.standby) = (None, None);
        for (rule, episode) in &mut self.episodes {
            if rule.is_of_patient() {
                episode.end(now, Ended::TurnedOver);
            }
        }
        self.commit(now.mono);
    }

    fn verdicts(&self, now: Mono) -> Verdicts {
        let mut verdicts = Verdicts::new();
        for channel in self.sources.keys() {
            self.judge_channel(now, channel, &mut verdicts);
        }
        self.judge_rates(now, None, &mut verdicts);
        self.judge_apnoea(&mut verdicts);
        self.judge_alerts(now, &mut verdicts);
        self.judge_links(now, &mut verdicts);
        self.judge_house(now, &mut verdicts);
        verdicts
    }

    /// Of whom nobody spoke: either nothing was heard yet, or the rule is no longer in force.
    fn is_in_force(&self, rule: Rule) -> bool {
        match rule {
            Rule::BeyondLimit { .. } | Rule::NotMeasured { .. } | Rule::NotApplied { .. } => {
                self.has_limit(rule)
            }
            Rule::Rate { code, .. } => self.set.rates.iter().any(|rate| rate.code == code),
            Rule::Combined => self.set.combined.is_some(),
            Rule::Apnoea | Rule::ApnoeaNotMonitored => self.set.apnoea.is_some(),
            _ => true,
        }
    }

    /// Moves the episodes to what the rules say of the present.
    fn settle(&mut self, now: Now, mut verdicts: Verdicts) {
        self.join(now, &mut verdicts);
        for (rule, verdict) in verdicts {
            match (verdict, self.episodes.get_mut(&rule)) {
                (Verdict::Unknown, _) | (Verdict::Faded, None) => {}
                (Verdict::False, None) => self.leave(now, rule),
                (Verdict::False, Some(episode)) => episode.clear(now),
                (Verdict::Faded, Some(episode)) => episode.fade(now),
                (Verdict::True(finding), Some(episode)) if !episode.is_over() => episode.update(finding),
                (Verdict::True(finding), _) => self.begin(now, rule, finding),
            }
        }
        self.withdraw(now);
        self.episodes.values_mut().for_each(|episode| episode.pass(now));
        self.hold(now.mono);
        if self.commit(now.mono) > 0 {
            let mut flood = Verdicts::new();
            self.judge_flood(now.mono, &mut flood);
            if let Some((rule, Verdict::True(finding))) = flood.pop()
                && !self.episodes.contains_key(&rule)
            {
                self.begin(now, rule, finding);
                self.hold(now.mono);
                self.commit(now.mono);
            }
        }
    }

    /// Ends what no rule in force can speak of any more.
    fn withdraw(&mut self, now: Now) {
        let gone: Vec<Rule> = self.episodes.keys().copied().filter(|rule| !self.is_in_force(*rule)).collect();
        for rule in gone {
            if let Some(episode) = self.episodes.get_mut(&rule) {
                episode.end(now, Ended::Withdrawn);
            }
        }
        // A device's alert that ended is no longer in its list.
        let ended: Vec<Rule> = self
            .episodes
            .keys()
            .copied()
            .filter(|rule| matches!(rule, Rule::DeviceAlert { .. }) && !self.has_alert(*rule))
            .collect();
        for rule in ended {
            if let Some(episode) = self.episodes.get_mut(&rule) {
                episode.clear(now);
            }
        }
    }

    fn begin(&mut self, now: Now, rule: Rule, mut finding: Finding) {
        let before = self.resumed.remove(&rule);
        let is_patients = rule.kind() == AlarmKind::Physiological;
        if before.as_ref().is_some_and(|before| is_patients || before.active_at.is_some()) {
            finding.delay = Duration::ZERO;
        }
        self.drawn = self.drawn.wrapping_add(1);
        let id = EpisodeId(u64::from(self.boot) << 32 | u64::from(self.drawn));
        let episode = Episode::begin(id, rule, finding, self.set.version, now);
        let episode = match before {
            Some(before) => episode.go_on(before),
            None => episode,
        };
        self.episodes.insert(rule, episode);
    }

    /// What a restart cut off is over: its record says so too.
    fn leave(&mut self, now: Now, rule: Rule) {
        let Some(before) = self.resumed.remove(&rule) else { return };
        let Some(finding) = before.finding.clone() else { return };
        let delay = if before.active_at.is_some() {
            Duration::ZERO
        } else {
            finding.delay.max(Duration::from_micros(1))
        };
        let finding = Finding { delay, ..finding };
        let mut episode = Episode::begin(before.id, rule, finding, self.set.version, now).go_on(before);
        episode.clear(now);
        self.episodes.insert(rule, episode);
    }

    /// Tells every change of this input, each episode once. How often a person was asked to look.
    fn commit(&mut self, now: Mono) -> usize {
        let mut heard = 0;
        for episode in self.episodes.values_mut() {
            let Some((alarm, is_heard)) = episode.commit() else { continue };
            if is_heard && episode.rule != Rule::Flood {
                heard += 1;
                self.house.heard.take(now, &self.policy);
            }
            match self.changes.iter_mut().find(|change| change.episode == alarm.episode) {
                Some(change) => *change = alarm,
                None => self.changes.push_back(alarm),
            }
        }
        self.episodes.retain(|_, episode| !episode.is_over());
        heard
    }
}
