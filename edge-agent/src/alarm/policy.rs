//! The times and priorities of the engine, apart from its rules. Limits and their delays come from outside.

use cotside_protocol::model::Priority;
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
    pub link_lost: Priority,
    pub wrong_device: Priority,
    pub not_measured: Priority,
    pub store_trouble: Priority,
    pub limits_refused: Priority,
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
            link_lost: Priority::Medium,
            wrong_device: Priority::High,
            not_measured: Priority::Medium,
            store_trouble: Priority::Medium,
            limits_refused: Priority::Medium,
            device_clock: Priority::Advisory,
            clock: Priority::Low,
        }
    }
}
