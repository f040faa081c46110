//! The shell of the API: accepts connections, over TLS where configured, and ends them when the hub stops.

use super::{Peer, State, gate, router};
use anyhow::{Context as _, Result, bail};
use axum::Router;
use axum::extract::Request;
use cotside_systemd::stages::Stop;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// Fifty stations with a few connections each, and room for the operator.
const CONNECTIONS_MAX: usize = 512;
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// What is still being answered when the hub stops.
const FINISH_WITHIN: Duration = Duration::from_secs(2);
/// After a failed accept (no file handles left): long enough to be no busy loop.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves the API and the console until told to stop. Without TLS only this machine is served.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    state: State,
    mut stop: Stop,
) -> Result<()> {
    let at = listener.local_addr().context("the listener has no address")?;
    if tls.is_none() && !at.ip().is_loopback() {
        bail!(
            "plain HTTP is served on this machine only: configure TLS, or listen on 127.0.0.1 instead of {at}"
        );
    }
    let door = Door {
        tls: tls.map(|config| acceptor(&config)),
        router: router(state.clone(), stop.clone()),
        trusts_proxy: state.0.trusts_proxy,
        connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
    };
    let graceful = GracefulShutdown::new();
    let mut running = JoinSet::new();
    let sessions = state.0.people.refresh(state.0.clock);
    let stations = state.0.stations.refresh();
    tokio::pin!(sessions, stations);
    tracing::info!(%at, tls = door.tls.is_some(), "serving the console and the API");
    loop {
        tokio::select! {
            () = stop.requested() => break,
            () = &mut sessions => {}
            () = &mut stations => {}
            Some(_) = running.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    // A connection too many is closed at once: a reader that waits unheard would believe it is connected.
                    let Ok(permit) = door.connections.clone().try_acquire_owned() else { continue };
                    running.spawn(door.clone().receive(stream, address, graceful.watcher(), permit));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
        }
    }
    drop(listener);
    if tokio::time::timeout(FINISH_WITHIN, graceful.shutdown()).await.is_err() {
        tracing::debug!(connections = running.len(), "cutting off");
    }
    running.shutdown().await;
    Ok(())
}

/// HTTP/2 where the browser can: six connections a host are too few for a page that streams.
fn acceptor(config: &ServerConfig) -> TlsAcceptor {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

#[derive(Clone)]
struct Door {
    tls: Option<TlsAcceptor>,
    router: Router,
    trusts_proxy: bool,
    connections: Arc<Semaphore>,
}

impl Door {
    async fn receive(
        self,
        stream: TcpStream,
        address: SocketAddr,
        watcher: Watcher,
        _permit: OwnedSemaphorePermit,
    ) {
        // Frames are whole messages: waiting to fill a segment would only make them late.
        let _ = stream.set_nodelay(true);
        let peer = Peer { address: address.ip().to_canonical(), is_secure: self.tls.is_some() };
        match &self.tls {
            None => converse(stream, self.router, peer, self.trusts_proxy, watcher).await,
            Some(tls) => match tokio::time::timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
                Ok(Ok(stream)) => converse(stream, self.router, peer, false, watcher).await,
                Ok(Err(error)) => tracing::debug!(%address, %error, "no TLS"),
                Err(_) => tracing::debug!(%address, "no TLS in time"),
            },
        }
    }
}

async fn converse<S>(stream: S, router: Router, peer: Peer, trusts_proxy: bool, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let peer = if trusts_proxy { gate::behind_proxy(peer, request.headers()) } else { peer };
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request)
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(64);
    let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(error, "a connection ended");
    }
}
