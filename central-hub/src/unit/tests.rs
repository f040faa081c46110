//! The unit in virtual time: what is shown, for how long, and whose it is.

use super::alarms::tests::alarm;
use super::view::{AgentState, BedView, LimitsState, UnitName, ValueView};
use super::{Change, Roster, Unit};
use crate::feed::{Item, News};
use crate::people::{Particulars, Patient};
use crate::store::marks::Mark;
use cotside_protocol::model::{Code, Decimal, Mono, Now, Pace, Provenance, Quality, Site, Wall};
use cotside_protocol::wire::block::{Channel, Epoch, Header, Sample};
use cotside_protocol::wire::downstream;
use cotside_protocol::wire::topic::{AgentId, Lane};
use cotside_protocol::wire::upstream::{
    AlarmKind, Announce, ClockState, ClockStatus, ClockZone, Condition, LinkState, LinkStatus, OutboxStatus,
    Priority, Record, Status,
};
use std::time::Duration;

const HEART_RATE: u32 = 147_842;
const CUFF: u32 = 150_021;
const START: Now = Now { mono: Mono(1_000_000_000), wall: Wall(1_768_360_364_123_000) };
/// The agent's clock counts from its own boot.
const AGENT_BEHIND_US: u64 = 900_000_000;

struct Scene {
    unit: Unit,
    now: Now,
    boot: u32,
    provenance: Provenance,
    agent_ahead_us: i64,
}

impl Scene {
    fn new() -> Self {
        let roster = Roster {
            unit: UnitName { id: "nicu".to_owned(), name: "NICU".to_owned() },
            beds: vec![
                ("10".to_owned(), None),
                ("01".to_owned(), Some(id("gw-01"))),
                ("02".to_owned(), None),
            ],
        };
        Self { unit: Unit::new(roster), now: START, boot: 7, provenance: Provenance::Live, agent_ahead_us: 0 }
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now.after(Duration::from_millis(ms));
    }

    fn header(&self, measured_ms_ago: u64) -> Header {
        Header {
            lane: Lane::Numeric,
            epoch: Epoch(1),
            seq: 0,
            provenance: self.provenance,
            boot: self.boot,
            mono: Mono(self.now.mono.0 - AGENT_BEHIND_US - measured_ms_ago * 1000),
            // Agents' wall clocks lie; nothing may depend on them.
            wall: Wall(0),
            span_us: 0,
        }
    }

    fn hear(&mut self, what: News) -> Change {
        self.unit.handle(self.now, Item { agent: id("gw-01"), bed: Some("01".to_owned()), what })
    }

    fn numerics(&mut self, measured_ms_ago: u64, samples: Vec<Sample>) -> Change {
        let header = self.header(measured_ms_ago);
        self.hear(News::Numerics(header, samples))
    }

    fn status(&mut self, state: LinkState) -> Change {
        self.tell_status(state, None)
    }

    fn tell_status(&mut self, state: LinkState, limits: Option<downstream::Limits>) -> Change {
        let link = LinkStatus {
            link: 0,
            name: "monitor".to_owned(),
            driver: "intellivue".to_owned(),
            state,
            detail: String::new(),
            manufacturer: String::new(),
            model: "MP70".to_owned(),
            serial: "\u{1b}[31mDE1".to_owned(),
            firmware: String::new(),
            heard_ms: Some(20),
            frames: 1,
            malformed_bytes: 0,
            clock: Some(ClockStatus {
                state: ClockState::Steady,
                offset_us: 192_400_000,
                uncertainty_us: 625_000,
                zone: ClockZone::Guessed,
                zone_min: 60,
            }),
        };
        let outbox = OutboxStatus::default();
        self.hear(News::Status(Status {
            epoch: String::new(),
            wall_us: self.now.wall.0 + self.agent_ahead_us,
            links: vec![link],
            outbox,
            limits,
            limits_refused: None,
        }))
    }

    /// The agent says that it watches the heart rate.
    fn limits(&mut self, low: &str) {
        let limit = downstream::Limit {
            code: HEART_RATE,
            side: downstream::Side::Low,
            threshold: low.to_owned(),
            ucum: "{beats}/min".to_owned(),
            delay_ms: 4000,
            priority: Priority::Medium,
            hysteresis: "0".to_owned(),
            depth: None,
            latching: false,
            extreme: false,
        };
        let limits = downstream::Limits { version: 3, limits: vec![limit], ..downstream::Limits::default() };
        self.tell_status(LinkState::Live, Some(limits));
    }

