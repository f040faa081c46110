//! The alarm burden of a set of limits: a simulated cohort through the shipped engine, and what plain thresholds would have done.

pub mod cohort;

use cohort::{Day, SECONDS};
use cotside_edge_agent::alarm::{Engine, Input, LinkCondition, Policy};
use cotside_protocol::model::{
    AlarmKind, Code, Condition, Decimal, Inactivation, Kind, Limit, LimitSet, LimitSide, Mono, Now, Numeric,
    Pace, Priority, Quality, Site, Wall, parameter,
};
use std::collections::BTreeMap;
use std::time::Duration;

pub const SATURATION: Code = Code(150_456);
pub const HEART_RATE: Code = Code(147_842);
pub const BREATH_RATE: Code = Code(151_578);
const START: Now = Now { mono: Mono(1_000_000_000), wall: Wall(1_700_000_000_000_000) };

/// One time that an alarm asked for somebody.
#[derive(Clone, Debug, PartialEq)]
pub struct Annunciation {
    pub second: usize,
    /// How long its episode was active; until the end of the day for one that did not end.
    pub lasted: usize,
    pub kind: AlarmKind,
    pub priority: Priority,
    pub code: Option<Code>,
    pub rule: &'static str,
}

/// What was extreme, by the day as it really was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extreme {
    pub code: Code,
    pub begin: usize,
    pub end: usize,
}

/// Everything that a day under these limits asks of the people at the bed.
pub fn annunciations(day: &Day, limits: &LimitSet) -> Vec<Annunciation> {
    let mut engine = Engine::new(Policy::default(), &["monitor"], limits.clone(), Vec::new(), 7);
    engine.handle(START, Input::Link { link: 0, condition: LinkCondition::Live, words: "" });
    let mut open: BTreeMap<u64, (u32, Vec<usize>)> = BTreeMap::new();
    let mut told: Vec<Annunciation> = Vec::new();
    for second in 0..SECONDS {
        let now = START.after(Duration::from_secs(second as u64 + 20));
        let channels = [
            (SATURATION, day.saturation[second]),
            (HEART_RATE, day.heart_rate[second]),
            (BREATH_RATE, day.breath_rate[second]),
        ];
        for (code, value) in channels {
            engine.handle(now, Input::Numeric { link: 0, numeric: &numeric(code, value) });
        }
        while engine.deadline(now.mono).is_some_and(|due| due <= now.mono) {
            engine.handle(now, Input::Timeout);
        }
        while let Some(alarm) = engine.poll() {
            let known = open.get(&alarm.episode.0).map(|(attention, _)| *attention);
            if alarm.ended_at.is_some() {
                for at in open.remove(&alarm.episode.0).map(|(_, told)| told).unwrap_or_default() {
                    told[at].lasted = second - told[at].second;
                }
            } else if alarm.condition == Condition::Active
                && alarm.inactivation == Inactivation::Enabled
                && known.is_none_or(|attention| attention < alarm.attention)
            {
                let episode = open.entry(alarm.episode.0).or_default();
                episode.0 = alarm.attention;
                episode.1.push(told.len());
                told.push(Annunciation {
                    second,
                    lasted: SECONDS - second,
                    kind: alarm.kind,
                    priority: alarm.priority,
                    code: alarm.code,
                    rule: alarm.rule,
                });
            }
        }
    }
    told
}

fn numeric(code: Code, value: f64) -> Numeric {
    let value = (!value.is_nan()).then(|| Decimal::new(value.round() as i64, 0));
    Numeric {
        code,
        site: Site::Unspecified,
        quality: if value.is_some() { Quality::GOOD } else { Quality::INVALID },
        value,
        ucum: parameter(code).expect("every parameter of the cohort stands in the table").ucum,
        kind: Kind::Measurement,
        pace: Pace::Continuous,
        device_at: None,
        lag: Duration::ZERO,
    }
}

/// Every stretch beyond an extreme limit that lasted longer than the limit's own delay, by the values as they were shown.
pub fn extremes(day: &Day, limits: &LimitSet) -> Vec<Extreme> {
    let mut found = Vec::new();
    for limit in limits.limits.iter().filter(|limit| limit.extreme) {
        let values = match limit.code {
            SATURATION => &day.saturation,
            HEART_RATE => &day.heart_rate,
            BREATH_RATE => &day.breath_rate,
            _ => continue,
        };
        let delay = limit.delay.as_secs_f64().ceil() as usize;
        let is_beyond = |value: f64| match limit.side {
            LimitSide::Low => value.round() < limit.threshold.to_f64(),
            LimitSide::High => value.round() > limit.threshold.to_f64(),
        };
        runs(values, is_beyond, delay, |begin, end| found.push(Extreme { code: limit.code, begin, end }));
    }
    if let Some(apnoea) = limits.apnoea {
        let delay = apnoea.after.as_secs_f64().ceil() as usize;
        runs(
            &day.breath_rate,
            |value| value == 0.0,
            delay,
            |begin, end| {
                found.push(Extreme { code: BREATH_RATE, begin, end });
            },
        );
    }
    found
}

/// Stretches in which every value is beyond, of more than `longer` seconds; a missing value ends none.
fn runs(values: &[f64], is_beyond: impl Fn(f64) -> bool, longer: usize, mut each: impl FnMut(usize, usize)) {
    let mut begin = None;
    for second in 0..=values.len() {
        match values.get(second) {
            Some(value) if value.is_nan() => {}
            Some(value) if is_beyond(*value) => {
                begin.get_or_insert(second);
            }
            _ => {
                if let Some(begin) = begin.take().filter(|begin| second - begin > longer + 1) {
                    each(begin, second);
                }
            }
        }
    }
}

/// Seconds from the begin of an extreme event until somebody was told with high priority; None: nobody was before it was over.
pub fn told_after(extreme: &Extreme, told: &[Annunciation]) -> Option<usize> {
    let is_about = |one: &&Annunciation| {
        one.priority == Priority::High
            && one.kind == AlarmKind::Physiological
            && one.second <= extreme.end
            && one.second + one.lasted >= extreme.begin
    };
    // An alarm that is up already when the worst comes has told.
    told.iter().filter(is_about).map(|one| one.second.saturating_sub(extreme.begin)).min()
}

/// Thresholds as a monitor ships them: every crossing alarms at once, red below yellow.
pub fn plain() -> LimitSet {
    let limit = |code, side, threshold, priority| Limit {
        priority,
        ..Limit::plain(
            code,
            side,
            Decimal::new(threshold, 0),
            parameter(code).expect("every parameter of the cohort stands in the table").ucum,
        )
    };
    LimitSet {
        limits: vec![
            limit(SATURATION, LimitSide::Low, 85, Priority::Medium),
            limit(SATURATION, LimitSide::Low, 80, Priority::High),
            limit(HEART_RATE, LimitSide::Low, 100, Priority::Medium),
            limit(HEART_RATE, LimitSide::Low, 80, Priority::High),
            limit(HEART_RATE, LimitSide::High, 200, Priority::Medium),
            limit(BREATH_RATE, LimitSide::Low, 10, Priority::Medium),
        ],
        ..LimitSet::default()
    }
}

/// The same with a delay before every medium alarm of the saturation.
pub fn delayed(by: Duration) -> LimitSet {
    let mut set = plain();
    for limit in set.limits.iter_mut().filter(|limit| limit.code == SATURATION) {
        limit.delay = by;
    }
    set
}
