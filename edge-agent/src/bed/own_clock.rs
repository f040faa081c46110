//! This gateway's own wall clock: whether it is set, how far from the hub's, and whether it keeps the gateway from its hub.

use super::device_clock::span;
use crate::row::HubTime;
use cotside_protocol::model::{Now, Wall};
use serde::{Deserialize, Serialize};

const S: i64 = 1_000_000;
/// Off by more is worth an alarm; it ends when it is off by less than the second.
const OFF_US: i64 = 30 * S;
const OFF_NO_MORE_US: i64 = 25 * S;

#[derive(Clone, Debug, Default)]
pub(super) struct OwnClock {
    /// The machine's clock shows a time before this software was made.
    pub(super) is_unset: bool,
    hub: Option<HubTime>,
    /// The hub's certificate cannot be valid by this clock: why, in words.
    refuses: Option<String>,
    /// What the alarm says of the hub's clock, in microseconds.
    said_us: Option<i64>,
}

/// As `edge-agent status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockSnapshot {
    pub wall: String,
    /// False: the machine's clock was never set; time is counted on from the last moment that is known to have passed.
    pub set: bool,
    /// So far ahead of the hub's clock, give or take the uncertainty; None: no hub was heard.
    pub ahead_of_hub_us: Option<i64>,
    pub uncertainty_us: i64,
}

impl OwnClock {
    pub(super) fn hub_says(&mut self, time: HubTime) {
        self.hub = Some(time);
    }

    pub(super) fn refuses(&mut self, words: Option<String>) {
        self.refuses = words;
    }

    /// What the hub's clock shows now, as far as it was heard.
    pub(super) fn hub_now(&self, now: Now) -> Option<Wall> {
        let mono = i64::try_from(now.mono.0).unwrap_or(i64::MAX);
        self.hub.map(|hub| Wall(hub.ahead_us.saturating_add(mono)))
    }

    /// Ours minus the hub's.
    fn ahead_of_hub(&self, now: Now) -> Option<i64> {
        let ground = now.wall.0.saturating_sub_unsigned(now.mono.0);
        self.hub.map(|hub| ground.saturating_sub(hub.ahead_us))
    }

    /// Words for the alarm; None: nothing is wrong with it.
    pub(super) fn alarm(&mut self, now: Now) -> Option<String> {
        if self.is_unset {
            return Some("CLOCK not set on this gateway, dates are guessed".to_owned());
        }
        if let Some(words) = &self.refuses {
            return Some(format!("CLOCK: {words}"));
        }
        let limit = if self.said_us.is_some() { OFF_NO_MORE_US } else { OFF_US };
        let uncertainty = self.hub.map_or(0, |hub| hub.uncertainty_us);
        let ahead =
            self.ahead_of_hub(now).filter(|us| us.saturating_abs().saturating_sub(uncertainty) > limit);
        // The words change with a step, and not with each second of drift.
        let said = match (self.said_us, ahead) {
            (Some(said), Some(ahead)) if said.abs_diff(ahead) < OFF_US.unsigned_abs() => Some(said),
            (_, ahead) => ahead,
        };
        self.said_us = said;
        said.map(|us| {
            let way = if us > 0 { "ahead of" } else { "behind" };
            format!("CLOCK of this gateway is {} {way} the hub's", span(us))
        })
    }

    pub(super) fn snapshot(&self, now: Now) -> ClockSnapshot {
        ClockSnapshot {
            wall: now.wall.to_string(),
            set: !self.is_unset,
            ahead_of_hub_us: self.ahead_of_hub(now),
            uncertainty_us: self.hub.map_or(0, |hub| hub.uncertainty_us),
        }
    }
}

/// A step of this gateway's wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) before: Wall,
    pub(super) after: Wall,
    /// Before it, the machine's clock was not set.
    pub(super) was_unset: bool,
}

impl Step {
    pub(super) fn words(&self) -> String {
        let us = self.after.0.saturating_sub(self.before.0);
        let way = if us > 0 { "forward" } else { "back" };
        if self.was_unset {
            return format!("the gateway's clock, not set until now, was set {way} by {}", span(us));
        }
        format!("the gateway's clock was set {way} by {}", span(us))
    }
}

#[cfg(test)]
mod tests {
    use super::OwnClock;
    use crate::row::HubTime;
    use cotside_protocol::model::{Mono, Now, Wall};

    const S: i64 = 1_000_000;

    fn at(ahead_s: i64) -> (OwnClock, Now) {
        let now = Now { mono: Mono(50_000_000), wall: Wall(1_800_000_000 * S + ahead_s * S) };
        let mut clock = OwnClock::default();
        clock.hub_says(HubTime { ahead_us: 1_800_000_000 * S - 50 * S, uncertainty_us: 300_000 });
        (clock, now)
    }

    #[test]
    fn a_clock_that_leaves_the_hubs_by_half_a_minute_alarms_in_words_that_stay() {
        for (ahead, words) in [
            (2, None),
            (-29, None),
            (31, Some("CLOCK of this gateway is 31 s ahead of the hub's")),
            (-7200, Some("CLOCK of this gateway is 2 h 0 min behind the hub's")),
        ] {
            let (mut clock, now) = at(ahead);
            assert_eq!(clock.alarm(now).as_deref(), words, "{ahead}");
        }
        let (mut clock, mut now) = at(40);
        let first = clock.alarm(now).unwrap();
        now.wall.0 -= 12 * S;
        assert_eq!(clock.alarm(now).unwrap(), first);
        now.wall.0 -= 10 * S;
        assert_eq!(clock.alarm(now), None);
    }

    #[test]
    fn a_clock_that_is_not_set_says_nothing_else() {
        let (mut clock, now) = at(86_400);
        clock.is_unset = true;
        clock.refuses(Some("says 1970".into()));
        assert_eq!(clock.alarm(now).unwrap(), "CLOCK not set on this gateway, dates are guessed");
        clock.is_unset = false;
        assert_eq!(clock.alarm(now).unwrap(), "CLOCK: says 1970");
    }
}
