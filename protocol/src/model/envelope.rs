//! The bounds within which a set of limits may be in force, whoever made it (S1): no limit wider than the site's, extremes always on.
//!
//! The hub looks before it sends, and the agent looks again for itself: it is the agent's own bounds that count.

use super::{Apnoea, Code, Combined, Decimal, Limit, LimitSet, LimitSide, Priority, Rate, parameter};
use std::collections::BTreeMap;
use std::time::Duration;

/// Both sides, two priorities and more for every parameter of the table.
pub const LIMITS_MAX: usize = 256;
pub const RATES_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    pub bounds: Vec<Bound>,
    /// No limit may be awaited longer.
    pub delay_max: Duration,
    /// Apnoea is always watched, and alarms at the latest after this.
    pub apnoea_max: Duration,
}

/// What a site allows for one parameter and side.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    pub code: Code,
    pub side: LimitSide,
    /// No limit lies beyond.
    pub widest: Decimal,
    /// A set must hold an extreme limit of this parameter and side, which waits no longer than this.
    pub extreme: Option<Duration>,
}

impl Envelope {
    /// What holds where a site has not said otherwise: SpO2 below 80 %, a heart rate below 60 and an apnoea of 20 s are always told.
    pub fn neonatal() -> Self {
        let bound = |code, side, widest, extreme: Option<u64>| Bound {
            code: Code(code),
            side,
            widest: Decimal::new(widest, 0),
            extreme: extreme.map(Duration::from_secs),
        };
        Self {
            bounds: vec![
                bound(150_456, LimitSide::Low, 80, Some(15)),
                bound(160_296, LimitSide::Low, 80, None),
                bound(160_300, LimitSide::Low, 80, None),
                bound(147_842, LimitSide::Low, 60, Some(10)),
                bound(147_842, LimitSide::High, 240, None),
                bound(149_530, LimitSide::Low, 60, None),
                bound(149_530, LimitSide::High, 240, None),
            ],
            delay_max: Duration::from_secs(120),
            apnoea_max: Duration::from_secs(20),
        }
    }

    /// Everything that is wrong with a set, in words; nothing: it may be in force.
    pub fn breaches(&self, set: &LimitSet) -> Vec<String> {
        let mut found = Vec::new();
        if set.limits.len() > LIMITS_MAX || set.rates.len() > RATES_MAX {
            found.push(format!("more than {LIMITS_MAX} limits or {RATES_MAX} rates"));
            return found;
        }
        set.limits.iter().for_each(|limit| self.limit(limit, &mut found));
        twice(&set.limits, &mut found);
        crossed(&set.limits, &mut found);
        self.extremes(&set.limits, &mut found);
        set.rates.iter().for_each(|row| rate(row, &mut found));
        self.apnoea(set.apnoea, &mut found);
        if let Some(row) = set.combined {
            combined(row, &mut found);
        }
        found
    }

    fn limit(&self, limit: &Limit, found: &mut Vec<String>) {
        let name = name(limit.code, limit.side);
        match parameter(limit.code) {
            None => found.push(format!("parameter {} is not known", limit.code.0)),
            Some(row) if row.ucum != limit.ucum => {
                found.push(format!("{name} is in {}, not in {}", row.ucum, limit.ucum))
            }
            Some(row) if !row.is_plausible(limit.threshold.to_f64()) => {
                found.push(format!("{name} {} is no value of this parameter", limit.threshold))
            }
            Some(_) => {}
        }
        for bound in self.of(limit.code, limit.side) {
            if beyond(limit.threshold, bound.widest, limit.side) {
                found.push(format!(
                    "{name} {} is wider than the site's bound, {}",
                    limit.threshold, bound.widest
                ));
            }
        }
        if limit.delay > self.delay_max {
            found.push(format!("{name} waits {:?}, longer than {:?}", limit.delay, self.delay_max));
        }
        if limit.hysteresis.to_f64() < 0.0 {
            found.push(format!("{name}: its hysteresis is below nothing"));
        }
        if let Some(depth) = limit.depth
            && (depth.full.to_f64() <= 0.0 || depth.delay > limit.delay)
        {
            found.push(format!("{name}: deeper must be a shorter wait"));
        }
        if limit.extreme && limit.priority != Priority::High {
            found.push(format!("{name}: an extreme is of high priority"));
        }
    }

