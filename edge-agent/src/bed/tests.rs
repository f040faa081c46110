//! The bed in virtual time: what leaves it, in which order, and when.

use super::{Bed, Input, Keep, Kept, LinkSetup, Output, Setup};
use crate::row::{BedNotice, Draft, Heard, HubTime, News, UplinkRequest};
use cotside_protocol::model::{
    Alert, AlertPhase, Code, Decimal, DeviceTime, Envelope, Event, Identity, Kind, Limit, LimitSet,
    LimitSide, Malformed, Mono, Now, Numeric, Pace, Priority, Private, Provenance, Quality, Site, StoreToken,
    Wall, Waveform, Zone,
};
use cotside_protocol::wire::block::{Body, GapCause};
use cotside_protocol::wire::topic::Lane;
use cotside_protocol::wire::upstream::{Entries, LinkState, LinkStatus, OutboxStatus};
use std::time::Duration;

const START: Now = Now { mono: Mono(1_000_000_000), wall: Wall(1_700_000_000_000_000) };

mod care;

struct Scene {
    bed: Bed,
    now: Now,
    out: Vec<Output>,
}

impl Scene {
    fn new() -> Self {
        Self::with_links(&["monitor"])
    }

    fn with_links(names: &[&str]) -> Self {
        let setup = Self::setup(names);
        Self::begin(setup)
    }

    fn begin(setup: Setup) -> Self {
        Self::begin_at(START, setup)
    }

    fn begin_at(now: Now, setup: Setup) -> Self {
        let mut scene = Self { bed: Bed::new(setup, now), now, out: Vec::new() };
        scene.state(LinkState::Live, 0);
        scene.pass(0);
        scene.out.clear();
        scene
    }

    fn setup(names: &[&str]) -> Setup {
        let limit = Limit {
            delay: Duration::from_secs(2),
            priority: Priority::High,
            ..Limit::plain(Code(147_842), LimitSide::Low, Decimal::new(80, 0), "{beats}/min")
        };
        Setup {
            agent: "gw-01".into(),
            software: "edge-agent test",
            provenance: Provenance::Live,
            loss_window: Duration::from_secs(1),
            boot: 7,
            links: names
                .iter()
                .map(|name| LinkSetup { name: (*name).into(), driver: "x".into(), place: "tty".into() })
                .collect(),
            limits: LimitSet { limits: vec![limit], ..LimitSet::default() },
            preferences: Vec::new(),
            kept: Kept::default(),
            has_hub: false,
            envelope: Envelope::neonatal(),
            standby_max: Duration::from_secs(1_800),
        }
    }

    fn handle(&mut self, input: Input) {
        self.bed.handle(self.now, input);
        while let Some(output) =
            Some(self.bed.poll(self.now)).filter(|output| !matches!(output, Output::Wait(_)))
        {
            self.out.push(output);
        }
    }

    fn event(&mut self, event: Event) {
        self.hear(0, News::Event(event));
    }

    fn hear(&mut self, link: u8, what: News) {
        self.handle(Input::Heard(Heard { link, at: self.now, what }));
    }

    fn state(&mut self, state: LinkState, heard_ms: u64) {
        self.state_of(0, state, heard_ms);
    }

    fn state_of(&mut self, link: u8, state: LinkState, heard_ms: u64) {
        let status = LinkStatus {
            link,
            name: "monitor".into(),
            driver: "x".into(),
            state,
            detail: "words".into(),
            manufacturer: String::new(),
            model: String::new(),
            serial: String::new(),
            firmware: String::new(),
            heard_ms: Some(heard_ms),
            frames: 0,
            malformed_bytes: 0,
            clock: None,
        };
        self.hear(link, News::State(status));
    }

    /// Lets time pass, waking the bed when it asks for it.
    fn pass(&mut self, millis: u64) {
        let end = self.now.after(Duration::from_millis(millis));
        while let Output::Wait(until) = self.bed.poll(self.now) {
            if until > end.mono {
                break;
            }
            self.now = self.now.after(until.since(self.now.mono));
            self.handle(Input::Timeout);
        }
        self.now = end;
    }

