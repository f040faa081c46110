//! The desk in virtual time: beds that announce, stations that answer ticks or do not, people who act.

use super::{Desk, Output, Rules};
use crate::alarms::{Answer, Asked, Audio, Beds, Entry, Nurses, Receipt, Refused, SelfTest, Station, Wish};
use crate::feed::{Item, News};
use crate::unit::view::{BedView, UnitName};
use crate::unit::{Roster, Unit};
use cotside_config::hub::escalation;
use cotside_protocol::model::{Mono, Now, Wall};
use cotside_protocol::wire::downstream::{Act, Command, Watch};
use cotside_protocol::wire::topic::AgentId;
use cotside_protocol::wire::upstream::{
    Alarm, AlarmKind, Announce, Condition, Inactivation, Outcome, Pause, Priority, Refusal, Reply,
};
use std::collections::BTreeMap;
use std::time::Duration;

const EPOCH: &str = "0000000000000007";

/// A desk of two beds, and what it last said.
struct Scene {
    desk: Desk,
    unit: Unit,
    now: Now,
    beats: BTreeMap<String, u64>,
    nonces: u32,
    told: BTreeMap<String, (Watch, Vec<Command>)>,
    log: Vec<Entry>,
    /// What each bed announces with every beat.
    states: BTreeMap<String, Announce>,
}

impl Scene {
    fn new() -> Self {
        let now = Now { mono: Mono(1_000_000_000), wall: Wall(1_768_360_364_000_000) };
        let beds: Vec<_> = ["01", "02"].map(|bed| (bed.to_owned(), Some(agent(bed)))).into();
        let rules = Rules { escalation: escalation::shipped() };
        let roster = Roster { unit: UnitName { id: "nicu".into(), name: "NICU".into() }, beds: beds.clone() };
        let mut scene = Self {
            desk: Desk::new(rules, beds, now.mono),
            unit: Unit::new(roster),
            now,
            beats: BTreeMap::new(),
            nonces: 0,
            told: BTreeMap::new(),
            log: Vec::new(),
            states: BTreeMap::new(),
        };
        scene.stations(&[("c1", Beds::All)]);
        for bed in ["01", "02"] {
            scene.announce(bed, Vec::new());
        }
        scene
    }

    /// As [`Scene::new`], and the one station shows both beds.
    fn watched() -> Self {
        let mut scene = Self::new();
        scene.receipt("c1", None);
        assert_eq!(scene.told["01"].0.beat, Some(1));
        scene
    }

    fn stations(&mut self, stations: &[(&str, Beds)]) {
        let station = |(id, beds): &(&str, Beds)| Station {
            id: (*id).to_owned(),
            name: format!("Central {id}"),
            beds: beds.clone(),
            expected: false,
        };
        self.desk.stations(self.now, stations.iter().map(station).collect());
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(output) = self.desk.poll() {
            match output {
                Output::Tend { bed, watch, commands } => {
                    self.told.insert(bed, (watch.unwrap(), commands));
                }
                Output::Log(entry) => self.log.push(entry),
                Output::Changed(_) | Output::Unit => {}
            }
        }
    }

    fn hear(&mut self, bed: &str, what: News) {
        let item = Item { agent: agent(bed), bed: Some(bed.to_owned()), what };
        self.desk.handle(self.now, &item);
        self.unit.handle(self.now, item);
        self.settle();
    }

    fn announce(&mut self, bed: &str, alarms: Vec<Alarm>) {
        let before = self.states.get(bed).cloned().unwrap_or_default();
        self.states.insert(bed.to_owned(), Announce { alarms, ..before });
        self.beat(bed);
    }

    fn beat(&mut self, bed: &str) {
        let beat = self.beats.entry(bed.to_owned()).or_default();
        *beat += 1;
        let announce = Announce {
            epoch: EPOCH.to_owned(),
            wall_us: self.now.wall.0,
            beat: *beat,
            ..self.states[bed].clone()
        };
        self.hear(bed, News::Announce(announce));
    }

