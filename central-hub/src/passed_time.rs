//! The time that has passed for certain, by what this hub has stored: the floor under its own clock.
//!
//! Certificates are checked at the later of the clock, that time and the build date, and expiry is never skipped (S10).

use cotside_protocol::model::Wall;
use cotside_systemd::clock::{BUILT_AT, Clock};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A clock that is slewed or corrected by less is not behind.
const SLACK_US: i64 = 5_000_000;

#[derive(Debug)]
pub struct PassedTime {
    clock: Clock,
    /// The newest moment that was stored, or that the clock has shown since.
    newest_us: AtomicI64,
}

impl PassedTime {
    /// `newest` is what the hub dated last. A time beyond `until`, the end of its own certificate, is not believed: it was dated by a
    /// clock that was wrong.
    pub fn new(clock: Clock, newest: Wall, until: Wall) -> Self {
        let believed = if newest <= until { newest } else { BUILT_AT };
        let newest_us = AtomicI64::new(believed.max(BUILT_AT).0);
        Self { clock, newest_us }
    }

    /// Words if the clock cannot be right: it is not set, or before what it showed already.
    pub fn trouble(&self) -> Option<String> {
        let wall = self.clock.now().wall;
        if !self.clock.is_set() {
            return Some(format!("the hub's clock is not set: dates are counted on from {}", day(wall)));
        }
        let newest = Wall(self.newest_us.fetch_max(wall.0, Ordering::Relaxed));
        (newest.0.saturating_sub(wall.0) > SLACK_US).then(|| {
            format!(
                "the hub's clock says {}, and it has dated rows {}: one of the two is wrong",
                wall, newest
            )
        })
    }
}

impl TimeProvider for PassedTime {
    fn current_time(&self) -> Option<UnixTime> {
        let latest = self.clock.now().wall.0.max(self.newest_us.load(Ordering::Relaxed));
        let since_1970 = Duration::from_micros(u64::try_from(latest).unwrap_or(0));
        Some(UnixTime::since_unix_epoch(since_1970))
    }
}

fn day(at: Wall) -> String {
    let ([year, month, day], _) = at.calendar();
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::PassedTime;
    use cotside_protocol::model::Wall;
    use cotside_systemd::clock::{BUILT_AT, Clock};
    use rustls::time_provider::TimeProvider as _;
    use std::time::Duration;

    const DAY: Duration = Duration::from_secs(86_400);
    const FOREVER: Wall = Wall(i64::MAX);

    fn checked_at(time: &PassedTime) -> i64 {
        i64::try_from(time.current_time().unwrap().as_secs()).unwrap()
    }

    #[test]
    fn s10_a_hub_whose_clock_is_before_its_newest_row_says_so_and_checks_certificates_at_that_row() {
        let newest = BUILT_AT + 10 * DAY;
        let time = PassedTime::new(Clock::start_saying(BUILT_AT + DAY), newest, FOREVER);
        let words = time.trouble().unwrap();
        assert!(words.contains("says 2026-11-02") && words.contains("rows 2026-11-11"), "{words}");
        assert!(checked_at(&time) >= newest.0 / 1_000_000);
    }

    #[test]
    fn s10_a_hub_whose_clock_is_not_set_goes_by_what_it_knows() {
        let time = PassedTime::new(Clock::start_saying(Wall(7)), Wall(0), FOREVER);
        assert!(time.trouble().unwrap().contains("not set"));
        assert!(checked_at(&time) >= BUILT_AT.0 / 1_000_000);
    }

    #[test]
    fn s10_rows_dated_beyond_the_hubs_own_certificate_prove_nothing() {
        let now = BUILT_AT + DAY;
        let time = PassedTime::new(Clock::start_saying(now), BUILT_AT + 4000 * DAY, BUILT_AT + 700 * DAY);
        assert_eq!(time.trouble(), None);
        assert!(checked_at(&time) <= (now + DAY).0 / 1_000_000);
    }

    #[test]
    fn a_right_clock_is_no_trouble_and_expiry_is_by_it() {
        let now = BUILT_AT + 900 * DAY;
        let time = PassedTime::new(Clock::start_saying(now), BUILT_AT, FOREVER);
        assert_eq!((time.trouble(), time.trouble()), (None, None));
        assert!(checked_at(&time) >= now.0 / 1_000_000);
    }
}
