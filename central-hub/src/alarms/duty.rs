//! Who answers for an alarm: nobody yet, somebody, or the next tier. An alarm never runs out of recipients.

use cotside_config::hub::escalation::{Ladder, Recipient};
use cotside_protocol::model::{Mono, Wall};
use std::collections::BTreeSet;

/// Who answers for a bed.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Nurses {
    pub primary: Option<String>,
    pub buddy: Option<String>,
    /// The end of the shift; after it nobody is assigned.
    #[serde(default)]
    pub until_ms: Option<i64>,
}

/// Who answers for the unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Staff {
    pub charge: Option<String>,
    pub physician: Option<String>,
    #[serde(default)]
    pub until_ms: Option<i64>,
}

fn lasts(until_ms: Option<i64>, now: Wall) -> bool {
    until_ms.is_none_or(|until| now.millis() < until)
}

impl Nurses {
    pub(super) fn at(&self, now: Wall) -> Self {
        if lasts(self.until_ms, now) { self.clone() } else { Self::default() }
    }
}

impl Staff {
    pub(super) fn at(&self, now: Wall) -> Self {
        if lasts(self.until_ms, now) { self.clone() } else { Self::default() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Undefined,
    Accepted(String),
    /// The last answer was no; it stays with whoever the tiers call.
    Rejected(String),
}

/// The responsibility for one alarm that asks for attention.
#[derive(Clone, Debug)]
pub(super) struct Duty {
    pub state: State,
    since: Mono,
    pub tier: usize,
    /// A station has shown it.
    pub is_shown: bool,
}

/// Whom the tiers up to this one call, by name; and those who are places.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Called {
    pub people: BTreeSet<String>,
    pub stations: bool,
    pub unit: bool,
}

impl Duty {
    pub(super) fn new(now: Mono) -> Self {
        Self { state: State::Undefined, since: now, tier: 0, is_shown: false }
    }

    /// True when it has gone up.
    pub(super) fn ages(&mut self, now: Mono, ladder: &Ladder, calls: impl Fn(usize) -> bool) -> bool {
        if matches!(self.state, State::Accepted(_)) {
            return false;
        }
        let last = ladder.tiers.len().saturating_sub(1);
        let mut due = self.tier;
        while due < last && now.since(self.since) >= ladder.tiers[due + 1].after {
            due += 1;
        }
        let is_unseen =
            !self.is_shown && ladder.receipt.is_some_and(|within| now.since(self.since) >= within);
        if is_unseen {
            due = due.max(1.min(last));
        }
        // A tier that calls nobody is no tier.
        while due < last && !calls(due) {
            due += 1;
        }
        std::mem::replace(&mut self.tier, due) != due
    }

    /// Goes up at once. True when there is a tier above.
    pub(super) fn reject(&mut self, by: &str, ladder: &Ladder) -> bool {
        self.state = State::Rejected(by.to_owned());
        let last = ladder.tiers.len().saturating_sub(1);
        let next = (self.tier + 1).min(last);
        std::mem::replace(&mut self.tier, next) != next
    }

    /// Nobody answers for it any more: the tiers begin anew.
    pub(super) fn withdraw(&mut self, now: Mono) {
        *self = Self { is_shown: self.is_shown, ..Self::new(now) };
    }
}

pub(super) fn called(ladder: &Ladder, tier: usize, nurses: &Nurses, staff: &Staff) -> Called {
    let mut called = Called::default();
    for recipient in ladder.tiers.iter().take(tier + 1).flat_map(|tier| &tier.to) {
        match recipient {
            Recipient::Station => called.stations = true,
            Recipient::Unit => (called.stations, called.unit) = (true, true),
            Recipient::Primary => called.people.extend(nurses.primary.clone()),
            Recipient::Buddy => called.people.extend(nurses.buddy.clone()),
            Recipient::Charge => called.people.extend(staff.charge.clone()),
            Recipient::Physician => called.people.extend(staff.physician.clone()),
        }
    }
    called
}

/// Whether this tier by itself calls anybody who is there.
pub(super) fn calls(ladder: &Ladder, tier: usize, nurses: &Nurses, staff: &Staff, has_station: bool) -> bool {
    ladder.tiers[tier].to.iter().any(|recipient| match recipient {
        Recipient::Station => has_station,
        Recipient::Unit => true,
        Recipient::Primary => nurses.primary.is_some(),
        Recipient::Buddy => nurses.buddy.is_some(),
        Recipient::Charge => staff.charge.is_some(),
        Recipient::Physician => staff.physician.is_some(),
    })
}
