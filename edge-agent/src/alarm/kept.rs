//! What outlives the process (hazard H9): open episodes with what people have said of them, the pause, standby, limits that were reset.
//!
//! A line each, its fields apart by tabs: `DeviceText` holds none. Times are wall time. A field that cannot be read costs its line.

use super::engine::{Engine, Input};
use super::episode::{Acknowledged, Before, Episode, State};
use super::person::{Pause, Standby};
use super::rule::{Rule, Side};
use super::verdict::{Finding, Hold};
use cotside_protocol::model::{
    AlarmKind, Alert, AlertPhase, Code, Decimal, DeviceText, EpisodeId, Now, Priority, Site, Wall, parameter,
};
use std::time::Duration;

/// Versions are kept as the end of a stretch, so that not each of them is a write.
const VERSIONS: u32 = 256;

const PRIORITIES: [(&str, Priority); 4] = [
    ("advisory", Priority::Advisory),
    ("low", Priority::Low),
    ("medium", Priority::Medium),
    ("high", Priority::High),
];

impl Engine {
    /// Lines for the next life: what is open, and what people have said of it.
    pub fn kept(&self) -> String {
        let pause = self.pause.as_ref().map(|pause| {
            let (begun, until, up_to) = (pause.begun_at.0, pause.until.0, word(pause.up_to));
            format!("pause\t{begun}\t{until}\t{up_to}\t{}\n", pause.by)
        });
        let standby = self.standby.as_ref().map(|standby| {
            let (begun, until) = (standby.begun_at.0, standby.until.0);
            format!("standby\t{begun}\t{until}\t{}\t{}\n", standby.by, standby.reason)
        });
        let reset = self.house.limits_reset.then(|| "limits-reset\n".to_owned());
        let resumed = self.resumed.iter().map(|(rule, before)| {
            let state = before.active_at.map_or("delaying", |_| "active");
            line(*rule, before, state)
        });
        let open = self.episodes.values().filter_map(keep);
        [pause, standby, reset].into_iter().flatten().chain(resumed).chain(open).collect()
    }

    /// Takes over from the last life, whose [`Self::kept`] this is. What was alarming goes on as the same episode; what
    /// was delaying has had its delay.
    pub fn resume(&mut self, now: Now, kept: &str) {
        let now = self.advance(now);
        for line in kept.lines() {
            let _ = self.resume_line(now, &line.split('\t').collect::<Vec<_>>());
        }
        self.handle(now, Input::Timeout);
    }

