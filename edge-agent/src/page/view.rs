//! The bed's snapshot in the words of the console, so that its own tile can draw it.

use crate::bed::{LinkSnapshot, Snapshot, ValueSnapshot};
use cotside_protocol::model::Wall;
use cotside_protocol::wire::downstream::Limit;
use cotside_protocol::wire::upstream::{Alarm, Inactivation};
use serde_json::{Value, json};

/// One frame: everything, so that the latest is enough.
pub(super) fn frame(snapshot: &Snapshot, now: Wall, can_pause: bool) -> Value {
    let bed = snapshot.bed.clone().unwrap_or_else(|| snapshot.agent.clone());
    json!({
        "at_ms": now.millis(),
        "store_ok": snapshot.store_trouble.is_none(),
        "can_pause": can_pause,
        "watch": { "covered": snapshot.watched, "why": snapshot.watch_detail },
        "bed": {
            "bed": bed,
            "state": "occupied",
            "patient": null,
            "agent": {
                "id": snapshot.agent,
                "state": "live",
                "heard_ms": 0,
                "simulated": snapshot.provenance != "live",
            },
            "devices": snapshot.links.iter().map(device).collect::<Vec<_>>(),
            "values": snapshot.values.iter().map(|row| value(snapshot, now, row)).collect::<Vec<_>>(),
            "limits": snapshot.limits.limits.iter().map(limit).collect::<Vec<_>>(),
            "limits_state": "in-force",
            "alarms": snapshot.alarms.iter().map(|row| alarm(snapshot, row)).collect::<Vec<_>>(),
            "link_lost_ms": null,
            "pause": snapshot.pause.as_ref().map(|pause| json!({
                "until_ms": Wall(pause.until_us).millis(), "by": pause.by, "up_to": pause.up_to,
            })),
            "standby": snapshot.standby.as_ref().map(|standby| json!({
                "until_ms": Wall(standby.until_us).millis(), "by": standby.by, "reason": standby.reason,
            })),
        },
    })
}

fn device(link: &LinkSnapshot) -> Value {
    let status = &link.status;
    json!({
        "link": status.link,
        "name": status.name,
        "driver": status.driver,
        "state": status.state,
        "detail": status.detail,
        "manufacturer": status.manufacturer,
        "model": status.model,
        "serial": status.serial,
        "heard_ms": status.heard_ms,
    })
}

fn value(snapshot: &Snapshot, now: Wall, row: &ValueSnapshot) -> Value {
    let link = snapshot.links.iter().find(|link| link.status.link == row.link);
    json!({
        "code": row.code,
        "label": row.label,
        "name": row.label,
        "site": row.site,
        "value": row.value,
        "ucum": row.ucum,
        "age_ms": row.age_ms,
        "at_ms": now.millis().saturating_sub_unsigned(row.age_ms),
        "pace": row.pace,
        "quality": row.quality,
        "device": link.map(|link| link.status.name.as_str()),
        "setting": row.setting,
    })
}

fn limit(row: &Limit) -> Value {
    json!({ "code": row.code, "side": row.side, "threshold": row.threshold, "ucum": row.ucum })
}

fn alarm(snapshot: &Snapshot, row: &Alarm) -> Value {
    let inactivation = match &row.inactivation {
        Inactivation::Enabled => json!({ "state": "enabled" }),
        Inactivation::AudioPaused { until_us, by } => {
            json!({ "state": "audio-paused", "until_ms": Wall(*until_us).millis(), "by": by })
        }
        Inactivation::Acknowledged { at_us, by } => {
            json!({ "state": "acknowledged", "at_ms": Wall(*at_us).millis(), "by": by })
        }
    };
    json!({
        "episode": row.episode,
        "version": row.version,
        "attention": row.attention,
        "rule": row.rule,
        "kind": row.kind,
        "priority": row.priority,
        "condition": row.condition,
        "site": row.site,
        "inactivation": inactivation,
        "code": row.code,
        "value": row.value,
        "limit": row.limit,
        "ucum": row.ucum,
        "text": row.text,
        "parts": row.parts,
        "onset_ms": Wall(row.onset_us).millis(),
        "active_ms": row.active_us.map(|us| Wall(us).millis()),
        "recorded": snapshot.store_trouble.is_none(),
    })
}
