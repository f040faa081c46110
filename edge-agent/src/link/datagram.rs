//! UDP: one socket for the conversation, one for announcements, and one device that both belong to.

use super::port::{Arrived, is_allowed};
use cotside_protocol::device::Path;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::net::UdpSocket;

pub(super) struct Datagrams {
    data: UdpSocket,
    announce: Option<UdpSocket>,
    device: Option<SocketAddr>,
    allow: Vec<IpAddr>,
    /// Who has the link: the configured device, or the first allowed one that was heard.
    pinned: Option<IpAddr>,
}

impl Datagrams {
    pub(super) async fn open(
        device: Option<SocketAddr>,
        announce: Option<u16>,
        group: Option<Ipv4Addr>,
        allow: &[IpAddr],
    ) -> io::Result<Self> {
        let data = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        let announce = announce.map(|port| announcements(port, group)).transpose()?;
        Ok(Self { data, announce, device, allow: allow.to_vec(), pinned: device.map(|device| device.ip()) })
    }

    pub(super) async fn arrived(&mut self, buffer: &mut [u8]) -> io::Result<Arrived> {
        let (path, count) = match &self.announce {
            None => self.data.recv_from(buffer).await.map(|(count, from)| (Path::Datagram(from), count))?,
            Some(announce) => {
                // `buffer` is one: wait for either socket, then take from the one that has something.
                loop {
                    tokio::select! {
                        ready = self.data.readable() => ready?,
                        ready = announce.readable() => ready?,
                    }
                    if let Some(taken) = self.take(buffer)? {
                        break taken;
                    }
                }
            }
        };
        Ok(self.judge(path, count))
    }

    /// The next datagram that waits already.
    pub(super) fn more(&mut self, buffer: &mut [u8]) -> io::Result<Option<Arrived>> {
        Ok(self.take(buffer)?.map(|(path, count)| self.judge(path, count)))
    }

    fn take(&self, buffer: &mut [u8]) -> io::Result<Option<(Path, usize)>> {
        let sockets = [
            (Some(&self.data), Path::Datagram as fn(SocketAddr) -> Path),
            (self.announce.as_ref(), Path::Announcement),
        ];
        for (socket, path) in sockets {
            match socket.map(|socket| socket.try_recv_from(buffer)) {
                Some(Ok((count, from))) => return Ok(Some((path(from), count))),
                Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Some(Err(_)) | None => {}
            }
        }
        Ok(None)
    }

    fn judge(&mut self, path: Path, count: usize) -> Arrived {
        let (Path::Datagram(from) | Path::Announcement(from)) = path else {
            return Arrived::Bytes(path, count);
        };
        let from = from.ip();
        let is_ours = self.pinned.map_or_else(|| is_allowed(&self.allow, from), |pinned| pinned == from);
        if !is_ours {
            return Arrived::Refused(from);
        }
        // Announcements are for everyone, and the driver knows whose it wants: only the conversation pins.
        if matches!(path, Path::Datagram(_)) {
            self.pinned = Some(from);
        }
        Arrived::Bytes(path, count)
    }

    pub(super) async fn send(&mut self, to: Path, bytes: &[u8]) -> io::Result<()> {
        let to = match to {
            Path::Datagram(address) | Path::Announcement(address) => Some(address),
            Path::Line => self.device,
        };
        let Some(to) = to else { return Ok(()) };
        self.data.send_to(bytes, to).await.map(drop)
    }
}

/// Several programs of one machine may listen for announcements, and a multicast group reaches them all.
fn announcements(port: u16, group: Option<Ipv4Addr>) -> io::Result<UdpSocket> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    let socket = UdpSocket::from_std(socket.into())?;
    if let Some(group) = group
        && let Err(error) = socket.join_multicast_v4(group, Ipv4Addr::UNSPECIFIED)
    {
        // Broadcast announcements still arrive; a machine without a multicast route has no others.
        tracing::warn!(%group, %error, "cannot join the announcement group, listening for broadcasts");
    }
    Ok(socket)
}
