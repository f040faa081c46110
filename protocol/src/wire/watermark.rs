//! What of one lane is held or settled: everything below a mark, and ranges above it.

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
    /// What one acknowledgement may say.
    pub const RANGES_MAX: usize = 32;

    pub fn new(below: u64) -> Self {
        Self { below, ranges: Vec::new() }
    }

    /// Everything below this is in the set.
    pub fn below(&self) -> u64 {
        self.below
    }

    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    pub fn has(&self, seq: u64) -> bool {
        seq < self.below || self.range_of(seq).is_some()
    }

    /// True if the whole of `[first, end)` is in the set; of an empty range nothing is missing.
    pub fn has_all(&self, first: u64, end: u64) -> bool {
        let first = first.max(self.below);
        first >= end || self.range_of(first).is_some_and(|(_, to)| end <= to)
    }

    /// The first hole at or after `from`: [first, end), where `end` may be `u64::MAX`.
    pub fn hole(&self, from: u64) -> (u64, u64) {
        let from = from.max(self.below);
        let first = self.range_of(from).map_or(from, |(_, to)| to);
        let next = self.ranges.get(self.ranges.partition_point(|&(start, _)| start <= first));
        (first, next.map_or(u64::MAX, |(start, _)| *start))
    }

    /// How many seqs below `end` are in the set.
    pub fn count_below(&self, end: u64) -> u64 {
        let above = self.ranges.iter().map(|&(first, to)| to.min(end).saturating_sub(first)).sum::<u64>();
        self.below.min(end) + above
    }

    /// Adds `[first, end)`, which may overlap what is there.
    pub fn insert(&mut self, first: u64, end: u64) {
        if first >= end {
            return;
        }
        // Everything that overlaps or touches the new range melts into it.
        let from = self.ranges.partition_point(|&(_, to)| to < first);
        let to = self.ranges.partition_point(|&(start, _)| start <= end);
        let mut merged = (first, end);
        if from < to {
            merged = (first.min(self.ranges[from].0), end.max(self.ranges[to - 1].1));
        }
        if merged.0 <= self.below {
            self.below = self.below.max(merged.1);
            self.ranges.drain(..to);
        } else {
            self.ranges.splice(from..to, [merged]);
        }
    }

    /// Takes `[first, end)` out of the set.
    pub fn remove(&mut self, first: u64, end: u64) {
        if first >= end {
            return;
        }
        let mut rest = Self::default();
        for (from, to) in std::iter::once((0, self.below)).chain(self.ranges.iter().copied()) {
            rest.insert(from, to.min(first));
            rest.insert(from.max(end), to);
        }
        *self = rest;
    }

    /// What of `[first, end)` is in the set, as a mark that begins at `first`.
    pub fn within(&self, first: u64, end: u64) -> Self {
        let mut part = Self::new(first);
        for (from, to) in std::iter::once((0, self.below)).chain(self.ranges.iter().copied()) {
            part.insert(from.max(first), to.min(end));
        }
        part
    }

    /// Of `[first, end)` the set now holds exactly what `mark` holds of it.
    pub fn replace(&mut self, first: u64, end: u64, mark: &Self) {
        self.remove(first, end);
        for (from, to) in std::iter::once((0, mark.below)).chain(mark.ranges.iter().copied()) {
            self.insert(from.max(first), to.min(end));
        }
    }

    /// One past the last seq of the set.
    pub fn end(&self) -> u64 {
        self.ranges.last().map_or(self.below, |(_, end)| *end)
    }

    /// [`Watermark::insert`] for a set that a sender makes: it stays within [`Watermark::RANGES_MAX`], or as it was.
    pub fn insert_bounded(&mut self, first: u64, end: u64) -> Result<(), TooScattered> {
        let touches = |&(start, to): &(u64, u64)| start <= end && first <= to;
        let is_full = self.ranges.len() >= Self::RANGES_MAX;
        if is_full && first < end && first > self.below && !self.ranges.iter().any(touches) {
            return Err(TooScattered);
        }
        self.insert(first, end);
        Ok(())
    }

    /// The ranges as a store keeps them: pairs of little-endian u64.
    pub fn ranges_to_bytes(&self) -> Vec<u8> {
        self.ranges
            .iter()
            .flat_map(|(first, end)| [first.to_le_bytes(), end.to_le_bytes()].concat())
            .collect()
    }

    pub fn from_bytes(below: u64, ranges: &[u8]) -> Self {
        let mut mark = Self::new(below);
        let (pairs, _) = ranges.as_chunks::<16>();
        for pair in pairs {
            let (first, end) = pair.split_at(8);
            let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte));
            // Written from a set within the bound, so it fits again.
            let _ = mark.insert_bounded(number(first), number(end));
        }
        mark
    }

    fn range_of(&self, seq: u64) -> Option<(u64, u64)> {
        let at = self.ranges.partition_point(|&(_, to)| to <= seq);
        self.ranges.get(at).copied().filter(|(start, _)| *start <= seq)
    }
}

