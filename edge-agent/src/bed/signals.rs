//! What must be seen and heard at the bed itself at this moment: for a program, a buzzer and a page beside it.

use cotside_protocol::model::{Alarm, Condition, Inactivation, Priority, Wall};
use serde_json::json;

/// The state whole; the latest is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// What sounds. None: nothing may.
    pub sounding: Option<Priority>,
    /// The most urgent alarm, heard or not.
    pub priority: Option<Priority>,
    /// Its words.
    pub text: String,
    pub paused_until: Option<Wall>,
}

impl Signals {
    pub(super) fn of(open: &[Alarm], paused_until: Option<Wall>) -> Self {
        let shown = open.iter().filter(|alarm| is_shown(alarm));
        let sounding = shown.clone().filter(|alarm| sounds(alarm)).map(|alarm| alarm.priority).max();
        let top = shown.max_by_key(|alarm| (sounds(alarm), alarm.priority));
        Self {
            sounding,
            priority: top.map(|alarm| alarm.priority),
            text: top.map(|alarm| alarm.text.to_string()).unwrap_or_default(),
            paused_until,
        }
    }

    /// One line for a program.
    pub fn line(&self) -> String {
        let json = json!({
            "sounding": self.sounding.map(word),
            "priority": self.priority.map(word),
            "text": self.text,
            "paused_until": self.paused_until.map(|until| until.to_string()),
        });
        format!("{json}\n")
    }
}

fn is_shown(alarm: &Alarm) -> bool {
    matches!(alarm.condition, Condition::Active | Condition::Latched)
}

/// Enabled, and not of those that make no sound: an advisory, what is latched below high. What a pause silences is not enabled.
fn sounds(alarm: &Alarm) -> bool {
    alarm.inactivation == Inactivation::Enabled
        && alarm.priority > Priority::Advisory
        && (alarm.condition == Condition::Active || alarm.priority == Priority::High)
}

fn word(priority: Priority) -> &'static str {
    match priority {
        Priority::High => "high",
        Priority::Medium => "medium",
        Priority::Low => "low",
        Priority::Advisory => "advisory",
    }
}

#[cfg(test)]
mod tests {
    use super::Signals;
    use crate::bed::watch::tests::alarm;
    use cotside_protocol::model::{Alarm, AlarmKind, Condition, DeviceText, Inactivation, Priority, Wall};

    fn of(priority: Priority) -> Alarm {
        Alarm { priority, text: DeviceText::new("words"), ..alarm(AlarmKind::Physiological, 1) }
    }

    #[test]
    fn the_highest_enabled_alarm_sounds_and_nothing_else() {
        let acknowledged = Inactivation::Acknowledged { at: Wall(0), by: DeviceText::default() };
        let high = of(Priority::High);
        let quiet = Alarm { inactivation: acknowledged, ..high.clone() };
        let latched = |priority| Alarm { condition: Condition::Latched, ..of(priority) };
        let delaying = Alarm { condition: Condition::Delaying, ..high.clone() };
        for (open, sounding) in [
            (vec![], None),
            (vec![of(Priority::Low), high, of(Priority::Medium)], Some(Priority::High)),
            (vec![of(Priority::Low), quiet], Some(Priority::Low)),
            (vec![of(Priority::Advisory), delaying, latched(Priority::Medium)], None),
            (vec![latched(Priority::High)], Some(Priority::High)),
        ] {
            assert_eq!(Signals::of(&open, None).sounding, sounding, "{open:?}");
        }
    }

    #[test]
    fn s5_a_line_is_one_line_whatever_the_words() {
        let mut hostile = of(Priority::High);
        hostile.text = DeviceText::new("a\"\n{\u{1b}[2J}; rm -rf /");
        let line = Signals::of(&[hostile], None).line();
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.ends_with('\n') && line.len() < 512);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap()["text"], "a\"{[2J}; rm -rf /");
    }
}