    fn bed(&self, bed: &str) -> BedView {
        self.unit.beds_view(self.now, std::iter::once(bed)).pop().unwrap()
    }

    fn value(&self, code: u32) -> ValueView {
        self.bed("01").values.into_iter().find(|value| value.code == code).unwrap()
    }
}

fn id(text: &str) -> AgentId {
    AgentId::new(text).unwrap()
}

fn sample(code: u32, value: i64, pace: Pace) -> Sample {
    Sample {
        channel: Channel { link: 0, code: Code(code), site: Site::Unspecified, setting: false },
        ucum: "1".to_owned(),
        pace,
        value: Some(Decimal::new(value, 0)),
        quality: Quality::GOOD,
        at_us: 0,
        lag_ms: 0,
    }
}

fn heart_rate(value: i64) -> Sample {
    sample(HEART_RATE, value, Pace::Continuous)
}

fn patient(identifier: &str) -> Patient {
    let typed = serde_json::json!({
        "name": "Thompson", "identifier": identifier, "birth_date": "2026-01-06",
        "gestational_age": {"weeks": 32, "days": 4}
    });
    Patient::check(serde_json::from_value::<Particulars>(typed).unwrap(), START.wall).unwrap()
}

#[test]
fn a_continuous_value_is_not_shown_after_ten_seconds() {
    let mut scene = Scene::new();
    scene.numerics(0, vec![heart_rate(152)]);
    scene.wait(10_000);
    assert_eq!(scene.value(HEART_RATE).value.as_deref(), Some("152"));
    scene.wait(1);
    let stale = scene.value(HEART_RATE);
    assert_eq!((stale.value, stale.quality, stale.age_ms), (None, vec!["stale"], 10_001));
    scene.wait(3_600_000);
    scene.unit.ages(scene.now.mono);
    assert!(scene.bed("01").values.is_empty());
}

#[test]
fn a_block_that_was_long_on_the_way_brings_old_values() {
    let mut scene = Scene::new();
    scene.numerics(0, vec![heart_rate(150)]);
    scene.wait(11_000);
    scene.numerics(10_500, vec![heart_rate(152)]);
    let value = scene.value(HEART_RATE);
    assert_eq!((value.value, value.quality), (None, vec!["stale"]));
    assert!((10_490..=10_510).contains(&value.age_ms), "{}", value.age_ms);
}

#[test]
fn the_lag_of_the_devices_own_clock_is_part_of_the_age() {
    let mut scene = Scene::new();
    scene.numerics(0, vec![Sample { lag_ms: 9_500, ..heart_rate(152) }]);
    assert_eq!(scene.value(HEART_RATE).age_ms, 9_500);
    scene.wait(600);
    assert_eq!(scene.value(HEART_RATE).value, None);
}

#[test]
fn a_cuff_pressure_stays_with_its_clock_time_and_is_dated_by_the_hub() {
    let mut scene = Scene::new();
    scene.numerics(0, vec![sample(CUFF, 61, Pace::Episodic)]);
    scene.wait(1_800_000);
    let value = scene.value(CUFF);
    assert_eq!((value.value.as_deref(), value.pace), (Some("61"), "episodic"));
    assert_eq!(value.at_ms, START.wall.millis());
    scene.wait(12 * 3_600_000);
    assert_eq!(scene.value(CUFF).value, None);
}

#[test]
fn a_missing_value_is_shown_as_missing_and_not_as_the_last_one() {
    let mut scene = Scene::new();
    scene.numerics(0, vec![heart_rate(152)]);
    scene.wait(1000);
    let quality = Quality::INVALID | Quality::IN_ALARM;
    scene.numerics(0, vec![Sample { value: None, quality, ..heart_rate(0) }]);
    let value = scene.value(HEART_RATE);
    assert_eq!((value.value, value.quality), (None, vec!["invalid", "in-alarm"]));
}

#[test]
fn an_older_sample_never_replaces_a_newer_one() {
    let mut scene = Scene::new();
    scene.numerics(0, vec![heart_rate(152)]);
    assert_eq!(scene.numerics(2_000, vec![heart_rate(99)]), Change::Heard("01".to_owned()));
    assert_eq!(scene.value(HEART_RATE).value.as_deref(), Some("152"));
}

