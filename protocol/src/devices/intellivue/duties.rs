//! What an active association has to send and when: polls, their renewal, and the keep-alive.

use super::query::Query;
use crate::model::Mono;
use std::time::Duration;

/// The monitor handles four or five frames in 128 ms; more are lost.
const SPACING: Duration = Duration::from_millis(40);
/// An unanswered question is asked again; one single poll per object type and second is allowed.
const RETRY: Duration = Duration::from_secs(3);
/// A third of the 10 s after which the monitor gives a silent client up.
const KEEP_ALIVE: Duration = Duration::from_secs(3);
/// A third of what an extended poll lasts.
const RENEW: Duration = Duration::from_secs(20);
/// New modules appear; also the pairing of the monitor's clocks, and another patient.
const CONTEXTS: Duration = Duration::from_secs(60);
const SYSTEM: Duration = Duration::from_secs(300);
const PATIENT: Duration = Duration::from_secs(30);
/// Asking for unknown labels out of turn.
const WANTING: Duration = Duration::from_secs(5);
const NEVER: Duration = Duration::MAX;

#[derive(Debug)]
pub(super) struct Duties {
    list: Vec<Duty>,
    quiet_until: Mono,
}

#[derive(Debug)]
struct Duty {
    query: Query,
    due: Mono,
    /// From one answer to the next asking.
    every: Duration,
    /// A stream that is silent for so long is asked for again.
    starved: Duration,
    sent_at: Mono,
    heard_at: Mono,
}

impl Duties {
    /// `stream_silent`: how long a numeric stream may pause at the chosen averaging.
    pub(super) fn new(now: Mono, selects_waves: bool, has_waves: bool, stream_silent: Duration) -> Self {
        let mut queries = vec![(Query::System, SYSTEM, NEVER)];
        if selects_waves {
            queries.push((Query::SelectWaves, NEVER, NEVER));
        }
        queries.push((Query::NumericContexts, CONTEXTS, NEVER));
        queries.push((Query::Numerics, RENEW, stream_silent));
        if has_waves {
            queries.push((Query::Waves, RENEW, RETRY));
        }
        queries.push((Query::Alerts, RENEW, RETRY));
        queries.push((Query::Patient, PATIENT, NEVER));
        queries.push((Query::KeepAlive, KEEP_ALIVE, NEVER));
        let list = queries
            .into_iter()
            .map(|(query, every, starved)| Duty {
                query,
                due: now,
                every,
                starved,
                sent_at: now,
                heard_at: now,
            })
            .collect();
        Self { list, quiet_until: now }
    }

    /// The next query whose time has come, marked as sent.
    pub(super) fn next(&mut self, now: Mono) -> Option<Query> {
        if now < self.quiet_until {
            return None;
        }
        let duty = self.list.iter_mut().filter(|duty| duty.due() <= now).min_by_key(|duty| duty.due())?;
        duty.sent_at = now;
        duty.heard_at = now;
        duty.due = now
            + match duty.query {
                Query::Numerics | Query::Waves | Query::Alerts | Query::KeepAlive => duty.every,
                _ => RETRY,
            };
        self.quiet_until = now + SPACING;
        Some(duty.query)
    }

    pub(super) fn deadline(&self) -> Mono {
        let due = self.list.iter().map(Duty::due).min().unwrap_or(Mono(u64::MAX));
        due.max(self.quiet_until)
    }

    /// An answer to the query of this number came.
    pub(super) fn heard(&mut self, now: Mono, number: u16) {
        for duty in self.list.iter_mut().filter(|duty| duty.query.number() == number) {
            duty.heard_at = now;
            if !duty.is_stream() && duty.query != Query::KeepAlive {
                duty.due = now + duty.every;
            }
        }
    }

    /// Numbers are held back for want of their labels.
    pub(super) fn want_contexts(&mut self, now: Mono) {
        for duty in self.list.iter_mut().filter(|duty| duty.query == Query::NumericContexts) {
            duty.due = duty.due.min(now.max(duty.sent_at + WANTING));
        }
    }
}

impl Duty {
    fn is_stream(&self) -> bool {
        matches!(self.query, Query::Numerics | Query::Waves | Query::Alerts)
    }

    fn due(&self) -> Mono {
        self.due.min(self.heard_at + self.starved)
    }
}