    fn tick(&mut self) -> Receipt {
        self.nonces += 1;
        let nonce = format!("n{}", self.nonces);
        let beats = self.desk.tick(self.now.mono, nonce.clone());
        Receipt {
            nonce,
            beats,
            audio: Audio::Running,
            sounding: None,
            visible: true,
            self_test: SelfTest::Passed,
        }
    }

    /// The station answers a fresh tick, sounding this.
    fn receipt(&mut self, station: &str, sounding: Option<Priority>) -> bool {
        let receipt = Receipt { sounding, ..self.tick() };
        self.give(station, &receipt)
    }

    fn give(&mut self, station: &str, receipt: &Receipt) -> bool {
        let verdict = self.desk.receipt(self.now, station, receipt);
        self.settle();
        verdict.counts
    }

    /// Seconds go by; beds say their state, and these stations answer.
    fn pass(&mut self, seconds: u64, answering: &[&str], sounding: Option<Priority>) {
        for _ in 0..seconds {
            for _ in 0..4 {
                self.now = self.now.after(Duration::from_millis(250));
                self.desk.ages(self.now);
                self.settle();
            }
            for bed in ["01", "02"] {
                self.beat(bed);
            }
            for station in answering {
                self.receipt(station, sounding);
            }
        }
    }

    fn view(&self, bed: &str) -> BedView {
        let mut view = self.unit.beds_view(self.now, std::iter::once(bed)).pop().unwrap();
        self.desk.complete(self.now, &mut view);
        view
    }

    fn unit_alarms(&self) -> Vec<String> {
        self.desk.alarms().into_iter().map(|alarm| alarm.text).collect()
    }

    fn logged(&self, what: &str) -> usize {
        self.log.iter().filter(|entry| entry.what == what).count()
    }

    fn wish(&mut self, id: &str, act: Act) -> Result<String, Refused> {
        let wish = Wish {
            id: id.to_owned(),
            bed: "01".to_owned(),
            by: "ana".to_owned(),
            station: Some("Central 1".to_owned()),
            act,
        };
        let asked = self.desk.wish(self.now, wish).map(|requested| requested.command);
        self.settle();
        asked
    }

    fn answer(&mut self, by: &str, answer: Answer) -> Result<(), Refused> {
        let asked =
            Asked { bed: "01".to_owned(), episode: "a".to_owned(), by: by.to_owned(), station: None, answer };
        let answered = self.desk.answer(self.now, asked);
        self.settle();
        answered
    }

    fn called(&self) -> (usize, Vec<String>, bool) {
        let duty = self.view("01").alarms[0].responsibility.clone().unwrap();
        (duty.tier, duty.called.people.into_iter().collect(), duty.called.unit)
    }
}

fn agent(bed: &str) -> AgentId {
    AgentId::new(&format!("gw-{bed}")).unwrap()
}

fn alarm(episode: &str, version: u32, priority: Priority) -> Alarm {
    Alarm {
        episode: episode.to_owned(),
        version,
        attention: version,
        rule: "limit-low".to_owned(),
        kind: AlarmKind::Physiological,
        priority,
        condition: Condition::Active,
        inactivation: Inactivation::Enabled,
        code: Some(150_456),
        site: None,
        value: Some("71".to_owned()),
        limit: Some("85".to_owned()),
        ucum: "%".to_owned(),
        text: "SpO2 71 < 85".to_owned(),
        parts: Vec::new(),
        link: None,
        delay_ms: 0,
        limits: 0,
        onset_us: 1_768_360_364_000_000,
        active_us: Some(1_768_360_364_000_000),
        ended_us: None,
        ended: None,
    }
}

fn acknowledge(version: u32) -> Act {
    Act::Acknowledge { episode: "a".to_owned(), version }
}

