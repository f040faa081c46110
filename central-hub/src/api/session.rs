//! Logging in, asking who one is, logging out.

use super::problem::Problem;
use super::{Context, Peer, gate};
use crate::people::{Act, Refused, Role, Token, Who};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use cotside_protocol::model::Private;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
pub(super) struct Credentials {
    username: String,
    password: String,
}

#[derive(Serialize)]
struct SessionView {
    user: UserView,
    /// Every write carries it as `x-csrf-token`.
    csrf: String,
}

#[derive(Serialize)]
struct UserView {
    username: String,
    name: String,
    role: Role,
}

impl SessionView {
    fn new(who: Who, token: &Token) -> Self {
        let user = UserView { username: who.name.clone(), name: who.name, role: who.role };
        Self { user, csrf: token.csrf() }
    }
}

pub(super) async fn log_in(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Json(given): Json<Credentials>,
) -> Result<Response, Problem> {
    let (name, password) = (given.username, Private::new(given.password));
    let now = context.clock.now();
    let (token, who) =
        context.people.log_in(now, &name, password.reveal().clone(), peer.address).await.map_err(refused)?;
    tracing::info!(user = who.name, role = who.role.name(), "logged in");
    let cookie = cookie(gate::COOKIE, token.reveal(), peer, None)?;
    let answer = context.answer(SessionView::new(who, &token));
    Ok(([(header::SET_COOKIE, cookie)], answer).into_response())
}

pub(super) fn refused(refused: Refused) -> Problem {
    match refused {
        Refused::BadCredentials => {
            Problem::new(StatusCode::UNAUTHORIZED, "bad-credentials", "Name or password is wrong.")
        }
        Refused::LockedOut(wait) => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "locked-out",
            "Too many wrong passwords. Please wait a few minutes.",
        )
        .retry_after(wait),
        Refused::Trouble(cause) => cause.into(),
    }
}

pub(super) async fn show(
    State(context): State<Context>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let token = gate::token(&headers).ok_or_else(|| anyhow::anyhow!("a session without its cookie"))?;
    Ok(context.answer(SessionView::new(who, &token)))
}

pub(super) async fn log_out(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
) -> Result<Response, Problem> {
    let act = Act { at: context.clock.now().wall, who: who.name.clone(), address: peer.address };
    context.people.log_out(&who, act).await;
    let cookie = cookie(gate::COOKIE, "", peer, Some(0))?;
    Ok(([(header::SET_COOKIE, cookie)], context.answer(())).into_response())
}

#[derive(Deserialize)]
pub(super) struct Pin {
    pin: Option<String>,
}

pub(super) async fn set_pin(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Json(given): Json<Pin>,
) -> Result<Response, Problem> {
    let act = Act { at: context.clock.now().wall, who: who.name, address: peer.address };
    match context.people.set_pin(act, given.pin).await? {
        true => Ok(context.answer(())),
        false => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "A PIN is 4 to 12 digits.")),
    }
}

pub(super) fn cookie(
    name: &str,
    value: &str,
    peer: Peer,
    max_age: Option<u32>,
) -> Result<HeaderValue, Problem> {
    let secure = if peer.is_secure { "; Secure" } else { "" };
    let age = max_age.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}");
    HeaderValue::from_str(&text).map_err(|error| anyhow::Error::new(error).into())
}
