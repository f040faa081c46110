//! What the simulated monitor measures: its objects, their contexts, and their values taken from a body.

use super::super::attribute::{
    AlertEntry, Float, MetricSpec, NumericValue, SampleSpec, Scale, State, WaveValue, id, put_text,
    put_wall_time,
};
use super::super::lists::emit_attributes;
use super::super::message::class;
use super::super::octets::{put_list, put_u16, put_u32};
use crate::device::Physiology;
use crate::model::{Code, DeviceText, Mono, Now};
use std::time::Duration;

/// A cuff inflates this often.
const CUFF_EVERY: Duration = Duration::from_secs(300);
pub(super) const BLOCK_TICKS: u32 = 2048;

/// One value of a numeric object: physio id, and the codes under which a body may know it.
struct Part {
    physio: u16,
    codes: &'static [u32],
}

struct NumericObject {
    handle: u16,
    label: u32,
    text: &'static str,
    ucum: u16,
    places: i8,
    is_cuff: bool,
    parts: &'static [Part],
}

const fn part(physio: u16, codes: &'static [u32]) -> Part {
    Part { physio, codes }
}

const fn numeric(
    handle: u16,
    label: u32,
    text: &'static str,
    ucum: u16,
    places: i8,
    parts: &'static [Part],
) -> NumericObject {
    NumericObject { handle, label, text, ucum, places, is_cuff: label == 0x0002_4A04, parts }
}

#[rustfmt::skip]
const NUMERICS: &[NumericObject] = &[
    numeric(0x82CF, 0x0002_4182, "HR",       0x0AA0, 0, &[part(0x4182, &[147_842])]),
    numeric(0x82D6, 0x0002_500A, "RR",       0x0AE0, 0, &[part(0x500A, &[151_562, 151_578])]),
    numeric(0x8400, 0x0002_4BB8, "SpO\u{2082}", 0x0220, 0, &[part(0x4BB8, &[150_456])]),
    numeric(0x8406, 0x0002_4822, "Pulse",    0x0AA0, 0, &[part(0x4822, &[149_530])]),
    numeric(0x840A, 0x0002_4BB0, "Perf",     0x0200, 2, &[part(0x4BB0, &[150_448, 150_488])]),
    numeric(0x8420, 0x0002_F1C0, "SpO\u{2082}pr", 0x0220, 0, &[part(0xF1C0, &[160_296])]),
    numeric(0x8440, 0x0002_F1D4, "SpO\u{2082}po", 0x0220, 0, &[part(0xF1D4, &[160_300])]),
    numeric(0x8500, 0x0002_4A14, "ABP",      0x0F20, 0, &[
        part(0x4A15, &[150_037]), part(0x4A16, &[150_038]), part(0x4A17, &[150_039]),
    ]),
    numeric(0x8520, 0x0002_4A28, "UAP",      0x0F20, 0, &[
        part(0x4A29, &[150_057]), part(0x4A2A, &[150_058]), part(0x4A2B, &[150_059]),
    ]),
    numeric(0x8272, 0x0002_4A04, "NBP",      0x0F20, 0, &[
        part(0x4A05, &[150_021]), part(0x4A06, &[150_022]), part(0x4A07, &[150_023]),
    ]),
    numeric(0x8600, 0x0002_4B74, "Tskin",    0x17A0, 1, &[part(0x4B74, &[150_388])]),
    numeric(0x8604, 0x0002_4B60, "Tcore",    0x17A0, 1, &[part(0x4B60, &[150_368])]),
    numeric(0x8700, 0x0002_50B0, "etCO\u{2082}", 0x0F20, 0, &[part(0x50B0, &[151_728])]),
    numeric(0x8720, 0x0002_50CC, "tcpCO\u{2082}", 0x0F20, 0, &[part(0x50CC, &[151_756])]),
];

struct WaveObject {
    handle: u16,
    label: u32,
    text: &'static str,
    spec: SampleSpec,
    period_ticks: u32,
    ucum: u16,
    scale: Scale,
    leads: &'static [Part],
}

const fn scale(lower: Float, upper: Float, lower_sample: u16, upper_sample: u16) -> Scale {
    Scale { lower, upper, lower_sample, upper_sample }
}

