//! What one agent may send: a babbling gateway slows itself and nobody else.

use cotside_protocol::model::Mono;
use std::time::Duration;

/// A bed with every waveform sends 2 KB a second, a backlog as fast as it is acknowledged: this is far above both.
const BYTES_PER_S: u64 = 4 << 20;
const BURST_BYTES: u64 = 8 << 20;
/// What a message costs beside its bytes: at most 2,000 small ones a second.
const MESSAGE_BYTES: u64 = 2048;

#[derive(Debug)]
pub struct Quota {
    left: u64,
    filled_at: Mono,
}

impl Quota {
    pub fn new(now: Mono) -> Self {
        Self { left: BURST_BYTES, filled_at: now }
    }

    /// Accounts for a message, and says until when nothing more is read; None: go on.
    pub fn spend(&mut self, now: Mono, bytes: usize) -> Option<Mono> {
        let elapsed_us = u64::try_from(now.since(self.filled_at).as_micros()).unwrap_or(u64::MAX);
        let earned = elapsed_us.saturating_mul(BYTES_PER_S) / 1_000_000;
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(BURST_BYTES);
            self.filled_at = now;
        }
        let cost = bytes as u64 + MESSAGE_BYTES;
        let short = cost.saturating_sub(self.left);
        self.left = self.left.saturating_sub(cost);
        (short > 0).then(|| now + Duration::from_micros(short * 1_000_000 / BYTES_PER_S))
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST_BYTES, Quota};
    use cotside_protocol::model::Mono;
    use std::time::Duration;

    #[test]
    fn a_busy_bed_is_never_held_back() {
        let mut quota = Quota::new(Mono(0));
        for second in 0..10_000 {
            assert_eq!(quota.spend(Mono(second * 1_000_000), 64 * 1024), None);
        }
    }

    #[test]
    fn a_babbling_agent_waits_until_it_has_earned_more() {
        let mut quota = Quota::new(Mono(0));
        assert_eq!(quota.spend(Mono(0), BURST_BYTES as usize - 2048), None);
        let until = quota.spend(Mono(0), (4 << 20) - 2048).unwrap();
        assert_eq!(until, Mono(0) + Duration::from_secs(1));
        assert_eq!(quota.spend(until, 100_000), None);
    }
}
