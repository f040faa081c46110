//! Unbroken runs of a lane's seqs, with the time they span: within one, everything that the agent wrote is here.

use cotside_protocol::model::Wall;

/// Seqs `[first, end)`, and the agent's wall time from their earliest to their latest moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub first: u64,
    pub end: u64,
    pub from: Wall,
    pub to: Wall,
}

/// Sorted, and apart from each other. As few as the watermark has ranges, since a row that would be one too many is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs(Vec<Run>);

impl Runs {
    pub fn insert(&mut self, first: u64, end: u64, from: Wall, to: Wall) {
        if first >= end {
            return;
        }
        let begin = self.0.partition_point(|run| run.end < first);
        let past = self.0.partition_point(|run| run.first <= end);
        let mut merged = Run { first, end, from, to: to.max(from) };
        for run in &self.0[begin..past.max(begin)] {
            merged.first = merged.first.min(run.first);
            merged.end = merged.end.max(run.end);
            merged.from = merged.from.min(run.from);
            merged.to = merged.to.max(run.to);
        }
        self.0.splice(begin..past.max(begin), [merged]);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Run> {
        self.0.iter()
    }

    pub fn has(&self, seq: u64) -> bool {
        let at = self.0.partition_point(|run| run.end <= seq);
        self.0.get(at).is_some_and(|run| run.first <= seq)
    }
}

#[cfg(test)]
mod tests {
    use super::Runs;
    use cotside_protocol::model::Wall;

    #[test]
    fn the_row_between_two_runs_makes_them_one_that_spans_both() {
        let mut runs = Runs::default();
        for (first, end, from) in [(5, 6, 50), (3, 4, 30), (0, 1, 7)] {
            runs.insert(first, end, Wall(from), Wall(from + 10));
        }
        assert_eq!(runs.iter().count(), 3);
        runs.insert(4, 5, Wall(40), Wall(50));
        let last = *runs.iter().last().unwrap();
        assert_eq!((last.first, last.end, last.from, last.to), (3, 6, Wall(30), Wall(60)));
        assert!(runs.has(5) && !runs.has(6) && !runs.has(2));
    }
}