const fn spec(array: u16, significant_bits: u8, flags: u16) -> SampleSpec {
    SampleSpec { array, sample_bits: 16, significant_bits, flags }
}

#[rustfmt::skip]
/// As an MP70 declares them. The pleth has no scale: it is drawn around the middle of its range.
const WAVES: &[WaveObject] = &[
    WaveObject {
        handle: 714, label: 0x0002_0100, text: "ECG", spec: spec(64, 14, 0x3000), period_ticks: 32, ucum: 0x10B2,
        scale: scale(Float::new(-4096, -2), Float::new(40_955, -3), 0, 0x3FFF),
        leads: &[part(0x0102, &[131_330, 131_328]), part(0x0101, &[131_329]), part(0x013D, &[131_389])],
    },
    WaveObject {
        handle: 1026, label: 0x0002_4BB4, text: "Pleth", spec: spec(32, 12, 0x8000), period_ticks: 64, ucum: 0x0200,
        scale: scale(Float::NAN, Float::NAN, 0, 0x0FFF),
        leads: &[part(0x4BB4, &[150_452])],
    },
    WaveObject {
        handle: 1280, label: 0x0002_4A14, text: "ABP", spec: spec(32, 13, 0xA000), period_ticks: 64, ucum: 0x0F20,
        scale: scale(Float::new(-40, 0), Float::new(520, 0), 0x00A0, 0x23A0),
        leads: &[part(0x4A14, &[150_036])],
    },
    WaveObject {
        handle: 726, label: 0x0002_5000, text: "Resp", spec: spec(16, 12, 0x8000), period_ticks: 128, ucum: 0x10C0,
        scale: scale(Float::new(-6, -1), Float::new(19, -1), 0, 0x0FFF),
        leads: &[part(0x5000, &[151_552])],
    },
    WaveObject {
        handle: 1792, label: 0x0002_50AC, text: "CO\u{2082}", spec: spec(16, 12, 0x8000), period_ticks: 128, ucum: 0x0F20,
        scale: scale(Float::new(-5, 0), Float::new(60, 0), 0x0064, 0x0FA0),
        leads: &[part(0x50AC, &[151_724])],
    },
];

/// One object of a reply, written: its context id and its bytes.
pub(super) type Written = (u16, Vec<u8>);

/// All objects are in the monitor's one context.
const CONTEXT: u16 = 1;

/// What has been measured so far.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// Objects once connected to the body: they stay, and turn invalid.
    seen: Vec<u16>,
    /// When the cuff was last read, and what it read.
    cuff: Option<(Now, Vec<u8>)>,
}

impl Measured {
    /// The numeric objects, with the groups asked for.
    pub(super) fn numerics(
        &mut self,
        now: Now,
        body: &dyn Physiology,
        with_context: bool,
        with_values: bool,
    ) -> Vec<Written> {
        let mut written = Vec::new();
        for object in NUMERICS {
            let is_connected = object.parts.iter().any(|part| part.value(body, now.mono).is_some());
            if is_connected && !self.seen.contains(&object.handle) {
                self.seen.push(object.handle);
            }
            if !self.seen.contains(&object.handle) {
                continue;
            }
            let mut attributes: Vec<(u16, Vec<u8>)> = Vec::new();
            if with_context {
                attributes.extend(object.context());
            }
            if with_values {
                let mut value = object.values(body, now.mono);
                if object.is_cuff {
                    let is_due =
                        self.cuff.as_ref().is_none_or(|(read, _)| now.mono.since(read.mono) >= CUFF_EVERY);
                    if is_due {
                        self.cuff = Some((now, std::mem::take(&mut value)));
                    }
                    let Some((read, kept)) = &self.cuff else { continue };
                    let mut stamp = Vec::new();
                    put_wall_time(&mut stamp, read.wall);
                    value = kept.clone();
                    attributes.push((id::ABSOLUTE_STAMP, stamp));
                }
                let form = if object.parts.len() > 1 { id::COMPOUND } else { id::NUMERIC };
                attributes.push((form, value));
            }
            written.push(object_of(object.handle, &attributes));
        }
        written
    }
}

