//! An oximeter that counts: every line it sends carries its own number, so that a ledger can miss none and see none twice.

use cotside_protocol::device::{Path, Peer, PeerOutput, Physiology};
use cotside_protocol::model::{Decimal, Mono, Now, Wall};
use cotside_protocol::wire::block::Sample;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Ten lines a second: ten times as dense as the real one.
pub const LINE_EVERY: Duration = Duration::from_millis(100);
const PULSE_RATE: u32 = 149_530;
const PERFUSION_INDEX: u32 = 150_488;
/// The pulse rate carries the turns of the index.
const PULSE_BASE: u64 = 100;
/// A perfusion index of zero is no value.
const INDEX_BASE: u64 = 500;
const INDEX_COUNT: u64 = 9000;
/// The oximeter is the bed's first link; other devices measure the same parameters.
const LINK: u8 = 0;
/// Lines are a hundred milliseconds apart.
const TOGETHER_US: u64 = 20_000;

/// A dip is so many lines long, and begins anew after so many.
const DIP_LINES: u64 = 23;
const DIP_EVERY: u64 = 71;

/// When each line was sent: index is the line's number.
pub type Sent = Arc<Mutex<Vec<Wall>>>;

pub struct CountingOximeter {
    sent: Sent,
    every: Duration,
    dips: bool,
    next_at: Option<Mono>,
    line: Option<Vec<u8>>,
}

impl CountingOximeter {
    pub fn new(sent: Sent) -> Self {
        Self { sent, every: LINE_EVERY, dips: false, next_at: None, line: None }
    }

    /// A slower one.
    pub fn every(self, every: Duration) -> Self {
        Self { every, ..self }
    }

    /// Its saturation falls for a while and rises again, so that a limit has something to alarm about.
    pub fn with_dips(self) -> Self {
        Self { dips: true, ..self }
    }
}

impl Peer for CountingOximeter {
    fn handle(&mut self, _now: Now, _from: Path, _bytes: &[u8]) {}

    fn poll(&mut self, now: Now, _body: &dyn Physiology) -> PeerOutput {
        if let Some(bytes) = self.line.take() {
            return PeerOutput::Transmit { to: Path::Line, bytes };
        }
        let due = *self.next_at.get_or_insert(now.mono);
        if now.mono < due {
            return PeerOutput::Wait { until: due };
        }
        self.next_at = Some(due + self.every);
        let mut sent = self.sent.lock().expect("no thread panics while it counts");
        let number = sent.len() as u64;
        let index = INDEX_BASE + number % INDEX_COUNT;
        sent.push(now.wall);
        let ([year, month, day], second) = now.wall.calendar();
        let saturation = if self.dips && number % DIP_EVERY < DIP_LINES { 81 } else { 97 };
        let line = format!(
            "{month:02}/{day:02}/{:02} {:02}:{:02}:{:02} SN=0000077777 SPO2={saturation:03}% BPM={:03} PI={:02}.{:02}% SPCO=--.-% SPMET=--.-% \
             DESAT=-- PIDELTA=+-- ALARM=0000 EXC=000800\r\n",
            year % 100,
            second / 3600,
            second / 60 % 60,
            second % 60,
            PULSE_BASE + number / INDEX_COUNT,
            index / 100,
            index % 100
        );
        PeerOutput::Transmit { to: Path::Line, bytes: line.into_bytes() }
    }
}

/// Puts the numbers together again: a line's pulse rate and perfusion index arrive at one instant, but may stand in two blocks, whose
/// begins are rounded each for itself.
#[derive(Default)]
pub struct Counter {
    turns: Option<(i64, u64)>,
    index: Option<(i64, u64)>,
}

impl Counter {
    /// The line's number, once both halves were seen.
    pub fn hear(&mut self, at_us: i64, sample: &Sample) -> Option<u64> {
        if sample.channel.link != LINK {
            return None;
        }
        let Decimal { mantissa, exponent } = sample.value?;
        let hundredths =
            u64::try_from(mantissa).ok()? * 10u64.pow(u32::try_from(i32::from(exponent) + 2).ok()?);
        match sample.channel.code.0 {
            PULSE_RATE => self.turns = Some((at_us, (hundredths / 100).checked_sub(PULSE_BASE)?)),
            PERFUSION_INDEX => self.index = Some((at_us, hundredths.checked_sub(INDEX_BASE)?)),
            _ => return None,
        }
        let ((at, high), (other, low)) = (self.turns?, self.index?);
        (at.abs_diff(other) < TOGETHER_US).then(|| {
            (self.turns, self.index) = (None, None);
            high * INDEX_COUNT + low
        })
    }
}
