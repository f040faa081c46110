//! What other codings make of the same samples: sizes only, without headers, each block on its own.

use cotside_protocol::wire::block::{Body, Stretch};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Another coding, and what it takes.
pub(super) struct Rival {
    pub(super) name: &'static str,
    pub(super) words: &'static str,
    pub(super) bytes: usize,
}

pub(super) fn sizes(blocks: &[Body]) -> Vec<Rival> {
    let over = |size: &dyn Fn(&Body) -> usize| blocks.iter().map(size).sum::<usize>();
    let traces = |size: fn(&[i32]) -> usize| {
        over(&|block| stretches(block).iter().map(|stretch| size(&stretch.samples)).sum())
    };
    let rival = |name, words, bytes| Rival { name, words, bytes };
    let message_pack = |samples: &[i32]| samples.iter().map(|sample| message_pack(*sample)).sum();
    let mut sizes = vec![
        rival("raw", "16 bit samples", traces(|samples| 2 * samples.len())),
        rival("message-pack", "MessagePack", traces(message_pack)),
        rival("varint", "differences as varints", over(&|block| delta_varint(block).len())),
        rival("zstd-3", "differences, zstd -3", over(&|block| zstd(&delta_varint(block), 3))),
        rival("zstd-19", "differences, zstd -19", over(&|block| zstd(&delta_varint(block), 19))),
        rival("rice", "polynomials and Rice codes", traces(rice)),
    ];
    sizes.extend(flac(blocks).map(|bytes| rival("flac-8", "FLAC -8, frames of a block", bytes)));
    sizes
}

fn stretches(body: &Body) -> &[Stretch] {
    match body {
        Body::Waveforms(stretches) => stretches,
        Body::Numerics(_) | Body::Record(_) | Body::Gap(_) => &[],
    }
}

const fn message_pack(sample: i32) -> usize {
    match sample {
        -32..=127 => 1,
        -128..=255 => 2,
        -32_768..=65_535 => 3,
        _ => 5,
    }
}

/// Zigzag differences as LEB128, stretch after stretch.
pub(super) fn delta_varint(block: &Body) -> Vec<u8> {
    let mut out = Vec::new();
    for stretch in stretches(block) {
        let mut before = 0i64;
        for sample in &stretch.samples {
            let difference = i64::from(*sample) - before;
            before = i64::from(*sample);
            let mut rest = (difference << 1 ^ difference >> 63) as u64;
            while rest >= 0x80 {
                out.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            out.push(rest as u8);
        }
    }
    out
}

pub(super) fn zstd(bytes: &[u8], level: i32) -> usize {
    zstd::bulk::compress(bytes, level).map_or(usize::MAX, |packed| packed.len())
}

/// The best of four fixed polynomials, and the best Rice parameter for every 64 residuals: FLAC's simplest way, without its frames.
fn rice(samples: &[i32]) -> usize {
    const PARTITION: usize = 64;
    let residuals = |order: usize| -> Vec<i64> {
        let mut row: Vec<i64> = samples.iter().map(|sample| i64::from(*sample)).collect();
        for _ in 0..order {
            row = row.windows(2).map(|pair| pair[1] - pair[0]).collect();
        }
        row
    };
    let Some(best) = (0..4)
        .map(residuals)
        .min_by_key(|row| row.iter().map(|residual| residual.unsigned_abs()).sum::<u64>())
    else {
        return 0;
    };
    let warm_up = 16 * (samples.len() - best.len()) as u64;
    let partition = |part: &[i64]| {
        let cost = |k: u32| -> u64 {
            part.iter()
                .map(|residual| ((residual << 1 ^ residual >> 63) as u64 >> k) + 1 + u64::from(k))
                .sum()
        };
        5 + (0..28).map(cost).min().unwrap_or(0)
    };
    (warm_up + best.chunks(PARTITION).map(partition).sum::<u64>()).div_ceil(8) as usize
}

/// The FLAC program's own coder, if it is installed; blocks of up to 4096 samples are one frame.
fn flac(blocks: &[Body]) -> Option<usize> {
    const STREAM_HEAD: usize = 42;
    let first = stretches(blocks.first()?);
    let mut total = 0;
    for at in 0..first.len() {
        let traces: Vec<&Stretch> = blocks.iter().filter_map(|block| stretches(block).get(at)).collect();
        let length = traces.first()?.samples.len();
        let bytes: Vec<u8> = traces
            .iter()
            .flat_map(|stretch| &stretch.samples)
            .flat_map(|sample| (*sample).clamp(-32_768, 32_767).to_le_bytes().into_iter().take(2))
            .collect();
        let mut flac = Command::new("flac")
            .args(["-8", "--lax", "--totally-silent", "--no-padding", "--no-seektable", "--force-raw-format"])
            .args(["--endian=little", "--sign=signed", "--channels=1", "--bps=16", "--sample-rate=8000"])
            .args(["--blocksize", &length.clamp(16, 4096).to_string(), "--stdout", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut input = flac.stdin.take()?;
        let writer = std::thread::spawn(move || input.write_all(&bytes));
        let output = flac.wait_with_output().ok()?;
        let is_written = writer.join().is_ok_and(|written| written.is_ok());
        if !is_written || !output.status.success() {
            return None;
        }
        total += output.stdout.len().saturating_sub(STREAM_HEAD);
    }
    Some(total)
}