#[test]
fn a_silent_agent_is_late_and_then_lost_and_time_alone_shows_it() {
    let mut scene = Scene::new();
    assert_eq!(scene.bed("01").agent.unwrap().state, AgentState::Never);
    assert!(scene.bed("02").agent.is_none());
    assert_eq!(scene.hear(News::Connected), Change::AtOnce("01".to_owned()));
    scene.unit.ages(scene.now.mono);
    assert_eq!(scene.bed("01").agent.unwrap().state, AgentState::Live);
    scene.wait(2_600);
    assert_eq!(scene.unit.ages(scene.now.mono), ["01"]);
    assert_eq!(scene.bed("01").agent.unwrap().state, AgentState::Late);
    scene.wait(2_500);
    assert_eq!(scene.unit.ages(scene.now.mono), ["01"]);
    let bed = scene.bed("01");
    assert_eq!((bed.agent.unwrap().state, bed.link_lost_ms), (AgentState::Lost, Some(5_100)));
    scene.wait(1_000);
    assert!(scene.unit.ages(scene.now.mono).is_empty());
    assert_eq!(scene.status(LinkState::Live), Change::AtOnce("01".to_owned()));
    assert_eq!(scene.bed("01").link_lost_ms, None);
}

#[test]
fn a_row_that_is_committed_late_does_not_make_a_lost_agent_live() {
    let mut scene = Scene::new();
    scene.hear(News::Connected);
    scene.wait(6_000);
    let header = scene.header(6_000);
    scene.hear(News::Record(header, Record::Alarm(alarm("a", 1, Condition::Active))));
    let bed = scene.bed("01");
    assert_eq!(bed.agent.unwrap().state, AgentState::Lost);
    assert!(bed.alarms.is_empty());
}

#[test]
fn admission_and_discharge_leave_nothing_of_the_last_patient() {
    let mut scene = Scene::new();
    scene.numerics(0, vec![heart_rate(152)]);
    scene.hear(News::Announce(Announce {
        epoch: String::new(),
        wall_us: 0,
        alarms: vec![alarm("a", 1, Condition::Active)],
        ..Announce::default()
    }));
    scene.wait(100);
    assert!(scene.unit.turn_over(scene.now.mono, "01", Some(patient("4711"))));
    let bed = scene.bed("01");
    assert_eq!((bed.state, bed.values.len(), bed.alarms.len()), ("occupied", 0, 0));
    // What was measured before the admission arrives after it.
    scene.wait(100);
    assert_eq!(scene.numerics(150, vec![heart_rate(152)]), Change::Heard("01".to_owned()));
    scene.numerics(50, vec![heart_rate(140)]);
    assert_eq!(scene.value(HEART_RATE).value.as_deref(), Some("140"));
    // Corrected particulars are no new patient.
    scene.unit.turn_over(scene.now.mono, "01", Some(patient("4711")));
    assert_eq!(scene.bed("01").values.len(), 1);
    scene.unit.turn_over(scene.now.mono, "01", None);
    let bed = scene.bed("01");
    assert!(bed.patient.is_none() && bed.values.is_empty() && bed.state == "available");
    assert!(!scene.unit.turn_over(scene.now.mono, "77", None));
}

#[test]
fn the_wrong_device_shows_no_values() {
    let mut scene = Scene::new();
    scene.status(LinkState::Live);
    scene.numerics(0, vec![heart_rate(152)]);
    assert_eq!(scene.value(HEART_RATE).device, "monitor");
    assert_eq!(scene.bed("01").devices[0].serial, "[31mDE1");
    assert_eq!(scene.status(LinkState::WrongDevice), Change::Soon("01".to_owned()));
    assert!(scene.bed("01").values.is_empty());
}

#[test]
fn a_device_in_demo_mode_shows_no_number_at_an_occupied_bed() {
    let mut scene = Scene::new();
    scene.unit.turn_over(Mono(0), "01", Some(patient("4711")));
    scene.numerics(0, vec![Sample { quality: Quality::DEMO, ..heart_rate(80) }]);
    let value = scene.value(HEART_RATE);
    assert_eq!((value.value, value.quality), (None, vec!["demo"]));
    scene.unit.turn_over(Mono(0), "01", None);
    scene.numerics(0, vec![Sample { quality: Quality::DEMO, ..heart_rate(80) }]);
    assert_eq!(scene.value(HEART_RATE).value.as_deref(), Some("80"));
}

