//! The times and priorities of the engine, apart from its rules. Limits and their delays come from outside.

use cotside_protocol::model::{Code, Limit, Priority};
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Policy {
    /// A continuous value older than this is no value, whatever the feed's rate (hazard H11).
    pub fresh_for: Duration,
    /// A single measurement stands for this long, if no other follows.
    pub episodic_stands: Duration,
    /// A link that is being opened or is talking without data may take this long.
    pub link_settles: Duration,
    /// A port that fails is tried again this soon; a shorter break is none.
    pub link_blinks: Duration,
    /// The hub may be unheard this long; the length of its lease. Zero where whoever says that it is lost has waited for that.
    pub hub_lease: Duration,
    /// Losing the hub starts quietly and rises after this (hazard H8).
    pub hub_lost_rises_after: Duration,
    /// A clock that is not set yet may be set by the network so soon after the start.
    pub clock_settles: Duration,
    /// The sound of a bed may be paused for so long at a time.
    pub pause_max: Duration,
    /// A procedure may hold back the patient's alarms for so long.
    pub standby_max: Duration,
    /// Who acknowledged is reminded after this, while it lasts.
    pub reminder: Duration,
    /// A device that came back says its alerts again within this, or a person decides.
    pub alert_said_again: Duration,
    /// A bed may be without a breath signal for so long.
    pub apnoea_unmonitored_after: Duration,
    /// More alarms than this within so long are a flood (hazard H8).
    pub flood_above: usize,
    pub flood_within: Duration,
    /// A value that worsens by so much asks for attention anew (hazard H6). Of other parameters: a fifth of the limit.
    pub far_worse: Vec<(Code, f64)>,
    pub apnoea_unmonitored: Priority,
    pub flood: Priority,
    pub link_lost: Priority,
    pub wrong_device: Priority,
    pub not_measured: Priority,
    pub store_trouble: Priority,
    pub limits_refused: Priority,
    pub mute: Priority,
    pub device_clock: Priority,
    pub clock: Priority,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            fresh_for: Duration::from_secs(10),
            episodic_stands: Duration::from_secs(15 * 60),
            link_settles: Duration::from_secs(8),
            link_blinks: Duration::from_millis(500),
            hub_lease: Duration::from_secs(8),
            hub_lost_rises_after: Duration::from_secs(60),
            clock_settles: Duration::from_secs(60),
            pause_max: Duration::from_secs(120),
            standby_max: Duration::from_secs(60 * 60),
            reminder: Duration::from_secs(150),
            alert_said_again: Duration::from_secs(60),
            apnoea_unmonitored_after: Duration::from_secs(15),
            flood_above: 30,
            flood_within: Duration::from_secs(60),
            far_worse: FAR_WORSE.map(|(code, by)| (Code(code), by)).to_vec(),
            apnoea_unmonitored: Priority::Advisory,
            flood: Priority::Low,
            link_lost: Priority::Medium,
            wrong_device: Priority::High,
            not_measured: Priority::Medium,
            store_trouble: Priority::Medium,
            limits_refused: Priority::Medium,
            mute: Priority::Medium,
            device_clock: Priority::Advisory,
            clock: Priority::Low,
        }
    }
}

impl Policy {
    /// From how much on a value is far worse than the one for which attention was asked last.
    pub(super) fn far(&self, limit: &Limit) -> f64 {
        let given = self.far_worse.iter().find(|(code, _)| *code == limit.code).map(|(_, by)| *by);
        given.unwrap_or_else(|| limit.threshold.to_f64().abs() / 5.0)
    }
}

/// SpO2 in points; heart, pulse and breath rates by the minute; EtCO2 and mean arterial pressure in mmHg.
const FAR_WORSE: [(u32, f64); 13] = [
    (150_456, 10.0),
    (160_296, 10.0),
    (160_300, 10.0),
    (147_842, 20.0),
    (149_514, 20.0),
    (149_522, 20.0),
    (149_530, 20.0),
    (149_538, 20.0),
    (151_562, 20.0),
    (151_578, 20.0),
    (151_728, 10.0),
    (150_023, 10.0),
    (150_039, 10.0),
];
