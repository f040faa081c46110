//! The unit, its beds, and who lies in them.

use super::problem::Problem;
use super::{Context, Peer};
use crate::limits::run::OXYGEN;
use crate::people::{Act, Admission, Looker, OXYGEN_WORDS, Particulars, Patient, Transfer, Who};
use crate::unit::view::BedView;
use anyhow::{Context as _, Result};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use cotside_config::profile::Oxygen;
use serde::Deserialize;

const NO_BED: Problem = Problem::not_found("There is no such bed in this unit.");
pub(super) const NOBODY: Problem =
    Problem::new(StatusCode::CONFLICT, "bed-available", "Nobody lies in this bed.");
const OCCUPIED: Problem = Problem::new(
    StatusCode::CONFLICT,
    "bed-occupied",
    "Another patient lies in this bed. Discharge comes first.",
);
const NO_UNIT: Problem = Problem::not_found("There is no such unit.");

pub(super) async fn list_units(State(context): State<Context>) -> Response {
    context.answer([context.live.unit()])
}

pub(super) async fn unit(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(looker): Extension<Looker>,
    Path(unit): Path<String>,
) -> Result<Response, Problem> {
    check_unit(&context, &unit)?;
    context.people.views(context.clock.now(), &looker, peer.address, None).await;
    let (mut view, seen) = (context.live.view().await?, looker.beds());
    view.beds.retain(|bed| seen.has(&bed.bed));
    Ok(context.answer(view))
}

pub(super) async fn list(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(looker): Extension<Looker>,
) -> Result<Response, Problem> {
    context.people.views(context.clock.now(), &looker, peer.address, None).await;
    let (mut beds, seen) = (context.live.view().await?.beds, looker.beds());
    beds.retain(|bed| seen.has(&bed.bed));
    Ok(context.answer(beds))
}

pub(super) async fn show(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(looker): Extension<Looker>,
    Path(bed): Path<String>,
) -> Result<Response, Problem> {
    let view = find(&context, &bed).await?;
    context.people.views(context.clock.now(), &looker, peer.address, Some(&bed)).await;
    Ok(context.answer(view))
}

pub(super) async fn admit(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path(bed): Path<String>,
    Json(typed): Json<Particulars>,
) -> Result<Response, Problem> {
    let now = context.clock.now();
    find(&context, &bed).await?;
    let patient = Patient::check(typed, now.wall).map_err(|(field, wanted)| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "A field cannot be right.")
            .about(field, wanted)
    })?;
    let act = Act { at: now.wall, who: who.name, address: peer.address };
    let (hub, place) = (context.clone(), bed.clone());
    let admit = async move {
        let who = act.who.clone();
        let outcome = hub.people.admit(&hub.live, &place, patient, act).await?;
        match outcome {
            Admission::Admitted => hub.limits.patient_changed(&place, &who, "admission").await,
            Admission::Corrected => hub.limits.patient_changed(&place, &who, "patient corrected").await,
            Admission::BedOccupied | Admission::Elsewhere(_) => {}
        }
        Ok(outcome)
    };
    match to_the_end(admit).await? {
        Admission::Admitted | Admission::Corrected => Ok(context.answer(find(&context, &bed).await?)),
        Admission::BedOccupied => Err(OCCUPIED),
        Admission::Elsewhere(bed) => Err(Problem::new(
            StatusCode::CONFLICT,
            "patient-elsewhere",
            "This patient lies in another bed. Discharge there comes first.",
        )
        .about("bed", bed)),
    }
}

pub(super) async fn discharge(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path(bed): Path<String>,
) -> Result<Response, Problem> {
    find(&context, &bed).await?;
    let act = Act { at: context.clock.now().wall, who: who.name, address: peer.address };
    let (hub, place) = (context.clone(), bed.clone());
    let discharge = async move {
        let who = act.who.clone();
        let done = hub.people.discharge(&hub.live, &place, act).await?;
        if done {
            hub.limits.patient_changed(&place, &who, "discharge").await;
        }
        Ok(done)
    };
    if !to_the_end(discharge).await? {
        return Err(NOBODY);
    }
    Ok(context.answer(find(&context, &bed).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Move {
    to: String,
    /// What was changed for this patient goes along; otherwise the new stay begins with its profile.
    #[serde(default)]
    keep_limits: bool,
}

pub(super) async fn transfer(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path(bed): Path<String>,
    Json(typed): Json<Move>,
) -> Result<Response, Problem> {
    find(&context, &bed).await?;
    find(&context, &typed.to).await?;
    let act = Act { at: context.clock.now().wall, who: who.name, address: peer.address };
    let (hub, from, Move { to, keep_limits }) = (context.clone(), bed, typed);
    let place = to.clone();
    let transfer = async move {
        let who = act.who.clone();
        let outcome = hub.people.transfer(&hub.live, &from, &place, act).await?;
        if outcome == Transfer::Done {
            hub.limits.transferred(&from, &place, &who, keep_limits).await;
        }
        Ok(outcome)
    };
    match to_the_end(transfer).await? {
        Transfer::Done => Ok(context.answer(find(&context, &to).await?)),
        Transfer::NobodyThere => Err(NOBODY),
        Transfer::BedOccupied => Err(OCCUPIED),
    }
}

/// What changes during a stay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Amendment {
    oxygen: String,
}

pub(super) async fn amend(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path(bed): Path<String>,
    Json(typed): Json<Amendment>,
) -> Result<Response, Problem> {
    find(&context, &bed).await?;
    let oxygen = Oxygen::parse(&typed.oxygen).ok_or_else(|| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "A field cannot be right.")
            .about("oxygen", OXYGEN_WORDS)
    })?;
    let act = Act { at: context.clock.now().wall, who: who.name, address: peer.address };
    let (hub, place) = (context.clone(), bed.clone());
    let amend = async move {
        let who = act.who.clone();
        let done = hub.people.breathes(&hub.live, &place, oxygen, act).await?;
        if done {
            hub.limits.patient_changed(&place, &who, OXYGEN).await;
        }
        Ok(done)
    };
    if !to_the_end(amend).await? {
        return Err(NOBODY);
    }
    Ok(context.answer(find(&context, &bed).await?))
}

/// A browser that leaves, or a disk that is slow, must not stop a deed between its commit and the screen: the bed would go on
/// under the name of the child that left it (H2).
pub(super) async fn to_the_end<T: Send + 'static>(
    deed: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(deed).await.context("an admission or discharge panicked")?
}

pub(super) fn check_unit(context: &Context, unit: &str) -> Result<(), Problem> {
    if context.live.unit().id == unit { Ok(()) } else { Err(NO_UNIT) }
}

pub(super) async fn find(context: &Context, bed: &str) -> Result<BedView, Problem> {
    context.live.bed(bed).await?.ok_or(NO_BED)
}
