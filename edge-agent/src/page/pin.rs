//! The code of the page's button: guessed a few times, it waits; silencing a bed must stay possible, so it never waits long.

use cotside_protocol::model::Mono;
use std::time::Duration;

const GUESSES: u32 = 5;
const WAIT: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Wrong,
    /// For a few seconds nothing is taken, right or wrong.
    Waiting,
}

pub(super) struct Pin {
    digits: String,
    wrong: u32,
    closed_until: Option<Mono>,
}

impl Pin {
    pub(super) fn new(digits: String) -> Self {
        Self { digits, wrong: 0, closed_until: None }
    }

    pub(super) fn check(&mut self, now: Mono, given: &str) -> Result<(), Refused> {
        if self.closed_until.is_some_and(|until| now < until) {
            return Err(Refused::Waiting);
        }
        self.closed_until = None;
        if self.is(given) {
            self.wrong = 0;
            return Ok(());
        }
        self.wrong += 1;
        if self.wrong >= GUESSES {
            (self.wrong, self.closed_until) = (0, Some(now + WAIT));
        }
        Err(Refused::Wrong)
    }

    /// Takes as long whichever digit is wrong.
    fn is(&self, given: &str) -> bool {
        let (mine, given) = (self.digits.as_bytes(), given.as_bytes());
        let differ = mine.iter().zip(given).fold(0, |differ, (mine, given)| differ | (mine ^ given));
        mine.len() == given.len() && differ == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Pin, Refused};
    use cotside_protocol::model::Mono;

    #[test]
    fn h7_the_code_is_not_guessed_quickly_and_its_owner_waits_for_seconds_only() {
        let mut pin = Pin::new("2468".into());
        assert_eq!(pin.check(Mono(0), "2468"), Ok(()));
        for guess in ["", "246", "24680", "2469", "x"] {
            assert_eq!(pin.check(Mono(0), guess), Err(Refused::Wrong));
        }
        assert_eq!(pin.check(Mono(14_999_999), "2468"), Err(Refused::Waiting));
        assert_eq!(pin.check(Mono(15_000_000), "2468"), Ok(()));
    }
}
