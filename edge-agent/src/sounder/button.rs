//! A button that is believed when it has been held for a moment: a spark on the cable silences nobody's alarms.

use cotside_protocol::model::Mono;
use std::time::Duration;

/// Contacts bounce for a few milliseconds, and nobody presses for less.
const HELD_FOR: Duration = Duration::from_millis(40);

#[derive(Debug, Default)]
pub(super) struct Button {
    /// Since when it has been down.
    down: Option<Mono>,
    /// This pressing was told; a button that is stuck tells nothing more.
    is_told: bool,
}

impl Button {
    /// The line reads so from now on.
    pub(super) fn reads(&mut self, now: Mono, is_down: bool) {
        if is_down {
            self.down.get_or_insert(now);
        } else {
            *self = Self::default();
        }
    }

    /// True once for each pressing.
    pub(super) fn poll(&mut self, now: Mono) -> bool {
        let is_held = self.down.is_some_and(|down| now.since(down) >= HELD_FOR);
        is_held && !std::mem::replace(&mut self.is_told, true)
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.down.filter(|_| !self.is_told).map(|down| down + HELD_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::Button;
    use cotside_protocol::model::Mono;

    fn at(millis: u64) -> Mono {
        Mono(millis * 1_000)
    }

    #[test]
    fn h7_one_pressing_is_told_once_and_a_bounce_or_a_spark_is_none() {
        let mut button = Button::default();
        for bounce in 0..10 {
            button.reads(at(bounce * 2), true);
            assert!(!button.poll(at(bounce * 2)));
            button.reads(at(bounce * 2 + 1), false);
        }
        assert_eq!(button.deadline(), None);
        button.reads(at(100), true);
        assert_eq!(button.deadline(), Some(at(140)));
        assert!(!button.poll(at(139)));
        assert!(button.poll(at(140)));
        assert!(!button.poll(at(60_000)), "held down, it says nothing more");
        assert_eq!(button.deadline(), None);
        button.reads(at(60_001), false);
        button.reads(at(60_100), true);
        assert!(button.poll(at(60_200)));
    }
}
