//! What each link last said of one parameter at one site, and which of them counts now.

use super::policy::Policy;
use cotside_protocol::model::{Code, Decimal, Mono, Now, Numeric, Pace, Quality, Site};
use std::collections::BTreeMap;
use std::time::Duration;

/// Every channel of the bed, and whose word counts where several measure the same.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    channels: BTreeMap<(Code, Site), Channels>,
    /// Links in order of preference, per parameter; others rank behind in their own order.
    preferences: Vec<(Code, Vec<u8>)>,
}

/// The links that measure one parameter at one site.
#[derive(Clone, Debug, Default)]
pub(super) struct Channels(Vec<Channel>);

#[derive(Clone, Debug)]
struct Channel {
    link: u8,
    last: Reading,
    /// The device disowns what it sends since the last good value: why it did so first.
    disowned: Option<&'static str>,
}

/// A usable number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) value: Decimal,
    pub(super) ucum: &'static str,
    pub(super) pace: Pace,
    /// When it was true: received, less what it was late by the device's own clock.
    pub(super) at: Mono,
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

impl Sources {
    pub(super) const fn new(preferences: Vec<(Code, Vec<u8>)>) -> Self {
        Self { channels: BTreeMap::new(), preferences }
    }

    pub(super) fn clear(&mut self) {
        self.channels.clear();
    }

    pub(super) fn take(&mut self, link: u8, numeric: &Numeric, now: Now) {
        self.channels.entry((numeric.code, numeric.site)).or_default().take(link, numeric, now);
    }

    pub(super) fn get(&self, channel: (Code, Site)) -> Option<&Channels> {
        self.channels.get(&channel)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = (Code, Site)> + '_ {
        self.channels.keys().copied()
    }

    /// The fresh reading of a channel that limits use, and whose it is.
    pub(super) fn current(
        &self,
        now: Mono,
        policy: &Policy,
        (code, site): (Code, Site),
    ) -> Option<(u8, Reading)> {
        let preferred = self.preferences.iter().find(|(of, _)| *of == code);
        let preferred = preferred.map_or(&[][..], |(_, links)| links.as_slice());
        let rank = |link: u8| preferred.iter().position(|preferred| *preferred == link).unwrap_or(usize::MAX);
        self.channels.get(&(code, site))?.current(now, policy, rank)
    }

    /// The fresh readings of one parameter, at whatever site.
    pub(super) fn fresh(&self, now: Mono, policy: &Policy, code: Code) -> impl Iterator<Item = Reading> {
        let sites = (code, Site::Unspecified)..=(code, Site::Numbered(u8::MAX));
        let keys = self.channels.range(sites).map(|(key, _)| *key);
        keys.filter_map(move |key| self.current(now, policy, key)).map(|(_, reading)| reading)
    }

    pub(super) fn next_change(&self, now: Mono, policy: &Policy) -> Option<Mono> {
        self.channels.values().filter_map(|channels| channels.next_change(now, policy)).min()
    }
}

impl Channels {
    /// Keeps the last usable number: one that turns invalid leaves the last in place until it is old.
    pub(super) fn take(&mut self, link: u8, numeric: &Numeric, now: Now) {
        let known = self.0.iter_mut().find(|channel| channel.link == link);
        match (Reading::of(numeric, now), known) {
            (Some(last), Some(channel)) => (channel.last, channel.disowned) = (last, None),
            (Some(last), None) => self.0.push(Channel { link, last, disowned: None }),
            (None, Some(channel)) => drop(channel.disowned.get_or_insert(why_not(numeric))),
            (None, None) => {}
        }
    }

    /// Why a missing value is missing, where a device says so.
    pub(super) fn disowned(&self) -> Option<&'static str> {
        self.0.iter().find_map(|channel| channel.disowned)
    }

    /// The fresh reading that limits use: of the preferred link that has one. `rank` is smaller for better links.
    fn current(&self, now: Mono, policy: &Policy, rank: impl Fn(u8) -> usize) -> Option<(u8, Reading)> {
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
    fn next_change(&self, now: Mono, policy: &Policy) -> Option<Mono> {
        self.0.iter().map(|channel| channel.last.stands_until(policy)).filter(|at| *at > now).min()
    }

    pub(super) fn links(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.iter().map(|channel| channel.link)
    }
}

fn why_not(numeric: &Numeric) -> &'static str {
    let marks =
        [(Quality::INVALID, "invalid"), (Quality::UNAVAILABLE, "unavailable"), (Quality::DEMO, "demo")];
    let mark = marks.into_iter().find(|(mark, _)| numeric.quality.has(*mark));
    mark.map_or("no value", |(_, words)| words)
}

fn before(at: Mono, span: Duration) -> Mono {
    Mono(at.0.saturating_sub(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
}
