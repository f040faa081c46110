//! What a block promises: it comes back as it was, it is small, and no bytes can break the decoder.

use super::*;
use crate::model::NO_SAMPLE;
use proptest::prelude::*;

fn header(lane: Lane, seq: u64, mono: u64) -> Header {
    Header {
        lane,
        epoch: Epoch(0x0123_4567_89ab_cdef),
        seq,
        provenance: Provenance::Simulated,
        boot: 7,
        mono: Mono(mono),
        wall: Wall(1_768_360_364_123_456),
        span_us: 1_000_000,
    }
}

fn sample(code: u32, at_us: u32, mantissa: Option<i64>) -> Sample {
    Sample {
        channel: Channel { link: 0, code: Code(code), site: Site::Unspecified, setting: false },
        ucum: "%".into(),
        pace: Pace::Continuous,
        value: mantissa.map(|mantissa| Decimal { mantissa, exponent: -1 }),
        quality: Quality::GOOD,
        at_us,
        lag_ms: 0,
    }
}

fn stretch(samples: Vec<i32>) -> Stretch {
    Stretch {
        channel: Channel { link: 1, code: Code(131_330), site: Site::Numbered(2), setting: false },
        ucum: "mV".into(),
        at_us: -3,
        period_us: 4000,
        gain: 0.005,
        offset: -40.96,
        quality: Quality::QUESTIONABLE,
        samples,
    }
}

fn round_trip(header: Header, body: &Body) -> Body {
    let mut bytes = vec![0xa5; 3];
    Encoder::new().encode(&header, body, &mut bytes);
    let (block, consumed) = Decoder::new().decode(&bytes[3..]).unwrap();
    assert_eq!((block.header, consumed), (header, bytes.len() - 3));
    assert_eq!(peek(&bytes[3..]).unwrap(), (header, bytes.len() - 3));
    block.body
}

#[test]
fn every_body_comes_back_as_it_was() {
    let gap = Gap {
        cause: GapCause::DroppedByPolicy,
        link: Some(3),
        from: Wall(-5),
        to: Wall(1 << 50),
        seqs: Some((10, 20)),
        count: Some(0),
    };
    for body in [
        Body::Numerics(vec![sample(1, 0, Some(970)), sample(2, 0, None), sample(1, 500_000, Some(965))]),
        Body::Waveforms(vec![
            stretch(vec![1, 2, NO_SAMPLE, NO_SAMPLE, i32::MAX, -i32::MAX, 0]),
            stretch(vec![]),
        ]),
        Body::Record("{\"type\":\"stopped\",\"clean\":true}".into()),
        Body::Gap(gap),
    ] {
        assert_eq!(round_trip(header(Lane::Alarm, 9, 5), &body), body);
    }
}

#[test]
fn a_delta_names_its_key_frame_and_needs_it() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    let (mut key, mut delta) = (Vec::new(), Vec::new());
    let forty = |add: i64| (0..40).map(|code| sample(code, 0, Some(900 + add))).collect();
    encoder.encode(&header(Lane::Numeric, 1, 0), &Body::Numerics(forty(0)), &mut key);
    let changed = Body::Numerics(forty(1));
    encoder.encode(&header(Lane::Numeric, 2, 1_000_000), &changed, &mut delta);
    assert!(is_key(&key).unwrap() && !is_key(&delta).unwrap());
    assert_eq!(key_seq(&delta).unwrap(), Some(1));
    assert!(matches!(decoder.decode(&delta), Err(BlockError::KeyMissing { seq: 1, .. })));
    decoder.decode(&key).unwrap();
    assert_eq!(decoder.decode(&delta).unwrap().0.body, changed);
    assert!(delta.len() < 100, "{}", delta.len());
}

