//! The clocks: monotonic time orders and measures, wall time dates. They never mix.

use std::ops::{Add, Sub};
use std::time::Duration;

/// Microseconds on this process's monotonic clock. Orders events and measures ages; survives no restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

/// Microseconds since 1970-01-01T00:00:00Z on some wall clock (the agent's, a device's, the hub's: say which).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(pub i64);

/// One reading of both clocks, handed to every core as an argument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    pub mono: Mono,
    pub wall: Wall,
}

impl Mono {
    /// Time elapsed since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, span: Duration) -> Mono {
        Mono(self.0.saturating_add(micros(span)))
    }
}

impl Wall {
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

impl Add<Duration> for Wall {
    type Output = Wall;
    fn add(self, span: Duration) -> Wall {
        Wall(self.0.saturating_add_unsigned(micros(span)))
    }
}

impl Sub<Duration> for Wall {
    type Output = Wall;
    fn sub(self, span: Duration) -> Wall {
        Wall(self.0.saturating_sub_unsigned(micros(span)))
    }
}

impl Now {
    /// The same instant, `span` later on both clocks.
    pub fn after(self, span: Duration) -> Now {
        Now { mono: self.mono + span, wall: self.wall + span }
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
