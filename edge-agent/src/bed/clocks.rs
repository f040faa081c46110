//! What the bed makes of the clocks around it: a record where one has changed, an advisory alarm where one is far off.

use super::core::Bed;
use super::device_clock::News;
use super::own_clock::Step;
use crate::alarm::Input as Alarming;
use crate::row::LinkIndex;
use cotside_protocol::model::{DeviceTime, Now, Provenance};
use cotside_protocol::wire::block::{Gap, GapCause};
use cotside_protocol::wire::upstream::Record;
use std::time::Duration;

/// Wall time that leaves the monotonic clock by more than this has been set.
const STEP_US: u64 = 1_000_000;

impl Bed {
    /// A step of this gateway's own wall clock goes on record before anything is dated by it.
    pub(super) fn watch_clock(&mut self, now: Now) {
        let expected = self.clock.wall + now.mono.since(self.clock.mono);
        if now.wall.0.abs_diff(expected.0) > STEP_US {
            let step = Step { before: expected, after: now.wall, was_unset: self.own_clock.is_unset };
            self.clock_stepped(now, step);
        }
        if now.mono > self.clock.mono {
            self.clock = now;
        }
    }

    /// Dates that no clock of ours ever showed are a gap. A clock that is set back leaves none: it shows the same dates twice, and
    /// boot, monotonic time and seq keep the two apart.
    fn clock_stepped(&mut self, now: Now, step: Step) {
        for index in 0..LinkIndex::try_from(self.links.len()).unwrap_or(LinkIndex::MAX) {
            let link = &mut self.links[usize::from(index)];
            let has_waveforms = link.has_waveforms;
            if let Some(part) = link.gap.as_mut().map(|gap| gap.cut(index, step.before, step.after)) {
                self.gap(now, part, has_waveforms);
            }
        }
        let record = Record::ClockStep {
            before_us: step.before.0,
            after_us: step.after.0,
            was_unset: step.was_unset,
            detail: step.words(),
        };
        self.record(now, &record);
        // What was dated by a clock that was not set is dated anew, back to the start: what is missing lies before that.
        let dated_anew = if step.was_unset { now.mono.since(self.began.mono) } else { Duration::ZERO };
        let (from, to) = (step.before - dated_anew, step.after - dated_anew);
        if from < to {
            self.gap(
                now,
                Gap { cause: GapCause::ClockStep, link: None, from, to, seqs: None, count: None },
                true,
            );
        }
        self.began = now;
        self.judge_own_clock(now);
    }

    pub(super) fn judge_own_clock(&mut self, now: Now) {
        let words = self.own_clock.alarm(now);
        self.engine.handle(now, Alarming::Clock(words.as_deref()));
    }

    /// A device has told the time.
    pub(super) fn look(&mut self, at: Now, index: LinkIndex, look: &DeviceTime) {
        let Some(link) = self.links.get_mut(usize::from(index)) else { return };
        let news = link.clock.hear(at, look);
        self.clock_news(at, index, news);
    }

    /// Once a second: what is due by time alone.
    pub(super) fn look_after_clocks(&mut self, now: Now) {
        for index in 0..LinkIndex::try_from(self.links.len()).unwrap_or(LinkIndex::MAX) {
            let news = self.links[usize::from(index)].clock.tick(now);
            self.clock_news(now, index, news);
        }
    }

    fn clock_news(&mut self, now: Now, index: LinkIndex, news: Option<News>) {
        let (Some(news), Some(setup)) = (news, self.setup.links.get(usize::from(index))) else { return };
        let record = Record::DeviceClock {
            link: index,
            name: setup.name.clone(),
            clock: news.clock,
            step_us: news.step_us,
            detail: news.words,
        };
        self.record(now, &record);
        let words = match self.setup.provenance {
            // A replayed device lives in the past, and rightly; and who has no time tells nobody the time.
            _ if self.own_clock.is_unset => None,
            Provenance::Replay => None,
            Provenance::Live | Provenance::Simulated | Provenance::DeviceDemo => {
                self.links[usize::from(index)].clock.alarm()
            }
        };
        self.engine.handle(now, Alarming::DeviceClock { link: index, words: words.as_deref() });
    }
}
