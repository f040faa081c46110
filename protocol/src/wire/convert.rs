//! Model to wire and back, in one place, so that an internal rename never breaks a hospital.

use super::block::{Channel, Sample, Stretch};
use super::{downstream, upstream};
use crate::model::{
    Alarm, AlarmKind, Apnoea, Code, Combined, Condition, Decimal, Depth, Ended, Inactivation, Kind, Limit,
    LimitSet, LimitSide, Mono, Numeric, Priority, Provenance, Rate, Site, Waveform,
};
use std::time::Duration;

/// A numeric as a block holds it. `begin` and `at` are the block's begin and the moment of receipt.
pub fn sample(link: u8, numeric: &Numeric, begin: Mono, at: Mono) -> Sample {
    Sample {
        channel: Channel {
            link,
            code: numeric.code,
            site: numeric.site,
            setting: numeric.kind == Kind::Setting,
        },
        ucum: numeric.ucum.to_owned(),
        pace: numeric.pace,
        value: numeric.value,
        quality: numeric.quality,
        at_us: u32::try_from(at.since(begin).as_micros()).unwrap_or(u32::MAX),
        lag_ms: u32::try_from(numeric.lag.as_millis()).unwrap_or(u32::MAX),
    }
}

/// A waveform run as a block holds it.
pub fn stretch(link: u8, waveform: Waveform, begin: Mono) -> Stretch {
    let at_us = waveform.begin.0 as i64 - begin.0 as i64;
    Stretch {
        channel: Channel { link, code: waveform.code, site: waveform.site, setting: false },
        ucum: waveform.ucum.to_owned(),
        at_us,
        period_us: waveform.period_us,
        gain: waveform.gain,
        offset: waveform.offset,
        quality: waveform.quality,
        samples: waveform.samples,
    }
}

pub fn alarm(alarm: &Alarm) -> upstream::Alarm {
    upstream::Alarm {
        episode: hex(alarm.episode.0),
        version: alarm.version,
        attention: alarm.attention,
        rule: alarm.rule.to_owned(),
        kind: match alarm.kind {
            AlarmKind::Physiological => upstream::AlarmKind::Physiological,
            AlarmKind::Technical => upstream::AlarmKind::Technical,
            AlarmKind::Advisory => upstream::AlarmKind::Advisory,
        },
        priority: priority(alarm.priority),
        condition: match alarm.condition {
            Condition::Inactive => upstream::Condition::Inactive,
            Condition::Delaying => upstream::Condition::Delaying,
            Condition::Active => upstream::Condition::Active,
            Condition::Latched => upstream::Condition::Latched,
        },
        inactivation: match &alarm.inactivation {
            Inactivation::Enabled => upstream::Inactivation::Enabled,
            Inactivation::AudioPaused { until, by } => {
                upstream::Inactivation::AudioPaused { until_us: until.0, by: by.to_string() }
            }
            Inactivation::Acknowledged { at, by } => {
                upstream::Inactivation::Acknowledged { at_us: at.0, by: by.to_string() }
            }
        },
        code: alarm.code.map(|code| code.0),
        site: site_name(alarm.site),
        value: alarm.value.map(|value| value.to_string()),
        limit: alarm.limit.map(|limit| limit.to_string()),
        ucum: alarm.ucum.to_owned(),
        text: alarm.text.as_str().to_owned(),
        parts: alarm.parts.iter().map(ToString::to_string).collect(),
        link: alarm.link,
        delay_ms: millis(alarm.delay),
        limits: alarm.limits,
        onset_us: alarm.onset_at.0,
        active_us: alarm.active_at.map(|at| at.0),
        ended_us: alarm.ended_at.map(|at| at.0),
        ended: alarm.ended.map(ended),
    }
}

