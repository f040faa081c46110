//! The alarm signals in numbers, one table for every sounder: how long a pulse lasts, what is between pulses and between bursts.
//!
//! The windows of IEC 60601-1-8 that they lie in are written beside the tests. A buzzer at the bed follows them by its clock; the
//! pages play the same ones.

use super::Priority;
use std::time::Duration;

/// The auditory signal of one priority: a burst of pulses, again and again. Times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub pulse: u16,
    /// Silences between the pulses of a burst; one more pulse than silences.
    pub gaps: &'static [u16],
    /// From the end of a burst to the next.
    pub between: u16,
}

const X: u16 = 100;
const Y: u16 = 200;
const HIGH_PULSE: u16 = 150;
/// Between the third and the fourth of each five.
const LONG: u16 = 2 * X + HIGH_PULSE;

const HIGH: Pattern =
    Pattern { pulse: HIGH_PULSE, gaps: &[X, X, LONG, X, 800, X, X, LONG, X], between: 5_000 };
const MEDIUM: Pattern = Pattern { pulse: 200, gaps: &[Y, Y], between: 7_500 };
const LOW: Pattern = Pattern { pulse: 200, gaps: &[], between: 20_000 };

impl Pattern {
    /// None: an advisory makes no sound.
    pub const fn of(priority: Priority) -> Option<&'static Self> {
        match priority {
            Priority::High => Some(&HIGH),
            Priority::Medium => Some(&MEDIUM),
            Priority::Low => Some(&LOW),
            Priority::Advisory => None,
        }
    }

    /// Whether it sounds so long after its begin, and how long that stays so.
    pub fn at(&self, since: Duration) -> (bool, Duration) {
        let mut left = since.as_micros() % self.period().as_micros();
        for gap in self.gaps.iter().chain([&self.between]) {
            for (sounds, millis) in [(true, self.pulse), (false, *gap)] {
                let lasts = u128::from(millis) * 1_000;
                if left < lasts {
                    // A remainder of a span of seconds fits.
                    return (sounds, Duration::from_micros((lasts - left) as u64));
                }
                left -= lasts;
            }
        }
        (false, Duration::ZERO)
    }

    /// One burst and the silence after it.
    pub fn period(&self) -> Duration {
        let pulses = u64::from(self.pulse) * (self.gaps.len() as u64 + 1);
        let gaps: u64 = self.gaps.iter().copied().map(u64::from).sum();
        Duration::from_millis(pulses + gaps + u64::from(self.between))
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;
    use crate::model::Priority;
    use std::time::Duration;

    fn of(priority: Priority) -> &'static Pattern {
        Pattern::of(priority).unwrap()
    }

    #[test]
    fn the_patterns_lie_in_the_windows_of_the_standard() {
        let [high, medium, low] = [Priority::High, Priority::Medium, Priority::Low].map(of);
        assert_eq!([high, medium, low].map(|pattern| pattern.gaps.len() + 1), [10, 3, 1]);
        assert!((75..=200).contains(&high.pulse));
        let x = high.gaps[0];
        assert!((50..=125).contains(&x));
        let five = [x, x, 2 * x + high.pulse, x];
        assert_eq!((&high.gaps[..4], &high.gaps[5..]), (&five[..], &five[..]));
        assert!((350..=1_300).contains(&high.gaps[4]));
        assert!((2_500..=15_000).contains(&high.between));
        for pattern in [medium, low] {
            assert!((125..=250).contains(&pattern.pulse));
            assert!(pattern.gaps.iter().all(|gap| (125..=250).contains(gap)));
        }
        assert!((2_500..=30_000).contains(&medium.between));
        assert!(low.between > 15_000);
        assert_eq!(Pattern::of(Priority::Advisory), None);
    }

    #[test]
    fn a_pattern_followed_by_its_own_words_gives_its_pulses_and_begins_again() {
        for (priority, pulses) in [(Priority::High, 10), (Priority::Medium, 3), (Priority::Low, 1)] {
            let pattern = of(priority);
            let (mut at, mut begun, mut sounding) = (Duration::ZERO, 0, Duration::ZERO);
            while at < pattern.period() {
                let (sounds, lasts) = pattern.at(at);
                assert!(!lasts.is_zero());
                if sounds {
                    begun += 1;
                    sounding += lasts;
                }
                assert_eq!(pattern.at(at), pattern.at(at + pattern.period() * 3), "{priority:?} {at:?}");
                at += lasts;
            }
            assert_eq!((at, begun), (pattern.period(), pulses));
            assert_eq!(sounding, Duration::from_millis(u64::from(pattern.pulse)) * pulses);
        }
    }

    #[test]
    fn a_question_in_the_middle_of_a_pulse_is_told_the_rest_of_it() {
        let high = of(Priority::High);
        assert_eq!(high.at(Duration::from_millis(100)), (true, Duration::from_millis(50)));
        assert_eq!(high.at(Duration::from_millis(160)), (false, Duration::from_millis(90)));
    }
}
