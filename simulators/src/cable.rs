//! A bad cable: loses, flips and cuts bytes, and comes unplugged, all from one seed.

use crate::newborn::Random;
use cotside_protocol::model::Mono;
use std::time::Duration;

/// How bad the cable is. Zero: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// One byte in so many is lost.
    pub lose_one_in: u64,
    /// One byte in so many has a bit flipped.
    pub flip_one_in: u64,
    /// One chunk in so many ends early, the rest lost.
    pub cut_one_in: u64,
    /// Unplugged about this often, for about `unplugged_for`.
    pub unplug_every: Option<Duration>,
    pub unplugged_for: Duration,
}

/// One direction or both of one cable.
#[derive(Clone, Debug)]
pub struct Cable {
    faults: Faults,
    random: Random,
    /// Plugged or not until this instant.
    until: Option<Mono>,
    is_plugged: bool,
    /// What the cable did, for a ledger.
    pub lost_bytes: u64,
    pub flipped_bytes: u64,
}

impl Cable {
    pub const fn new(seed: u64, faults: Faults) -> Self {
        let random = Random::new(seed);
        Self { faults, random, until: None, is_plugged: true, lost_bytes: 0, flipped_bytes: 0 }
    }

    /// Is the plug in its socket at this moment?
    pub fn is_plugged(&mut self, now: Mono) -> bool {
        let Some(every) = self.faults.unplug_every else { return true };
        let until = *self.until.get_or_insert_with(|| now + every);
        if now >= until {
            self.is_plugged = !self.is_plugged;
            let span = if self.is_plugged { every } else { self.faults.unplugged_for };
            let factor = self.random.between(0.5, 1.5);
            self.until = Some(now + span.mul_f64(factor));
        }
        self.is_plugged
    }

    /// What arrives at the other end.
    pub fn carry(&mut self, now: Mono, bytes: &[u8]) -> Vec<u8> {
        if !self.is_plugged(now) {
            self.lost_bytes += bytes.len() as u64;
            return Vec::new();
        }
        let mut arrived = Vec::with_capacity(bytes.len());
        let kept = if self.random.once_in(self.faults.cut_one_in) {
            (self.random.next() % (bytes.len() as u64 + 1)) as usize
        } else {
            bytes.len()
        };
        for byte in &bytes[..kept] {
            if self.random.once_in(self.faults.lose_one_in) {
                continue;
            }
            let flip = self.random.once_in(self.faults.flip_one_in);
            let mask = if flip { 1 << (self.random.next() % 8) } else { 0 };
            self.flipped_bytes += u64::from(flip);
            arrived.push(byte ^ mask);
        }
        self.lost_bytes += (bytes.len() - arrived.len()) as u64;
        arrived
    }
}

#[cfg(test)]
mod tests {
    use super::{Cable, Faults};
    use cotside_protocol::model::Mono;
    use std::time::Duration;

    #[test]
    fn a_good_cable_changes_nothing_and_a_bad_one_is_seeded() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(Cable::new(1, Faults::default()).carry(Mono(0), &bytes), bytes);
        let faults = Faults { lose_one_in: 20, flip_one_in: 20, cut_one_in: 3, ..Faults::default() };
        let run = |seed| {
            let mut cable = Cable::new(seed, faults);
            (0..50).map(|_| cable.carry(Mono(0), &bytes)).collect::<Vec<_>>()
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
    }

    #[test]
    fn an_unplugged_cable_is_plugged_in_again() {
        let faults = Faults {
            unplug_every: Some(Duration::from_secs(10)),
            unplugged_for: Duration::from_secs(2),
            ..Faults::default()
        };
        let mut cable = Cable::new(9, faults);
        let states: Vec<bool> = (0..1000).map(|tenth| cable.is_plugged(Mono(tenth * 100_000))).collect();
        assert!(states.iter().any(|plugged| !plugged));
        assert!(states.windows(2).filter(|pair| !pair[0] && pair[1]).count() > 2);
    }
}