    fn drafts(&self) -> Vec<&Draft> {
        let drafts = self.out.iter().filter_map(|output| match output {
            Output::Store(request) => Some(&request.drafts),
            _ => None,
        });
        drafts.flatten().collect()
    }

    fn records(&self) -> Vec<&str> {
        let records = self.drafts().into_iter().filter_map(|draft| match &draft.body {
            Body::Record(json) => Some(json.as_str()),
            _ => None,
        });
        records.collect()
    }

    fn gaps(&self) -> Vec<(Lane, GapCause, i64)> {
        let gaps = self.drafts().into_iter().filter_map(|draft| match &draft.body {
            Body::Gap(gap) => Some((draft.lane, gap.cause, (gap.to.0 - gap.from.0) / 1000)),
            _ => None,
        });
        gaps.collect()
    }

    fn announces(&self) -> usize {
        self.out.iter().filter(|output| matches!(output, Output::Uplink(UplinkRequest::Announce(_)))).count()
    }
}

fn hr(value: i64) -> Numeric {
    Numeric {
        code: Code(147_842),
        site: Site::Unspecified,
        value: Some(Decimal::new(value, 0)),
        ucum: "{beats}/min",
        quality: Quality::GOOD,
        kind: Kind::Measurement,
        pace: Pace::Continuous,
        device_at: None,
        lag: Duration::ZERO,
    }
}

fn wave(begin: Mono, samples: Vec<i32>) -> Event {
    Event::Waveform(Waveform {
        code: Code(131_330),
        site: Site::Unspecified,
        samples,
        period_us: 4_000,
        gain: 0.005,
        offset: 0.0,
        ucum: "mV",
        quality: Quality::GOOD,
        begin,
        device_at: None,
    })
}

#[test]
fn numerics_and_waveforms_of_one_loss_window_are_one_block_a_lane() {
    let mut scene = Scene::new();
    for quarter in 0..4 {
        scene.event(Event::Numeric(hr(120 + quarter)));
        scene.event(wave(scene.now.mono, vec![quarter as i32; 62]));
        scene.pass(248);
    }
    assert!(scene.drafts().is_empty(), "nothing is written before the window ends");
    scene.pass(10);
    let drafts = scene.drafts();
    let [numerics, waveforms] = drafts.as_slice() else { panic!("{drafts:?}") };
    let Body::Numerics(samples) = &numerics.body else { panic!("{numerics:?}") };
    assert_eq!(samples.iter().map(|sample| sample.at_us).collect::<Vec<_>>(), [0, 248_000, 496_000, 744_000]);
    assert_eq!((numerics.lane, numerics.begin, numerics.span_us), (Lane::Numeric, START, 1_000_000));
    let Body::Waveforms(stretches) = &waveforms.body else { panic!("{waveforms:?}") };
    assert_eq!(stretches.len(), 1, "contiguous runs are one stretch");
    assert_eq!(stretches[0].samples.len(), 248);
}

#[test]
fn a_hole_between_two_runs_stays_a_hole() {
    let mut scene = Scene::new();
    scene.event(wave(START.mono, vec![1; 10]));
    scene.event(wave(START.mono + Duration::from_millis(48), vec![1; 10]));
    scene.pass(1_000);
    let Body::Waveforms(stretches) = &scene.drafts()[0].body else { panic!() };
    assert_eq!(stretches.iter().map(|stretch| stretch.at_us).collect::<Vec<_>>(), [0, 48_000]);
}

#[test]
fn an_alarm_is_announced_before_it_is_written_and_the_state_every_second() {
    let mut scene = Scene::new();
    scene.event(Event::Numeric(hr(60)));
    let kinds: Vec<_> =
        scene.out.iter().map(|output| matches!(output, Output::Uplink(UplinkRequest::Announce(_)))).collect();
    assert_eq!(
        kinds,
        [true, false, false],
        "announce, then the record, then what a restart needs: {:?}",
        scene.out
    );
    scene.pass(3_000);
    // Once at onset, each second, and once at its activation.
    assert!(scene.announces() >= 4, "{}", scene.announces());
    scene.event(Event::Numeric(hr(130)));
    let Some(Output::Uplink(UplinkRequest::Announce(last))) =
        scene.out.iter().rfind(|output| matches!(output, Output::Uplink(UplinkRequest::Announce(_))))
    else {
        panic!()
    };
    assert!(last.alarms[0].ended_us.is_some(), "the end is told at once");
    scene.out.clear();
    scene.pass(5_000);
    assert_eq!(scene.announces(), 5, "the bed is alive, and nothing is open");
}

