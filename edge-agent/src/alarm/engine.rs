//! The engine: holds the rules against what was heard and the time that passed.
//!
//! After every input each rule is asked again whether its condition is true, false or not known. Not known keeps what was:
//! a value that turns invalid keeps its episode and its running delay (hazard H1), and a lost link clears nothing.

use super::channel::{Channels, Reading};
use super::episode::{Episode, Finding};
use super::person::{Act, Pause, Refused, Standby};
use super::policy::Policy;
use super::rule::{LinkCondition, Rule, Side};
use cotside_protocol::model::{
    Alarm, AlarmKind, Alert, Code, DeviceText, EpisodeId, Kind, Limit, LimitSet, LimitSide, Mono, Now,
    Numeric, Pace, Priority, Quality, Site, parameter,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    Numeric {
        link: u8,
        numeric: &'a Numeric,
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
    /// Another set of limits is in force.
    Limits(&'a LimitSet),
    /// A set of limits was refused, in words; None: the last one given is in force.
    LimitsRefused(Option<&'a str>),
    /// Defaults are in force where others were: LIMITS RESET until a person accepts them (hazard H4).
    LimitsReset(bool),
    /// The device's own alarm: every time that it says so, not only at the first.
    Alert {
        link: u8,
        alert: &'a Alert,
    },
    /// An alarm of the patient was announced and nobody confirmed it in time, in words why; None: all are confirmed.
    Undelivered(Option<&'a str>),
    /// Another patient lies here, or none: all that is of the last one ends (hazard H2).
    TurnOver,
    Timeout,
}

#[derive(Debug)]
pub struct Engine {
    policy: Policy,
    set: LimitSet,
    /// Links in order of preference, per parameter; others rank behind in their own order.
    preferences: Vec<(Code, Vec<u8>)>,
    channels: BTreeMap<(Code, Site), Channels>,
    links: BTreeMap<u8, Link>,
    clock: Option<String>,
    store: Option<String>,
    limits_refused: Option<String>,
    limits_reset: bool,
    undelivered: Option<String>,
    pause: Option<Pause>,
    standby: Option<Standby>,
    hub: Option<HubLost>,
    episodes: BTreeMap<Rule, Episode>,
    changes: VecDeque<Alarm>,
    /// Drawn at start; with the counter it makes episodes unique for ever.
    boot: u32,
    drawn: u32,
    /// Rules whose episodes a restart cut off: what still holds has had its delay (hazard H9).
    resumed: BTreeSet<Rule>,
}

#[derive(Debug)]
struct Link {
    name: DeviceText,
    condition: LinkCondition,
    words: String,
    clock: Option<String>,
    live_at: Mono,
    /// Demonstration is said with each value and believed for as long as a value is fresh.
    demo_until: Mono,
}

#[derive(Debug)]
struct HubLost {
    since: Mono,
    words: String,
}

/// What a rule says of its condition.
enum Verdict {
    True(Finding),
    False,
    /// Nothing is known: keep what was.
    Unknown,
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
        let links = (0..)
            .zip(links)
            .map(|(link, name)| {
                let name = DeviceText::new(name);
                (
                    link,
                    Link {
                        name,
                        condition: LinkCondition::Settling,
                        words: "not heard yet".to_owned(),
                        clock: None,
                        live_at: Mono(0),
                        demo_until: Mono(0),
                    },
                )
            })
            .collect();
        Self {
            policy,
            set,
            preferences,
            channels: BTreeMap::new(),
            links,
            clock: None,
            store: None,
            limits_refused: None,
            limits_reset: false,
            undelivered: None,
            pause: None,
            standby: None,
            hub: None,
            episodes: BTreeMap::new(),
            changes: VecDeque::new(),
            boot,
            drawn: 0,
            resumed: BTreeSet::new(),
        }
    }

    /// Takes over from the last life, whose [`Self::kept`] this is.
    pub fn resume(&mut self, _now: Now, kept: &str) {
        self.resumed.extend(kept.lines().filter_map(Rule::from_kept));
    }

    /// Lines for the next life: what is open, and what people have said of it.
    pub fn kept(&self) -> String {
        let open = self.episodes.keys().chain(&self.resumed).copied().collect::<BTreeSet<_>>();
        open.into_iter().filter_map(Rule::kept).map(|line| line + "\n").collect()
    }

    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        match input {
            // The common case asks only the rules that a number can move.
            Input::Numeric { link, numeric } => return self.numeric(now, link, numeric),
            Input::Link { link, condition, words } => self.link(now.mono, link, condition, words),
            Input::DeviceClock { link, words } => {
                if let Some(link) = self.links.get_mut(&link) {
                    link.clock = words.map(str::to_owned);
                }
            }
            Input::Clock(words) => self.clock = words.map(str::to_owned),
            Input::Store(trouble) => self.store = trouble.map(str::to_owned),
            Input::Hub(Ok(())) => self.hub = None,
            Input::Hub(Err(words)) => {
                let since = self.hub.as_ref().map_or(now.mono, |lost| lost.since);
                self.hub = Some(HubLost { since, words: words.to_owned() });
            }
            Input::Limits(set) => self.set = set.clone(),
            Input::LimitsRefused(words) => self.limits_refused = words.map(str::to_owned),
            Input::LimitsReset(is_reset) => self.limits_reset = is_reset,
            Input::Alert { .. } | Input::Timeout => {}
            Input::Undelivered(words) => self.undelivered = words.map(str::to_owned),
            Input::TurnOver => self.turn_over(now),
        }
        let verdicts = self.verdicts(now.mono);
        self.settle(now, verdicts);
    }

    /// A person's word: applied at once, or refused and nothing has changed.
    pub fn act(&mut self, now: Now, by: &DeviceText, act: &Act) -> Result<(), Refused> {
        match act {
            Act::Acknowledge { episode, version } => self.acknowledge(now, by, *episode, *version)?,
            Act::Reset { .. } => return Err(Refused::NotAllowed),
            Act::PauseAudio(span) if span.is_zero() || *span > self.policy.pause_max => {
                return Err(Refused::NotAllowed);
            }
            Act::Standby(span, _) if span.is_zero() || *span > self.policy.standby_max => {
                return Err(Refused::NotAllowed);
            }
            Act::PauseAudio(span) => {
                let open = self.episodes.values().map(|episode| episode.alarm().priority);
                let up_to = open.fold(Priority::Medium, Priority::max);
                let (until, ends_at) = (now.wall + *span, now.mono + *span);
                self.pause = Some(Pause { until, by: by.clone(), up_to, ends_at });
            }
            Act::Standby(span, reason) => {
                let (until, ends_at) = (now.wall + *span, now.mono + *span);
                self.standby = Some(Standby { until, by: by.clone(), reason: reason.clone(), ends_at });
            }
            Act::EndPause => self.pause = None,
            Act::EndStandby => self.standby = None,
            Act::AcceptLimits => self.limits_reset = false,
        }
        self.handle(now, Input::Timeout);
        Ok(())
    }

    fn acknowledge(&mut self, now: Now, by: &DeviceText, id: EpisodeId, version: u32) -> Result<(), Refused> {
        let found = self.episodes.values_mut().find(|episode| episode.alarm().episode == id);
        let episode = found.ok_or(Refused::Unknown)?;
        if version < episode.alarm().attention {
            return Err(Refused::Superseded);
        }
        if episode.acknowledge(now, by) {
            self.changes.push_back(episode.alarm());
        }
        Ok(())
    }

    /// The sound of the bed is off.
    pub fn pause(&self) -> Option<&Pause> {
        self.pause.as_ref()
    }

    /// The patient's alarms are held back.
    pub fn standby(&self) -> Option<&Standby> {
        self.standby.as_ref()
    }

    fn turn_over(&mut self, now: Now) {
        self.channels.clear();
        self.resumed.clear();
        (self.pause, self.standby) = (None, None);
        let of_patient = |rule: &Rule| rule.kind() == AlarmKind::Physiological || rule.channel().is_some();
        for rule in self.episodes.keys().copied().filter(of_patient).collect::<Vec<_>>() {
            self.end(now, rule);
        }
    }

    /// Drain until None: every change of every episode, in order.
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
        let delays = self.episodes.values().filter_map(Episode::due_at);
        let ages = self.channels.values().filter_map(|channels| channels.next_change(now, &self.policy));
        let hub =
            self.hub.iter().map(|lost| lost.since + self.policy.hub_lost_rises_after).filter(|at| *at > now);
        let excused =
            self.links.values().map(|link| link.live_at + self.policy.fresh_for).filter(|at| *at > now);
        let pause = self.pause.iter().map(|pause| pause.ends_at);
        let standby = self.standby.iter().map(|standby| standby.ends_at);
        delays.chain(ages).chain(hub).chain(excused).chain(pause).chain(standby).min()
    }

    /// The link whose channel of a parameter counts now, for the limits and for the tile.
    pub fn source(&self, now: Mono, code: Code, site: Site) -> Option<u8> {
        self.current(now, code, site).map(|(link, _)| link)
    }

    fn numeric(&mut self, now: Now, link: u8, numeric: &Numeric) {
        let mut verdicts = Vec::new();
        if let Some(state) = self.links.get_mut(&link)
            && numeric.quality.has(Quality::DEMO)
        {
            state.demo_until = now.mono + self.policy.fresh_for;
            verdicts.push(judge_demo(&self.policy, now.mono, link, state));
        }
        // A setting is not a measurement; no rule can take it.
        if numeric.kind == Kind::Measurement {
            let channel = (numeric.code, numeric.site);
            self.channels.entry(channel).or_default().take(link, numeric, now);
            self.judge_channel(now.mono, channel, &mut verdicts);
        }
        self.settle(now, verdicts);
    }

    fn link(&mut self, now: Mono, link: u8, condition: LinkCondition, words: &str) {
        let Some(link) = self.links.get_mut(&link) else { return };
        if condition.brings_data() && !link.condition.brings_data() {
            link.live_at = now;
        }
        link.condition = condition;
        words.clone_into(&mut link.words);
    }

    /// Moves the episodes to what the rules say of the present.
    fn settle(&mut self, now: Now, verdicts: Vec<(Rule, Verdict)>) {
        self.pause.take_if(|pause| pause.ends_at <= now.mono);
        self.standby.take_if(|standby| standby.ends_at <= now.mono);
        for (rule, verdict) in verdicts {
            match (verdict, self.episodes.get_mut(&rule)) {
                (Verdict::Unknown, _) => {}
                (Verdict::False, None) => drop(self.resumed.remove(&rule)),
                (Verdict::False, Some(_)) => self.end(now, rule),
                (Verdict::True(finding), Some(episode)) => {
                    if episode.update(finding) {
                        self.changes.push_back(episode.alarm());
                    }
                }
                (Verdict::True(finding), None) => self.begin(now, rule, finding),
            }
        }
        for episode in self.episodes.values_mut() {
            if episode.pass(now) {
                self.changes.push_back(episode.alarm());
            }
        }
    }

    fn begin(&mut self, now: Now, rule: Rule, mut finding: Finding) {
        if self.resumed.remove(&rule) {
            finding.delay = Duration::ZERO;
        }
        self.drawn += 1;
        let id = EpisodeId(u64::from(self.boot) << 32 | u64::from(self.drawn));
        let episode = Episode::begin(id, rule, finding, now);
        self.changes.push_back(episode.alarm());
        self.episodes.insert(rule, episode);
    }

    fn end(&mut self, now: Now, rule: Rule) {
        if let Some(mut episode) = self.episodes.remove(&rule) {
            episode.end(now);
            self.changes.push_back(episode.alarm());
        }
    }

    fn verdicts(&self, now: Mono) -> Vec<(Rule, Verdict)> {
        let mut verdicts = Vec::new();
        for channel in self.channels.keys() {
            self.judge_channel(now, *channel, &mut verdicts);
        }
        for (&link, state) in &self.links {
            verdicts.push((Rule::LinkLost { link }, self.judge_lost(link, state)));
            verdicts.push((Rule::WrongDevice { link }, self.judge_identity(state)));
            verdicts.push(judge_demo(&self.policy, now, link, state));
            verdicts.push((Rule::DeviceClock { link }, self.judge_clock_of(state)));
        }
        verdicts.push((Rule::Clock, self.judge_clock()));
        verdicts.push((Rule::StoreTrouble, self.judge_store()));
        verdicts.push((Rule::LimitsRefused, self.judge_limits()));
        verdicts.push((Rule::LimitsReset, self.judge_limits_reset()));
        verdicts.push((Rule::HubLost, self.judge_hub(now)));
        // A rule that nobody speaks of any more (its limit is gone) has no condition.
        for rule in self.episodes.keys() {
            if !verdicts.iter().any(|(spoken, _)| spoken == rule) {
                verdicts.push((*rule, Verdict::False));
            }
        }
        verdicts
    }

    fn judge_channel(&self, now: Mono, (code, site): (Code, Site), verdicts: &mut Vec<(Rule, Verdict)>) {
        let Some(channels) = self.channels.get(&(code, site)) else { return };
        if !self.set.limits.iter().any(|limit| limit.code == code) {
            return;
        }
        let current = self.current(now, code, site);
        let is_lost = channels.links().all(|link| self.is_excused(now, link));
        let missing = match current {
            // The link's own alarm speaks for all of its parameters.
            None if channels.is_expected() && !is_lost => Verdict::True(Finding {
                priority: self.policy.not_measured,
                ..technical(format!("{} not measured", label(code, site)))
            }),
            _ => Verdict::False,
        };
        verdicts.push((Rule::NotMeasured { code, site }, missing));
        let mut misfit = Verdict::False;
        for limit in self.set.limits.iter().filter(|limit| limit.code == code) {
            let verdict = match current {
                None if channels.is_episodic() => Verdict::False,
                None => Verdict::Unknown,
                Some((_, reading)) if reading.ucum != limit.ucum => {
                    misfit = Verdict::True(self.not_applied(limit, &reading, site));
                    Verdict::Unknown
                }
                Some((_, reading)) => beyond(limit, &reading, site),
            };
            let side = Side::from(limit.side);
            verdicts.push((Rule::BeyondLimit { code, site, side, priority: limit.priority }, verdict));
        }
        verdicts.push((Rule::NotApplied { code, site }, misfit));
    }

    fn not_applied(&self, limit: &Limit, reading: &Reading, site: Site) -> Finding {
        let label = label(limit.code, site);
        let text = format!("{label}: limit in {} not applied, device in {}", limit.ucum, reading.ucum);
        Finding { priority: self.policy.not_measured, ..technical(text) }
    }

    fn judge_lost(&self, link: u8, state: &Link) -> Verdict {
        let delay = match state.condition {
            LinkCondition::Live | LinkCondition::WrongDevice | LinkCondition::Disputed => {
                return Verdict::False;
            }
            // While it is tried again, the alarm keeps saying why it was lost.
            LinkCondition::Settling if self.episodes.contains_key(&Rule::LinkLost { link }) => {
                return Verdict::Unknown;
            }
            LinkCondition::Settling => self.policy.link_settles,
            LinkCondition::Down => self.policy.link_blinks,
            LinkCondition::Silent => Duration::ZERO,
        };
        let text = format!("{} lost: {}", state.name, state.words);
        Verdict::True(Finding { priority: self.policy.link_lost, delay, ..technical(text) })
    }

    fn judge_identity(&self, state: &Link) -> Verdict {
        if !matches!(state.condition, LinkCondition::WrongDevice | LinkCondition::Disputed) {
            return Verdict::False;
        }
        let text = format!("WRONG DEVICE? {}: {}", state.name, state.words);
        Verdict::True(Finding { priority: self.policy.wrong_device, ..technical(text) })
    }

    fn judge_clock_of(&self, state: &Link) -> Verdict {
        state.clock.as_ref().map_or(Verdict::False, |words| {
            let text = format!("{}: {words}", state.name);
            Verdict::True(Finding { priority: self.policy.device_clock, ..technical(text) })
        })
    }

    fn judge_clock(&self) -> Verdict {
        self.clock.as_ref().map_or(Verdict::False, |words| {
            let (priority, delay) = (self.policy.clock, self.policy.clock_settles);
            Verdict::True(Finding { priority, delay, ..technical(words.clone()) })
        })
    }

    fn judge_store(&self) -> Verdict {
        self.store.as_ref().map_or(Verdict::False, |words| {
            // An alarm has room for the first sentence; the others are for `status`.
            let first = words.split_inclusive(". ").next().unwrap_or(words);
            let text = first.trim_end().to_owned();
            Verdict::True(Finding { priority: self.policy.store_trouble, ..technical(text) })
        })
    }

    fn judge_limits(&self) -> Verdict {
        self.limits_refused.as_ref().map_or(Verdict::False, |words| {
            Verdict::True(Finding {
                priority: self.policy.limits_refused,
                ..technical(format!("LIMITS REFUSED: {words}"))
            })
        })
    }

    fn judge_limits_reset(&self) -> Verdict {
        if !self.limits_reset {
            return Verdict::False;
        }
        let text = "LIMITS RESET: accept those in force, or set others".to_owned();
        Verdict::True(Finding { priority: self.policy.limits_refused, ..technical(text) })
    }

    fn judge_hub(&self, now: Mono) -> Verdict {
        if let Some(words) = &self.undelivered {
            let text = format!("NO CENTRAL MONITORING: {words}");
            return Verdict::True(Finding { priority: Priority::Medium, ..technical(text) });
        }
        self.hub.as_ref().map_or(Verdict::False, |lost| {
            let has_risen = now >= lost.since + self.policy.hub_lost_rises_after;
            Verdict::True(Finding {
                priority: if has_risen { Priority::Medium } else { Priority::Low },
                delay: self.policy.hub_lease,
                ..technical(format!("NO CENTRAL MONITORING: {}", lost.words))
            })
        })
    }

    /// A link that is lost, or came back so lately that its values cannot be missed yet.
    fn is_excused(&self, now: Mono, link: u8) -> bool {
        self.links
            .get(&link)
            .is_some_and(|link| !link.condition.brings_data() || now < link.live_at + self.policy.fresh_for)
    }

    fn current(&self, now: Mono, code: Code, site: Site) -> Option<(u8, Reading)> {
        let preferred =
            self.preferences.iter().find(|(of, _)| *of == code).map(|(_, links)| links.as_slice());
        let rank = |link: u8| {
            preferred
                .and_then(|links| links.iter().position(|preferred| *preferred == link))
                .unwrap_or(usize::MAX)
        };
        self.channels.get(&(code, site))?.current(now, &self.policy, rank)
    }
}

fn judge_demo(policy: &Policy, now: Mono, link: u8, state: &Link) -> (Rule, Verdict) {
    let verdict = if now < state.demo_until {
        let text = format!("{} in demo mode: values are not the patient's", state.name);
        Verdict::True(Finding { priority: policy.wrong_device, ..technical(text) })
    } else {
        Verdict::False
    };
    (Rule::DemoMode { link }, verdict)
}

fn beyond(limit: &Limit, reading: &Reading, site: Site) -> Verdict {
    let (value, threshold) = (reading.value.to_f64(), limit.threshold.to_f64());
    let (is_beyond, sign) = match limit.side {
        LimitSide::Low => (value < threshold, '<'),
        LimitSide::High => (value > threshold, '>'),
    };
    if !is_beyond {
        return Verdict::False;
    }
    Verdict::True(Finding {
        priority: limit.priority,
        // One measurement has no duration: it alarms at once or never.
        delay: if reading.pace == Pace::Episodic { Duration::ZERO } else { limit.delay },
        value: Some(reading.value),
        limit: Some(limit.threshold),
        ucum: limit.ucum,
        text: format!("{} {} {sign} {}", label(limit.code, site), reading.value, limit.threshold),
    })
}

fn technical(text: String) -> Finding {
    Finding { priority: Priority::Medium, delay: Duration::ZERO, value: None, limit: None, ucum: "", text }
}

fn label(code: Code, site: Site) -> String {
    let name = parameter(code).map_or_else(|| format!("parameter {}", code.0), |row| row.label.to_owned());
    match site {
        Site::Unspecified => name,
        Site::Preductal => format!("{name} preductal"),
        Site::Postductal => format!("{name} postductal"),
        Site::Numbered(number) => format!("{name} {number}"),
    }
}
