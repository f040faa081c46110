//! The enrolment listener: TLS without a client certificate, and one thing to ask for.

use super::{Identity, REQUEST_BYTES_MAX, Request, hash};
use crate::agents::House;
use crate::authority::{Authority, Certified};
use crate::store::agents::{self, Refused};
use anyhow::{Context, Result};
use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use cotside_systemd::stages::Stop;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// From the first byte to the last: a gateway asks once and goes.
const CONNECTION_WITHIN: Duration = Duration::from_secs(20);
/// Nobody enrols more gateways at once.
const CONNECTIONS_MAX: usize = 32;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the answer to an enrolling gateway needs.
pub struct Desk {
    pub house: Arc<House>,
    pub authority: Authority,
    /// Where agents find MQTT, `host:port`.
    pub mqtt: String,
}

pub async fn run(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    desk: Arc<Desk>,
    mut stop: Stop,
) -> Result<()> {
    let acceptor = TlsAcceptor::from(tls);
    let routes = axum::Router::new()
        .route("/api/v1/enroll", post(enroll))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(desk);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.requested() => return Ok(()),
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) if connections.len() < CONNECTIONS_MAX => {
                    let (acceptor, routes) = (acceptor.clone(), routes.clone());
                    connections.spawn(async move {
                        match timeout(CONNECTION_WITHIN, Box::pin(serve(socket, acceptor, routes))).await {
                            Ok(Ok(())) => {}
                            Ok(Err(error)) => tracing::debug!(%peer, error = format!("{error:#}"), "enrolment ended"),
                            Err(_) => tracing::debug!(%peer, "enrolment took too long"),
                        }
                    });
                }
                Ok((_, peer)) => tracing::warn!(%peer, "too many enrolments at once"),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn serve(socket: TcpStream, acceptor: TlsAcceptor, routes: axum::Router) -> Result<()> {
    let stream = acceptor.accept(socket).await?;
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
        .await
        .context("the request broke off")
}

async fn enroll(State(desk): State<Arc<Desk>>, Json(request): Json<Request>) -> Response {
    match answer(&desk, request).await {
        Ok(identity) => Json(json!({ "data": identity, "meta": { "at": desk.now_text() } })).into_response(),
        Err(refusal) => {
            tracing::warn!(code = refusal.code, "enrolment refused");
            let error = json!({ "error": {
                "code": refusal.code,
                "message": refusal.message,
                "statusCode": refusal.status.as_u16(),
                "timestamp": desk.now_text(),
                "details": {},
            }});
            (refusal.status, Json(error)).into_response()
        }
    }
}

struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
}

const fn refuse(status: StatusCode, code: &'static str, message: &'static str) -> Refusal {
    Refusal { status, code, message }
}

fn refusal(refused: Refused) -> Refusal {
    let (code, message) = match refused {
        Refused::Used => ("token-used", "this token was used already: ask for a new one"),
        Refused::Expired => ("token-expired", "this token has expired: ask for a new one"),
        Refused::UnknownToken => {
            ("token-unknown", "the hub did not give out this token, or a newer one replaced it")
        }
    };
    refuse(StatusCode::FORBIDDEN, code, message)
}

async fn answer(desk: &Desk, request: Request) -> Result<Identity, Refusal> {
    let internal = |error: anyhow::Error| {
        tracing::error!(error = format!("{error:#}"), "enrolment failed");
        refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the hub could not do it; its log says why")
    };
    let now = desk.house.clock.now().wall;
    let ca_pem = desk.authority.authority_pem().map_err(internal)?;
    let secret = hash(&request.secret);
    let store = &desk.house.store;
    let invitation =
        store.read(move |connection| agents::invited(connection, &secret, now)).await.map_err(internal)?;
    let invitation = invitation.map_err(refusal)?;
    // A request that cannot be signed does not use the token up.
    let certified = desk.authority.sign_agent(&request.csr_pem, &invitation.agent, now).map_err(|error| {
        tracing::warn!(error = format!("{error:#}"), "certificate request refused");
        refuse(StatusCode::BAD_REQUEST, "bad-request", "the certificate request is not sound")
    })?;
    let Certified { certificate_pem, fingerprint } = certified;
    let redeemed = store.write(move |connection| {
        let redeemed = agents::redeem(connection, &secret, now)?;
        if let Ok(invitation) = &redeemed {
            agents::certified(connection, &invitation.agent, &fingerprint, now)?;
        }
        Ok(redeemed)
    });
    // Of two that come at once one is first, and only that one gets its certificate.
    let invitation = redeemed.await.map_err(internal)?.map_err(refusal)?;
    // The agent may connect at once, without waiting for the next look at the register.
    let agents = desk.house.store.read(agents::all).await.map_err(internal)?;
    desk.house.roll().renew(agents);
    tracing::info!(agent = %invitation.agent, bed = invitation.bed, "enrolled");
    let server_name = desk.mqtt.rsplit_once(':').map_or(desk.mqtt.as_str(), |(host, _)| host).to_owned();
    Ok(Identity {
        agent: invitation.agent.to_string(),
        bed: invitation.bed,
        certificate_pem,
        ca_pem,
        mqtt: desk.mqtt.clone(),
        server_name,
    })
}

impl Desk {
    fn now_text(&self) -> String {
        self.house.clock.now().wall.to_string()
    }
}
