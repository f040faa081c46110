//! Lines and devices for measuring: bytes in the pieces in which a serial port delivers them, a recording, and silence.

use cotside_protocol::device::{Path, Peer, PeerOutput, Physiology};
use cotside_protocol::model::{Mono, Now};
use std::collections::VecDeque;
use std::time::Duration;

/// A UART's interrupt at 115,200 baud, as its driver hands it on.
const PIECE_EVERY: Duration = Duration::from_millis(16);
const PIECE: usize = 184;

/// A device behind a real line's speed: 184 bytes every 16 ms.
pub struct Dripping {
    device: Box<dyn Peer>,
    queue: VecDeque<u8>,
    free_at: Mono,
}

impl Dripping {
    pub fn new(device: Box<dyn Peer>) -> Self {
        Self { device, queue: VecDeque::new(), free_at: Mono(0) }
    }
}

impl Peer for Dripping {
    fn handle(&mut self, now: Now, from: Path, bytes: &[u8]) {
        self.device.handle(now, from, bytes);
    }

    fn poll(&mut self, now: Now, body: &dyn Physiology) -> PeerOutput {
        let until = loop {
            match self.device.poll(now, body) {
                PeerOutput::Transmit { bytes, .. } => self.queue.extend(bytes),
                PeerOutput::Wait { until } => break until,
            }
        };
        if self.queue.is_empty() {
            return PeerOutput::Wait { until };
        }
        if now.mono < self.free_at {
            return PeerOutput::Wait { until: until.min(self.free_at) };
        }
        self.free_at = now.mono + PIECE_EVERY;
        let bytes = self.queue.drain(..self.queue.len().min(PIECE)).collect();
        PeerOutput::Transmit { to: Path::Line, bytes }
    }
}

/// Says the same again and again, whoever listens.
pub struct Recording {
    said: Vec<(Duration, Vec<u8>)>,
    length: Duration,
    next: usize,
    begin: Option<Mono>,
}

impl Recording {
    pub fn new(said: Vec<(Duration, Vec<u8>)>, length: Duration) -> Self {
        Self { said, length, next: 0, begin: None }
    }
}

impl Peer for Recording {
    fn handle(&mut self, _now: Now, _from: Path, _bytes: &[u8]) {}

    fn poll(&mut self, now: Now, _body: &dyn Physiology) -> PeerOutput {
        let begin = *self.begin.get_or_insert(now.mono);
        let Some((after, bytes)) = self.said.get(self.next) else {
            (self.next, self.begin) = (0, Some(begin + self.length));
            return PeerOutput::Wait { until: begin + self.length };
        };
        if now.mono < begin + *after {
            return PeerOutput::Wait { until: begin + *after };
        }
        self.next += 1;
        PeerOutput::Transmit { to: Path::Line, bytes: bytes.clone() }
    }
}

/// A device that says nothing: its bed's gateway is played by the bench.
pub struct Mute;

impl Peer for Mute {
    fn handle(&mut self, _now: Now, _from: Path, _bytes: &[u8]) {}

    fn poll(&mut self, now: Now, _body: &dyn Physiology) -> PeerOutput {
        PeerOutput::Wait { until: now.mono + Duration::from_secs(1) }
    }
}
