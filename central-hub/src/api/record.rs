//! What was recorded, what is missing of it and why: gaps, completeness, trends.
//!
//! Questions are bounded before they are asked, and answered from a read connection away from the event loop.

use super::beds::{check_unit, find};
use super::problem::Problem;
use super::{Context, Peer};
use crate::ledger::{
    self, BedReport, DayReport, GapView, Trend, TrendRequest, completeness_of_bed, completeness_of_unit,
    gaps_of_bed, holes_of_bed, trends_of_bed,
};
use crate::people::{Date, Looker, turned_over};
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use cotside_protocol::model::{Code, Wall};
use cotside_protocol::wire::topic::Lane;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// No question reaches over more.
const DAYS_MAX: i64 = 31;
const DAYS_SHOWN: i64 = 7;
/// A page asks for every parameter that may stand in its lanes, not knowing which of them the bed has.
const PARAMETERS_MAX: usize = 32;
/// Points of one line: eight days of minutes.
const POINTS_MAX: i64 = 8 * 1440;
const RESOLUTIONS_S: [i64; 4] = [60, 300, 900, 3600];
/// Heart rate, oxygen saturation, respiration rate.
const USUAL: [Code; 3] = [Code(147_842), Code(150_456), Code(151_562)];

#[derive(Deserialize)]
pub(super) struct Asked {
    from: Option<String>,
    to: Option<String>,
    day: Option<String>,
    param: Option<String>,
    resolution: Option<String>,
    lane: Option<String>,
}

#[derive(Serialize)]
struct GapsView {
    bed: String,
    from_ms: i64,
    to_ms: i64,
    gaps: Vec<GapView>,
}

#[derive(Serialize)]
struct CompletenessView {
    bed: String,
    days: Vec<DayReport>,
}

#[derive(Serialize)]
struct UnitCompletenessView {
    day: String,
    beds: Vec<BedReport>,
}

#[derive(Serialize)]
struct TrendsView {
    bed: String,
    from_ms: i64,
    to_ms: i64,
    resolution_s: i64,
    /// Since the last admission or discharge; nothing before it is shown.
    since_ms: Option<i64>,
    trends: Vec<Trend>,
    /// What the account of the numerics does not have, `waiting` and `unexplained` among it.
    gaps: Vec<GapView>,
}

/// Every gap that agents recorded; of one `lane`, what its account does not have.
pub(super) async fn gaps(
    State(context): State<Context>,
    Path(bed): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    find(&context, &bed).await?;
    let now = context.clock.now().wall;
    let (from, to) = asked.span(now)?;
    let lane = asked.lane()?;
    let name = bed.clone();
    let read = move |connection: &Connection| match lane {
        None => gaps_of_bed(connection, &name, from, to, None),
        Some(lane) => holes_of_bed(connection, &name, (from, to), lane, now),
    };
    let gaps = context.store.read(read).await?;
    Ok(context.answer(GapsView { bed, from_ms: from.millis(), to_ms: to.millis(), gaps }))
}

pub(super) async fn completeness(
    State(context): State<Context>,
    Path(bed): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    find(&context, &bed).await?;
    let now = context.clock.now().wall;
    let days = asked.days(Date::of(now))?;
    let name = bed.clone();
    let days =
        context.store.read(move |connection| completeness_of_bed(connection, &name, days, now)).await?;
    Ok(context.answer(CompletenessView { bed, days }))
}

pub(super) async fn unit_completeness(
    State(context): State<Context>,
    Extension(looker): Extension<Looker>,
    Path(unit): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    check_unit(&context, &unit)?;
    let now = context.clock.now().wall;
    let day = date("day", asked.day.as_deref())?.unwrap_or(Date::of(now));
    let seen = looker.beds();
    let beds = context.live.view().await?.beds.into_iter().map(|bed| bed.bed);
    let beds: Vec<String> = beds.filter(|bed| seen.has(bed)).collect();
    let beds =
        context.store.read(move |connection| completeness_of_unit(connection, &beds, day, now)).await?;
    Ok(context.answer(UnitCompletenessView { day: day.to_string(), beds }))
}

pub(super) async fn trends(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(looker): Extension<Looker>,
    Path(bed): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    find(&context, &bed).await?;
    let now = context.clock.now();
    let (from, to) = asked.span(now.wall)?;
    let resolution_s = asked.resolution(from, to)?;
    let codes = asked.codes()?;
    context.people.views(now, &looker, peer.address, Some(&bed)).await;
    let mut request = TrendRequest { bed: bed.clone(), codes, from, to, resolution_s };
    let (since, trends, gaps) = context
        .store
        .read(move |connection| {
            let since = turned_over(connection, &request.bed)?;
            let gaps = holes_of_bed(connection, &request.bed, (from, to), Lane::Numeric, now.wall)?;
            // Nothing of the child that lay here before (H2), not even the minute that both share.
            request.from = request.from.max(since.map_or(from, next_minute));
            let trends = if request.from < to { trends_of_bed(connection, &request)? } else { Vec::new() };
            Ok((since, trends, gaps))
        })
        .await?;
    let since_ms = since.map(Wall::millis);
    let (from_ms, to_ms) = (from.millis(), to.millis());
    Ok(context.answer(TrendsView { bed, from_ms, to_ms, resolution_s, since_ms, trends, gaps }))
}

