//! Simulated patient-days, one value a second, whose alarms under plain thresholds are as many, as short and as unevenly spread
//! over patients as published (Li 2018, PMID 29740183: 2.29 million alarms of 917 infants; Mohammad 2016: 3.26 million).
//!
//! Not physiology to learn from: dips of the saturation, slow hearts, pauses of breathing and loose sensors, drawn so that counts,
//! lengths and mixture fit. What happened is known to the second, so that nothing that mattered can be missed unseen.

use cotside_simulators::newborn::Random;
use std::f64::consts::TAU;

pub const SECONDS: usize = 86_400;

/// One patient's day. NaN: the device had no value.
pub struct Day {
    pub saturation: Vec<f64>,
    pub heart_rate: Vec<f64>,
    pub breath_rate: Vec<f64>,
}

/// Events a day of the median patient.
struct Rates {
    dips: f64,
    deep_dips: f64,
    slow_hearts: f64,
    fast_hearts: f64,
    /// Breathing stops, the heart slows and the saturation falls.
    spells: f64,
    loose_sensors: f64,
}

const MEDIAN: Rates = Rates {
    dips: 45.0,
    deep_dips: 1.0,
    slow_hearts: 6.7,
    fast_hearts: 6.7,
    spells: 0.75,
    loose_sensors: 60.0,
};
/// Few patients have most of the alarms: the spread of published counts (median 135.9, mean 177.1 a day) is that of a lognormal.
const SPREAD: f64 = 0.728;

impl Day {
    /// The same seed is the same day.
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let often = (SPREAD * normal(&mut random)).exp();
        let mut day = Self {
            saturation: wander(&mut random, 93.4, 0.55, 0.995),
            heart_rate: wander(&mut random, 148.0, 6.0, 0.999),
            breath_rate: wander(&mut random, 46.0, 5.0, 0.995),
        };
        let deep = (82.0, 5.0);
        each(&mut random, MEDIAN.dips * often, |random, at| {
            let length = lognormal(random, 13.5, 0.95);
            let nadir = random.between(81.5, 84.6);
            dip(random, &mut day.saturation, at, length, nadir);
        });
        each(&mut random, MEDIAN.deep_dips * often, |random, at| {
            let length = lognormal(random, 28.0, 0.6);
            let nadir = deep.0 - random.between(3.0, 3.0 + 3.0 * deep.1);
            dip(random, &mut day.saturation, at, length, nadir);
        });
        each(&mut random, MEDIAN.slow_hearts * often, |random, at| {
            let length = lognormal(random, 7.0, 0.7);
            let nadir = random.between(75.0, 99.0);
            dip(random, &mut day.heart_rate, at, length, nadir);
        });
        each(&mut random, MEDIAN.fast_hearts * often, |random, at| {
            let length = lognormal(random, 12.0, 0.8);
            plateau(&mut day.heart_rate, at, length, random.between(202.0, 222.0));
        });
        each(&mut random, MEDIAN.spells * often, |random, at| {
            let pause = random.between(12.0, 38.0);
            plateau(&mut day.breath_rate, at, pause, 0.0);
            let nadir = random.between(55.0, 84.0);
            dip(random, &mut day.heart_rate, at + 8, pause, nadir);
            let nadir = random.between(62.0, 84.0);
            dip(random, &mut day.saturation, at + 14, pause + 8.0, nadir);
        });
        each(&mut random, MEDIAN.loose_sensors * often, |random, at| {
            let length = lognormal(random, 26.0, 0.7);
            plateau(&mut day.saturation, at, length, f64::NAN);
        });
        day
    }

    /// As a device shows it that averages over so many seconds; a value is missing while the newest is.
    pub fn averaged(&self, over: usize) -> Self {
        let mean = |values: &[f64]| {
            (0..values.len())
                .map(|at| {
                    let window = &values[(at + 1).saturating_sub(over)..=at];
                    let known = window.iter().filter(|value| !value.is_nan());
                    let (sum, count) =
                        known.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
                    if values[at].is_nan() { f64::NAN } else { sum / count }
                })
                .collect()
        };
        Self {
            saturation: mean(&self.saturation),
            heart_rate: mean(&self.heart_rate),
            breath_rate: self.breath_rate.clone(),
        }
    }
}

/// A slow random walk that is drawn back to `about`.
fn wander(random: &mut Random, about: f64, spread: f64, memory: f64) -> Vec<f64> {
    let step = spread * (1.0 - memory * memory).sqrt();
    let mut away = 0.0;
    let mut next = || {
        away = memory * away + step * normal(random);
        about + away
    };
    (0..SECONDS).map(|_| next()).collect()
}

/// Falls to the nadir, stays about there with the ripple of a living signal, and comes back.
fn dip(random: &mut Random, values: &mut [f64], at: usize, length: f64, nadir: f64) {
    let length = length.max(2.0) as usize;
    let ramp = (length / 4).clamp(1, 12);
    let end = (at + length + 2 * ramp).min(values.len());
    let mut ripple = 0.0;
    for (second, value) in values.iter_mut().enumerate().take(end).skip(at) {
        ripple = 0.8 * ripple + 0.45 * normal(random);
        let (since, left) = (second - at, end - second);
        let share = ((since.min(left) as f64) / ramp as f64).min(1.0);
        *value = value.min(*value + (nadir - *value) * share + ripple * share);
    }
}

fn plateau(values: &mut [f64], at: usize, length: f64, to: f64) {
    let end = (at + length.max(2.0) as usize).min(values.len());
    values[at.min(end)..end].fill(to);
}

/// As often as a Poisson process of `rate` a day, somewhere in the day.
fn each(random: &mut Random, rate: f64, mut event: impl FnMut(&mut Random, usize)) {
    let mut at = 0.0;
    loop {
        at += -random.between(f64::MIN_POSITIVE, 1.0).ln() * SECONDS as f64 / rate;
        if at >= (SECONDS - 120) as f64 {
            return;
        }
        event(random, at as usize);
    }
}

fn normal(random: &mut Random) -> f64 {
    (-2.0 * random.between(f64::MIN_POSITIVE, 1.0).ln()).sqrt() * (TAU * random.between(0.0, 1.0)).cos()
}

fn lognormal(random: &mut Random, median: f64, spread: f64) -> f64 {
    median * (spread * normal(random)).exp()
}
