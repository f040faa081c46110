//! What the readers are sent and when: alarms at once, everything else gathered to a quarter of a second, a tick every second.
//!
//! Pure. A frame is encoded once, whatever the number of readers; with nobody reading it is not encoded at all.

use super::frame::Frame;
use super::waves::{WaveFrame, Waves};
use crate::alarms::{self, Desk, Entry};
use crate::feed::{Item, News};
use crate::store::marks::Mark;
use crate::unit::view::{AlarmView, BedView, UnitName, UnitView};
use crate::unit::{Change, Unit};
use cotside_protocol::model::{Mono, Now};
use cotside_protocol::wire::block::{Block, Body, Decoder};
use cotside_protocol::wire::downstream::{Command, Watch};
use cotside_protocol::wire::topic::AgentId;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// A bed's numerics come once a second: gathering costs a quarter of that and saves most of the writes (five to eight times).
pub(super) const PULSE_EVERY: Duration = Duration::from_millis(250);
const PULSES_PER_TICK: u32 = 4;

#[derive(Debug)]
pub(super) struct Feed {
    unit: Unit,
    desk: Desk,
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
    /// From here on this is to be said to the agent of a bed.
    Tend(String, Option<Watch>, Vec<Command>),
    Log(Entry),
}

impl Feed {
    pub(super) fn new(unit: Unit, desk: Desk, now: Mono) -> Self {
        Self {
            unit,
            desk,
            waves: Waves::default(),
            changed: BTreeSet::new(),
            urgent: BTreeSet::new(),
            quiet: Default::default(),
            pulse_at: now + PULSE_EVERY,
            pulses: 0,
            output: VecDeque::new(),
        }
    }

    /// Makes a frame of an item's waveforms, for those who look.
    pub(super) fn draw(&mut self, item: &Item) {
        let (News::Waveforms(header, block), Some(bed)) = (&item.what, &item.bed) else { return };
        match Decoder::new().decode(block) {
            Ok((Block { body: Body::Waveforms(stretches), .. }, _)) => {
                let frame = self.waves.take(bed, header, &stretches, |link| self.unit.device(bed, link));
                self.output.extend(frame.map(Output::Waves));
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, seq = header.seq, "a block of waveforms is kept undrawn"),
        }
    }

    pub(super) fn handle(&mut self, now: Now, item: Item) {
        self.desk.handle(now, &item);
        match self.unit.handle(now, item) {
            Change::Nothing => {}
            Change::Heard(bed) => _ = self.quiet[0].insert(bed),
            Change::Soon(bed) => _ = self.changed.insert(bed),
            Change::AtOnce(bed) => _ = self.urgent.insert(bed),
        }
    }

    /// What people, stations and the register tell the desk.
    pub(super) fn desk<T>(&mut self, ask: impl FnOnce(&mut Desk) -> T) -> T {
        ask(&mut self.desk)
    }

    /// What the desk has decided: beds to be sent, and what leaves this loop.
    fn settle(&mut self) {
        while let Some(output) = self.desk.poll() {
            match output {
                alarms::Output::Changed(bed) => _ = self.urgent.insert(bed),
                alarms::Output::Unit => self.output.push_back(Output::Snapshot),
                alarms::Output::Tend { bed, watch, commands } => {
                    self.output.push_back(Output::Tend(bed, watch, commands));
                }
                alarms::Output::Log(entry) => self.output.push_back(Output::Log(entry)),
            }
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
        self.desk.cannot_store(!ok);
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
    pub(super) fn pulse(&mut self, at: Now) {
        let now = at.mono;
        if now < self.pulse_at {
            return;
        }
        self.desk.ages(at);
        self.settle();
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
            // A tick names the states that went out before it.
            self.flush();
            self.output.push_back(Output::Tick);
        }
    }

    fn send(&mut self, beds: BTreeSet<String>) {
        for waiting in self.quiet.iter_mut().chain([&mut self.changed]) {
            waiting.retain(|bed| !beds.contains(bed));
        }
        self.output.push_back(Output::Beds(beds));
    }

    fn flush(&mut self) {
        if !self.urgent.is_empty() {
            let urgent = std::mem::take(&mut self.urgent);
            self.send(urgent);
        }
    }

    pub(super) fn poll(&mut self) -> Option<Output> {
        self.settle();
        self.flush();
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

    pub(super) fn view(&self, now: Now) -> UnitView {
        let mut view = self.unit.view(now);
        view.alarms = self.desk.alarms();
        view.beds.iter_mut().for_each(|bed| self.desk.complete(now, bed));
        view
    }

    pub(super) fn beds_view<'a>(&self, now: Now, names: impl Iterator<Item = &'a str>) -> Vec<BedView> {
        let mut views = self.unit.beds_view(now, names);
        views.iter_mut().for_each(|bed| self.desk.complete(now, bed));
        views
    }

    pub(super) fn beds_frame(&self, now: Now, beds: &BTreeSet<String>) -> Frame {
        let views = self.beds_view(now, beds.iter().map(String::as_str));
        let head = Stamp { hub_at_ms: now.wall.millis() };
        Frame::of_beds("beds", &head, views.iter().map(|view| (view.bed.as_str(), view)), false)
    }

    pub(super) fn snapshot_frame(&self, now: Now) -> Frame {
        let UnitView { unit, hub_at_ms, store_ok, alarms, beds } = self.view(now);
        let head = Head { unit, hub_at_ms, store_ok, alarms };
        Frame::of_beds("snapshot", &head, beds.iter().map(|view| (view.bed.as_str(), view)), true)
    }

    /// Encode it where it is sent: it names the states that have gone out.
    pub(super) fn tick_frame(&mut self, now: Now, nonce: String) -> Frame {
        let beats = self.desk.tick(now.mono, nonce.clone());
        Frame::plain("tick", &Ticked { hub_at_ms: now.wall.millis(), nonce, beats }, true)
    }
}

#[derive(Serialize)]
struct Stamp {
    hub_at_ms: i64,
}

#[derive(Serialize)]
struct Head {
    unit: UnitName,
    hub_at_ms: i64,
    store_ok: bool,
    alarms: Vec<AlarmView>,
}

#[derive(Serialize)]
struct Ticked {
    hub_at_ms: i64,
    nonce: String,
    beats: BTreeMap<String, u64>,
}

#[cfg(test)]
mod tests {
    use super::{Desk, Feed, Output, PULSE_EVERY};
    use crate::alarms::Rules;
    use crate::feed::{Item, News};
    use crate::unit::view::UnitName;
    use crate::unit::{Roster, Unit};
    use cotside_config::hub::escalation;
    use cotside_protocol::model::{Mono, Now, Wall};
    use cotside_protocol::wire::topic::AgentId;
    use cotside_protocol::wire::upstream::{LinkState, LinkStatus, OutboxStatus, Status};
    use std::time::Duration;

