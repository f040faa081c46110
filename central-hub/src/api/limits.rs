//! What a bed alarms at: what is wanted and how far it has come, what a person changes for this patient, back to the profile.

use super::beds::{NOBODY, find, to_the_end};
use super::problem::Problem;
use super::{Context, Peer};
use crate::limits::change::Asked;
use crate::limits::run::{Keep, Refused, read};
use crate::people::{Act, Looker, Who};
use anyhow::anyhow;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::{Extension, Json};
use serde_json::Value;

pub(super) async fn show(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(looker): Extension<Looker>,
    Path(bed): Path<String>,
) -> Result<Response, Problem> {
    find(&context, &bed).await?;
    context.people.views(context.clock.now(), &looker, peer.address, Some(&bed)).await;
    answer(&context, &bed).await
}

pub(super) async fn replace(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path(bed): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Response, Problem> {
    let asked = asked(&context, &headers, &body)?;
    change(context, peer, who, bed, asked, Keep::Nothing).await
}

pub(super) async fn merge(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path(bed): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Response, Problem> {
    let asked = asked(&context, &headers, &body)?;
    change(context, peer, who, bed, asked, Keep::Rest).await
}

/// Everything as the usual profile has it.
pub(super) async fn back(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path(bed): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let reason = "back to the profile".to_owned();
    let asked = Asked { version: if_match(&headers)?, reason, ..Asked::default() };
    change(context, peer, who, bed, asked, Keep::Nothing).await
}

pub(super) async fn accept_age(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path(bed): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Response, Problem> {
    find(&context, &bed).await?;
    let asked = asked(&context, &headers, &body)?;
    let (hub, place, name) = (context.clone(), bed.clone(), who.name.clone());
    let accept = async move { Ok(hub.limits.accept_age(&place, &name, asked.version).await) };
    to_the_end(accept).await?.map_err(problem)?;
    note(&context, peer, who, "accept age of limits", &bed).await;
    answer(&context, &bed).await
}

async fn change(
    context: Context,
    peer: Peer,
    who: Who,
    bed: String,
    asked: Asked,
    keep: Keep,
) -> Result<Response, Problem> {
    find(&context, &bed).await?;
    let (hub, place, name) = (context.clone(), bed.clone(), who.name.clone());
    let change = async move { Ok(hub.limits.change(&place, &name, &asked, keep).await) };
    to_the_end(change).await?.map_err(problem)?;
    note(&context, peer, who, "change limits", &bed).await;
    answer(&context, &bed).await
}

/// The change itself is on record with its version; the audit says from where it came.
async fn note(context: &Context, peer: Peer, who: Who, what: &'static str, bed: &str) {
    let act = Act { at: context.clock.now().wall, who: who.name, address: peer.address };
    context.people.did(act, what, Some(bed)).await;
}

async fn answer(context: &Context, bed: &str) -> Result<Response, Problem> {
    let view = context.limits.view(bed).await?;
    let tag = view.version.map(|version| HeaderValue::from_str(&format!("\"{version}\"")));
    let mut response = context.answer(view);
    if let Some(Ok(tag)) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// The body, and the version from it or from `If-Match`.
fn asked(context: &Context, headers: &HeaderMap, body: &Value) -> Result<Asked, Problem> {
    let mut asked = read(body, context.clock.now().wall).map_err(problem)?;
    asked.version = asked.version.or(if_match(headers)?);
    Ok(asked)
}

fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(tag) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let version = tag.to_str().ok().and_then(|tag| tag.trim_matches('"').parse().ok());
    version.map(Some).ok_or(Problem::new(
        StatusCode::BAD_REQUEST,
        "bad-version",
        "If-Match is the number of a version in quotes.",
    ))
}

fn problem(refused: Refused) -> Problem {
    match refused {
        Refused::NobodyThere => NOBODY,
        Refused::Superseded(version) => Problem::new(
            StatusCode::CONFLICT,
            "limits-superseded",
            "The limits are others by now. Look at them, and send the version that was seen.",
        )
        .about("version", version.map_or_else(String::new, |version| version.to_string())),
        Refused::Wrong(wrong) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "These limits cannot be. Nothing was changed.",
        )
        .listing(wrong),
        Refused::Trouble(error) => error.context(anyhow!("limits were not changed")).into(),
    }
}
