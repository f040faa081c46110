//! The least that could do the same: rows appended by SQLite alone, bytes copied by TLS alone, handshakes alone.

use super::usage::Usage;
use anyhow::{Context, Result};
use cotside_systemd::clock::Clock;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

const COPY_CHUNK: usize = 16 << 10;
const COPIED: usize = 256 << 20;
/// Handshakes under way at once, half a hub's patience apart from one another.
const AT_ONCE: usize = 16;

/// What raw appending cost.
#[derive(Clone, Copy, Debug)]
pub struct Appended {
    pub rows_per_second: f64,
    pub rows_per_cpu_second: f64,
    pub bytes_per_second: f64,
    pub written_per_byte: f64,
}

/// Appends the rows to one table without an index, so many to a transaction, each transaction synced.
pub fn append(clock: &Clock, path: &Path, rows: &[Vec<u8>], together: usize) -> Result<Appended> {
    let mut db = rusqlite::Connection::open(path)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
         CREATE TABLE log(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);",
    )?;
    let look = || Usage::of(std::process::id(), clock.now().mono);
    let before = look()?;
    for rows in rows.chunks(together) {
        let all = db.transaction()?;
        for row in rows {
            all.prepare_cached("INSERT INTO log(bytes) VALUES(?1)")?.execute([row])?;
        }
        all.commit()?;
    }
    let spent = look()?.spent_since(&before);
    drop(db);
    std::fs::remove_file(path)?;
    let bytes: usize = rows.iter().map(Vec::len).sum();
    let count = rows.len() as f64;
    Ok(Appended {
        rows_per_second: count / spent.seconds,
        rows_per_cpu_second: count / spent.cpu_s,
        bytes_per_second: bytes as f64 / spent.seconds,
        written_per_byte: spent.written_bytes / bytes as f64,
    })
}

/// Bytes a second that one TLS connection carries over loopback, one thread at either end.
pub fn copy(clock: &Clock) -> Result<f64> {
    let (server, client) = configs()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let at = listener.local_addr()?;
    let reader = std::thread::spawn(move || -> Result<usize> {
        let (mut socket, _) = listener.accept()?;
        let mut tls = rustls::ServerConnection::new(server)?;
        let mut stream = rustls::Stream::new(&mut tls, &mut socket);
        let (mut buffer, mut taken) = (vec![0; COPY_CHUNK], 0);
        while taken < COPIED {
            taken += stream.read(&mut buffer)?;
        }
        stream.write_all(b"!")?;
        Ok(taken)
    });
    let mut socket = TcpStream::connect(at)?;
    socket.set_nodelay(true)?;
    let mut tls = rustls::ClientConnection::new(client, ServerName::try_from("localhost")?)?;
    let mut stream = rustls::Stream::new(&mut tls, &mut socket);
    let begin = clock.now().mono;
    let chunk = vec![0x5a; COPY_CHUNK];
    for _ in 0..COPIED / COPY_CHUNK {
        stream.write_all(&chunk)?;
    }
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    let seconds = clock.now().mono.since(begin).as_secs_f64();
    reader.join().ok().context("the reader panicked")??;
    Ok(COPIED as f64 / seconds)
}

/// Handshakes a second with both ends' certificates checked, both ends on this machine, nothing else done.
pub async fn handshakes(clock: &Clock, server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> Result<f64> {
    const WINDOW: Duration = Duration::from_secs(3);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?;
    let acceptor = TlsAcceptor::from(server);
    let accepting = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { acceptor.accept(socket).await.map(drop) });
        }
    });
    let begin = clock.now().mono;
    let mut callers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (clock, connector) = (*clock, TlsConnector::from(client.clone()));
        callers.spawn(async move {
            let mut count = 0u32;
            while clock.now().mono.since(begin) < WINDOW {
                let socket = tokio::net::TcpStream::connect(at).await?;
                connector.connect(ServerName::try_from("localhost")?, socket).await?;
                count += 1;
            }
            anyhow::Ok(count)
        });
    }
    let mut count = 0;
    while let Some(ended) = callers.join_next().await {
        count += ended??;
    }
    accepting.abort();
    Ok(f64::from(count) / clock.now().mono.since(begin).as_secs_f64())
}

fn configs() -> Result<(Arc<ServerConfig>, Arc<ClientConfig>)> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((Arc::new(server), Arc::new(client)))
}
