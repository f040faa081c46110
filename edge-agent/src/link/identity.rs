//! Whether the device at the end of the cable is the one confirmed for this bed (hazard H2).

use cotside_protocol::model::Identity;

/// Guards one link. The verdict holds for one connection: after each the device must say again who it is.
#[derive(Debug)]
pub(super) struct Guard {
    /// From the configuration, else from the first contact.
    confirmed: Option<String>,
    verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// The device has not said yet who it is.
    Unstated,
    Right,
    Wrong(String),
}

/// What follows from an identification.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Followed {
    Nothing,
    /// First contact: this identity is the one from now on.
    Pin(String),
}

impl Guard {
    pub(super) fn new(configured: Option<String>, pinned: Option<String>) -> Self {
        Self { confirmed: configured.or(pinned), verdict: Verdict::Unstated }
    }

    pub(super) fn connected(&mut self) {
        self.verdict = Verdict::Unstated;
    }

    pub(super) fn identified(&mut self, identity: &Identity) -> Followed {
        let stated = identity.serial.as_str();
        let Some(confirmed) = &self.confirmed else {
            self.verdict = Verdict::Right;
            if stated.is_empty() {
                return Followed::Nothing;
            }
            self.confirmed = Some(stated.to_owned());
            return Followed::Pin(stated.to_owned());
        };
        self.verdict = if stated == confirmed {
            Verdict::Right
        } else if stated.is_empty() {
            Verdict::Wrong(format!("it does not state its identity, {confirmed} is expected"))
        } else {
            Verdict::Wrong(format!("it is {stated}, {confirmed} is expected"))
        };
        Followed::Nothing
    }

    /// Whether what the device says may be taken for this bed's.
    pub(super) fn passes(&self) -> bool {
        match self.verdict {
            Verdict::Right => true,
            // Where nothing is expected there is nothing to confirm.
            Verdict::Unstated => self.confirmed.is_none(),
            Verdict::Wrong(_) => false,
        }
    }

    /// Words, if the device is a wrong one.
    pub(super) fn wrong(&self) -> Option<&str> {
        match &self.verdict {
            Verdict::Wrong(words) => Some(words),
            Verdict::Unstated | Verdict::Right => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Followed, Guard};
    use cotside_protocol::model::Identity;

    fn says(serial: &str) -> Identity {
        Identity { serial: serial.into(), ..Identity::default() }
    }

    #[test]
    fn h2_the_first_identity_is_kept_and_another_one_is_wrong() {
        let mut guard = Guard::new(None, None);
        assert!(guard.passes());
        assert_eq!(guard.identified(&says("5")), Followed::Pin("5".to_owned()));
        guard.connected();
        assert!(!guard.passes(), "data before the identity is not attributed");
        guard.identified(&says("7"));
        assert_eq!((guard.passes(), guard.wrong()), (false, Some("it is 7, 5 is expected")));
        guard.identified(&says("5"));
        assert!(guard.passes());
    }

    #[test]
    fn h2_the_configured_identity_wins_over_the_kept_one() {
        let mut guard = Guard::new(Some("7".to_owned()), Some("5".to_owned()));
        guard.identified(&says("7"));
        assert!(guard.passes());
        guard.identified(&says(""));
        assert!(!guard.passes());
    }
}
