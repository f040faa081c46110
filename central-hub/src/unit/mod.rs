//! The now-state of the care unit: derived from what the agents say, held in memory with the age of every value, owned by nobody else.
//!
//! Pure: items and time in, what changed out, views on demand. Truth is in the store; this is rebuilt at start and by the next second's data.

mod agent_wall;
mod alarms;
mod bed;
pub mod clock;
mod marks;
mod values;
pub mod view;

pub use values::unknown;

use crate::feed::{Item, News};
use crate::people::Patient;
use crate::store::marks::Mark;
use agent_wall::AgentWall;
use bed::{Bed, Serving};
use clock::AgentClock;
use cotside_protocol::model::{Mono, Now, Provenance};
use cotside_protocol::wire::block::Header;
use cotside_protocol::wire::topic::AgentId;
use cotside_protocol::wire::upstream::{Record, Status};
use std::collections::BTreeMap;
use std::time::Duration;
use view::{AgentState, BedView, LimitsNote, UnitName, UnitView};

/// A committed alarm row younger than this may open an alarm that no announce has shown; an older one came from the backlog.
const RECORD_CURRENT: Duration = Duration::from_secs(10);
/// No unit has as many; a broken configuration stops here.
const BEDS_MAX: usize = 1024;

/// What is known before the first agent speaks.
#[derive(Clone, Debug)]
pub struct Roster {
    pub unit: UnitName,
    /// Every bed of the unit and the agent assigned to it, if any.
    pub beds: Vec<(String, Option<AgentId>)>,
}

#[derive(Debug)]
pub struct Unit {
    name: UnitName,
    /// As the configuration has them, which is the order of the screen.
    order: Vec<String>,
    beds: BTreeMap<String, Bed>,
    agents: BTreeMap<AgentId, Agent>,
    store_ok: bool,
    marks: Vec<Mark>,
    clock_trouble: Option<String>,
}

#[derive(Debug)]
struct Agent {
    bed: Option<String>,
    clock: AgentClock,
    serving: Serving,
}

/// What an input changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Nothing,
    /// Nothing but that its agent lives.
    Heard(String),
    /// This bed, with the next flush.
    Soon(String),
    /// This bed, and nobody may wait for it.
    AtOnce(String),
}

impl Unit {
    pub fn new(roster: Roster) -> Self {
        let mut unit = Self {
            name: roster.unit,
            order: Vec::new(),
            beds: BTreeMap::new(),
            agents: BTreeMap::new(),
            store_ok: true,
            marks: Vec::new(),
            clock_trouble: None,
        };
        for (bed, agent) in roster.beds {
            unit.bed(&bed);
            if let Some(id) = agent {
                unit.agents.insert(id.clone(), Agent::new(id, Some(bed)));
            }
        }
        unit
    }

    /// The bed of that name, at the end of the screen if it is new. None: there are too many.
    fn bed(&mut self, name: &str) -> Option<&mut Bed> {
        if !self.beds.contains_key(name) {
            if self.beds.len() >= BEDS_MAX {
                return None;
            }
            self.order.push(name.to_owned());
        }
        Some(self.beds.entry(name.to_owned()).or_default())
    }

    pub fn handle(&mut self, now: Now, item: Item) -> Change {
        let Item { agent: id, bed, what } = item;
        self.assign(&id, bed.as_deref());
        let agent = self.agents.entry(id.clone()).or_insert_with(|| Agent::new(id, None));
        let was = agent.serving.state(now.mono);
        // A record may be committed long after it was heard: it proves nothing about the link.
        match &what {
            News::Disconnected { .. } => agent.serving.is_connected = false,
            News::Record(..) => {}
            News::Connected
            | News::Status(_)
            | News::Announce(_)
            | News::Reply(_)
            | News::Numerics(..)
            | News::Waveforms(..) => {
                agent.serving.is_connected = true;
                agent.serving.heard_at = Some(now.mono);
            }
        }
        let was_off = agent.serving.wall.is_off();
        if let News::Status(Status { wall_us, .. }) = &what {
            agent.serving.wall.hears(now, *wall_us);
        }
        let clock_changed = agent.serving.wall.is_off() != was_off;
        let link_changed = agent.serving.state(now.mono) != was;
        let Some(name) = bed else { return Change::Nothing };
        let Some(bed) = self.beds.get_mut(&name) else { return Change::Nothing };
        let (has_changed, is_urgent) = match what {
            News::Connected | News::Disconnected { .. } => (true, true),
            News::Status(status) => {
                let has_limits = status.limits.is_some_and(|limits| bed.confirm(&limits));
                (bed.status(now.mono, status.links) || has_limits || clock_changed, false)
            }
            News::Announce(announce) => {
                bed.alarms.date(now.wall, announce.wall_us);
                let has_changed = bed.alarms.announce(announce.alarms);
                (has_changed, true)
            }
            News::Numerics(header, samples) => {
                agent.hears(now.mono, &header);
                (bed.values.take(now, bed.since, &agent.clock, &header, samples), false)
            }
            News::Waveforms(header, _) => {
                agent.hears(now.mono, &header);
                (false, false)
            }
            News::Record(header, Record::Alarm(alarm)) => {
                let is_current = agent.is_current(now.mono, &header);
                (bed.alarms.record(alarm, is_current), true)
            }
            News::Record(_, _) | News::Reply(_) => (false, false),
        };
        if link_changed || (has_changed && is_urgent) {
            Change::AtOnce(name)
        } else if has_changed {
            Change::Soon(name)
        } else {
            Change::Heard(name)
        }
    }

