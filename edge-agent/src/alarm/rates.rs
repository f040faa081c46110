//! How fast a value changes: the farthest of the last stretch against the present, on one device's word alone (hazard H10).

use super::engine::Engine;
use super::rule::{Rule, Side};
use super::verdict::{Finding, Verdict, Verdicts, add, label};
use cotside_protocol::model::{Code, Decimal, LimitSide, Mono, Rate, Site};
use std::collections::{BTreeMap, VecDeque};

/// A value a second for a quarter of an hour; of more the oldest gives way.
const READINGS_MAX: usize = 1024;

/// By position of the rate in the set.
#[derive(Clone, Debug, Default)]
pub(super) struct Slopes(BTreeMap<(usize, Site), Slope>);

#[derive(Clone, Debug)]
struct Slope {
    link: u8,
    /// Only what may yet be the farthest: each is less far than the one before it. The last is the present.
    readings: VecDeque<(Mono, Decimal)>,
}

impl Slopes {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn take(&mut self, key: (usize, Site), rate: &Rate, link: u8, at: Mono, value: Decimal) {
        let new = || Slope { link, readings: VecDeque::new() };
        let slope = self.0.entry(key).or_insert_with(new);
        if slope.link != link {
            *slope = new();
        }
        let is_farther = |before: Decimal| match rate.side {
            LimitSide::Low => before.to_f64() > value.to_f64(),
            LimitSide::High => before.to_f64() < value.to_f64(),
        };
        while slope.readings.back().is_some_and(|(_, before)| !is_farther(*before)) {
            slope.readings.pop_back();
        }
        if slope.readings.len() == READINGS_MAX {
            slope.readings.pop_front();
        }
        slope.readings.push_back((at, value));
        while slope.readings.front().is_some_and(|(begin, _)| *begin + rate.within <= at) {
            slope.readings.pop_front();
        }
    }

    pub(super) fn next_change(&self, now: Mono, rates: &[Rate]) -> Option<Mono> {
        let ends = self.0.iter().filter_map(|((at, _), slope)| {
            let end = slope.readings.front()?.0 + rates.get(*at)?.within;
            (slope.readings.len() > 1 && end > now).then_some(end)
        });
        ends.min()
    }
}

impl Engine {
    /// The engine has a new reading of this channel.
    pub(super) fn follow_rates(&mut self, now: Mono, channel: (Code, Site)) {
        if !self.set.rates.iter().any(|rate| rate.code == channel.0) {
            return;
        }
        let Some((link, reading)) = self.sources.current(now, &self.policy, channel) else { return };
        for (at, rate) in self.set.rates.iter().enumerate() {
            if rate.code == channel.0 && rate.ucum == reading.ucum {
                self.slopes.take((at, channel.1), rate, link, reading.at, reading.value);
            }
        }
    }

    /// `of`: this parameter alone.
    pub(super) fn judge_rates(&self, now: Mono, of: Option<Code>, verdicts: &mut Verdicts) {
        for ((at, site), slope) in &self.slopes.0 {
            let Some(rate) = self.set.rates.get(*at).filter(|rate| of.is_none_or(|code| code == rate.code))
            else {
                continue;
            };
            let rule = Rule::Rate {
                code: rate.code,
                site: *site,
                side: Side::from(rate.side),
                priority: rate.priority,
            };
            let verdict = match self.sources.current(now, &self.policy, (rate.code, *site)) {
                Some((link, _)) if link == slope.link => judge(now, rate, *site, slope),
                _ => Verdict::Unknown,
            };
            add(verdicts, rule, verdict);
        }
    }
}

fn judge(now: Mono, rate: &Rate, site: Site, slope: &Slope) -> Verdict {
    let mut within = slope.readings.iter().filter(|(at, _)| now < *at + rate.within);
    let (Some((_, first)), Some((_, last))) = (within.next(), slope.readings.back()) else {
        return Verdict::False;
    };
    let change = (last.to_f64() - first.to_f64()).abs();
    if change < rate.by.to_f64() || first == last {
        return Verdict::False;
    }
    let way = if rate.side == LimitSide::Low { "fell" } else { "rose" };
    let (label, seconds) = (label(rate.code, site), rate.within.as_secs());
    Verdict::True(Finding {
        value: Some(*last),
        limit: Some(rate.by),
        ucum: rate.ucum,
        ..Finding::new(rate.priority, format!("{label} {way} from {first} to {last} within {seconds} s"))
    })
}