#[test]
fn simulated_data_is_marked_for_as_long_as_the_agent_sends_it() {
    let mut scene = Scene::new();
    scene.provenance = Provenance::Simulated;
    scene.numerics(0, vec![heart_rate(152)]);
    assert!(scene.bed("01").agent.unwrap().simulated);
}

#[test]
fn an_agent_that_moves_to_another_bed_leaves_nothing_behind() {
    let mut scene = Scene::new();
    scene.status(LinkState::Live);
    scene.numerics(0, vec![heart_rate(152)]);
    scene.limits("90");
    assert_eq!(scene.bed("01").limits_state, LimitsState::InForce);
    let header = scene.header(0);
    let what = News::Numerics(header, vec![heart_rate(153)]);
    scene.unit.handle(scene.now, Item { agent: id("gw-01"), bed: Some("02".to_owned()), what });
    let (left, taken) = (scene.bed("01"), scene.bed("02"));
    assert!(left.agent.is_none() && left.values.is_empty() && left.devices.is_empty());
    assert!(left.limits.is_empty() && left.limits_state == LimitsState::None);
    assert_eq!(taken.values[0].value.as_deref(), Some("153"));
}

#[test]
fn an_unassigned_agent_is_known_but_nothing_of_it_is_attributed() {
    let mut scene = Scene::new();
    let what = News::Numerics(scene.header(0), vec![heart_rate(152)]);
    let change = scene.unit.handle(scene.now, Item { agent: id("gw-99"), bed: None, what });
    assert_eq!(change, Change::Nothing);
    assert!(scene.unit.view(scene.now).beds.iter().all(|bed| bed.values.is_empty()));
    assert_eq!(scene.unit.agents(scene.now.mono), (2, 1));
}

#[test]
fn of_two_channels_the_fresh_and_good_one_comes_first() {
    let mut scene = Scene::new();
    let on = |link: u8, value: i64, quality: Quality| {
        let sample = heart_rate(value);
        Sample { channel: Channel { link, ..sample.channel }, quality, ..sample }
    };
    scene.numerics(0, vec![on(0, 1, Quality::QUESTIONABLE), on(1, 2, Quality::GOOD)]);
    assert_eq!(scene.value(HEART_RATE).value.as_deref(), Some("2"));
    scene.wait(11_000);
    scene.numerics(0, vec![on(0, 3, Quality::QUESTIONABLE)]);
    assert_eq!(scene.value(HEART_RATE).value.as_deref(), Some("3"));
}

#[test]
fn an_alarm_is_told_at_once_and_only_when_it_changes() {
    let mut scene = Scene::new();
    scene.hear(News::Connected);
    let announce = |version| {
        let alarms = vec![alarm("a", version, Condition::Active)];
        News::Announce(Announce { alarms, ..Announce::default() })
    };
    assert_eq!(scene.hear(announce(1)), Change::AtOnce("01".to_owned()));
    assert_eq!(scene.hear(announce(1)), Change::Heard("01".to_owned()));
    assert_eq!(scene.hear(announce(2)), Change::AtOnce("01".to_owned()));
}

#[test]
fn beds_stand_in_the_order_of_the_configuration() {
    let mut scene = Scene::new();
    let item = Item { agent: id("gw-05"), bed: Some("05".to_owned()), what: News::Connected };
    scene.unit.handle(scene.now, item);
    let beds: Vec<String> = scene.unit.view(scene.now).beds.into_iter().map(|bed| bed.bed).collect();
    assert_eq!(beds, ["10", "01", "02", "05"]);
}

