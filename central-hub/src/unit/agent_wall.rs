//! One agent's wall clock against the hub's: what it dates is found by date, so a clock that is off must be seen.

use super::view::AgentClockView;
use cotside_protocol::model::{Now, Wall};
use cotside_protocol::offset::Offset;
use std::time::Duration;

/// Off by more is told; it is right again when it is off by less than the second.
const OFF_US: i64 = 30_000_000;
const OFF_NO_MORE_US: i64 = 25_000_000;

#[derive(Debug, Default)]
pub(super) struct AgentWall {
    offset: Offset,
    is_off: bool,
    /// By the hub's clock.
    off_since: Wall,
    /// What was told last.
    told: bool,
}

impl AgentWall {
    /// The agent said what its wall clock reads.
    pub(super) fn hears(&mut self, now: Now, said_us: i64) {
        self.offset.observe(now.mono, Wall(said_us), Duration::ZERO);
        let limit = if self.is_off { OFF_NO_MORE_US } else { OFF_US };
        let was_off = self.is_off;
        self.is_off = self
            .ahead(now)
            .is_some_and(|(us, give_or_take)| us.saturating_abs().saturating_sub(give_or_take) > limit);
        if self.is_off && !was_off {
            self.off_since = now.wall;
        }
    }

    /// So many microseconds ahead of the hub's wall clock, give or take.
    fn ahead(&self, now: Now) -> Option<(i64, i64)> {
        let estimate = self.offset.estimate(now.mono)?;
        let ground = now.wall.0.saturating_sub_unsigned(now.mono.0);
        Some((estimate.us.saturating_sub(ground), estimate.uncertainty_us))
    }

    pub(super) fn view(&self, now: Now) -> Option<AgentClockView> {
        self.ahead(now).map(|(us, give_or_take)| AgentClockView {
            offset_ms: us.div_euclid(1000),
            uncertainty_ms: give_or_take.div_euclid(1000).saturating_add(1),
            off: self.is_off,
        })
    }

    pub(super) const fn is_off(&self) -> bool {
        self.is_off
    }

    /// When it began to be off, if it is.
    pub(super) fn off_since(&self) -> Option<Wall> {
        self.is_off.then_some(self.off_since)
    }

    /// Words, when it has begun or ceased to be off.
    pub(super) fn news(&mut self, now: Now) -> Option<String> {
        if std::mem::replace(&mut self.told, self.is_off) == self.is_off {
            return None;
        }
        let (us, _) = self.ahead(now)?;
        let (seconds, way) = (us.unsigned_abs() / 1_000_000, if us < 0 { "behind" } else { "ahead of" });
        Some(if self.is_off {
            format!("its clock is {seconds} s {way} the hub's: what it records is dated by that clock")
        } else {
            "its clock agrees with the hub's again".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::AgentWall;
    use cotside_protocol::model::{Mono, Now, Wall};
    use std::time::Duration;

    #[test]
    fn s10_an_agents_clock_that_leaves_the_hubs_is_told_once_each_way() {
        let mut wall = AgentWall::default();
        let mut now = Now { mono: Mono(9_000_000), wall: Wall(1_800_000_000_000_000) };
        let mut news = Vec::new();
        for second in 0..60 {
            now = now.after(Duration::from_secs(1));
            let ahead = if (20..40).contains(&second) { 3_600_000_000 } else { 400_000 };
            wall.hears(now, now.wall.0 + ahead - 30_000);
            news.extend(wall.news(now).map(|words| (second, words)));
        }
        assert_eq!(
            news,
            [
                (
                    21,
                    "its clock is 3600 s ahead of the hub's: what it records is dated by that clock"
                        .to_owned()
                ),
                (50, "its clock agrees with the hub's again".to_owned()),
            ]
        );
        // The hub's own clock is set: at once the agent's is off.
        now.wall.0 -= 60_000_000;
        wall.hears(now, now.wall.0 + 60_000_000);
        assert!(wall.view(now).unwrap().off);
    }
}
