//! Pages that ask to be stations, prove that they are, and say each second what they show.

use super::problem::Problem;
use super::{Context, Peer, gate, session};
use crate::alarms::{Beds, Receipt};
use crate::people::{Act, Token, Who};
use crate::stations::{Pass, decode};
use crate::store::stations::{Kept, Waiting};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use cotside_protocol::model::DeviceText;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

const NO_STATION: Problem = Problem::not_found("There is no such station.");
const REVOKED: Problem =
    Problem::new(StatusCode::UNAUTHORIZED, "station-revoked", "This screen is no station of this hub.");

#[derive(Deserialize)]
pub(super) struct Page {
    public_key: String,
    #[serde(default)]
    label: String,
}

#[derive(Serialize)]
struct PairedView {
    station: String,
    code: String,
    expires_ms: i64,
}

#[derive(Serialize)]
struct StateView {
    state: &'static str,
}

#[derive(Serialize)]
struct StationView {
    id: String,
    name: String,
    /// Every bed that it covers, in the order of the screen.
    beds: Vec<String>,
}

#[derive(Serialize)]
struct ListView {
    stations: Vec<ApprovedView>,
    waiting: Vec<WaitingView>,
}

#[derive(Serialize)]
struct ApprovedView {
    id: String,
    name: String,
    label: String,
    beds: Vec<String>,
    all_beds: bool,
    approved_ms: i64,
    seen_ms: Option<i64>,
}

#[derive(Serialize)]
struct WaitingView {
    id: String,
    label: String,
    asked_ms: i64,
}

#[derive(Serialize)]
struct EnteredView {
    station: StationView,
    csrf: String,
}

#[derive(Serialize)]
struct ChallengeView {
    challenge: String,
}

pub(super) async fn pair(
    State(context): State<Context>,
    Json(page): Json<Page>,
) -> Result<Response, Problem> {
    let wrong = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "A field cannot be right.")
        .about("public_key", "a P-256 point, uncompressed, base64");
    let key = decode(&page.public_key).ok_or_else(|| wrong.clone())?;
    let paired = context.stations.pair(context.clock.now(), key, &page.label).await?.ok_or(wrong)?;
    let expires_ms = paired.expires.millis();
    Ok(context.answer(PairedView { station: paired.station, code: paired.code, expires_ms }))
}

pub(super) async fn state(
    State(context): State<Context>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let state = match context.stations.state(context.clock.now(), id).await? {
        Some(true) => "approved",
        Some(false) => "waiting",
        None => return Err(NO_STATION),
    };
    Ok(context.answer(StateView { state }))
}

pub(super) async fn list(State(context): State<Context>) -> Result<Response, Problem> {
    let (stations, waiting) = context.stations.list(context.clock.now()).await?;
    let every = every_bed(&context).await?;
    let approved = |kept: Kept| ApprovedView {
        beds: every.iter().filter(|bed| kept.beds.has(bed)).cloned().collect(),
        all_beds: kept.beds == Beds::All,
        id: kept.id,
        name: kept.name,
        label: kept.label,
        approved_ms: kept.approved.millis(),
        seen_ms: kept.seen.map(|at| at.millis()),
    };
    let waits = |Waiting { id, label, asked }| WaitingView { id, label, asked_ms: asked.millis() };
    let stations = stations.into_iter().map(approved).collect();
    Ok(context.answer(ListView { stations, waiting: waiting.into_iter().map(waits).collect() }))
}

