//! What can be wrong with the agent itself: its clock, its store, its limits, its sounders, its hub, and too many alarms at once.

use super::engine::Engine;
use super::policy::Policy;
use super::rule::Rule;
use super::verdict::{Finding, Hold, Verdict, Verdicts};
use cotside_protocol::model::{Mono, Priority};
use std::collections::VecDeque;

/// In words what is wrong; None: nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct House {
    pub(super) clock: Option<String>,
    pub(super) store: Option<String>,
    pub(super) limits_refused: Option<String>,
    pub(super) limits_reset: bool,
    pub(super) mute: Option<String>,
    pub(super) undelivered: Option<String>,
    pub(super) hub: Option<HubLost>,
    pub(super) heard: Heard,
}

#[derive(Clone, Debug)]
pub(super) struct HubLost {
    pub(super) since: Mono,
    pub(super) words: String,
}

/// When people were asked to look, lately: no more of them than it takes to say that it was too often.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(VecDeque<Mono>);

impl Heard {
    pub(super) fn take(&mut self, now: Mono, policy: &Policy) {
        self.0.push_back(now);
        if self.0.len() > policy.flood_above + 1 {
            self.0.pop_front();
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn lately(&self, now: Mono, policy: &Policy) -> usize {
        self.0.iter().filter(|at| now < **at + policy.flood_within).count()
    }

    pub(super) fn next_change(&self, now: Mono, policy: &Policy) -> Option<Mono> {
        self.0.iter().map(|at| *at + policy.flood_within).find(|end| *end > now)
    }
}

impl Engine {
    pub(super) fn judge_house(&self, now: Mono, verdicts: &mut Verdicts) {
        let (house, policy) = (&self.house, &self.policy);
        let state = |priority: Priority, words: &Option<String>, text: &dyn Fn(&str) -> String| {
            let finding = words.as_ref().map(|words| Finding::new(priority, text(words)));
            finding.map_or(Verdict::False, Verdict::True)
        };
        let clock = match state(policy.clock, &house.clock, &str::to_owned) {
            Verdict::True(finding) => Verdict::True(Finding { delay: policy.clock_settles, ..finding }),
            other => other,
        };
        verdicts.push((Rule::Clock, clock));
        verdicts.push((Rule::StoreTrouble, state(policy.store_trouble, &house.store, &first_sentence)));
        let refused =
            state(policy.limits_refused, &house.limits_refused, &|words| format!("LIMITS REFUSED: {words}"));
        verdicts.push((Rule::LimitsRefused, refused));
        let reset = house.limits_reset.then(|| {
            let text = "LIMITS RESET: accept those in force, or set others".to_owned();
            Finding::new(policy.limits_refused, text)
        });
        verdicts.push((Rule::LimitsReset, reset.map_or(Verdict::False, Verdict::True)));
        let mute = state(policy.mute, &house.mute, &|words| format!("NO SOUND AT THE BED: {words}"));
        verdicts.push((Rule::Mute, mute));
        verdicts.push((Rule::HubLost, self.judge_hub(now)));
        self.judge_flood(now, verdicts);
    }

    fn judge_hub(&self, now: Mono) -> Verdict {
        let finding = |words: &str, priority| Finding {
            hold: Hold::Seen,
            ..Finding::new(priority, format!("NO CENTRAL MONITORING: {words}"))
        };
        if let Some(words) = &self.house.undelivered {
            return Verdict::True(finding(words, Priority::Medium));
        }
        let Some(lost) = &self.house.hub else { return Verdict::False };
        let has_risen = now >= lost.since + self.policy.hub_lost_rises_after;
        let priority = if has_risen { Priority::Medium } else { Priority::Low };
        Verdict::True(Finding { delay: self.policy.hub_lease, ..finding(&lost.words, priority) })
    }

    /// Begins above the number, ends at half of it: it does not come and go with each alarm.
    pub(super) fn judge_flood(&self, now: Mono, verdicts: &mut Verdicts) {
        let lately = self.house.heard.lately(now, &self.policy);
        let verdict = if lately > self.policy.flood_above {
            let text = format!("ALARM FLOOD: more than {} in a minute", self.policy.flood_above);
            Verdict::True(Finding::new(self.policy.flood, text))
        } else if lately * 2 > self.policy.flood_above {
            Verdict::Unknown
        } else {
            Verdict::False
        };
        verdicts.push((Rule::Flood, verdict));
    }
}

/// An alarm has room for the first sentence; the others are for `status`.
fn first_sentence(words: &str) -> String {
    words.split_inclusive(". ").next().unwrap_or(words).trim_end().to_owned()
}