/// The contract with the console and with everybody else who reads the API: a change here is a change for them.
#[test]
fn a_bed_is_written_as_the_api_promises() {
    let mut scene = Scene::new();
    scene.unit.turn_over(Mono(0), "01", Some(patient("4711")));
    scene.status(LinkState::Live);
    scene.numerics(0, vec![heart_rate(152)]);
    let quality = Quality::QUESTIONABLE | Quality::UCUM_ASSUMED;
    let preductal = Channel { site: Site::Preductal, ..sample(150_456, 0, Pace::Trend).channel };
    let saturation = Sample { channel: preductal, quality, ..sample(150_456, 94, Pace::Trend) };
    scene.numerics(0, vec![saturation]);
    scene.hear(News::Announce(Announce {
        epoch: String::new(),
        wall_us: scene.now.wall.0,
        alarms: vec![alarm("00000000000000a1", 2, Condition::Latched)],
        ..Announce::default()
    }));
    scene.limits("100");
    scene.wait(400);
    let at_ms = START.wall.millis();
    let expected = serde_json::json!({
        "bed": "01",
        "state": "occupied",
        "patient": {
            "name": "Thompson", "identifier": "4711", "birth_date": "2026-01-06",
            "gestational_age": {"weeks": 32, "days": 4}, "day_of_life": 8, "pma": {"weeks": 33, "days": 5},
            "weight_g": null, "oxygen": "unknown"
        },
        "agent": {
            "id": "gw-01", "state": "live", "heard_ms": 400, "simulated": false,
            "clock": {"offset_ms": 125, "uncertainty_ms": 126, "off": false}
        },
        "devices": [{
            "link": 0, "name": "monitor", "driver": "intellivue", "state": "live", "detail": "",
            "manufacturer": "", "model": "MP70", "serial": "[31mDE1", "heard_ms": 420,
            "clock": {
                "state": "steady", "offset_ms": 192_400, "uncertainty_ms": 626, "zone": "guessed", "zone_min": 60
            }
        }],
        "values": [
            {
                "code": 147_842, "label": "HR", "name": "Heart rate (ECG)", "site": null, "value": "152", "ucum": "1",
                "age_ms": 400, "at_ms": at_ms, "pace": "continuous", "quality": [], "device": "monitor",
                "setting": false
            },
            {
                "code": 150_456, "label": "SpO2", "name": "SpO2 (site unspecified)", "site": "preductal",
                "value": "94", "ucum": "1", "age_ms": 400, "at_ms": at_ms, "pace": "trend",
                "quality": ["questionable", "ucum-assumed"], "device": "monitor", "setting": false
            }
        ],
        "limits": [{
            "code": 147_842, "side": "low", "threshold": "100", "ucum": "{beats}/min", "priority": "medium",
            "delay_ms": 4000, "extreme": false
        }],
        "limits_state": "in-force",
        "limits_note": null,
        "alarms": [{
            "episode": "00000000000000a1", "version": 2, "rule": "limit-low", "kind": "physiological",
            "priority": "high", "condition": "latched", "inactivation": {"state": "enabled"}, "code": 150_456,
            "site": null, "value": "71", "limit": "85", "ucum": "%", "text": "SpO2 71 < 85", "onset_ms": 0,
            "active_ms": null, "recorded": false, "attention": 1, "parts": [], "late": false,
            "responsibility": null, "requested": null
        }],
        "watch": {"covered": false, "why": "", "stations": []},
        "pause": null, "standby": null, "stay": null, "nurse": null, "requested": [],
        "link_lost_ms": null
    });
    assert_eq!(serde_json::to_value(scene.bed("01")).unwrap(), expected);
}

#[test]
fn what_the_hub_found_about_an_agent_is_a_technical_alarm_at_its_bed_until_it_is_settled() {
    let mark = |agent: &str| Mark {
        agent: agent.into(),
        what: "identity-conflict".into(),
        since: Wall(1_768_360_364_000_000),
        detail: "epochs a and b both follow c".into(),
    };
    let mut scene = Scene::new();
    assert!(scene.unit.set_marks(&[mark("gw-01"), mark("gw-99")]));
    assert!(!scene.unit.set_marks(&[mark("gw-01"), mark("gw-99")]), "no news");
    let alarms = scene.bed("01").alarms;
    assert_eq!(alarms.len(), 1, "another agent's is not shown here");
    assert_eq!((alarms[0].rule.as_str(), alarms[0].kind), ("identity-conflict", AlarmKind::Technical));
    assert_eq!((alarms[0].priority, alarms[0].condition), (Priority::Medium, Condition::Active));
    assert!(alarms[0].recorded && alarms[0].text.contains("second gateway"));
    assert!(scene.unit.set_marks(&[]));
    assert!(scene.bed("01").alarms.is_empty());
}

#[test]
fn s10_an_agents_clock_that_is_off_is_an_alarm_at_the_hub_where_the_agent_raises_none() {
    let mut scene = Scene::new();
    scene.agent_ahead_us = 40_000_000;
    scene.status(LinkState::Live);
    let alarms = scene.bed("01").alarms;
    assert_eq!((alarms.len(), alarms[0].rule.as_str(), alarms[0].priority), (1, "clock", Priority::Low));
    assert_eq!(alarms[0].onset_ms, START.wall.millis());
}
