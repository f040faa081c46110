//! The monitor's tick counter on the agent's monotonic clock, steadied; and on its own wall clock.
//!
//! The quickest delivery heard in the last minute is taken as the true offset: everything slower was late, not early.

use crate::model::{Mono, Wall};
use std::time::Duration;

/// Ticks are 125 us and wrap after 149 hours.
pub(super) const TICK_US: i64 = 125;
const WINDOW: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Clock {
    /// Last counter seen, and its count without the wraps.
    last: Option<(u32, i64)>,
    /// Smallest (arrival - device time) in us, of this window and the one before.
    quickest: Option<i64>,
    quickest_before: Option<i64>,
    window_began: Mono,
    /// The monitor's own pairing of ticks and wall clock.
    wall: Option<(i64, Wall)>,
}

impl Clock {
    /// Something that the monitor finished at `ticks` arrived.
    pub(super) fn heard(&mut self, now: Mono, ticks: u32) {
        let count = self.unwrap(ticks);
        if let Some((_, last)) = self.last
            && (count - last).abs() > Duration::from_secs(60).as_micros() as i64 / TICK_US
        {
            // Power cycle or another monitor's counter: nothing learnt so far is true any more.
            *self = Self { last: self.last, ..Self::default() };
        }
        self.last = Some((ticks, count));
        let offset = now.0 as i64 - count * TICK_US;
        if now.since(self.window_began) >= WINDOW || self.quickest.is_none() {
            self.quickest_before = self.quickest;
            self.quickest = Some(offset);
            self.window_began = now;
        } else {
            self.quickest = self.quickest.map(|quickest| quickest.min(offset));
        }
    }

    fn unwrap(&self, ticks: u32) -> i64 {
        match self.last {
            None => i64::from(ticks),
            Some((seen, count)) => count + i64::from(ticks.wrapping_sub(seen) as i32),
        }
    }

    /// When `ticks` was, on the agent's clock. None before anything was heard.
    pub(super) fn mono(&self, ticks: u32) -> Option<Mono> {
        let offset = match (self.quickest, self.quickest_before) {
            (Some(now), Some(before)) => now.min(before),
            (Some(now), None) => now,
            _ => return None,
        };
        Some(Mono((self.unwrap(ticks) * TICK_US + offset).max(0) as u64))
    }

    /// How long before `now` it was.
    pub(super) fn lag(&self, now: Mono, ticks: u32) -> Duration {
        self.mono(ticks).map_or(Duration::ZERO, |then| now.since(then))
    }

    /// The monitor said what its wall clock read at `ticks`.
    pub(super) fn pair(&mut self, ticks: u32, wall: Wall) {
        if self.last.is_none() {
            self.last = Some((ticks, i64::from(ticks)));
        }
        self.wall = Some((self.unwrap(ticks), wall));
    }

    pub(super) fn device_at(&self, ticks: u32) -> Option<Wall> {
        let (paired, wall) = self.wall?;
        Some(Wall(wall.0 + (self.unwrap(ticks) - paired) * TICK_US))
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;
    use crate::model::{Mono, Wall};
    use std::time::Duration;

    #[test]
    fn a_late_delivery_is_late_and_not_the_new_truth() {
        let mut clock = Clock::default();
        clock.heard(Mono(1_000_000), 8000);
        clock.heard(Mono(2_300_000), 16_000);
        assert_eq!(clock.mono(16_000), Some(Mono(2_000_000)));
        assert_eq!(clock.lag(Mono(2_300_000), 16_000), Duration::from_millis(300));
    }

    #[test]
    fn the_counter_wraps_without_a_step() {
        let mut clock = Clock::default();
        clock.heard(Mono(1_000_000), u32::MAX - 3999);
        clock.heard(Mono(2_000_000), 4000);
        assert_eq!(clock.mono(12_000), Some(Mono(3_000_000)));
        clock.pair(4000, Wall(50_000_000));
        assert_eq!(clock.device_at(u32::MAX - 3999), Some(Wall(49_000_000)));
    }

    #[test]
    fn a_monitor_that_runs_fast_or_slow_is_followed_through_jitter() {
        for ppm in [-200_i64, -20, 20, 200] {
            let mut clock = Clock::default();
            for block in 0..20_000_u32 {
                let ticks = block.wrapping_mul(2048).wrapping_add(u32::MAX - 10_000_000);
                let sent = 1_000_000 + i64::from(block) * 256_000 * (1_000_000 + ppm) / 1_000_000;
                let late = i64::from(block.wrapping_mul(2_654_435_761) >> 16) % 60_000;
                clock.heard(Mono((sent + late) as u64), ticks);
                let off = clock.mono(ticks).unwrap().0 as i64 - sent;
                assert!(block < 20 || (-13_000..25_000).contains(&off), "{ppm} ppm, block {block}: {off} us");
            }
        }
    }
}
