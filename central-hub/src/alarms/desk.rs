//! The one place that knows of every bed who watches it, who answers, and what was asked: announces, receipts, people's words and time in,
//! leases, commands, tiers and log entries out.

use super::Entry;
use super::bed::{Bed, LATE_AFTER_US, OFFLINE_AFTER};
use super::cover::{Cover, PROVEN_FOR, Receipt, Station, Verdict};
use super::duty::{Nurses, Staff, called, calls};
use super::own::{Found, Own};
use crate::feed::{Item, News};
use cotside_config::hub::escalation::Escalation;
use cotside_protocol::model::{self, Mono, Now};
use cotside_protocol::wire::block::Header;
use cotside_protocol::wire::downstream::{Command, Watch};
use cotside_protocol::wire::topic::AgentId;
use cotside_protocol::wire::upstream::{Alarm, Announce, Priority, Record};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// An agent that was assigned before the hub started may take so long to come.
const GRACE: Duration = Duration::from_secs(15);

/// What the responsible organisation decides.
#[derive(Clone, Debug)]
pub struct Rules {
    pub escalation: Escalation,
}

#[derive(Clone, Debug)]
pub enum Output {
    /// From here on this is to be said to the bed's agent.
    Tend {
        bed: String,
        watch: Option<Watch>,
        commands: Vec<Command>,
    },
    /// What is seen of this bed changed.
    Changed(String),
    /// The unit's own alarms changed.
    Unit,
    Log(Entry),
}

#[derive(Clone, Debug)]
pub struct Desk {
    pub(super) rules: Rules,
    pub(super) beds: BTreeMap<String, Bed>,
    serving: BTreeMap<AgentId, String>,
    pub(super) staff: Staff,
    cover: Cover,
    pub(super) own: Own,
    began: Mono,
    cannot_store: bool,
    unlogged: u64,
    log_full: u64,
    outputs: VecDeque<Output>,
}

impl Desk {
    /// Every bed of the unit, with the agent assigned to it.
    pub fn new(rules: Rules, beds: impl IntoIterator<Item = (String, Option<AgentId>)>, now: Mono) -> Self {
        let mut desk = Self {
            rules,
            beds: BTreeMap::new(),
            serving: BTreeMap::new(),
            staff: Staff::default(),
            cover: Cover::new(now),
            own: Own::default(),
            began: now,
            cannot_store: false,
            unlogged: 0,
            log_full: 0,
            outputs: VecDeque::new(),
        };
        for (bed, agent) in beds {
            desk.serving.extend(agent.clone().map(|agent| (agent, bed.clone())));
            desk.beds.insert(bed, Bed { agent, ..Bed::default() });
        }
        desk
    }

    /// What the agents' side says. Of a bed, only what the agent that serves it says.
    pub fn handle(&mut self, now: Now, item: &Item) {
        self.assign(&item.agent, item.bed.as_deref());
        let Some(name) = &item.bed else { return };
        let Some(bed) = self.beds.get_mut(name) else { return };
        let was_reachable = bed.is_reachable(now.mono);
        match &item.what {
            News::Disconnected { .. } => bed.is_connected = false,
            News::Record(header, Record::Alarm(alarm)) => return self.record(now, name, header, alarm),
            News::Record(..) => return,
            _ => {
                bed.is_connected = true;
                bed.heard = Some(now.mono);
            }
        }
        if bed.heard.is_some() && std::mem::take(&mut bed.offline).is_some() {
            self.changed(name);
        }
        match &item.what {
            News::Announce(announce) => self.announce(now, name, announce.clone()),
            News::Reply(reply) => self.reply(now, name, reply),
            News::Disconnected { .. } if was_reachable => self.cover_bed(now, name),
            _ => {}
        }
    }

    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The approved stations, whole.
    pub fn stations(&mut self, now: Now, stations: Vec<Station>) {
        self.cover.set(stations);
        self.cover_all(now);
    }

    /// A tick goes out with this nonce; everything that changed before it has gone out. Answers the beats it carries.
    pub fn tick(&mut self, now: Mono, nonce: String) -> BTreeMap<String, u64> {
        let shown = self.beds.iter().filter_map(|(name, bed)| Some((name.clone(), bed.shown()?)));
        let shown: BTreeMap<_, _> = shown.collect();
        let beats = shown.iter().map(|(name, shown)| (name.clone(), shown.beat)).collect();
        self.cover.tick(now, nonce, shown);
        beats
    }