    /// The hub says which bed an agent serves now; what it served before keeps nothing of it, and of two agents the newer serves.
    fn assign(&mut self, id: &AgentId, bed: Option<&str>) {
        let agent = self.agents.entry(id.clone()).or_insert_with(|| Agent::new(id.clone(), None));
        if agent.bed.as_deref() == bed {
            return;
        }
        let left = std::mem::replace(&mut agent.bed, bed.map(str::to_owned));
        let others =
            self.agents.iter_mut().filter(|(other, agent)| *other != id && agent.bed.as_deref() == bed);
        for (_, other) in others {
            other.bed = None;
        }
        if let Some(bed) = left.and_then(|left| self.beds.get_mut(&left)) {
            bed.change_agent();
        }
        if let Some(bed) = bed.and_then(|name| self.bed(name)) {
            bed.change_agent();
        }
    }

    /// Beds that time alone has changed.
    pub fn ages(&mut self, now: Mono) -> Vec<String> {
        let serving = serving(&self.agents);
        let changed = self.beds.iter_mut().filter_map(|(name, bed)| {
            bed.ages(now, serving.get(name.as_str()).copied()).then(|| name.clone())
        });
        changed.collect()
    }

    /// None leaves the bed empty. False: there is no such bed.
    pub fn turn_over(&mut self, now: Mono, bed: &str, patient: Option<Patient>) -> bool {
        let Some(bed) = self.beds.get_mut(bed) else { return false };
        match (&mut bed.patient, patient) {
            // The same child with corrected particulars: nothing is cleared.
            (Some(lies), Some(patient)) if lies.identifier == patient.identifier => *lies = patient,
            (_, patient) => bed.turn_over(now, patient),
        }
        true
    }

    /// How far the limits have come that the hub wants at a bed. True if that is news.
    pub fn note_limits(&mut self, bed: &str, note: LimitsNote) -> bool {
        self.beds.get_mut(bed).is_some_and(|bed| bed.note_limits(note))
    }

    /// True if that is news.
    pub fn set_store_ok(&mut self, ok: bool) -> bool {
        std::mem::replace(&mut self.store_ok, ok) != ok
    }

    /// What waits for a person, about any agent. True if that is news.
    pub fn set_marks(&mut self, marks: &[Mark]) -> bool {
        if self.marks == marks {
            return false;
        }
        self.marks = marks.to_vec();
        true
    }

    pub fn set_clock_trouble(&mut self, words: Option<String>) {
        self.clock_trouble = words;
    }

    /// What is wrong with the hub's own clock, in words.
    pub fn clock_trouble(&self) -> Option<&str> {
        self.clock_trouble.as_deref()
    }

    /// Agents whose clocks have left the hub's, or come back, since last asked: in words.
    pub fn clock_news(&mut self, now: Now) -> Vec<(AgentId, String)> {
        let news = |(id, agent): (&AgentId, &mut Agent)| Some((id.clone(), agent.serving.wall.news(now)?));
        self.agents.iter_mut().filter_map(news).collect()
    }

    pub fn is_store_ok(&self) -> bool {
        self.store_ok
    }

    pub fn name(&self) -> &UnitName {
        &self.name
    }

    /// Known and connected agents.
    pub fn agents(&self, now: Mono) -> (usize, usize) {
        let live = self.agents.values().filter(|agent| agent.serving.state(now) == AgentState::Live);
        (self.agents.len(), live.count())
    }

    pub fn view(&self, now: Now) -> UnitView {
        UnitView {
            unit: self.name.clone(),
            hub_at_ms: now.wall.millis(),
            store_ok: self.store_ok,
            alarms: Vec::new(),
            beds: self.beds_view(now, self.order.iter().map(String::as_str)),
        }
    }

    pub fn beds_view<'a>(&self, now: Now, names: impl Iterator<Item = &'a str>) -> Vec<BedView> {
        let serving = serving(&self.agents);
        let view = |name: &'a str| {
            let serving = serving.get(name).copied();
            let mut view = self.beds.get(name)?.view(now, name, serving);
            let of_bed = |mark: &&Mark| serving.is_some_and(|serving| serving.id.as_str() == mark.agent);
            view.alarms.extend(self.marks.iter().filter(of_bed).map(marks::alarm));
            let off = serving.and_then(|serving| Some((serving.id.as_str(), serving.wall.off_since()?)));
            if let Some((agent, since)) =
                off.filter(|_| view.alarms.iter().all(|alarm| alarm.rule != "clock"))
            {
                view.alarms.push(marks::clock(agent, since));
            }
            Some(view)
        };
        names.filter_map(view).collect()
    }

    /// The name of the device on a link of a bed, as its agent gave it.
    pub fn device(&self, bed: &str, link: u8) -> String {
        self.beds.get(bed).map(|bed| bed.label(link)).unwrap_or_default()
    }
}

fn serving(agents: &BTreeMap<AgentId, Agent>) -> BTreeMap<&str, &Serving> {
    agents.values().filter_map(|agent| Some((agent.bed.as_deref()?, &agent.serving))).collect()
}

impl Agent {
    fn new(id: AgentId, bed: Option<String>) -> Self {
        let serving = Serving {
            id,
            heard_at: None,
            is_connected: false,
            is_simulated: false,
            wall: AgentWall::default(),
        };
        Self { bed, clock: AgentClock::default(), serving }
    }

    fn hears(&mut self, now: Mono, header: &Header) {
        self.clock.observe(now, header.boot, clock::later(header.mono, header.span_us));
        self.serving.is_simulated = header.provenance != Provenance::Live;
    }

    fn is_current(&self, now: Mono, header: &Header) -> bool {
        self.clock.is_boot(header.boot) && now.since(self.clock.ours(now, header.mono)) <= RECORD_CURRENT
    }
}

#[cfg(test)]
mod tests;
