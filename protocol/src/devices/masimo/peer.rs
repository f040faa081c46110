//! The oximeter's half of the cable: one line a second about the body it is attached to, with the manners seen in recorded logs.
//!
//! Seed 0 is a device that never misbehaves. Any other one starts with a cut line, sets its clock wrong, skips a second now and
//! then, sends blank lines, and loses its sensor, its pulse or its perfusion for a while. Odd seeds are a Radical-7 with colour screen.

use super::message::{Dialect, Exceptions, Key, Record};
use super::params;
use crate::device::{Path, Peer, PeerOptions, PeerOutput, Physiology};
use crate::model::{Code, Decimal, Mono, Now};
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);
/// One second in so many is not sent.
const SKIP_ONE_IN: u64 = 15;
/// Something happens to the sensor once in so many seconds.
const TROUBLE_ONE_IN: u64 = 300;
const DEVICE_CLOCK_ERROR_MAX: Duration = Duration::from_secs(3700);

pub(super) fn open(options: &PeerOptions) -> Box<dyn Peer> {
    let mut dice = Dice(options.seed);
    let clock_error =
        Duration::from_secs(if options.seed == 0 { 0 } else { dice.roll(DEVICE_CLOCK_ERROR_MAX.as_secs()) });
    let digits: String = options.serial.chars().filter(char::is_ascii_digit).collect();
    Box::new(Oximeter {
        seed: options.seed,
        dice,
        clock_error,
        serial: format!("{:0>10}", &digits[..digits.len().min(10)]),
        next_at: None,
        trouble: None,
    })
}

struct Oximeter {
    seed: u64,
    dice: Dice,
    clock_error: Duration,
    serial: String,
    next_at: Option<Mono>,
    trouble: Option<Trouble>,
}

#[derive(Clone, Copy)]
struct Trouble {
    kind: Kind,
    until: Mono,
}

#[derive(Clone, Copy)]
enum Kind {
    NoSensor,
    SensorOff,
    PulseSearch,
    /// Saturation stays, the rate is dashes.
    NoRate,
    NoPerfusion,
    LowSignal,
}

impl Peer for Oximeter {
    /// It is deaf: its output needs no request and no flow control.
    fn handle(&mut self, _now: Now, _from: Path, _bytes: &[u8]) {}

    fn poll(&mut self, now: Now, body: &dyn Physiology) -> PeerOutput {
        let is_first = self.next_at.is_none();
        let due = *self.next_at.get_or_insert(now.mono);
        if now.mono < due {
            return PeerOutput::Wait { until: due };
        }
        // After a jump of the clock it goes on from there, it does not catch up line by line.
        let next = due + EVERY;
        let next = if next > now.mono { next } else { now.mono + EVERY };
        self.next_at = Some(next);
        if self.seed == 0 {
            return PeerOutput::Transmit { to: Path::Line, bytes: self.line(now, body) };
        }
        if !is_first && self.dice.roll(SKIP_ONE_IN) == 0 {
            return PeerOutput::Wait { until: next };
        }
        self.suffer(now.mono);
        let mut bytes = self.line(now, body);
        if is_first {
            let cut = self.dice.roll(bytes.len() as u64);
            bytes.drain(..usize::try_from(cut).unwrap_or(0));
        }
        if self.dice.roll(SKIP_ONE_IN) == 0 {
            bytes.extend_from_slice(b"\r\n");
        }
        PeerOutput::Transmit { to: Path::Line, bytes }
    }
}

impl Oximeter {
    /// Ends a trouble that has lasted, or draws a new one.
    fn suffer(&mut self, now: Mono) {
        match self.trouble {
            Some(trouble) if now < trouble.until => {}
            Some(_) => self.trouble = None,
            None if self.dice.roll(TROUBLE_ONE_IN) == 0 => {
                const KINDS: [Kind; 6] = [
                    Kind::NoSensor,
                    Kind::SensorOff,
                    Kind::PulseSearch,
                    Kind::NoRate,
                    Kind::NoPerfusion,
                    Kind::LowSignal,
                ];
                let kind = KINDS[self.dice.roll(KINDS.len() as u64) as usize];
                let until = now + Duration::from_secs(5 + self.dice.roll(56));
                self.trouble = Some(Trouble { kind, until });
            }
            None => {}
        }
    }

    fn line(&self, now: Now, body: &dyn Physiology) -> Vec<u8> {
        let mut line = Vec::new();
        self.record(now, body).emit(&mut line);
        if self.is_colour_radical() {
            // This model sends seven digits where the others send six.
            let text = String::from_utf8_lossy(&line).replace(" EXC=", " EXC=0");
            return text.into_bytes();
        }
        line
    }

