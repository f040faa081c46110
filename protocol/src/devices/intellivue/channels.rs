//! From objects to events: what is known of each object (label, scale, period), and its values in the model's words.
//!
//! A context arrives rarely, values often and without it. Until the label of an object is known its numbers are held back, because
//! a setting may go under the id of a measurement; until its scale is known a wave is not drawn.

use super::attribute::{
    FixedValues, MetricSpec, NumericValue, SampleSpec, Scale, WaveValue, compound, id, wall_time,
};
use super::clock::{Clock, TICK_US};
use super::lists::{Attributes, Observed};
use super::message::{Reply, class};
use super::octets::Reader;
use super::params::{Meaning, may_be_setting, meaning, ucum};
use crate::model::{Code, Event, Kind, Mono, NO_SAMPLE, Numeric, Pace, Quality, Site, Waveform};
use std::collections::BTreeMap;
use std::time::Duration;

/// A monitor has some hundred objects; more than this is not a monitor.
const CONTEXTS_MAX: usize = 1024;
const SEATS_MAX: usize = 512;
/// A channel unheard for so long gives up its number among its equals.
const SEAT_HELD: Duration = Duration::from_secs(10);
/// A wave's begin follows its own count of samples while it stays this close to the clock's estimate.
const DRIFT_MAX: Duration = Duration::from_millis(100);

/// Class, context and handle: the only name of an object, valid until the label under it changes.
type Key = (u16, u16, u16);

#[derive(Debug)]
pub(super) struct Channels {
    contexts: BTreeMap<Key, Context>,
    seats: Vec<Seat>,
    /// The pace of what is not episodic, by the averaging in force.
    pub(super) pace: Pace,
    /// Numbers without a known label are held back (else only those that may be settings).
    pub(super) is_strict: bool,
    /// The monitor as a whole is in demonstration mode.
    pub(super) is_demo: bool,
    /// Something was held back for want of its context.
    pub(super) is_wanting: bool,
}

#[derive(Debug, Default)]
struct Context {
    label: Option<u32>,
    metric: Option<MetricSpec>,
    spec: Option<SampleSpec>,
    fixed: FixedValues,
    scale: Option<Scale>,
    period_ticks: Option<u32>,
    ucum: Option<u16>,
    /// Stamp and value of the last episodic reading reported.
    reading: Vec<u8>,
}

/// One channel's place among equals, and where its samples have got to.
#[derive(Debug)]
struct Seat {
    key: Key,
    physio: u16,
    code: Code,
    number: u8,
    heard_at: Mono,
    /// Tick and instant of the next sample, if none is missing.
    next: Option<(u32, Mono)>,
}

/// What one reply brings besides its objects.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub(super) now: Mono,
    pub(super) clock: &'a Clock,
    /// Ticks of the reply; 0 where the monitor gives none.
    pub(super) time: u32,
}

impl Channels {
    pub(super) fn new(pace: Pace, is_strict: bool) -> Self {
        Self {
            contexts: BTreeMap::new(),
            seats: Vec::new(),
            pace,
            is_strict,
            is_demo: false,
            is_wanting: false,
        }
    }

    /// Takes one reply's objects; returns how many bytes of values were not what they must be.
    pub(super) fn take(
        &mut self,
        arrival: Arrival<'_>,
        reply: &Reply<'_>,
        report_values: bool,
        sink: &mut dyn FnMut(Event),
    ) -> usize {
        let mut bad = 0;
        for object in reply.contexts.objects() {
            let key = (reply.class, object.context, object.handle);
            bad += self.learn(key, object.attributes);
            if report_values {
                bad += self.report(arrival, key, object, sink);
            }
        }
        bad
    }

    fn learn(&mut self, key: Key, attributes: Attributes<'_>) -> usize {
        if !self.contexts.contains_key(&key) && self.contexts.len() >= CONTEXTS_MAX {
            return 0;
        }
        let context = self.contexts.entry(key).or_default();
        let label = attributes.get(id::LABEL).and_then(|value| Reader(value).u32());
        if label.is_some() && context.label.is_some() && label != context.label {
            // The handle was given to another object.
            *context = Context::default();
        }
        attributes.iter().filter(|(id, value)| !context.learn(*id, value)).map(|(_, value)| value.len()).sum()
    }

