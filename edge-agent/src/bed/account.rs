//! The conservation count of the bed: what was read is withheld, waits for its window, or was handed on. Nothing else can become of it.

use cotside_protocol::model::Event;
use cotside_protocol::wire::upstream::Entries;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    read: u64,
    withheld: u64,
    handed: u64,
    /// The count did not add up, once.
    is_wrong: bool,
}

impl Account {
    pub(super) fn read(&mut self, entries: usize) {
        self.read += entries as u64;
    }

    /// What a device that is not this bed's said.
    pub(super) fn withhold(&mut self, event: &Event) {
        let entries = match event {
            Event::Numeric(_) => 1,
            Event::Waveform(waveform) => waveform.samples.len() as u64,
            // Alerts become records of ours; the rest carries no data.
            _ => 0,
        };
        self.read += entries;
        self.withheld += entries;
    }

    /// To the store, or to the queue before it.
    pub(super) fn hand(&mut self, entries: u64) {
        self.handed += entries;
    }

    /// At every request: a difference is a defect, and is told.
    pub(super) fn check(&mut self, in_window: u64) {
        let accounted = self.withheld + in_window + self.handed;
        if self.read != accounted && !std::mem::replace(&mut self.is_wrong, true) {
            tracing::error!(
                read = self.read,
                accounted,
                "the count of what was read does not add up: a defect, please report"
            );
        }
        debug_assert_eq!(self.read, accounted, "read = withheld + in the window + handed on");
    }

    /// Completed by what queue and store said last: what they have not counted yet is held.
    pub(super) fn entries(&self, said: Entries) -> Entries {
        let Entries { lost, stored, .. } = said;
        let Self { read, withheld, .. } = *self;
        Entries { read, withheld, held: read.saturating_sub(withheld + lost + stored), lost, stored }
    }
}
