//! A bed-second in bytes and nanoseconds: 5 waveforms and 40 numerics, as the block holds them, beside plain encodings of the same signals.

use super::nanoseconds;
use crate::figures::Figures;
use cotside_protocol::device::Physiology;
use cotside_protocol::model::{Code, Decimal, Mono, Pace, Provenance, Quality, Site, Wall};
use cotside_protocol::wire::block::{Body, Channel, Decoder, Encoder, Epoch, Header, Sample, Stretch};
use cotside_protocol::wire::topic::Lane;
use cotside_simulators::newborn::Newborn;
use cotside_systemd::clock::Clock;
use std::hint::black_box;

const SECONDS: u64 = 300;
const ORIGIN: Mono = Mono(10_000_000);

/// Code, samples a second, physical units per step: ECG at 5 uV, the others as a 10 to 12 bit converter gives them.
const WAVES: [(u32, u32, f64, &str); 5] = [
    (131_330, 250, 0.005, "mV"),
    (131_329, 250, 0.005, "mV"),
    (150_452, 125, 0.001, "1"),
    (151_552, 62, 0.002, "Ohm"),
    (150_036, 125, 0.1, "mm[Hg]"),
];

pub fn run(clock: &Clock, figures: &mut Figures) {
    let mut baby = Newborn::new(11, ORIGIN, Vec::new());
    let seconds: Vec<(Header, Body, Body)> = (0..SECONDS)
        .map(|second| {
            baby.advance(ORIGIN + std::time::Duration::from_secs(second + 1));
            let header = header(second);
            (
                header,
                Body::Numerics(numerics(&baby, header.mono)),
                Body::Waveforms(waveforms(&baby, header.mono)),
            )
        })
        .collect();

    let mut encoder = Encoder::new();
    let (mut numeric_bytes, mut wave_bytes, mut json_bytes, mut plain_bytes, mut samples) = (0, 0, 0, 0, 0);
    let mut blocks = Vec::new();
    for (header, numerics, waveforms) in &seconds {
        for (lane, body, bytes) in
            [(Lane::Numeric, numerics, &mut numeric_bytes), (Lane::Waveform, waveforms, &mut wave_bytes)]
        {
            let mut block = Vec::new();
            encoder.encode(&Header { lane, ..*header }, body, &mut block);
            *bytes += block.len();
            blocks.push(block);
        }
        json_bytes += json(numerics, waveforms);
        if let Body::Waveforms(stretches) = waveforms {
            let count: usize = stretches.iter().map(|stretch| stretch.samples.len()).sum();
            samples += count;
            plain_bytes += 2 * count;
        }
    }
    let (per_second, per_sample) = (SECONDS as f64, samples as f64);
    let total = (numeric_bytes + wave_bytes) as f64 / per_second;
    figures.beside(
        "bed-second-bytes",
        total,
        "bytes",
        "JSON of the same second",
        json_bytes as f64 / per_second,
    );
    let plain = plain_bytes as f64 / per_sample;
    figures.beside(
        "wave-bytes-per-sample",
        wave_bytes as f64 / per_sample,
        "bytes",
        "16 bit samples, no header",
        plain,
    );
    figures.beside(
        "numeric-bytes-per-value",
        numeric_bytes as f64 / per_second / 40.0,
        "bytes",
        "8 byte float, no code, no time",
        8.0,
    );

    let (header, numerics, waveforms) = &seconds[1];
    let mut out = Vec::with_capacity(4096);
    let encode = nanoseconds(clock, || {
        out.clear();
        encoder.encode(header, numerics, &mut out);
        encoder.encode(header, waveforms, &mut out);
        black_box(&out);
    });
    let mut decoder = Decoder::new();
    for block in &blocks[..2] {
        let _ = decoder.decode(block);
    }
    let decode = nanoseconds(clock, || {
        for block in &blocks[2..4] {
            let _ = black_box(decoder.decode(block));
        }
    });
    let as_json = nanoseconds(clock, || {
        black_box(json(numerics, waveforms));
    });
    figures.beside("bed-second-encode", encode / 1000.0, "us", "writing it as JSON", as_json / 1000.0);
    figures.beside("bed-second-decode", decode / 1000.0, "us", "writing it as JSON", as_json / 1000.0);
}