    fn report(
        &mut self,
        arrival: Arrival<'_>,
        key: Key,
        object: Observed<'_>,
        sink: &mut dyn FnMut(Event),
    ) -> usize {
        let mut bad = 0;
        for (id, value) in object.attributes.iter() {
            let done = match (key.0, id) {
                (class::NUMERIC, id::NUMERIC) => {
                    self.numerics(arrival, key, object.attributes, Reader(value), sink)
                }
                (class::NUMERIC, id::COMPOUND) => compound(value)
                    .and_then(|values| self.numerics(arrival, key, object.attributes, values, sink)),
                (class::WAVE, id::WAVE) => self.waves(arrival, key, Reader(value), sink),
                (class::WAVE, id::WAVE_COMPOUND) => {
                    compound(value).and_then(|values| self.waves(arrival, key, values, sink))
                }
                _ => Some(()),
            };
            if done.is_none() {
                bad += value.len();
            }
        }
        bad
    }

    fn numerics(
        &mut self,
        arrival: Arrival<'_>,
        key: Key,
        attributes: Attributes<'_>,
        mut values: Reader<'_>,
        sink: &mut dyn FnMut(Event),
    ) -> Option<()> {
        let Some(context) = self.contexts.get_mut(&key) else { return Some(()) };
        let absolute = attributes.get(id::ABSOLUTE_STAMP);
        let relative = attributes.get(id::RELATIVE_STAMP).and_then(|value| Reader(value).u32());
        let is_episodic = absolute.is_some() || context.metric.is_some_and(MetricSpec::is_episodic);
        if is_episodic && !context.is_new_reading(absolute, relative, values.0) {
            return Some(());
        }
        let (label, metric) = (context.label, context.metric);
        let at = relative.unwrap_or(arrival.time);
        let stamped = absolute.and_then(wall_time);
        let device_at = stamped.or_else(|| device_at(arrival.clock, at));
        let lag = match (stamped, arrival.clock.device_at(arrival.time)) {
            // By the monitor's own clock: a reading of an hour ago is an hour old when it is first heard of.
            (Some(taken), Some(sent)) if arrival.time != 0 => {
                Duration::from_micros(u64::try_from(sent.0 - taken.0).unwrap_or(0))
            }
            _ if at == 0 => Duration::ZERO,
            _ => arrival.clock.lag(arrival.now, at),
        };
        while !values.is_empty() {
            let value = NumericValue::parse(&mut values)?;
            if label.is_none() && (self.is_strict || may_be_setting(value.physio)) {
                self.is_wanting = true;
                continue;
            }
            let meaning = with_category(meaning(value.physio, label), metric);
            let site = self.seat(arrival.now, key, value.physio, meaning).site(meaning);
            let decimal = value.value.decimal();
            let (ucum, is_assumed) = ucum(value.ucum, meaning.code);
            let quality = value.state.quality()
                | mark(decimal.is_none() && value.state.0 & 0xF000 == 0, Quality::INVALID)
                | mark(is_assumed, Quality::UCUM_ASSUMED)
                | mark(self.is_demo, Quality::DEMO);
            sink(Event::Numeric(Numeric {
                code: meaning.code,
                site,
                value: decimal,
                ucum,
                quality,
                kind: if meaning.is_setting { Kind::Setting } else { Kind::Measurement },
                pace: if is_episodic { Pace::Episodic } else { self.pace },
                device_at,
                lag,
            }));
        }
        Some(())
    }

    fn waves(
        &mut self,
        arrival: Arrival<'_>,
        key: Key,
        mut values: Reader<'_>,
        sink: &mut dyn FnMut(Event),
    ) -> Option<()> {
        while !values.is_empty() {
            let value = WaveValue::parse(&mut values)?;
            let known = self.contexts.get(&key).and_then(Context::wave);
            // The next multiplexed context brings what is missing, within seconds.
            let Some(form) = known else { continue };
            let label = self.contexts.get(&key).and_then(|context| context.label);
            let meaning = meaning(value.physio, label);
            let samples = form.samples(value.samples);
            let is_demo = self.is_demo;
            let seat = self.seat(arrival.now, key, value.physio, meaning);
            let Some(begin) = seat.begin(arrival, samples.len(), form.period_ticks) else { continue };
            let site = seat.site(meaning);
            let (ucum, is_assumed) = match form.ucum {
                Some(unit) => ucum(unit, meaning.code),
                None => ("1", true),
            };
            sink(Event::Waveform(Waveform {
                code: meaning.code,
                site,
                samples,
                period_us: (i64::from(form.period_ticks) * TICK_US) as u32,
                gain: form.gain,
                offset: form.offset,
                ucum,
                quality: value.state.quality()
                    | mark(is_assumed, Quality::UCUM_ASSUMED)
                    | mark(is_demo, Quality::DEMO),
                begin,
                device_at: device_at(arrival.clock, arrival.time),
            }));
        }
        Some(())
    }