#[test]
fn h5_the_lease_is_fed_by_what_a_station_painted_and_sounded() {
    let mut scene = Scene::watched();
    scene.announce("01", vec![alarm("a", 1, Priority::High)]);
    assert!(!scene.receipt("c1", Some(Priority::Medium)), "a high alarm is not sounded by a medium one");
    assert_eq!(scene.told["01"].0.beat, Some(1));
    assert!(scene.receipt("c1", Some(Priority::High)));
    assert_eq!(scene.told["01"].0.beat, Some(2));
    assert_eq!((scene.logged("painted"), scene.logged("sounded")), (1, 1));
    // Painted at the wrong bed's beat, or one that is yet to be drawn: nothing of it counts.
    let mut ahead = scene.tick();
    ahead.beats.insert("01".to_owned(), 3);
    ahead.sounding = Some(Priority::High);
    assert!(!scene.give("c1", &ahead));
    assert_eq!(scene.told["01"].0.beat, Some(2));
}

#[test]
fn h5_what_does_not_sound_for_five_seconds_ends_the_lease_and_says_why() {
    let mut scene = Scene::watched();
    scene.announce("01", vec![alarm("a", 1, Priority::High)]);
    scene.pass(6, &["c1"], None);
    let watch = &scene.told["01"].0;
    assert_eq!((watch.beat, watch.why.as_str()), (None, "Central c1 does not show this bed"));
    assert!(scene.told["02"].0.beat.is_some(), "the other bed demands no sound");
    assert!(!scene.view("01").watch.covered && scene.view("02").watch.covered);
}

#[test]
fn h5_a_hidden_page_or_a_silent_speaker_ends_the_lease_at_once() {
    for trouble in [
        Receipt { visible: false, ..Scene::watched().tick() },
        Receipt { audio: Audio::Suspended, ..Scene::watched().tick() },
        Receipt { self_test: SelfTest::Failed, ..Scene::watched().tick() },
    ] {
        let mut scene = Scene::watched();
        let fresh = scene.tick();
        assert!(!scene.give("c1", &Receipt { nonce: fresh.nonce, beats: fresh.beats, ..trouble }));
        assert_eq!((scene.told["01"].0.beat, scene.told["02"].0.beat), (None, None));
        scene.pass(1, &[], None);
        assert!(scene.unit_alarms()[0].starts_with("STATION Central c1"), "{:?}", scene.unit_alarms());
    }
}

#[test]
fn h5_a_station_that_falls_silent_is_an_alarm_elsewhere_and_its_beds_are_told() {
    let mut scene = Scene::watched();
    scene.stations(&[("c1", Beds::All), ("c2", Beds::Some(["02".to_owned()].into()))]);
    scene.pass(2, &["c1", "c2"], None);
    assert_eq!(scene.unit_alarms(), [""; 0]);
    scene.pass(5, &["c2"], None);
    assert_eq!(scene.unit_alarms()[0], "STATION Central c1 does not answer");
    assert_eq!(scene.told["01"].0.beat, None);
    assert!(scene.told["02"].0.beat.is_some(), "the other station shows it");
    scene.pass(6, &["c2"], None);
    assert!(scene.unit_alarms().contains(&"NO STATION SHOWS 01".to_owned()));
    scene.pass(2, &["c1", "c2"], None);
    assert_eq!(scene.unit_alarms(), [""; 0]);
    assert!(scene.told["01"].0.beat.is_some());
}

#[test]
fn h5_a_bed_that_no_station_covers_is_told_so_and_a_revoked_station_covers_nothing_at_once() {
    let mut scene = Scene::watched();
    scene.stations(&[]);
    assert_eq!(scene.told["01"].0.why, "no station covers this bed");
    assert_eq!(scene.told["01"].0.beat, None);
}

#[test]
fn s4_a_receipt_must_echo_a_nonce_that_was_sent_lately() {
    let mut scene = Scene::new();
    let receipt = scene.tick();
    assert!(!scene.give("c1", &Receipt { nonce: "guess".to_owned(), ..receipt.clone() }));
    assert!(!scene.give("other", &receipt), "of a station that nobody approved");
    assert_eq!(scene.told["01"].0.beat, None);
    assert!(scene.give("c1", &receipt));
    scene.now = scene.now.after(Duration::from_secs(5));
    assert!(!scene.give("c1", &receipt), "recorded and played again");
}

