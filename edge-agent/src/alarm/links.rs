//! The bed's links: lost, strange, in demonstration, with a clock that is wrong.

use super::engine::Engine;
use super::policy::Policy;
use super::rule::{LinkCondition, Rule};
use super::verdict::{Finding, Hold, Verdict, Verdicts};
use cotside_protocol::model::{DeviceText, Mono};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) struct Links(BTreeMap<u8, Link>);

#[derive(Clone, Debug)]
pub(super) struct Link {
    name: DeviceText,
    condition: LinkCondition,
    words: String,
    clock: Option<String>,
    /// Since when it brings data, or when it last began to.
    live_at: Mono,
    /// Demonstration is said with each value and believed for as long as a value is fresh.
    demo_until: Mono,
}

impl Links {
    pub(super) fn new(names: &[&str]) -> Self {
        let link = |name: &&str| Link {
            name: DeviceText::new(name),
            condition: LinkCondition::Settling,
            words: "not heard yet".to_owned(),
            clock: None,
            live_at: Mono(0),
            demo_until: Mono(0),
        };
        Self((0..).zip(names.iter().map(link)).collect())
    }

    pub(super) fn set(&mut self, now: Mono, link: u8, condition: LinkCondition, words: &str) {
        let Some(link) = self.0.get_mut(&link) else { return };
        if condition.brings_data() && !link.condition.brings_data() {
            link.live_at = now;
        }
        link.condition = condition;
        words.clone_into(&mut link.words);
    }

    pub(super) fn set_clock(&mut self, link: u8, words: Option<&str>) {
        if let Some(link) = self.0.get_mut(&link) {
            link.clock = words.map(str::to_owned);
        }
    }

    /// True if the link is known.
    pub(super) fn plays_demo(&mut self, link: u8, until: Mono) -> bool {
        self.0.get_mut(&link).map(|link| link.demo_until = until).is_some()
    }

    pub(super) fn name(&self, link: u8) -> &str {
        self.0.get(&link).map_or("device", |link| link.name.as_str())
    }

    pub(super) fn brings_data(&self, link: u8) -> bool {
        self.0.get(&link).is_some_and(|link| link.condition.brings_data())
    }

    /// Since when it brings data, while it does.
    pub(super) fn live_at(&self, link: u8) -> Option<Mono> {
        self.0.get(&link).filter(|link| link.condition.brings_data()).map(|link| link.live_at)
    }

    /// A link that is lost, or came back so lately that its values cannot be missed yet.
    pub(super) fn is_excused(&self, now: Mono, policy: &Policy, link: u8) -> bool {
        self.0
            .get(&link)
            .is_some_and(|link| !link.condition.brings_data() || now < link.live_at + policy.fresh_for)
    }

    pub(super) fn next_change(&self, now: Mono, policy: &Policy) -> Option<Mono> {
        let excused = self.0.values().map(|link| link.live_at + policy.fresh_for);
        let demo = self.0.values().map(|link| link.demo_until);
        excused.chain(demo).filter(|at| *at > now).min()
    }
}

impl Engine {
    pub(super) fn judge_links(&self, now: Mono, verdicts: &mut Verdicts) {
        for (&link, state) in &self.links.0 {
            verdicts.push((Rule::LinkLost { link }, self.judge_lost(link, state)));
            verdicts.push((Rule::WrongDevice { link }, self.judge_identity(state)));
            verdicts.push((Rule::DeviceClock { link }, self.judge_clock_of(state)));
            self.judge_demo(now, link, verdicts);
        }
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
        Verdict::True(Finding { delay, hold: Hold::Seen, ..Finding::new(self.policy.link_lost, text) })
    }

    fn judge_identity(&self, state: &Link) -> Verdict {
        if !matches!(state.condition, LinkCondition::WrongDevice | LinkCondition::Disputed) {
            return Verdict::False;
        }
        let text = format!("WRONG DEVICE? {}: {}", state.name, state.words);
        Verdict::True(Finding { hold: Hold::Seen, ..Finding::new(self.policy.wrong_device, text) })
    }

    fn judge_clock_of(&self, state: &Link) -> Verdict {
        state.clock.as_ref().map_or(Verdict::False, |words| {
            Verdict::True(Finding::new(self.policy.device_clock, format!("{}: {words}", state.name)))
        })
    }

    pub(super) fn judge_demo(&self, now: Mono, link: u8, verdicts: &mut Verdicts) {
        let Some(state) = self.links.0.get(&link) else { return };
        let verdict = if now < state.demo_until {
            let text = format!("{} in demo mode: values are not the patient's", state.name);
            Verdict::True(Finding::new(self.policy.wrong_device, text))
        } else {
            Verdict::False
        };
        verdicts.push((Rule::DemoMode { link }, verdict));
    }
}
