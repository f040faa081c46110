//! How far the hub's wall clock is from ours, by its heartbeat: told to the bed when it has changed, and once a minute.

use crate::row::HubTime;
use cotside_protocol::model::{Mono, Now, Wall};
use cotside_protocol::offset::{Offset, Shown};
use std::time::Duration;

const TELL_EVERY: Duration = Duration::from_secs(60);
/// A change of this is worth telling at once.
const MATERIAL_US: u64 = 500_000;

#[derive(Debug, Default)]
pub(super) struct HubClock {
    offset: Offset,
    told: Option<(HubTime, Mono)>,
}

impl HubClock {
    /// The hub said what its clock reads.
    pub(super) fn hear(&mut self, now: Now, hub_wall_us: i64) -> Option<HubTime> {
        if self.offset.observe(now.mono, Wall(hub_wall_us), Duration::ZERO) == Shown::Unsure {
            return None;
        }
        let estimate = self.offset.estimate(now.mono)?;
        let time = HubTime { ahead_us: estimate.us, uncertainty_us: estimate.uncertainty_us };
        let is_news = self.told.is_none_or(|(told, at)| {
            told.ahead_us.abs_diff(time.ahead_us) >= MATERIAL_US || now.mono.since(at) >= TELL_EVERY
        });
        is_news.then(|| {
            self.told = Some((time, now.mono));
            time
        })
    }
}

#[cfg(test)]
mod tests {
    use super::HubClock;
    use cotside_protocol::model::{Mono, Now, Wall};
    use std::time::Duration;

    #[test]
    fn the_bed_is_told_once_a_minute_and_at_each_step_and_not_of_a_late_heartbeat() {
        let mut clock = HubClock::default();
        let mut now = Now { mono: Mono(1_000_000_000), wall: Wall(0) };
        let mut told = Vec::new();
        for second in 0..180_i64 {
            now = now.after(Duration::from_secs(1));
            let late = if second == 20 { 4_000_000 } else { 20_000 };
            let step = if second >= 100 { 40_000_000 } else { 0 };
            let hub_wall = now.mono.0 as i64 + 7_000_000 + step - late;
            if let Some(time) = clock.hear(now, hub_wall) {
                told.push((second, time.ahead_us / 1_000_000));
            }
        }
        assert_eq!(told, [(0, 7), (60, 7), (101, 47), (161, 47)]);
    }
}
