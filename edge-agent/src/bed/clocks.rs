//! What the bed makes of the clocks around it: a record where one has changed, an advisory alarm where one is far off.

use super::core::Bed;
use super::device_clock::News;
use crate::alarm::Input as Alarming;
use crate::row::LinkIndex;
use cotside_protocol::model::{DeviceTime, Now, Provenance};
use cotside_protocol::wire::upstream::Record;

impl Bed {
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
        // A replayed device lives in the past, and rightly.
        let words = match self.setup.provenance {
            Provenance::Replay => None,
            Provenance::Live | Provenance::Simulated | Provenance::DeviceDemo => {
                self.links[usize::from(index)].clock.alarm()
            }
        };
        self.engine.handle(now, Alarming::DeviceClock { link: index, words: words.as_deref() });
    }
}
