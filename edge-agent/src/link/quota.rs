//! How much one device may say in a second: a babbling one is read more slowly, and the other links do not feel it.

use cotside_protocol::model::Mono;
use std::time::Duration;

/// Ten times what the busiest monitor sends with all its waveforms.
const BYTES_PER_S_MAX: usize = 256 * 1024;
const WINDOW: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Quota {
    began_at: Mono,
    taken: usize,
    exceeded: u64,
}

impl Quota {
    /// Counts bytes taken. Returns until when nothing more may be read, if the quota is used up.
    pub(super) fn take(&mut self, now: Mono, bytes: usize) -> Option<Mono> {
        if now.since(self.began_at) >= WINDOW {
            (self.began_at, self.taken) = (now, 0);
        }
        self.taken += bytes;
        (self.taken >= BYTES_PER_S_MAX).then(|| {
            self.exceeded += 1;
            self.began_at + WINDOW
        })
    }

    /// How often the device has used it up.
    pub(super) fn exceeded(&self) -> u64 {
        self.exceeded
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES_PER_S_MAX, Quota};
    use cotside_protocol::model::Mono;
    use std::time::Duration;

    #[test]
    fn s9_a_babbling_device_waits_for_the_next_second() {
        let mut quota = Quota::default();
        let start = Mono(5_000_000);
        assert_eq!(quota.take(start, BYTES_PER_S_MAX / 2), None);
        assert_eq!(
            quota.take(start + Duration::from_millis(10), BYTES_PER_S_MAX),
            Some(start + Duration::from_secs(1))
        );
        assert_eq!(quota.take(start + Duration::from_secs(1), 100), None);
        assert_eq!(quota.exceeded(), 1);
    }
}
