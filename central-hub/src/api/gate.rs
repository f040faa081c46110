//! What a request passes before its handler: where it comes from, who it is, whether that person may, and the headers of the answer.

use super::problem::Problem;
use super::{Context, Peer, session};
use crate::people::{Looker, Permission, Secret, SessionId, Token, Who};
use crate::stations::{self, Pass};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::net::IpAddr;
use std::sync::Arc;

pub(super) const COOKIE: &str = "cotside_session";
pub(super) const STATION_COOKIE: &str = "cotside_station";
/// Who acts at a station.
const ACTING: &str = "x-acting";
const CSRF: &str = "x-csrf-token";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Nothing but our own files, no inline script or style, and no string becomes markup: a device's name is text and stays text (S5).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     font-src 'self'; media-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// The permission of one route.
pub(super) async fn permit(
    State((context, permission)): State<(Context, Permission)>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match check(&context, permission, &request) {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    match caller {
        Caller::Anyone => {}
        Caller::Person(who) => {
            request.extensions_mut().insert(Looker::Person(who.clone()));
            request.extensions_mut().insert(who);
        }
        Caller::Station(session, pass) => {
            request.extensions_mut().insert(Looker::Station(session, pass.clone()));
            request.extensions_mut().insert(pass);
        }
        Caller::Acting(acting, pass) => {
            let address = request.extensions().get::<Peer>().map(|peer| peer.address);
            match act(&context, permission, acting, pass, address).await {
                Ok(who) => _ = request.extensions_mut().insert(who),
                Err(problem) => return problem.into_response(),
            }
        }
    }
    next.run(request).await
}

enum Caller {
    Anyone,
    Person(Who),
    /// It looks, or says what it shows.
    Station(SessionId, Arc<Pass>),
    /// At a station somebody says who acts.
    Acting(Acting, Arc<Pass>),
}

#[derive(Deserialize)]
struct Acting {
    username: String,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    pin: Option<String>,
}

impl Acting {
    fn read(headers: &HeaderMap) -> Option<Self> {
        let given = headers.get(ACTING)?.to_str().ok()?;
        serde_json::from_slice(&stations::decode(given)?).ok()
    }
}

/// Looking needs nobody; acting needs to know who, each time.
async fn act(
    context: &Context,
    permission: Permission,
    acting: Acting,
    pass: Arc<Pass>,
    address: Option<IpAddr>,
) -> Result<Who, Problem> {
    let secret = match (acting.pin, acting.password) {
        (Some(pin), None) => Secret::Pin(pin),
        (None, Some(password)) => Secret::Password(password),
        _ => return Err(PERSON_REQUIRED),
    };
    let address = address.ok_or_else(|| anyhow::anyhow!("a request from nowhere"))?;
    let now = context.clock.now();
    let role =
        context.people.identify(now, &acting.username, secret, address).await.map_err(session::refused)?;
    if !permission.allows(Some(role)) {
        return Err(NOT_PERMITTED);
    }
    Ok(Who { name: acting.username, role, session: SessionId::default(), station: Some(pass) })
}

const PERSON_REQUIRED: Problem =
    Problem::new(StatusCode::UNAUTHORIZED, "person-required", "Please say who you are.");
const NOT_PERMITTED: Problem =
    Problem::new(StatusCode::FORBIDDEN, "not-permitted", "Your role may not do this.");

fn check(context: &Context, permission: Permission, request: &Request) -> Result<Caller, Problem> {
    let headers = request.headers();
    let is_write = !matches!(*request.method(), Method::GET | Method::HEAD);
    // A page elsewhere may send forms and open WebSockets with our cookie; its origin gives it away.
    if (is_write || headers.contains_key(header::UPGRADE)) && is_foreign(request) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "foreign-origin", "This page is not the hub's own."));
    }
    if permission == Permission::Anyone {
        return Ok(Caller::Anyone);
    }
    let (caller, token) = caller(context, permission, headers)?;
    let pass = match &caller {
        Caller::Station(_, pass) | Caller::Acting(_, pass) => Some(pass),
        Caller::Anyone | Caller::Person(_) => None,
    };
    // A bed's name has no letter that a path would write otherwise.
    if let (Some(pass), Some(bed)) = (pass, bed_of(request.uri().path()))
        && !pass.beds.has(bed)
    {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "not-covered",
            "This station does not cover that bed.",
        ));
    }
    let is_forged = headers.get(CSRF).map(HeaderValue::as_bytes) != Some(token.csrf().as_bytes());
    if is_write && is_forged {
        return Err(Problem::new(StatusCode::FORBIDDEN, "bad-csrf", "Reload the page and try again."));
    }
    Ok(caller)
}

/// The bed that a path is about.
fn bed_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/api/v1/beds/").or_else(|| path.strip_prefix("/api/v1/alarms/"))?;
    rest.split('/').next().filter(|bed| !bed.is_empty())
}

