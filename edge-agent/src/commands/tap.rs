//! `edge-agent tap`: a field capture, taken from the running agent without disturbing it.

use super::{Failed, load, print};
use anyhow::{Context, anyhow};
use cotside_systemd::exit::Exit;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Sends one request to the running agent.
pub(super) fn ask(socket: &Path, request: &str) -> Result<UnixStream, Failed> {
    let asked = UnixStream::connect(socket).and_then(|mut stream| {
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    });
    asked.map_err(|error| {
        let words = format!("no agent answers on {}: {error}; is it running?", socket.display());
        Failed::new(Exit::Unavailable, anyhow!(words))
    })
}

pub(super) fn tap(config: &Path, link: &str, file: &Path, seconds: Option<u64>) -> Result<Exit, Failed> {
    let config = load(config)?;
    let mut agent = ask(&config.socket, &format!("tap {link}\n"))?;
    // Refuses to write over a capture that somebody took the trouble to take.
    let created = std::fs::File::options().write(true).create_new(true).open(file);
    let mut out = created
        .with_context(|| format!("cannot create {}", file.display()))
        .map_err(|error| Failed::new(Exit::Io, error))?;
    let limit = seconds.map(Duration::from_secs);
    let copied = copy(&mut agent, &mut out, limit).map_err(|error| Failed::new(Exit::Io, error))?;
    if let Some(words) = copied.refusal {
        // An empty capture helps nobody.
        let _ = std::fs::remove_file(file);
        return Err(Failed::new(Exit::Usage, anyhow!(words)));
    }
    print(&format!(
        "{} bytes in {}. It may hold patient data: scrub it before it leaves.\n",
        copied.bytes,
        file.display()
    ))
}

struct Copied {
    bytes: u64,
    refusal: Option<String>,
}

fn copy(agent: &mut UnixStream, out: &mut impl Write, limit: Option<Duration>) -> std::io::Result<Copied> {
    let clock = cotside_systemd::clock::Clock::start();
    let begin = clock.now().mono;
    let mut copied = Copied { bytes: 0, refusal: None };
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let left = limit.map(|limit| limit.saturating_sub(clock.now().mono.since(begin)));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(copied);
        }
        agent.set_read_timeout(left)?;
        let count = match agent.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(count) => count,
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                continue;
            }
            Err(error) => return Err(error),
        };
        if copied.bytes == 0 && buffer.starts_with(b"error: ") {
            copied.refusal = Some(String::from_utf8_lossy(&buffer[7..count]).trim().to_owned());
            return Ok(copied);
        }
        out.write_all(&buffer[..count])?;
        copied.bytes += count as u64;
    }
}
