//! What the readers are sent and when: alarms at once, everything else gathered to a quarter of a second, a tick every second.
//!
//! Pure. A frame is encoded once, whatever the number of readers; with nobody reading it is not encoded at all.

use super::waves::{WaveFrame, Waves};
use crate::feed::{Item, News};
use crate::store::marks::Mark;
use crate::unit::view::BedsView;
use crate::unit::{Change, Unit};
use bytes::Bytes;
use cotside_protocol::model::{Mono, Now};
use cotside_protocol::wire::topic::AgentId;
use serde::Serialize;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// A bed's numerics come once a second: gathering costs a quarter of that and saves most of the writes (five to eight times).
pub(super) const PULSE_EVERY: Duration = Duration::from_millis(250);
const PULSES_PER_TICK: u32 = 4;

#[derive(Debug)]
pub(super) struct Feed {
    unit: Unit,
    waves: Waves,
    /// Beds to be sent with the next pulse.
    changed: BTreeSet<String>,
    /// Beds to be sent now.
    urgent: BTreeSet<String>,
    /// Beds whose agents said that nothing has changed, since this tick and since the one before: a page that hears nothing of a bed
    /// lets its ages grow, so a quiet bed is sent again after two seconds at most.
    quiet: [BTreeSet<String>; 2],
    pulse_at: Mono,
    pulses: u32,
    output: VecDeque<Output>,
}

#[derive(Debug)]
pub(super) enum Output {
    Beds(BTreeSet<String>),
    /// Proof that the hub lives.
    Tick,
    Waves(WaveFrame),
    /// Something of the unit itself changed: every reader needs the whole.
    Snapshot,
}

impl Feed {
    pub(super) fn new(unit: Unit, now: Mono) -> Self {
        Self {
            unit,
            waves: Waves::default(),
            changed: BTreeSet::new(),
            urgent: BTreeSet::new(),
            quiet: Default::default(),
            pulse_at: now + PULSE_EVERY,
            pulses: 0,
            output: VecDeque::new(),
        }
    }

    pub(super) fn handle(&mut self, now: Now, item: Item) {
        if let News::Waveforms(header, stretches) = &item.what
            && let Some(bed) = &item.bed
        {
            let frame = self.waves.take(bed, header, stretches, |link| self.unit.device(bed, link));
            self.output.extend(frame.map(Output::Waves));
        }
        match self.unit.handle(now, item) {
            Change::Nothing => {}
            Change::Heard(bed) => _ = self.quiet[0].insert(bed),
            Change::Soon(bed) => _ = self.changed.insert(bed),
            Change::AtOnce(bed) => _ = self.urgent.insert(bed),
        }
    }

    /// A change of one bed that did not come from its agent. `change` says whether there was any.
    pub(super) fn change(&mut self, bed: &str, change: impl FnOnce(&mut Unit) -> bool) -> bool {
        let has_changed = change(&mut self.unit);
        if has_changed {
            self.urgent.insert(bed.to_owned());
        }
        has_changed
    }

    pub(super) fn set_store_ok(&mut self, ok: bool) {
        if self.unit.set_store_ok(ok) {
            self.output.push_back(Output::Snapshot);
        }
    }

    pub(super) fn set_marks(&mut self, marks: &[Mark]) {
        if self.unit.set_marks(marks) {
            self.output.push_back(Output::Snapshot);
        }
    }

    pub(super) const fn deadline(&self) -> Mono {
        self.pulse_at
    }

    /// Call when the deadline has come.
    pub(super) fn pulse(&mut self, now: Mono) {
        if now < self.pulse_at {
            return;
        }
        // A steady beat, unless we were held up.
        self.pulse_at = (self.pulse_at + PULSE_EVERY).max(now);
        self.pulses = (self.pulses + 1) % PULSES_PER_TICK;
        let is_tick = self.pulses == 0;
        self.changed.extend(self.unit.ages(now));
        if is_tick {
            let [since_this, since_last] = &mut self.quiet;
            self.changed.append(since_last);
            *since_last = std::mem::take(since_this);
        }
        if !self.changed.is_empty() {
            let changed = std::mem::take(&mut self.changed);
            self.send(changed);
        }
        if is_tick {
            self.output.push_back(Output::Tick);
        }
    }

    fn send(&mut self, beds: BTreeSet<String>) {
        for waiting in self.quiet.iter_mut().chain([&mut self.changed]) {
            waiting.retain(|bed| !beds.contains(bed));
        }
        self.output.push_back(Output::Beds(beds));
    }

    pub(super) fn poll(&mut self) -> Option<Output> {
        if !self.urgent.is_empty() {
            let urgent = std::mem::take(&mut self.urgent);
            self.send(urgent);
        }
        self.output.pop_front()
    }

    pub(super) fn set_clock_trouble(&mut self, words: Option<String>) {
        self.unit.set_clock_trouble(words);
    }

    pub(super) fn clock_news(&mut self, now: Now) -> Vec<(AgentId, String)> {
        self.unit.clock_news(now)
    }

