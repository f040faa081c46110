//! The bed in the hands of people: watched or not, acknowledged, paused, handed over to another baby.

use super::*;
use cotside_protocol::model::DeviceText;
use cotside_protocol::wire::downstream::{self, Act, Command, Limits, Stay, Watch};
use cotside_protocol::wire::upstream::{
    Alarm, Announce, Condition, Inactivation, Outcome, Refusal, Reply, Status,
};

const S: i64 = 1_000_000;

/// A bed with a hub that is heard: bed 01, its clock known, a station that covers it.
fn served() -> Scene {
    let mut scene = Scene::begin(Setup { has_hub: true, ..Scene::setup(&["monitor"]) });
    scene.notice(BedNotice::Hub { reachable: true, detail: String::new(), bed: Some("01".into()) });
    let ahead_us = scene.now.wall.0 - scene.now.mono.0 as i64;
    scene.notice(BedNotice::HubTime(HubTime { ahead_us, uncertainty_us: 1_000 }));
    scene.notice(BedNotice::Stay(stay("a")));
    scene.covered();
    scene.out.clear();
    scene
}

fn stay(id: &str) -> Stay {
    Stay { id: Some(id.into()) }
}

impl Scene {
    fn notice(&mut self, notice: BedNotice) {
        self.handle(Input::Notice(notice));
    }

    /// A station has painted and sounded everything up to now.
    fn covered(&mut self) {
        let beat = self.bed.beat;
        self.notice(BedNotice::Watch(Watch { beat: Some(beat), ..Watch::default() }));
    }

    /// Time under the eyes of a station.
    fn pass_watched(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.covered();
            self.pass(1_000);
        }
        self.covered();
    }

    fn alarms(&self) -> Vec<Alarm> {
        self.bed.snapshot(self.now).alarms
    }

    fn alarm(&self, rule: &str) -> Option<Alarm> {
        self.alarms().into_iter().find(|alarm| alarm.rule == rule)
    }

    fn bradycardia(&mut self) -> Alarm {
        for _ in 0..3 {
            self.event(Event::Numeric(hr(60)));
            self.pass_watched(1);
        }
        let alarm = self.alarm("limit-low").expect("it is below its limit for three seconds");
        assert_eq!(alarm.condition, Condition::Active);
        alarm
    }

    fn command(&self, id: u64, act: Act) -> Command {
        Command {
            id: format!("{id:016x}"),
            bed: "01".into(),
            by: "Nurse A".into(),
            station: Some("desk".into()),
            issued_us: self.now.wall.0,
            expires_us: self.now.wall.0 + 10 * S,
            act,
        }
    }

    fn send(&mut self, command: Command) -> Outcome {
        self.out.clear();
        self.notice(BedNotice::Command(command));
        let replies: Vec<&Reply> = self
            .out
            .iter()
            .filter_map(|output| match output {
                Output::Uplink(UplinkRequest::Reply(reply)) => Some(reply),
                _ => None,
            })
            .collect();
        let [reply] = replies.as_slice() else { panic!("one reply for one command: {replies:?}") };
        reply.outcome.clone()
    }

    fn order(&mut self, id: u64, act: Act) -> Outcome {
        self.send(self.command(id, act))
    }

    fn last_announce(&self) -> &Announce {
        let announces = self.out.iter().rev().filter_map(|output| match output {
            Output::Uplink(UplinkRequest::Announce(announce)) => Some(announce),
            _ => None,
        });
        announces.into_iter().next().expect("the state was announced")
    }

    fn last_status(&self) -> &Status {
        let statuses = self.out.iter().rev().filter_map(|output| match output {
            Output::Uplink(UplinkRequest::Status(status)) => Some(status),
            _ => None,
        });
        statuses.into_iter().next().expect("the status is told every second")
    }

    /// What the disk holds when the power fails now.
    fn kept(&self) -> Kept {
        let directory = std::env::temp_dir().join(format!("cotside-care-{:?}", std::thread::current().id()));
        for output in &self.out {
            if let Output::Keep(keep, text) = output {
                crate::bed::keep(&directory, *keep, text).unwrap();
            }
        }
        let kept = Kept::read(&directory, None);
        std::fs::remove_dir_all(&directory).unwrap();
        kept
    }
}