#[test]
fn h1_an_implausible_value_is_flagged_kept_and_alarms() {
    let mut scene = Scene::new();
    scene.event(Event::Numeric(hr(0)));
    scene.pass(1_000);
    let drafts = scene.drafts();
    let samples = drafts.iter().find_map(|draft| match &draft.body {
        Body::Numerics(samples) => Some(samples),
        _ => None,
    });
    let sample = &samples.unwrap()[0];
    assert_eq!(sample.value, Some(Decimal::new(0, 0)));
    assert!(sample.quality.has(Quality::IMPLAUSIBLE));
    assert!(scene.records()[0].contains("HR 0 < 80"));
}

#[test]
fn a_checkpoint_writes_everything_at_once_and_comes_back_to_its_link() {
    let mut scene = Scene::new();
    scene.event(Event::Numeric(hr(120)));
    scene.event(Event::Checkpoint(StoreToken(9)));
    let Some(Output::Store(request)) = scene.out.last() else { panic!("{:?}", scene.out) };
    assert_eq!((request.drafts.len(), request.checkpoints.as_slice()), (1, &[(0, StoreToken(9))][..]));
    scene.handle(Input::Notice(BedNotice::Stored(vec![(0, StoreToken(9))])));
    assert!(matches!(scene.out.last(), Some(Output::Stored(0, StoreToken(9)))));
}

#[test]
fn every_gap_has_its_cause_and_its_ends() {
    let mut scene = Scene::new();
    scene.event(wave(scene.now.mono, vec![0; 10]));
    scene.pass(5_000);
    scene.state(LinkState::Silent, 4_000);
    scene.pass(1_000);
    scene.state(LinkState::Opening, 5_000);
    scene.pass(1_000);
    scene.state(LinkState::Live, 0);
    let silent = GapCause::DeviceSilent;
    assert_eq!(scene.gaps(), [(Lane::Numeric, silent, 6_000), (Lane::Waveform, silent, 6_000)]);
    scene.out.clear();
    scene.state(LinkState::WrongDevice, 0);
    scene.pass(3_000);
    scene.handle(Input::Close);
    assert!(scene.gaps().contains(&(Lane::Numeric, GapCause::WrongDevice, 3_000)), "{:?}", scene.gaps());
}

#[test]
fn bytes_that_cannot_be_read_are_a_gap_of_the_link_that_brought_them() {
    let mut scene = Scene::new();
    let malformed = || Event::Malformed { reason: Malformed::Checksum, bytes: 40 };
    scene.event(Event::Numeric(hr(120)));
    for _ in 0..3 {
        scene.pass(1_000);
        scene.event(malformed());
    }
    scene.pass(1_000);
    scene.event(Event::Numeric(hr(121)));
    assert_eq!(scene.gaps(), [], "more of it may follow");
    scene.pass(2_000);
    assert_eq!(scene.gaps(), [(Lane::Numeric, GapCause::Undecodable, 3_000)]);
    let gap = scene.drafts().into_iter().find_map(|draft| match &draft.body {
        Body::Gap(gap) => Some((gap.link, gap.count)),
        _ => None,
    });
    assert_eq!(gap, Some((Some(0), Some(3))));
}