#[test]
fn s4_a_station_counts_only_for_the_beds_that_it_covers() {
    let mut scene = Scene::new();
    scene.stations(&[("c1", Beds::Some(["02".to_owned()].into()))]);
    scene.receipt("c1", Some(Priority::High));
    assert_eq!((scene.told["01"].0.beat, scene.told["02"].0.beat), (None, Some(1)));
}

#[test]
fn h5_a_new_epoch_of_an_agent_is_watched_only_when_it_was_shown() {
    let mut scene = Scene::watched();
    scene.pass(20, &["c1"], None);
    let before = scene.tick();
    let restarted = Announce {
        epoch: "0000000000000008".to_owned(),
        wall_us: scene.now.wall.0,
        beat: 1,
        ..Announce::default()
    };
    scene.hear("01", News::Announce(restarted));
    assert_eq!(
        scene.told["01"].0,
        Watch { epoch: "0000000000000008".to_owned(), beat: None, ..scene.told["01"].0.clone() }
    );
    scene.give("c1", &before);
    assert_eq!(scene.told["01"].0.beat, None, "what was painted was of the epoch before");
    scene.receipt("c1", None);
    assert_eq!(scene.told["01"].0.beat, Some(1));
}

#[test]
fn h5_an_agent_silent_for_six_seconds_is_an_alarm_at_its_tile() {
    let mut scene = Scene::watched();
    let offline =
        |scene: &Scene| scene.view("01").alarms.iter().any(|alarm| alarm.episode == "hub-agent-offline");
    let step = |scene: &mut Scene, seconds: u64| {
        scene.now = scene.now.after(Duration::from_secs(seconds));
        scene.desk.ages(scene.now);
        scene.settle();
    };
    step(&mut scene, 5);
    assert!(!offline(&scene));
    step(&mut scene, 1);
    assert!(offline(&scene));
    scene.beat("01");
    assert!(!offline(&scene));
}

#[test]
fn h6_an_acknowledgement_of_an_older_version_is_refused_409() {
    let mut scene = Scene::watched();
    scene.announce("01", vec![alarm("a", 1, Priority::Medium)]);
    scene.announce("01", vec![alarm("a", 2, Priority::High)]);
    assert_eq!(scene.wish("c0", acknowledge(1)), Err(Refused::Superseded));
    assert_eq!(scene.wish("c0", acknowledge(3)), Err(Refused::Superseded), "nobody has seen it");
    assert_eq!(scene.told["01"].1, []);
    assert_eq!(scene.wish("c0", acknowledge(2)), Ok("c0".to_owned()));
    // A value that moves on without asking for attention anew does not take the button away.
    scene.announce("01", vec![Alarm { attention: 2, ..alarm("a", 3, Priority::High) }]);
    assert_eq!(scene.wish("c1", acknowledge(2)), Ok("c1".to_owned()));
}

#[test]
fn h6_an_acknowledgement_is_shown_as_sent_until_the_agent_shows_it() {
    let mut scene = Scene::watched();
    scene.announce("01", vec![alarm("a", 1, Priority::High)]);
    scene.wish("c0", acknowledge(1)).unwrap();
    let requested = |scene: &Scene| scene.view("01").alarms[0].requested.clone().map(|asked| asked.state);
    assert_eq!(requested(&scene), Some("sent"));
    assert_eq!(scene.told["01"].1[0].act, acknowledge(1));
    scene.hear("01", News::Reply(Reply { command: "c0".to_owned(), outcome: Outcome::Done }));
    assert_eq!((requested(&scene), scene.told["01"].1.len()), (Some("done"), 0));
    let inactivation = Inactivation::Acknowledged { at_us: 0, by: "ana".to_owned() };
    scene.announce("01", vec![Alarm { inactivation, version: 2, ..alarm("a", 1, Priority::High) }]);
    assert_eq!(requested(&scene), None);
    assert_eq!(scene.wish("c0", acknowledge(1)), Ok("c0".to_owned()), "the same key is the same command");
    assert_eq!(scene.told["01"].1, []);
}

