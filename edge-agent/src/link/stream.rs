//! A TCP stream, by either side's call. Where the device calls, its address is pinned: a second sender is refused.

use super::port::{Arrived, KEEPALIVE_AFTER, is_allowed};
use cotside_protocol::device::Path;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CONNECT_MAX: Duration = Duration::from_secs(5);
const SEND_MAX: Duration = Duration::from_secs(2);

pub(super) struct Stream {
    stream: TcpStream,
    caller: Option<Caller>,
}

/// The device that called, and the door that others knock on.
struct Caller {
    listener: Arc<TcpListener>,
    address: IpAddr,
}

impl Stream {
    pub(super) async fn connect(address: &str) -> io::Result<Self> {
        let connecting = tokio::time::timeout(CONNECT_MAX, TcpStream::connect(address));
        let stream = connecting.await.map_err(|_| io::ErrorKind::TimedOut)??;
        prepare(&stream)?;
        Ok(Self { stream, caller: None })
    }

    /// Waits for an allowed caller. One that is not is hung up on, and reported.
    pub(super) async fn accept(
        listener: Arc<TcpListener>,
        allow: &[IpAddr],
        refused: &mut (dyn FnMut(IpAddr) + Send),
    ) -> io::Result<Self> {
        loop {
            let (stream, from) = listener.accept().await?;
            let from = from.ip().to_canonical();
            if is_allowed(allow, from) {
                prepare(&stream)?;
                return Ok(Self { stream, caller: Some(Caller { address: from, listener }) });
            }
            refused(from);
        }
    }

    pub(super) async fn arrived(&mut self, buffer: &mut [u8]) -> io::Result<Arrived> {
        let Some(caller) = &self.caller else { return received(self.stream.read(buffer).await) };
        tokio::select! {
            biased;
            read = self.stream.read(buffer) => received(read),
            knocked = caller.listener.accept() => {
                let (stream, from) = knocked?;
                let from = from.ip().to_canonical();
                if from != caller.address {
                    return Ok(Arrived::Refused(from));
                }
                // The same device calls again: it restarted, and its old connection is dead without knowing.
                prepare(&stream)?;
                self.stream = stream;
                Ok(Arrived::Anew)
            }
        }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sending = tokio::time::timeout(SEND_MAX, self.stream.write_all(bytes));
        sending.await.map_err(|_| io::ErrorKind::TimedOut)?
    }
}

fn received(read: io::Result<usize>) -> io::Result<Arrived> {
    match read? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => Ok(Arrived::Bytes(Path::Line, count)),
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_AFTER);
    socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
