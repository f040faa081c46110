//! A bed-second in bytes and nanoseconds: 5 waveforms and 40 numerics, as the block holds them, beside other encodings of the same signals.

use super::{nanoseconds, recorded, rivals};
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
    let seconds = bed();
    let mut encoder = Encoder::new();
    let (mut numeric_bytes, mut wave_bytes, mut json_bytes, mut packed_bytes) = (0, 0, 0, 0);
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
        json_bytes += json(numerics, waveforms).len();
        packed_bytes += rivals::zstd(json(numerics, &Body::Waveforms(Vec::new())).as_bytes(), 19);
    }
    let per_second = SECONDS as f64;
    let total = (numeric_bytes + wave_bytes) as f64 / per_second;
    let as_json = json_bytes as f64 / per_second;
    figures.beside("bed-second-bytes", total, "bytes", "JSON of the same second", as_json);
    let numeric = numeric_bytes as f64 / per_second / 40.0;
    let packed = packed_bytes as f64 / per_second / 40.0;
    figures.beside("numeric-bytes-per-value", numeric, "bytes", "each second's JSON, zstd -19", packed);

    let waves: Vec<Body> = seconds.iter().map(|(_, _, waveforms)| waveforms.clone()).collect();
    beside_rivals("", &waves, figures);
    beside_rivals("archive-", &joined(&waves, 60), figures);
    for (name, waves) in recorded::seconds() {
        beside_rivals(&format!("{name}-"), &waves, figures);
    }

    let (header, numerics, waveforms) = &seconds[1];
    let mut out = Vec::with_capacity(4096);
    // The encoder remembers what served a channel: seconds in turn, as they come.
    let mut turn = 0;
    let mut next = || {
        turn = (turn + 1) % seconds.len();
        &seconds[turn]
    };
    let encode = nanoseconds(clock, || {
        let (header, numerics, waveforms) = next();
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

    let samples = samples(waveforms) as f64;
    let encode = nanoseconds(clock, || {
        let (header, _, waveforms) = next();
        out.clear();
        encoder.encode(header, waveforms, &mut out);
        black_box(&out);
    });
    let decode = nanoseconds(clock, || {
        let _ = black_box(decoder.decode(&blocks[3]));
    });
    let deltas = rivals::delta_varint(waveforms);
    let packed = nanoseconds(clock, || {
        black_box(rivals::zstd(&deltas, 3));
    });
    let _ = header;
    figures.beside("wave-encode", encode / samples, "ns", "zstd -3 of the differences", packed / samples);
    figures.beside("wave-decode", decode / samples, "ns", "zstd -3 of the differences", packed / samples);
}

/// Minutes of a simulated bed, second by second.
fn bed() -> Vec<(Header, Body, Body)> {
    let mut baby = Newborn::new(11, ORIGIN, Vec::new());
    (0..SECONDS)
        .map(|second| {
            baby.advance(ORIGIN + std::time::Duration::from_secs(second + 1));
            let header = header(second);
            let numerics = Body::Numerics(numerics(&baby, header.mono));
            (header, numerics, Body::Waveforms(waveforms(&baby, header.mono)))
        })
        .collect()
}

/// Bytes a sample, blocks and all, and then what other codings make of the same samples without any header.
fn beside_rivals(name: &str, blocks: &[Body], figures: &mut Figures) {
    let mut encoder = Encoder::new();
    let (mut bytes, mut count) = (0, 0);
    for (second, body) in (0..).zip(blocks) {
        let mut block = Vec::new();
        encoder.encode(&Header { lane: Lane::Waveform, ..header(second) }, body, &mut block);
        bytes += block.len();
        count += samples(body);
    }
    let per_sample = |bytes: usize| bytes as f64 / count as f64;
    let own = per_sample(bytes);
    let rivals = rivals::sizes(blocks);
    if let Some(best) = rivals.iter().min_by_key(|rival| rival.bytes) {
        let name = format!("wave-{name}bytes-per-sample");
        figures.beside(&name, own, "bytes", best.words, per_sample(best.bytes));
    }
    for rival in rivals {
        let name = format!("wave-{name}as-{}", rival.name);
        figures.beside(&name, per_sample(rival.bytes), "bytes", "the block, headers and all", own);
    }
}

/// The same stretches, so many blocks as one.
fn joined(blocks: &[Body], many: usize) -> Vec<Body> {
    let join = |blocks: &[Body]| {
        let mut all: Vec<Stretch> = Vec::new();
        for stretch in blocks.iter().flat_map(stretches) {
            match all.iter_mut().find(|known| known.channel == stretch.channel) {
                Some(known) => known.samples.extend_from_slice(&stretch.samples),
                None => all.push(stretch.clone()),
            }
        }
        Body::Waveforms(all)
    };
    blocks.chunks(many).map(join).collect()
}

fn stretches(body: &Body) -> &[Stretch] {
    match body {
        Body::Waveforms(stretches) => stretches,
        Body::Numerics(_) | Body::Record(_) | Body::Gap(_) => &[],
    }
}

fn samples(body: &Body) -> usize {
    stretches(body).iter().map(|stretch| stretch.samples.len()).sum()
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
fn json(numerics: &Body, waveforms: &Body) -> String {
    let values: Vec<_> = match numerics {
        Body::Numerics(samples) => samples
            .iter()
            .map(|sample| serde_json::json!({ "code": sample.channel.code.0, "value": sample.value.map(Decimal::to_f64), "ucum": sample.ucum }))
            .collect(),
        Body::Waveforms(_) | Body::Record(_) | Body::Gap(_) => Vec::new(),
    };
    let waves: Vec<_> = stretches(waveforms)
        .iter()
        .map(|stretch| serde_json::json!({ "code": stretch.channel.code.0, "period_us": stretch.period_us, "gain": stretch.gain, "samples": stretch.samples }))
        .collect();
    let message =
        serde_json::json!({ "at": 1_768_360_364_000_000u64, "numerics": values, "waveforms": waves });
    message.to_string()
}
