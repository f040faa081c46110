//! The samples of one stretch as segments of 256 differences, each with its own plan; and the encoder's search for a good plan.

use super::BlockError;
use super::predictor::{FILTERS, ORDER, Plan, Predictor, SMALL, filter_sum, filter_sum_of_small};
use super::range::{RangeDecoder, RangeEncoder};
use super::surprise::{Coded, LEVEL_BITS, Level};
use super::surprise_tables::FAMILIES;

/// Differences that share a plan.
const SEGMENT: usize = 256;
const FILTER_INDEX_BITS: u32 = 5;
const FAMILY_BITS: u32 = 2;
const GAIN_BITS: u32 = 8;

/// What the encoder remembers of a channel, to try two plans a segment and not all: the best so far, and whose turn it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Habit {
    plan: Option<Plan>,
    turn: usize,
}

/// The surprises of a stretch, by which another one at the same instants may be led.
pub(super) type Surprises = Vec<i64>;

/// One attempt at a segment.
struct Attempt {
    plan: Plan,
    predictor: Predictor,
    level: Level,
    coded: Vec<Coded>,
    surprises: Vec<i64>,
    family: usize,
    /// In bits / 256.
    price: u64,
}

/// Writes the differences of `samples`, without the first sample; gives the surprises.
pub(super) fn encode(
    samples: &[i32],
    lead: Option<&[i64]>,
    habit: &mut Habit,
    coder: &mut RangeEncoder,
) -> Surprises {
    let differences = Differences::of(samples);
    let mut surprises = Vec::with_capacity(samples.len());
    let mut predictor = Predictor::default();
    let mut level: Option<Level> = None;
    let mut begin = 0;
    while begin < differences.count() {
        let end = (begin + SEGMENT).min(differences.count());
        let segment = Segment { differences: &differences, begin, end, lead };
        let first = level.unwrap_or_else(|| {
            let index = segment.first_level(habit.plan.unwrap_or_default(), predictor);
            coder.bits(u64::from(index), LEVEL_BITS);
            Level::of(index)
        });
        let best = habit.search(&segment, predictor, first);
        best.write(lead.is_some(), coder);
        predictor = best.predictor;
        level = Some(best.level);
        surprises.extend_from_slice(&best.surprises);
        begin = end;
    }
    surprises
}

/// Reads what [`encode`] wrote: `count` samples, of which `first` is the first.
pub(super) fn decode(
    first: i32,
    count: usize,
    lead: Option<&[i64]>,
    coder: &mut RangeDecoder<'_>,
) -> Result<(Vec<i32>, Surprises), BlockError> {
    let mut samples = Vec::with_capacity(count);
    let mut surprises = Vec::with_capacity(count);
    samples.push(first);
    if count < 2 {
        return Ok((samples, surprises));
    }
    let mut before = i64::from(first);
    let mut past = [0i64; ORDER];
    let mut predictor = Predictor::default();
    let mut level = Level::of(coder.bits(LEVEL_BITS)? as u32);
    while samples.len() < count {
        let length = SEGMENT.min(count - samples.len());
        let filter = coder.bits(FILTER_INDEX_BITS)? as usize;
        let may_stand = coder.bits(1)? == 1;
        let family = coder.bits(FAMILY_BITS)? as usize;
        let gain = if lead.is_some() { coder.bits(GAIN_BITS)? as u8 as i8 } else { 0 };
        if filter >= FILTERS.len() {
            return Err(BlockError::Structure);
        }
        let plan = Plan { filter, may_stand, gain };
        for _ in 0..length {
            let led = lead.and_then(|lead| lead.get(surprises.len())).copied().unwrap_or(0);
            let guess = predictor.predict(plan, filter_sum(&FILTERS[plan.filter], &past), led);
            let surprise = level.decode(family, coder)?;
            let difference = guess.difference + surprise;
            let sample = before + difference;
            samples.push(i32::try_from(sample).map_err(|_| BlockError::Structure)?);
            predictor.learn(guess, difference);
            past.copy_within(1.., 0);
            past[ORDER - 1] = difference;
            before = sample;
            surprises.push(surprise);
        }
    }
    Ok((samples, surprises))
}

/// The differences of a trace, with as many zeros before them as a filter looks back.
struct Differences {
    all: Vec<i64>,
    /// The same, if all of them are small.
    small: Vec<i16>,
}

impl Differences {
    fn of(samples: &[i32]) -> Self {
        let mut all = vec![0; ORDER];
        all.extend(samples.windows(2).map(|pair| i64::from(pair[1]) - i64::from(pair[0])));
        let is_small = all.iter().all(|difference| (-SMALL..SMALL).contains(difference));
        let small =
            if is_small { all.iter().map(|difference| *difference as i16).collect() } else { Vec::new() };
        Self { all, small }
    }

    fn count(&self) -> usize {
        self.all.len() - ORDER
    }
}

/// A part of a trace that shares a plan.
struct Segment<'a> {
    differences: &'a Differences,
    begin: usize,
    end: usize,
    lead: Option<&'a [i64]>,
}

