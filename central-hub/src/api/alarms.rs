//! What people ask of a bed's alarms, and the log of what became of each.

use super::problem::Problem;
use super::{Context, Peer};
use crate::alarms::{Answer, Asked, Refused, Wish};
use crate::people::{Act, Looker, Who};
use crate::store::alarm_log::{self, ENTRIES, Line, Told, Wanted};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use cotside_protocol::model::{DeviceText, Wall};
use cotside_protocol::wire::downstream;
use cotside_protocol::wire::upstream::{Alarm, Condition, Inactivation};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

const KEY: &str = "idempotency-key";
const KEY_MAX: usize = 64;
const PAUSE_MAX_S: u32 = 120;
const STANDBY_MAX_MIN: u32 = 240;
const REASON_MAX: usize = 64;
/// Alarms in one answer.
const PAGE: usize = 100;

const INVALID: Problem =
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "A field cannot be right.");

/// Who acts, from where, and by which key.
pub(super) struct Deed {
    who: Who,
    peer: Peer,
    key: String,
}

impl Deed {
    fn new(who: Who, peer: Peer, headers: &HeaderMap) -> Result<Self, Problem> {
        let key = headers.get(KEY).and_then(|value| value.to_str().ok()).filter(|key| {
            (1..=KEY_MAX).contains(&key.len())
                && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        });
        let key = key.ok_or(Problem::new(
            StatusCode::BAD_REQUEST,
            "idempotency-key",
            "Send an Idempotency-Key of 1 to 64 letters, digits, - and _.",
        ))?;
        Ok(Self { who, peer, key: key.to_owned() })
    }

