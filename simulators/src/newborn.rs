//! A seeded newborn: heart, breathing, oxygen, pressure and temperature, with episodes on a script.
//!
//! Not a physiological model to learn medicine from: it gives numbers and waveforms that hang together (a pulse per beat, a
//! desaturation that follows an apnoea, a bradycardia that follows the desaturation) and that are the same for the same seed.

use cotside_protocol::device::Physiology;
use cotside_protocol::model::{Code, Mono};
use std::collections::VecDeque;
use std::f64::consts::TAU;

/// How far back samples may be asked for.
const HISTORY_S: f64 = 30.0;
/// How far ahead of the body's time beats are drawn.
const AHEAD_S: f64 = 3.0;
/// The cuff measures this often.
const CUFF_EVERY_S: f64 = 300.0;

/// Something that happens to the baby.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Episode {
    /// Seconds of the body's time.
    pub begin_s: f64,
    pub length_s: f64,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Breathing stops; saturation follows after some ten seconds, the heart slows below 80.
    Apnoea,
    /// The heart slows while breathing goes on.
    Bradycardia,
    Tachycardia,
    /// Saturation falls by about 15 points.
    Desaturation,
    Fever,
}

/// The baby's resting state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Baseline {
    pub heart_rate: f64,
    pub breath_rate: f64,
    pub saturation: f64,
    pub systolic: f64,
    pub diastolic: f64,
    pub temperature: f64,
}

#[derive(Clone, Debug)]
pub struct Newborn {
    baseline: Baseline,
    script: Vec<Episode>,
    origin: Mono,
    /// Phases of the slow wanderings, one per quantity.
    phases: [f64; 6],
    beats: VecDeque<Cycle>,
    breaths: VecDeque<Cycle>,
    /// Apart, so that beats and breaths do not depend on who is drawn first.
    heart: Random,
    lungs: Random,
}

/// One beat or breath.
#[derive(Clone, Copy, Debug)]
struct Cycle {
    begin_s: f64,
    length_s: f64,
    /// Relative size; 0 while breathing is stopped.
    depth: f64,
}

impl Newborn {
    /// A baby whose time begins at `origin`. The same seed gives the same baby.
    pub fn new(seed: u64, origin: Mono, script: Vec<Episode>) -> Self {
        let mut random = Random::new(seed);
        let baseline = Baseline {
            heart_rate: random.between(130.0, 162.0),
            breath_rate: random.between(38.0, 58.0),
            saturation: random.between(91.0, 97.0),
            systolic: random.between(48.0, 64.0),
            diastolic: random.between(27.0, 36.0),
            temperature: random.between(36.6, 37.1),
        };
        let phases = std::array::from_fn(|_| random.between(0.0, TAU));
        let start = Cycle { begin_s: -AHEAD_S, length_s: 0.1, depth: 1.0 };
        let mut newborn = Self {
            baseline,
            script,
            origin,
            phases,
            beats: VecDeque::from([start]),
            breaths: VecDeque::from([start]),
            heart: Random::new(random.next()),
            lungs: Random::new(random.next()),
        };
        newborn.advance(origin);
        newborn
    }

    pub const fn baseline(&self) -> Baseline {
        self.baseline
    }

    /// Lives on to `now`: draws the beats and breaths up to a little beyond it, forgets old ones.
    pub fn advance(&mut self, now: Mono) {
        let now_s = self.seconds(now);
        while let Some(last) = self.beats.back().copied()
            && last.begin_s < now_s + AHEAD_S
        {
            let begin_s = last.begin_s + last.length_s;
            let jitter = 1.0 + self.heart.between(-0.025, 0.025);
            let length_s = 60.0 / self.heart_rate(begin_s) * jitter;
            self.beats.push_back(Cycle { begin_s, length_s, depth: 1.0 });
        }
        while let Some(last) = self.breaths.back().copied()
            && last.begin_s < now_s + AHEAD_S
        {
            let begin_s = last.begin_s + last.length_s;
            let length_s = 60.0 / self.breath_drive(begin_s) * (1.0 + self.lungs.between(-0.15, 0.15));
            let depth = if self.is_apnoeic(begin_s) { 0.0 } else { self.lungs.between(0.7, 1.2) };
            self.breaths.push_back(Cycle { begin_s, length_s, depth });
        }
        for cycles in [&mut self.beats, &mut self.breaths] {
            while cycles.front().is_some_and(|first| first.begin_s < now_s - HISTORY_S) {
                cycles.pop_front();
            }
        }
    }

    fn seconds(&self, at: Mono) -> f64 {
        (at.0 as f64 - self.origin.0 as f64) / 1e6
    }

