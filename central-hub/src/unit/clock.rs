//! One agent's monotonic clock seen from the hub's: when, on our clock, was this measured?
//!
//! A block cannot arrive before its data ends, so the quickest block of an agent's life shows the offset between the two clocks;
//! a block that waited on the way is then seen to be old. Wall clocks take no part: both may be set while we watch.

use cotside_protocol::model::Mono;
use std::time::Duration;

/// Two quartz clocks may drift apart by this much; the estimate follows a slower agent clock at this pace.
const DRIFT_PER_MILLION: i64 = 200;

#[derive(Clone, Copy, Debug, Default)]
pub struct AgentClock {
    boot: u32,
    estimate: Option<Estimate>,
}

#[derive(Clone, Copy, Debug)]
struct Estimate {
    /// Our clock minus theirs, microseconds.
    offset_us: i64,
    seen_at: Mono,
}

impl AgentClock {
    /// A block whose data ended at `end` on the agent's clock arrived at `now`. Another boot is another clock.
    pub fn observe(&mut self, now: Mono, boot: u32, end: Mono) {
        let observed = difference(now, end);
        if boot != self.boot {
            *self = Self { boot, estimate: None };
        }
        let offset_us = match self.estimate {
            None => observed,
            Some(known) => {
                let elapsed = i64::try_from(now.since(known.seen_at).as_micros()).unwrap_or(i64::MAX);
                let crept = known.offset_us.saturating_add(elapsed / (1_000_000 / DRIFT_PER_MILLION));
                observed.min(crept)
            }
        };
        self.estimate = Some(Estimate { offset_us, seen_at: now });
    }

    /// An instant of the agent's clock on ours, never later than `now`.
    pub fn ours(&self, now: Mono, theirs: Mono) -> Mono {
        let Some(estimate) = self.estimate else { return now };
        let at = i128::from(theirs.0) + i128::from(estimate.offset_us);
        Mono(u64::try_from(at.max(0)).unwrap_or(u64::MAX)).min(now)
    }

    pub fn is_boot(&self, boot: u32) -> bool {
        self.estimate.is_some() && self.boot == boot
    }
}

fn difference(ours: Mono, theirs: Mono) -> i64 {
    let micros = i128::from(ours.0) - i128::from(theirs.0);
    i64::try_from(micros).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX })
}

/// What an instant plus a span is on the agent's clock; a header may claim anything, so it saturates.
pub fn later(begin: Mono, us: u32) -> Mono {
    begin + Duration::from_micros(u64::from(us))
}

#[cfg(test)]
mod tests {
    use super::AgentClock;
    use cotside_protocol::model::Mono;

    const S: u64 = 1_000_000;

    #[test]
    fn a_block_that_waited_on_the_way_is_seen_to_be_old() {
        let mut clock = AgentClock::default();
        clock.observe(Mono(1_000 * S), 7, Mono(50 * S));
        clock.observe(Mono(1_009 * S), 7, Mono(51 * S));
        let at = clock.ours(Mono(1_009 * S), Mono(51 * S));
        let age = Mono(1_009 * S).since(at);
        assert!((7_990..=8_010).contains(&age.as_millis()), "{age:?}");
    }

    #[test]
    fn a_restarted_agent_has_a_new_clock() {
        let mut clock = AgentClock::default();
        clock.observe(Mono(1_000 * S), 7, Mono(900 * S));
        clock.observe(Mono(1_010 * S), 8, Mono(2 * S));
        assert_eq!(clock.ours(Mono(1_010 * S), Mono(2 * S)), Mono(1_010 * S));
    }

    #[test]
    fn a_slow_agent_clock_does_not_make_values_old() {
        let mut clock = AgentClock::default();
        // 100 ppm slow for a day: 8.6 s apart at its end.
        for second in 0..86_400u64 {
            clock.observe(Mono((5_000 + second) * S), 1, Mono(second * S - second * 100));
        }
        let now = Mono((5_000 + 86_399) * S);
        let at = clock.ours(now, Mono(86_399 * S - 86_399 * 100));
        assert!(now.since(at).as_millis() < 5);
    }

    #[test]
    fn a_header_may_claim_any_time_without_harm() {
        let mut clock = AgentClock::default();
        clock.observe(Mono(0), 1, Mono(u64::MAX));
        assert_eq!(clock.ours(Mono(5), Mono(u64::MAX)), Mono(0).max(clock.ours(Mono(5), Mono(u64::MAX))));
        assert!(clock.ours(Mono(5), Mono(u64::MAX)) <= Mono(5));
    }
}