fn ended(ended: Ended) -> upstream::Ended {
    match ended {
        Ended::Resolved => upstream::Ended::Resolved,
        Ended::SuppressedByDelay => upstream::Ended::SuppressedByDelay,
        Ended::Reset => upstream::Ended::Reset,
        Ended::TurnedOver => upstream::Ended::TurnedOver,
        Ended::Joined => upstream::Ended::Joined,
        Ended::Withdrawn => upstream::Ended::Withdrawn,
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

pub fn priority(priority: Priority) -> upstream::Priority {
    match priority {
        Priority::Advisory => upstream::Priority::Advisory,
        Priority::Low => upstream::Priority::Low,
        Priority::Medium => upstream::Priority::Medium,
        Priority::High => upstream::Priority::High,
    }
}

pub fn priority_of(priority: upstream::Priority) -> Priority {
    match priority {
        upstream::Priority::Advisory => Priority::Advisory,
        upstream::Priority::Low => Priority::Low,
        upstream::Priority::Medium => Priority::Medium,
        upstream::Priority::High => Priority::High,
    }
}

pub fn provenance(provenance: Provenance) -> upstream::Provenance {
    match provenance {
        Provenance::Live => upstream::Provenance::Live,
        Provenance::Replay => upstream::Provenance::Replay,
        Provenance::Simulated => upstream::Provenance::Simulated,
        Provenance::DeviceDemo => upstream::Provenance::DeviceDemo,
    }
}

/// The word for a site on the wire and in the API; none for an unspecified one.
pub fn site_name(site: Site) -> Option<String> {
    match site {
        Site::Unspecified => None,
        Site::Preductal => Some("preductal".to_owned()),
        Site::Postductal => Some("postductal".to_owned()),
        Site::Numbered(number) => Some(number.to_string()),
    }
}

/// A set of limits from the hub, or what of it cannot be taken, in words.
pub fn limit_set(set: &downstream::Limits) -> Result<LimitSet, String> {
    let of = |code: u32, what: &str| format!("{what} of parameter {code} cannot be read");
    let limits = set.limits.iter().map(|row| limit(row).ok_or_else(|| of(row.code, "a limit")));
    let rates = set.rates.iter().map(|row| rate(row).ok_or_else(|| of(row.code, "a rate")));
    let combined = set.combined.as_ref().map(|row| combined(row).ok_or("the combined event cannot be read"));
    Ok(LimitSet {
        version: set.version,
        limits: limits.collect::<Result<_, _>>()?,
        rates: rates.collect::<Result<_, _>>()?,
        apnoea: set.apnoea.map(|row| Apnoea {
            after: Duration::from_millis(row.after_ms),
            accompanied: Duration::from_millis(row.accompanied_ms),
            priority: priority_of(row.priority),
        }),
        combined: combined.transpose()?,
    })
}

/// The set in force, as both ends name it on the wire.
pub fn limit_set_out(set: &LimitSet, author: &str, profile: &str, bed: &str) -> downstream::Limits {
    downstream::Limits {
        version: set.version,
        author: author.to_owned(),
        profile: profile.to_owned(),
        bed: bed.to_owned(),
        stay: None,
        limits: set.limits.iter().map(limit_out).collect(),
        rates: set.rates.iter().map(rate_out).collect(),
        apnoea: set.apnoea.map(|row| downstream::Apnoea {
            after_ms: millis(row.after),
            accompanied_ms: millis(row.accompanied),
            priority: priority(row.priority),
        }),
        combined: set.combined.map(|row| downstream::Combined {
            bradycardia: below_out(row.bradycardia),
            desaturation: below_out(row.desaturation),
            window_ms: millis(row.window),
            priority: priority(row.priority),
        }),
    }
}

/// None: its threshold is no number or its unit is not the parameter's.
fn limit(limit: &downstream::Limit) -> Option<Limit> {
    let depth = match &limit.depth {
        None => None,
        Some(depth) => {
            Some(Depth { full: Decimal::parse(&depth.full)?, delay: Duration::from_millis(depth.delay_ms) })
        }
    };
    Some(Limit {
        code: Code(limit.code),
        side: side(limit.side),
        threshold: Decimal::parse(&limit.threshold)?,
        ucum: ucum(limit.code, &limit.ucum)?,
        delay: Duration::from_millis(limit.delay_ms),
        priority: priority_of(limit.priority),
        hysteresis: Decimal::parse(&limit.hysteresis)?,
        depth,
        latching: limit.latching,
        extreme: limit.extreme,
    })
}

fn limit_out(limit: &Limit) -> downstream::Limit {
    downstream::Limit {
        code: limit.code.0,
        side: side_out(limit.side),
        threshold: limit.threshold.to_string(),
        ucum: limit.ucum.to_owned(),
        delay_ms: millis(limit.delay),
        priority: priority(limit.priority),
        hysteresis: limit.hysteresis.to_string(),
        depth: limit
            .depth
            .map(|depth| downstream::Depth { full: depth.full.to_string(), delay_ms: millis(depth.delay) }),
        latching: limit.latching,
        extreme: limit.extreme,
    }
}

fn rate(rate: &downstream::Rate) -> Option<Rate> {
    Some(Rate {
        code: Code(rate.code),
        side: side(rate.side),
        by: Decimal::parse(&rate.by)?,
        ucum: ucum(rate.code, &rate.ucum)?,
        within: Duration::from_millis(rate.within_ms),
        priority: priority_of(rate.priority),
    })
}

fn rate_out(rate: &Rate) -> downstream::Rate {
    downstream::Rate {
        code: rate.code.0,
        side: side_out(rate.side),
        by: rate.by.to_string(),
        ucum: rate.ucum.to_owned(),
        within_ms: millis(rate.within),
        priority: priority(rate.priority),
    }
}

fn combined(row: &downstream::Combined) -> Option<Combined> {
    let below =
        |row: &downstream::Below| Some((Decimal::parse(&row.threshold)?, Duration::from_millis(row.for_ms)));
    Some(Combined {
        bradycardia: below(&row.bradycardia)?,
        desaturation: below(&row.desaturation)?,
        window: Duration::from_millis(row.window_ms),
        priority: priority_of(row.priority),
    })
}

fn below_out((threshold, span): (Decimal, Duration)) -> downstream::Below {
    downstream::Below { threshold: threshold.to_string(), for_ms: millis(span) }
}

fn ucum(code: u32, given: &str) -> Option<&'static str> {
    let ucum = crate::model::parameter(Code(code))?.ucum;
    (ucum == given).then_some(ucum)
}

fn side(side: downstream::Side) -> LimitSide {
    match side {
        downstream::Side::Low => LimitSide::Low,
        downstream::Side::High => LimitSide::High,
    }
}

fn side_out(side: LimitSide) -> downstream::Side {
    match side {
        LimitSide::Low => downstream::Side::Low,
        LimitSide::High => downstream::Side::High,
    }
}

/// Epochs, boots and episodes on the wire: 16 hex digits.
pub fn hex(number: u64) -> String {
    format!("{number:016x}")
}

pub fn from_hex(text: &str) -> Option<u64> {
    let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u64::from_str_radix(text, 16).ok())?
}