    /// The channel's seat: its own, or the lowest number free among the living of its kind.
    fn seat(&mut self, now: Mono, key: Key, physio: u16, meaning: Meaning) -> &mut Seat {
        let mine = |seat: &Seat| seat.key == key && seat.physio == physio;
        let at = match self.seats.iter().position(|seat| mine(seat) && seat.code == meaning.code) {
            Some(at) => at,
            None => {
                self.seats.retain(|seat| !mine(seat) && now.since(seat.heard_at) < SEAT_HELD);
                if self.seats.len() >= SEATS_MAX {
                    self.seats.remove(0);
                }
                let taken = |number: u8| {
                    self.seats
                        .iter()
                        .any(|seat| seat.key.0 == key.0 && seat.code == meaning.code && seat.number == number)
                };
                let number = (1..u8::MAX).find(|number| !taken(*number)).unwrap_or(u8::MAX);
                self.seats.push(Seat { key, physio, code: meaning.code, number, heard_at: now, next: None });
                self.seats.len() - 1
            }
        };
        let seat = &mut self.seats[at];
        seat.heard_at = now;
        seat
    }
}

impl Seat {
    fn site(&self, meaning: Meaning) -> Site {
        match (meaning.site, self.number) {
            (Site::Unspecified, 1) => Site::Unspecified,
            (Site::Unspecified, number) => Site::Numbered(number),
            (named, _) => named,
        }
    }

    /// When the first of `count` samples was taken; remembers where the next run belongs.
    fn begin(&mut self, arrival: Arrival<'_>, count: usize, period_ticks: u32) -> Option<Mono> {
        let estimate = arrival.clock.mono(arrival.time)?;
        let begin = match self.next {
            Some((ticks, at))
                if ticks == arrival.time && at.since(estimate).max(estimate.since(at)) <= DRIFT_MAX =>
            {
                at
            }
            _ => estimate,
        };
        let ticks = period_ticks.wrapping_mul(count as u32);
        let span = Duration::from_micros(u64::from(ticks) * TICK_US as u64);
        self.next = Some((arrival.time.wrapping_add(ticks), begin + span));
        Some(begin)
    }
}

/// All that is needed to draw a wave.
#[derive(Clone, Copy)]
struct WaveForm {
    spec: SampleSpec,
    fixed: FixedValues,
    gain: f64,
    offset: f64,
    period_ticks: u32,
    ucum: Option<u16>,
}

impl WaveForm {
    fn samples(&self, bytes: &[u8]) -> Vec<i32> {
        let mask = self.spec.amplitude_mask();
        let one = |raw: u16| self.fixed.amplitude(raw, mask).map_or(NO_SAMPLE, i32::from);
        if self.spec.sample_bits == 8 {
            bytes.iter().map(|byte| one(u16::from(*byte))).collect()
        } else {
            bytes.chunks_exact(2).map(|pair| one(u16::from_be_bytes([pair[0], pair[1]]))).collect()
        }
    }
}

impl Context {
    /// False: the value is not what this attribute must be.
    fn learn(&mut self, id: u16, value: &[u8]) -> bool {
        match id {
            id::LABEL => set(&mut self.label, Reader(value).u32()),
            id::METRIC => set(&mut self.metric, MetricSpec::parse(value)),
            id::SAMPLES => set(&mut self.spec, SampleSpec::parse(value)),
            id::SCALE => set(&mut self.scale, Scale::parse(value)),
            id::UCUM => set(&mut self.ucum, Reader(value).u16()),
            id::PERIOD => match Reader(value).u32() {
                // A sample takes between 125 us and 10 s.
                Some(ticks @ 1..=80_000) => {
                    self.period_ticks = Some(ticks);
                    true
                }
                _ => false,
            },
            id::FIXED => match FixedValues::parse(value) {
                Some(fixed) => {
                    self.fixed = fixed;
                    true
                }
                None => false,
            },
            _ => true,
        }
    }