fn why(outcome: Outcome) -> Option<Refusal> {
    match outcome {
        Outcome::Done => None,
        Outcome::Refused { why, .. } => Some(why),
    }
}

/// A set that a newborn's envelope allows, with a low limit of the heart rate.
fn limits(version: u64, low: u32) -> Limits {
    let row = |code: u32, threshold: u32, ucum: &str, extreme: bool| downstream::Limit {
        code,
        side: downstream::Side::Low,
        threshold: threshold.to_string(),
        ucum: ucum.into(),
        delay_ms: if extreme { 5_000 } else { 0 },
        priority: if extreme {
            cotside_protocol::wire::upstream::Priority::High
        } else {
            cotside_protocol::wire::upstream::Priority::Medium
        },
        hysteresis: "0".into(),
        depth: None,
        latching: false,
        extreme,
    };
    Limits {
        version,
        author: "hub".into(),
        bed: "01".into(),
        limits: vec![
            row(147_842, low, "{beats}/min", false),
            row(147_842, 70, "{beats}/min", true),
            row(150_456, 80, "%", true),
        ],
        apnoea: Some(downstream::Apnoea {
            after_ms: 20_000,
            accompanied_ms: 10_000,
            priority: cotside_protocol::wire::upstream::Priority::High,
        }),
        ..Limits::default()
    }
}

#[test]
fn h5_the_end_of_central_monitoring_is_an_alarm_at_the_bed_at_once_when_it_is_said() {
    let mut scene = served();
    scene.pass_watched(30);
    assert_eq!(scene.alarm("hub-lost"), None);
    let watch = Watch { why: "no station covers this bed".into(), ..Watch::default() };
    scene.notice(BedNotice::Watch(watch));
    let alarm = scene.alarm("hub-lost").expect("a revocation waits for nothing");
    assert_eq!(
        (alarm.condition, alarm.text.as_str()),
        (Condition::Active, "NO CENTRAL MONITORING: no station covers this bed")
    );
    assert!(scene.last_announce().alarms.iter().any(|alarm| alarm.rule == "hub-lost"));
    scene.covered();
    assert_eq!(scene.alarm("hub-lost"), None);
}

#[test]
fn h5_a_hub_that_falls_silent_is_an_alarm_within_ten_seconds() {
    let mut scene = served();
    scene.pass_watched(30);
    let lost_at = scene.now;
    while scene.alarm("hub-lost").is_none() {
        scene.pass(100);
    }
    let took = scene.now.mono.since(lost_at.mono);
    assert!(took <= Duration::from_secs(8), "{took:?}");
    let mut alone = Scene::new();
    alone.pass(120_000);
    assert_eq!(alone.alarm("hub-lost"), None, "who has no hub misses none");
}

#[test]
fn h8_losing_the_hub_starts_quietly_rises_after_a_minute_and_masks_no_alarm_of_the_patient() {
    use cotside_protocol::wire::upstream::Priority::{High, Low, Medium};
    let mut scene = served();
    scene.pass_watched(10);
    scene.pass(10_000);
    assert_eq!(scene.alarm("hub-lost").map(|alarm| alarm.priority), Some(Low));
    for _ in 0..3 {
        scene.event(Event::Numeric(hr(60)));
        scene.pass(1_000);
    }
    assert_eq!(scene.alarm("limit-low").map(|alarm| alarm.priority), Some(High));
    assert_eq!(scene.alarm("hub-lost").map(|alarm| alarm.priority), Some(Low));
    scene.pass(5_000);
    assert_eq!(scene.alarm("hub-lost").map(|alarm| alarm.priority), Some(Medium), "it reached nobody");
    let mut quiet = served();
    quiet.pass(8_000 + 59_000);
    assert_eq!(quiet.alarm("hub-lost").map(|alarm| alarm.priority), Some(Low));
    quiet.pass(2_000);
    assert_eq!(quiet.alarm("hub-lost").map(|alarm| alarm.priority), Some(Medium));
}

