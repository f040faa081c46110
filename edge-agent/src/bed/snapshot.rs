//! What the running agent tells `edge-agent status`: one JSON object, made on request.

use super::core::Bed;
use super::own_clock::ClockSnapshot;
use cotside_protocol::model::{Now, Numeric, Provenance, Quality, parameter};
use cotside_protocol::wire::block::Channel;
use cotside_protocol::wire::convert;
use cotside_protocol::wire::upstream::{Alarm, LinkStatus, OutboxStatus};
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
    /// Version of the hub's limits in force; None: those of the configuration.
    pub limits_version: Option<u64>,
    pub limits: usize,
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
        Self {
            agent: bed.setup.agent.clone(),
            software: bed.setup.software.to_owned(),
            provenance: provenance(bed.setup.provenance).to_owned(),
            bed: bed.bed.clone(),
            hub_reachable: bed.hub.is_ok(),
            hub_detail: match &bed.hub {
                Ok(()) => "heard".to_owned(),
                Err(_) if !bed.setup.has_hub => "none configured: this agent stands alone".to_owned(),
                Err(words) => words.clone(),
            },
            store_trouble: bed.store_trouble.clone(),
            clock: bed.own_clock.snapshot(now),
            limits_version: bed.limits_version,
            limits: bed.engine.limits().limits.len(),
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
