//! Which seqs of a lane are settled: everything below a watermark, and ranges above it.

/// Sorted, disjoint, not touching: `below`, then `[first, end)` ranges above it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    below: u64,
    above: Vec<(u64, u64)>,
}

impl Ranges {
    pub fn new(below: u64) -> Self {
        Self { below, above: Vec::new() }
    }

    /// Everything below this is in the set.
    pub fn below(&self) -> u64 {
        self.below
    }

    pub fn above(&self) -> &[(u64, u64)] {
        &self.above
    }

    /// Adds [first, end).
    pub fn insert(&mut self, first: u64, end: u64) {
        if first >= end {
            return;
        }
        let (mut first, mut end) = (first, end);
        if first <= self.below {
            self.below = self.below.max(end);
        } else {
            self.above.retain(|&(other_first, other_end)| {
                let touches = other_first <= end && first <= other_end;
                if touches {
                    first = first.min(other_first);
                    end = end.max(other_end);
                }
                !touches
            });
            let at = self.above.partition_point(|&(other, _)| other < first);
            self.above.insert(at, (first, end));
        }
        while let Some(&(first, end)) = self.above.first()
            && first <= self.below
        {
            self.below = self.below.max(end);
            self.above.remove(0);
        }
    }

    pub fn contains(&self, seq: u64) -> bool {
        seq < self.below || self.range_of(seq).is_some()
    }

    /// The first hole at or after `from`: [first, end), where `end` may be `u64::MAX`.
    pub fn hole(&self, from: u64) -> (u64, u64) {
        let mut first = from.max(self.below);
        while let Some((_, end)) = self.range_of(first) {
            first = end;
        }
        let next = self.above.iter().find(|(start, _)| *start > first);
        (first, next.map_or(u64::MAX, |(start, _)| *start))
    }

    /// How many seqs below `end` are in the set.
    pub fn count_below(&self, end: u64) -> u64 {
        let above = self.above.iter().map(|&(first, last)| last.min(end).saturating_sub(first)).sum::<u64>();
        self.below.min(end) + above
    }

    fn range_of(&self, seq: u64) -> Option<(u64, u64)> {
        self.above.iter().copied().find(|&(first, end)| (first..end).contains(&seq))
    }
}

#[cfg(test)]
mod tests {
    use super::Ranges;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_of_ranges_holds_what_was_put_in_and_nothing_else(
            below in 0u64..40, spans in prop::collection::vec((0u64..100, 0u64..20), 0..20)
        ) {
            let mut set = Ranges::new(below);
            let mut model = [false; 130];
            model.iter_mut().take(below as usize).for_each(|seq| *seq = true);
            for (first, length) in spans {
                set.insert(first, first + length);
                (first..first + length).for_each(|seq| model[seq as usize] = true);
            }
            for (seq, held) in model.iter().enumerate() {
                prop_assert_eq!(set.contains(seq as u64), *held, "{}", seq);
            }
            prop_assert_eq!(set.count_below(120), model.iter().take(120).filter(|held| **held).count() as u64);
            for from in 0..120 {
                let (first, end) = set.hole(from);
                let expected = (from..130).find(|seq| !model[*seq as usize]).unwrap_or(130);
                prop_assert_eq!(first, expected);
                prop_assert!((first..end.min(129)).all(|seq| !model[seq as usize]));
            }
        }
    }
}
