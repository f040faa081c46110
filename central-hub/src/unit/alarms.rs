//! The open alarms of one bed as the agent tells them: announced at once, marked as recorded when their row is committed.
//!
//! The agent owns condition and inactivation; nothing is derived here. An announce is the full state and decides what is open.
//! Records only confirm, or show an alarm whose announce was lost on the way.

use super::view::AlarmView;
use cotside_protocol::model::{DeviceText, Wall};
use cotside_protocol::wire::upstream::{Alarm, Condition, Inactivation};
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

/// Episodes remembered as over or as recorded, so that a late row changes nothing.
const REMEMBERED: usize = 256;
/// More than an agent can announce at once.
const OPEN_MAX: usize = 1024;
/// Apnoea, bradycardia, desaturation, and room.
const PARTS_MAX: usize = 8;
/// Clocks that differ by less agree.
const SKEW_MIN_US: u64 = 1_000_000;

#[derive(Clone, Debug, Default)]
pub(super) struct Alarms {
    open: BTreeMap<String, Alarm>,
    /// Newest committed version by episode.
    recorded: Remembered<u32>,
    over: Remembered<()>,
    /// The hub's wall clock minus the agent's, microseconds: an alarm is dated for people by the hub's.
    skew_us: i64,
}

impl Alarms {
    /// Notes what the agent's wall clock said at `now`. A way of a few milliseconds more or less is no other clock.
    pub(super) fn date(&mut self, now: Wall, said_us: i64) {
        let skew_us = now.0.saturating_sub(said_us);
        if skew_us.abs_diff(self.skew_us) >= SKEW_MIN_US {
            self.skew_us = skew_us;
        }
    }

    /// Takes the full state. True if anything to be seen changed.
    pub(super) fn announce(&mut self, alarms: Vec<Alarm>) -> bool {
        let mut next = BTreeMap::new();
        for alarm in alarms.into_iter().take(OPEN_MAX) {
            if alarm.condition == Condition::Inactive {
                continue;
            }
            // H16: every screen shows the newest version that anyone has seen.
            let newest = match self.open.get(&alarm.episode) {
                Some(held) if held.version > alarm.version => held.clone(),
                _ => harmless(alarm),
            };
            next.insert(newest.episode.clone(), newest);
        }
        // What is no longer listed has ended for good: a new alarm has a new name.
        for episode in self.open.keys().filter(|episode| !next.contains_key(*episode)) {
            self.over.insert(episode, ());
        }
        let has_changed = self.open != next;
        self.open = next;
        has_changed
    }

    /// Takes a committed row. `is_current`: it was written within the last seconds, so it may open what no announce has shown.
    pub(super) fn record(&mut self, alarm: Alarm, is_current: bool) -> bool {
        let alarm = harmless(alarm);
        let known = self.recorded.get(&alarm.episode).copied();
        if known.is_none_or(|version| version < alarm.version) {
            self.recorded.insert(&alarm.episode, alarm.version);
        }
        match self.open.get(&alarm.episode) {
            Some(held) if held.version > alarm.version => false,
            Some(_) if alarm.condition == Condition::Inactive => {
                self.open.remove(&alarm.episode);
                self.over.insert(&alarm.episode, ());
                true
            }
            Some(_) => {
                self.open.insert(alarm.episode.clone(), alarm);
                true
            }
            None => {
                let opens = is_current
                    && alarm.condition != Condition::Inactive
                    && self.over.get(&alarm.episode).is_none()
                    && self.open.len() < OPEN_MAX;
                if opens {
                    self.open.insert(alarm.episode.clone(), alarm);
                }
                opens
            }
        }
    }

    /// A new patient: what is open belongs to the last one. An alarm that goes on is announced again within a second.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    /// Highest priority first, then the newest.
    pub(super) fn view(&self) -> Vec<AlarmView> {
        let mut sorted: Vec<&Alarm> = self.open.values().collect();
        sorted.sort_by_key(|alarm| (Reverse(alarm.priority), Reverse(alarm.onset_us)));
        sorted
            .into_iter()
            .map(|alarm| {
                let recorded =
                    self.recorded.get(&alarm.episode).is_some_and(|version| *version >= alarm.version);
                AlarmView::new(alarm, recorded, self.skew_us)
            })
            .collect()
    }
}

/// What an agent says is text from outside (S5): no control or direction characters, and no longer than a screen can show.
fn harmless(mut alarm: Alarm) -> Alarm {
    alarm.parts.truncate(PARTS_MAX);
    let optional = [&mut alarm.site, &mut alarm.value, &mut alarm.limit].into_iter().flatten();
    let by = match &mut alarm.inactivation {
        Inactivation::Enabled => None,
        Inactivation::AudioPaused { by, .. } | Inactivation::Acknowledged { by, .. } => Some(by),
    };
    let optional = optional.chain(&mut alarm.parts).chain(by);
    let texts =
        [&mut alarm.episode, &mut alarm.rule, &mut alarm.ucum, &mut alarm.text].into_iter().chain(optional);
    for text in texts {
        *text = DeviceText::new(text).as_str().to_owned();
    }
    alarm
}

