//! The conservation equation of one lane of one link: expected = received + missing by cause + waiting + unexplained.

use super::{Outbox, Seconds};
use cotside_protocol::devices::DRIVERS;
use std::collections::BTreeMap;
use std::time::Duration;

/// What an agent says of its outbox is old news for what was measured this shortly before.
const HEARSAY_S: i64 = 60;
/// Beside a driver's own limit: the agent looks at its links once in a while, and a second is a second.
const ROUNDING: Duration = Duration::from_secs(5);

/// Why a second is missing: the word of a gap record, or one of ours.
pub type Cause = String;

/// The device offered no such data then, or the bed had no such link.
pub(super) const NOT_OFFERED: &str = "not-offered";
/// A link whose agent had only begun.
const AT_FIRST: &str = "agent-down";

/// What came and could not be read, from a device that goes on speaking.
const NOISE: &str = "undecodable";

/// What decides, where two gap records claim the same second: the nearer to the device, the more it says. A step of the clock may
/// span years, and explains only what nothing else does.
const PRECEDENCE: [&str; 8] = [
    "wrong-device",
    "cable-out",
    "device-silent",
    "undecodable",
    "dropped-by-policy",
    "store-lost",
    "agent-down",
    "clock-step",
];

/// Everything that is known of one lane of one link.
pub(super) struct Evidence<'a> {
    pub(super) expected: &'a Seconds,
    /// Seconds with data; may reach beyond what is expected.
    pub(super) heard: &'a Seconds,
    pub(super) gaps: &'a BTreeMap<Cause, Seconds>,
    /// Where every row that the agent wrote is here.
    pub(super) unbroken: &'a Seconds,
    pub(super) outbox: Option<Outbox>,
    /// Seconds in which the link brought data on another lane: what it did not bring on this one, it did not offer.
    pub(super) live: Option<&'a Seconds>,
}

/// Every expected second in one of four places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) received: Seconds,
    pub(super) missing: BTreeMap<Cause, Seconds>,
    pub(super) waiting: Seconds,
    pub(super) unexplained: Seconds,
}

/// A link is live while its device is silent for no longer than this; the agent records every longer silence as a gap.
fn quiet_s() -> i64 {
    let limit = DRIVERS.iter().map(|driver| driver.silent_after_ms).max().unwrap_or(0);
    i64::try_from((Duration::from_millis(limit.into()) + ROUNDING).as_secs()).unwrap_or(0)
}

pub(super) fn rank(cause: &str) -> usize {
    PRECEDENCE.iter().position(|known| *known == cause).unwrap_or(PRECEDENCE.len())
}

impl Account {
    pub(super) fn of(evidence: &Evidence<'_>) -> Self {
        let mut account = Self { received: evidence.heard.and(evidence.expected), ..Self::default() };
        let mut rest = evidence.expected.without(evidence.heard);
        let mut causes: Vec<_> = evidence.gaps.iter().collect();
        causes.sort_by_key(|(cause, _)| rank(cause));
        for (cause, seconds) in causes {
            let explained = rest.and(seconds);
            rest = rest.without(&explained);
            account.miss(cause, &explained);
        }
        // What lies between the rows that are here is silence of the device, or nobody's explanation; what lies outside of them may come.
        let outside = rest.without(evidence.unbroken);
        let (waits, settled): (Vec<_>, Vec<_>) =
            outside.ranges().iter().partition(|(_, to)| may_come(evidence.outbox, *to));
        waits.iter().for_each(|&(from, to)| account.waiting.insert(from, to));
        let mut within = rest.and(evidence.unbroken);
        settled.iter().for_each(|&(from, to)| within.insert(from, to));
        for &(from, to) in within.ranges() {
            account.settle(evidence, from, to);
        }
        account
    }

    /// A hole in which nothing was written and nothing is waited for.
    fn settle(&mut self, evidence: &Evidence<'_>, from: i64, to: i64) {
        let hole = Seconds::of(from, to);
        let Some(live) = evidence.live else { return self.settle_dark(evidence, &hole) };
        // What a live link does not bring it does not offer; from when it went down until it lives again, it is dark.
        let (offered_none, dark) = (hole.and(live), hole.without(live));
        self.miss(NOT_OFFERED, &offered_none);
        dark.ranges().iter().for_each(|&(from, to)| self.settle_dark(evidence, &Seconds::of(from, to)));
    }

