//! The only place that reads a clock.

use cotside_protocol::model::{Mono, Now, Wall};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Both clocks of this process. Copy it to whoever runs a shell; cores get the [`Now`] it returns.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

/// `Mono` starts here, so that "ten seconds before the start" is still a number.
const MONO_START_US: u64 = 1_000_000_000;

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> Now {
        let elapsed = self.start.elapsed();
        let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        };
        Now { mono: Mono(MONO_START_US) + elapsed, wall: Wall(wall) }
    }

    /// The instant to sleep until for a core's deadline.
    pub fn instant(&self, at: Mono) -> Instant {
        self.start + Duration::from_micros(at.0.saturating_sub(MONO_START_US))
    }
}
