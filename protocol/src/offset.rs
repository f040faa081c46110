//! How far another clock is from our monotonic one, as an interval that holds the truth.
//!
//! A message cannot arrive before it was made, so each one bounds the other clock from below: the greatest bound is of the message that
//! was quickest on its way. From above it is bounded by the clock's resolution and by what the quickest message may have taken. Both
//! bounds spread with time, as two quartzes drift. A reading that no drift explains is a step of the other clock, once others agree.

use crate::model::{Mono, Wall};
use std::time::Duration;

/// Two quartz clocks may drift apart by this much.
const DRIFT_PER_MILLION: u64 = 200;
/// The quickest of many messages takes no longer than this.
const TRANSIT_US: i64 = 250_000;
/// What is within this of the interval is no step: the clock is being slewed, or its message was late.
const STEP_MIN_US: i64 = 1_000_000;
/// Readings of a clock that has stepped agree within this and their resolution.
const AGREE_US: i64 = 500_000;
/// A reading ahead of all that is possible cannot be late, only damaged: one more settles it.
const AHEAD_READINGS: u32 = 2;
/// A reading behind may be late: so many must agree over some time, or fewer over a longer one.
const BEHIND_READINGS: u32 = 3;
const BEHIND_SOME: Duration = Duration::from_secs(10);
const BEHIND_LONG: Duration = Duration::from_secs(60);
/// No clock shows years that need more than these microseconds.
const FARTHEST_US: i64 = 400_000_000_000_000_000;

#[derive(Clone, Copy, Debug, Default)]
pub struct Offset {
    known: Option<Interval>,
    /// Where the clock is if it has stepped.
    rival: Option<Rival>,
}

/// The other clock minus ours, microseconds, as it was known at an instant.
#[derive(Clone, Copy, Debug)]
struct Interval {
    low: i64,
    high: i64,
    at: Mono,
}

#[derive(Clone, Copy, Debug)]
struct Rival {
    interval: Interval,
    /// Of its first reading, and when that came. What comes late in a burst moves away from it.
    first: i64,
    since: Mono,
    resolution: i64,
    readings: u32,
}

/// The other clock is ahead of ours by `us`, give or take `uncertainty_us`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    pub us: i64,
    pub uncertainty_us: i64,
}

/// What one reading has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It is the first.
    Known,
    /// The clock is where it was expected.
    Steady,
    /// It is not where it was expected; the next readings will tell.
    Unsure,
    /// The clock was set by so many microseconds.
    Stepped(i64),
}

impl Offset {
    /// A message received at `received` says that the other clock reads `at` or up to `resolution` later.
    pub fn observe(&mut self, received: Mono, at: Wall, resolution: Duration) -> Shown {
        let ours = i64::try_from(received.0).unwrap_or(FARTHEST_US).min(FARTHEST_US);
        let bound = at.0.clamp(-FARTHEST_US, FARTHEST_US) - ours;
        let resolution = i64::try_from(resolution.as_micros()).unwrap_or(FARTHEST_US).min(FARTHEST_US);
        let fresh = Interval { low: bound, high: bound + resolution + TRANSIT_US, at: received };
        let Some(known) = &mut self.known else {
            self.known = Some(fresh);
            return Shown::Known;
        };
        *known = known.spread(received);
        if bound > known.high + STEP_MIN_US || bound < known.low - STEP_MIN_US - resolution {
            return self.doubt(fresh, resolution);
        }
        self.rival = None;
        // Later than the quickest, as most are: nothing is learnt.
        if bound >= known.low {
            let high = if bound > known.high { fresh.high } else { known.high.min(fresh.high) };
            *known = Interval { high, ..fresh };
        }
        Shown::Steady
    }

    fn doubt(&mut self, fresh: Interval, resolution: i64) -> Shown {
        let begun = Rival { interval: fresh, first: fresh.low, since: fresh.at, resolution, readings: 1 };
        let rival = match self.rival {
            Some(rival) if rival.agrees(fresh) => rival.with(fresh),
            _ => begun,
        };
        self.rival = Some(rival);
        let Some(known) = self.known else { return Shown::Unsure };
        let is_ahead = rival.interval.low > known.high;
        let lasts = fresh.at.since(rival.since);
        let is_settled = match rival.readings {
            0 | 1 => false,
            AHEAD_READINGS.. if is_ahead => true,
            BEHIND_READINGS.. => lasts >= BEHIND_SOME,
            _ => lasts >= BEHIND_LONG,
        };
        if !is_settled {
            return Shown::Unsure;
        }
        (self.known, self.rival) = (Some(rival.interval), None);
        Shown::Stepped(rival.interval.middle() - known.middle())
    }

    pub fn estimate(&self, now: Mono) -> Option<Estimate> {
        let known = self.known?.spread(now);
        Some(Estimate { us: known.middle(), uncertainty_us: (known.high - known.low + 1) / 2 })
    }

    /// False while readings contradict the estimate.
    pub const fn is_sure(&self) -> bool {
        self.known.is_some() && self.rival.is_none()
    }
}

impl Interval {
    fn spread(self, now: Mono) -> Self {
        let elapsed = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        let drift = i64::try_from(elapsed / (1_000_000 / DRIFT_PER_MILLION)).unwrap_or(FARTHEST_US);
        let at = if now > self.at { now } else { self.at };
        Self { low: self.low.saturating_sub(drift), high: self.high.saturating_add(drift), at }
    }

    const fn middle(self) -> i64 {
        self.low + (self.high - self.low) / 2
    }
}

impl Rival {
    fn agrees(&self, fresh: Interval) -> bool {
        self.first.abs_diff(fresh.low) <= (AGREE_US + self.resolution).unsigned_abs()
    }