#[test]
fn every_entry_is_read_withheld_held_lost_or_stored() {
    let mut scene = Scene::new();
    for n in 0..10 {
        scene.event(Event::Numeric(hr(120 + n)));
        scene.event(wave(scene.now.mono, vec![0; 25]));
        scene.pass(300);
    }
    let handed: u64 = scene.drafts().into_iter().map(Draft::entries).sum();
    let said =
        OutboxStatus { entries: Entries { stored: handed, ..Entries::default() }, ..OutboxStatus::default() };
    scene.handle(Input::Notice(BedNotice::Outbox(said)));
    let entries = scene.bed.snapshot(scene.now).outbox.entries;
    assert_eq!(entries.stored, handed);
    assert!(entries.read >= 260, "ten values and their samples, and what the bed wrote itself");
    assert_eq!(entries.read, entries.withheld + entries.held + entries.lost + entries.stored);
    assert!(entries.held < 26 * 4, "only what the open window holds: {entries:?}");
}

#[test]
fn acknowledgements_that_nobody_asked_for_are_in_the_snapshot() {
    let mut scene = Scene::new();
    assert_eq!(scene.bed.snapshot(scene.now).strangers, 0);
    scene.handle(Input::Notice(BedNotice::Strangers(3)));
    assert_eq!(scene.bed.snapshot(scene.now).strangers, 3);
}

#[test]
fn a_gap_that_lasts_is_told_while_it_lasts() {
    let mut scene = Scene::new();
    for _ in 0..130 {
        scene.state(LinkState::Down, 0);
        scene.pass(1_000);
    }
    assert_eq!(scene.gaps().iter().map(|gap| gap.2).collect::<Vec<_>>(), [60_000, 60_000]);
}

#[test]
fn a_clock_set_forward_leaves_a_gap_of_dates_and_a_record_with_its_moment() {
    let mut scene = Scene::new();
    scene.now.wall = scene.now.wall + Duration::from_secs(3_600);
    scene.pass(2_000);
    assert_eq!(
        scene.gaps(),
        [(Lane::Numeric, GapCause::ClockStep, 3_600_000), (Lane::Waveform, GapCause::ClockStep, 3_600_000)]
    );
    let step = scene.records().into_iter().find(|json| json.contains("clock-step")).unwrap();
    assert!(step.contains("was set forward by 1 h 0 min") && step.contains("\"was_unset\":false"), "{step}");
}

#[test]
fn a_clock_set_back_shows_dates_twice_and_leaves_no_gap() {
    let mut scene = Scene::new();
    scene.event(Event::Numeric(hr(120)));
    scene.pass(1_000);
    scene.now.wall = scene.now.wall - Duration::from_secs(3_600);
    scene.event(Event::Numeric(hr(121)));
    scene.pass(2_000);
    assert!(scene.gaps().is_empty());
    let step: serde_json::Value =
        serde_json::from_str(scene.records().into_iter().find(|json| json.contains("clock-step")).unwrap())
            .unwrap();
    assert_eq!(step["before_us"].as_i64().unwrap() - step["after_us"].as_i64().unwrap(), 3_600_000_000);
    let begins: Vec<Now> =
        scene.drafts().iter().filter(|draft| draft.is_streaming()).map(|draft| draft.begin).collect();
    assert!(begins[0].mono < begins[1].mono && begins[0].wall > begins[1].wall, "{begins:?}");
}

#[test]
fn a_gap_that_is_open_when_the_clock_is_set_is_dated_by_both_clocks() {
    for hour in [3_600_i64, -3_600] {
        let mut scene = Scene::new();
        scene.state(LinkState::Down, 0);
        scene.pass(10_000);
        scene.now.wall = Wall(scene.now.wall.0 + hour * 1_000_000);
        scene.pass(10_000);
        scene.state(LinkState::Live, 0);
        let cable: Vec<i64> =
            scene.gaps().iter().filter(|gap| gap.1 == GapCause::CableOut).map(|gap| gap.2).collect();
        assert_eq!(cable.iter().sum::<i64>() / 1_000, 20, "{cable:?}");
        assert!(cable.iter().all(|length| (0..=20_000).contains(length)), "{cable:?}");
    }
}