    /// Between -1 and 1, slowly, without a visible period.
    fn wander(&self, which: usize, t: f64) -> f64 {
        let phase = self.phases[which];
        ((t / 47.0 + phase).sin() + (t / 19.3 + 2.0 * phase).sin() + (t / 7.7 + 3.0 * phase).sin()) / 3.0
    }

    /// 0 to 1: how far an episode of this kind has taken hold, `lag` seconds after it began.
    fn grip(&self, what: What, t: f64, lag: f64, rise: f64, fall: f64) -> f64 {
        let of = |episode: &Episode| {
            let begin = episode.begin_s + lag;
            let end = episode.begin_s + episode.length_s + lag * 0.5;
            let up = ((t - begin) / rise).clamp(0.0, 1.0);
            let down = ((t - end) / fall).clamp(0.0, 1.0);
            (up - down).max(0.0)
        };
        self.script.iter().filter(|episode| episode.what == what).map(of).fold(0.0, f64::max)
    }

    fn is_apnoeic(&self, t: f64) -> bool {
        self.grip(What::Apnoea, t, 0.0, 0.1, 0.1) > 0.5
    }

    fn heart_rate(&self, t: f64) -> f64 {
        let resting = self.baseline.heart_rate + 6.0 * self.wander(0, t);
        let slow =
            self.grip(What::Bradycardia, t, 0.0, 4.0, 8.0).max(self.grip(What::Apnoea, t, 12.0, 8.0, 10.0));
        let fast = self.grip(What::Tachycardia, t, 0.0, 10.0, 20.0);
        (resting * (1.0 - 0.52 * slow) + 62.0 * fast).clamp(30.0, 300.0)
    }

    /// The rate at which breaths would come.
    fn breath_drive(&self, t: f64) -> f64 {
        (self.baseline.breath_rate + 5.0 * self.wander(1, t)).clamp(20.0, 110.0)
    }

    /// What a monitor counts: breaths of the last ten seconds.
    fn breath_rate(&self, t: f64) -> f64 {
        let counted =
            |breath: &&Cycle| breath.depth > 0.0 && breath.begin_s > t - 10.0 && breath.begin_s <= t;
        let breaths = self.breaths.iter().filter(counted).count();
        if t < 10.0 { self.breath_drive(t) } else { breaths as f64 * 6.0 }
    }

    fn saturation(&self, t: f64) -> f64 {
        let resting = self.baseline.saturation + 1.6 * self.wander(2, t);
        let low = 15.0 * self.grip(What::Desaturation, t, 0.0, 12.0, 15.0)
            + 21.0 * self.grip(What::Apnoea, t, 10.0, 14.0, 18.0);
        (resting - low).clamp(30.0, 100.0)
    }

    fn pressure(&self, t: f64) -> (f64, f64) {
        let shift = 2.5 * self.wander(3, t) - 8.0 * self.grip(What::Bradycardia, t, 2.0, 6.0, 8.0);
        (self.baseline.systolic + shift, self.baseline.diastolic + shift * 0.6)
    }

    fn temperature(&self, t: f64) -> f64 {
        self.baseline.temperature
            + 0.1 * self.wander(4, t / 20.0)
            + 1.4 * self.grip(What::Fever, t, 0.0, 60.0, 120.0)
    }

    /// 0 to 1 through the cycle that is running at `t`, with its depth.
    fn phase(cycles: &VecDeque<Cycle>, t: f64) -> Option<(f64, f64)> {
        let after = cycles.partition_point(|cycle| cycle.begin_s <= t);
        let cycle = cycles.get(after.checked_sub(1)?)?;
        let phase = (t - cycle.begin_s) / cycle.length_s;
        (phase <= 1.0).then_some((phase, cycle.depth))
    }

    fn cuff_s(t: f64) -> f64 {
        (t / CUFF_EVERY_S).floor() * CUFF_EVERY_S
    }
}

impl Physiology for Newborn {
    fn numeric(&self, code: Code, at: Mono) -> Option<f64> {
        let t = self.seconds(at);
        Some(match code.0 {
            147_842 | 149_514 | 149_530 | 149_538 => self.heart_rate(t),
            151_578 | 151_562 => self.breath_rate(t),
            150_456 => self.saturation(t),
            150_488 => 1.6 + 0.5 * self.wander(5, t),
            150_037 => self.pressure(t).0,
            150_038 => self.pressure(t).1,
            150_039 => {
                let (systolic, diastolic) = self.pressure(t);
                diastolic + (systolic - diastolic) / 3.0
            }
            150_021 => self.pressure(Self::cuff_s(t)).0,
            150_022 => self.pressure(Self::cuff_s(t)).1,
            150_023 => {
                let (systolic, diastolic) = self.pressure(Self::cuff_s(t));
                diastolic + (systolic - diastolic) / 3.0
            }
            150_388 => self.temperature(t) - 0.4,
            150_368 => self.temperature(t),
            _ => return None,
        })
    }