    /// A hole in which nothing else of the link was heard either.
    fn settle_dark(&mut self, evidence: &Evidence<'_>, hole: &Seconds) {
        let Some(&(from, to)) = hole.ranges().first() else { return };
        if to - from <= quiet_s() {
            let is_up = evidence.heard.has(to) || evidence.live.is_some_and(|live| live.has(to));
            let gap = self.missing.iter().find(|(_, seconds)| seconds.has(from - 1));
            // Until a link is up again, what took it down is why; noise takes none down.
            let is_noise = |cause: &Cause| cause == NOISE && is_up;
            if let Some(cause) = gap.map(|(cause, _)| cause.clone()).filter(|cause| !is_noise(cause)) {
                return self.miss(&cause, hole);
            }
            if gap.is_some() || evidence.heard.has(from - 1) {
                return self.received.add(hole);
            }
            if self.waiting.has(from - 1) {
                // It was silent since a row that may come.
                return if is_up { &mut self.received } else { &mut self.waiting }.add(hole);
            }
            if !evidence.expected.has(from - 1) {
                return self.miss(AT_FIRST, hole);
            }
        }
        self.unexplained.add(hole);
    }

    pub(super) fn miss(&mut self, cause: &str, seconds: &Seconds) {
        if !seconds.is_empty() {
            self.missing.entry(cause.to_owned()).or_default().add(seconds);
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.received.add(&other.received);
        self.waiting.add(&other.waiting);
        self.unexplained.add(&other.unexplained);
        other.missing.iter().for_each(|(cause, seconds)| self.miss(cause, seconds));
    }

    /// The part of it that lies in `span`.
    pub(super) fn within(&self, span: &Seconds) -> Self {
        let missing = self.missing.iter().map(|(cause, seconds)| (cause.clone(), seconds.and(span)));
        Self {
            received: self.received.and(span),
            missing: missing.filter(|(_, seconds)| !seconds.is_empty()).collect(),
            waiting: self.waiting.and(span),
            unexplained: self.unexplained.and(span),
        }
    }

    /// One account of a whole bed: a second is received if every part brought it, and otherwise counts as the worst that any part says.
    pub(super) fn of_all<'a>(expected: &Seconds, parts: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let mut all = Self::default();
        let mut rest = expected.clone();
        let mut take = |seconds: &Seconds| {
            let taken = rest.and(seconds);
            rest = rest.without(&taken);
            taken
        };
        for part in parts.clone() {
            all.unexplained.add(&take(&part.unexplained));
        }
        let causes: std::collections::BTreeSet<&Cause> = parts
            .clone()
            .flat_map(|part| part.missing.keys())
            .filter(|cause| *cause != NOT_OFFERED)
            .collect();
        // The worst is what nobody meant: a loss before a drop, a drop before a device that is off.
        let mut causes: Vec<&Cause> = causes.into_iter().collect();
        causes.sort_by_key(|cause| std::cmp::Reverse(rank(cause)));
        for cause in causes {
            for part in parts.clone() {
                if let Some(seconds) = part.missing.get(cause) {
                    let taken = take(seconds);
                    all.miss(cause, &taken);
                }
            }
        }
        for part in parts {
            all.waiting.add(&take(&part.waiting));
        }
        all.received = rest;
        all
    }
}

/// Whether rows of a time before `to` may still be on their way.
fn may_come(outbox: Option<Outbox>, to: i64) -> bool {
    let second = |at: cotside_protocol::model::Wall| at.0.div_euclid(1_000_000);
    outbox.is_none_or(|said| second(said.at) < to + HEARSAY_S || (said.rows > 0 && second(said.oldest) <= to))
}

#[cfg(test)]
mod tests {
    use super::{Account, Evidence, Outbox, Seconds};
    use cotside_protocol::model::Wall;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn set(ranges: &[(i64, i64)]) -> Seconds {
        let mut seconds = Seconds::default();
        ranges.iter().for_each(|&(from, to)| seconds.insert(from, to));
        seconds
    }

    fn said(at_s: i64, rows: u64, oldest_s: i64) -> Option<Outbox> {
        Some(Outbox { at: Wall(at_s * 1_000_000), rows, oldest: Wall(oldest_s * 1_000_000) })
    }

    fn account(heard: &[(i64, i64)], unbroken: &[(i64, i64)], outbox: Option<Outbox>) -> Account {
        let gaps = BTreeMap::from([("cable-out".to_owned(), set(&[(100, 200)]))]);
        Account::of(&Evidence {
            expected: &Seconds::of(0, 1000),
            heard: &set(heard),
            gaps: &gaps,
            unbroken: &set(unbroken),
            outbox,
            live: None,
        })
    }

