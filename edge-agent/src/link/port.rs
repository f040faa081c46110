//! The kinds of cable behind one small enum: open, what arrived, send.

use super::datagram::Datagrams;
use super::serial::Serial;
use super::stream::Stream;
use cotside_config::agent::{Link, Place};
use cotside_protocol::device::Path;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// A peer that vanished without a word is found out by the kernel; silence is found out sooner by the driver.
pub(super) const KEEPALIVE_AFTER: Duration = Duration::from_secs(10);

pub(super) enum Port {
    Serial(Serial),
    Stream(Stream),
    Datagrams(Datagrams),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    Bytes(Path, usize),
    /// Somebody else spoke; what it said was not taken.
    Refused(IpAddr),
    /// The device called again: another conversation begins on this port.
    Anew,
}

/// Opens the ports of one link, again and again. Holds the door between two calls of a device.
pub(super) struct Opener {
    place: Place,
    allow: Vec<IpAddr>,
    listener: Option<Arc<TcpListener>>,
}

impl Opener {
    pub(super) fn new(link: &Link) -> Self {
        Self { place: link.place.clone(), allow: link.allow.clone(), listener: None }
    }

    /// A device that calls may do so hours later: then this waits, and `refused` hears of others who called.
    pub(super) async fn open(&mut self, refused: &mut (dyn FnMut(IpAddr) + Send)) -> io::Result<Port> {
        match &self.place {
            Place::Serial { path, line } => Serial::open(&path.to_string_lossy(), *line).map(Port::Serial),
            Place::TcpConnect(address) => Stream::connect(address).await.map(Port::Stream),
            Place::TcpListen(address) => {
                let listener = match &self.listener {
                    Some(listener) => Arc::clone(listener),
                    None => Arc::new(TcpListener::bind(address).await?),
                };
                self.listener = Some(Arc::clone(&listener));
                Stream::accept(listener, &self.allow, refused).await.map(Port::Stream)
            }
            Place::Udp { device, announce, group } => {
                Datagrams::open(*device, *announce, *group, &self.allow).await.map(Port::Datagrams)
            }
        }
    }
}

impl Port {
    pub(super) async fn arrived(&mut self, buffer: &mut [u8]) -> io::Result<Arrived> {
        match self {
            Self::Serial(serial) => serial.arrived(buffer).await,
            Self::Stream(stream) => stream.arrived(buffer).await,
            Self::Datagrams(datagrams) => datagrams.arrived(buffer).await,
        }
    }

    /// What has arrived besides, without waiting. A stream gives all it has at once.
    pub(super) fn more(&mut self, buffer: &mut [u8]) -> io::Result<Option<Arrived>> {
        match self {
            Self::Serial(_) | Self::Stream(_) => Ok(None),
            Self::Datagrams(datagrams) => datagrams.more(buffer),
        }
    }

    /// Each of its bytes would wake us, if the kernel were asked about it while it speaks.
    pub(super) fn is_looked_at(&self) -> bool {
        matches!(self, Self::Serial(_))
    }

    pub(super) async fn send(&mut self, to: Path, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Serial(serial) => serial.send(bytes),
            Self::Stream(stream) => stream.send(bytes).await,
            Self::Datagrams(datagrams) => datagrams.send(to, bytes).await,
        }
    }
}

pub(super) fn is_allowed(allow: &[IpAddr], from: IpAddr) -> bool {
    allow.is_empty() || allow.iter().any(|address| address.to_canonical() == from.to_canonical())
}