    /// The same key of the same person for the same bed is the same command.
    fn id(&self, bed: &str) -> String {
        let words = format!("{}\n{bed}\n{}", self.who.name, self.key);
        let hash = digest(&SHA256, words.as_bytes());
        hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Asks, and writes down that it was asked.
    async fn ask(self, context: &Context, bed: String, act: downstream::Act) -> Result<Response, Problem> {
        let what = match &act {
            downstream::Act::Acknowledge { episode, version } => format!("acknowledge {episode} {version}"),
            downstream::Act::Reset { episode, version } => format!("reset {episode} {version}"),
            downstream::Act::PauseAudio { seconds } => format!("pause audio {seconds} s"),
            downstream::Act::EndPause => "end pause".to_owned(),
            downstream::Act::Standby { seconds, .. } => format!("standby {seconds} s"),
            downstream::Act::EndStandby => "end standby".to_owned(),
            downstream::Act::AcceptLimits { version } => format!("accept limits {version}"),
        };
        let station = self.who.station.as_ref().map(|pass| pass.name.clone());
        let id = self.id(&bed);
        let wish = Wish { id, bed: bed.clone(), by: self.who.name.clone(), station, act };
        let requested = context.live.wish(wish).await?.map_err(refused)?;
        self.note(context, what, &bed);
        Ok((StatusCode::ACCEPTED, context.answer(requested)).into_response())
    }

    /// Nobody at a bed waits for the audit's disk.
    fn note(self, context: &Context, what: String, bed: &str) {
        let at = context.clock.now().wall;
        let what = match &self.who.station {
            Some(pass) => format!("{what} at station {}", pass.id),
            None => what,
        };
        let act = Act { at, who: self.who.name, address: self.peer.address };
        let (hub, bed) = (context.clone(), bed.to_owned());
        tokio::spawn(async move { hub.people.did(act, what, Some(&bed)).await });
    }
}

fn refused(why: Refused) -> Problem {
    let conflict = |code, words| Problem::new(StatusCode::CONFLICT, code, words);
    match why {
        Refused::NoBed => Problem::not_found("There is no such bed in this unit."),
        Refused::UnknownEpisode => {
            Problem::new(StatusCode::NOT_FOUND, "unknown-episode", "No such alarm is open at this bed.")
        }
        Refused::Superseded => {
            conflict("alarm-superseded", "It has changed since it was seen. Please look again.")
        }
        Refused::NotLatched => conflict("not-latched", "It goes on: there is nothing to reset."),
        Refused::NotAccepted => {
            conflict("not-accepted", "Nobody is called for it, or nobody has accepted it.")
        }
        Refused::NotReachable => conflict("bed-not-reachable", "Nothing is heard of this bed. Go there."),
        Refused::Busy => conflict("bed-busy", "The bed has not yet answered what was asked before."),
    }
}

#[derive(Deserialize)]
pub(super) struct Seen {
    version: u32,
}

pub(super) async fn acknowledge(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path((bed, episode)): Path<(String, String)>,
    headers: HeaderMap,
    Json(Seen { version }): Json<Seen>,
) -> Result<Response, Problem> {
    let deed = Deed::new(who, peer, &headers)?;
    deed.ask(&context, bed, downstream::Act::Acknowledge { episode, version }).await
}

pub(super) async fn reset(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path((bed, episode)): Path<(String, String)>,
    headers: HeaderMap,
    Json(Seen { version }): Json<Seen>,
) -> Result<Response, Problem> {
    let deed = Deed::new(who, peer, &headers)?;
    deed.ask(&context, bed, downstream::Act::Reset { episode, version }).await
}

#[derive(Deserialize)]
pub(super) struct Answered {
    answer: Answer,
}

pub(super) async fn answer(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path((bed, episode)): Path<(String, String)>,
    headers: HeaderMap,
    Json(Answered { answer }): Json<Answered>,
) -> Result<Response, Problem> {
    let deed = Deed::new(who, peer, &headers)?;
    let station = deed.who.station.as_ref().map(|pass| pass.name.clone());
    let what = match answer {
        Answer::Accept => format!("accept {episode}"),
        Answer::Reject => format!("reject {episode}"),
        Answer::Withdraw => format!("withdraw {episode}"),
    };
    let asked = Asked { bed: bed.clone(), episode, by: deed.who.name.clone(), station, answer };
    context.live.answer(asked).await?.map_err(refused)?;
    deed.note(&context, what, &bed);
    Ok(context.answer(()))
}

#[derive(Deserialize)]
pub(super) struct Paused {
    seconds: u32,
}

pub(super) async fn pause(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path(bed): Path<String>,
    headers: HeaderMap,
    Json(Paused { seconds }): Json<Paused>,
) -> Result<Response, Problem> {
    if !(1..=PAUSE_MAX_S).contains(&seconds) {
        return Err(INVALID.about("seconds", "1 to 120"));
    }
    Deed::new(who, peer, &headers)?.ask(&context, bed, downstream::Act::PauseAudio { seconds }).await
}

pub(super) async fn end_pause(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path(bed): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Deed::new(who, peer, &headers)?.ask(&context, bed, downstream::Act::EndPause).await
}

#[derive(Deserialize)]
pub(super) struct StoodBy {
    minutes: u32,
    reason: String,
}

pub(super) async fn standby(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path(bed): Path<String>,
    headers: HeaderMap,
    Json(StoodBy { minutes, reason }): Json<StoodBy>,
) -> Result<Response, Problem> {
    if !(1..=STANDBY_MAX_MIN).contains(&minutes) {
        return Err(INVALID.about("minutes", "1 to 240"));
    }
    let reason = DeviceText::new(&reason).as_str().trim().to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_MAX {
        return Err(INVALID.about("reason", "some words"));
    }
    let act = downstream::Act::Standby { seconds: minutes * 60, reason };
    Deed::new(who, peer, &headers)?.ask(&context, bed, act).await
}

pub(super) async fn end_standby(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path(bed): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Deed::new(who, peer, &headers)?.ask(&context, bed, downstream::Act::EndStandby).await
}

#[derive(Deserialize)]
pub(super) struct Log {
    bed: Option<String>,
    state: Option<String>,
    priority: Option<String>,
    from: Option<String>,
    to: Option<String>,
    cursor: Option<i64>,
}

#[derive(Serialize)]
struct LogView {
    alarms: Vec<AlarmLife>,
    /// The cursor of what follows.
    next: Option<i64>,
    capacity: Capacity,
}

#[derive(Serialize)]
struct Capacity {
    used: u64,
    entries: u64,
}

#[derive(Serialize)]
struct AlarmLife {
    bed: Option<String>,
    late: bool,
    onset_ms: i64,
    active_ms: Option<i64>,
    ended_ms: Option<i64>,
    /// As its agent last wrote it.
    #[serde(flatten)]
    alarm: Alarm,
    life: Vec<Event>,
}

#[derive(Serialize)]
struct Event {
    at_ms: i64,
    what: String,
    version: u32,
    by: Option<String>,
    station: Option<String>,
    detail: String,
}

pub(super) async fn log(
    State(context): State<Context>,
    Extension(looker): Extension<Looker>,
    Query(asked): Query<Log>,
) -> Result<Response, Problem> {
    let time = |field, text: &Option<String>, otherwise| {
        super::record::moment(field, text.as_deref()).map(|at| at.map_or(otherwise, |at| at.0))
    };
    let open = match asked.state.as_deref() {
        None => None,
        Some("open") => Some(true),
        Some("ended") => Some(false),
        Some(_) => return Err(INVALID.about("state", "open or ended")),
    };
    let wanted = Wanted {
        bed: asked.bed,
        open,
        priority: asked.priority,
        from_us: time("from", &asked.from, i64::MIN)?,
        to_us: time("to", &asked.to, i64::MAX)?,
        before: asked.cursor.unwrap_or(i64::MAX),
        count: PAGE + 1,
    };
    let (mut told, used) = context
        .store
        .read(move |store| Ok((alarm_log::told(store, &wanted)?, alarm_log::used(store)?)))
        .await?;
    let next =
        (told.len() > PAGE).then(|| told.truncate(PAGE)).and_then(|()| told.last()).map(|last| last.id);
    let seen = looker.beds();
    told.retain(|told| told.bed.as_deref().is_none_or(|bed| seen.has(bed)));
    let alarms = told.into_iter().filter_map(life).collect();
    Ok(context.answer(LogView { alarms, next, capacity: Capacity { used, entries: ENTRIES } }))
}

/// None: its rows are of a release that this one cannot read.
fn life(told: Told) -> Option<AlarmLife> {
    let rows = told
        .rows
        .iter()
        .filter_map(|(at_us, json)| Some((*at_us, serde_json::from_str::<Alarm>(json).ok()?)));
    let rows: Vec<(i64, Alarm)> = rows.collect();
    let mut events = Vec::new();
    let mut before: Option<&Alarm> = None;
    for (at_us, alarm) in &rows {
        events.push((*at_us, changed(*at_us, before, alarm)));
        before = Some(alarm);
    }
    let late = told.entries.iter().any(|line| line.what == "late");
    for line in told.entries {
        let Line { at_us, version, what, who, station, detail } = line;
        events.push((at_us, Event { at_ms: ms(at_us), what, version, by: who, station, detail }));
    }
    events.sort_by_key(|(at_us, _)| *at_us);
    let alarm = rows.into_iter().next_back()?.1;
    Some(AlarmLife {
        bed: told.bed,
        late,
        onset_ms: ms(alarm.onset_us),
        active_ms: alarm.active_us.map(ms),
        ended_ms: alarm.ended_us.map(ms),
        life: events.into_iter().map(|(_, event)| event).collect(),
        alarm,
    })
}

/// What a version of an alarm says that the one before did not.
fn changed(at_us: i64, before: Option<&Alarm>, alarm: &Alarm) -> Event {
    let is_same_hold = before.is_some_and(|before| before.inactivation == alarm.inactivation);
    let (what, by) = match (&alarm.inactivation, before) {
        _ if alarm.condition == Condition::Inactive => ("ended", None),
        (_, None) => ("raised", None),
        _ if is_same_hold => ("changed", None),
        (Inactivation::Enabled, _) => ("enabled", None),
        (Inactivation::AudioPaused { by, .. }, _) => ("paused", Some(by.clone())),
        (Inactivation::Acknowledged { by, .. }, _) => ("acknowledged", Some(by.clone())),
    };
    let detail = format!("{} ({:?}, {:?})", alarm.text, alarm.priority, alarm.condition).to_lowercase();
    Event { at_ms: ms(at_us), what: what.to_owned(), version: alarm.version, by, station: None, detail }
}

fn ms(us: i64) -> i64 {
    Wall(us).millis()
}