    fn wave(&self) -> Option<WaveForm> {
        let (gain, offset) = self.scale?.line().unwrap_or((1.0, 0.0));
        let spec = self.spec?;
        Some(WaveForm {
            spec,
            fixed: self.fixed,
            gain,
            offset,
            period_ticks: self.period_ticks?,
            ucum: self.ucum,
        })
    }

    /// Episodic readings are sent again every second: true once for each.
    fn is_new_reading(&mut self, absolute: Option<&[u8]>, relative: Option<u32>, values: &[u8]) -> bool {
        let stamp = match (absolute, relative) {
            (Some(stamp), _) => stamp,
            (None, Some(ticks)) => &ticks.to_be_bytes()[..],
            (None, None) => return true,
        };
        if self.reading.strip_prefix(stamp).is_some_and(|known| known == values) {
            return false;
        }
        self.reading.clear();
        self.reading.extend_from_slice(stamp);
        self.reading.extend_from_slice(values);
        true
    }
}

/// A metric whose category says setting is one, whatever its label.
fn with_category(meaning: Meaning, metric: Option<MetricSpec>) -> Meaning {
    if metric.is_some_and(MetricSpec::is_setting) && !meaning.is_setting {
        return Meaning { code: Code(meaning.code.0 + (1 << 24)), is_setting: true, ..meaning };
    }
    meaning
}

fn device_at(clock: &Clock, ticks: u32) -> Option<crate::model::Wall> {
    if ticks == 0 { None } else { clock.device_at(ticks) }
}

fn mark(is_set: bool, quality: Quality) -> Quality {
    if is_set { quality } else { Quality::GOOD }
}

fn set<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let is_whole = value.is_some();
    if is_whole {
        *place = value;
    }
    is_whole
}

#[cfg(test)]
mod tests {
    use super::{Arrival, Channels};
    use crate::devices::intellivue::attribute::{Float, NumericValue, State, WaveValue, id};
    use crate::devices::intellivue::clock::Clock;
    use crate::devices::intellivue::lists::{Contexts, emit_attributes};
    use crate::devices::intellivue::message::{Poll, Reply, class};
    use crate::devices::intellivue::octets::{Reader, put_list, put_u16};
    use crate::model::{Event, Mono, NO_SAMPLE, Pace, Site};

    struct Bench {
        channels: Channels,
        clock: Clock,
        now: Mono,
    }

    impl Bench {
        fn new() -> Self {
            let mut clock = Clock::default();
            clock.heard(Mono(1_000_000), 8000);
            Self { channels: Channels::new(Pace::Continuous, true), clock, now: Mono(1_000_000) }
        }

        /// One object of a class at these ticks; returns what was reported and how many bytes were bad.
        fn feed(
            &mut self,
            class: u16,
            time: u32,
            handle: u16,
            attributes: &[(u16, &[u8])],
        ) -> (Vec<Event>, usize) {
            let mut bytes = Vec::new();
            put_list(&mut bytes, |out| {
                put_u16(out, 1);
                put_list(out, |out| {
                    put_u16(out, handle);
                    emit_attributes(attributes, out);
                    1
                });
                1
            });
            let contexts = Contexts::parse(&mut Reader(&bytes)).unwrap();
            let poll = Poll { number: 4, class, group: 0, keep_sending: Some(1) };
            let arrival = Arrival { now: self.now, clock: &self.clock, time };
            let mut said = Vec::new();
            let reply = Reply::new(poll, 1, time, contexts);
            let bad = self.channels.take(arrival, &reply, true, &mut |event| said.push(event));
            (said, bad)
        }

        fn site(&mut self, handle: u16) -> Site {
            let (said, _) =
                self.feed(class::NUMERIC, 8000, handle, &[(id::LABEL, &TEMP), (id::NUMERIC, &value())]);
            match said.first() {
                Some(Event::Numeric(numeric)) => numeric.site,
                other => panic!("{other:?}"),
            }
        }
    }

    const TEMP: [u8; 4] = [0x00, 0x02, 0x4B, 0x48];

    fn value() -> Vec<u8> {
        let mut out = Vec::new();
        NumericValue { physio: 0x4B48, state: State(0), ucum: 0x17A0, value: Float::new(365, -1) }
            .emit(&mut out);
        out
    }