impl Part {
    fn value(&self, body: &dyn Physiology, at: Mono) -> Option<f64> {
        self.codes.iter().find_map(|code| body.numeric(Code(*code), at))
    }

    fn sample(&self, body: &dyn Physiology, at: Mono) -> Option<f64> {
        self.codes.iter().find_map(|code| body.sample(Code(*code), at))
    }
}

impl NumericObject {
    fn context(&self) -> Vec<(u16, Vec<u8>)> {
        let mut spec = Vec::new();
        let access = if self.is_cuff { 0x5228 } else { 0x4228 };
        MetricSpec { update_ticks: 8192, category: 1, access }.emit(self.parts.len() as u8, &mut spec);
        vec![
            (id::HANDLE, self.handle.to_be_bytes().to_vec()),
            (id::TYPE, vec![0, 1, 0, class::NUMERIC as u8]),
            (id::METRIC, spec),
            (id::LABEL, self.label.to_be_bytes().to_vec()),
            (id::LABEL_TEXT, text(self.text)),
        ]
    }

    fn values(&self, body: &dyn Physiology, at: Mono) -> Vec<u8> {
        let one = |part: &Part, out: &mut Vec<u8>| {
            let value = part.value(body, at).map(|value| {
                let scaled = (value * 10f64.powi(i32::from(self.places))).round();
                Float::new(scaled.clamp(-8e6, 8e6) as i32, -self.places)
            });
            let state = State(if value.is_some() { 0 } else { 0x8000 });
            let value = value.unwrap_or(Float::NAN);
            NumericValue { physio: part.physio, state, ucum: self.ucum, value }.emit(out);
        };
        let mut out = Vec::new();
        if let [single] = self.parts {
            one(single, &mut out);
        } else {
            put_list(&mut out, |out| {
                self.parts.iter().for_each(|part| one(part, out));
                self.parts.len() as u16
            });
        }
        out
    }
}

/// One block of every wave asked for, beginning at `begin`; `context_of` is the turn whose context comes along.
pub(super) fn wave_block(
    body: &dyn Physiology,
    begin: Mono,
    labels: Option<&[u32]>,
    context_of: Option<usize>,
    with_values: bool,
) -> Vec<Written> {
    let chosen: Vec<_> = WAVES
        .iter()
        .filter(|wave| labels.is_none_or(|labels| labels.contains(&wave.label)))
        .filter(|wave| wave.leads.iter().any(|lead| lead.sample(body, begin).is_some()))
        .collect();
    let turns = chosen.len().max(1);
    let mut written = Vec::new();
    for (turn, wave) in chosen.iter().enumerate() {
        let mut attributes = Vec::new();
        if context_of.is_some_and(|asked| asked % turns == turn) {
            attributes.extend(wave.context());
        }
        if with_values {
            attributes.push(wave.values(body, begin));
        }
        if !attributes.is_empty() {
            written.push(object_of(wave.handle, &attributes));
        }
    }
    written
}

