//! What a reader sees of the desk: who watches a bed, who answers, what is on its way.

use super::bed::{Fate, Sent, Watched};
use super::duty::{Called, State, called};
use super::{Desk, act, own};
use crate::unit::view::{AlarmView, BedView};
use cotside_protocol::model::Now;
use cotside_protocol::wire::downstream::Act;
use cotside_protocol::wire::upstream::Priority;
use serde::Serialize;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WatchView {
    /// The bed's agent is told so.
    pub covered: bool,
    pub why: String,
    /// Names of the stations that show it.
    pub stations: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PauseView {
    pub until_ms: i64,
    pub by: String,
    pub up_to: Priority,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StandbyView {
    pub until_ms: i64,
    pub by: String,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestView {
    pub command: String,
    pub act: &'static str,
    pub by: String,
    pub station: Option<String>,
    /// `sent`, `done`, and for five seconds `refused` or `expired`, with words.
    pub state: &'static str,
    pub words: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResponsibilityView {
    /// `undefined`, `accepted` or `rejected`.
    pub state: &'static str,
    pub by: Option<String>,
    pub tier: usize,
    pub called: Called,
}

impl Desk {
    /// Adds to a bed's view what the desk knows of it.
    pub fn complete(&self, now: Now, view: &mut BedView) {
        let Some(bed) = self.beds.get(&view.bed) else { return };
        view.watch = WatchView {
            covered: bed.covered.beat.is_some(),
            why: bed.covered.why.clone(),
            stations: bed.covered.stations.clone(),
        };
        view.pause = bed.pause.as_ref().map(|pause| PauseView {
            until_ms: bed.ours_ms(pause.until_us),
            by: pause.by.clone(),
            up_to: pause.up_to,
        });
        view.standby = bed.standby.as_ref().map(|standby| StandbyView {
            until_ms: bed.ours_ms(standby.until_us),
            by: standby.by.clone(),
            reason: standby.reason.clone(),
        });
        view.stay.clone_from(&bed.stay);
        view.nurse = Some(bed.nurses.at(now.wall));
        view.requested = bed.asked.iter().filter(|sent| episode(sent).is_none()).map(request).collect();
        for alarm in &mut view.alarms {
            let of_alarm = |sent: &&Sent| episode(sent) == Some(&alarm.episode);
            alarm.requested = bed.asked.iter().rev().find(of_alarm).map(request);
            if let Some(watched) = bed.alarms.get(&alarm.episode) {
                alarm.late = watched.late;
                alarm.responsibility = self.responsibility(now, bed, watched);
            }
        }
        if let Some(at) = bed.offline {
            let since = super::cover::since(now, at);
            let text = "OFFLINE: nothing is heard of this bed's gateway";
            view.alarms.insert(0, own::technical("hub-agent-offline", Priority::Medium, text, since));
        }
    }

    fn responsibility(
        &self,
        now: Now,
        bed: &super::bed::Bed,
        watched: &Watched,
    ) -> Option<ResponsibilityView> {
        let duty = watched.duty.as_ref()?;
        let ladder = self.rules.escalation.of(super::desk::priority(watched.alarm.priority));
        let (state, by) = match &duty.state {
            State::Undefined => ("undefined", None),
            State::Accepted(by) => ("accepted", Some(by.clone())),
            State::Rejected(by) => ("rejected", Some(by.clone())),
        };
        let called = called(ladder, duty.tier, &bed.nurses.at(now.wall), &self.staff.at(now.wall));
        Some(ResponsibilityView { state, by, tier: duty.tier, called })
    }

    /// Whether the bed's tile says that its gateway is not heard.
    pub fn is_offline(&self, bed: &str) -> bool {
        self.beds.get(bed).is_some_and(|bed| bed.offline.is_some())
    }

    /// Alarms of the unit itself.
    pub fn alarms(&self) -> Vec<AlarmView> {
        self.own.view()
    }
}

fn episode(sent: &Sent) -> Option<&String> {
    match &sent.command.act {
        Act::Acknowledge { episode, .. } | Act::Reset { episode, .. } => Some(episode),
        _ => None,
    }
}

fn request(sent: &Sent) -> RequestView {
    let (state, words) = match &sent.fate {
        Fate::Waiting => ("sent", String::new()),
        Fate::Done => ("done", String::new()),
        Fate::Failed(how, words, _) => (*how, words.clone()),
    };
    RequestView {
        command: sent.command.id.clone(),
        act: act::word(&sent.command.act),
        by: sent.command.by.clone(),
        station: sent.command.station.clone(),
        state,
        words,
    }
}
