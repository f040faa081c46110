//! A device's clock face: its driver sees it with every message, and tells of it as rarely as an estimate profits.

use crate::model::{DeviceTime, Event, Mono, Wall, Zone};
use std::time::Duration;

/// One look in this time is told: the one that was quickest on its way.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// A clock that leaves ours by more than this between two looks is told at once.
const JUMP_US: u64 = 2_000_000;

#[derive(Clone, Copy, Debug, Default)]
pub struct ClockFace {
    /// The last look, and the quickest since one was told.
    last: Option<DeviceTime>,
    best: Option<DeviceTime>,
    told_at: Mono,
}

impl ClockFace {
    /// A message received at `received` says that the device's clock reads `at`.
    pub fn look(&mut self, received: Mono, at: Wall, zone: Zone, resolution: Duration) -> Option<Event> {
        let look = DeviceTime { at, zone, resolution, received };
        let has_jumped = self.last.is_none_or(|last| {
            let resolution = resolution.max(last.resolution).as_micros() as u64;
            last.zone != zone || ahead(&look).abs_diff(ahead(&last)) > JUMP_US + resolution
        });
        self.last = Some(look);
        if has_jumped {
            self.best = None;
        }
        let best = self.best.filter(|best| ahead(best) > ahead(&look)).unwrap_or(look);
        if !has_jumped && received.since(self.told_at) < TELL_EVERY {
            self.best = Some(best);
            return None;
        }
        self.best = None;
        self.told_at = received;
        Some(Event::DeviceTime(best))
    }
}

/// The device's clock minus ours, short of what the message took.
fn ahead(look: &DeviceTime) -> i64 {
    look.at.0.saturating_sub_unsigned(look.received.0)
}

#[cfg(test)]
mod tests {
    use super::ClockFace;
    use crate::model::{Event, Mono, Wall, Zone};
    use std::time::Duration;

    fn told(looks: impl IntoIterator<Item = (u64, i64)>) -> Vec<(u64, i64)> {
        let mut face = ClockFace::default();
        let look = |(ms, at_ms): (u64, i64)| {
            let at = Wall(at_ms * 1000);
            match face.look(Mono(ms * 1000), at, Zone::Unknown, Duration::from_secs(1))? {
                Event::DeviceTime(time) => Some((time.received.0 / 1000, time.at.0 / 1000)),
                _ => None,
            }
        };
        looks.into_iter().filter_map(look).collect()
    }

    #[test]
    fn the_quickest_of_ten_seconds_is_told() {
        let looks = (0..21).map(|second| (second * 1000 + (second * 7 % 11) * 20, second as i64 * 1000));
        assert_eq!(told(looks), [(0, 0), (8020, 8000), (11_000, 11_000)]);
    }

    #[test]
    fn a_clock_that_jumps_is_told_at_once() {
        assert_eq!(
            told([(0, 0), (1000, 1000), (2000, 3_602_000), (3000, 3_603_000), (4000, 0)]),
            [(0, 0), (2000, 3_602_000), (4000, 0)]
        );
    }
}
