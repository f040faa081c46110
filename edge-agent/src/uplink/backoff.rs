//! How long to wait before the next try, so that a unit of gateways does not come back in step (decorrelated jitter).

use std::time::Duration;

const WAIT_MIN: Duration = Duration::from_millis(200);
const WAIT_MAX: Duration = Duration::from_secs(60);
/// A connection that held this long was a good one: the next try begins anew.
const STEADY_AFTER: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub struct Backoff {
    last: Duration,
    random: u64,
}

impl Backoff {
    pub fn new(seed: u64) -> Self {
        Self { last: WAIT_MIN, random: seed | 1 }
    }

    /// The wait after a connection that held for `lasted`.
    pub fn next(&mut self, lasted: Duration) -> Duration {
        if lasted >= STEADY_AFTER {
            self.last = WAIT_MIN;
        }
        // xorshift64: any spread will do.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let span = self.last.saturating_mul(3).saturating_sub(WAIT_MIN);
        let part = (self.random >> 11) as f64 / (1u64 << 53) as f64;
        self.last = (WAIT_MIN + span.mul_f64(part)).min(WAIT_MAX);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, WAIT_MAX, WAIT_MIN};
    use std::time::Duration;

    #[test]
    fn waits_grow_to_a_minute_spread_out_and_begin_anew_after_a_steady_connection() {
        let mut longest = Duration::ZERO;
        let mut firsts = Vec::new();
        for seed in 1..200u64 {
            let mut backoff = Backoff::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            for n in 0..40 {
                let wait = backoff.next(Duration::ZERO);
                assert!((WAIT_MIN..=WAIT_MAX).contains(&wait));
                longest = longest.max(wait);
                if n == 5 {
                    firsts.push(wait);
                }
            }
            assert!(backoff.next(Duration::from_secs(61)) <= WAIT_MIN * 3);
        }
        assert!(longest > WAIT_MAX / 2);
        firsts.sort();
        firsts.dedup();
        assert!(firsts.len() > 150, "gateways do not come back in step");
    }
}