#[cfg(test)]
mod tests {
    use super::{TooScattered, Watermark};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn the_mark_is_the_set_of_what_was_inserted(
            below in 0u64..40, is_bounded: bool, inserts in prop::collection::vec((0u64..120, 0u64..6), 0..60)
        ) {
            let mut mark = Watermark::new(below);
            let mut model: BTreeSet<u64> = (0..below).collect();
            for (first, length) in inserts {
                let end = first + length;
                if !is_bounded {
                    mark.insert(first, end);
                    model.extend(first..end);
                } else if mark.insert_bounded(first, end).is_ok() {
                    model.extend(first..end);
                } else {
                    prop_assert_eq!(mark.ranges().len(), Watermark::RANGES_MAX);
                }
            }
            for seq in 0..130 {
                prop_assert_eq!(mark.has(seq), model.contains(&seq), "seq {}", seq);
                prop_assert_eq!(mark.has_all(seq, seq + 3), (seq..seq + 3).all(|seq| model.contains(&seq)));
                prop_assert_eq!(mark.count_below(seq), model.range(..seq).count() as u64);
                let (first, end) = mark.hole(seq);
                prop_assert_eq!(first, (seq..).find(|seq| !model.contains(seq)).unwrap());
                prop_assert_eq!(end, model.range(first..).next().copied().unwrap_or(u64::MAX));
            }
            let mut last = mark.below();
            for &(from, to) in mark.ranges() {
                prop_assert!(last < from && from < to);
                last = to;
            }
            if mark.ranges().len() <= Watermark::RANGES_MAX {
                prop_assert_eq!(&Watermark::from_bytes(mark.below(), &mark.ranges_to_bytes()), &mark);
            }
        }

        #[test]
        fn a_part_is_taken_out_looked_at_and_replaced_as_a_set(
            below in 0u64..30, ranges in prop::collection::vec((0u64..80, 0u64..6), 0..12),
            other in prop::collection::vec((0u64..80, 0u64..6), 0..12), first in 0u64..90, length in 0u64..40,
        ) {
            let end = first + length;
            let mut mark = Watermark::new(below);
            ranges.iter().for_each(|(first, length)| mark.insert(*first, first + length));
            let mut with = Watermark::default();
            other.iter().for_each(|(first, length)| with.insert(*first, first + length));
            let (mut removed, mut replaced) = (mark.clone(), mark.clone());
            removed.remove(first, end);
            replaced.replace(first, end, &with);
            let within = mark.within(first, end);
            for seq in 0..130 {
                let inside = (first..end).contains(&seq);
                prop_assert_eq!(removed.has(seq), mark.has(seq) && !inside);
                prop_assert_eq!(replaced.has(seq), if inside { with.has(seq) } else { mark.has(seq) });
                prop_assert_eq!(within.has(seq), seq < first || (inside && mark.has(seq)));
            }
            for mark in [removed, replaced, within] {
                let mut last = mark.below();
                for &(from, to) in mark.ranges() {
                    prop_assert!(last < from && from < to);
                    last = to;
                }
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
            mark.insert_bounded(2 * range + 1, 2 * range + 2).unwrap();
        }
        assert_eq!(mark.insert_bounded(100, 101), Err(TooScattered));
        assert!(!mark.has(100));
        mark.insert_bounded(0, 1).unwrap();
        assert_eq!(mark.below(), 2);
        mark.insert_bounded(100, 101).unwrap();
        assert!(mark.has(100));
    }
}
