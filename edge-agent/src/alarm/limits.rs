//! The limits of one channel: beyond or not, how long to wait, and what is said when there is nothing to compare.

use super::channel::Reading;
use super::engine::Engine;
use super::rule::{Rule, Side};
use super::verdict::{Finding, Hold, Verdict, Verdicts, add, label};
use cotside_protocol::model::{Code, Limit, LimitSide, Mono, Pace, Site};
use std::time::Duration;

impl Engine {
    pub(super) fn judge_channel(&self, now: Mono, channel: (Code, Site), verdicts: &mut Verdicts) {
        let (code, site) = channel;
        let Some(channels) = self.sources.get(channel) else { return };
        if !self.set.limits.iter().any(|limit| limit.code == code) {
            return;
        }
        let current = self.sources.current(now, &self.policy, channel);
        let is_lost = channels.links().all(|link| self.links.is_excused(now, &self.policy, link));
        let missing = match current {
            // The link's own alarm speaks for all of its parameters.
            None if channels.is_expected() && !is_lost => {
                let why = channels.disowned().map_or_else(String::new, |why| format!(": {why}"));
                let text = format!("{} not measured{why}", label(code, site));
                Verdict::True(Finding::new(self.policy.not_measured, text))
            }
            _ => Verdict::False,
        };
        verdicts.push((Rule::NotMeasured { code, site }, missing));
        let mut misfit = Verdict::False;
        let first = verdicts.len();
        for limit in self.set.limits.iter().filter(|limit| limit.code == code) {
            let verdict = match current {
                None if channels.is_episodic() => Verdict::False,
                None => Verdict::Unknown,
                Some((_, reading)) if reading.ucum != limit.ucum => {
                    misfit = Verdict::True(self.not_applied(limit, &reading, site));
                    Verdict::Unknown
                }
                Some((_, reading)) => beyond(limit, &reading, site, self.policy.far(limit)),
            };
            let rule = rule(limit, site);
            if verdicts[first..].iter().any(|(before, _)| *before == rule) {
                add(verdicts, rule, verdict);
            } else {
                verdicts.push((rule, verdict));
            }
        }
        verdicts.push((Rule::NotApplied { code, site }, misfit));
    }

    fn not_applied(&self, limit: &Limit, reading: &Reading, site: Site) -> Finding {
        let label = label(limit.code, site);
        let text = format!("{label}: limit in {} not applied, device in {}", limit.ucum, reading.ucum);
        Finding::new(self.policy.not_measured, text)
    }

    pub(super) fn has_limit(&self, rule: Rule) -> bool {
        let Some((code, site)) = rule.channel() else { return false };
        self.set.limits.iter().any(|limit| match rule {
            Rule::BeyondLimit { .. } => self::rule(limit, site) == rule,
            _ => limit.code == code,
        })
    }
}

fn rule(limit: &Limit, site: Site) -> Rule {
    Rule::BeyondLimit {
        code: limit.code,
        site,
        side: Side::from(limit.side),
        priority: limit.priority,
        is_extreme: limit.extreme,
    }
}

fn beyond(limit: &Limit, reading: &Reading, site: Site, far: f64) -> Verdict {
    let (value, threshold) = (reading.value.to_f64(), limit.threshold.to_f64());
    let (depth, sign) = match limit.side {
        LimitSide::Low => (threshold - value, '<'),
        LimitSide::High => (value - threshold, '>'),
    };
    if depth <= 0.0 {
        // What has not come back far enough neither begins nor ends.
        let is_near = -depth < limit.hysteresis.to_f64();
        return if is_near { Verdict::Unknown } else { Verdict::False };
    }
    let text = format!("{} {} {sign} {}", label(limit.code, site), reading.value, limit.threshold);
    Verdict::True(Finding {
        // One measurement has no duration: it alarms at once or never.
        delay: if reading.pace == Pace::Episodic { Duration::ZERO } else { delay(limit, depth) },
        value: Some(reading.value),
        limit: Some(limit.threshold),
        ucum: limit.ucum,
        latching: limit.latching,
        hold: if limit.extreme { Hold::Never } else { Hold::Free },
        far,
        ..Finding::new(limit.priority, text)
    })
}

/// The deeper, the shorter the wait: in a straight line from the limit's own to that of the full depth.
fn delay(limit: &Limit, depth: f64) -> Duration {
    let Some(scale) = limit.depth else { return limit.delay };
    let full = scale.full.to_f64();
    let part = if full > 0.0 { (depth / full).clamp(0.0, 1.0) } else { 1.0 };
    // Whole milliseconds, so that equal values wait equally long on every machine.
    let saved = limit.delay.saturating_sub(scale.delay).as_millis() as f64 * part;
    limit.delay.saturating_sub(Duration::from_millis(saved as u64))
}
