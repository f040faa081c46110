//! A serial port that is read on a coarse timer while bytes come, and costs nothing while none do.
//!
//! A device at 9600 baud delivers a few bytes every 16 ms; waking up for each costs more than all decoding. So the port is
//! looked at every [`TICK`] as long as it speaks, and handed to the kernel's readiness queue when a look found nothing: devices
//! speak in bursts, and a second look costs more than the kernel's word. It is the link that keeps the time between two looks.

use super::port::Arrived;
use cotside_config::agent::Line;
use cotside_protocol::device::{Parity, Path};
use serialport::{DataBits, ErrorKind, FlowControl, StopBits, TTYPort};
use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Bytes wait in the kernel for at most this long; at 115,200 baud that is 576 of its 4,096.
pub(super) const TICK: Duration = Duration::from_millis(50);
/// What may wait for a line that takes nothing (handshake lines, dead adapter).
const UNSENT_MAX: usize = 16 * 1024;

pub(super) struct Serial {
    tty: TTYPort,
    unsent: VecDeque<u8>,
}

/// The port's descriptor, borrowed for as long as the kernel watches it.
struct Watched(RawFd);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

impl Serial {
    pub(super) fn open(path: &str, line: Line) -> io::Result<Self> {
        let tty = serialport::new(path, line.baud)
            .data_bits(if line.bits == 7 { DataBits::Seven } else { DataBits::Eight })
            .parity(match line.parity {
                Parity::None => serialport::Parity::None,
                Parity::Even => serialport::Parity::Even,
                Parity::Odd => serialport::Parity::Odd,
            })
            .stop_bits(if line.stop == 2 { StopBits::Two } else { StopBits::One })
            .flow_control(FlowControl::None)
            .timeout(Duration::ZERO)
            .open_native()
            .map_err(why_not_opened)?;
        Ok(Self { tty, unsent: VecDeque::new() })
    }

    pub(super) async fn arrived(&mut self, buffer: &mut [u8]) -> io::Result<Arrived> {
        loop {
            self.flush()?;
            match self.tty.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::BrokenPipe.into()),
                Ok(count) => return Ok(Arrived::Bytes(Path::Line, count)),
                Err(error) if is_nothing_yet(&error) => {}
                Err(error) => return Err(gone(error)),
            }
            if self.unsent.is_empty() {
                self.speaks().await?;
            } else {
                tokio::time::sleep(TICK).await;
            }
        }
    }

    /// Waits until the line has something. Only the wake-up matters; the next read says what there is.
    async fn speaks(&self) -> io::Result<()> {
        #[expect(
            deprecated,
            reason = "the descriptor outlives its watch: the port is borrowed for all of it"
        )]
        let watched = AsyncFd::with_interest(Watched(self.tty.as_raw_fd()), Interest::READABLE)?;
        watched.readable().await.map(drop)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.unsent.len() + bytes.len() > UNSENT_MAX {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.unsent.extend(bytes);
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.tty.write(self.unsent.make_contiguous()) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if is_nothing_yet(&error) => return Ok(()),
                Err(error) => return Err(gone(error)),
            }
        }
        Ok(())
    }
}

fn is_nothing_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// A pulled adapter shows as one of several errors; they all mean that the line is gone.
fn gone(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Other => io::Error::new(io::ErrorKind::BrokenPipe, error),
        _ => error,
    }
}

fn why_not_opened(error: serialport::Error) -> io::Error {
    match error.kind {
        ErrorKind::NoDevice if error.description.to_lowercase().contains("busy") => {
            io::ErrorKind::ResourceBusy.into()
        }
        ErrorKind::NoDevice => io::ErrorKind::NotFound.into(),
        ErrorKind::Io(kind) => io::Error::new(kind, error.description),
        _ => io::Error::other(error.description),
    }
}
