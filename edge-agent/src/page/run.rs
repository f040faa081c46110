//! The page's shell: a small HTTP server on one address. Files, a stream of frames, and the button.

use super::files;
use super::pin::{Pin, Refused};
use super::view::frame;
use crate::bed::{Asked, Signals, Snapshot};
use crate::row::BedNotice;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use cotside_config::agent::Page;
use cotside_protocol::model::DeviceText;
use cotside_protocol::wire::downstream::Act;
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::Stop;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin as Pinned;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// Screens at one time; each asks the bed once a second and at every change of its signals.
const VIEWERS_MAX: usize = 4;
const CONNECTIONS_MAX: usize = 16;
const BODY_MAX: usize = 256;
const HEAD_WITHIN: Duration = Duration::from_secs(10);
const FRAME_EVERY: Duration = Duration::from_secs(1);
/// A screen that does not take a frame within this is gone.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);
/// An address that cannot be had is tried again.
const AGAIN: Duration = Duration::from_secs(10);
const PAUSE_SECONDS: u32 = 120;
const BY: &str = "page at the bed";

/// Nothing but our own files, no inline script or style, and no string becomes markup (S5).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

pub struct Wires {
    pub clock: Clock,
    pub signals: watch::Receiver<Signals>,
    pub bed: mpsc::Sender<BedNotice>,
    pub asks: mpsc::Sender<Asked>,
}

struct House {
    wires: Wires,
    pin: Option<Mutex<Pin>>,
    viewers: Arc<Semaphore>,
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// Runs until asked to stop. An address that cannot be had is an alarm at the bed, and tried again.
pub async fn run(page: Page, wires: Wires, mut stop: Stop) -> Result<()> {
    let house = Arc::new(House {
        pin: page.pin.map(|digits| Mutex::new(Pin::new(digits))),
        viewers: Arc::new(Semaphore::new(VIEWERS_MAX)),
        wires,
    });
    let mut was_told = false;
    let listener = loop {
        match TcpListener::bind(page.listen).await {
            Ok(listener) => break listener,
            Err(error) => {
                tracing::error!(%error, address = %page.listen, "the page of this bed cannot be served");
                was_told = true;
                house.tell(Some(format!("no page on {}: {error}", page.listen))).await;
            }
        }
        let again = house.wires.clock.now().mono + AGAIN;
        tokio::select! {
            () = stop.requested() => return Ok(()),
            () = tokio::time::sleep_until(house.wires.clock.instant(again).into()) => {}
        }
    };
    tracing::info!(address = %page.listen, "the page of this bed is served");
    if was_told {
        house.tell(None).await;
    }
    let mut guests = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.requested() => return Ok(()),
            Some(_) = guests.join_next(), if !guests.is_empty() => {}
            guest = listener.accept(), if guests.len() < CONNECTIONS_MAX => match guest {
                Ok((stream, _)) => drop(guests.spawn(serve(stream, house.clone()))),
                // Out of descriptors: those that are open will end.
                Err(error) => tracing::warn!(%error, "a guest of the page was not let in"),
            },
        }
    }
}

