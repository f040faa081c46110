//! What must hold whatever is heard, said and done at a bed, in any order: no alarm is lost, none sounds without a cause, each can
//! be acknowledged as it stands, every pause ends.

use super::scenarios::scene::{START, engine, numeric, watch};
use super::{Act, Engine, Input, LinkCondition};
use cotside_protocol::model::{
    Alarm, Alert, AlertPhase, Code, Condition, Decimal, DeviceText, EpisodeId, Inactivation, LimitSet, Now,
    Priority, Quality, Wall,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug)]
enum Step {
    Value(usize, &'static str, u8),
    /// Any number that can be written at all.
    Strange(usize, i64, i8, u16),
    Alert(u8, bool, bool),
    Link(u8, LinkCondition),
    Words(u8, bool),
    Set(usize),
    Do(usize, u8, u16),
    TurnOver,
    Restart(u64),
    Pass(u64),
    /// Without asking what was due meanwhile, as after a long stall.
    Leap(u64),
    Back(u64),
    Wall(i64),
}

const LABELS: [&str; 7] = ["hr", "spo2", "rr", "etco2", "nibp", "spo2#2", "hr#1"];
const SETS: [&[&str]; 4] = [
    &[],
    &["hr low 80 after 0s high latching", "spo2 low 85 after 10s high hysteresis 2"],
    &[
        "hr low 100 after 5s medium",
        "hr low 60 after 0s high extreme",
        "spo2 low 85 after 10s medium depth 15 after 1s",
        "rate spo2 falls 15 within 60s medium",
        "apnoea after 20s accompanied 10s high",
        "combined hr 80 for 4s spo2 80 for 10s window 30s medium",
    ],
    &["hr low 80 after 3s high", "hr high 200 after 3s medium", "apnoea after 20s accompanied 10s high"],
];

fn set(at: usize) -> LimitSet {
    let mut set = LimitSet::default();
    SETS[at].iter().for_each(|row| watch(&mut set, row));
    set
}

fn step() -> impl Strategy<Value = Step> {
    let values = prop::sample::select(vec![
        "0", "1", "55", "70", "84", "90", "130", "230", "--", "60!", "60s", "60a", "60t", "60e", "60d",
        "60l", "60k",
    ]);
    let conditions = prop::sample::select(vec![
        LinkCondition::Settling,
        LinkCondition::Live,
        LinkCondition::Down,
        LinkCondition::Silent,
        LinkCondition::WrongDevice,
        LinkCondition::Disputed,
    ]);
    prop_oneof![
        12 => (0..LABELS.len(), values, 0..2u8).prop_map(|(label, value, link)| Step::Value(label, value, link)),
        1 => (0..LABELS.len(), any::<i64>(), any::<i8>(), any::<u16>())
            .prop_map(|(label, mantissa, exponent, marks)| Step::Strange(label, mantissa, exponent, marks)),
        2 => (0..3u8, any::<bool>(), any::<bool>()).prop_map(|(which, on, technical)| Step::Alert(which, on, technical)),
        2 => (0..3u8, conditions).prop_map(|(link, condition)| Step::Link(link, condition)),
        1 => (0..6u8, any::<bool>()).prop_map(|(which, wrong)| Step::Words(which, wrong)),
        1 => (0..SETS.len()).prop_map(Step::Set),
        5 => (0..8usize, 0..8u8, 0..200u16).prop_map(|(what, which, span)| Step::Do(what, which, span)),
        1 => Just(Step::TurnOver),
        1 => (0..400u64).prop_map(Step::Restart),
        8 => (0..30_000u64).prop_map(Step::Pass),
        1 => (0..400_000u64).prop_map(Step::Leap),
        1 => (0..300_000u64).prop_map(Step::Back),
        1 => (-4_000_000_000..4_000_000_000i64).prop_map(Step::Wall),
    ]
}

struct Walk {
    engine: Engine,
    set: LimitSet,
    now: Now,
    boot: u32,
    /// As a hub would know it that missed nothing.
    known: BTreeMap<EpisodeId, Alarm>,
    versions: BTreeMap<EpisodeId, u32>,
}

impl Walk {
    fn new(at: usize) -> Self {
        let set = set(at);
        let (known, versions) = (BTreeMap::new(), BTreeMap::new());
        let mut walk = Self { engine: engine(&set, 0, START), set, now: START, boot: 0, known, versions };
        walk.known.extend(walk.engine.open().map(|alarm| (alarm.episode, alarm)));
        walk
    }