#[test]
fn h6_a_command_that_is_not_answered_expires_after_ten_seconds_and_says_so() {
    let mut scene = Scene::watched();
    scene.wish("p", Act::PauseAudio { seconds: 120 }).unwrap();
    scene.pass(9, &["c1"], None);
    assert_eq!((scene.told["01"].1.len(), scene.view("01").requested[0].state), (1, "sent"));
    scene.pass(1, &["c1"], None);
    assert_eq!((scene.told["01"].1.len(), scene.view("01").requested[0].state), (0, "expired"));
    assert_eq!(scene.logged("expired"), 1);
    scene.pass(6, &["c1"], None);
    assert!(scene.view("01").requested.is_empty());
    // A reply that comes after all changes nothing.
    scene.hear("01", News::Reply(Reply { command: "p".to_owned(), outcome: Outcome::Done }));
    assert_eq!(scene.logged("done"), 0);
}

#[test]
fn h6_a_refusal_of_the_bed_is_told_in_its_words() {
    let mut scene = Scene::watched();
    scene.wish("p", Act::PauseAudio { seconds: 120 }).unwrap();
    let outcome =
        Outcome::Refused { why: Refusal::NotAllowed, words: "an extreme alarm is active\u{7}".to_owned() };
    scene.hear("01", News::Reply(Reply { command: "p".to_owned(), outcome }));
    let shown = scene.view("01").requested[0].clone();
    assert_eq!((shown.state, shown.words.as_str()), ("refused", "an extreme alarm is active"));
}

#[test]
fn h16_the_second_of_two_acknowledgements_sees_the_first() {
    let mut scene = Scene::watched();
    scene.announce("01", vec![alarm("a", 1, Priority::High)]);
    scene.wish("c0", acknowledge(1)).unwrap();
    let seen = scene.view("01").alarms[0].requested.clone().unwrap();
    assert_eq!((seen.by.as_str(), seen.station.as_deref(), seen.state), ("ana", Some("Central 1"), "sent"));
}

#[test]
fn an_unknown_episode_a_bed_without_agent_and_a_full_queue_are_refused() {
    let mut scene = Scene::watched();
    assert_eq!(scene.wish("c0", acknowledge(1)), Err(Refused::UnknownEpisode));
    for number in 0..16 {
        scene.wish(&format!("p{number}"), Act::EndPause).unwrap();
    }
    assert_eq!(scene.wish("p16", Act::EndPause), Err(Refused::Busy));
    scene.hear("01", News::Disconnected { why: "test" });
    assert_eq!(scene.wish("q", Act::EndPause), Err(Refused::NotReachable));
    scene.announce("02", vec![alarm("b", 1, Priority::High)]);
    let other = Act::Acknowledge { episode: "b".to_owned(), version: 1 };
    scene.announce("01", Vec::new());
    assert_eq!(scene.wish("r", other), Err(Refused::UnknownEpisode), "an alarm of another bed");
}

#[test]
fn s1_an_agent_that_lies_about_another_bed_changes_nothing_there() {
    let mut scene = Scene::watched();
    scene.announce("02", vec![alarm("b", 1, Priority::High)]);
    scene.wish("c0", Act::EndPause).unwrap();
    // It answers for a command of another bed, and announces another bed's episode as its own.
    scene.hear("02", News::Reply(Reply { command: "c0".to_owned(), outcome: Outcome::Done }));
    assert_eq!(scene.told["01"].1.len(), 1);
    let forged = Alarm { condition: Condition::Latched, ..alarm("b", 9, Priority::Low) };
    scene.announce("01", vec![forged]);
    assert_eq!(scene.view("02").alarms[0].version, 1);
    assert!(scene.desk.beds["02"].demand == Some(Priority::High));
}