    fn with(self, fresh: Interval) -> Self {
        let spread = self.interval.spread(fresh.at);
        let interval = if fresh.low >= spread.low { fresh } else { spread };
        Self { interval, readings: self.readings + 1, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::{Offset, Shown};
    use crate::model::{Mono, Wall};
    use proptest::prelude::*;
    use std::time::Duration;

    const S: i64 = 1_000_000;
    const BASE: i64 = 1_793_491_200 * S;

    /// A clock whose truth the test knows, read through a line with jitter.
    struct Bench {
        offset: Offset,
        /// The other clock minus ours at mono zero, and its drift.
        truth: i64,
        ppm: i64,
        resolution: Duration,
    }

    impl Bench {
        fn new(ppm: i64, resolution_us: u64) -> Self {
            let resolution = Duration::from_micros(resolution_us);
            Self { offset: Offset::default(), truth: BASE, ppm, resolution }
        }

        fn truth(&self, made: i64) -> i64 {
            self.truth + made * self.ppm / 1_000_000
        }

        /// A message made at `made` us of our clock, `late` on its way.
        fn read(&mut self, made: i64, late: i64) -> Shown {
            let shows = made + self.truth(made);
            let step = (self.resolution.as_micros() as i64).max(1);
            let at = Wall(shows - shows.rem_euclid(step));
            self.offset.observe(Mono((made + late) as u64), at, self.resolution)
        }

        fn error(&self, now: i64) -> (i64, i64) {
            let estimate = self.offset.estimate(Mono(now as u64)).unwrap();
            (estimate.us - self.truth(now), estimate.uncertainty_us)
        }
    }

    proptest! {
        #[test]
        fn the_truth_stays_within_the_stated_uncertainty(
            ppm in -150i64..150,
            resolution in prop::sample::select(vec![0u64, 1_000, 1_000_000]),
            phase in 0i64..1_000_000,
            late in prop::collection::vec(prop_oneof![4 => 1_000i64..200_000, 1 => 0i64..900_000], 400),
            every in 1i64..30,
        ) {
            let mut bench = Bench::new(ppm, resolution);
            bench.truth += phase;
            for (at, late) in (0..).zip(&late) {
                // The first is quick; otherwise the lateness of the first would have to be known.
                let late = if at == 0 { 100_000 } else { *late };
                let made = 10 * S + at * every * S;
                let shown = bench.read(made, late);
                prop_assert!(matches!(shown, Shown::Known | Shown::Steady), "{shown:?}");
                let (error, uncertainty) = bench.error(made + late);
                prop_assert!(error.abs() <= uncertainty + 20_000, "{error} +-{uncertainty}");
                prop_assert!(uncertainty <= 700_000 + 200 * every * 400, "{uncertainty}");
            }
        }

        #[test]
        fn a_step_is_found_with_its_size_and_nothing_else_is_one(
            step in prop_oneof![-4_000i64..-4, 3i64..4_000, Just(3600), Just(-3600), Just(-1_700_000_000)],
            ppm in -100i64..100,
            late in prop::collection::vec(1_000i64..200_000, 60),
        ) {
            let mut bench = Bench::new(ppm, 1_000_000);
            let mut steps = Vec::new();
            for (at, late) in (0..).zip(&late) {
                if at == 30 {
                    bench.truth += step * S;
                }
                if let Shown::Stepped(us) = bench.read(10 * S + at * 10 * S, *late) {
                    steps.push(us);
                }
            }
            prop_assert_eq!(steps.len(), 1);
            prop_assert!((steps[0] - step * S).abs() < 1_500_000, "{} for {}", steps[0], step);
            let (error, uncertainty) = bench.error(700 * S);
            prop_assert!(error.abs() <= uncertainty + 100_000);
        }

        #[test]
        fn any_reading_at_all_is_taken_without_harm(
            readings in prop::collection::vec((any::<u64>(), any::<i64>(), any::<u64>()), 0..20),
        ) {
            let mut offset = Offset::default();
            for (mono, wall, resolution) in readings {
                offset.observe(Mono(mono), Wall(wall), Duration::from_micros(resolution));
                prop_assert!(offset.estimate(Mono(mono)).unwrap().uncertainty_us >= 0);
            }
        }
    }

    #[test]
    fn a_backlog_in_a_burst_is_late_and_no_step() {
        let mut bench = Bench::new(0, 1_000_000);
        for second in 0..10 {
            bench.read((10 + second) * S, 50_000);
        }
        // The line hung for two minutes; what was made meanwhile comes at once.
        for second in 0..120 {
            let late = (120 - second) * S;
            assert!(!matches!(bench.read((20 + second) * S, late), Shown::Stepped(_)));
        }
        assert_eq!(bench.read(141 * S, 50_000), Shown::Steady);
        assert!(bench.offset.is_sure());
    }

    #[test]
    fn one_damaged_reading_is_no_step() {
        let mut bench = Bench::new(0, 1_000_000);
        bench.read(10 * S, 0);
        bench.truth += 86_400 * S;
        assert_eq!(bench.read(20 * S, 0), Shown::Unsure);
        bench.truth -= 86_400 * S;
        assert_eq!(bench.read(30 * S, 0), Shown::Steady);
    }

    #[test]
    fn a_rare_reader_finds_a_step_back_with_the_second_reading() {
        let mut bench = Bench::new(0, 1_000_000);
        bench.read(10 * S, 0);
        bench.truth -= 3600 * S;
        assert_eq!(bench.read(310 * S, 0), Shown::Unsure);
        assert!(matches!(bench.read(610 * S, 0), Shown::Stepped(us) if (us + 3600 * S).abs() < S));
    }
}