    fn take(&mut self, step: &Step) {
        let words = |wrong: bool| wrong.then_some("something is wrong");
        match step {
            Step::Value(label, value, link) => {
                let numeric = numeric(LABELS[*label], value);
                self.tell(Input::Numeric { link: *link, numeric: &numeric });
            }
            Step::Strange(label, mantissa, exponent, marks) => {
                let mut numeric = numeric(LABELS[*label], "1");
                numeric.value = Some(Decimal::new(*mantissa, *exponent));
                numeric.quality = Quality(*marks);
                self.tell(Input::Numeric { link: 0, numeric: &numeric });
            }
            Step::Alert(which, on, technical) => {
                let alert = Alert {
                    code: u32::from(*which),
                    source: None,
                    priority: [Priority::Low, Priority::Medium, Priority::High][usize::from(*which)],
                    text: ["PLEASE CHECK", "HR HIGH", "APNEA"][usize::from(*which)].into(),
                    phase: if *on { AlertPhase::Present } else { AlertPhase::Ended },
                    technical: *technical,
                };
                self.tell(Input::Alert { link: 0, alert: &alert });
            }
            Step::Link(link, condition) => {
                self.tell(Input::Link { link: *link, condition: *condition, words: "as it is" });
            }
            Step::Words(which, wrong) => self.tell(match which {
                0 => Input::Clock(words(*wrong)),
                1 => Input::Store(words(*wrong)),
                2 => Input::Hub(words(*wrong).map_or(Ok(()), Err)),
                3 => Input::LimitsRefused(words(*wrong)),
                4 => Input::LimitsReset(*wrong),
                _ => Input::Undelivered(words(*wrong)),
            }),
            Step::Set(at) => {
                self.set = set(*at);
                let set = self.set.clone();
                self.tell(Input::Limits(&set));
            }
            Step::Do(what, which, span) => self.act(*what, usize::from(*which), *span),
            Step::TurnOver => self.tell(Input::TurnOver),
            Step::Restart(seconds) => {
                let kept = self.engine.kept();
                self.now = self.now.after(Duration::from_secs(*seconds));
                self.boot += 1;
                self.engine = engine(&self.set, self.boot, self.now);
                self.engine.resume(self.now, &kept);
                // The first announce of a life is the whole state.
                self.known = self.engine.open().map(|alarm| (alarm.episode, alarm)).collect();
                self.drain();
            }
            Step::Pass(millis) => self.pass(Duration::from_millis(*millis)),
            Step::Leap(millis) => {
                self.now = self.now.after(Duration::from_millis(*millis));
                self.tell(Input::Timeout);
            }
            Step::Back(millis) => {
                self.now.mono.0 = self.now.mono.0.saturating_sub(millis * 1_000);
                self.tell(Input::Timeout);
            }
            Step::Wall(millis) => self.now.wall = Wall(self.now.wall.0 + millis * 1_000),
        }
    }

    fn tell(&mut self, input: Input<'_>) {
        self.engine.handle(self.now, input);
        self.drain();
    }

    fn act(&mut self, what: usize, which: usize, span: u16) {
        let open: Vec<Alarm> = self.engine.open().collect();
        let (episode, version) =
            open.get(which).map_or((EpisodeId(7), 1), |alarm| (alarm.episode, alarm.version));
        let span = Duration::from_secs(u64::from(span));
        let act = match what {
            0 | 1 => Act::Acknowledge { episode, version },
            2 => Act::Reset { episode, version },
            3 => Act::PauseAudio(span),
            4 => Act::EndPause,
            5 => Act::Standby(span, "procedure".into()),
            6 => Act::EndStandby,
            _ => Act::AcceptLimits,
        };
        let _ = self.engine.act(self.now, &"Ada".into(), &act);
        self.drain();
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now.after(span);
        while let Some(due) = self.engine.deadline(self.now.mono).filter(|due| *due <= end.mono) {
            self.now = self.now.after(due.since(self.now.mono).max(Duration::from_micros(1)));
            self.tell(Input::Timeout);
        }
        self.now = end;
        self.tell(Input::Timeout);
    }

    fn drain(&mut self) {
        while let Some(alarm) = self.engine.poll() {
            let before = self.versions.insert(alarm.episode, alarm.version).unwrap_or(0);
            assert!(alarm.version > before, "each state has a version of its own: {alarm:?}");
            assert!((1..=alarm.version).contains(&alarm.attention), "{alarm:?}");
            assert_eq!(alarm.ended.is_some(), alarm.condition == Condition::Inactive);
            if alarm.ended.is_some() {
                self.known.remove(&alarm.episode);
            } else {
                self.known.insert(alarm.episode, alarm);
            }
        }
        self.check();
    }

    fn check(&self) {
        let open: BTreeMap<_, _> = self.engine.open().map(|alarm| (alarm.episode, alarm)).collect();
        assert_eq!(open, self.known, "who hears every change knows every state");
        for alarm in open.values() {
            if let (Some(value), Some(limit)) = (alarm.value, alarm.limit) {
                let (value, limit) = (value.to_f64(), limit.to_f64());
                assert!(alarm.rule != "limit-low" || value < limit, "no cause: {alarm:?}");
                assert!(alarm.rule != "limit-high" || value > limit, "no cause: {alarm:?}");
            }
            if let Inactivation::AudioPaused { until, .. } = alarm.inactivation {
                let pause = self.engine.pause().filter(|pause| alarm.priority <= pause.up_to);
                let ends =
                    [pause.map(|pause| pause.until), self.engine.standby().map(|standby| standby.until)];
                assert!(ends.contains(&Some(until)), "silent without a pause: {alarm:?}");
            }
        }
    }

