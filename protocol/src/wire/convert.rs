//! Model to wire and back, in one place, so that an internal rename never breaks a hospital.

use super::block::{Channel, Sample, Stretch};
use super::{downstream, upstream};
use crate::model::{
    Alarm, AlarmKind, Code, Condition, Decimal, Inactivation, Kind, Limit, LimitSide, Mono, Numeric,
    Priority, Provenance, Site, Waveform,
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
        inactivation: match alarm.inactivation {
            Inactivation::Enabled => upstream::Inactivation::Enabled,
            Inactivation::AudioPaused { until } => upstream::Inactivation::AudioPaused { until_us: until.0 },
            Inactivation::Acknowledged => upstream::Inactivation::Acknowledged,
        },
        code: alarm.code.map(|code| code.0),
        site: site_name(alarm.site),
        value: alarm.value.map(|value| value.to_string()),
        limit: alarm.limit.map(|limit| limit.to_string()),
        ucum: alarm.ucum.to_owned(),
        text: alarm.text.as_str().to_owned(),
        onset_us: alarm.onset_at.0,
        active_us: alarm.active_at.map(|at| at.0),
        ended_us: alarm.ended_at.map(|at| at.0),
    }
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

/// A limit from the hub. None: its threshold is no number or its unit is not the parameter's.
pub fn limit(limit: &downstream::Limit) -> Option<Limit> {
    let code = Code(limit.code);
    let ucum = crate::model::parameter(code)?.ucum;
    (ucum == limit.ucum).then_some(())?;
    Some(Limit {
        code,
        side: match limit.side {
            downstream::Side::Low => LimitSide::Low,
            downstream::Side::High => LimitSide::High,
        },
        threshold: Decimal::parse(&limit.threshold)?,
        ucum,
        delay: Duration::from_millis(limit.delay_ms),
        priority: priority_of(limit.priority),
    })
}

/// A limit as both ends name it on the wire.
pub fn limit_out(limit: &Limit) -> downstream::Limit {
    downstream::Limit {
        code: limit.code.0,
        side: match limit.side {
            LimitSide::Low => downstream::Side::Low,
            LimitSide::High => downstream::Side::High,
        },
        threshold: limit.threshold.to_string(),
        ucum: limit.ucum.to_owned(),
        delay_ms: u64::try_from(limit.delay.as_millis()).unwrap_or(u64::MAX),
        priority: priority(limit.priority),
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