#[test]
fn s10_a_clock_that_is_set_after_the_start_says_how_to_date_what_came_before_it() {
    let mut scene = Scene::new();
    scene.handle(Input::ClockIsSet(false));
    scene.pass(30_000);
    assert!(
        scene.bed.snapshot(scene.now).alarms.iter().all(|alarm| alarm.active_us.is_none()),
        "it may be set yet"
    );
    scene.pass(40_000);
    let alarms = scene.bed.snapshot(scene.now).alarms;
    assert_eq!((alarms[0].rule.as_str(), alarms[0].active_us.is_some()), ("clock", true));
    assert_eq!(alarms[0].text, "CLOCK not set on this gateway, dates are guessed");
    // It was off for two hours; the network sets the clock, and the shell says so a moment later.
    scene.out.clear();
    scene.now.wall = scene.now.wall + Duration::from_secs(7_200);
    scene.pass(10);
    scene.handle(Input::ClockIsSet(true));
    assert!(scene.bed.snapshot(scene.now).alarms.is_empty());
    let step = scene.records().into_iter().find(|json| json.contains("clock-step")).unwrap();
    assert!(step.contains("\"was_unset\":true"), "{step}");
    let gap = scene.drafts().into_iter().find_map(|draft| match &draft.body {
        Body::Gap(gap) => Some(gap.clone()),
        _ => None,
    });
    // What is missing ends where this life of the agent truly began.
    let gap = gap.unwrap();
    assert_eq!(gap.from, START.wall);
    assert_eq!(gap.to.0 - gap.from.0, 7_200_000_000);
}

#[test]
fn s10_a_clock_that_leaves_the_hubs_is_an_alarm_at_the_bed() {
    let mut scene = Scene::new();
    let hub = |ahead: i64| {
        let ground = START.wall.0 - START.mono.0 as i64;
        Input::Notice(BedNotice::HubTime(HubTime {
            ahead_us: ground - ahead * 1_000_000,
            uncertainty_us: 200_000,
        }))
    };
    scene.handle(hub(3));
    scene.pass(120_000);
    let snapshot = scene.bed.snapshot(scene.now);
    assert!(snapshot.alarms.is_empty() && snapshot.clock.ahead_of_hub_us == Some(3_000_000));
    scene.handle(hub(45));
    scene.pass(61_000);
    let alarms = scene.bed.snapshot(scene.now).alarms;
    assert_eq!(alarms[0].text, "CLOCK of this gateway is 45 s ahead of the hub's");
    assert!(alarms[0].active_us.is_some());
    // Set right: the alarm ends with the step itself, before the hub has said anything.
    scene.now.wall = scene.now.wall - Duration::from_secs(45);
    scene.pass(10);
    scene.handle(Input::Timeout);
    assert!(scene.bed.snapshot(scene.now).alarms.is_empty());
    scene.handle(Input::Notice(BedNotice::ClockRefuses(Some("says 2036".into()))));
    scene.pass(61_000);
    assert_eq!(scene.bed.snapshot(scene.now).alarms[0].text, "CLOCK: says 2036");
}

#[test]
fn h13_demonstration_never_shares_a_block_with_measurements() {
    let mut scene = Scene::new();
    scene.event(Event::Numeric(Numeric { quality: Quality::DEMO, ..hr(140) }));
    scene.event(Event::Numeric(hr(120)));
    scene.pass(1_000);
    let blocks: Vec<_> =
        scene.drafts().iter().filter(|draft| draft.is_streaming()).map(|draft| draft.provenance).collect();
    assert_eq!(blocks, [Provenance::Live, Provenance::DeviceDemo]);
}

