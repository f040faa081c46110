//! What of one lane has arrived: everything below a mark, and a bounded number of ranges above it.

/// Sequence numbers as a set. Ranges are `[first, end)`, sorted, apart from each other and above `below`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watermark {
    below: u64,
    ranges: Vec<(u64, u64)>,
}

/// The set would need more than [`Watermark::RANGES_MAX`] ranges: the sender has to close its gaps first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooScattered;

impl Watermark {
    pub const RANGES_MAX: usize = 32;

    pub fn below(&self) -> u64 {
        self.below
    }

    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    pub fn has(&self, seq: u64) -> bool {
        self.has_all(seq, seq.saturating_add(1))
    }

    /// True if the whole of `[first, end)` has arrived; of an empty range nothing is missing.
    pub fn has_all(&self, first: u64, end: u64) -> bool {
        first >= end
            || end <= self.below
            || self.ranges.iter().any(|&(from, to)| from <= first.max(self.below) && end <= to)
    }

    /// Adds `[first, end)`, which may overlap what is there.
    pub fn insert(&mut self, first: u64, end: u64) -> Result<(), TooScattered> {
        if self.has_all(first, end) {
            return Ok(());
        }
        // Everything that overlaps or touches the new range melts into it.
        let from = self.ranges.partition_point(|&(_, to)| to < first);
        let to = self.ranges.partition_point(|&(start, _)| start <= end);
        let mut merged = (first, end);
        if from < to {
            merged = (first.min(self.ranges[from].0), end.max(self.ranges[to - 1].1));
        }
        if merged.0 <= self.below {
            self.below = merged.1;
            self.ranges.drain(..to);
            return Ok(());
        }
        if from == to && self.ranges.len() == Self::RANGES_MAX {
            return Err(TooScattered);
        }
        self.ranges.splice(from..to, [merged]);
        Ok(())
    }

    /// The ranges as the store keeps them: pairs of little-endian u64.
    pub fn ranges_to_bytes(&self) -> Vec<u8> {
        self.ranges
            .iter()
            .flat_map(|(first, end)| [first.to_le_bytes(), end.to_le_bytes()].concat())
            .collect()
    }

    pub fn from_bytes(below: u64, ranges: &[u8]) -> Self {
        let mut mark = Self { below, ranges: Vec::new() };
        let (pairs, _) = ranges.as_chunks::<16>();
        for pair in pairs {
            let (first, end) = pair.split_at(8);
            let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte));
            // Written from a set within the bound, so it fits again.
            let _ = mark.insert(number(first), number(end));
        }
        mark
    }
}

#[cfg(test)]
mod tests {
    use super::{TooScattered, Watermark};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn the_mark_is_the_set_of_what_was_inserted(inserts in prop::collection::vec((0u64..120, 0u64..6), 0..60)) {
            let mut mark = Watermark::default();
            let mut model = BTreeSet::new();
            for (first, length) in inserts {
                let end = first + length;
                if mark.insert(first, end).is_ok() {
                    model.extend(first..end);
                } else {
                    prop_assert_eq!(mark.ranges().len(), Watermark::RANGES_MAX);
                }
                for seq in 0..130 {
                    prop_assert_eq!(mark.has(seq), model.contains(&seq), "seq {}", seq);
                }
                prop_assert!((0..mark.below()).all(|seq| model.contains(&seq)) && !model.contains(&mark.below()));
                let mut last = mark.below();
                for &(from, to) in mark.ranges() {
                    prop_assert!(last < from && from < to);
                    last = to;
                }
                prop_assert_eq!(&Watermark::from_bytes(mark.below(), &mark.ranges_to_bytes()), &mark);
            }
        }

        #[test]
        fn any_stored_bytes_give_a_sound_mark(below: u64, bytes in prop::collection::vec(any::<u8>(), 0..700)) {
            let mark = Watermark::from_bytes(below, &bytes);
            prop_assert!(mark.below() >= below && mark.ranges().len() <= Watermark::RANGES_MAX);
        }
    }

    #[test]
    fn a_sender_with_too_many_holes_is_refused_until_it_closes_one() {
        let mut mark = Watermark::default();
        for range in 0..32 {
            mark.insert(2 * range + 1, 2 * range + 2).unwrap();
        }
        assert_eq!(mark.insert(100, 101), Err(TooScattered));
        assert!(!mark.has(100));
        mark.insert(0, 1).unwrap();
        assert_eq!(mark.below(), 2);
        mark.insert(100, 101).unwrap();
        assert!(mark.has(100));
    }
}
