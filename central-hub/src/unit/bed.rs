//! One bed as it stands now: who lies in it, what serves it, what was last measured, what alarms.

use super::agent_wall::AgentWall;
use super::alarms::Alarms;
use super::values::{Values, millis};
use super::view::{
    AgentState, AgentView, BedView, ClockView, DeviceView, LimitView, LimitsNote, LimitsState,
};
use crate::alarms::view::WatchView;
use crate::people::Patient;
use cotside_protocol::model::{DeviceText, Mono, Now};
use cotside_protocol::wire::downstream;
use cotside_protocol::wire::topic::AgentId;
use cotside_protocol::wire::upstream::{ClockState, LinkState, LinkStatus};
use std::time::Duration;

/// An agent says something every second; two missed and it is late.
const LATE_AFTER: Duration = Duration::from_millis(2500);
const LOST_AFTER: Duration = Duration::from_secs(5);
/// Links of one agent are counted in a byte; no bed rail carries more than this.
const LINKS_MAX: usize = 32;
/// Every parameter of the table, both sides.
const LIMITS_MAX: usize = 256;

#[derive(Clone, Debug, Default)]
pub(super) struct Bed {
    pub patient: Option<Patient>,
    /// Nothing measured before this is this patient's.
    pub since: Mono,
    pub values: Values,
    pub alarms: Alarms,
    pub limits: Vec<LimitView>,
    limits_state: LimitsState,
    limits_note: Option<LimitsNote>,
    devices: Vec<LinkStatus>,
    devices_at: Mono,
    /// What age alone can change, as last seen by [`Bed::ages`].
    seen: Option<Census>,
}

type Census = (AgentState, usize, usize);

/// What is known of the agent that serves the bed.
#[derive(Debug)]
pub(super) struct Serving {
    pub id: AgentId,
    pub heard_at: Option<Mono>,
    pub is_connected: bool,
    pub is_simulated: bool,
    pub wall: AgentWall,
}

impl Serving {
    pub(super) fn state(&self, now: Mono) -> AgentState {
        match self.heard_at.map(|at| now.since(at)) {
            None => AgentState::Never,
            Some(silence) if silence > LOST_AFTER => AgentState::Lost,
            Some(silence) if silence > LATE_AFTER || !self.is_connected => AgentState::Late,
            Some(_) => AgentState::Live,
        }
    }
}

impl Bed {
    /// Admission and discharge alike: nothing of the last patient stays (H2).
    pub(super) fn turn_over(&mut self, now: Mono, patient: Option<Patient>) {
        self.since = now;
        self.patient = patient;
        self.values.clear();
        self.alarms.clear();
        self.limits.clear();
        self.limits_state = LimitsState::None;
        self.limits_note = None;
    }

    /// Another agent serves it from here on, or none.
    pub(super) fn change_agent(&mut self) {
        self.values.clear();
        self.alarms.clear();
        self.devices.clear();
        // What one agent had in force says nothing of what the next one watches.
        self.limits.clear();
        self.limits_state = LimitsState::None;
    }

    /// How far the limits have come that the hub wants here. True if that is news.
    pub(super) fn note_limits(&mut self, note: LimitsNote) -> bool {
        let is_new = self.limits_note.as_ref() != Some(&note);
        self.limits_note = Some(note);
        is_new
    }

    /// The agent says which limits are in force.
    pub(super) fn confirm(&mut self, said: &downstream::Limits) -> bool {
        let limits: Vec<LimitView> = said.limits.iter().take(LIMITS_MAX).map(LimitView::of).collect();
        let state = if limits.is_empty() { LimitsState::None } else { LimitsState::InForce };
        let has_changed = (&self.limits, self.limits_state) != (&limits, state);
        (self.limits, self.limits_state) = (limits, state);
        has_changed
    }