impl WaveObject {
    fn context(&self) -> Vec<(u16, Vec<u8>)> {
        let (mut metric, mut spec, mut scale, mut fixed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        MetricSpec { update_ticks: BLOCK_TICKS, category: 1, access: 0x4280 }
            .emit(self.leads.len() as u8, &mut metric);
        self.spec.emit(&mut spec);
        self.scale.emit(&mut scale);
        // Saturated, defibrillator, pacer: as a real ECG declares them.
        put_list(&mut fixed, |out| {
            for word in [4, 0x8000, 3, 0x4001, 2, 0x8004] {
                put_u16(out, word);
            }
            3
        });
        let mut attributes = vec![
            (id::HANDLE, self.handle.to_be_bytes().to_vec()),
            (id::TYPE, vec![0, 1, 0, class::WAVE as u8]),
            (id::METRIC, metric),
            (id::SAMPLES, spec),
        ];
        if self.leads.len() > 1 {
            attributes.push((id::FIXED, fixed));
        }
        attributes.extend([
            (id::PERIOD, self.period_ticks.to_be_bytes().to_vec()),
            (id::LABEL, self.label.to_be_bytes().to_vec()),
            (id::LABEL_TEXT, text(self.text)),
            (id::UCUM, self.ucum.to_be_bytes().to_vec()),
            (id::METRIC_STATE, vec![0, 0]),
            (id::SCALE, scale),
        ]);
        attributes
    }

    fn values(&self, body: &dyn Physiology, begin: Mono) -> (u16, Vec<u8>) {
        let count = BLOCK_TICKS / self.period_ticks;
        let mut out = Vec::new();
        let one = |lead: &Part, out: &mut Vec<u8>| {
            let mut samples = Vec::with_capacity(count as usize * 2);
            let mut state = State(0);
            for at in 0..count {
                let after = Duration::from_micros(u64::from(at * self.period_ticks) * 125);
                let sample = lead.sample(body, begin + after).map(|value| self.raw(value));
                if sample.is_none() {
                    state = State(0x8000);
                }
                put_u16(&mut samples, sample.unwrap_or(self.scale.lower_sample));
            }
            WaveValue { physio: lead.physio, state, samples: &samples }.emit(out);
        };
        if let [single] = self.leads {
            one(single, &mut out);
            return (id::WAVE, out);
        }
        put_list(&mut out, |out| {
            let connected = self.leads.iter().filter(|lead| lead.sample(body, begin).is_some());
            connected.map(|lead| one(lead, out)).count() as u16
        });
        (id::WAVE_COMPOUND, out)
    }

    fn raw(&self, physical: f64) -> u16 {
        let sample = match self.scale.line() {
            Some((gain, offset)) => (physical - offset) / gain,
            None => f64::from(self.scale.upper_sample) * (0.5 + physical / 4.0),
        };
        sample.round().clamp(0.0, f64::from((1_u16 << self.spec.significant_bits) - 1)) as u16
    }
}

/// The alert monitor with its two lists.
pub(super) fn alerts(body: &dyn Physiology, at: Mono) -> Written {
    let value = |code| body.numeric(Code(code), at);
    let low = |code, limit| value(code).is_some_and(|found| found < limit);
    let high = |code, limit| value(code).is_some_and(|found| found > limit);
    let alert = |source, code, kind, handle, text: &str| AlertEntry {
        source,
        code,
        kind,
        state: 0,
        class: class::NUMERIC,
        context: CONTEXT,
        handle,
        instance: 0,
        text: DeviceText::new(text),
    };
    let mut list = Vec::new();
    if low(150_456, 85.0) {
        list.push(alert(0x4BB8, 0x003E, 0x0200, 0x8400, "** SpO\u{2082} LOW"));
    }
    if low(147_842, 80.0) {
        list.push(alert(0x4182, 0xF146, 0x0400, 0x82CF, "***BRADY"));
    }
    if high(147_842, 210.0) {
        list.push(alert(0x4182, 0x0028, 0x0200, 0x82CF, "** HR HIGH"));
    }
    if low(151_562, 1.0) {
        list.push(alert(0x500A, 0x0C00, 0x0400, 0x82D6, "***APNEA"));
    }
    let entries = |list: &[AlertEntry]| {
        let mut out = Vec::new();
        put_list(&mut out, |out| {
            list.iter().for_each(|entry| entry.emit(out));
            list.len() as u16
        });
        out
    };
    let mut state = Vec::new();
    put_u16(&mut state, 0);
    put_u32(&mut state, 0);
    put_u32(&mut state, 0);
    object_of(
        0x8401,
        &[
            (id::ALERT_STATE, state),
            (id::ALERTS_PATIENT, entries(&list)),
            (id::ALERTS_TECHNICAL, entries(&[])),
        ],
    )
}

pub(super) fn object_of(handle: u16, attributes: &[(u16, Vec<u8>)]) -> Written {
    let mut out = Vec::new();
    put_u16(&mut out, handle);
    let borrowed: Vec<_> = attributes.iter().map(|(id, value)| (*id, value.as_slice())).collect();
    emit_attributes(&borrowed, &mut out);
    (CONTEXT, out)
}

pub(super) fn text(words: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_text(&mut out, words);
    out
}
