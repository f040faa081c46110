//! The range coder: symbols of a known likelihood, and plain bits, in one stream of bytes that is barely longer than their information.

use super::BlockError;

/// Frequencies of a table's symbols add up to `1 << SCALE_BITS`.
pub(super) const SCALE_BITS: u32 = 12;
/// Below this the range is renewed by 32 bits.
const RANGE_MIN: u64 = 1 << 32;
/// Plain bits are coded in pieces of so many.
const PIECE_BITS: u32 = 16;

/// Narrows an interval `[low, low + range)`; bytes leave at its upper end.
pub(super) struct RangeEncoder {
    out: Vec<u8>,
    low: u64,
    range: u64,
}

impl RangeEncoder {
    pub(super) const fn new(out: Vec<u8>) -> Self {
        Self { out, low: 0, range: u64::MAX }
    }

    /// A symbol that occupies `[begin, begin + frequency)` of its table.
    #[inline]
    pub(super) fn symbol(&mut self, begin: u16, frequency: u16) {
        let step = self.range >> SCALE_BITS;
        self.range = step * u64::from(frequency);
        self.advance(step * u64::from(begin));
    }

    /// The lowest `count` bits of a value, all equally likely.
    #[inline]
    pub(super) fn bits(&mut self, value: u64, count: u32) {
        let mut left = count;
        while left > PIECE_BITS {
            left -= PIECE_BITS;
            self.piece(value >> left, PIECE_BITS);
        }
        self.piece(value, left);
    }

    #[inline]
    fn piece(&mut self, value: u64, count: u32) {
        self.range >>= count;
        self.advance(self.range * (value & ((1 << count) - 1)));
    }

    #[inline]
    fn advance(&mut self, by: u64) {
        let (low, carries) = self.low.overflowing_add(by);
        self.low = low;
        if carries {
            carry(&mut self.out);
        }
        if self.range < RANGE_MIN {
            self.out.extend_from_slice(&((self.low >> 32) as u32).to_be_bytes());
            self.low <<= 32;
            self.range <<= 32;
        }
    }

    /// Ends with the shortest number in the interval; bytes that are missing at the end are read as zeros.
    pub(super) fn finish(mut self) -> Vec<u8> {
        for kept in 0..=8u32 {
            let below = u64::MAX.checked_shr(8 * kept).unwrap_or(0);
            let (rounded, carries) = self.low.overflowing_add(below);
            let end = rounded & !below;
            if end.wrapping_sub(self.low) < self.range {
                if carries {
                    carry(&mut self.out);
                }
                self.out.extend_from_slice(&end.to_be_bytes()[..kept as usize]);
                break;
            }
        }
        while self.out.last() == Some(&0) {
            self.out.pop();
        }
        self.out
    }
}

fn carry(out: &mut [u8]) {
    for byte in out.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            break;
        }
    }
}

/// Follows the encoder: `code` is the stream's number less the interval's lower end.
pub(super) struct RangeDecoder<'a> {
    bytes: &'a [u8],
    code: u64,
    range: u64,
}

impl<'a> RangeDecoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut decoder = Self { bytes, code: 0, range: u64::MAX };
        decoder.code = u64::from(decoder.word()) << 32 | u64::from(decoder.word());
        decoder
    }

    /// The next four bytes; zeros beyond the end.
    fn word(&mut self) -> u32 {
        if let Some((word, rest)) = self.bytes.split_first_chunk() {
            self.bytes = rest;
            return u32::from_be_bytes(*word);
        }
        let mut word = [0; 4];
        word[..self.bytes.len()].copy_from_slice(self.bytes);
        self.bytes = &[];
        u32::from_be_bytes(word)
    }

    /// Where the number lies in a table's scale: it is the symbol that begins last at or before this. Then take it.
    #[inline]
    pub(super) fn position(&self) -> u16 {
        (self.code / (self.range >> SCALE_BITS)).min((1 << SCALE_BITS) - 1) as u16
    }

    #[inline]
    pub(super) fn take(&mut self, begin: u16, frequency: u16) {
        let step = self.range >> SCALE_BITS;
        self.range = step * u64::from(frequency);
        self.retreat(step * u64::from(begin));
    }

    #[inline]
    pub(super) fn bits(&mut self, count: u32) -> Result<u64, BlockError> {
        if count > 64 {
            return Err(BlockError::Structure);
        }
        let (mut value, mut left) = (0, count);
        while left > PIECE_BITS {
            left -= PIECE_BITS;
            value = value << PIECE_BITS | self.piece(PIECE_BITS);
        }
        Ok(value << left | self.piece(left))
    }

    #[inline]
    fn piece(&mut self, count: u32) -> u64 {
        self.range >>= count;
        let value = (self.code / self.range).min((1 << count) - 1);
        self.retreat(self.range * value);
        value
    }

    #[inline]
    fn retreat(&mut self, by: u64) {
        self.code = self.code.wrapping_sub(by);
        if self.range < RANGE_MIN {
            self.code = self.code << 32 | u64::from(self.word());
            self.range <<= 32;
        }
    }

    /// A stream of zeros at its end would have been cut, and nothing follows it.
    pub(super) fn end(&self) -> Result<(), BlockError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(BlockError::Structure) }
    }
}