    const START: Now = Now { mono: Mono(1_000_000_000), wall: Wall(0) };

    fn feed() -> Feed {
        let unit = UnitName { id: "nicu".to_owned(), name: "NICU".to_owned() };
        let beds = vec![("01".to_owned(), None)];
        let rules = Rules { escalation: escalation::shipped() };
        let desk = Desk::new(rules, beds.clone(), START.mono);
        let mut feed = Feed::new(Unit::new(Roster { unit, beds }), desk, START.mono);
        feed.handle(START, item(News::Connected));
        feed.desk(|desk| desk.ages(START));
        while feed.poll().is_some() {}
        feed
    }

    /// What readers are sent next.
    fn sent(feed: &mut Feed) -> Option<Output> {
        std::iter::from_fn(|| feed.poll()).find(|output| !matches!(output, Output::Tend(..) | Output::Log(_)))
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
            assert!(sent(&mut feed).is_none());
        }
        feed.pulse(START.after(PULSE_EVERY));
        assert!(matches!(sent(&mut feed), Some(Output::Beds(beds)) if beds.contains("01")));
        assert!(sent(&mut feed).is_none());
    }

    #[test]
    fn what_is_urgent_does_not_wait_for_the_pulse() {
        let mut feed = feed();
        feed.handle(START, item(status("a")));
        feed.handle(START, item(News::Disconnected { why: "test" }));
        assert!(matches!(sent(&mut feed), Some(Output::Beds(_))));
        // The gathered change went with it.
        assert!(sent(&mut feed).is_none());
    }

    #[test]
    fn a_bed_where_nothing_changes_is_still_sent_every_other_second() {
        let mut feed = feed();
        let (mut now, mut beds) = (START, 0);
        for _ in 0..40 {
            now = now.after(PULSE_EVERY);
            feed.handle(now, item(status("the same")));
            feed.pulse(now);
            while let Some(output) = sent(&mut feed) {
                beds += u32::from(matches!(output, Output::Beds(_)));
            }
        }
        assert!((5..=7).contains(&beds), "{beds}");
    }

    #[test]
    fn a_tick_comes_every_second_and_age_alone_is_news() {
        let mut feed = feed();
        let (mut ticks, mut beds, mut wholes) = (0, 0, 0);
        let mut now = START;
        for _ in 0..40 {
            now = now.after(Duration::from_millis(250));
            feed.pulse(now);
            while let Some(output) = sent(&mut feed) {
                match output {
                    Output::Tick => ticks += 1,
                    Output::Beds(_) => beds += 1,
                    Output::Snapshot => wholes += 1,
                    Output::Waves(_) | Output::Tend(..) | Output::Log(_) => unreachable!("nobody asked"),
                }
            }
        }
        // Seen first, then late, then lost, then offline; and no station shows it.
        assert_eq!((ticks, beds, wholes), (10, 4, 1));
    }
}
