//! How long to wait before the next try, so that nobody comes back in step (decorrelated jitter).

use std::time::Duration;

#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    least: Duration,
    most: Duration,
    last: Duration,
    random: u64,
}

impl Backoff {
    pub(crate) fn new(least: Duration, most: Duration, seed: u64) -> Self {
        // One to one, so that no two seeds are the same; xorshift never leaves zero.
        Self { least, most, last: least, random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).max(1) }
    }

    /// Between the least wait and three times the last one.
    pub(crate) fn next(&mut self) -> Duration {
        // xorshift64: spreads, and need not be secret.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let span = self.last.saturating_mul(3).saturating_sub(self.least);
        let part = (self.random >> 11) as f64 / (1u64 << 53) as f64;
        self.last = (self.least + span.mul_f64(part)).min(self.most);
        self.last
    }

    /// It went well: the next trouble starts anew.
    pub(crate) fn reset(&mut self) {
        self.last = self.least;
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;

    const LEAST: Duration = Duration::from_millis(200);
    const MOST: Duration = Duration::from_secs(60);

    #[test]
    fn waits_grow_to_the_most_spread_out_and_begin_anew_when_it_went_well() {
        let mut longest = Duration::ZERO;
        let mut sixths = Vec::new();
        for seed in 1..200u64 {
            let mut backoff = Backoff::new(LEAST, MOST, seed);
            for n in 0..40 {
                let wait = backoff.next();
                assert!((LEAST..=MOST).contains(&wait));
                longest = longest.max(wait);
                if n == 5 {
                    sixths.push(wait);
                }
            }
            backoff.reset();
            assert!(backoff.next() <= LEAST * 3);
        }
        assert!(longest > MOST / 2);
        sixths.sort();
        sixths.dedup();
        assert!(sixths.len() > 150, "nobody comes back in step");
    }

    #[test]
    fn neighbouring_seeds_do_not_knock_together() {
        let (mut one, mut other) = (Backoff::new(LEAST, MOST, 2), Backoff::new(LEAST, MOST, 3));
        assert!((0..20).any(|_| one.next() != other.next()));
    }
}