    /// A station says what it has painted and what sounds.
    pub fn receipt(&mut self, now: Now, station: &str, receipt: &Receipt) -> Verdict {
        let (verdict, proven) = self.cover.receipt(now.mono, station, receipt);
        let mut entries = Vec::new();
        for (name, shown) in proven {
            let Some(bed) = self.beds.get_mut(&name) else { continue };
            if bed.epoch != shown.epoch {
                continue;
            }
            for (episode, watched) in &mut bed.alarms {
                let Some(duty) = watched.duty.as_mut().filter(|_| watched.since_beat <= shown.beat) else {
                    continue;
                };
                duty.is_shown = true;
                let sounds = super::bed::demand(&watched.alarm, bed.pause.as_ref())
                    .is_some_and(|demand| receipt.sounding >= Some(demand));
                let firsts = [
                    ("painted", watched.painted.insert(station.to_owned())),
                    ("sounded", sounds && watched.sounded.insert(station.to_owned())),
                ];
                for (what, _) in firsts.into_iter().filter(|(_, is_first)| *is_first) {
                    let mut entry = of_alarm(now, &name, episode, watched.alarm.version, what);
                    entry.station = Some(station.to_owned());
                    entries.push(entry);
                }
            }
        }
        entries.into_iter().for_each(|entry| self.log(entry));
        match verdict.counts {
            true => receipt.beats.keys().for_each(|name| self.cover_bed(now, name)),
            false => self.cover_all(now),
        }
        verdict
    }

    pub fn nurses(&mut self, bed: &str, nurses: Nurses) {
        let Some(place) = self.beds.get_mut(bed) else { return };
        if std::mem::replace(&mut place.nurses, nurses.clone()) != nurses {
            self.changed(bed);
        }
    }

    pub fn staff(&mut self, staff: Staff) {
        self.staff = staff;
    }

    pub fn cannot_store(&mut self, cannot: bool) {
        self.cannot_store = cannot;
    }

    /// How many entries found no room on their way to the log, and how full it is.
    pub fn journal(&mut self, unlogged: u64, full_percent: u64) {
        (self.unlogged, self.log_full) = (unlogged, full_percent);
    }

    /// Call some times a second.
    pub fn ages(&mut self, now: Now) {
        let names: Vec<String> = self.beds.keys().cloned().collect();
        for name in &names {
            self.age(now, name);
        }
        self.cover_all(now);
        let is_bare = |bed: &Bed| bed.bare.is_some_and(|at| now.mono.since(at) >= PROVEN_FOR);
        let uncovered = self.beds.iter().filter(|(_, bed)| is_bare(bed));
        let found = Found {
            troubles: self.cover.troubles(now.mono),
            uncovered: uncovered.map(|(name, _)| name.clone()).collect(),
            cannot_store: self.cannot_store,
            unlogged: self.unlogged,
            log_full: self.log_full,
        };
        if self.own.are(now.wall, &found) {
            self.outputs.push_back(Output::Unit);
        }
    }

    fn age(&mut self, now: Now, name: &str) {
        let (began, rules, staff) = (self.began, &self.rules, self.staff.at(now.wall));
        let Some(bed) = self.beds.get_mut(name) else { return };
        let since = bed.heard.map_or(began + GRACE, |at| at + OFFLINE_AFTER);
        let is_offline = bed.agent.is_some() && now.mono >= since;
        let mut has_changed = is_offline && bed.offline.is_none();
        if has_changed {
            bed.offline = bed.heard.or(Some(began));
        }
        bed.bare = match bed.is_connected && bed.covered.beat.is_none() {
            true => bed.bare.or(Some(now.mono)),
            false => None,
        };
        let expired = bed.expire(now.mono);
        let (nurses, has_station) = (bed.nurses.at(now.wall), !bed.covered.stations.is_empty());
        let mut risen = Vec::new();
        for (episode, watched) in &mut bed.alarms {
            let ladder = rules.escalation.of(priority(watched.alarm.priority));
            let calls = |tier| calls(ladder, tier, &nurses, &staff, has_station);
            if let Some(duty) = &mut watched.duty
                && duty.ages(now.mono, ladder, calls)
            {
                risen.push(episode.clone());
            }
        }
        has_changed |= !expired.is_empty() || !risen.is_empty();
        for command in &expired {
            self.log_command(now, command, "expired", String::new());
        }
        for episode in &risen {
            self.tell_tier(now, name, episode);
        }
        if !expired.is_empty() {
            self.tend(name);
        }
        if has_changed {
            self.changed(name);
        }
    }

    fn announce(&mut self, now: Now, name: &str, announce: Announce) {
        let Some(bed) = self.beds.get_mut(name) else { return };
        let news = bed.announce(now, announce);
        for (episode, version) in &news.asking {
            self.log(of_alarm(now, name, episode, *version, "heard"));
            self.tell_tier(now, name, episode);
        }
        for (episode, version) in &news.ended {
            self.log(of_alarm(now, name, episode, *version, "ended"));
        }
        if news.changed || !news.asking.is_empty() {
            self.changed(name);
        }
        self.cover_bed(now, name);
    }