/// The code is what the person before the page reads: nothing else says that it is this page.
#[derive(Deserialize)]
pub(super) struct Approval {
    code: String,
    name: String,
    beds: Covered,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Covered {
    All(All),
    Some(BTreeSet<String>),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum All {
    All,
}

pub(super) async fn approve(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path(id): Path<String>,
    Json(given): Json<Approval>,
) -> Result<Response, Problem> {
    let invalid = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "A field cannot be right.");
    let name = DeviceText::new(&given.name).as_str().trim().to_owned();
    if name.is_empty() {
        return Err(invalid.about("name", "some words"));
    }
    let beds = match given.beds {
        Covered::All(All::All) => Beds::All,
        Covered::Some(beds) => Beds::Some(beds),
    };
    let every = every_bed(&context).await?;
    if let Beds::Some(beds) = &beds
        && (beds.is_empty() || beds.iter().any(|bed| !every.contains(bed)))
    {
        return Err(invalid.about("beds", "beds of this unit"));
    }
    let now = context.clock.now();
    let waiting = context.stations.list(now).await?.1;
    if waiting.iter().all(|page| page.id != id) {
        return Err(NO_STATION);
    }
    let made = context.stations.approve(now, given.code, name, beds).await?;
    if made.as_deref() != Some(id.as_str()) {
        return Err(Problem::new(StatusCode::CONFLICT, "wrong-code", "This page does not show that code."));
    }
    let act = Act { at: now.wall, who: who.name, address: peer.address };
    context.people.did(act, format!("approve station {id}"), None).await;
    Ok(context.answer(()))
}

pub(super) async fn revoke(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let now = context.clock.now();
    if !context.stations.revoke(now, id.clone()).await? {
        return Err(NO_STATION);
    }
    let act = Act { at: now.wall, who: who.name, address: peer.address };
    context.people.did(act, format!("revoke station {id}"), None).await;
    Ok(context.answer(()))
}

#[derive(Deserialize)]
pub(super) struct Named {
    station: String,
}

pub(super) async fn challenge(
    State(context): State<Context>,
    Json(named): Json<Named>,
) -> Result<Response, Problem> {
    let challenge = context.stations.challenge(context.clock.now(), &named.station)?.ok_or(REVOKED)?;
    Ok(context.answer(ChallengeView { challenge }))
}

#[derive(Deserialize)]
pub(super) struct Proof {
    station: String,
    challenge: String,
    signature: String,
}

pub(super) async fn enter(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Json(proof): Json<Proof>,
) -> Result<Response, Problem> {
    let now = context.clock.now();
    let signature = decode(&proof.signature).unwrap_or_default();
    let entered = context.stations.enter(now, &proof.station, &proof.challenge, &signature).await?;
    let (token, pass) = entered.ok_or(Problem::new(
        StatusCode::UNAUTHORIZED,
        "bad-signature",
        "That was not signed by this station's key, or too late.",
    ))?;
    let act = Act { at: now.wall, who: format!("station {}", pass.id), address: peer.address };
    context.people.did(act, "view unit".to_owned(), None).await;
    let cookie = session::cookie(gate::STATION_COOKIE, token.reveal(), peer, None)?;
    let entered = EnteredView { station: view(&context, &pass).await?, csrf: Token::csrf(&token) };
    Ok(([(header::SET_COOKIE, cookie)], context.answer(entered)).into_response())
}

pub(super) async fn show(
    State(context): State<Context>,
    Extension(pass): Extension<Arc<Pass>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let token = gate::station_token(&headers).ok_or(REVOKED)?;
    let station = view(&context, &pass).await?;
    Ok(context.answer(EnteredView { station, csrf: token.csrf() }))
}

pub(super) async fn receipt(
    State(context): State<Context>,
    Extension(pass): Extension<Arc<Pass>>,
    Json(receipt): Json<Receipt>,
) -> Result<Response, Problem> {
    Ok(context.answer(context.live.receipt(pass.id.clone(), receipt).await?))
}

async fn view(context: &Context, pass: &Pass) -> Result<StationView, Problem> {
    let mut beds = every_bed(context).await?;
    beds.retain(|bed| pass.beds.has(bed));
    Ok(StationView { id: pass.id.clone(), name: pass.name.clone(), beds })
}

async fn every_bed(context: &Context) -> Result<Vec<String>, Problem> {
    Ok(context.live.view().await?.beds.into_iter().map(|bed| bed.bed).collect())
}
