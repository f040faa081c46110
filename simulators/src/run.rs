//! The shell around a simulated device: a peer, a body and a cable on a pseudo-terminal, a UDP socket or a TCP stream.

use crate::cable::Cable;
use crate::newborn::Newborn;
use anyhow::{Context, Result};
use cotside_protocol::device::{Path, Peer, PeerOutput};
use cotside_protocol::model::Mono;
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::Stop;
use std::net::SocketAddr;
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_serial::{SerialPort, SerialStream};

/// The longest read; a monitor's datagrams are below 1.5 KiB.
const READ_BYTES_MAX: usize = 4096;
/// A device that cannot reach its host tries again this often.
const RECONNECT_EVERY: Duration = Duration::from_secs(2);
/// A fresh pseudo-terminal is made this long after its cable was pulled out.
const REPLUG_CHECK_EVERY: Duration = Duration::from_millis(100);

/// How long a line may take what it is given before the rest is lost.
const WRITE_PATIENCE: Duration = Duration::from_millis(50);

/// Where a simulated device stands.
#[derive(Clone, Debug)]
pub enum Place {
    /// A pseudo-terminal; its name is linked from this path, which vanishes while the cable is unplugged.
    Pty(PathBuf),
    /// Answers datagrams on this address.
    Udp(SocketAddr),
    /// Connects to its host (an MLLP sender).
    TcpTo(SocketAddr),
}

/// One device at one bed.
pub struct Device {
    pub peer: Box<dyn Peer>,
    pub body: Newborn,
    pub cable: Cable,
    pub clock: Clock,
}

impl Device {
    /// Serves until told to stop.
    pub async fn run(mut self, place: Place, stop: Stop) -> Result<()> {
        match place {
            Place::Pty(link) => self.on_pty(&link, stop).await,
            Place::Udp(address) => self.on_udp(address, stop).await,
            Place::TcpTo(address) => self.on_tcp(address, stop).await,
        }
    }

    async fn on_pty(&mut self, link: &FilePath, mut stop: Stop) -> Result<()> {
        while !stop.is_requested() {
            let (mut ours, theirs) = SerialStream::pair().context("cannot open a pseudo-terminal")?;
            let name = theirs.name().context("a pseudo-terminal without a name")?;
            let _ = std::fs::remove_file(link);
            std::os::unix::fs::symlink(&name, link)
                .with_context(|| format!("cannot make {}", link.display()))?;
            let mut buffer = [0; READ_BYTES_MAX];
            while self.cable.is_plugged(self.clock.now().mono) {
                let (bytes, wait) = self.drain();
                for (_, bytes) in bytes {
                    // Nobody at the other end: like a real line, what is said is lost.
                    let _ = tokio::time::timeout(WRITE_PATIENCE, ours.write_all(&bytes)).await;
                }
                tokio::select! {
                    read = ours.read(&mut buffer) => self.hear(Path::Line, &buffer[..read.unwrap_or(0)]),
                    () = sleep_until(self.clock, wait) => {}
                    () = stop.requested() => break,
                }
            }
            let _ = std::fs::remove_file(link);
            drop((ours, theirs));
            while !stop.is_requested() && !self.cable.is_plugged(self.clock.now().mono) {
                tokio::time::sleep(REPLUG_CHECK_EVERY).await;
            }
        }
        Ok(())
    }

    async fn on_udp(&mut self, address: SocketAddr, mut stop: Stop) -> Result<()> {
        let socket = UdpSocket::bind(address).await.with_context(|| format!("cannot bind udp {address}"))?;
        let mut buffer = [0; READ_BYTES_MAX];
        loop {
            let (bytes, wait) = self.drain();
            for (to, bytes) in bytes {
                if let Path::Datagram(to) | Path::Announcement(to) = to {
                    // A host that is not there answers with an ICMP error: the next receive says so, and nobody minds.
                    let _ = socket.send_to(&bytes, to).await;
                }
            }
            tokio::select! {
                read = socket.recv_from(&mut buffer) => if let Ok((count, from)) = read {
                    self.hear(Path::Datagram(from), &buffer[..count]);
                },
                () = sleep_until(self.clock, wait) => {}
                () = stop.requested() => return Ok(()),
            }
        }
    }

    async fn on_tcp(&mut self, address: SocketAddr, mut stop: Stop) -> Result<()> {
        let mut buffer = [0; READ_BYTES_MAX];
        while !stop.is_requested() {
            if let Ok(mut stream) = TcpStream::connect(address).await {
                while self.cable.is_plugged(self.clock.now().mono) {
                    let (bytes, wait) = self.drain();
                    let mut is_sent = true;
                    for (_, bytes) in bytes {
                        is_sent &= stream.write_all(&bytes).await.is_ok();
                    }
                    if !is_sent {
                        break;
                    }
                    tokio::select! {
                        read = stream.read(&mut buffer) => match read {
                            Ok(1..) => self.hear(Path::Line, &buffer[..read.unwrap_or(0)]),
                            Ok(0) | Err(_) => break,
                        },
                        () = sleep_until(self.clock, wait) => {}
                        () = stop.requested() => return Ok(()),
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(RECONNECT_EVERY) => {}
                () = stop.requested() => {}
            }
        }
        Ok(())
    }

    fn hear(&mut self, from: Path, bytes: &[u8]) {
        let now = self.clock.now();
        let arrived = self.cable.carry(now.mono, bytes);
        if !arrived.is_empty() {
            self.peer.handle(now, from, &arrived);
        }
    }

    /// What the device says now, as the cable passes it on, and when it wants to be asked again.
    fn drain(&mut self) -> (Vec<(Path, Vec<u8>)>, Mono) {
        let now = self.clock.now();
        self.body.advance(now.mono);
        let mut said = Vec::new();
        loop {
            match self.peer.poll(now, &self.body) {
                PeerOutput::Transmit { to, bytes } => {
                    let arrived = self.cable.carry(now.mono, &bytes);
                    if !arrived.is_empty() {
                        said.push((to, arrived));
                    }
                }
                PeerOutput::Wait { until } => return (said, until),
            }
        }
    }
}

async fn sleep_until(clock: Clock, until: Mono) {
    tokio::time::sleep_until(clock.instant(until).into()).await;
}
