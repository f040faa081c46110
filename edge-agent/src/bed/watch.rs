//! Whether anybody watches this bed from afar, proved by its own beats: what a station has painted and sounded comes back by number.
//!
//! A lease is worth eight seconds from the moment at which the covered beat was drawn here, so no delay on the way can lengthen it, and no
//! clock but ours has a say. An alarm counts as delivered once a beat that carried it was covered (hazard H5).

use cotside_protocol::model::{Alarm, AlarmKind, Condition, DeviceText, EpisodeId, Inactivation, Mono};
use cotside_protocol::wire::downstream;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

const LEASE: Duration = Duration::from_millis(downstream::Watch::LEASE_MS);
const CONFIRMED_WITHIN: Duration = Duration::from_millis(downstream::Watch::CONFIRMED_WITHIN_MS);
/// Beats drawn within this time share one moment, the earliest: a flood of alarms costs no memory and lengthens no lease.
const MARK_EVERY: Duration = Duration::from_millis(100);
/// The alarm that says that nobody watches need reach nobody.
const OWN_RULE: &str = "hub-lost";
/// Said when a lease ends without a word.
const LAPSED: &str = "no station has shown this bed for 8 s";
const UNDELIVERED: &str = "no station has confirmed an alarm of this bed";

/// What holds at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Monitoring {
    /// A station covers this bed, and has every alarm.
    Held,
    /// In words why not, and whether an alarm of the patient has reached nobody.
    Missing { words: String, is_urgent: bool },
}

#[derive(Clone, Debug)]
pub(super) struct Watching {
    /// First beat of each stretch of [`MARK_EVERY`], and when it was drawn; as far back as a lease reaches.
    marks: VecDeque<(u64, Mono)>,
    newest: u64,
    held_until: Mono,
    /// The hub's words, as long as it says that nobody watches.
    revoked: Option<DeviceText>,
    /// Why the hub is not heard.
    away: Option<String>,
    alarms: BTreeMap<EpisodeId, Sent>,
}

/// An alarm that sounds, since it asked for attention last.
#[derive(Clone, Copy, Debug)]
struct Sent {
    attention: u32,
    beat: u64,
    at: Mono,
    is_physiological: bool,
    is_delivered: bool,
}

impl Sent {
    fn overdue_at(&self) -> Option<Mono> {
        (!self.is_delivered).then(|| self.at + CONFIRMED_WITHIN)
    }
}

impl Watching {
    /// A start has as long as a lease to find its hub.
    pub(super) fn new(now: Mono) -> Self {
        Self {
            marks: VecDeque::new(),
            newest: 0,
            held_until: now + LEASE,
            revoked: None,
            away: Some("the hub has not been heard yet".to_owned()),
            alarms: BTreeMap::new(),
        }
    }

    /// A beat goes out with every open alarm as it stands.
    pub(super) fn drew(&mut self, now: Mono, beat: u64, open: &[Alarm]) {
        self.newest = beat;
        if self.marks.back().is_none_or(|(_, at)| now.since(*at) >= MARK_EVERY) {
            self.marks.push_back((beat, now));
        }
        // One mark before the lease's reach stays: beats that follow it may be within.
        while self.marks.get(1).is_some_and(|(_, at)| now.since(*at) >= LEASE) {
            self.marks.pop_front();
        }
        self.alarms.retain(|episode, _| open.iter().any(|alarm| alarm.episode == *episode && calls(alarm)));
        for alarm in open.iter().filter(|alarm| calls(alarm)) {
            let sent = Sent {
                attention: alarm.attention,
                beat,
                at: now,
                is_physiological: alarm.kind == AlarmKind::Physiological,
                is_delivered: false,
            };
            let known = self.alarms.entry(alarm.episode).or_insert(sent);
            if known.attention != alarm.attention {
                *known = sent;
            }
        }
    }

    /// The hub says who watches. A beat that was never drawn proves nothing.
    pub(super) fn heard(&mut self, now: Mono, watch: &downstream::Watch) {
        let Some(beat) = watch.beat.filter(|beat| (1..=self.newest).contains(beat)) else {
            self.held_until = self.held_until.min(now);
            let words =
                if watch.beat.is_some() { "the hub names a beat that was never drawn" } else { &watch.why };
            let words = if words.is_empty() { "no station watches this bed" } else { words };
            self.revoked = Some(DeviceText::new(words));
            return;
        };
        self.revoked = None;
        // Older than every mark: its lease is over, whenever it was.
        let drawn_at = self.marks.iter().rfind(|(first, _)| *first <= beat).map(|(_, at)| *at);
        self.held_until = drawn_at.map_or(self.held_until.min(now), |at| at + LEASE);
        for sent in self.alarms.values_mut().filter(|sent| sent.beat <= beat) {
            sent.is_delivered = true;
        }
    }

