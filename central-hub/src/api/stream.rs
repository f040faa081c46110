//! Two skins on one feed: Server-Sent Events for numerics and alarms, a WebSocket for waveforms.
//!
//! A reader that falls behind is told so and starts again with the whole; it never slows the unit. Each tick asks whether the
//! session is still good, and counts as its activity.

use super::problem::Problem;
use super::{Context, Peer, beds};
use crate::alarms::Beds;
use crate::live::{Frame, Joined, WaveFrame};
use crate::people::Looker;
use anyhow::Result;
use axum::Extension;
use axum::body::Body;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use cotside_systemd::stages::Stop;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};

/// The browser comes back a second after a lost connection.
const RETRY: &[u8] = b"retry: 1000\n\n";
const OVERFLOW: &[u8] = b"event: overflow\ndata: {}\n\n";
/// A subscription names beds; nothing longer is one.
const SUBSCRIPTION_MAX: usize = 16 * 1024;
/// What may wait in the WebSocket before sending to it waits too, and its reader begins to miss frames.
const WAVE_BUFFER: usize = 256 * 1024;
/// A reader that takes nothing is not waited for when the hub stops.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);
const SESSION_CHECKED_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn events(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(looker): Extension<Looker>,
    Path(unit): Path<String>,
) -> Result<Response, Problem> {
    beds::check_unit(&context, &unit)?;
    context.people.views(context.clock.now(), &looker, peer.address, None).await;
    let Joined { snapshot, frames } = context.live.join().await?;
    let seen = looker.beds();
    let greeting = greeting(&looker);
    let first = snapshot.of(&seen).map(|snapshot| joined(RETRY, &joined(&snapshot, &greeting)));
    let reader = Reader { stop: context.stop.clone(), context, looker, seen, first, frames };
    let body = Body::from_stream(stream::unfold(reader, |mut reader| async move {
        reader.next().await.map(|frame| (Ok::<_, Infallible>(frame), reader))
    }));
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, body).into_response())
}

struct Reader {
    context: Context,
    stop: Stop,
    looker: Looker,
    seen: Beds,
    first: Option<Bytes>,
    frames: broadcast::Receiver<Frame>,
}

impl Reader {
    /// None: the hub stops, or the session has ended.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            let frame = tokio::select! {
                () = self.stop.requested() => return None,
                frame = self.frames.recv() => frame,
            };
            match frame {
                Ok(frame) => {
                    if frame.is_tick && !may_look(&self.context, &self.looker) {
                        return None;
                    }
                    if let Some(bytes) = frame.of(&self.seen) {
                        return Some(bytes);
                    }
                }
                Err(RecvError::Closed) => return None,
                Err(RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "a reader fell behind");
                    let Joined { snapshot, frames } = self.context.live.join().await.ok()?;
                    self.frames = frames;
                    return snapshot.of(&self.seen).map(|snapshot| joined(OVERFLOW, &snapshot));
                }
            }
        }
    }
}

/// What a page learns of itself, right behind the whole.
#[derive(Serialize)]
struct Greeting<'a> {
    /// It is no station, and nobody relies on it.
    remote: bool,
    station: Option<Named<'a>>,
}

#[derive(Serialize)]
struct Named<'a> {
    id: &'a str,
    name: &'a str,
}

fn greeting(looker: &Looker) -> Vec<u8> {
    let station = match looker {
        Looker::Person(_) => None,
        Looker::Station(_, pass) => Some(Named { id: &pass.id, name: &pass.name }),
    };
    let greeting = Greeting { remote: station.is_none(), station };
    let json = serde_json::to_string(&greeting).expect("a greeting has string keys");
    format!("event: reader\ndata: {json}\n\n").into_bytes()
}

/// Whether the session is still good, or the station still one. This is activity.
fn may_look(context: &Context, looker: &Looker) -> bool {
    match looker {
        Looker::Person(who) => context.people.touch(context.clock.now().mono, &who.session).is_some(),
        // Its beds may have changed: it then comes again.
        Looker::Station(session, pass) => context.stations.of(session).is_some_and(|now| now == *pass),
    }
}

fn joined(before: &[u8], after: &[u8]) -> Bytes {
    let mut both = BytesMut::with_capacity(before.len() + after.len());
    both.extend_from_slice(before);
    both.extend_from_slice(after);
    both.freeze()
}

pub(super) async fn waves(
    State(context): State<Context>,
    Extension(looker): Extension<Looker>,
    Path(unit): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    beds::check_unit(&context, &unit)?;
    let upgrade = upgrade.max_message_size(SUBSCRIPTION_MAX).max_write_buffer_size(WAVE_BUFFER * 2);
    let upgrade = upgrade.write_buffer_size(0);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let mut stop = context.stop.clone();
        let cut_off = async {
            stop.requested().await;
            tokio::time::sleep(GOODBYE_WITHIN).await;
        };
        tokio::select! {
            // The socket's end is not an error: the page was closed.
            _ = show_waves(context, looker, socket) => {}
            () = cut_off => {}
        }
    }))
}

/// Client to hub: the beds whose waveforms it draws, whole, again at every change.
#[derive(Deserialize)]
struct Subscription {
    beds: Vec<String>,
}

async fn show_waves(context: Context, looker: Looker, mut socket: WebSocket) -> Result<()> {
    let seen = looker.beds();
    let mut stop = context.stop.clone();
    let mut wanted = HashSet::<Arc<str>>::new();
    let mut frames = context.live.join_waves(Vec::new()).await?.frames;
    let mut check = tokio::time::interval(SESSION_CHECKED_EVERY);
    loop {
        tokio::select! {
            () = stop.requested() => return close(socket, "the hub stops").await,
            _ = check.tick() => {
                if !may_look(&context, &looker) {
                    return close(socket, "login-required").await;
                }
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    let Ok(Subscription { beds }) = serde_json::from_str(&text) else {
                        return close(socket, "not a subscription").await;
                    };
                    // A bed named a thousand times is described once.
                    wanted = beds.iter().filter(|bed| seen.has(bed)).map(|bed| Arc::from(bed.as_str())).collect();
                    let joined = context.live.join_waves(wanted.iter().map(|bed| bed.to_string()).collect()).await?;
                    frames = joined.frames;
                    socket.send(Message::Text(joined.channels.into())).await?;
                }
                Some(Ok(Message::Binary(_))) => return close(socket, "not a subscription").await,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
            },
            frame = frames.recv() => match frame {
                Ok(frame) if wanted.contains(&frame.bed) => send(&mut socket, frame).await?,
                Ok(_) => {}
                Err(RecvError::Closed) => return close(socket, "the hub stops").await,
                Err(RecvError::Lagged(_)) => {
                    // A description may have been among what was missed.
                    socket.send(Message::text(r#"{"type":"overflow"}"#)).await?;
                    let joined = context.live.join_waves(wanted.iter().map(|bed| bed.to_string()).collect()).await?;
                    frames = joined.frames;
                    socket.send(Message::Text(joined.channels.into())).await?;
                }
            },
        }
    }
}

async fn send(socket: &mut WebSocket, frame: WaveFrame) -> Result<()> {
    if let Some(channels) = &frame.channels {
        socket.send(Message::text(&**channels)).await?;
    }
    socket.send(Message::Binary(frame.samples)).await?;
    Ok(())
}

async fn close(mut socket: WebSocket, reason: &'static str) -> Result<()> {
    let frame = CloseFrame { code: close_code::POLICY, reason: reason.into() };
    socket.send(Message::Close(Some(frame))).await?;
    Ok(())
}