#[test]
fn h6_an_acknowledgement_carries_episode_and_version_and_is_applied_once() {
    let mut scene = served();
    let alarm = scene.bradycardia();
    let act = |version| Act::Acknowledge { episode: alarm.episode.clone(), version };
    assert_eq!(why(scene.order(1, act(0))), Some(Refusal::Superseded));
    let unknown = Act::Acknowledge { episode: "00000000000000ff".into(), version: 9 };
    assert_eq!(why(scene.order(2, unknown)), Some(Refusal::Unknown));
    let command = scene.command(3, act(alarm.version));
    assert_eq!(scene.send(command.clone()), Outcome::Done);
    let acknowledged = scene.alarm("limit-low").unwrap();
    assert!(matches!(&acknowledged.inactivation, Inactivation::Acknowledged { by, .. } if by == "Nurse A"));
    assert_eq!(scene.last_announce().alarms[0].inactivation, acknowledged.inactivation, "told at once");
    assert!(scene.records().iter().any(|record| record.contains("\"commanded\"")), "{:?}", scene.records());
    let kept = scene.kept();
    assert_eq!(scene.send(command.clone()), Outcome::Done, "the same answer again");
    assert_eq!(scene.alarm("limit-low").unwrap().version, acknowledged.version, "and nothing else");
    assert!(!scene.records().iter().any(|record| record.contains("\"commanded\"")));

    let mut next_life = served();
    next_life.bed = Bed::new(Setup { has_hub: true, kept, ..Scene::setup(&["monitor"]) }, next_life.now);
    let ahead_us = next_life.now.wall.0 - next_life.now.mono.0 as i64;
    next_life.notice(BedNotice::HubTime(HubTime { ahead_us, uncertainty_us: 1_000 }));
    assert_eq!(next_life.send(command), Outcome::Done, "applied once, over a restart as well");
}

#[test]
fn h6_a_command_that_is_late_or_for_another_bed_or_beyond_bounds_is_refused_and_on_record() {
    let mut scene = served();
    let pause = |seconds| Act::PauseAudio { seconds };
    let late = Command { expires_us: scene.now.wall.0 - 1, ..scene.command(1, pause(60)) };
    let eternal = Command { expires_us: scene.now.wall.0 + 3_600 * S, ..scene.command(2, pause(60)) };
    let elsewhere = Command { bed: "02".into(), ..scene.command(3, pause(60)) };
    let standby = |seconds| Act::Standby { seconds, reason: "line\u{202e}placed".into() };
    for (command, refusal) in [
        (late, Refusal::Expired),
        (eternal, Refusal::Expired),
        (elsewhere, Refusal::OtherBed),
        (scene.command(4, pause(121)), Refusal::NotAllowed),
        (scene.command(5, pause(0)), Refusal::NotAllowed),
        (scene.command(6, standby(1_801)), Refusal::NotAllowed),
    ] {
        assert_eq!(why(scene.send(command)), Some(refusal));
        assert!(scene.records().iter().any(|record| record.contains("\"refused\"")), "{:?}", scene.records());
    }
    assert_eq!(scene.bed.snapshot(scene.now).pause, None);
    assert_eq!(scene.order(7, standby(600)), Outcome::Done);
    assert_eq!(
        scene.last_announce().standby.as_ref().map(|standby| standby.reason.as_str()),
        Some("lineplaced")
    );
    scene.notice(BedNotice::Command(Command { id: "no id".into(), ..scene.command(8, pause(60)) }));
    assert_eq!(scene.bed.snapshot(scene.now).pause, None);

    let mut early = Scene::begin(Setup { has_hub: true, ..Scene::setup(&["monitor"]) });
    early.notice(BedNotice::Hub { reachable: true, detail: String::new(), bed: Some("01".into()) });
    assert_eq!(why(early.order(1, pause(60))), Some(Refusal::Expired), "the hub's clock is not known yet");
}

