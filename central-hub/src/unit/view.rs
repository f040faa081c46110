//! What a reader of the API sees of a unit: the shapes of `/api/v1/units/{unit}`, `/beds` and the live events.
//!
//! Fields are added, never renamed or reused.

use crate::alarms::Nurses;
use crate::alarms::view::{PauseView, RequestView, ResponsibilityView, StandbyView, WatchView};
use cotside_protocol::model::DeviceText;
use cotside_protocol::wire::downstream;
use cotside_protocol::wire::upstream::{
    Alarm, AlarmKind, ClockState, ClockStatus, ClockZone, Condition, Inactivation, LinkState, Priority,
};
use serde::Serialize;
use std::borrow::Cow;

#[derive(Debug, Serialize)]
pub struct UnitView {
    pub unit: UnitName,
    pub hub_at_ms: i64,
    pub store_ok: bool,
    /// What the hub found wrong with the unit's own alarm system.
    pub alarms: Vec<AlarmView>,
    pub beds: Vec<BedView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnitName {
    pub id: String,
    pub name: String,
}

#[derive(Debug, Serialize)]
pub struct BedView {
    pub bed: String,
    /// `occupied` or `available`.
    pub state: &'static str,
    pub patient: Option<PatientView>,
    pub agent: Option<AgentView>,
    pub devices: Vec<DeviceView>,
    pub values: Vec<ValueView>,
    pub limits: Vec<LimitView>,
    pub limits_state: LimitsState,
    /// What this hub wants in force and how far that has come; None: nothing yet.
    pub limits_note: Option<LimitsNote>,
    pub alarms: Vec<AlarmView>,
    pub watch: WatchView,
    /// As the agent says.
    pub pause: Option<PauseView>,
    pub standby: Option<StandbyView>,
    /// Whose alarms they are, as the agent knows it.
    pub stay: Option<String>,
    pub nurse: Option<Nurses>,
    /// What people asked of the bed as a whole and is on its way.
    pub requested: Vec<RequestView>,
    /// How long nothing was heard of the bed's agent, once it counts as lost.
    pub link_lost_ms: Option<u64>,
}

#[derive(Serialize)]
pub struct PatientView {
    pub name: String,
    pub identifier: String,
    pub birth_date: String,
    pub gestational_age: AgeView,
    pub day_of_life: i64,
    pub pma: AgeView,
    pub weight_g: Option<u32>,
    /// `room-air`, `supplemental` or `unknown`, which counts as oxygen.
    pub oxygen: &'static str,
}

/// Who a patient is goes to the page and nowhere else.
impl std::fmt::Debug for PatientView {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("···")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AgeView {
    pub weeks: i64,
    pub days: i64,
}

#[derive(Debug, Serialize)]
pub struct AgentView {
    pub id: String,
    pub state: AgentState,
    pub heard_ms: Option<u64>,
    /// Its data is not from a patient: simulated, replayed, or a device in demo mode.
    pub simulated: bool,
    /// Its wall clock against the hub's; None: it has not told the time.
    pub clock: Option<AgentClockView>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AgentClockView {
    pub offset_ms: i64,
    pub uncertainty_ms: i64,
    /// So far off that what it dates may be found at the wrong time.
    pub off: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentState {
    Live,
    Late,
    Lost,
    Never,
}

#[derive(Debug, Serialize)]
pub struct DeviceView {
    pub link: u8,
    pub name: String,
    pub driver: String,
    pub state: LinkState,
    pub detail: String,
    pub manufacturer: String,
    pub model: String,
    pub serial: String,
    pub heard_ms: Option<u64>,
    /// The device's own clock against the gateway's; None: it has not told the time.
    pub clock: Option<ClockView>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClockView {
    /// `steady`, `stepped` within the last hour, or `unset`: then the offset says nothing.
    pub state: ClockState,
    /// So far ahead, its zone taken off, give or take the uncertainty.
    pub offset_ms: i64,
    pub uncertainty_ms: i64,
    pub zone: ClockZone,
    pub zone_min: i16,
}

impl ClockView {
    pub fn of(clock: &ClockStatus) -> Self {
        Self {
            state: clock.state,
            offset_ms: clock.offset_us.div_euclid(1000),
            uncertainty_ms: clock.uncertainty_us.div_euclid(1000).saturating_add(1),
            zone: clock.zone,
            zone_min: clock.zone_min,
        }
    }
}

#[derive(Debug, Serialize)]
pub struct ValueView {
    pub code: u32,
    pub label: Cow<'static, str>,
    pub name: Cow<'static, str>,
    pub site: Option<String>,
    /// Digits as the device wrote them; None: it says there is no value now, or it is stale. `quality` says why.
    pub value: Option<String>,
    pub ucum: String,
    pub age_ms: u64,
    /// When it was measured, by the hub's wall clock.
    pub at_ms: i64,
    pub pace: &'static str,
    pub quality: Vec<&'static str>,
    pub device: String,
    pub setting: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimitView {
    pub code: u32,
    /// `low` or `high`.
    pub side: &'static str,
    pub threshold: String,
    pub ucum: String,
    pub priority: Priority,
    pub delay_ms: u64,
    pub extreme: bool,
}

impl LimitView {
    pub fn of(limit: &downstream::Limit) -> Self {
        Self {
            code: limit.code,
            side: match limit.side {
                downstream::Side::Low => "low",
                downstream::Side::High => "high",
            },
            threshold: DeviceText::new(&limit.threshold).as_str().to_owned(),
            ucum: DeviceText::new(&limit.ucum).as_str().to_owned(),
            priority: limit.priority,
            delay_ms: limit.delay_ms,
            extreme: limit.extreme,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitsState {
    #[default]
    None,
    /// The hub wants it, the agent has not taken it.
    Requested,
    /// The agent has it on disk.
    Accepted,
    /// The agent watches by it.
    InForce,
    /// The agent will not.
    Refused,
    /// It was in force, and the agent watches by its own configuration again.
    Reset,
    /// The bed has a set that this hub does not know; nothing is sent before a person has looked.
    Unconfirmed,
}

/// How the limits that this hub wants at a bed stand, as far as a tile shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LimitsNote {
    pub state: LimitsState,
    pub version: Option<u64>,
    pub profile: String,
    /// What is other than in the profile, in words.
    pub deviations: Vec<String>,
    /// What of the state a person should read.
    pub words: String,
    /// The patient has come to another age, which waits for a person: what it would change.
    pub age_step: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct AlarmView {
    pub episode: String,
    pub version: u32,
    pub rule: String,
    pub kind: AlarmKind,
    pub priority: Priority,
    pub condition: Condition,
    pub inactivation: Inactivation,
    pub code: Option<u32>,
    pub site: Option<String>,
    pub value: Option<String>,
    pub limit: Option<String>,
    pub ucum: String,
    pub text: String,
    /// By the hub's wall clock, as is `active_ms`.
    pub onset_ms: i64,
    pub active_ms: Option<i64>,
    /// Its row is committed at the hub.
    pub recorded: bool,
    /// The version from which it asks for attention anew.
    pub attention: u32,
    pub parts: Vec<String>,
    /// It was raised before it could be told.
    pub late: bool,
    pub responsibility: Option<ResponsibilityView>,
    /// What a person asked for and is on its way.
    pub requested: Option<RequestView>,
}

impl AlarmView {
    pub fn new(alarm: &Alarm, recorded: bool, skew_us: i64) -> Self {
        let ours = |us: i64| us.saturating_add(skew_us).div_euclid(1000);
        Self {
            episode: alarm.episode.clone(),
            version: alarm.version,
            rule: alarm.rule.clone(),
            kind: alarm.kind,
            priority: alarm.priority,
            condition: alarm.condition,
            inactivation: alarm.inactivation.clone(),
            code: alarm.code,
            site: alarm.site.clone(),
            value: alarm.value.clone(),
            limit: alarm.limit.clone(),
            ucum: alarm.ucum.clone(),
            text: alarm.text.clone(),
            onset_ms: ours(alarm.onset_us),
            active_ms: alarm.active_us.map(ours),
            recorded,
            attention: alarm.attention,
            parts: alarm.parts.clone(),
            late: false,
            responsibility: None,
            requested: None,
        }
    }
}