    /// Whatever came before.
    fn finish(&mut self) {
        let ids: Vec<EpisodeId> = self.engine.open().map(|alarm| alarm.episode).collect();
        for id in ids {
            let Some(alarm) = self.engine.open().find(|alarm| alarm.episode == id) else { continue };
            let act = Act::Acknowledge { episode: id, version: alarm.version };
            assert_eq!(self.engine.act(self.now, &"Ada".into(), &act), Ok(()), "{alarm:?}");
            self.drain();
        }
        // Its own two minutes, and what a clock that went back was waited for.
        self.pass(Duration::from_secs(181));
        assert!(self.engine.pause().is_none(), "a pause ends");
        self.pass(Duration::from_secs(80));
        assert!(self.engine.standby().is_none_or(|standby| standby.until.0 > 0), "standby has an end");
        // A bradycardia that lasts alarms.
        self.set = set(3);
        let set = self.set.clone();
        self.tell(Input::Limits(&set));
        self.tell(Input::Link { link: 0, condition: LinkCondition::Live, words: "" });
        for _ in 0..5 {
            self.pass(Duration::from_secs(1));
            let numeric = numeric("hr", "30");
            self.tell(Input::Numeric { link: 0, numeric: &numeric });
            self.tell(Input::Numeric { link: 1, numeric: &numeric });
        }
        let is_brady = |alarm: &Alarm| alarm.rule == "limit-low" && alarm.code == Some(Code(147_842));
        let brady = self.engine.open().find(|alarm| is_brady(alarm) && alarm.condition == Condition::Active);
        assert!(brady.is_some(), "lost");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_no_alarm_is_lost_none_is_without_cause_and_each_can_be_acknowledged(
        at in 0..SETS.len(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut walk = Walk::new(at);
        steps.iter().for_each(|step| walk.take(step));
        walk.finish();
    }

    #[test]
    fn what_was_kept_is_read_back_as_it_was(at in 0..SETS.len(), steps in prop::collection::vec(step(), 1..60)) {
        let mut walk = Walk::new(at);
        steps.iter().for_each(|step| walk.take(step));
        let kept = walk.engine.kept();
        let mut next = engine(&walk.set, 77, walk.now);
        next.resume(walk.now, &kept);
        let names = |alarms: Vec<Alarm>| {
            let shown = alarms.into_iter().filter(|alarm| alarm.active_at.is_some());
            let patients = shown.filter(|alarm| alarm.kind == cotside_protocol::model::AlarmKind::Physiological);
            patients.map(|alarm| (alarm.episode, alarm.rule, alarm.priority, alarm.condition)).collect::<Vec<_>>()
        };
        prop_assert_eq!(names(next.open().collect()), names(walk.engine.open().collect()));
    }

    #[test]
    fn lines_that_were_never_kept_do_no_harm(text in "(pause|standby|episode|limits-reset|[ -~\t\n]){0,12}", cut in 0..2_000usize) {
        let mut walk = Walk::new(2);
        for label in ["hr", "spo2"] {
            let numeric = numeric(label, "50");
            walk.tell(Input::Numeric { link: 0, numeric: &numeric });
        }
        walk.pass(Duration::from_secs(2));
        let mut kept = walk.engine.kept();
        kept.truncate(cut.min(kept.len()));
        let mut next = engine(&walk.set, 77, walk.now);
        next.resume(walk.now, &(kept + &text));
        next.handle(walk.now, Input::Timeout);
    }
}

#[test]
fn of_a_thousand_alarms_at_once_each_is_told_once_and_can_be_acknowledged() {
    let mut set = LimitSet::default();
    let labels = ["hr", "spo2", "etco2", "nibp"];
    labels.iter().for_each(|label| watch(&mut set, &format!("{label} low 85 after 5s high")));
    let mut engine = engine(&set, 0, START);
    for label in labels {
        for site in 1..=250 {
            let numeric = numeric(&format!("{label}#{site}"), "20");
            engine.handle(START, Input::Numeric { link: 0, numeric: &numeric });
        }
    }
    let told = |engine: &mut Engine| std::iter::from_fn(|| engine.poll()).collect::<Vec<Alarm>>();
    assert_eq!(told(&mut engine).len(), 1_000, "all begin to wait");
    let later = START.after(Duration::from_secs(5));
    engine.handle(later, Input::Timeout);
    let active = told(&mut engine);
    assert!(active.iter().all(|alarm| alarm.condition == Condition::Active));
    assert_eq!(active.iter().filter(|alarm| alarm.rule == "limit-low").count(), 1_000);
    assert_eq!(active.iter().filter(|alarm| alarm.rule == "alarm-flood").count(), 1);
    for alarm in &active {
        let act = Act::Acknowledge { episode: alarm.episode, version: alarm.version };
        assert_eq!(engine.act(later, &DeviceText::new("Ada"), &act), Ok(()));
    }
    assert!(engine.open().all(|alarm| alarm.inactivation != Inactivation::Enabled));
}