    fn extremes(&self, limits: &[Limit], found: &mut Vec<String>) {
        let needed = self.bounds.iter().filter_map(|bound| Some((bound, bound.extreme?)));
        for (bound, wait) in needed {
            let is_it = |limit: &&Limit| {
                limit.extreme
                    && (limit.code, limit.side) == (bound.code, bound.side)
                    && limit.delay <= wait
                    && !beyond(limit.threshold, bound.widest, bound.side)
            };
            if !limits.iter().any(|limit| is_it(&limit)) {
                let name = name(bound.code, bound.side);
                found.push(format!(
                    "the extreme is missing: {name} {} or nearer within {wait:?}",
                    bound.widest
                ));
            }
        }
    }

    fn apnoea(&self, apnoea: Option<Apnoea>, found: &mut Vec<String>) {
        match apnoea {
            None => found.push("apnoea is not watched".to_owned()),
            Some(row) if row.after > self.apnoea_max => {
                found.push(format!("apnoea waits {:?}, longer than {:?}", row.after, self.apnoea_max))
            }
            Some(row) if row.accompanied > row.after => {
                found.push("an apnoea with bradycardia or desaturation must not wait longer".to_owned())
            }
            Some(row) if row.priority != Priority::High => {
                found.push("apnoea is of high priority".to_owned())
            }
            Some(_) => {}
        }
    }

    fn of(&self, code: Code, side: LimitSide) -> impl Iterator<Item = &Bound> {
        self.bounds.iter().filter(move |bound| (bound.code, bound.side) == (code, side))
    }
}

/// Whether one threshold lies farther out than the other.
pub fn beyond(threshold: Decimal, than: Decimal, side: LimitSide) -> bool {
    match side {
        LimitSide::Low => threshold.to_f64() < than.to_f64(),
        LimitSide::High => threshold.to_f64() > than.to_f64(),
    }
}

fn twice(limits: &[Limit], found: &mut Vec<String>) {
    let key = |limit: &Limit| (limit.code, limit.side, limit.priority);
    for (at, limit) in limits.iter().enumerate() {
        if limits[..at].iter().any(|other| key(other) == key(limit)) {
            found.push(format!("{} has two limits of one priority", name(limit.code, limit.side)));
        }
    }
}

/// Low and high of a parameter leave room for a value between them.
fn crossed(limits: &[Limit], found: &mut Vec<String>) {
    let mut sides: BTreeMap<Code, (f64, f64)> = BTreeMap::new();
    for limit in limits {
        let (low, high) = sides.entry(limit.code).or_insert((f64::NEG_INFINITY, f64::INFINITY));
        match limit.side {
            LimitSide::Low => *low = low.max(limit.threshold.to_f64()),
            LimitSide::High => *high = high.min(limit.threshold.to_f64()),
        }
    }
    for (code, (low, high)) in sides.into_iter().filter(|(_, (low, high))| low >= high) {
        let label = parameter(code).map_or("a parameter", |row| row.label);
        found.push(format!("{label}: low {low} is not below high {high}"));
    }
}

fn rate(row: &Rate, found: &mut Vec<String>) {
    let name = name(row.code, row.side);
    if parameter(row.code).is_none_or(|known| known.ucum != row.ucum) {
        found.push(format!("{name}: a rate in {} is of no parameter", row.ucum));
    }
    if row.by.to_f64() <= 0.0 || row.within.is_zero() || row.within > RATE_WITHIN_MAX {
        found.push(format!("{name}: a rate is a change by something within a second to an hour"));
    }
}

const RATE_WITHIN_MAX: Duration = Duration::from_secs(3600);

