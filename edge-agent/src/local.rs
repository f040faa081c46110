//! The agent's local socket: `status` and `tap`, for people at the machine.
//!
//! One request a connection, one line: `status`, or `tap NAME`. The answer is text: a JSON object, or a capture that goes on
//! until the asker leaves. A line that begins with `error: ` says why not.

use crate::bed::Asked;
use crate::link::tap::{Tap, Tapped};
use anyhow::{Context, Result};
use cotside_protocol::capture::{Header, Record, Source};
use cotside_protocol::model::Mono;
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::Stop;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinSet;

/// Questions that wait for the bed.
pub const QUESTIONS_MAX: usize = 4;
const ASKERS_MAX: usize = 8;
const REQUEST_MAX: u64 = 256;
const REQUEST_WITHIN: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub struct Wires {
    pub clock: Clock,
    pub questions: mpsc::Sender<Asked>,
    pub taps: Arc<Vec<TapPoint>>,
}

pub struct TapPoint {
    pub link: String,
    pub driver: &'static str,
    pub tap: Tap,
}

/// Binds the socket; one left behind by an agent that was killed is replaced.
pub fn bind(path: &Path) -> Result<UnixListener> {
    let what = || format!("cannot open the local socket {}", path.display());
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).with_context(what)?;
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        anyhow::bail!("another agent is running: it answers on {}", path.display());
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).with_context(what),
        _ => {}
    }
    let listener = UnixListener::bind(path).with_context(what)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).with_context(what)?;
    Ok(listener)
}

pub async fn run(listener: UnixListener, wires: Wires, mut stop: Stop) -> Result<()> {
    let mut askers = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.requested() => return Ok(()),
            Some(_) = askers.join_next(), if !askers.is_empty() => {}
            asker = listener.accept(), if askers.len() < ASKERS_MAX => {
                let (stream, _) = asker?;
                let wires = wires.clone();
                askers.spawn(async move {
                    if let Err(error) = answer(stream, &wires).await {
                        tracing::debug!(%error, "an asker left");
                    }
                });
            }
        }
    }
}

async fn answer(mut stream: UnixStream, wires: &Wires) -> Result<()> {
    let (reader, mut writer) = stream.split();
    let mut request = String::new();
    let mut reader = BufReader::new(reader.take(REQUEST_MAX));
    tokio::time::timeout(REQUEST_WITHIN, reader.read_line(&mut request)).await??;
    match request.trim().split_once(' ') {
        None if request.trim() == "status" => {
            let (question, snapshot) = oneshot::channel();
            wires.questions.send(Asked::Snapshot(question)).await?;
            let json = serde_json::to_string(&snapshot.await?)?;
            writer.write_all(json.as_bytes()).await?;
        }
        Some(("tap", link)) => match wires.taps.iter().find(|point| point.link == link.trim()) {
            Some(point) => {
                let mut asker = reader.into_inner().into_inner();
                let mut nothing = [0; 1];
                tokio::select! {
                    // The asker says no more; its end of the stream is its leaving.
                    _ = asker.read(&mut nothing) => {}
                    written = tap(point, wires.clock, &mut writer) => written?,
                }
            }
            None => {
                let known: Vec<_> = wires.taps.iter().map(|point| point.link.as_str()).collect();
                let words =
                    format!("error: there is no link {}; known are {}\n", link.trim(), known.join(", "));
                writer.write_all(words.as_bytes()).await?;
            }
        },
        _ => writer.write_all(b"error: expected status or tap NAME\n").await?,
    }
    Ok(writer.shutdown().await?)
}

async fn tap(point: &TapPoint, clock: Clock, writer: &mut (impl AsyncWriteExt + Unpin)) -> Result<()> {
    let mut tapped = point.tap.listen();
    let begin = clock.now();
    let header = Header {
        device: point.link.clone(),
        driver: point.driver.to_owned(),
        source: Source::Capture,
        taken_by: "edge-agent tap".to_owned(),
        date: begin.wall.to_string(),
        scrubbed: "NOT SCRUBBED: it may hold patient data".to_owned(),
        ..Header::default()
    };
    writer.write_all(header.to_string().as_bytes()).await?;
    loop {
        let line = match tapped.recv().await {
            Ok(tapped) => format!("{}\n", since(begin.mono, &tapped)),
            Err(broadcast::error::RecvError::Lagged(count)) => format!("# {count} chunks were missed here\n"),
            Err(broadcast::error::RecvError::Closed) => return Ok(()),
        };
        writer.write_all(line.as_bytes()).await?;
    }
}

fn since(begin: Mono, tapped: &Tapped) -> Record {
    Record { at: tapped.at.since(begin), ..tapped.record.clone() }
}