    #[test]
    fn a_device_that_speaks_now_and_then_is_received_and_a_long_silence_is_not() {
        let account = account(&[(0, 10), (12, 13), (70, 100), (205, 400), (700, 1000)], &[(0, 1000)], None);
        // 10..12 and 13..70 are within the drivers' limits, 200..205 is still the cable's, 400..700 nobody explains.
        assert_eq!(account.received.count(), 100 + 195 + 300);
        assert_eq!(account.missing["cable-out"].count(), 105);
        assert_eq!((account.waiting.count(), account.unexplained.ranges()), (0, &[(400, 700)][..]));
    }

    #[test]
    fn a_hole_between_rows_waits_while_the_agent_holds_what_is_as_old_and_is_unexplained_after() {
        let with = |outbox| {
            let account = account(&[(0, 100), (200, 400), (700, 1000)], &[(0, 400), (700, 1000)], outbox);
            (account.waiting.count(), account.unexplained.count())
        };
        assert_eq!(with(None), (300, 0));
        assert_eq!(with(said(1000, 200, 400)), (300, 0));
        assert_eq!(with(said(1000, 0, 1000)), (0, 300));
        assert_eq!(with(said(1000, 3, 998)), (0, 300));
        // It could not know yet.
        assert_eq!(with(said(720, 0, 720)), (300, 0));
    }

    #[test]
    fn what_a_live_device_does_not_offer_is_not_lost() {
        let expected = Seconds::of(0, 1000);
        let account = Account::of(&Evidence {
            expected: &expected,
            heard: &set(&[(500, 800)]),
            gaps: &BTreeMap::new(),
            unbroken: &set(&[(500, 800)]),
            outbox: said(2000, 0, 2000),
            live: Some(&set(&[(0, 900)])),
        });
        assert_eq!(account.missing["not-offered"].count(), 600);
        assert_eq!(account.unexplained.ranges(), [(900, 1000)]);
    }

    #[test]
    fn a_lane_that_is_not_offered_is_down_until_its_link_lives_and_no_longer() {
        let gaps = BTreeMap::from([("agent-down".to_owned(), set(&[(200, 300), (600, 700)]))]);
        let account = Account::of(&Evidence {
            expected: &Seconds::of(0, 1000),
            heard: &Seconds::default(),
            gaps: &gaps,
            unbroken: &Seconds::of(0, 1000),
            outbox: said(2000, 0, 2000),
            // The first line after each start came seven seconds later.
            live: Some(&set(&[(7, 200), (307, 600), (707, 1000)])),
        });
        assert_eq!(account.missing["agent-down"].ranges(), [(0, 7), (200, 307), (600, 707)]);
        assert_eq!(account.missing["not-offered"].ranges(), [(7, 200), (307, 600), (707, 1000)]);
        assert!(account.unexplained.is_empty() && account.received.is_empty());
    }

    proptest! {
        #[test]
        fn every_expected_second_is_in_exactly_one_place(
            sets in prop::collection::vec(prop::collection::vec((0i64..900, 1i64..200), 0..8), 5),
            at in 0i64..1200, rows in 0u64..2, oldest in 0i64..1200, has_outbox in any::<bool>(),
        ) {
            let of = |at: usize| {
                let ranges: Vec<_> = sets[at].iter().map(|&(from, length)| (from, from + length)).collect();
                set(&ranges)
            };
            let gaps = BTreeMap::from([("cable-out".to_owned(), of(1)), ("clock-step".to_owned(), of(2))]);
            let (expected, live) = (Seconds::of(20, 1000), of(4));
            let account = Account::of(&Evidence {
                expected: &expected,
                heard: &of(0),
                gaps: &gaps,
                unbroken: &of(3),
                outbox: said(at, rows, oldest).filter(|_| has_outbox),
                live: Some(&live),
            });
            let mut parts: Vec<&Seconds> = account.missing.values().collect();
            parts.extend([&account.received, &account.waiting, &account.unexplained]);
            let mut all = Seconds::default();
            parts.iter().for_each(|part| all.add(part));
            prop_assert_eq!(&all, &expected);
            prop_assert_eq!(parts.iter().map(|part| part.count()).sum::<u64>(), expected.count());
            let whole = Account::of_all(&expected, [&account].into_iter());
            prop_assert_eq!(whole.unexplained, account.unexplained);
        }
    }
}
