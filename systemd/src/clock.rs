//! The only place that reads a clock.

use cotside_protocol::model::{Mono, Now, Wall};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// 2026-11-01. A release moves it together with its version, and that is the one place where a date is baked in.
const RELEASED_AT_S: i64 = 1_793_491_200;

/// This software did not exist before: no clock that says so is believed, and no certificate is checked at an earlier time.
/// The later of the release's date and `SOURCE_DATE_EPOCH` at the build, so that a build can be repeated byte by byte.
pub const BUILT_AT: Wall = Wall(latest(RELEASED_AT_S, option_env!("SOURCE_DATE_EPOCH")) * 1_000_000);

/// Both clocks of this process. Copy it to whoever runs a shell; cores get the [`Now`] it returns.
///
/// A machine without a battery-backed clock starts in 1970. Until its clock is set, wall time runs on from the latest moment that is
/// known to have passed: dates are then too early by as long as the machine was off, but in order with all that was dated before.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    /// Wall time was at least this at the start.
    floor: Wall,
    /// What the machine's clock is taken to have said at the start, whatever it says.
    said: Option<Wall>,
}

/// `Mono` starts here, so that "ten seconds before the start" is still a number.
const MONO_START_US: u64 = 1_000_000_000;

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn start() -> Self {
        Self { start: Instant::now(), floor: BUILT_AT, said: None }
    }

    /// A clock that says so at its start, right or wrong: to see what becomes of it.
    pub fn start_saying(wall: Wall) -> Self {
        Self { said: Some(wall), ..Self::start() }
    }

    /// The same clock, which knows that `passed` has passed.
    pub fn not_before(self, passed: Wall) -> Self {
        Self { floor: self.floor.max(passed), ..self }
    }

    pub fn now(&self) -> Now {
        let elapsed = self.elapsed();
        let machine = self.machine(elapsed);
        let wall = if machine < BUILT_AT { self.floor + elapsed } else { machine };
        Now { mono: Mono(MONO_START_US) + elapsed, wall }
    }

    /// False: the machine's clock shows a time before this software was built, and wall time is counted on from what is known.
    pub fn is_set(&self) -> bool {
        self.machine(self.elapsed()) >= BUILT_AT
    }

    /// The instant to sleep until for a core's deadline.
    pub fn instant(&self, at: Mono) -> Instant {
        self.start + Duration::from_micros(at.0.saturating_sub(MONO_START_US))
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn machine(&self, elapsed: Duration) -> Wall {
        if let Some(said) = self.said {
            return said + elapsed;
        }
        Wall(match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        })
    }
}

/// The later of two times in seconds; a text that is no such number counts for nothing.
const fn latest(seconds: i64, text: Option<&str>) -> i64 {
    const DIGITS_MAX: usize = 10;
    let Some(text) = text else { return seconds };
    let digits = text.as_bytes();
    if digits.len() > DIGITS_MAX {
        return seconds;
    }
    let (mut number, mut at) = (0, 0);
    while at < digits.len() {
        if !digits[at].is_ascii_digit() {
            return seconds;
        }
        number = number * 10 + (digits[at] - b'0') as i64;
        at += 1;
    }
    if number > seconds { number } else { seconds }
}

#[cfg(test)]
mod tests {
    use super::{BUILT_AT, Clock, latest};
    use cotside_protocol::model::Wall;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_clock_in_1970_counts_on_from_what_is_known_to_have_passed() {
        let clock = Clock::start_saying(Wall(5_000_000));
        assert!(!clock.is_set());
        assert!(clock.now().wall >= BUILT_AT);
        let later = BUILT_AT + HOUR;
        let clock = clock.not_before(later).not_before(Wall(0));
        assert!(clock.now().wall >= later && clock.now().wall < later + HOUR);
    }

    #[test]
    fn a_clock_that_may_be_right_is_left_alone() {
        let said = BUILT_AT + HOUR;
        let clock = Clock::start_saying(said).not_before(said + HOUR);
        assert!(clock.is_set() && clock.now().wall < said + HOUR);
    }

    #[test]
    fn the_build_date_is_the_later_of_release_and_source_date() {
        assert_eq!(latest(100, None), 100);
        for (text, date) in
            [("99", 100), ("101", 101), ("", 100), ("-5", 100), ("99999999999", 100), ("1e3", 100)]
        {
            assert_eq!(latest(100, Some(text)), date, "{text}");
        }
    }
}
