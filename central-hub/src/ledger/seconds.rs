//! Seconds since 1970 as a set of ranges: what was heard, what is missing, and what is left of a day when both are taken away.

use super::varint;

/// Ranges are `[from, to)`, sorted and apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seconds(Vec<(i64, i64)>);

const MICROS: i64 = 1_000_000;
const VERSION: u8 = 1;

impl Seconds {
    pub fn of(from: i64, to: i64) -> Self {
        Self(if from < to { vec![(from, to)] } else { Vec::new() })
    }

    /// Every second that a stretch of wall time touches; a moment touches its own.
    pub fn touched(from_us: i64, to_us: i64) -> Self {
        let from = from_us.div_euclid(MICROS);
        Self::of(from, (to_us.max(from_us).saturating_add(MICROS - 1).div_euclid(MICROS)).max(from + 1))
    }

    /// Every second that lies in a stretch of wall time as a whole.
    pub fn whole(from_us: i64, to_us: i64) -> Self {
        Self::of(from_us.saturating_add(MICROS - 1).div_euclid(MICROS), to_us.div_euclid(MICROS))
    }

    pub fn ranges(&self) -> &[(i64, i64)] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn count(&self) -> u64 {
        self.0.iter().map(|(from, to)| to.abs_diff(*from)).sum()
    }

    pub fn has(&self, second: i64) -> bool {
        let at = self.0.partition_point(|&(_, to)| to <= second);
        self.0.get(at).is_some_and(|&(from, _)| from <= second)
    }

    /// Adds `[from, to)`, which may overlap what is there.
    pub fn insert(&mut self, from: i64, to: i64) {
        if from >= to {
            return;
        }
        // Everything that overlaps or touches the new range melts into it.
        let first = self.0.partition_point(|&(_, end)| end < from);
        let last = self.0.partition_point(|&(start, _)| start <= to);
        let mut merged = (from, to);
        if first < last {
            merged = (from.min(self.0[first].0), to.max(self.0[last - 1].1));
        }
        self.0.splice(first..last, [merged]);
    }

    pub fn add(&mut self, other: &Self) {
        if other.0.len() < 4 {
            return other.0.iter().for_each(|&(from, to)| self.insert(from, to));
        }
        let mut all: Vec<(i64, i64)> = self.0.iter().chain(&other.0).copied().collect();
        all.sort_unstable();
        self.0.clear();
        for (from, to) in all {
            match self.0.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => self.0.push((from, to)),
            }
        }
    }

    /// What is in both.
    pub fn and(&self, other: &Self) -> Self {
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut both = Vec::new();
        while let (Some(&&(from, to)), Some(&&(start, end))) = (mine.peek(), theirs.peek()) {
            if from.max(start) < to.min(end) {
                both.push((from.max(start), to.min(end)));
            }
            if to <= end {
                mine.next();
            } else {
                theirs.next();
            }
        }
        Self(both)
    }

    /// What is here and not there.
    pub fn without(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        let mut begin = 0;
        for &(mut from, to) in &self.0 {
            begin += other.0[begin..].partition_point(|&(_, end)| end <= from);
            for &(start, end) in other.0[begin..].iter().take_while(|&&(start, _)| start < to) {
                if from < start {
                    left.push((from, start));
                }
                from = end;
            }
            if from < to {
                left.push((from, to));
            }
        }
        Self(left)
    }

    /// A version byte, then for every range how far it lies behind the last one's end (the first: behind `origin`), and its length.
    pub fn to_bytes(&self, origin: i64) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        let mut before = origin;
        for &(from, to) in &self.0 {
            varint::write(from.abs_diff(before), &mut bytes);
            varint::write(to.abs_diff(from), &mut bytes);
            before = to;
        }
        bytes
    }

    /// None: not what [`Self::to_bytes`] wrote.
    pub fn from_bytes(origin: i64, bytes: &[u8]) -> Option<Self> {
        let (&VERSION, mut rest) = bytes.split_first()? else { return None };
        let mut set = Self::default();
        let mut before = origin;
        while !rest.is_empty() {
            let from = before.checked_add_unsigned(varint::read(&mut rest)?)?;
            before = from.checked_add_unsigned(varint::read(&mut rest)?)?;
            set.insert(from, before);
        }
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    use super::Seconds;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(ranges: &[(i64, i64)]) -> (Seconds, BTreeSet<i64>) {
        let mut seconds = Seconds::default();
        ranges.iter().for_each(|&(from, length)| seconds.insert(from, from + length));
        (seconds, ranges.iter().flat_map(|&(from, length)| from..from + length).collect())
    }

    proptest! {
        #[test]
        fn ranges_are_the_set_of_their_seconds(
            a in prop::collection::vec((0i64..200, 0i64..20), 0..20),
            b in prop::collection::vec((0i64..200, 0i64..20), 0..20),
        ) {
            let ((a, a_set), (b, b_set)) = (set(&a), set(&b));
            let all = |seconds: &Seconds| -> BTreeSet<i64> {
                seconds.ranges().iter().flat_map(|&(from, to)| from..to).collect()
            };
            prop_assert_eq!(&all(&a), &a_set);
            prop_assert_eq!(all(&a.and(&b)), &a_set & &b_set);
            prop_assert_eq!(all(&a.without(&b)), &a_set - &b_set);
            let mut both = a.clone();
            both.add(&b);
            prop_assert_eq!(all(&both), &a_set | &b_set);
            prop_assert!(both.ranges().windows(2).all(|pair| pair[0].1 < pair[1].0));
            prop_assert_eq!(a.count(), a_set.len() as u64);
            prop_assert!((0..230).all(|second| a.has(second) == a_set.contains(&second)));
            prop_assert_eq!(Seconds::from_bytes(-5, &a.to_bytes(-5)), Some(a));
        }

        #[test]
        fn any_bytes_are_a_set_or_none(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Seconds::from_bytes(0, &bytes);
        }
    }

    #[test]
    fn a_moment_touches_its_second_and_a_stretch_all_of_its() {
        assert_eq!(Seconds::touched(1_500_000, 1_500_000).ranges(), [(1, 2)]);
        assert_eq!(Seconds::touched(1_500_000, 2_000_001).ranges(), [(1, 3)]);
        assert_eq!(Seconds::touched(-1, 1_000_000).ranges(), [(-1, 1)]);
    }
}