#[test]
fn an_alarm_that_nobody_answers_goes_up_until_the_unit_and_never_runs_out() {
    let mut scene = Scene::watched();
    let nurses = |primary: &str, buddy: &str| Nurses {
        primary: Some(primary.to_owned()),
        buddy: Some(buddy.to_owned()),
        until_ms: None,
    };
    scene.desk.nurses("01", nurses("ana", "bo"));
    scene.announce("01", vec![alarm("a", 1, Priority::High)]);
    scene.receipt("c1", Some(Priority::High));
    assert_eq!(scene.called(), (0, vec!["ana".to_owned()], false));
    scene.pass(15, &["c1"], Some(Priority::High));
    assert_eq!(scene.called(), (1, vec!["ana".to_owned(), "bo".to_owned()], false));
    // There is no charge nurse: that tier is no tier.
    scene.pass(15, &["c1"], Some(Priority::High));
    assert_eq!(scene.called(), (3, vec!["ana".to_owned(), "bo".to_owned()], true));
    scene.pass(600, &["c1"], Some(Priority::High));
    assert_eq!(scene.called().0, 3);
    assert_eq!(scene.logged("escalated"), 3);
    scene.announce("01", Vec::new());
    assert_eq!(scene.logged("ended"), 1);
}

#[test]
fn an_alarm_that_no_station_showed_goes_up_at_once() {
    let mut scene = Scene::watched();
    scene.announce("01", vec![alarm("a", 1, Priority::High)]);
    scene.pass(6, &[], None);
    assert_eq!((scene.called().0, scene.called().2), (3, true), "with nobody assigned only the unit is left");
}

#[test]
fn acceptance_stops_the_tiers_and_silences_nothing_and_a_rejection_goes_up() {
    let mut scene = Scene::watched();
    scene.announce("01", vec![alarm("a", 1, Priority::High)]);
    scene.receipt("c1", Some(Priority::High));
    let tier = scene.called().0;
    scene.answer("ana", Answer::Accept).unwrap();
    scene.pass(120, &["c1"], Some(Priority::High));
    assert_eq!(scene.called().0, tier);
    assert_eq!(scene.desk.beds["01"].demand, Some(Priority::High), "acceptance is not silence");
    scene.answer("ana", Answer::Withdraw).unwrap();
    assert_eq!(scene.answer("ana", Answer::Withdraw), Err(Refused::NotAccepted));
    scene.answer("bo", Answer::Reject).unwrap();
    assert_eq!(scene.view("01").alarms[0].responsibility.as_ref().unwrap().state, "rejected");
    // Whoever accepted has not accepted what came after.
    scene.answer("ana", Answer::Accept).unwrap();
    scene.announce("01", vec![alarm("a", 2, Priority::High)]);
    assert_eq!(scene.view("01").alarms[0].responsibility.as_ref().unwrap().state, "undefined");
    assert_eq!(scene.answer("ana", Answer::Accept), Ok(()));
}

#[test]
fn a_pause_of_the_bed_demands_no_sound_for_what_it_holds_and_all_for_what_breaks_through() {
    let mut scene = Scene::watched();
    let pause = Pause { until_us: 0, by: "ana".to_owned(), up_to: Priority::Medium };
    scene.states.get_mut("01").unwrap().pause = Some(pause);
    scene.announce("01", vec![alarm("a", 1, Priority::Medium)]);
    assert!(scene.receipt("c1", None));
    scene.announce("01", vec![alarm("a", 1, Priority::Medium), alarm("b", 1, Priority::High)]);
    assert!(!scene.receipt("c1", None));
    assert!(scene.receipt("c1", Some(Priority::High)));
}

#[test]
fn h8_a_thousand_alarms_at_once_are_all_shown_and_hold_up_no_other_bed() {
    let mut scene = Scene::watched();
    let mut flood: Vec<Alarm> =
        (0..999).map(|number| alarm(&format!("low{number}"), 1, Priority::Low)).collect();
    flood.push(alarm("worst", 1, Priority::High));
    scene.announce("01", flood);
    assert_eq!(scene.view("01").alarms.len(), 1_000);
    assert_eq!(scene.view("01").alarms[0].episode, "worst");
    scene.announce("02", vec![alarm("b", 1, Priority::High)]);
    assert!(scene.receipt("c1", Some(Priority::High)));
    assert_eq!(scene.told["02"].0.beat, Some(2));
    assert_eq!((scene.logged("heard"), scene.logged("painted")), (1_001, 1_001));
    assert_eq!(scene.logged("sounded"), 1_001);
}