    fn record(&self, now: Now, body: &dyn Physiology) -> Record {
        let measured = |code: Code, places: i8| decimal(body.numeric(code, now.mono)?, places);
        let mut spo2 = measured(params::SPO2, 0).map(|value| Decimal::new(value.mantissa.min(100), 0));
        let mut rate = measured(params::PULSE_RATE, 0);
        let mut pi = measured(params::PERFUSION, 2);
        let trouble = self.trouble.map(|trouble| trouble.kind);
        let trouble = if spo2.is_none() && trouble.is_none() { Some(Kind::NoSensor) } else { trouble };
        let mut exceptions = Exceptions::SET;
        match trouble {
            Some(Kind::NoSensor) => {
                exceptions = Exceptions::NO_SENSOR;
                (spo2, rate, pi) = (None, None, None);
            }
            Some(Kind::SensorOff) => {
                exceptions |= Exceptions::SENSOR_OFF;
                (spo2, rate, pi) = (None, None, None);
            }
            Some(Kind::PulseSearch) => {
                exceptions |= Exceptions::SENSOR_OFF | Exceptions::PULSE_SEARCH;
                (spo2, rate, pi) = (None, None, None);
            }
            Some(Kind::NoRate) => rate = None,
            Some(Kind::NoPerfusion) => {
                exceptions |= Exceptions::LOW_PERFUSION;
                pi = None;
            }
            Some(Kind::LowSignal) => exceptions |= Exceptions::LOW_SIGNAL_IQ,
            None => {}
        }
        let mut readings = vec![(Key::Spo2, spo2), (Key::PulseRate, rate), (Key::Pi, pi)];
        readings.extend([Key::SpCo, Key::SpMet, Key::Desat, Key::PiDelta].map(|key| (key, None)));
        if self.is_colour_radical() {
            readings.extend([Key::SpHb, Key::SpOc, Key::Reserved, Key::Pvi].map(|key| (key, None)));
        }
        Record {
            dialect: Dialect::Ascii1,
            device_at: now.wall + self.clock_error,
            serial: Some(self.serial.clone()),
            readings,
            alarm: Some(0),
            exceptions: Exceptions(exceptions),
            exceptions_1: self.is_colour_radical().then_some(0),
        }
    }

    const fn is_colour_radical(&self) -> bool {
        self.seed % 2 == 1
    }
}

/// What the display rounds to; None for what it cannot show.
fn decimal(value: f64, places: i8) -> Option<Decimal> {
    let scaled = (value * 10f64.powi(i32::from(places))).round();
    // Checked to be small, so the conversion keeps every digit.
    (0.0..100_000.0).contains(&scaled).then(|| Decimal::new(scaled as i64, -places))
}

/// SplitMix64: the same seed makes the same device.
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Mono, Now, PeerOptions, PeerOutput, Physiology};
    use std::time::Duration;

    struct Baby;

    impl Physiology for Baby {
        fn numeric(&self, code: Code, _: Mono) -> Option<f64> {
            [(150_456, 96.6), (149_530, 141.2), (150_488, 1.234)]
                .into_iter()
                .find(|(known, _)| *known == code.0)
                .map(|(_, value)| value)
        }
        fn sample(&self, _: Code, _: Mono) -> Option<f64> {
            None
        }
    }

    fn lines(seed: u64, seconds: u64) -> Vec<String> {
        let options =
            PeerOptions { seed, serial: "145838".to_owned(), bed_label: String::new(), datagram: false };
        let mut peer = super::open(&options);
        let mut lines = Vec::new();
        for second in 0..seconds {
            let now = Now { mono: Mono(second * 1_000_000), wall: crate::model::Wall(1_519_447_733_000_000) }
                .after(Duration::ZERO);
            while let PeerOutput::Transmit { bytes, .. } = peer.poll(now, &Baby) {
                lines.push(String::from_utf8(bytes).unwrap());
            }
        }
        lines
    }

    #[test]
    fn seed_zero_sends_a_whole_line_every_second() {
        let lines = lines(0, 60);
        assert_eq!(lines.len(), 60);
        assert_eq!(
            lines[59],
            "02/24/18 04:48:53 SN=0000145838 SPO2=097% BPM=141 PI=01.23% SPCO=--.-% SPMET=--.-% DESAT=-- PIDELTA=+-- ALARM=0000 EXC=000800\r\n"
        );
    }

    #[test]
    fn any_other_seed_has_the_manners_of_the_recorded_logs() {
        let lines = lines(7, 7200);
        assert!(
            (6400..7000).contains(&lines.len()),
            "{} lines: about one second in fifteen is missing",
            lines.len()
        );
        let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
        assert!(
            count("\r\n\r\n") > 100 && count("SPO2=---%") > 5 && count(" EXC=0000800 EXC1=00000000") > 5000
        );
    }
}