    /// The hub is heard, or in words why not; a lease that runs goes on to its end.
    pub(super) fn hub(&mut self, state: Result<(), &str>) {
        self.away = state.err().map(str::to_owned);
    }

    pub(super) fn judge(&self, now: Mono) -> Monitoring {
        let undelivered =
            || self.alarms.values().filter(|sent| sent.overdue_at().is_some_and(|at| at <= now));
        let is_urgent = undelivered().any(|sent| sent.is_physiological);
        let lapsed = || self.away.clone().unwrap_or_else(|| LAPSED.to_owned());
        if self.held_until <= now {
            let words = self.revoked.as_ref().map_or_else(lapsed, ToString::to_string);
            Monitoring::Missing { words, is_urgent }
        } else if undelivered().next().is_some() {
            let words = self.away.clone().unwrap_or_else(|| UNDELIVERED.to_owned());
            Monitoring::Missing { words, is_urgent }
        } else {
            Monitoring::Held
        }
    }

    /// When the judgement changes if nothing is heard.
    pub(super) fn deadline(&self, now: Mono) -> Option<Mono> {
        let overdue = self.alarms.values().filter_map(Sent::overdue_at);
        overdue.chain([self.held_until]).filter(|at| *at > now).min()
    }
}

/// Whether it asks somebody to come, now.
fn calls(alarm: &Alarm) -> bool {
    matches!(alarm.condition, Condition::Active | Condition::Latched)
        && alarm.inactivation == Inactivation::Enabled
        && alarm.rule != OWN_RULE
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Monitoring, Watching};
    use cotside_protocol::model::{
        Alarm, AlarmKind, Condition, DeviceText, EpisodeId, Inactivation, Mono, Priority, Site, Wall,
    };
    use cotside_protocol::wire::downstream::Watch;
    use std::time::Duration;

    pub(in crate::bed) fn alarm(kind: AlarmKind, attention: u32) -> Alarm {
        Alarm {
            episode: EpisodeId(1),
            version: attention,
            attention,
            rule: "limit-low",
            kind,
            priority: Priority::High,
            condition: Condition::Active,
            inactivation: Inactivation::Enabled,
            code: None,
            site: Site::Unspecified,
            value: None,
            limit: None,
            ucum: "",
            text: DeviceText::new("SpO2 71 < 85"),
            parts: Vec::new(),
            link: None,
            delay: Duration::ZERO,
            limits: 0,
            onset_at: Wall(0),
            active_at: None,
            ended_at: None,
            ended: None,
        }
    }

    /// A bed that beats every second.
    struct Scene {
        watching: Watching,
        now: Mono,
        beat: u64,
        open: Vec<Alarm>,
    }

    impl Scene {
        fn new() -> Self {
            let now = Mono(5_000_000);
            Self { watching: Watching::new(now), now, beat: 0, open: Vec::new() }
        }

        fn beat(&mut self) -> u64 {
            self.beat += 1;
            self.watching.drew(self.now, self.beat, &self.open);
            self.beat
        }

        fn covered(&mut self, beat: u64) {
            let watch = Watch { epoch: String::new(), beat: Some(beat), why: String::new() };
            self.watching.heard(self.now, &watch);
        }

        fn revoked(&mut self, why: &str) {
            self.watching.heard(self.now, &Watch { why: why.into(), ..Watch::default() });
        }

        fn pass(&mut self, millis: u64) {
            self.now = self.now + Duration::from_millis(millis);
        }

        /// Beats that a station follows, each covered half a second after it was drawn.
        fn watched(&mut self, seconds: u64) {
            for _ in 0..seconds {
                let beat = self.beat();
                self.pass(500);
                self.covered(beat);
                self.pass(500);
            }
        }

        fn is_held(&self) -> bool {
            self.watching.judge(self.now) == Monitoring::Held
        }

        fn missing(&self) -> (String, bool) {
            match self.watching.judge(self.now) {
                Monitoring::Missing { words, is_urgent } => (words, is_urgent),
                Monitoring::Held => panic!("it is held"),
            }
        }
    }

    #[test]
    fn h5_a_lease_lasts_eight_seconds_from_the_drawing_of_the_covered_beat_however_late_the_word_comes() {
        let mut scene = Scene::new();
        scene.watching.hub(Ok(()));
        let first = scene.beat();
        for _ in 0..7 {
            scene.pass(1_000);
            scene.beat();
        }
        scene.covered(first);
        assert!(scene.is_held());
        scene.pass(900);
        assert!(scene.is_held(), "7.9 s after it was drawn");
        assert_eq!(scene.watching.deadline(scene.now), Some(scene.now + Duration::from_millis(100)));
        scene.pass(100);
        assert_eq!(scene.missing(), ("no station has shown this bed for 8 s".into(), false));
        scene.covered(first);
        assert!(!scene.is_held(), "the same word again is worth no more");
        let newest = scene.beat;
        scene.covered(newest);
        assert!(scene.is_held());
    }

    #[test]
    fn h5_losing_the_hub_is_said_within_eight_seconds_and_a_word_of_revocation_at_once() {
        let mut scene = Scene::new();
        scene.watching.hub(Ok(()));
        scene.watched(20);
        scene.watching.hub(Err("The connection broke."));
        let lost_at = scene.now;
        while scene.is_held() {
            scene.beat();
            scene.pass(100);
        }
        assert_eq!(scene.missing().0, "The connection broke.");
        assert!(scene.now.since(lost_at) <= Duration::from_secs(8), "{:?}", scene.now.since(lost_at));

        scene.watching.hub(Ok(()));
        scene.watched(3);
        assert!(scene.is_held());
        scene.revoked("station 2 was closed\u{1b}[31m");
        assert_eq!(scene.missing().0, "station 2 was closed[31m", "outside words are made harmless");
        scene.watched(1);
        assert!(scene.is_held());
    }

    #[test]
    fn h5_a_beat_that_was_never_drawn_or_is_long_past_proves_nothing() {
        let mut scene = Scene::new();
        scene.watching.hub(Ok(()));
        for _ in 0..30 {
            scene.beat();
            scene.pass(1_000);
        }
        for beat in [0, 1, 20, 31, u64::MAX] {
            scene.covered(beat);
            assert!(!scene.is_held(), "{beat}");
        }
        scene.covered(30);
        assert!(scene.is_held());
        scene.covered(31);
        assert!(!scene.is_held(), "who claims the future is not believed about the present");
    }

    #[test]
    fn h5_an_alarm_that_no_station_confirms_within_five_seconds_is_said_while_the_lease_holds() {
        let mut scene = Scene::new();
        scene.watching.hub(Ok(()));
        scene.watched(5);
        let before = scene.beat;
        scene.open = vec![alarm(AlarmKind::Physiological, 1)];
        let with_alarm = scene.beat();
        scene.pass(4_900);
        scene.covered(before);
        assert!(scene.is_held());
        scene.pass(100);
        assert_eq!(scene.missing(), ("no station has confirmed an alarm of this bed".into(), true));
        scene.covered(with_alarm);
        assert!(scene.is_held());
        scene.open = vec![alarm(AlarmKind::Physiological, 4)];
        scene.beat();
        scene.pass(5_000);
        scene.covered(with_alarm);
        assert!(scene.missing().1, "what asks for attention anew is confirmed anew");
        scene.open.clear();
        scene.beat();
        let newest = scene.beat;
        scene.covered(newest);
        assert!(scene.is_held(), "what is over need reach nobody");
    }

    #[test]
    fn h8_an_unconfirmed_technical_alarm_is_no_hurry_and_the_alarm_about_the_watch_does_not_feed_itself() {
        let mut scene = Scene::new();
        scene.watching.hub(Ok(()));
        scene.open = vec![Alarm { rule: "hub-lost", ..alarm(AlarmKind::Technical, 1) }];
        let first = scene.beat();
        scene.covered(first);
        scene.pass(5_500);
        assert!(scene.is_held());
        scene.open = vec![alarm(AlarmKind::Technical, 1)];
        scene.beat();
        scene.covered(first);
        scene.pass(5_000);
        assert!(!scene.missing().1);
    }

    #[test]
    fn a_flood_of_beats_costs_no_memory_and_lengthens_no_lease() {
        let mut scene = Scene::new();
        scene.watching.hub(Ok(()));
        for _ in 0..20_000 {
            scene.beat();
            scene.pass(1);
        }
        assert!(scene.watching.marks.len() <= 82, "{}", scene.watching.marks.len());
        let (drawn_at, beat) = (scene.now, scene.beat());
        scene.covered(beat);
        assert!(scene.watching.held_until <= drawn_at + Duration::from_secs(8));
        assert!(scene.watching.held_until > drawn_at + Duration::from_millis(7_890));
    }
}