async fn serve(stream: TcpStream, house: Arc<House>) {
    let service = service_fn(move |request| {
        let house = house.clone();
        async move { Ok::<_, Infallible>(house.answer(request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a guest of the page left");
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Button {
    pin: String,
    /// True: the pause ends.
    #[serde(default)]
    end: bool,
}

impl House {
    async fn tell(&self, words: Option<String>) {
        // The bed ends after its page.
        let _ = self.wires.bed.send(BedNotice::Mute { what: "page", words }).await;
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let answer = if !is_ours(request.headers()) {
            plain(StatusCode::FORBIDDEN, "This page is asked for by its address, from itself.")
        } else {
            match (request.method(), request.uri().path()) {
                (&Method::GET, "/events") => self.events(),
                (&Method::POST, "/pause") => self.pause(request).await,
                (&Method::GET, path) => of_file(path),
                _ => plain(StatusCode::METHOD_NOT_ALLOWED, "There is no such thing to do here."),
            }
        };
        guarded(answer)
    }

    /// Frames, as long as the screen takes them.
    fn events(self: Arc<Self>) -> Answer {
        let Ok(seat) = self.viewers.clone().try_acquire_owned() else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "As many screens as may show this page already.");
        };
        let (frames, body) = mpsc::channel(1);
        let mut signals = self.wires.signals.clone();
        tokio::spawn(async move {
            let _seat = seat;
            while let Ok(text) = self.frame().await {
                let sent = tokio::time::timeout(TAKEN_WITHIN, frames.send(Bytes::from(text))).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return;
                }
                let next = self.wires.clock.now().mono + FRAME_EVERY;
                tokio::select! {
                    () = frames.closed() => return,
                    changed = signals.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep_until(self.wires.clock.instant(next).into()) => {}
                }
            }
        });
        let mut answer = Response::new(Frames(body).boxed());
        let kind = HeaderValue::from_static("text/event-stream");
        answer.headers_mut().insert(header::CONTENT_TYPE, kind);
        answer
    }

    async fn frame(&self) -> Result<String> {
        let (to, snapshot) = oneshot::channel();
        self.wires.asks.send(Asked::Snapshot(to)).await.context("the bed has ended")?;
        let snapshot: Snapshot = snapshot.await?;
        let frame = frame(&snapshot, self.wires.clock.now().wall, self.pin.is_some());
        Ok(format!("event: bed\ndata: {frame}\n\n"))
    }

    async fn pause(&self, request: Request<Incoming>) -> Answer {
        let Some(pin) = &self.pin else {
            return plain(StatusCode::FORBIDDEN, "No code is configured for this page.");
        };
        let body = Limited::new(request.into_body(), BODY_MAX).collect().await;
        let button = body.ok().and_then(|body| serde_json::from_slice::<Button>(&body.to_bytes()).ok());
        let Some(button) = button else {
            return plain(StatusCode::BAD_REQUEST, "Expected {\"pin\": \"...\", \"end\": false}.");
        };
        match pin.lock().await.check(self.wires.clock.now().mono, &button.pin) {
            Ok(()) => {}
            Err(Refused::Wrong) => return plain(StatusCode::FORBIDDEN, "The code is wrong."),
            Err(Refused::Waiting) => {
                return plain(StatusCode::TOO_MANY_REQUESTS, "Too many wrong codes: wait 15 seconds.");
            }
        }
        let act = if button.end { Act::EndPause } else { Act::PauseAudio { seconds: PAUSE_SECONDS } };
        let (done, outcome) = oneshot::channel();
        let asked = Asked::Act { by: DeviceText::new(BY), act, done };
        let is_asked = self.wires.asks.send(asked).await.is_ok();
        match outcome.await {
            Ok(Ok(())) if is_asked => plain(StatusCode::NO_CONTENT, ""),
            Ok(Err(words)) => plain(StatusCode::CONFLICT, &words),
            _ => plain(StatusCode::SERVICE_UNAVAILABLE, "The bed does not answer."),
        }
    }
}

/// A name that leads here from elsewhere, or a page of another place in the same browser, has no business with this bed.
fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = text(header::HOST) else { return false };
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let is_address = name == "localhost" || name.parse::<IpAddr>().is_ok();
    let is_same = text(header::ORIGIN).is_none_or(|origin| origin.strip_prefix("http://") == Some(host));
    is_address && is_same
}

fn of_file(path: &str) -> Answer {
    let Some((file, kind)) = files::file(path) else {
        let words =
            if path == "/" { "This agent was built without its page." } else { "There is no such file." };
        return plain(StatusCode::NOT_FOUND, words);
    };
    let mut answer = Response::new(Full::new(Bytes::from(file.data.into_owned())).boxed());
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

fn plain(status: StatusCode, words: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(words.to_owned())).boxed());
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

fn guarded(mut answer: Answer) -> Answer {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// A body that goes on until its sender ends.
struct Frames(mpsc::Receiver<Bytes>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pinned<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
