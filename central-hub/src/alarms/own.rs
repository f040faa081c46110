//! What the hub itself finds wrong with the way of an alarm: alarms of its own, that end with their cause.

use super::cover::Trouble;
use crate::unit::view::AlarmView;
use cotside_protocol::model::Wall;
use cotside_protocol::wire::upstream::{Alarm, AlarmKind, Condition, Inactivation, Priority};
use std::collections::BTreeMap;

/// Alarms of the unit by name, each with its beginning.
#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    open: BTreeMap<String, (Wall, Priority, String)>,
}

/// What the hub finds now.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub troubles: Vec<Trouble>,
    /// Beds with a live agent that no station shows.
    pub uncovered: Vec<String>,
    pub cannot_store: bool,
    /// Entries of the alarm log that found no room on their way to it.
    pub unlogged: u64,
    /// Hundredths of its capacity.
    pub log_full: u64,
}

/// From here on the log's capacity is an alarm.
const LOG_FULL_PERCENT: u64 = 90;
/// More beds than this are counted, not named.
const NAMED_MAX: usize = 6;

impl Own {
    /// True if anything to be seen changed.
    pub(super) fn are(&mut self, now: Wall, found: &Found) -> bool {
        let mut next = BTreeMap::new();
        for trouble in &found.troubles {
            let priority = if trouble.lost { Priority::Medium } else { Priority::Low };
            let text = format!("STATION {} {}", trouble.name, trouble.words);
            next.insert(format!("hub-station-{}", trouble.id), (priority, text));
        }
        if !found.uncovered.is_empty() {
            let beds = match found.uncovered.len() {
                count if count > NAMED_MAX => format!("{count} beds"),
                _ => found.uncovered.join(", "),
            };
            next.insert("hub-unwatched".to_owned(), (Priority::Low, format!("NO STATION SHOWS {beds}")));
        }
        if found.cannot_store {
            let text = "The hub cannot store: alarms are shown, not recorded".to_owned();
            next.insert("hub-store".to_owned(), (Priority::Medium, text));
        }
        if found.unlogged > 0 {
            let text = format!("ALARM LOG: {} entries lost", found.unlogged);
            next.insert("hub-log-lost".to_owned(), (Priority::Medium, text));
        }
        if found.log_full >= LOG_FULL_PERCENT {
            let text = format!("ALARM LOG {} % full", found.log_full);
            next.insert("hub-log-full".to_owned(), (Priority::Medium, text));
        }
        let is_same = next.len() == self.open.len()
            && next.iter().all(|(name, (priority, text))| {
                self.open.get(name).is_some_and(|(_, was, words)| (was, words) == (priority, text))
            });
        if is_same {
            return false;
        }
        let mut open = BTreeMap::new();
        for (name, (priority, text)) in next {
            let since = self.open.get(&name).map_or(now, |(since, ..)| *since);
            open.insert(name, (since, priority, text));
        }
        self.open = open;
        true
    }

    pub(super) fn view(&self) -> Vec<AlarmView> {
        let alarms = self.open.iter();
        alarms.map(|(name, (since, priority, text))| technical(name, *priority, text, *since)).collect()
    }
}

/// An alarm of the hub's own clock and record.
pub(super) fn technical(episode: &str, priority: Priority, text: &str, since: Wall) -> AlarmView {
    let alarm = Alarm {
        episode: episode.to_owned(),
        version: 1,
        attention: 1,
        rule: episode.to_owned(),
        kind: AlarmKind::Technical,
        priority,
        condition: Condition::Active,
        inactivation: Inactivation::Enabled,
        code: None,
        site: None,
        value: None,
        limit: None,
        ucum: String::new(),
        text: text.to_owned(),
        parts: Vec::new(),
        link: None,
        delay_ms: 0,
        limits: 0,
        onset_us: since.0,
        active_us: Some(since.0),
        ended_us: None,
        ended: None,
    };
    AlarmView::new(&alarm, true, 0)
}