#[test]
fn h6_expiry_is_by_the_hubs_clock_whatever_the_gateways_shows() {
    let mut scene = served();
    scene.now.wall.0 += 7_200 * S;
    let hub_wall = scene.now.wall.0 - 7_200 * S;
    let command = Command {
        issued_us: hub_wall,
        expires_us: hub_wall + 10 * S,
        ..scene.command(1, Act::PauseAudio { seconds: 60 })
    };
    assert_eq!(scene.send(command), Outcome::Done);
    let stale =
        Command { issued_us: hub_wall, expires_us: hub_wall + 10 * S, ..scene.command(2, Act::EndPause) };
    scene.pass(11_000);
    assert_eq!(why(scene.send(stale)), Some(Refusal::Expired));
}

#[test]
fn h7_the_bed_can_be_silenced_at_the_bed_without_a_hub_for_two_minutes_at_most() {
    let mut scene = Scene::new();
    let by = DeviceText::new("button at the bed");
    assert!(scene.bed.here(scene.now, &by, Act::PauseAudio { seconds: 121 }).is_err());
    assert_eq!(scene.bed.here(scene.now, &by, Act::PauseAudio { seconds: 120 }), Ok(()));
    scene.handle(Input::Timeout);
    let pause = scene.last_announce().pause.clone().expect("everybody is told at once");
    assert_eq!((pause.until_us - scene.now.wall.0, pause.by.as_str()), (120 * S, "button at the bed"));
    assert!(scene.records().iter().any(|record| record.contains("button at the bed")), "it is on record");
    scene.pass(119_000);
    assert!(scene.bed.snapshot(scene.now).pause.is_some());
    scene.pass(1_000);
    assert_eq!(scene.bed.snapshot(scene.now).pause, None);
    assert_eq!(scene.last_announce().pause, None);
}

