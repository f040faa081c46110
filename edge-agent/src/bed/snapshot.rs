//! What the running agent tells `edge-agent status`: one JSON object, made on request.

use super::core::Bed;
use super::own_clock::ClockSnapshot;
use super::watch::Monitoring;
use cotside_protocol::model::{Now, Numeric, Pace, Provenance, Quality, parameter};
use cotside_protocol::wire::block::Channel;
use cotside_protocol::wire::convert;
use cotside_protocol::wire::downstream::Limits;
use cotside_protocol::wire::upstream::{Alarm, LimitsRefused, LinkStatus, OutboxStatus, Pause, Standby};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub agent: String,
    pub software: String,
    pub provenance: String,
    /// The bed this agent serves, by the hub's word.
    pub bed: Option<String>,
    pub hub_reachable: bool,
    pub hub_detail: String,
    pub store_trouble: Option<String>,
    pub clock: ClockSnapshot,
    /// A station covers this bed; None: nobody is expected to.
    pub watched: Option<bool>,
    /// Why not, in words.
    pub watch_detail: String,
    pub pause: Option<Pause>,
    pub standby: Option<Standby>,
    /// An opaque name; None: nobody is admitted, or no hub has said.
    pub stay: Option<String>,
    /// In force, as the hub or the configuration gave them.
    pub limits: Limits,
    pub limits_refused: Option<LimitsRefused>,
    /// The configuration's limits took the place of a set, and nobody has accepted that.
    pub limits_reset: bool,
    pub links: Vec<LinkSnapshot>,
    pub values: Vec<ValueSnapshot>,
    pub alarms: Vec<Alarm>,
    pub outbox: OutboxStatus,
    /// Acknowledgements that were ignored: of epochs that this gateway had not asked about.
    pub strangers: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkSnapshot {
    #[serde(flatten)]
    pub status: LinkStatus,
    pub place: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueSnapshot {
    pub link: u8,
    pub code: u32,
    pub label: String,
    pub site: Option<String>,
    /// None: the device says that there is no value; the quality says why.
    pub value: Option<String>,
    pub ucum: String,
    pub quality: Vec<String>,
    pub setting: bool,
    pub pace: String,
    pub age_ms: u64,
    /// This channel is the one that is shown and watched.
    pub preferred: bool,
}

impl Snapshot {
    pub(super) fn of(bed: &Bed, now: Now) -> Self {
        let links: Vec<_> = bed
            .links
            .iter()
            .zip(&bed.setup.links)
            .filter_map(|(link, setup)| {
                Some(LinkSnapshot { status: link.told(now)?, place: setup.place.clone() })
            })
            .collect();
        let held_back = bed.holds_back();
        let watch_detail = match &bed.monitoring {
            _ if bed.watching.is_none() => "nobody: no hub is configured".to_owned(),
            Monitoring::Held => "held".to_owned(),
            Monitoring::Missing { words, .. } => words.clone(),
        };
        Self {
            agent: bed.setup.agent.clone(),
            software: bed.setup.software.to_owned(),
            provenance: provenance(bed.setup.provenance).to_owned(),
            bed: bed.orders.bed.clone(),
            hub_reachable: bed.hub.is_ok(),
            hub_detail: match &bed.hub {
                Ok(()) => "heard".to_owned(),
                Err(_) if !bed.setup.has_hub => "none configured: this agent stands alone".to_owned(),
                Err(words) => words.clone(),
            },
            store_trouble: bed.store_trouble.clone(),
            clock: bed.own_clock.snapshot(now),
            watched: bed.watching.is_some().then_some(bed.monitoring == Monitoring::Held),
            watch_detail,
            pause: held_back.pause,
            standby: held_back.standby,
            stay: bed.orders.stay_id().map(str::to_owned),
            limits: bed.limits_in_force(),
            limits_refused: bed.limits_refused.clone(),
            limits_reset: bed.orders.is_reset,
            links,
            values: bed
                .values
                .iter(now)
                .map(|(channel, numeric, age)| value(bed, now, channel, numeric, age))
                .collect(),
            alarms: bed.engine.open().map(|alarm| convert::alarm(&alarm)).collect(),
            outbox: bed.outbox(),
            strangers: bed.strangers,
        }
    }
}

fn value(bed: &Bed, now: Now, channel: &Channel, numeric: &Numeric, age: Duration) -> ValueSnapshot {
    let is_demo = numeric.quality.has(Quality::DEMO) && bed.setup.provenance == Provenance::Live;
    ValueSnapshot {
        link: channel.link,
        code: channel.code.0,
        label: parameter(channel.code)
            .map_or_else(|| format!("{}", channel.code.0), |row| row.label.to_owned()),
        site: convert::site_name(channel.site),
        // A demonstration's values are hidden at a live bed.
        value: numeric.value.filter(|_| !is_demo).map(|value| value.to_string()),
        ucum: numeric.ucum.to_owned(),
        quality: numeric.quality.words().map(str::to_owned).collect(),
        setting: channel.setting,
        pace: match numeric.pace {
            Pace::Continuous => "continuous",
            Pace::Trend => "trend",
            Pace::Episodic => "episodic",
        }
        .to_owned(),
        age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        preferred: bed.engine.source(now.mono, channel.code, channel.site) == Some(channel.link),
    }
}

fn provenance(provenance: Provenance) -> &'static str {
    match provenance {
        Provenance::Live => "live",
        Provenance::Replay => "replay",
        Provenance::Simulated => "simulated",
        Provenance::DeviceDemo => "device-demo",
    }
}