impl Segment<'_> {
    /// Each difference with the filter's sum over those before it and with the lead's surprise.
    #[inline(always)]
    fn each(&self, plan: Plan, mut take: impl FnMut(i64, i64, i64)) {
        let Differences { all, small } = self.differences;
        let taps = &FILTERS[plan.filter];
        let past = self.begin..self.end + ORDER - 1;
        // All sums first: they do not depend on each other, what is taken does.
        let mut sums = [0; SEGMENT];
        let sums = &mut sums[..self.end - self.begin];
        match small.get(past.clone()) {
            Some(small) => {
                sums.iter_mut()
                    .zip(small.array_windows())
                    .for_each(|(sum, past)| *sum = filter_sum_of_small(taps, past));
            }
            None => {
                sums.iter_mut()
                    .zip(all[past].array_windows())
                    .for_each(|(sum, past)| *sum = filter_sum(taps, past));
            }
        }
        let differences = &all[self.begin + ORDER..self.end + ORDER];
        let lead = self.lead.and_then(|lead| lead.get(self.begin..)).unwrap_or(&[]);
        for (at, (difference, sum)) in differences.iter().zip(sums).enumerate() {
            take(*difference, *sum, lead.get(at).copied().unwrap_or(0));
        }
    }

    fn first_level(&self, plan: Plan, mut predictor: Predictor) -> u32 {
        const SEEN: usize = 24;
        let mut surprises = Vec::with_capacity(SEEN);
        let head = Segment { end: self.end.min(self.begin + SEEN), ..*self };
        head.each(plan, |difference, sum, lead| {
            let guess = predictor.predict(plan, sum, lead);
            predictor.learn(guess, difference);
            surprises.push(difference - guess.difference);
        });
        Level::before(surprises.into_iter())
    }

    fn attempt(&self, plan: Plan, mut predictor: Predictor, mut level: Level) -> Attempt {
        let length = self.end - self.begin;
        let (mut coded, mut surprises) = (Vec::with_capacity(length), Vec::with_capacity(length));
        let mut prices = [0u64; FAMILIES];
        self.each(plan, |difference, sum, lead| {
            let guess = predictor.predict(plan, sum, lead);
            predictor.learn(guess, difference);
            let surprise = difference - guess.difference;
            let code = level.code(surprise);
            prices.iter_mut().zip(code.price()).for_each(|(sum, price)| *sum += u64::from(price));
            coded.push(code);
            surprises.push(surprise);
        });
        let (price, family) =
            prices.iter().zip(0..).map(|(price, family)| (*price, family)).min().unwrap_or((0, 0));
        Attempt { plan, predictor, level, coded, surprises, family, price }
    }

    /// The lead's share in what the plan leaves unexplained, quiet instants counting more.
    fn gain(&self, plan: Plan, mut predictor: Predictor) -> i8 {
        if self.lead.is_none() {
            return 0;
        }
        let plan = Plan { gain: 0, may_stand: false, ..plan };
        let (mut product, mut square, mut size) = (0f32, 1f32, 2f32);
        self.each(plan, |difference, sum, lead| {
            let guess = predictor.predict(plan, sum, 0);
            predictor.learn(guess, difference);
            let (own, lead) = ((difference - guess.difference) as f32, lead as f32);
            size += (own.abs() - size) * 0.25;
            let weight = 1.0 / ((size + 0.5) * (size + 0.5));
            product += weight * own * lead;
            square += weight * lead * lead;
        });
        (64.0 * product / square).round() as i8
    }
}

impl Attempt {
    fn write(&self, is_led: bool, coder: &mut RangeEncoder) {
        coder.bits(self.plan.filter as u64, FILTER_INDEX_BITS);
        coder.bits(u64::from(self.plan.may_stand), 1);
        coder.bits(self.family as u64, FAMILY_BITS);
        if is_led {
            coder.bits(self.plan.gain as u8 as u64, GAIN_BITS);
        }
        for code in &self.coded {
            code.write(self.family, coder);
        }
    }
}

impl Habit {
    /// The best of what served before and of what has its turn; at first sight, of everything.
    fn search(&mut self, segment: &Segment<'_>, predictor: Predictor, level: Level) -> Attempt {
        const PLANS: usize = 2 * FILTERS.len();
        let plan_of = |index: usize| Plan { filter: index / 2, may_stand: index % 2 == 1, gain: 0 };
        let attempt = |plan: Plan| {
            let gain = segment.gain(plan, predictor);
            segment.attempt(Plan { gain, ..plan }, predictor, level)
        };
        let best = match self.plan {
            None => {
                (1..PLANS).map(plan_of).fold(attempt(plan_of(0)), |best, plan| cheaper(best, attempt(plan)))
            }
            Some(plan) => {
                self.turn = (self.turn + 1) % (TURN * PLANS);
                let best = attempt(plan);
                let is_turn = self.turn.is_multiple_of(TURN);
                if is_turn { cheaper(best, attempt(plan_of(self.turn / TURN))) } else { best }
            }
        };
        self.plan = Some(best.plan);
        best
    }
}

/// Another plan has its turn every so many segments.
const TURN: usize = 4;

fn cheaper(one: Attempt, other: Attempt) -> Attempt {
    if other.price < one.price { other } else { one }
}
