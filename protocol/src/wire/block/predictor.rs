//! Predicts the next difference of a trace from the last eight: a bank of fixed filters, a lead beside it, and the choice to stand still.

/// Differences that a filter sees.
pub(super) const ORDER: usize = 8;
/// A filter's coefficients are fractions of `1 << FILTER_BITS`.
const FILTER_BITS: u32 = 12;
/// A lead's gain is a fraction of `1 << GAIN_BITS`.
const GAIN_BITS: u32 = 6;
/// No two samples differ by more; no guess goes further.
const DIFFERENCE_MAX: i64 = 1 << 32;
/// Errors beyond this count as this.
const ERROR_MAX: i64 = 1 << 26;

/// How a segment is predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Position in [`FILTERS`].
    pub(super) filter: usize,
    /// Where the filter has lately erred more than "no change" would have, the trace is expected to stand still.
    pub(super) may_stand: bool,
    /// How much of the lead's surprise at the same instant is expected here too.
    pub(super) gain: i8,
}

/// What is kept from one sample to the next: how far both guesses were off lately, in sixteenths.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Predictor {
    moving: i64,
    standing: i64,
}

impl Predictor {
    /// What the trace will do, by what the filter makes of its last differences and by the lead's surprise.
    #[inline]
    pub(super) fn predict(&self, plan: Plan, sum: i64, lead: i64) -> Guess {
        let shared = (i64::from(plan.gain) * lead + (1 << (GAIN_BITS - 1))) >> GAIN_BITS;
        let filtered = ((sum + (1 << (FILTER_BITS - 1))) >> FILTER_BITS) + shared;
        let filtered = filtered.clamp(-DIFFERENCE_MAX, DIFFERENCE_MAX);
        let stands = plan.may_stand && self.standing < self.moving;
        Guess { filtered, difference: if stands { 0 } else { filtered } }
    }

    #[inline]
    pub(super) fn learn(&mut self, guess: Guess, difference: i64) {
        let off = |guess: i64| ((difference - guess).abs().min(ERROR_MAX)) << 4;
        self.moving += (off(guess.filtered) - self.moving) >> 2;
        self.standing += (off(0) - self.standing) >> 2;
    }
}

/// The filter's sum over the last differences, oldest first.
#[inline]
pub(super) fn filter_sum(taps: &[i16; ORDER], past: &[i64; ORDER]) -> i64 {
    taps.iter().zip(past.iter().rev()).map(|(tap, difference)| i64::from(*tap) * difference).sum()
}

/// The same over differences within [`SMALL`], several at once.
#[inline]
pub(super) fn filter_sum_of_small(taps: &[i16; ORDER], past: &[i16; ORDER]) -> i64 {
    let products = |at: usize| i32::from(taps[ORDER - 1 - at]) * i32::from(past[at]);
    i64::from((0..ORDER).map(products).sum::<i32>())
}

/// Sums over differences below this fit 32 bits with every filter of the bank.
pub(super) const SMALL: i64 = 1 << 14;

#[derive(Clone, Copy)]
pub(super) struct Guess {
    filtered: i64,
    /// The difference that is expected.
    pub(super) difference: i64,
}

/// The bank, part of the format: taps for the last eight differences, newest first. New filters are added at the end.
#[rustfmt::skip]
pub(super) const FILTERS: [[i16; ORDER]; 19] = [
    [     0,      0,      0,      0,      0,      0,      0,      0],
    [  4096,      0,      0,      0,      0,      0,      0,      0],
    [  8192,  -4096,      0,      0,      0,      0,      0,      0],
    [  -680,    -51,    941,    734,    900,    571,    547,    256],
    [   312,   -710,     15,   1084,    742,   -649,    -52,    671],
    [   429,    641,    758,    130,    180,   -182,    -48,    -63],
    [   490,    368,    201,    393,   1010,    106,   -488,   -571],
    [   507,   -532,     93,   1199,    318,   -596,   -375,    803],
    [  1162,   -693,     88,    938,    150,   -888,     12,    596],
    [  1248,     89,    -32,    634,   1389,     28,   -555,   -353],
    [  1805,    849,    110,    -20,    167,    -64,    -55,    -57],
    [  2120,   2005,    527,   -137,      1,   -563,    434,   -530],
    [  3492,   1839,   -853,  -1293,   -274,    501,    383,   -211],
    [  3508,   2434,   -176,  -1377,  -1149,   -145,    469,    338],
    [  4554,    489,  -1963,   -623,    811,    420,   -381,    -19],
    [  4618,   -432,   -880,    130,    320,    -60,   -112,     11],
    [  5038,   1204,  -1789,  -1530,    137,    895,    343,   -484],
    [  6411,  -2358,  -1868,   1384,    673,   -582,   -169,    195],
    [  9966,  -6736,  -2024,   2949,   1082,  -1258,   -296,    292],
];
