//! How long to wait before a port is tried again: decorrelated jitter, so that ten links of a unit do not knock together.

use std::time::Duration;

const WAIT_MIN: Duration = Duration::from_millis(250);
/// A cable that is put back is found within this time.
const WAIT_MAX: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Backoff {
    last: Duration,
    random: u64,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Self { last: WAIT_MIN, random: seed | 1 }
    }

    /// Between the least wait and three times the last one.
    pub(super) fn next(&mut self) -> Duration {
        let span = (self.last * 3).saturating_sub(WAIT_MIN).as_millis().max(1) as u64;
        self.last = (WAIT_MIN + Duration::from_millis(self.draw() % span)).min(WAIT_MAX);
        self.last
    }

    /// The device was heard: the next trouble starts anew.
    pub(super) fn reset(&mut self) {
        self.last = WAIT_MIN;
    }

    /// xorshift64: spreads, and need not be secret.
    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, WAIT_MAX, WAIT_MIN};

    #[test]
    fn waits_stay_within_their_bounds_and_grow_while_it_fails() {
        let mut backoff = Backoff::new(7);
        let waits: Vec<_> = (0..200).map(|_| backoff.next()).collect();
        assert!(waits.iter().all(|wait| (WAIT_MIN..=WAIT_MAX).contains(wait)));
        assert!(waits.iter().any(|wait| *wait > WAIT_MIN * 8));
        backoff.reset();
        assert!(backoff.next() <= WAIT_MIN * 3);
    }

    #[test]
    fn two_links_do_not_knock_together() {
        let (mut one, mut other) = (Backoff::new(1), Backoff::new(2));
        assert!((0..20).any(|_| one.next() != other.next()));
    }
}