    /// A row that comes of an episode which nobody here has heard of, long after it was written.
    fn record(&mut self, now: Now, name: &str, header: &Header, alarm: &Alarm) {
        let Some(bed) = self.beds.get_mut(name) else { return };
        let age_us = now.wall.0.saturating_sub(bed.skew_us).saturating_sub(header.wall.0);
        let is_known = bed.known.contains(&alarm.episode) || bed.alarms.contains_key(&alarm.episode);
        if !is_known && alarm.active_us.is_some() && age_us > LATE_AFTER_US {
            bed.known.push_back(alarm.episode.clone());
            self.log(of_alarm(now, name, &alarm.episode, alarm.version, "late"));
        }
    }

    fn assign(&mut self, agent: &AgentId, bed: Option<&str>) {
        let before = self.serving.get(agent).map(String::as_str);
        if before == bed {
            return;
        }
        let left = self.serving.remove(agent);
        for name in left.iter().map(String::as_str).chain(bed) {
            let serves = (Some(name) == bed).then(|| agent.clone());
            if let Some(place) = self.beds.get_mut(name) {
                place.serve(serves);
                self.tend(name);
                self.changed(name);
            }
        }
        if let Some(bed) = bed {
            self.serving.retain(|_, served| served != bed);
            self.serving.insert(agent.clone(), bed.to_owned());
        }
    }

    fn cover_all(&mut self, now: Now) {
        let names: Vec<String> = self.beds.keys().cloned().collect();
        names.iter().for_each(|name| self.cover_bed(now, name));
    }

    fn cover_bed(&mut self, now: Now, name: &str) {
        let Some(bed) = self.beds.get_mut(name) else { return };
        let covered = self.cover.covered(now.mono, name, &bed.epoch);
        if covered == bed.covered {
            return;
        }
        let before = std::mem::replace(&mut bed.covered, covered.clone());
        self.tend(name);
        let is_seen = (covered.beat.is_some(), &covered.why, &covered.stations)
            != (before.beat.is_some(), &before.why, &before.stations);
        if is_seen {
            self.changed(name);
        }
        if covered.beat.is_some() != before.beat.is_some() {
            let what = if covered.beat.is_some() { "covered" } else { "uncovered" };
            let detail = if covered.why.is_empty() { covered.stations.join(", ") } else { covered.why };
            self.log(Entry { detail, ..of_alarm(now, name, "", 0, what) });
        }
    }

    /// Says, and writes down, whom an alarm now calls.
    pub(super) fn tell_tier(&mut self, now: Now, name: &str, episode: &str) {
        let Some(bed) = self.beds.get(name) else { return };
        let Some(watched) = bed.alarms.get(episode) else { return };
        let Some(duty) = &watched.duty else { return };
        let ladder = self.rules.escalation.of(priority(watched.alarm.priority));
        let called = called(ladder, duty.tier, &bed.nurses.at(now.wall), &self.staff.at(now.wall));
        let mut names: Vec<&str> = called.people.iter().map(String::as_str).collect();
        names.extend(called.stations.then_some("stations"));
        names.extend(called.unit.then_some("unit"));
        let detail = format!("tier {}: {}", duty.tier, names.join(", "));
        let version = watched.alarm.version;
        self.log(Entry { detail, ..of_alarm(now, name, episode, version, "escalated") });
    }

    pub(super) fn tend(&mut self, name: &str) {
        let Some(bed) = self.beds.get(name) else { return };
        let watch =
            Watch { epoch: bed.epoch.to_string(), beat: bed.covered.beat, why: bed.covered.why.clone() };
        self.outputs.push_back(Output::Tend {
            bed: name.to_owned(),
            watch: Some(watch),
            commands: bed.commands(),
        });
    }

    pub(super) fn changed(&mut self, name: &str) {
        self.outputs.push_back(Output::Changed(name.to_owned()));
    }

    pub(super) fn log(&mut self, entry: Entry) {
        self.outputs.push_back(Output::Log(entry));
    }
}

fn of_alarm(now: Now, bed: &str, episode: &str, version: u32, what: &'static str) -> Entry {
    Entry {
        at: now.wall,
        bed: bed.to_owned(),
        episode: episode.to_owned(),
        version,
        what,
        by: None,
        station: None,
        detail: String::new(),
    }
}

/// The configuration's word for the wire's.
pub(super) const fn priority(priority: Priority) -> model::Priority {
    match priority {
        Priority::High => model::Priority::High,
        Priority::Medium => model::Priority::Medium,
        Priority::Low => model::Priority::Low,
        Priority::Advisory => model::Priority::Advisory,
    }
}

#[cfg(test)]
mod tests;