#[test]
fn h2_another_stay_ends_what_was_open_paused_and_shown() {
    let mut scene = served();
    scene.bradycardia();
    assert_eq!(scene.order(1, Act::PauseAudio { seconds: 100 }), Outcome::Done);
    assert_eq!(scene.last_announce().stay.as_deref(), Some("a"));
    scene.notice(BedNotice::Stay(stay("a")));
    assert!(scene.alarm("limit-low").is_some(), "the same stay said again changes nothing");
    scene.out.clear();
    scene.notice(BedNotice::Stay(stay("b")));
    let ended = &scene.last_announce().alarms[0];
    assert_eq!(ended.condition, Condition::Inactive, "{ended:?}");
    let snapshot = scene.bed.snapshot(scene.now);
    assert_eq!((snapshot.pause, snapshot.values, snapshot.stay.as_deref()), (None, Vec::new(), Some("b")));
    assert!(scene.records().contains(&r#"{"type":"turned-over","stay":"b"}"#), "{:?}", scene.records());
    let kept = scene.kept();
    assert_eq!(kept.orders.stay, Some(stay("b")));
    // After a restart the same stay is no news.
    let mut next = Scene::begin(Setup { has_hub: true, kept, ..Scene::setup(&["monitor"]) });
    next.event(Event::Numeric(hr(60)));
    next.notice(BedNotice::Stay(stay("b")));
    assert!(next.alarm("limit-low").is_some());
}

#[test]
fn h4_a_set_of_limits_is_taken_whole_its_versions_only_rise_and_refusals_are_told() {
    let mut scene = served();
    let wrong = Limits {
        limits: vec![downstream::Limit { ucum: "furlong".into(), ..limits(5, 100).limits[0].clone() }],
        ..limits(5, 100)
    };
    scene.notice(BedNotice::Limits(wrong));
    assert!(scene.alarm("limits-refused").is_some());
    assert_eq!(scene.last_status().limits_refused.as_ref().map(|refused| refused.version), Some(5));
    scene.out.clear();
    scene.notice(BedNotice::Limits(limits(6, 100)));
    assert_eq!(scene.alarm("limits-refused"), None);
    assert_eq!(scene.last_status().limits.as_ref().map(|limits| limits.version), Some(6));
    assert_eq!(scene.kept().orders.floor, 6, "kept for the next life");
    scene.event(Event::Numeric(hr(90)));
    assert_eq!(scene.alarm("limit-low").map(|alarm| alarm.text), Some("HR 90 < 100".into()));
    for (given, words) in [
        (limits(4, 90), "version 4 is older than 6"),
        (limits(6, 90), "version 6 was another set before"),
        (Limits { bed: "02".into(), ..limits(7, 90) }, "it is for bed 02, this is bed 01"),
        (Limits { apnoea: None, ..limits(7, 90) }, "apnoea is not watched"),
        (limits(7, 50), "HR low 50 is wider than the site's bound, 60"),
    ] {
        scene.out.clear();
        scene.notice(BedNotice::Limits(given));
        let refused = scene.bed.snapshot(scene.now).limits_refused.expect(words);
        assert!(refused.words.contains(words), "{words}: {}", refused.words);
        assert!(scene.records().iter().any(|record| record.contains("limits-taken")), "it is on record");
        assert_eq!(scene.bed.snapshot(scene.now).limits.version, 6, "the last set stays");
    }
    scene.out.clear();
    scene.notice(BedNotice::Limits(limits(7, 50)));
    assert!(scene.records().is_empty(), "said again it is no news");
    scene.notice(BedNotice::Limits(limits(6, 100)));
    assert_eq!(scene.alarm("limits-refused"), None, "the hub's last word is the one in force");
}

#[test]
fn h4_limits_end_with_their_stay_and_the_bed_says_limits_reset_until_the_next_set_or_a_persons_word() {
    let mut scene = served();
    scene.notice(BedNotice::Limits(limits(6, 100)));
    scene.notice(BedNotice::Stay(stay("b")));
    let snapshot = scene.bed.snapshot(scene.now);
    assert_eq!((snapshot.limits.version, snapshot.limits_reset), (0, true));
    assert!(scene.alarm("limits-reset").is_some());
    assert_eq!(scene.last_status().limits.as_ref().map(|limits| limits.version), Some(0), "the hub is told");
    scene.notice(BedNotice::Limits(limits(6, 100)));
    assert_eq!(scene.bed.snapshot(scene.now).limits.version, 0, "the last baby's set is not the next one's");
    scene.notice(BedNotice::Limits(limits(7, 100)));
    assert_eq!(scene.bed.snapshot(scene.now).limits.version, 7);
    assert_eq!(scene.alarm("limits-reset"), None);

    scene.notice(BedNotice::Stay(Stay { id: None }));
    assert_eq!(scene.alarm("limits-reset"), None, "at an empty bed it concerns nobody");
    scene.notice(BedNotice::Stay(stay("c")));
    assert!(scene.alarm("limits-reset").is_some());
    assert_eq!(why(scene.order(1, Act::AcceptLimits { version: 7 })), Some(Refusal::Superseded));
    assert_eq!(scene.order(2, Act::AcceptLimits { version: 0 }), Outcome::Done);
    assert_eq!(scene.alarm("limits-reset"), None);
    assert!(!scene.kept().orders.is_reset, "over a restart as well");
}

#[test]
fn h4_a_set_that_comes_before_its_stay_waits_for_it() {
    let mut scene = served();
    scene.notice(BedNotice::Limits(Limits { stay: Some("b".into()), ..limits(8, 100) }));
    assert_eq!(scene.bed.snapshot(scene.now).limits.version, 0);
    scene.notice(BedNotice::Stay(stay("b")));
    let snapshot = scene.bed.snapshot(scene.now);
    assert_eq!((snapshot.limits.version, snapshot.limits_reset), (8, false));
}

#[test]
fn h4_limits_and_stay_outlive_a_restart_and_two_damaged_copies_are_said() {
    let mut scene = served();
    scene.notice(BedNotice::Limits(limits(6, 100)));
    let kept = scene.kept();
    let mut next = Scene::begin(Setup { has_hub: true, kept, ..Scene::setup(&["monitor"]) });
    let snapshot = next.bed.snapshot(next.now);
    assert_eq!((snapshot.limits.version, snapshot.stay.as_deref()), (6, Some("a")));
    next.event(Event::Numeric(hr(90)));
    assert_eq!(next.alarm("limit-low").map(|alarm| alarm.text), Some("HR 90 < 100".into()));
    let mut lost = Kept::default();
    lost.orders_lost = true;
    let damaged = Scene::begin(Setup { has_hub: true, kept: lost, ..Scene::setup(&["monitor"]) });
    assert!(damaged.alarm("limits-reset").is_some());
}

#[test]
fn an_agent_that_is_moved_to_another_bed_takes_nothing_with_it() {
    let mut scene = served();
    scene.notice(BedNotice::Limits(limits(6, 100)));
    scene.bradycardia();
    scene.notice(BedNotice::Hub { reachable: true, detail: String::new(), bed: Some("02".into()) });
    let snapshot = scene.bed.snapshot(scene.now);
    assert_eq!((snapshot.bed.as_deref(), snapshot.limits.version, snapshot.stay), (Some("02"), 0, None));
    assert_eq!(scene.alarm("limit-low"), None);
}

#[test]
fn h9_a_restart_in_the_middle_of_an_alarm_keeps_what_people_said_of_it() {
    let mut scene = served();
    let alarm = scene.bradycardia();
    let act = Act::Acknowledge { episode: alarm.episode.clone(), version: alarm.version };
    assert_eq!(scene.order(1, act), Outcome::Done);
    let acknowledged = scene.kept();
    let mut next =
        Scene::begin_at(scene.now, Setup { has_hub: true, kept: acknowledged, ..Scene::setup(&["monitor"]) });
    next.event(Event::Numeric(hr(60)));
    let held = next.alarm("limit-low").expect("what still holds alarms at once");
    assert_eq!(held.condition, Condition::Active);
    assert!(
        matches!(&held.inactivation, Inactivation::Acknowledged { by, .. } if by == "Nurse A"),
        "{held:?}"
    );

    let mut paused = served();
    assert_eq!(paused.order(1, Act::PauseAudio { seconds: 100 }), Outcome::Done);
    let kept = paused.kept();
    let mut next = Scene::begin_at(paused.now, Setup { has_hub: true, kept, ..Scene::setup(&["monitor"]) });
    assert!(next.bed.snapshot(next.now).pause.is_some(), "a pause goes on");
    next.pass(101_000);
    assert_eq!(next.bed.snapshot(next.now).pause, None, "and never outlives its end");
}

#[test]
fn h16_of_two_who_acknowledge_at_once_the_second_sees_the_first() {
    let mut scene = served();
    let alarm = scene.bradycardia();
    let act = || Act::Acknowledge { episode: alarm.episode.clone(), version: alarm.version };
    assert_eq!(scene.order(1, act()), Outcome::Done);
    let first = scene.alarm("limit-low").unwrap();
    let second = Command { by: "Nurse B".into(), ..scene.command(2, act()) };
    scene.send(second);
    let both = scene.alarm("limit-low").unwrap();
    assert_eq!(both.inactivation, first.inactivation, "one acknowledgement, of one person");
    assert!(matches!(&both.inactivation, Inactivation::Acknowledged { by, .. } if by == "Nurse A"));
}
