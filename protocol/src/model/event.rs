//! What a device session reports. Everything vendor-shaped ends at this line.

use super::{Code, Decimal, DeviceText, Kind, Mono, Pace, Priority, Private, Quality, Site, Wall};
use std::time::Duration;

/// A sample that the device did not deliver or marked invalid: a gap on the screen.
pub const NO_SAMPLE: i32 = i32::MIN;

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The device said who it is (again after every connection). Data before it is not attributed when an identity is required.
    Identified(Identity),
    Numeric(Numeric),
    Waveform(Waveform),
    Alert(Alert),
    /// Bad bytes: counted, shown, never an error.
    Malformed {
        reason: Malformed,
        bytes: u32,
    },
    /// What the device's own clock says, every ten seconds or so: [`crate::face`].
    DeviceTime(DeviceTime),
    /// A fact about the conversation in words a biomedical engineer can act on (refused by the monitor, wrong baud suspected ...).
    Notice(&'static str),
    /// Everything reported since the last checkpoint must be on disk before the session may acknowledge: the shell answers `Input::Stored(token)`.
    Checkpoint(StoreToken),
}

/// One look at a device's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceTime {
    /// The digits of the device's clock, read as if they were UTC.
    pub at: Wall,
    pub zone: Zone,
    /// The device's clock had passed `at` by less than this.
    pub resolution: Duration,
    /// When the message that carried it arrived: never before it was made, and often later.
    pub received: Mono,
}

/// What is known of the zone of a device's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// Minutes east of UTC.
    Stated(i16),
    /// Local time of nobody says where.
    Unknown,
}

/// Names one checkpoint of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreToken(pub u64);

/// Who is at the other end of the cable, as far as the device says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub manufacturer: DeviceText,
    pub model: DeviceText,
    /// What tells this device from its twin: serial number, MAC address, or MSH-3 with PV1-3. Empty if the protocol has none.
    pub serial: DeviceText,
    pub firmware: DeviceText,
    /// The bed the device believes it stands at.
    pub bed_label: DeviceText,
    /// The patient identifier the device carries, for the conflict check only.
    pub patient: Option<Private<DeviceText>>,
}

/// One number of one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Numeric {
    pub code: Code,
    pub site: Site,
    /// None: the device says there is no value now. The quality says why.
    pub value: Option<Decimal>,
    /// UCUM code as stated by the device (mapped), or the driver's fixed one.
    pub ucum: &'static str,
    pub quality: Quality,
    pub kind: Kind,
    pub pace: Pace,
    /// The device's own clock, where it sends one. Never used as the sample time.
    pub device_at: Option<Wall>,
    /// How late this value was when received, by the device's own timing (relative tick counters, MSH-7 against OBX-14).
    pub lag: Duration,
}

/// A run of equally spaced samples of one channel. `physical = offset + gain * sample`.
#[derive(Clone, Debug, PartialEq)]
pub struct Waveform {
    pub code: Code,
    pub site: Site,
    pub samples: Vec<i32>,
    /// Microseconds from one sample to the next.
    pub period_us: u32,
    pub gain: f64,
    pub offset: f64,
    pub ucum: &'static str,
    pub quality: Quality,
    /// When the first sample was taken, on the agent's monotonic clock, as the session's steadied estimate.
    /// Consecutive runs of one channel are contiguous (`begin + n * period`) unless samples are missing.
    pub begin: Mono,
    pub device_at: Option<Wall>,
}

/// The device's own alarm, passed on; our engine's are called alarms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The device's own number for the alert.
    pub code: u32,
    /// What it is about, if it names a parameter.
    pub source: Option<Code>,
    pub priority: Priority,
    pub text: DeviceText,
    pub phase: AlertPhase,
    /// Technical (lead off, sensor) rather than physiological.
    pub technical: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlertPhase {
    Present,
    Ended,
}

/// Why bytes were bad. Closed: a new reason is a reviewed change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Malformed {
    /// Bytes outside any frame.
    Noise,
    /// Checksum or CRC wrong.
    Checksum,
    /// A frame that never ended before the next began, or was aborted.
    Truncated,
    /// Longer than the protocol or our limit allows.
    TooLong,
    /// The frame is whole but a length or count inside it lies.
    Structure,
    /// A field's text or number cannot be what it must be.
    Field,
    /// Character set or encoding broken.
    Encoding,
}

/// Why good bytes were not used. Closed, like [`Malformed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ignored {
    /// Keep-alives, blank lines, fill.
    Filler,
    /// Whole and correct, of a kind this driver does not use.
    UnknownMessage,
    /// Not for this state of the conversation.
    OutOfState,
    /// A repetition of what was already taken.
    Duplicate,
    /// For another bed or another client.
    NotOurs,
}

/// Every byte is accounted for: `received = decoded + ignored + malformed + pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub received: u64,
    pub decoded: u64,
    ignored: [u64; 5],
    malformed: [u64; 7],
    /// Checked frames or messages taken.
    pub frames: u64,
    /// Bytes held, waiting for the rest of their frame.
    pub pending: u64,
}

impl Tally {
    pub const IGNORED: [Ignored; 5] =
        [Ignored::Filler, Ignored::UnknownMessage, Ignored::OutOfState, Ignored::Duplicate, Ignored::NotOurs];
    pub const MALFORMED: [Malformed; 7] = [
        Malformed::Noise,
        Malformed::Checksum,
        Malformed::Truncated,
        Malformed::TooLong,
        Malformed::Structure,
        Malformed::Field,
        Malformed::Encoding,
    ];

    pub fn ignore(&mut self, reason: Ignored, bytes: usize) {
        self.ignored[reason as usize] += bytes as u64;
    }

    pub fn malform(&mut self, reason: Malformed, bytes: usize) {
        self.malformed[reason as usize] += bytes as u64;
    }

    pub const fn ignored(&self, reason: Ignored) -> u64 {
        self.ignored[reason as usize]
    }

    pub const fn malformed(&self, reason: Malformed) -> u64 {
        self.malformed[reason as usize]
    }

    pub fn ignored_total(&self) -> u64 {
        self.ignored.iter().sum()
    }

    pub fn malformed_total(&self) -> u64 {
        self.malformed.iter().sum()
    }

    pub fn is_balanced(&self) -> bool {
        self.received == self.decoded + self.ignored_total() + self.malformed_total() + self.pending
    }
}

/// The accounts of several sessions, one after the other.
impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.decoded += other.decoded;
        self.frames += other.frames;
        self.pending += other.pending;
        self.ignored.iter_mut().zip(other.ignored).for_each(|(sum, more)| *sum += more);
        self.malformed.iter_mut().zip(other.malformed).for_each(|(sum, more)| *sum += more);
    }
}