#[test]
fn an_alert_said_twice_is_recorded_once() {
    let mut scene = Scene::new();
    let alert = Alert {
        code: 3,
        source: None,
        priority: Priority::Low,
        text: "LEAD OFF".into(),
        phase: AlertPhase::Present,
        technical: true,
    };
    for phase in [AlertPhase::Present, AlertPhase::Present, AlertPhase::Ended, AlertPhase::Present] {
        scene.event(Event::Alert(Alert { phase, ..alert.clone() }));
    }
    let records = scene.records().into_iter();
    assert_eq!(records.filter(|record| record.contains(r#""type":"alert""#)).count(), 3);
}

#[test]
fn a_patients_identifier_leaves_in_no_record() {
    let mut scene = Scene::new();
    let identity = Identity {
        serial: "5".into(),
        patient: Some(Private::new("SECRET-77".into())),
        ..Identity::default()
    };
    scene.event(Event::Identified(identity));
    assert!(scene.records()[0].contains("\"serial\":\"5\""));
    assert!(!format!("{:?}", scene.out).contains("SECRET-77"));
}

#[test]
fn h2_devices_that_name_different_patients_alarm_and_the_later_one_is_not_attributed() {
    let mut scene = Scene::with_links(&["monitor", "ventilator"]);
    let names = |patient: &str| {
        let patient = Some(Private::new(patient.into()));
        News::Event(Event::Identified(Identity { patient, ..Identity::default() }))
    };
    for (link, patient) in [(0, "SECRET-77"), (1, "SECRET-88")] {
        scene.hear(link, News::Opened);
        scene.state_of(link, LinkState::Live, 0);
        scene.hear(link, names(patient));
    }
    let words = "WRONG DEVICE? monitor: devices at this bed name different patients";
    let wrong = |scene: &Scene| -> Vec<(String, String)> {
        let alarms = scene.bed.snapshot(scene.now).alarms.into_iter();
        alarms.filter(|alarm| alarm.rule == "wrong-device").map(|alarm| (alarm.rule, alarm.text)).collect()
    };
    let both = wrong(&scene);
    assert_eq!(both.len(), 2, "{both:?}");
    assert!(words.starts_with(both[0].1.trim_end_matches('…')), "{both:?}");
    scene.out.clear();
    let heard = |scene: &mut Scene| {
        for link in [0, 1] {
            scene.hear(link, News::Event(Event::Numeric(hr(150 + i64::from(link)))));
            scene.hear(link, News::Event(Event::Checkpoint(StoreToken(1))));
        }
        let drafts = scene.drafts().into_iter();
        let links: Vec<u8> = drafts
            .filter_map(|draft| if let Body::Numerics(samples) = &draft.body { Some(samples) } else { None })
            .flat_map(|samples| samples.iter().map(|sample| sample.channel.link))
            .collect();
        let acknowledged = scene.out.iter().filter_map(|output| match output {
            Output::Store(request) => Some(request.checkpoints.iter().map(|(link, _)| *link)),
            _ => None,
        });
        let acknowledged: Vec<u8> = acknowledged.flatten().collect();
        assert_eq!(links, acknowledged);
        links
    };
    assert_eq!(heard(&mut scene), [0]);
    scene.pass(2_000);
    scene.state_of(1, LinkState::Live, 0);
    assert_eq!(wrong(&scene).len(), 2, "a link that says it is live says nothing of its patient");
    scene.out.clear();
    scene.hear(1, names("SECRET-77"));
    assert!(wrong(&scene).is_empty());
    assert!(
        scene.gaps().iter().any(|(_, cause, millis)| (*cause, *millis) == (GapCause::WrongDevice, 2_000)),
        "the ventilator has a gap with its reason, the monitor none: {:?}",
        scene.gaps()
    );
    assert_eq!(heard(&mut scene), [0, 1]);
    scene.hear(0, names("SECRET-99"));
    assert_eq!(wrong(&scene).len(), 2, "another patient within the conversation");
    scene.state_of(0, LinkState::Down, 0);
    assert!(wrong(&scene).is_empty(), "the one is gone");
    let all = format!("{:?} {:?}", scene.out, scene.bed.snapshot(scene.now));
    assert!(!all.contains("SECRET"), "{all}");
}

#[test]
fn the_snapshot_shows_age_and_which_channel_counts() {
    let mut scene = Scene::new();
    scene.event(Event::Numeric(Numeric { lag: Duration::from_secs(3), ..hr(120) }));
    scene.pass(500);
    let snapshot = scene.bed.snapshot(scene.now);
    let value = &snapshot.values[0];
    assert_eq!((value.value.as_deref(), value.age_ms, value.preferred), (Some("120"), 3_000, true));
    assert_eq!(snapshot.links[0].status.state, LinkState::Live);
}

/// The device's clock, `ahead` seconds of the truth, looked at every ten seconds.
fn clock_looks(scene: &mut Scene, ahead: i64, count: u32) {
    for _ in 0..count {
        scene.pass(10_000);
        scene.event(Event::DeviceTime(DeviceTime {
            at: Wall(START.wall.0 + (scene.now.mono.0 - START.mono.0) as i64 + ahead * 1_000_000),
            zone: Zone::Stated(0),
            resolution: Duration::from_secs(1),
            received: scene.now.mono,
        }));
    }
}

#[test]
fn a_device_clock_that_is_minutes_off_is_recorded_and_advised_once() {
    let mut scene = Scene::new();
    clock_looks(&mut scene, 420, 30);
    let clocks =
        |scene: &Scene| scene.records().iter().filter(|json| json.contains("device-clock\",\"link")).count();
    assert_eq!(clocks(&scene), 1);
    let alarms = scene.bed.snapshot(scene.now).alarms;
    assert_eq!((alarms.len(), alarms[0].rule.as_str(), alarms[0].version), (1, "device-clock", 1));
    assert_eq!(alarms[0].text, "monitor: its clock is 7 min 1 s fast");
    assert_eq!(alarms[0].priority, cotside_protocol::wire::upstream::Priority::Advisory);
    // Somebody sets it: the step is on record, and the advice ends.
    scene.out.clear();
    clock_looks(&mut scene, 0, 6);
    assert_eq!(clocks(&scene), 1);
    assert!(scene.records().iter().any(|json| json.contains("\"detail\":\"set back by 7 min 0 s; ")));
    assert!(scene.bed.snapshot(scene.now).alarms.is_empty());
}

#[test]
fn a_step_of_the_gateways_clock_is_no_step_of_a_device() {
    let mut scene = Scene::new();
    clock_looks(&mut scene, 0, 6);
    scene.now.wall.0 += 90 * 1_000_000;
    clock_looks(&mut scene, 0, 6);
    let stepped = scene.records().iter().any(|json| json.contains("step_us"));
    assert!(!stepped && scene.bed.snapshot(scene.now).alarms.is_empty());
    let clock = scene.bed.snapshot(scene.now).links[0].status.clock.unwrap();
    assert!((clock.offset_us + 90_000_000).abs() <= clock.uncertainty_us, "{clock:?}");
}

#[test]
fn another_device_on_the_same_link_has_another_clock() {
    let mut scene = Scene::new();
    clock_looks(&mut scene, 0, 6);
    scene.event(Event::Identified(Identity { serial: "DE2".into(), ..Identity::default() }));
    clock_looks(&mut scene, -50, 6);
    assert!(!scene.records().iter().any(|json| json.contains("step_us")));
}

#[test]
fn a_gap_that_was_open_when_the_agent_died_is_written_by_its_next_life() {
    let mut scene = Scene::new();
    scene.pass(5_000);
    scene.state(LinkState::Down, 1_000);
    let kept = scene.out.iter().find_map(|output| match output {
        Output::Keep(Keep::Gaps, text) => Some(text.clone()),
        _ => None,
    });
    let directory = std::env::temp_dir().join(format!("cotside-kept-gaps-{}", std::process::id()));
    super::keep(&directory, Keep::Gaps, &kept.unwrap()).unwrap();
    // Nobody wrote the gap before the power failed; the log knows of a moment 20 s into it.
    let (down, alive) = (scene.now.wall - Duration::from_secs(1), scene.now.wall + Duration::from_secs(20));
    let kept = Kept::read(&directory, Some(alive));
    std::fs::remove_dir_all(&directory).unwrap();
    let unwritten: Vec<_> = kept.unwritten().map(|gap| (gap.cause, gap.link, gap.from, gap.to)).collect();
    assert_eq!(unwritten, [(GapCause::CableOut, Some(0), down, alive)]);
    // The device is heard again: nothing is kept open.
    scene.out.clear();
    scene.state(LinkState::Live, 0);
    assert!(
        scene.out.iter().any(|output| matches!(output, Output::Keep(Keep::Gaps, text) if text.is_empty()))
    );
}