    fn resume_line(&mut self, now: Now, fields: &[&str]) -> Option<()> {
        match *fields {
            ["limits-reset"] => self.house.limits_reset = true,
            ["pause", begun, until, up_to, by] => {
                let (begun_at, until, left) = rest(now, begun, until, self.policy.pause_max)?;
                let (by, ends_at, up_to) = (by.into(), now.mono + left, priority(up_to)?);
                let seen = std::collections::BTreeSet::new();
                self.pause = Some(Pause { until, by, up_to, begun_at, ends_at, seen });
            }
            ["standby", begun, until, by, reason] => {
                let (begun_at, until, left) = rest(now, begun, until, self.policy.standby_max)?;
                let (by, reason, ends_at) = (by.into(), reason.into(), now.mono + left);
                self.standby = Some(Standby { until, by, reason, begun_at, ends_at });
            }
            ["episode", key, state, id, version, onset, active, ack, by, ref finding @ ..] => {
                let rule = from_key(key)?;
                let acknowledged = wall(ack).map(|at| {
                    // A clock that was set back reminds at once.
                    let since = Duration::from_micros(u64::try_from(now.wall.0 - at.0).unwrap_or(u64::MAX));
                    let left = self.policy.reminder.saturating_sub(since);
                    Acknowledged { at, by: by.into(), remind_at: now.mono + left }
                });
                let finding = finding_of(rule, finding);
                let before = Before {
                    id: EpisodeId(u64::from_str_radix(id, 16).ok()?),
                    version: version.parse().ok()?,
                    onset_at: wall(onset)?,
                    active_at: wall(active),
                    acknowledged,
                    finding: finding.clone(),
                };
                match finding {
                    Some(finding) if reopens(rule) && state != "delaying" => {
                        self.reopen(now, rule, finding, before, state == "latched");
                    }
                    _ => drop(self.resumed.insert(rule, before)),
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn reopen(&mut self, now: Now, rule: Rule, finding: Finding, before: Before, is_latched: bool) {
        if let Rule::DeviceAlert { link, code, source, is_technical: technical } = rule
            && !is_latched
        {
            let text = finding.text.strip_prefix(self.links.name(link)).unwrap_or(&finding.text);
            let text = DeviceText::new(text.trim_start_matches(": "));
            let (priority, phase) = (finding.priority, AlertPhase::Present);
            self.alerts.remember(rule, Alert { code, source, priority, text, phase, technical });
        }
        let mut episode = Episode::begin(before.id, rule, finding, self.set.version, now).go_on(before);
        if is_latched {
            episode.latch();
        }
        self.episodes.insert(rule, episode);
    }
}

/// Whether it goes on alarming before anything is known: the patient's do, and values that are missed. The other technical
/// conditions find themselves again.
fn reopens(rule: Rule) -> bool {
    rule.kind() == AlarmKind::Physiological || matches!(rule, Rule::NotMeasured { .. })
}

fn keep(episode: &Episode) -> Option<String> {
    let (state, active_at) = match episode.state() {
        State::Delaying { .. } if episode.rule.kind() == AlarmKind::Physiological => ("delaying", None),
        State::Active { at } => ("active", Some(at)),
        State::Latched { at } => ("latched", Some(at)),
        State::Delaying { .. } | State::Ended { .. } => return None,
    };
    // As it was when a person was asked last: not every worse value is a write.
    let (value, ref text) = *episode.asked();
    let before = Before {
        id: episode.id,
        version: (episode.version() / VERSIONS + 2).saturating_mul(VERSIONS),
        onset_at: episode.onset_at(),
        active_at,
        acknowledged: episode.acknowledged().cloned(),
        finding: Some(Finding { value, text: text.clone(), ..episode.finding.clone() }),
    };
    Some(line(episode.rule, &before, state))
}

fn line(rule: Rule, before: &Before, state: &str) -> String {
    let time = |at: Option<Wall>| at.map_or_else(|| "-".to_owned(), |at| at.0.to_string());
    let number = |value: Option<Decimal>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let (ack, by) = match &before.acknowledged {
        Some(acknowledged) => (Some(acknowledged.at), acknowledged.by.as_str()),
        None => (None, ""),
    };
    let (key, id, version) = (key(rule), before.id.0, before.version);
    let (onset, active, ack) = (before.onset_at.0, time(before.active_at), time(ack));
    let head = format!("episode\t{key}\t{state}\t{id:016x}\t{version}\t{onset}\t{active}\t{ack}\t{by}");
    let Some(finding) = &before.finding else { return head + "\n" };
    let hold = match (finding.latching, finding.hold) {
        (is_latching, Hold::Never) => {
            if is_latching {
                "latching never"
            } else {
                "never"
            }
        }
        (is_latching, Hold::Seen) => {
            if is_latching {
                "latching seen"
            } else {
                "seen"
            }
        }
        (is_latching, Hold::Free) => {
            if is_latching {
                "latching"
            } else {
                ""
            }
        }
    };
    let (level, weight) = (word(finding.priority), finding.weight);
    let (value, limit, text) = (number(finding.value), number(finding.limit), DeviceText::new(&finding.text));
    format!("{head}\t{level}\t{value}\t{limit}\t{weight}\t{hold}\t{text}\n")
}

fn finding_of(rule: Rule, fields: &[&str]) -> Option<Finding> {
    let [level, value, limit, weight, flags, text] = *fields else { return None };
    let row = rule.code().and_then(parameter);
    Some(Finding {
        value: Decimal::parse(value),
        limit: Decimal::parse(limit),
        ucum: row.filter(|_| value != "-").map_or("", |row| row.ucum),
        latching: flags.contains("latching"),
        hold: match flags {
            _ if flags.contains("never") => Hold::Never,
            _ if flags.contains("seen") => Hold::Seen,
            _ => Hold::Free,
        },
        weight: weight.parse().ok()?,
        ..Finding::new(priority(level)?, text.to_owned())
    })
}

/// What is left of a span that a person gave. Nothing, if the clock was set back since: the safe side is sound.
fn rest(now: Now, begun: &str, until: &str, most: Duration) -> Option<(Wall, Wall, Duration)> {
    let (begun, until) = (wall(begun)?, wall(until)?);
    let left = Duration::from_micros(u64::try_from(until.0.checked_sub(now.wall.0)?).ok()?);
    (begun <= now.wall && !left.is_zero()).then(|| (begun, until.min(now.wall + most), left.min(most)))
}

fn wall(text: &str) -> Option<Wall> {
    text.parse().ok().map(Wall)
}

fn word(priority: Priority) -> &'static str {
    PRIORITIES.iter().find(|(_, of)| *of == priority).map_or("high", |(word, _)| word)
}

fn priority(word: &str) -> Option<Priority> {
    PRIORITIES.iter().find(|(of, _)| *of == word).map(|(_, priority)| *priority)
}

fn key(rule: Rule) -> String {
    let name = rule.name();
    let at = rule.channel().map(|(code, site)| format!("{name} {} {}", code.0, site_word(site)));
    match rule {
        Rule::BeyondLimit { priority, is_extreme, .. } => {
            let extreme = if is_extreme { " extreme" } else { "" };
            format!("{} {}{extreme}", at.unwrap_or_default(), word(priority))
        }
        Rule::Rate { priority, .. } => format!("{} {}", at.unwrap_or_default(), word(priority)),
        Rule::DeviceAlert { link, code, source, is_technical } => {
            let source = source.map_or_else(|| "-".to_owned(), |code| code.0.to_string());
            let kind = if is_technical { "technical" } else { "patient" };
            format!("{name} {link} {code} {source} {kind}")
        }
        _ => {
            at.or_else(|| rule.link().map(|link| format!("{name} {link}"))).unwrap_or_else(|| name.to_owned())
        }
    }
}

fn from_key(key: &str) -> Option<Rule> {
    let words: Vec<&str> = key.split(' ').collect();
    let side =
        |name: &str| if name.ends_with("low") || name.ends_with("fall") { Side::Low } else { Side::High };
    let code = |word: &str| word.parse().ok().map(Code);
    Some(match *words {
        [name @ ("limit-low" | "limit-high"), of, at, level, ref extreme @ ..] => Rule::BeyondLimit {
            code: code(of)?,
            site: site(at)?,
            side: side(name),
            priority: priority(level)?,
            is_extreme: !extreme.is_empty(),
        },
        [name @ ("rate-fall" | "rate-rise"), of, at, level] => {
            Rule::Rate { code: code(of)?, site: site(at)?, side: side(name), priority: priority(level)? }
        }
        ["device-alert", link, of, source, kind] => Rule::DeviceAlert {
            link: link.parse().ok()?,
            code: of.parse().ok()?,
            source: if source == "-" { None } else { Some(code(source)?) },
            is_technical: kind == "technical",
        },
        ["not-measured", of, at] => Rule::NotMeasured { code: code(of)?, site: site(at)? },
        ["limit-not-applied", of, at] => Rule::NotApplied { code: code(of)?, site: site(at)? },
        ["link-lost", link] => Rule::LinkLost { link: link.parse().ok()? },
        ["wrong-device", link] => Rule::WrongDevice { link: link.parse().ok()? },
        ["device-demo", link] => Rule::DemoMode { link: link.parse().ok()? },
        ["device-clock", link] => Rule::DeviceClock { link: link.parse().ok()? },
        [name] => *[
            Rule::Combined,
            Rule::Apnoea,
            Rule::ApnoeaNotMonitored,
            Rule::Clock,
            Rule::StoreTrouble,
            Rule::LimitsRefused,
            Rule::LimitsReset,
            Rule::Mute,
            Rule::HubLost,
            Rule::Flood,
        ]
        .iter()
        .find(|rule| rule.name() == name)?,
        _ => return None,
    })
}

fn site_word(site: Site) -> String {
    match site {
        Site::Unspecified => "-".to_owned(),
        Site::Preductal => "preductal".to_owned(),
        Site::Postductal => "postductal".to_owned(),
        Site::Numbered(number) => number.to_string(),
    }
}

fn site(word: &str) -> Option<Site> {
    Some(match word {
        "-" => Site::Unspecified,
        "preductal" => Site::Preductal,
        "postductal" => Site::Postductal,
        number => Site::Numbered(number.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::{from_key, key};
    use crate::alarm::Rule;
    use crate::alarm::rule::Side;
    use cotside_protocol::model::{Code, Priority, Site};
    use std::collections::BTreeSet;

    #[test]
    fn every_rules_key_is_read_back_as_that_rule() {
        let (code, priority) = (Code(150_456), Priority::High);
        let (link, source) = (3, Some(code));
        let mut rules = vec![
            Rule::Combined,
            Rule::Apnoea,
            Rule::DeviceAlert { link, code: 7, source, is_technical: true },
            Rule::DeviceAlert { link, code: 7, source: None, is_technical: false },
            Rule::ApnoeaNotMonitored,
            Rule::LinkLost { link },
            Rule::WrongDevice { link },
            Rule::DemoMode { link },
            Rule::DeviceClock { link },
            Rule::Clock,
            Rule::StoreTrouble,
            Rule::LimitsRefused,
            Rule::LimitsReset,
            Rule::HubLost,
            Rule::Mute,
            Rule::Flood,
        ];
        for site in [Site::Unspecified, Site::Preductal, Site::Postductal, Site::Numbered(4)] {
            rules.extend([Rule::NotMeasured { code, site }, Rule::NotApplied { code, site }]);
            for side in [Side::Low, Side::High] {
                rules.push(Rule::Rate { code, site, side, priority });
                rules.extend([true, false].map(|is_extreme| Rule::BeyondLimit {
                    code,
                    site,
                    side,
                    priority: Priority::Low,
                    is_extreme,
                }));
            }
        }
        for rule in &rules {
            assert_eq!(from_key(&key(*rule)), Some(*rule), "{}", key(*rule));
        }
        let names: BTreeSet<&str> = rules.iter().map(|rule| rule.name()).collect();
        assert_eq!(names, Rule::NAMES.into_iter().collect());
    }
}