fn combined(row: Combined, found: &mut Vec<String>) {
    let (heart, blood) = (row.bradycardia.0.to_f64(), row.desaturation.0.to_f64());
    if !(20.0..350.0).contains(&heart) || !(1.0..100.0).contains(&blood) {
        found.push("the combined event has thresholds that no newborn reaches".to_owned());
    }
    if row.window > Duration::from_secs(120) {
        found.push("the parts of a combined event lie two minutes apart at most".to_owned());
    }
}

fn name(code: Code, side: LimitSide) -> String {
    let label = parameter(code).map_or_else(|| code.0.to_string(), |row| row.label.to_owned());
    match side {
        LimitSide::Low => format!("{label} low"),
        LimitSide::High => format!("{label} high"),
    }
}

#[cfg(test)]
mod tests {
    use super::Envelope;
    use crate::model::{Apnoea, Code, Decimal, Limit, LimitSet, LimitSide, Priority};
    use std::time::Duration;

    const SPO2: Code = Code(150_456);

    fn extreme(code: u32, threshold: i64, ucum: &'static str) -> Limit {
        Limit {
            priority: Priority::High,
            extreme: true,
            delay: Duration::from_secs(10),
            ..Limit::plain(Code(code), LimitSide::Low, Decimal::new(threshold, 0), ucum)
        }
    }

    fn good() -> LimitSet {
        LimitSet {
            version: 1,
            limits: vec![
                extreme(150_456, 80, "%"),
                extreme(147_842, 80, "{beats}/min"),
                Limit::plain(SPO2, LimitSide::Low, Decimal::new(85, 0), "%"),
                Limit::plain(SPO2, LimitSide::High, Decimal::new(95, 0), "%"),
            ],
            rates: Vec::new(),
            apnoea: Some(Apnoea {
                after: Duration::from_secs(20),
                accompanied: Duration::from_secs(10),
                priority: Priority::High,
            }),
            combined: None,
        }
    }

    fn breaches(change: impl FnOnce(&mut LimitSet)) -> Vec<String> {
        let mut set = good();
        change(&mut set);
        Envelope::neonatal().breaches(&set)
    }

    #[test]
    fn a_set_within_its_bounds_has_no_breach() {
        assert_eq!(breaches(|_| ()), Vec::<String>::new());
    }

    #[test]
    fn s1_a_set_without_an_extreme_is_refused() {
        let found = breaches(|set| set.limits[0].extreme = false);
        assert_eq!(found, ["the extreme is missing: SpO2 low 80 or nearer within 15s"]);
        assert_eq!(breaches(|set| set.apnoea = None), ["apnoea is not watched"]);
        let slow = breaches(|set| set.limits[1].delay = Duration::from_secs(11));
        assert_eq!(slow, ["the extreme is missing: HR low 60 or nearer within 10s"]);
    }

    #[test]
    fn s1_a_limit_beyond_the_sites_bound_is_refused() {
        let found = breaches(|set| set.limits[2].threshold = Decimal::new(79, 0));
        assert_eq!(found, ["SpO2 low 79 is wider than the site's bound, 80"]);
    }

    #[test]
    fn every_breach_is_told_at_once() {
        let found = breaches(|set| {
            set.limits[2].threshold = Decimal::new(96, 0);
            set.limits[3].ucum = "1";
            set.limits[3].delay = Duration::from_secs(121);
            let again = set.limits[2].clone();
            set.limits.push(again);
        });
        assert_eq!(
            found,
            [
                "SpO2 high is in %, not in 1",
                "SpO2 high waits 121s, longer than 120s",
                "SpO2 low has two limits of one priority",
                "SpO2: low 96 is not below high 95",
            ]
        );
    }

    #[test]
    fn a_depth_that_waits_longer_and_an_extreme_that_is_not_high_are_refused() {
        use crate::model::Depth;
        let depth = Some(Depth { full: Decimal::new(5, 0), delay: Duration::from_secs(11) });
        assert_eq!(breaches(|set| set.limits[0].depth = depth), ["SpO2 low: deeper must be a shorter wait"]);
        let found = breaches(|set| set.limits[0].priority = Priority::Low);
        assert_eq!(found, ["SpO2 low: an extreme is of high priority"]);
    }
}