    /// True if a link's state changed, rather than its counters.
    pub(super) fn status(&mut self, now: Mono, mut links: Vec<LinkStatus>) -> bool {
        links.truncate(LINKS_MAX);
        for link in &mut links {
            let device = [&mut link.manufacturer, &mut link.model, &mut link.serial, &mut link.firmware];
            for text in [&mut link.name, &mut link.driver, &mut link.detail].into_iter().chain(device) {
                *text = DeviceText::new(text).as_str().to_owned();
            }
        }
        let mut has_changed = !links.iter().map(appearance).eq(self.devices.iter().map(appearance));
        for link in links.iter().filter(|link| link.state == LinkState::WrongDevice) {
            has_changed |= self.values.forget_link(link.link);
        }
        self.devices = links;
        self.devices_at = now;
        has_changed
    }

    fn device_name(&self, link: u8) -> String {
        let device = self.devices.iter().find(|device| device.link == link);
        device.map(|device| device.name.clone()).unwrap_or_default()
    }

    pub(super) fn label(&self, link: u8) -> String {
        self.device_name(link)
    }

    /// True if time alone has changed what is to be seen: a value gone stale, an agent gone silent.
    pub(super) fn ages(&mut self, now: Mono, agent: Option<&Serving>) -> bool {
        self.values.sweep(now);
        let (channels, fresh) = self.values.census(now);
        let census = (agent.map_or(AgentState::Never, |agent| agent.state(now)), channels, fresh);
        self.seen.replace(census) != Some(census)
    }

    pub(super) fn view(&self, now: Now, bed: &str, agent: Option<&Serving>) -> BedView {
        let since_status = now.mono.since(self.devices_at);
        let silence = agent.and_then(|agent| agent.heard_at).map(|at| now.mono.since(at));
        BedView {
            bed: bed.to_owned(),
            state: if self.patient.is_some() { "occupied" } else { "available" },
            patient: self.patient.as_ref().map(|patient| patient.view(now.wall)),
            agent: agent.map(|agent| AgentView {
                id: agent.id.to_string(),
                state: agent.state(now.mono),
                heard_ms: silence.map(millis),
                simulated: agent.is_simulated,
                clock: agent.wall.view(now),
            }),
            devices: self.devices.iter().map(|device| device_view(device, millis(since_status))).collect(),
            values: self.values.view(now, self.patient.is_some(), |link| self.device_name(link)),
            limits: self.limits.clone(),
            limits_state: self.limits_note.as_ref().map_or(self.limits_state, |note| note.state),
            limits_note: self.limits_note.clone(),
            alarms: self.alarms.view(),
            watch: WatchView::default(),
            pause: None,
            standby: None,
            stay: None,
            nurse: None,
            requested: Vec::new(),
            link_lost_ms: silence.filter(|silence| *silence > LOST_AFTER).map(millis),
        }
    }
}

/// A clock that creeps is no news every second.
const CLOCK_STEP_US: i64 = 10_000_000;

type Appearance<'a> = (u8, &'a str, &'a str, LinkState, [&'a str; 4], Option<(ClockState, i64)>);

fn appearance(link: &LinkStatus) -> Appearance<'_> {
    (
        link.link,
        &link.name,
        &link.driver,
        link.state,
        [&link.detail, &link.manufacturer, &link.model, &link.serial],
        link.clock.map(|clock| (clock.state, clock.offset_us.div_euclid(CLOCK_STEP_US))),
    )
}

fn device_view(device: &LinkStatus, since_status_ms: u64) -> DeviceView {
    DeviceView {
        link: device.link,
        name: device.name.clone(),
        driver: device.driver.clone(),
        state: device.state,
        detail: device.detail.clone(),
        manufacturer: device.manufacturer.clone(),
        model: device.model.clone(),
        serial: device.serial.clone(),
        heard_ms: device.heard_ms.map(|heard| heard.saturating_add(since_status_ms)),
        clock: device.clock.as_ref().map(ClockView::of),
    }
}