/// The last few facts by episode.
#[derive(Clone, Debug, Default)]
struct Remembered<T> {
    facts: BTreeMap<String, T>,
    order: VecDeque<String>,
}

impl<T> Remembered<T> {
    fn get(&self, episode: &str) -> Option<&T> {
        self.facts.get(episode)
    }

    fn insert(&mut self, episode: &str, fact: T) {
        if self.facts.insert(episode.to_owned(), fact).is_some() {
            return;
        }
        self.order.push_back(episode.to_owned());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.facts.remove(&oldest);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::Alarms;
    use cotside_protocol::model::Wall;
    use cotside_protocol::wire::upstream::{Alarm, AlarmKind, Condition, Inactivation, Priority};

    pub(in crate::unit) fn alarm(episode: &str, version: u32, condition: Condition) -> Alarm {
        Alarm {
            episode: episode.to_owned(),
            version,
            attention: 1,
            rule: "limit-low".to_owned(),
            kind: AlarmKind::Physiological,
            priority: Priority::High,
            condition,
            inactivation: Inactivation::Enabled,
            code: Some(150_456),
            site: None,
            value: Some("71".to_owned()),
            limit: Some("85".to_owned()),
            ucum: "%".to_owned(),
            text: "SpO2 71 < 85".to_owned(),
            parts: Vec::new(),
            link: None,
            delay_ms: 10_000,
            limits: 0,
            onset_us: 1,
            active_us: None,
            ended_us: None,
            ended: None,
        }
    }

    #[test]
    fn an_alarm_is_shown_before_its_row_and_marked_when_the_row_is_committed() {
        let mut alarms = Alarms::default();
        assert!(alarms.announce(vec![alarm("a", 1, Condition::Active)]));
        assert!(!alarms.view()[0].recorded);
        assert!(!alarms.announce(vec![alarm("a", 1, Condition::Active)]));
        assert!(alarms.record(alarm("a", 1, Condition::Active), true));
        assert!(alarms.view()[0].recorded);
        assert!(alarms.announce(vec![alarm("a", 2, Condition::Latched)]));
        assert!(!alarms.view()[0].recorded);
    }

    #[test]
    fn s5_the_text_of_an_alarm_is_text_from_outside() {
        let mut alarms = Alarms::default();
        let text = format!("\u{202e}{}\n", "long ".repeat(10_000));
        alarms.announce(vec![Alarm { text: text.clone(), ..alarm("a", 1, Condition::Active) }]);
        alarms.record(Alarm { text, ..alarm("b", 1, Condition::Active) }, true);
        let shown = alarms.view();
        assert_eq!(shown.len(), 2);
        assert!(shown.iter().all(|alarm| alarm.text.starts_with("long") && alarm.text.len() <= 64));
    }

    #[test]
    fn h11_an_alarm_is_dated_by_the_hub_when_the_agents_clock_is_a_year_off() {
        const YEAR_US: i64 = 365 * 86_400 * 1_000_000;
        let (now, mut alarms) = (Wall(1_768_360_364_000_000), Alarms::default());
        alarms.date(now, now.0 - YEAR_US);
        alarms.announce(vec![Alarm {
            onset_us: now.0 - YEAR_US - 5_000_000,
            ..alarm("a", 1, Condition::Active)
        }]);
        assert_eq!(alarms.view()[0].onset_ms, now.0 / 1000 - 5_000);
        // Later by the jitter of the network: the date stands.
        alarms.date(Wall(now.0 + 300_000), now.0 - YEAR_US);
        assert_eq!(alarms.view()[0].onset_ms, now.0 / 1000 - 5_000);
    }

    #[test]
    fn a_late_row_does_not_reopen_an_ended_episode() {
        let mut alarms = Alarms::default();
        alarms.announce(vec![alarm("a", 1, Condition::Active)]);
        alarms.announce(vec![]);
        assert!(!alarms.record(alarm("a", 1, Condition::Active), true));
        assert!(alarms.view().is_empty());
    }

    #[test]
    fn a_row_from_the_backlog_opens_nothing() {
        let mut alarms = Alarms::default();
        assert!(!alarms.record(alarm("yesterday", 1, Condition::Active), false));
        assert!(alarms.view().is_empty());
    }

    #[test]
    fn an_older_version_never_replaces_a_newer_one() {
        let mut alarms = Alarms::default();
        alarms.announce(vec![alarm("a", 3, Condition::Latched)]);
        alarms.record(alarm("a", 2, Condition::Active), true);
        alarms.announce(vec![alarm("a", 2, Condition::Active)]);
        assert_eq!(alarms.view()[0].version, 3);
    }

    #[test]
    fn a_committed_end_closes_an_alarm_whose_last_announce_was_lost() {
        let mut alarms = Alarms::default();
        alarms.announce(vec![alarm("a", 1, Condition::Active)]);
        assert!(alarms.record(alarm("a", 2, Condition::Inactive), true));
        assert!(alarms.view().is_empty());
    }
}