    pub(super) const fn unit(&self) -> &Unit {
        &self.unit
    }

    pub(super) const fn waves(&self) -> &Waves {
        &self.waves
    }

    pub(super) fn beds_frame(&self, now: Now, beds: &BTreeSet<String>) -> Bytes {
        let beds = self.unit.beds_view(now, beds.iter().map(String::as_str));
        frame("beds", &BedsView { hub_at_ms: now.wall.millis(), beds })
    }

    pub(super) fn snapshot_frame(&self, now: Now) -> Bytes {
        frame("snapshot", &self.unit.view(now))
    }
}

#[derive(Serialize)]
struct Ticked {
    hub_at_ms: i64,
}

pub(super) fn tick_frame(now: Now) -> Bytes {
    frame("tick", &Ticked { hub_at_ms: now.wall.millis() })
}

/// An event of `text/event-stream`. JSON has no raw line break, so one `data:` line carries it.
fn frame(event: &str, data: &impl Serialize) -> Bytes {
    let mut frame = format!("event: {event}\ndata: ").into_bytes();
    serde_json::to_writer(&mut frame, data).expect("a view has string keys and its Serialize does not fail");
    frame.extend_from_slice(b"\n\n");
    Bytes::from(frame)
}

#[cfg(test)]
mod tests {
    use super::{Feed, Output, PULSE_EVERY};
    use crate::feed::{Item, News};
    use crate::unit::view::UnitName;
    use crate::unit::{Roster, Unit};
    use cotside_protocol::model::{Mono, Now, Wall};
    use cotside_protocol::wire::topic::AgentId;
    use cotside_protocol::wire::upstream::{LinkState, LinkStatus, OutboxStatus, Status};
    use std::time::Duration;

    const START: Now = Now { mono: Mono(1_000_000_000), wall: Wall(0) };

    fn feed() -> Feed {
        let unit = UnitName { id: "nicu".to_owned(), name: "NICU".to_owned() };
        let mut feed = Feed::new(Unit::new(Roster { unit, beds: vec![("01".to_owned(), None)] }), START.mono);
        feed.handle(START, item(News::Connected));
        while feed.poll().is_some() {}
        feed
    }

    fn item(what: News) -> Item {
        Item { agent: AgentId::new("gw-01").unwrap(), bed: Some("01".to_owned()), what }
    }

    fn status(detail: &str) -> News {
        let link = LinkStatus {
            link: 0,
            name: "monitor".to_owned(),
            driver: "intellivue".to_owned(),
            state: LinkState::Live,
            detail: detail.to_owned(),
            manufacturer: String::new(),
            model: String::new(),
            serial: String::new(),
            firmware: String::new(),
            heard_ms: None,
            frames: 0,
            malformed_bytes: 0,
            clock: None,
        };
        let outbox = OutboxStatus::default();
        News::Status(Status {
            epoch: String::new(),
            wall_us: 0,
            links: vec![link],
            outbox,
            limits: None,
            limits_refused: None,
        })
    }

    #[test]
    fn changes_are_gathered_to_the_next_pulse_and_sent_once() {
        let mut feed = feed();
        for detail in ["a", "b", "c"] {
            feed.handle(START, item(status(detail)));
            assert!(feed.poll().is_none());
        }
        feed.pulse(START.mono + PULSE_EVERY);
        assert!(matches!(feed.poll(), Some(Output::Beds(beds)) if beds.contains("01")));
        assert!(feed.poll().is_none());
    }

    #[test]
    fn what_is_urgent_does_not_wait_for_the_pulse() {
        let mut feed = feed();
        feed.handle(START, item(status("a")));
        feed.handle(START, item(News::Disconnected { why: "test" }));
        assert!(matches!(feed.poll(), Some(Output::Beds(_))));
        // The gathered change went with it.
        assert!(feed.poll().is_none());
    }

    #[test]
    fn a_bed_where_nothing_changes_is_still_sent_every_other_second() {
        let mut feed = feed();
        let (mut now, mut beds) = (START, 0);
        for _ in 0..40 {
            now = now.after(PULSE_EVERY);
            feed.handle(now, item(status("the same")));
            feed.pulse(now.mono);
            while let Some(output) = feed.poll() {
                beds += u32::from(matches!(output, Output::Beds(_)));
            }
        }
        assert!((5..=7).contains(&beds), "{beds}");
    }

    #[test]
    fn a_tick_comes_every_second_and_age_alone_is_news() {
        let mut feed = feed();
        let (mut ticks, mut beds) = (0, 0);
        let mut now = START.mono;
        for _ in 0..40 {
            now = now + Duration::from_millis(250);
            feed.pulse(now);
            while let Some(output) = feed.poll() {
                match output {
                    Output::Tick => ticks += 1,
                    Output::Beds(_) => beds += 1,
                    Output::Waves(_) | Output::Snapshot => unreachable!("nobody asked"),
                }
            }
        }
        // Seen first, then late, then lost.
        assert_eq!((ticks, beds), (10, 3));
    }
}
