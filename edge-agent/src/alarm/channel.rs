//! What each link last said of one parameter at one site, and which of them counts now.

use super::policy::Policy;
use cotside_protocol::model::{Decimal, Mono, Now, Numeric, Pace, Quality};
use std::time::Duration;

/// The links that measure one parameter at one site.
#[derive(Debug, Default)]
pub(super) struct Channels(Vec<Channel>);

#[derive(Debug)]
struct Channel {
    link: u8,
    last: Reading,
}

/// A usable number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) value: Decimal,
    pub(super) ucum: &'static str,
    pub(super) pace: Pace,
    /// When it was true: received, less what it was late by the device's own clock.
    at: Mono,
    is_assumed: bool,
}

impl Reading {
    /// None for what no limit rule may take: no number, a number the device disowns, a setting's number.
    fn of(numeric: &Numeric, now: Now) -> Option<Self> {
        let value = numeric.value.filter(|_| numeric.quality.is_usable())?;
        Some(Self {
            value,
            ucum: numeric.ucum,
            pace: numeric.pace,
            at: before(now.mono, numeric.lag),
            is_assumed: numeric.quality.has(Quality::UCUM_ASSUMED),
        })
    }

    /// Until when it may stand for the present.
    fn stands_until(&self, policy: &Policy) -> Mono {
        match self.pace {
            Pace::Continuous => self.at + policy.fresh_for,
            Pace::Episodic => self.at + policy.episodic_stands,
            // TREND ONLY: shown, never alarmed as if continuous.
            Pace::Trend => self.at,
        }
    }

    /// Whether limits apply: a unit that had to be assumed is shown as such and does not alarm.
    fn is_watched(&self) -> bool {
        !self.is_assumed && self.pace != Pace::Trend
    }
}

impl Channels {
    /// Keeps the last usable number: one that turns invalid leaves the last in place until it is old.
    pub(super) fn take(&mut self, link: u8, numeric: &Numeric, now: Now) {
        let Some(reading) = Reading::of(numeric, now) else { return };
        match self.0.iter_mut().find(|channel| channel.link == link) {
            Some(channel) => channel.last = reading,
            None => self.0.push(Channel { link, last: reading }),
        }
    }

    /// The fresh reading that limits use: of the preferred link that has one. `rank` is smaller for better links.
    pub(super) fn current(
        &self,
        now: Mono,
        policy: &Policy,
        rank: impl Fn(u8) -> usize,
    ) -> Option<(u8, Reading)> {
        self.0
            .iter()
            .filter(|channel| channel.last.is_watched() && now < channel.last.stands_until(policy))
            .min_by_key(|channel| (rank(channel.link), channel.link))
            .map(|channel| (channel.link, channel.last))
    }

    /// Whether a value is missed: some continuous, watched channel was heard.
    pub(super) fn is_expected(&self) -> bool {
        self.0.iter().any(|channel| channel.last.is_watched() && channel.last.pace == Pace::Continuous)
    }

    /// Single measurements only: an old one says nothing of the present.
    pub(super) fn is_episodic(&self) -> bool {
        self.0.iter().all(|channel| channel.last.pace == Pace::Episodic)
    }

    /// The next moment at which a reading stops to stand.
    pub(super) fn next_change(&self, now: Mono, policy: &Policy) -> Option<Mono> {
        self.0.iter().map(|channel| channel.last.stands_until(policy)).filter(|at| *at > now).min()
    }

    pub(super) fn links(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.iter().map(|channel| channel.link)
    }
}

fn before(at: Mono, span: Duration) -> Mono {
    Mono(at.0.saturating_sub(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
}