#[test]
fn a_new_channel_a_new_minute_and_a_restart_each_write_a_key_frame() {
    let mut encoder = Encoder::new();
    let is_key_at = |encoder: &mut Encoder, seq: u64, mono: u64, code: u32| {
        let mut bytes = Vec::new();
        encoder.encode(
            &header(Lane::Numeric, seq, mono),
            &Body::Numerics(vec![sample(code, 0, Some(1))]),
            &mut bytes,
        );
        is_key(&bytes).unwrap()
    };
    assert!(is_key_at(&mut encoder, 0, 0, 1));
    assert!(!is_key_at(&mut encoder, 1, 59_999_999, 1));
    assert!(is_key_at(&mut encoder, 2, 60_000_000, 1));
    assert!(is_key_at(&mut encoder, 3, 61_000_000, 2));
    encoder.restart();
    assert!(is_key_at(&mut encoder, 4, 62_000_000, 2));
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Two leads, the second alike; a constant with a hole and a wild sample; forms of every kind of number; segments.
fn golden_stretches() -> Vec<Stretch> {
    let beat = |n: i32| [0, 3, 9, 4, -20, 90, 700, -310, -40, 2, 8, 15, 22, 18, 9, 1][n as usize % 16];
    let lead = |size: i32| (0..300).map(|n| 8192 + beat(n) * size / 8 + n * 7919 % 5).collect();
    let other = |code: u32, samples: Vec<i32>| Stretch {
        channel: Channel { link: 1, code: Code(code), site: Site::Unspecified, setting: false },
        ucum: "furlong".into(),
        at_us: 77_000,
        period_us: 16_000,
        gain: 1.0 / 1638.0,
        offset: std::f64::consts::PI,
        quality: Quality::GOOD,
        samples,
    };
    let mut constant = vec![2048; 40];
    (constant[7], constant[8], constant[30]) = (NO_SAMPLE, NO_SAMPLE, i32::MAX);
    let second =
        Stretch { channel: Channel { code: Code(131_329), ..stretch(vec![]).channel }, ..stretch(lead(5)) };
    vec![stretch(lead(8)), second, other(151_552, constant), other(150_452, vec![-1]), other(1, vec![])]
}

#[test]
fn released_bytes_still_read() {
    let rice = Body::Waveforms(vec![stretch((0..80).map(|n| n * n % 97).collect())]);
    assert_eq!(Decoder::new().decode(&hex(GOLDEN_RICE)).unwrap().0.body, rice);
    let waveforms = Body::Waveforms(golden_stretches());
    assert_eq!(Decoder::new().decode(&hex(GOLDEN_WAVEFORMS)).unwrap().0.body, waveforms);
}

#[test]
fn what_is_written_today_is_what_was_released() {
    let mut bytes = Vec::new();
    let body = Body::Waveforms(golden_stretches());
    Encoder::new().encode(&header(Lane::Waveform, 300, 77), &body, &mut bytes);
    let written: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let golden: String = hex(GOLDEN_WAVEFORMS).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(written, golden, "the encoder may choose otherwise, the bytes of a choice may not change");
}

/// A block of shape 2, and one of shape 5.
const GOLDEN_RICE: &str = include_str!("golden-v1-rice.hex");
const GOLDEN_WAVEFORMS: &str = include_str!("golden-v1-waveforms.hex");

#[test]
fn groups_with_masks_of_the_changed_still_read() {
    // A dictionary of nine channels; all told in full, then the same channels with two changes, then one channel alone.
    let mut key = Writer(vec![9]);
    for code in 0..9 {
        key.fixed(&[0, code, 0, 0, 1, b'%']);
    }
    key.fixed(&[3, 0, 0, 0, 0xff, 0x01, 0xff, 0x01]);
    (0..9u8).for_each(|code| key.fixed(&[1, 1, 0xff, 2 * code]));
    key.fixed(&[5, 2, 1, 0x02, 0x01, 4 << 1, 1 << 1]);
    key.fixed(&[5, 0, 0, 0x08, 0x00, 0x01, 1, 2 << 1]);
    let mut bytes = Vec::new();
    write_block(&header(Lane::Numeric, 1, 0), Shape::NumericsKey, &key.0, &mut bytes);
    let Body::Numerics(samples) = Decoder::new().decode(&bytes).unwrap().0.body else { panic!() };
    assert_eq!(samples.len(), 19);
    let mantissas = |range: std::ops::Range<usize>| -> Vec<Option<i64>> {
        samples[range].iter().map(|sample| sample.value.map(|value| value.mantissa)).collect()
    };
    assert_eq!(mantissas(0..9), (0..9).map(Some).collect::<Vec<_>>());
    assert_eq!(mantissas(9..18), [0, 3, 2, 3, 4, 5, 6, 7, 7].map(Some));
    assert_eq!((samples[18].value, samples[18].quality, samples[18].at_us), (None, Quality(2), 10));
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let value = proptest::option::of((prop_oneof![-2000i64..2000, any::<i64>()], -3i8..3));
    (0u32..6, 0u32..4, 0u32..3, value, 0u16..4).prop_map(|(code, at, lag, value, quality)| Sample {
        value: value.map(|(mantissa, exponent)| Decimal { mantissa, exponent }),
        quality: Quality(quality),
        lag_ms: lag,
        ..sample(code, at * 250_000, None)
    })
}

fn any_trace() -> impl Strategy<Value = Vec<i32>> {
    let point = prop_oneof![8 => -300i32..300, 1 => any::<i32>(), 1 => Just(NO_SAMPLE)];
    proptest::collection::vec(point, 0..400)
}

proptest! {
    #[test]
    fn any_numerics_come_back(samples in proptest::collection::vec(any_sample(), 0..40)) {
        let sorted = |mut samples: Vec<Sample>| {
            samples.sort_by_key(|sample| (sample.at_us, sample.lag_ms, sample.channel));
            samples
        };
        let Body::Numerics(back) = round_trip(header(Lane::Numeric, 1, 2), &Body::Numerics(samples.clone())) else {
            panic!("numerics stay numerics");
        };
        prop_assert_eq!(sorted(back), sorted(samples));
    }

    #[test]
    fn any_waveform_comes_back(trace in any_trace()) {
        let body = Body::Waveforms(vec![stretch(trace)]);
        prop_assert_eq!(round_trip(header(Lane::Waveform, 1, 2), &body), body);
    }

    #[test]
    fn any_number_comes_back(bits: u64, above in -10_000i32..10_000, below in 1i32..5000) {
        for value in [f64::from_bits(bits), f64::from(above) / f64::from(below), f64::from(above) / 1000.0] {
            let mut writer = Writer(Vec::new());
            number::write_number(value, &mut writer);
            prop_assert_eq!(number::read_number(&mut Reader(&writer.0)).unwrap().to_bits(), value.to_bits());
        }
    }

    #[test]
    fn a_damaged_block_is_refused(trace in any_trace(), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut bytes = Vec::new();
        Encoder::new().encode(&header(Lane::Waveform, 1, 2), &Body::Waveforms(vec![stretch(trace)]), &mut bytes);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(Decoder::new().decode(&bytes).is_err());
    }

    #[test]
    fn no_content_breaks_the_decoder(shape in 0u8..7, content in proptest::collection::vec(any::<u8>(), 0..300)) {
        // A right checksum over random content reaches every corner of the body decoders.
        let mut bytes = vec![VERSION, shape | 1 << 4];
        let head = [0u8; 17];
        let mut writer = Writer(std::mem::take(&mut bytes));
        writer.varint((head.len() + content.len()) as u64);
        writer.fixed(&head);
        writer.fixed(&content);
        let checksum = crc32c::crc32c(&writer.0);
        writer.fixed(&checksum.to_le_bytes());
        let _ = Decoder::new().decode(&writer.0);
        let _ = extents(&writer.0);
    }
}

proptest! {
    // Each case is hundreds of samples under every plan.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_leads_come_back_however_long_the_stream(
        traces in proptest::collection::vec(any_trace(), 1..6),
        wild in proptest::collection::vec(any::<i32>(), 1..40),
        length in 0usize..600,
    ) {
        // The encoder's memory of one block must never matter to the next.
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let cut = |trace: &Vec<i32>| stretch(trace.iter().copied().cycle().take(length * trace.len().min(1)).collect());
        let bodies = [traces.iter().map(cut).collect(), vec![cut(&wild), cut(&wild)], golden_stretches()];
        for body in bodies.into_iter().map(Body::Waveforms) {
            let mut bytes = Vec::new();
            encoder.encode(&header(Lane::Waveform, 1, 2), &body, &mut bytes);
            let (header, found) = extents(&bytes).unwrap().unwrap();
            let block = decoder.decode(&bytes).unwrap().0;
            prop_assert_eq!((block.header, &block.body), (header, &body));
            // Where the samples lie is said before them.
            let Body::Waveforms(stretches) = body else { unreachable!() };
            let expected: Vec<_> = stretches.iter().map(Stretch::extent).collect();
            prop_assert_eq!(found, expected);
        }
    }
}

/// What `docs/block-tables.md` prints is what the coder uses.
#[test]
fn the_published_tables_are_those_of_the_coder() {
    let page = include_str!("../../../../docs/block-tables.md");
    let row = |line: &str| -> Option<Vec<i32>> {
        let (number, row) = line.strip_prefix("    ")?.split_once(':')?;
        number.trim().parse::<u8>().ok()?;
        row.split_whitespace().map(|cell| cell.parse().ok()).collect()
    };
    let mut rows = page.lines().filter_map(row);
    for filter in predictor::FILTERS {
        assert_eq!(rows.next().unwrap(), filter.map(i32::from));
    }
    for table in surprise_tables::FREQUENCIES.iter().flatten() {
        assert_eq!(rows.next().unwrap(), table.map(i32::from));
    }
    assert_eq!(rows.next(), None);
}
