//! What a reader of the API sees of a bed's limits.

use super::change::Change;
use super::resolve::{Line, Resolved};
use crate::store::limits::Issue;
use crate::unit::view::{AgeView, LimitsState};
use cotside_config::profile::Profile;
use cotside_protocol::model::{Limit, LimitSide, parameter};
use cotside_protocol::wire::convert;
use cotside_protocol::wire::downstream::{Apnoea, Combined, Depth, Limits, Rate};
use cotside_protocol::wire::upstream::Priority;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct LimitsView {
    pub bed: String,
    /// None: nobody lies there, and nothing is wanted.
    pub stay: Option<String>,
    pub state: LimitsState,
    /// What of the state a person should read: why it was refused, what the bed has instead.
    pub words: String,
    /// The number to send with a change.
    pub version: Option<u64>,
    pub circumstances: Option<CircumstancesView>,
    pub profile: Option<ProfileView>,
    pub requested: Option<SetView>,
    /// The newest version that the agent has on disk.
    pub accepted: Option<u64>,
    /// As the agent says.
    pub in_force: Option<InForceView>,
    pub changes: Vec<Change>,
    /// What is other than in the profile, in words.
    pub deviations: Vec<String>,
    /// The patient has come to another age, which waits for a person: what it would change.
    pub age_step: Option<String>,
    pub history: Vec<IssueView>,
}

#[derive(Debug, Serialize)]
pub struct CircumstancesView {
    pub gestational_age: AgeView,
    /// Now.
    pub pma: AgeView,
    /// For which the limits were resolved.
    pub pma_of_limits: AgeView,
    pub oxygen: &'static str,
}

#[derive(Debug, Serialize)]
pub struct ProfileView {
    pub name: String,
    pub title: String,
    /// `shipped` or `site`.
    pub origin: &'static str,
    /// Every profile that may be chosen.
    pub choice: Vec<ChoiceView>,
}

#[derive(Debug, Serialize)]
pub struct ChoiceView {
    pub name: String,
    pub title: String,
}

#[derive(Debug, Serialize)]
pub struct SetView {
    pub version: u64,
    pub author: String,
    pub at_ms: i64,
    pub reason: String,
    pub limits: Vec<LineView>,
    pub off: Vec<OffView>,
    pub rates: Vec<Rate>,
    pub apnoea: Option<Apnoea>,
    pub combined: Option<Combined>,
}

#[derive(Debug, Serialize)]
pub struct LineView {
    pub code: u32,
    pub label: &'static str,
    /// `low` or `high`.
    pub side: &'static str,
    pub priority: Priority,
    pub threshold: String,
    pub ucum: &'static str,
    pub delay_ms: u64,
    pub depth: Option<Depth>,
    /// What the devices have averaged over already; None: the profile does not say.
    pub averaging_ms: Option<u64>,
    /// Both together (H10).
    pub total_delay_ms: Option<u64>,
    pub hysteresis: String,
    pub extreme: bool,
    pub latching: bool,
    pub changed: bool,
    /// What the profile has in its place; None: nothing.
    pub usual: Option<UsualView>,
    pub source: String,
}

#[derive(Debug, Serialize)]
pub struct UsualView {
    pub threshold: String,
    pub delay_ms: u64,
}

#[derive(Debug, Serialize)]
pub struct OffView {
    pub code: u32,
    pub side: &'static str,
    pub priority: Priority,
    pub threshold: String,
    pub until_ms: i64,
}

#[derive(Debug, Serialize)]
pub struct InForceView {
    pub version: u64,
    pub author: String,
    pub profile: String,
    pub stay: Option<String>,
    pub limits: usize,
}

#[derive(Debug, Serialize)]
pub struct IssueView {
    pub version: u64,
    pub stay: String,
    pub at_ms: i64,
    pub author: String,
    pub reason: String,
    pub profile: String,
    pub changes: serde_json::Value,
}

impl InForceView {
    pub fn of(limits: &Limits) -> Self {
        Self {
            version: limits.version,
            author: limits.author.clone(),
            profile: limits.profile.clone(),
            stay: limits.stay.clone(),
            limits: limits.limits.len(),
        }
    }
}

impl IssueView {
    pub fn of(issue: &Issue) -> Self {
        Self {
            version: issue.version,
            stay: issue.stay.clone(),
            at_ms: issue.at.millis(),
            author: issue.author.clone(),
            reason: issue.reason.clone(),
            profile: issue.set.profile.clone(),
            // Written by us.
            changes: serde_json::from_str(&issue.changes).unwrap_or_default(),
        }
    }
}

impl SetView {
    pub fn of(issue: &Issue, profile: &Profile, resolved: &Resolved) -> Self {
        let wire = convert::limit_set_out(&resolved.set, "", "", "");
        Self {
            version: issue.version,
            author: issue.author.clone(),
            at_ms: issue.at.millis(),
            reason: issue.reason.clone(),
            limits: resolved.lines.iter().map(|line| line_view(profile, line)).collect(),
            off: resolved.off.iter().map(|(limit, until)| off_view(limit, *until)).collect(),
            rates: wire.rates,
            apnoea: wire.apnoea,
            combined: wire.combined,
        }
    }
}

fn line_view(profile: &Profile, line: &Line) -> LineView {
    let limit = &line.limit;
    let averaging = profile.averaging(limit.code).map(|row| row.time);
    LineView {
        code: limit.code.0,
        label: parameter(limit.code).map_or("", |row| row.label),
        side: side(limit.side),
        priority: convert::priority(limit.priority),
        threshold: limit.threshold.to_string(),
        ucum: limit.ucum,
        delay_ms: millis(limit.delay),
        depth: limit.depth.map(|depth| Depth { full: depth.full.to_string(), delay_ms: millis(depth.delay) }),
        averaging_ms: averaging.map(millis),
        total_delay_ms: averaging.map(|averaging| millis(averaging + limit.delay)),
        hysteresis: limit.hysteresis.to_string(),
        extreme: limit.extreme,
        latching: limit.latching,
        changed: line.is_changed(),
        usual: line
            .usual
            .as_ref()
            .map(|usual| UsualView { threshold: usual.threshold.to_string(), delay_ms: millis(usual.delay) }),
        source: line.source.clone(),
    }
}

fn off_view(limit: &Limit, until_ms: i64) -> OffView {
    OffView {
        code: limit.code.0,
        side: side(limit.side),
        priority: convert::priority(limit.priority),
        threshold: limit.threshold.to_string(),
        until_ms,
    }
}

const fn side(side: LimitSide) -> &'static str {
    match side {
        LimitSide::Low => "low",
        LimitSide::High => "high",
    }
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

pub fn weeks(days: i64) -> AgeView {
    AgeView { weeks: days.div_euclid(7), days: days.rem_euclid(7) }
}
