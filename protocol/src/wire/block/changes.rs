//! By how much numerics changed, packed: one range-coded stream after all groups of a block, sized by the changes before.

use super::BlockError;
use super::bytes::Reader;
use super::range::{RangeDecoder, RangeEncoder};
use super::surprise::{Coded, LEVEL_BITS, Level};
use super::surprise_tables::FAMILIES;

/// Larger changes are whole readings.
pub(super) const CHANGE_MAX: u64 = 1 << 32;
const FAMILY_BITS: u32 = 2;

/// Nothing at all for no changes.
pub(super) fn encode(changes: &[i64]) -> Vec<u8> {
    let mut coder = RangeEncoder::new(Vec::new());
    if changes.is_empty() {
        return coder.finish();
    }
    let first = Level::before(changes.iter().copied());
    let mut level = Level::of(first);
    let coded: Vec<Coded> = changes.iter().map(|change| level.code(*change)).collect();
    let price = |family: &usize| coded.iter().map(|code| u64::from(code.price()[*family])).sum::<u64>();
    let family = (0..FAMILIES).min_by_key(price).unwrap_or(0);
    coder.bits(u64::from(first), LEVEL_BITS);
    coder.bits(family as u64, FAMILY_BITS);
    coded.iter().for_each(|code| code.write(family, &mut coder));
    coder.finish()
}

/// Reads what [`encode`] wrote.
pub(super) struct Changes<'a> {
    coder: RangeDecoder<'a>,
    /// Level and family, once a change was asked for.
    state: Option<(Level, usize)>,
}

impl<'a> Changes<'a> {
    pub(super) fn new(reader: &mut Reader<'a>) -> Self {
        Self { coder: RangeDecoder::new(reader.rest()), state: None }
    }

    pub(super) fn next(&mut self) -> Result<i64, BlockError> {
        let (mut level, family) = match self.state {
            Some(state) => state,
            None => (Level::of(self.coder.bits(LEVEL_BITS)? as u32), self.coder.bits(FAMILY_BITS)? as usize),
        };
        let change = level.decode(family, &mut self.coder)?;
        self.state = Some((level, family));
        Ok(change)
    }

    pub(super) fn end(&self) -> Result<(), BlockError> {
        self.coder.end()
    }
}