fn next_minute(at: Wall) -> Wall {
    const MINUTE_US: i64 = 60_000_000;
    Wall((at.0 + MINUTE_US - 1).div_euclid(MINUTE_US) * MINUTE_US)
}

impl Asked {
    /// The last 24 hours, unless something else is asked for.
    fn span(&self, now: Wall) -> Result<(Wall, Wall), Problem> {
        let to = moment("to", self.to.as_deref())?.unwrap_or(now);
        let from = moment("from", self.from.as_deref())?.unwrap_or(to - DAY);
        if from >= to {
            return Err(bad("bad-range", "The range ends before it begins.").about("field", "from"));
        }
        if to.0.saturating_sub(from.0) > DAYS_MAX * 86_400_000_000 {
            return Err(too_long());
        }
        Ok((from, to))
    }

    /// The last seven days, unless something else is asked for.
    fn days(&self, today: Date) -> Result<(Date, Date), Problem> {
        let last = date("to", self.to.as_deref())?.unwrap_or(today);
        let first =
            date("from", self.from.as_deref())?.unwrap_or(Date::from_number(last.number() - DAYS_SHOWN + 1));
        match last.days_since(first) {
            ..0 => Err(bad("bad-range", "The range ends before it begins.").about("field", "from")),
            DAYS_MAX.. => Err(too_long()),
            _ => Ok((first, last)),
        }
    }

    fn resolution(&self, from: Wall, to: Wall) -> Result<i64, Problem> {
        let resolution_s = match self.resolution.as_deref() {
            None => RESOLUTIONS_S[0],
            Some(text) => {
                text.parse().ok().filter(|asked| RESOLUTIONS_S.contains(asked)).ok_or_else(|| {
                    bad("bad-resolution", "There are points every 60, 300, 900 or 3600 seconds.")
                        .about("field", "resolution")
                })?
            }
        };
        if (to.0 - from.0) / 1_000_000 / resolution_s > POINTS_MAX {
            return Err(bad("too-many-points", "Ask for a shorter range or a coarser resolution.")
                .about("points_max", POINTS_MAX.to_string()));
        }
        Ok(resolution_s)
    }

    fn lane(&self) -> Result<Option<Lane>, Problem> {
        let known = |name: &str| [Lane::Numeric, Lane::Waveform].into_iter().find(|lane| lane.name() == name);
        let wrong = || bad("bad-lane", "Lanes are numeric and waveform.").about("field", "lane");
        self.lane.as_deref().map(|name| known(name).ok_or_else(wrong)).transpose()
    }

    fn codes(&self) -> Result<Vec<Code>, Problem> {
        let Some(text) = &self.param else { return Ok(USUAL.to_vec()) };
        let codes: Option<Vec<Code>> =
            text.split(',').map(|code| code.trim().parse().ok().map(Code)).collect();
        let mut codes = codes.filter(|codes| !codes.is_empty()).ok_or_else(|| {
            bad("bad-parameter", "Parameters are numbers of IEEE 11073-10101, separated by commas.")
                .about("field", "param")
        })?;
        let mut seen = std::collections::HashSet::new();
        codes.retain(|code| seen.insert(*code));
        if codes.len() > PARAMETERS_MAX {
            return Err(bad("too-many-parameters", "Ask for at most 32 parameters at once.")
                .about("parameters_max", PARAMETERS_MAX.to_string()));
        }
        Ok(codes)
    }
}

const fn bad(code: &'static str, message: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, message)
}

fn too_long() -> Problem {
    bad("range-too-long", "Ask for at most 31 days at once.").about("days_max", DAYS_MAX.to_string())
}

fn date(field: &'static str, text: Option<&str>) -> Result<Option<Date>, Problem> {
    let wrong = || bad("bad-day", "A day is written YYYY-MM-DD.").about("field", field);
    text.map(|text| Date::parse(text).ok_or_else(wrong)).transpose()
}

pub(super) fn moment(field: &'static str, text: Option<&str>) -> Result<Option<Wall>, Problem> {
    let wrong = || {
        bad("bad-time", "A time is milliseconds since 1970, or RFC 3339 as in 2026-11-22T09:30:00Z.")
            .about("field", field)
    };
    text.map(|text| ledger::moment(text).ok_or_else(wrong)).transpose()
}