fn header(second: u64) -> Header {
    Header {
        lane: Lane::Numeric,
        epoch: Epoch(0x5eed_5eed_5eed_5eed),
        seq: second,
        provenance: Provenance::Simulated,
        boot: 0x00c0_ffee,
        mono: Mono(ORIGIN.0 + second * 1_000_000),
        wall: Wall(1_768_360_364_000_000 + second as i64 * 1_000_000),
        span_us: 1_000_000,
    }
}

pub(super) fn waveforms(baby: &Newborn, begin: Mono) -> Vec<Stretch> {
    let stretch = |(code, rate, gain, ucum): (u32, u32, f64, &str)| {
        let period_us = 1_000_000 / rate;
        let sample = |n: u32| {
            let at = Mono(begin.0 + u64::from(n * period_us));
            baby.sample(Code(code), at).map_or(0, |value| (value / gain).round() as i32)
        };
        Stretch {
            channel: Channel { link: 0, code: Code(code), site: Site::Unspecified, setting: false },
            ucum: ucum.to_owned(),
            at_us: 0,
            period_us,
            gain,
            offset: 0.0,
            quality: Quality::GOOD,
            samples: (0..rate).map(sample).collect(),
        }
    };
    WAVES.into_iter().map(stretch).collect()
}

/// Forty numerics a second: a dozen that the baby has, and as many settings and slow values as a ventilated bed shows.
pub(super) fn numerics(baby: &Newborn, at: Mono) -> Vec<Sample> {
    const LIVE: [(u32, i32); 12] = [
        (147_842, 0),
        (149_530, 0),
        (150_456, 0),
        (150_488, -2),
        (151_578, 0),
        (150_037, 0),
        (150_038, 0),
        (150_039, 0),
        (150_388, -1),
        (150_368, -1),
        (149_522, 0),
        (160_300, 0),
    ];
    (0..40u32)
        .map(|n| {
            let (code, exponent) = LIVE.get(n as usize).copied().unwrap_or((200_000 + n, -1));
            // What the baby does not have is a ventilator: it changes every few seconds.
            let slow = f64::from(n) + ((at.0 / 1_000_000 + u64::from(n)) / 7 % 5) as f64 / 10.0;
            let value = baby.numeric(Code(code), at).unwrap_or(slow);
            let mantissa = (value * 10f64.powi(-exponent)).round() as i64;
            Sample {
                channel: Channel { link: 0, code: Code(code), site: Site::Unspecified, setting: n > 30 },
                ucum: "%".into(),
                pace: Pace::Continuous,
                value: Some(Decimal { mantissa, exponent: exponent as i8 }),
                quality: Quality::GOOD,
                at_us: 400_000,
                lag_ms: 0,
            }
        })
        .collect()
}

/// What the same second is as plain JSON, every sample an integer.
fn json(numerics: &Body, waveforms: &Body) -> usize {
    let values: Vec<_> = match numerics {
        Body::Numerics(samples) => samples
            .iter()
            .map(|sample| serde_json::json!({ "code": sample.channel.code.0, "value": sample.value.map(Decimal::to_f64), "ucum": sample.ucum }))
            .collect(),
        Body::Waveforms(_) | Body::Record(_) | Body::Gap(_) => Vec::new(),
    };
    let waves: Vec<_> = match waveforms {
        Body::Waveforms(stretches) => stretches
            .iter()
            .map(|stretch| serde_json::json!({ "code": stretch.channel.code.0, "period_us": stretch.period_us, "gain": stretch.gain, "samples": stretch.samples }))
            .collect(),
        Body::Numerics(_) | Body::Record(_) | Body::Gap(_) => Vec::new(),
    };
    let message =
        serde_json::json!({ "at": 1_768_360_364_000_000u64, "numerics": values, "waveforms": waves });
    message.to_string().len()
}