    fn sample(&self, code: Code, at: Mono) -> Option<f64> {
        let t = self.seconds(at);
        let breath = || {
            Self::phase(&self.breaths, t)
                .map_or(0.0, |(phase, depth)| depth * (0.5 - 0.5 * (TAU * phase).cos()))
        };
        let noise = |size: f64| size * noise(at.0 ^ u64::from(code.0));
        let (beat, _) = Self::phase(&self.beats, t)?;
        Some(match code.0 {
            131_328..=131_330 | 131_389 => {
                let size = match code.0 {
                    131_329 => 0.7,
                    131_389 => 0.5,
                    _ => 1.0,
                };
                size * electrocardiogram(beat) + 0.04 * (breath() - 0.5) + noise(0.008)
            }
            150_452 => (1.6 * pulse(beat) - 0.8) * (1.0 + 0.08 * breath()) + noise(0.004),
            151_552 => 1.6 * breath() + 0.05 * pulse(beat) + noise(0.004),
            150_036 => {
                let (systolic, diastolic) = self.pressure(t);
                diastolic + (systolic - diastolic) * pulse(beat) + 0.8 * breath() + noise(0.12)
            }
            _ => return None,
        })
    }
}

/// Lead II in millivolts over one beat: P, QRS and T as bumps.
fn electrocardiogram(phase: f64) -> f64 {
    let bump = |at: f64, width: f64, height: f64| height * (-((phase - at) / width).powi(2)).exp();
    bump(0.14, 0.035, 0.12)
        + bump(0.265, 0.012, -0.12)
        + bump(0.29, 0.014, 1.15)
        + bump(0.32, 0.014, -0.28)
        + bump(0.55, 0.06, 0.26)
}

/// An arterial pulse over one beat, 0 to 1, with its dicrotic notch.
fn pulse(phase: f64) -> f64 {
    let late = (phase - 0.32).rem_euclid(1.0);
    let wave = if late < 0.18 {
        (late / 0.18 * std::f64::consts::FRAC_PI_2).sin()
    } else {
        (1.0 - (late - 0.18) / 0.82).powf(1.4)
    };
    let notch = 0.12 * (-((late - 0.45) / 0.05).powi(2)).exp();
    (wave + notch).clamp(0.0, 1.05)
}

/// -1 to 1, from the instant itself, so that a sample asked for twice is the same.
fn noise(key: u64) -> f64 {
    let mut random = Random::new(key);
    random.between(-1.0, 1.0)
}

/// SplitMix64: small, seeded, good enough to shake a cable.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True once in `one_in` on average.
    pub const fn once_in(&mut self, one_in: u64) -> bool {
        one_in != 0 && self.next().is_multiple_of(one_in)
    }
}

#[cfg(test)]
mod tests {
    use super::{Episode, Newborn, What};
    use cotside_protocol::device::Physiology;
    use cotside_protocol::model::{Code, Mono};

    const HEART: Code = Code(147_842);
    const SATURATION: Code = Code(150_456);
    const BREATHS: Code = Code(151_578);

    fn at(seconds: u64) -> Mono {
        Mono(5_000_000 + seconds * 1_000_000)
    }

    #[test]
    fn the_same_seed_is_the_same_baby_however_time_is_cut() {
        let (mut one, mut other) = (Newborn::new(7, at(0), vec![]), Newborn::new(7, at(0), vec![]));
        one.advance(at(20));
        (0..=20).for_each(|second| other.advance(at(second)));
        for code in [Code(131_330), Code(150_452), Code(151_552), Code(150_036)] {
            assert_eq!(one.sample(code, at(19)), other.sample(code, at(19)));
            assert!(one.sample(code, at(19)).is_some());
        }
    }

    #[test]
    fn an_apnoea_takes_breath_then_oxygen_then_pulse() {
        let script = vec![Episode { begin_s: 60.0, length_s: 30.0, what: What::Apnoea }];
        let mut baby = Newborn::new(3, at(0), script);
        let mut see = |second, code| {
            baby.advance(at(second));
            baby.numeric(code, at(second)).unwrap()
        };
        assert!(see(55, SATURATION) > 88.0);
        assert!(see(85, BREATHS) < 1.0);
        assert!(see(92, SATURATION) < 80.0);
        assert!(see(93, HEART) < 85.0);
        assert!(see(150, SATURATION) > 88.0);
        assert!(see(150, BREATHS) > 20.0);
    }
}
