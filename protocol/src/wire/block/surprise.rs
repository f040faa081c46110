//! How large a surprise is likely, by the surprises before it: picks the table of frequencies and the split into symbol and plain bits.

use super::BlockError;
use super::bytes::{unzigzag, zigzag};
use super::range::{RangeDecoder, RangeEncoder};
use super::surprise_tables::{BEGINS, FAMILIES, HINT_BITS, HINTS, SYMBOLS, TABLES};
use std::sync::LazyLock;

/// No difference is further from its guess.
const SURPRISE_MAX: u64 = 1 << 33;
/// Surprises beyond this count as this.
const SIZE_MAX: i64 = 1 << 26;
/// Levels below this code the size itself as the symbol, and then its sign.
const SMALL: u32 = 14;
/// The last symbol says that the rest is written out.
const ESCAPE: usize = SYMBOLS - 1;
const ESCAPE_BITS: u32 = 6;
/// Bits of the first level of a trace.
pub(super) const LEVEL_BITS: u32 = 6;

/// How large surprises have been lately, in 32nds: over about two samples and about eight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    quick: i64,
    slow: i64,
}

/// A surprise as the coder writes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coded {
    pub(super) table: u8,
    pub(super) symbol: u8,
    /// Plain bits after the symbol (after the escape, if it is one).
    tail_bits: u8,
    tail: u32,
    /// What the symbol stands for, or more if it is the escape.
    head: u64,
}

impl Level {
    /// Half octaves: 0 for nothing at all, two more for each doubling.
    pub(super) fn of(index: u32) -> Self {
        let octave = 1i64 << (index / 2).min(31);
        let middle = octave + octave / 4 + i64::from(index % 2) * octave / 2 - 1;
        Self { quick: middle, slow: middle }
    }

    /// The level at which these surprises could begin.
    pub(super) fn before(surprises: impl Iterator<Item = i64>) -> u32 {
        let (mut sum, mut count) = (0, 0);
        for surprise in surprises {
            sum += surprise.abs().min(SIZE_MAX);
            count += 1;
        }
        half_octaves(32 * sum / count.max(1))
    }

    #[inline]
    fn index(&self) -> u32 {
        half_octaves((3 * self.quick + self.slow) >> 2)
    }

    #[inline]
    fn learn(&mut self, surprise: i64) {
        let size = surprise.abs().min(SIZE_MAX) << 5;
        self.quick += (size - self.quick) >> 1;
        self.slow += (size - self.slow) >> 3;
    }

    /// The surprise as it is written at this level, which it changes.
    #[inline]
    pub(super) fn code(&mut self, surprise: i64) -> Coded {
        let index = self.index();
        self.learn(surprise);
        let (table, head, tail_bits, tail) = if index < SMALL {
            let size = surprise.unsigned_abs();
            (index, size, u32::from(size > 0), u32::from(surprise < 0))
        } else {
            let bits = (index - SMALL) / 2 + 2;
            let folded = zigzag(surprise);
            (SMALL + index % 2, folded >> bits, bits, (folded & ((1 << bits) - 1)) as u32)
        };
        let symbol = head.min(ESCAPE as u64) as u8;
        Coded { table: table as u8, symbol, tail_bits: tail_bits as u8, tail, head }
    }

    /// The next surprise.
    #[inline]
    pub(super) fn decode(&mut self, family: usize, coder: &mut RangeDecoder<'_>) -> Result<i64, BlockError> {
        let index = self.index();
        let table = if index < SMALL { index } else { SMALL + index % 2 };
        let begins = &BEGINS[family][table as usize];
        let position = coder.position();
        let mut symbol = usize::from(HINTS[family][table as usize][usize::from(position >> HINT_BITS)]);
        while begins[symbol + 1] <= position {
            symbol += 1;
        }
        coder.take(begins[symbol], begins[symbol + 1] - begins[symbol]);
        let mut head = symbol as u64;
        if head == ESCAPE as u64 {
            let bits = coder.bits(ESCAPE_BITS)? as u32;
            let rest = 1u64 << bits | coder.bits(bits)?;
            head = (rest - 1).checked_add(head).ok_or(BlockError::Structure)?;
        }
        let surprise = if index < SMALL {
            let size = i64::try_from(head).map_err(|_| BlockError::Structure)?;
            if size > 0 && coder.bits(1)? == 1 { -size } else { size }
        } else {
            let bits = (index - SMALL) / 2 + 2;
            if head.leading_zeros() < bits {
                return Err(BlockError::Structure);
            }
            unzigzag(head << bits | coder.bits(bits)?)
        };
        if surprise.unsigned_abs() > SURPRISE_MAX {
            return Err(BlockError::Structure);
        }
        self.learn(surprise);
        Ok(surprise)
    }
}

#[inline]
const fn half_octaves(mean: i64) -> u32 {
    let mean = mean as u64 + 1;
    let octave = mean.ilog2();
    2 * octave + ((mean << 1 >> octave) & 1) as u32
}

impl Coded {
    #[inline]
    pub(super) fn write(self, family: usize, coder: &mut RangeEncoder) {
        let begins = &BEGINS[family][usize::from(self.table)];
        let symbol = usize::from(self.symbol);
        coder.symbol(begins[symbol], begins[symbol + 1] - begins[symbol]);
        if symbol == ESCAPE {
            let rest = self.head - ESCAPE as u64 + 1;
            coder.bits(u64::from(rest.ilog2()), ESCAPE_BITS);
            coder.bits(rest, rest.ilog2());
        }
        if self.tail_bits > 0 {
            coder.bits(u64::from(self.tail), u32::from(self.tail_bits));
        }
    }

    /// What it costs by each family, in bits / 256.
    #[inline]
    pub(super) fn price(self) -> [u32; FAMILIES] {
        let mut prices = PRICES[usize::from(self.table)][usize::from(self.symbol)];
        let mut plain = u32::from(self.tail_bits);
        if usize::from(self.symbol) == ESCAPE {
            plain += ESCAPE_BITS + (self.head - ESCAPE as u64 + 1).ilog2();
        }
        prices.iter_mut().for_each(|price| *price += plain << 8);
        prices
    }
}

/// What each symbol costs, in bits / 256: for the encoder's choices only.
static PRICES: LazyLock<[[[u32; FAMILIES]; SYMBOLS]; TABLES]> = LazyLock::new(|| {
    std::array::from_fn(|table| {
        std::array::from_fn(|symbol| {
            std::array::from_fn(|family| {
                let begins = &BEGINS[family][table];
                let share = f64::from(begins[symbol + 1] - begins[symbol]) / f64::from(begins[SYMBOLS]);
                (-share.log2() * 256.0).round() as u32
            })
        })
    })
});