    #[test]
    fn a_number_waits_for_its_label() {
        let mut bench = Bench::new();
        assert_eq!(bench.feed(class::NUMERIC, 8000, 7, &[(id::NUMERIC, &value())]).0, []);
        assert!(bench.channels.is_wanting);
        assert_eq!(bench.feed(class::NUMERIC, 8000, 7, &[(id::LABEL, &TEMP)]).0, []);
        assert_eq!(bench.feed(class::NUMERIC, 8000, 7, &[(id::NUMERIC, &value())]).0.len(), 1);
    }

    #[test]
    fn equals_are_numbered_and_a_number_is_free_again_after_silence() {
        let mut bench = Bench::new();
        assert_eq!(bench.site(7), Site::Unspecified);
        assert_eq!(bench.site(8), Site::Numbered(2));
        assert_eq!(bench.site(7), Site::Unspecified);
        bench.now = Mono(9_000_000);
        assert_eq!(bench.site(8), Site::Numbered(2));
        bench.now = Mono(12_000_000);
        assert_eq!(bench.site(9), Site::Unspecified, "7 was silent for more than 10 s");
    }

    #[test]
    fn a_torn_value_is_counted_and_its_neighbours_stand() {
        let mut bench = Bench::new();
        let (said, bad) = bench.feed(
            class::NUMERIC,
            8000,
            7,
            &[
                (id::LABEL, &TEMP),
                (id::NUMERIC, &value()[..7]),
                (id::NUMERIC, &value()),
                (0xF008, &[1, 2, 3]),
            ],
        );
        assert_eq!((said.len(), bad), (1, 7));
    }

    #[test]
    fn a_handle_given_to_another_object_forgets_the_scale() {
        let mut bench = Bench::new();
        let pleth = [0x00, 0x02, 0x4B, 0xB4];
        let mut samples = Vec::new();
        WaveValue { physio: 0x4BB4, state: State(0), samples: &[0x08, 0x00, 0x08, 0x01] }.emit(&mut samples);
        let context: &[(u16, &[u8])] = &[
            (id::LABEL, &pleth),
            (id::SAMPLES, &[0, 2, 16, 12, 0x80, 0]),
            (id::PERIOD, &[0, 0, 0, 64]),
            (id::UCUM, &[2, 0]),
            (id::SCALE, &[0, 0x7F, 0xFF, 0xFF, 0, 0x7F, 0xFF, 0xFF, 0, 0, 0x0F, 0xFF]),
        ];
        assert_eq!(bench.feed(class::WAVE, 8000, 9, context).0, []);
        let (said, _) = bench.feed(class::WAVE, 8000, 9, &[(id::WAVE, &samples)]);
        assert!(
            matches!(&said[..], [Event::Waveform(wave)] if wave.samples == [2048, 2049] && !wave.samples.contains(&NO_SAMPLE))
        );
        assert_eq!(bench.feed(class::WAVE, 8000, 9, &[(id::LABEL, &TEMP), (id::WAVE, &samples)]).0, []);
    }

    #[test]
    fn runs_join_while_none_is_missing_and_a_missing_one_leaves_its_hole() {
        let mut bench = Bench::new();
        let mut samples = Vec::new();
        WaveValue { physio: 0x4BB4, state: State(0), samples: &[8; 64] }.emit(&mut samples);
        let context: &[(u16, &[u8])] = &[
            (id::LABEL, &[0x00, 0x02, 0x4B, 0xB4]),
            (id::SAMPLES, &[0, 32, 16, 12, 0x80, 0]),
            (id::PERIOD, &[0, 0, 0, 64]),
            (id::SCALE, &[0, 0x7F, 0xFF, 0xFF, 0, 0x7F, 0xFF, 0xFF, 0, 0, 0x0F, 0xFF]),
        ];
        bench.feed(class::WAVE, 0, 9, context);
        let mut begins = Vec::new();
        for (block, late_us) in [(4, 0), (5, 40_000), (6, 0), (8, 15_000), (9, 0)] {
            let arrived = Mono(1_000_000 + (block - 3) * 256_000 + late_us);
            bench.now = arrived;
            bench.clock.heard(arrived, 8000 + (block as u32 - 3) * 2048);
            let (said, _) =
                bench.feed(class::WAVE, 8000 + (block as u32 - 4) * 2048, 9, &[(id::WAVE, &samples)]);
            let [Event::Waveform(wave)] = &said[..] else { panic!("{said:?}") };
            begins.push(wave.begin.0);
        }
        assert_eq!(begins, [1_000_000, 1_256_000, 1_512_000, 2_024_000, 2_280_000]);
    }
}
