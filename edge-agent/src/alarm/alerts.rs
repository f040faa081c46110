//! The devices' own alerts, passed on with their text and priority.

use super::engine::Engine;
use super::links::Links;
use super::policy::Policy;
use super::rule::Rule;
use super::verdict::{Finding, Hold, Verdict, Verdicts};
use cotside_protocol::model::{Alert, AlertPhase, Code, Mono, Priority};
use std::collections::{BTreeMap, BTreeSet};

/// A device that claims more at once is not believed the rest; what it brings later takes a place that has become free.
const ALERTS_MAX: usize = 256;

/// MDC_EVT_APNEA, context-free.
const APNOEA: u32 = (3 << 16) + 3072;

#[derive(Clone, Debug, Default)]
pub(super) struct Alerts {
    present: BTreeMap<(u8, u32, Option<Code>), Present>,
    /// Links whose device has told of an apnoea: it can.
    tell_apnoea: BTreeSet<u8>,
}

#[derive(Clone, Debug)]
struct Present {
    alert: Alert,
    said_at: Mono,
}

impl Alerts {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn take(&mut self, now: Mono, link: u8, alert: &Alert) {
        if is_apnoea(alert) {
            self.tell_apnoea.insert(link);
        }
        let key = (link, alert.code, alert.source);
        match alert.phase {
            AlertPhase::Ended => drop(self.present.remove(&key)),
            AlertPhase::Present if self.present.len() < ALERTS_MAX || self.present.contains_key(&key) => {
                self.present.insert(key, Present { alert: alert.clone(), said_at: now });
            }
            AlertPhase::Present => {}
        }
    }

    /// Of the last life of the agent: nobody has said it in this one.
    pub(super) fn remember(&mut self, rule: Rule, alert: Alert) {
        if let Rule::DeviceAlert { link, code, source, .. } = rule {
            self.present.insert((link, code, source), Present { alert, said_at: Mono(0) });
        }
    }

    pub(super) fn apnoea(&self) -> Option<&Alert> {
        self.present.values().map(|present| &present.alert).find(|alert| is_apnoea(alert))
    }

    pub(super) fn can_tell_apnoea(&self, links: &Links) -> bool {
        self.tell_apnoea.iter().any(|link| links.brings_data(*link))
    }

    pub(super) fn next_change(&self, now: Mono, policy: &Policy, links: &Links) -> Option<Mono> {
        let fading = self.present.iter().filter_map(|((link, ..), present)| {
            let live_at = links.live_at(*link)?;
            (present.said_at < live_at).then_some(live_at + policy.alert_said_again)
        });
        fading.filter(|at| *at > now).min()
    }
}

impl Engine {
    pub(super) fn judge_alerts(&self, now: Mono, verdicts: &mut Verdicts) {
        for ((link, code, source), Present { alert, said_at }) in &self.alerts.present {
            let rule = Rule::DeviceAlert {
                link: *link,
                code: *code,
                source: *source,
                is_technical: alert.technical,
            };
            // It is what the apnoea rule goes by.
            if is_apnoea(alert) && self.set.apnoea.is_some() {
                verdicts.push((rule, Verdict::False));
                continue;
            }
            let back_at = self.links.live_at(*link).filter(|live_at| said_at < live_at);
            let is_faded = back_at.is_some_and(|at| at + self.policy.alert_said_again <= now);
            let finding = Finding {
                hold: hold(alert),
                ..Finding::new(alert.priority, format!("{}: {}", self.links.name(*link), alert.text))
            };
            verdicts.push((rule, if is_faded { Verdict::Faded } else { Verdict::True(finding) }));
        }
    }

    /// Whether the device still stands by it, as far as anybody has heard.
    pub(super) fn has_alert(&self, rule: Rule) -> bool {
        let Rule::DeviceAlert { link, code, source, is_technical } = rule else { return false };
        let present = self.alerts.present.get(&(link, code, source));
        present.is_some_and(|present| present.alert.technical == is_technical)
    }
}

pub(super) fn is_apnoea(alert: &Alert) -> bool {
    let says_so = |text: &str| {
        let text = text.to_ascii_uppercase();
        text.contains("APNEA") || text.contains("APNOEA")
    };
    !alert.technical && (alert.code == APNOEA || says_so(alert.text.as_str()))
}

/// The device's text without the stars by which it shows its own priority: ours stands before it.
pub(super) fn words(alert: &Alert) -> &str {
    alert.text.as_str().trim_start_matches(['*', ' '])
}

/// A device's highest priority is what it holds for extreme.
fn hold(alert: &Alert) -> Hold {
    let is_urgent = !alert.technical && (alert.priority == Priority::High || is_apnoea(alert));
    if is_urgent { Hold::Seen } else { Hold::Free }
}