/// Who it is, and by which cookie.
fn caller(
    context: &Context,
    permission: Permission,
    headers: &HeaderMap,
) -> Result<(Caller, Token), Problem> {
    let at_station = cookie(headers, STATION_COOKIE);
    let at_station = at_station.and_then(|token| Some((context.stations.of(&token.id())?, token)));
    let signed_in = token(headers).and_then(|token| {
        let who = context.people.touch(context.clock.now().mono, &token.id())?;
        Some((who, token))
    });
    match (permission, at_station, signed_in) {
        (Permission::Station | Permission::ViewUnit, Some((pass, token)), _) => {
            Ok((Caller::Station(token.id(), pass), token))
        }
        (Permission::Station, None, None) => Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "station-required",
            "This screen is no station, or has to prove its key again.",
        )),
        (_, Some((pass, token)), _) if headers.contains_key(ACTING) => {
            let acting = Acting::read(headers).ok_or(PERSON_REQUIRED)?;
            Ok((Caller::Acting(acting, pass), token))
        }
        (_, _, Some((who, token))) if permission.allows(Some(who.role)) => Ok((Caller::Person(who), token)),
        (_, _, Some(_)) => Err(NOT_PERMITTED),
        (_, Some(_), None) if permission != Permission::SignedIn => Err(PERSON_REQUIRED),
        (_, _, None) => Err(Problem::new(StatusCode::UNAUTHORIZED, "login-required", "Please log in.")),
    }
}

pub(super) fn token(headers: &HeaderMap) -> Option<Token> {
    cookie(headers, COOKIE)
}

pub(super) fn station_token(headers: &HeaderMap) -> Option<Token> {
    cookie(headers, STATION_COOKIE)
}

fn cookie(headers: &HeaderMap, called: &str) -> Option<Token> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == called).and_then(|(_, value)| Token::read(value))
}

fn is_foreign(request: &Request) -> bool {
    let site = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| !matches!(site, b"same-origin" | b"none")) {
        return true;
    }
    let Some(origin) = request.headers().get(header::ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let host = authority(request.uri(), request.headers());
    !origin.is_some_and(|(_, origin)| host.is_some_and(|host| host.eq_ignore_ascii_case(origin)))
}

/// The host a request is meant for: `:authority` in HTTP/2, `Host` before that.
fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    uri.authority().map(|authority| authority.as_str()).or(host)
}

/// Plain HTTP is for this machine's own browser: a foreign name that was made to point here (DNS rebinding) is not answered.
fn is_misdirected(request: &Request) -> bool {
    let is_secure = request.extensions().get::<Peer>().is_some_and(|peer| peer.is_secure);
    if is_secure {
        return false;
    }
    let Some(authority) = authority(request.uri(), request.headers()) else { return true };
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    !matches!(host, "localhost" | "[::1]")
        && !host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// Without TLS the other end is this machine: a browser, or a proxy that speaks TLS for us and says so.
pub(super) fn behind_proxy(peer: Peer, headers: &HeaderMap) -> Peer {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if peer.is_secure || !peer.address.is_loopback() || text("x-forwarded-proto") != Some("https") {
        return peer;
    }
    // The last address is the one that the proxy saw itself.
    let last = text("x-forwarded-for").and_then(|all| all.rsplit(',').next()?.trim().parse().ok());
    Peer { address: last.unwrap_or(peer.address), is_secure: true }
}

/// Answers no request that was meant for another host.
pub(super) async fn direct(request: Request, next: Next) -> Response {
    if !is_misdirected(&request) {
        return next.run(request).await;
    }
    let status = StatusCode::MISDIRECTED_REQUEST;
    Problem::new(status, "misdirected", "This is not the host that was asked for.").into_response()
}

/// Around everything: names the request and closes the browser's doors.
pub(super) async fn frame(State(context): State<Context>, request: Request, next: Next) -> Response {
    let is_secure = request.extensions().get::<Peer>().is_some_and(|peer| peer.is_secure);
    let is_local =
        authority(request.uri(), request.headers()).is_some_and(|host| host.starts_with("localhost"));
    let id = context.next_request();
    let method = request.method().clone();
    // The route as the table writes it: what was typed behind it stays out of the log.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let began_at = context.clock.now().mono;
    let mut response = next.run(request).await;
    let took_us = context.clock.now().mono.since(began_at).as_micros() as u64;
    let route = route.as_ref().map_or("console", MatchedPath::as_str);
    tracing::debug!(id, %method, route, status = response.status().as_u16(), took_us, "request");
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, HeaderValue::from(id));
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=(), payment=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A browser takes this for every port of a name, and localhost has other tenants.
    if is_secure && !is_local {
        let value = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    // Patient data is kept by no cache; the console's files say otherwise for themselves.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
