//! A copy of what crosses a link's wire, for whoever asked; nobody asking costs nothing.

use cotside_protocol::capture::{Direction, Record, Wire};
use cotside_protocol::device::Path;
use cotside_protocol::model::Mono;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Chunks that a slow listener may be behind before it is told that it missed some.
const BEHIND_MAX: usize = 512;

#[derive(Debug)]
pub struct Tapped {
    pub at: Mono,
    pub record: Record,
}

#[derive(Clone, Debug)]
pub struct Tap(broadcast::Sender<Arc<Tapped>>);

impl Default for Tap {
    fn default() -> Self {
        Self(broadcast::Sender::new(BEHIND_MAX))
    }
}

impl Tap {
    pub fn listen(&self) -> broadcast::Receiver<Arc<Tapped>> {
        self.0.subscribe()
    }

    pub(super) fn copy(&self, at: Mono, direction: Direction, path: Path, bytes: &[u8]) {
        if self.0.receiver_count() == 0 {
            return;
        }
        let wire = match path {
            Path::Line => Wire::Line,
            Path::Datagram(_) => Wire::Datagram,
            Path::Announcement(_) => Wire::Announcement,
        };
        let record = Record { at: std::time::Duration::ZERO, direction, wire, bytes: bytes.to_vec() };
        // The last listener may have left in between.
        let _ = self.0.send(Arc::new(Tapped { at, record }));
    }
}
