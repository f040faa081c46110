//! The clock of one device: how far it is from this gateway's, whether it was set, and what is said of it.
//!
//! It is held against the monotonic clock, so a step of the gateway's own wall clock is never taken for the device's. Of local time in an
//! unknown zone, the nearest offset that is anybody's counts as the zone and the rest as the error; a step of exactly an hour is summer time.

use cotside_protocol::model::{DeviceTime, Mono, Now, Wall, Zone};
use cotside_protocol::offset::{Offset, Shown};
use cotside_protocol::wire::upstream::{ClockState, ClockStatus, ClockZone};
use std::time::Duration;

/// No device at a bed was made for years before this one (2015-01-01): a clock that shows them was never set, whatever its zero.
const SET_SINCE: Wall = Wall(1_420_070_400_000_000);
/// Nor does one outlive its gateway's clock by more.
const FUTURE_US: i64 = 30 * 365 * 86_400 * S;
const S: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * S;
const HOUR_US: i64 = 60 * MINUTE_US;
const WESTMOST_H: i16 = -12;
const EASTMOST_H: i16 = 14;
/// Offsets from UTC in use that are no whole hours, in minutes, summer times included.
const BETWEEN_HOURS: [i16; 13] = [-570, -210, -150, 210, 270, 330, 345, 390, 525, 570, 630, 765, 825];
/// No local time is farther from the nearest zone's.
const ZONE_REACH_US: i64 = HOUR_US / 2;
/// The gateway's own clock was set by more: what was taken for a zone by it is looked at anew.
const GROUND_STEP_US: i64 = 15 * MINUTE_US;
/// A clock that is set to within this of some zone's time was set right, for that zone.
const SET_RIGHT_US: i64 = MINUTE_US;
/// Somebody set it, or it set itself, lately.
const STEPPED_FOR: Duration = Duration::from_secs(3600);
const RECORD_EVERY: Duration = Duration::from_secs(3600);
/// A change below this is nothing to write down.
const MATERIAL_US: i64 = S;
/// Off by more is worth an alarm; it ends when it is off by less than the second.
const OFF_US: i64 = 300 * S;
const OFF_NO_MORE_US: i64 = 240 * S;

#[derive(Clone, Debug, Default)]
pub(super) struct DeviceClock {
    offset: Offset,
    /// As its messages say it.
    stated: Option<Zone>,
    /// Minutes east of UTC that were taken for the zone of local time.
    guess: Option<i16>,
    is_unset: bool,
    stepped_at: Option<Mono>,
    recorded: Option<Recorded>,
    /// The gateway's wall clock minus its monotonic one, when last looked at.
    ground: Option<i64>,
    is_off: bool,
}

#[derive(Clone, Debug)]
struct Recorded {
    status: ClockStatus,
    at: Mono,
}

/// What is to be written down.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct News {
    pub(super) clock: ClockStatus,
    pub(super) step_us: Option<i64>,
    pub(super) words: String,
}

impl DeviceClock {
    /// Takes a look at the device's clock. Returns what is worth a record.
    pub(super) fn hear(&mut self, now: Now, look: &DeviceTime) -> Option<News> {
        if self.stated.is_some_and(|stated| is_stated(stated) != is_stated(look.zone)) {
            // Another kind of date, from another part of the device: nothing of the last compares with it.
            *self = Self::default();
        }
        self.stated = Some(look.zone);
        let at = match look.zone {
            Zone::Stated(minutes) => Wall(look.at.0.saturating_sub(i64::from(minutes) * 60 * S)),
            Zone::Unknown => look.at,
        };
        let shown = self.offset.observe(look.received, at, look.resolution);
        let is_unset = look.at < SET_SINCE || look.at.0 > now.wall.0.max(SET_SINCE.0) + FUTURE_US;
        match shown {
            Shown::Unsure => return None,
            Shown::Stepped(us) => return self.stepped(now, us, is_unset),
            Shown::Known | Shown::Steady => self.is_unset = is_unset,
        }
        self.tick(now)
    }

    /// What time alone, or a step of the gateway's own clock, has made worth a record.
    pub(super) fn tick(&mut self, now: Now) -> Option<News> {
        let ground = now.wall.0.saturating_sub_unsigned(now.mono.0);
        if self
            .ground
            .replace(ground)
            .is_some_and(|last| last.abs_diff(ground) > GROUND_STEP_US.unsigned_abs())
        {
            self.guess = None;
        }
        let clock = self.status(now)?;
        let is_news = match &self.recorded {
            None => true,
            Some(last) => {
                let slack = last.status.uncertainty_us + clock.uncertainty_us + MATERIAL_US;
                now.mono.since(last.at) >= RECORD_EVERY
                    || last.status.offset_us.abs_diff(clock.offset_us) > slack.unsigned_abs()
                    || (last.status.zone, last.status.zone_min) != (clock.zone, clock.zone_min)
                    || (last.status.state == ClockState::Unset) != (clock.state == ClockState::Unset)
            }
        };
        is_news.then(|| self.news(now, clock, None, words(&clock)))
    }

    fn stepped(&mut self, now: Now, us: i64, is_unset: bool) -> Option<News> {
        let was_unset = std::mem::replace(&mut self.is_unset, is_unset);
        let uncertainty = self.offset.estimate(now.mono)?.uncertainty_us;
        let is_summer_time = (us.abs() - HOUR_US).abs() <= 2 * uncertainty + MATERIAL_US;
        let is_local = self.stated == Some(Zone::Unknown);
        if was_unset || is_unset {
            self.guess = None;
        } else if let (true, true, Some(guess)) = (is_summer_time, is_local, self.guess) {
            self.guess = Some(guess + if us > 0 { 60 } else { -60 });
            let clock = self.status(now)?;
            let way = if us > 0 { "forward" } else { "back" };
            let detail = format!("set {way} by an hour, as for summer time; {}", words(&clock));
            return Some(self.news(now, clock, Some(us), detail));
        }
        if self.zone_by_now(now).is_some_and(|(_, error)| error.abs() <= SET_RIGHT_US) {
            self.guess = None;
        }
        self.stepped_at = Some(now.mono);
        let clock = self.status(now)?;
        let way = if us > 0 { "forward" } else { "back" };
        let detail = format!("set {way} by {}; {}", span(us), words(&clock));
        Some(self.news(now, clock, Some(us), detail))
    }

    /// The zone that would be guessed now, and the error left then.
    fn zone_by_now(&self, now: Now) -> Option<(i16, i64)> {
        let ground = now.wall.0.saturating_sub_unsigned(now.mono.0);
        let raw = self.offset.estimate(now.mono)?.us.saturating_sub(ground);
        zone_within(raw).map(|zone| (zone, raw - i64::from(zone) * MINUTE_US))
    }

    fn news(&mut self, now: Now, clock: ClockStatus, step_us: Option<i64>, words: String) -> News {
        // From here on it stays: what moves against it is the error.
        self.guess = (clock.zone == ClockZone::Guessed).then_some(clock.zone_min);
        self.recorded = Some(Recorded { status: clock, at: now.mono });
        News { clock, step_us, words }
    }

    /// None: the device has not told the time.
    pub(super) fn status(&self, now: Now) -> Option<ClockStatus> {
        let estimate = self.offset.estimate(now.mono)?;
        let ground = now.wall.0.saturating_sub_unsigned(now.mono.0);
        let raw = estimate.us.saturating_sub(ground);
        let (zone, zone_min) = match self.stated? {
            Zone::Stated(minutes) => (ClockZone::Stated, minutes),
            Zone::Unknown if self.is_unset => (ClockZone::Unknown, 0),
            Zone::Unknown => {
                let guess = self.guess.or_else(|| zone_within(raw));
                guess.map_or((ClockZone::Unknown, 0), |minutes| (ClockZone::Guessed, minutes))
            }
        };
        let local = if zone == ClockZone::Guessed { i64::from(zone_min) * 60 * S } else { 0 };
        let has_stepped = self.stepped_at.is_some_and(|at| now.mono.since(at) < STEPPED_FOR);
        Some(ClockStatus {
            state: match (self.is_unset, has_stepped) {
                (true, _) => ClockState::Unset,
                (false, true) => ClockState::Stepped,
                (false, false) => ClockState::Steady,
            },
            offset_us: raw - local,
            uncertainty_us: estimate.uncertainty_us,
            zone,
            zone_min,
        })
    }

    /// Words for an alarm, the same for as long as what is recorded is.
    pub(super) fn alarm(&mut self) -> Option<String> {
        let status = self.recorded.as_ref()?.status;
        let limit = if self.is_off { OFF_NO_MORE_US } else { OFF_US };
        let off = status.offset_us.saturating_abs().saturating_sub(status.uncertainty_us);
        self.is_off = status.state == ClockState::Unset || off > limit;
        if !self.is_off {
            return None;
        }
        Some(match status.state {
            ClockState::Unset => "its clock is not set".to_owned(),
            ClockState::Steady | ClockState::Stepped => {
                let way = if status.offset_us > 0 { "fast" } else { "slow" };
                format!("its clock is {} {way}", span(status.offset_us))
            }
        })
    }
}

const fn is_stated(zone: Zone) -> bool {
    matches!(zone, Zone::Stated(_))
}

/// The nearest offset from UTC, in minutes, that is anybody's; None: farther off than any.
fn zone_within(raw: i64) -> Option<i16> {
    let hours = (WESTMOST_H..=EASTMOST_H).map(|hour| hour * 60);
    let error = |zone: &i16| raw.saturating_sub(i64::from(*zone) * MINUTE_US).saturating_abs();
    hours.chain(BETWEEN_HOURS).min_by_key(error).filter(|zone| error(zone) <= ZONE_REACH_US)
}

/// `+3 min 12 s ±1 s, steady, local time taken for UTC+1`.
pub fn words(clock: &ClockStatus) -> String {
    if clock.state == ClockState::Unset {
        return "not set".to_owned();
    }
    let sign = if clock.offset_us < 0 { '-' } else { '+' };
    let state = if clock.state == ClockState::Stepped { "set lately" } else { "steady" };
    let zone = match clock.zone {
        ClockZone::Stated | ClockZone::Unknown => String::new(),
        ClockZone::Guessed => {
            let (sign, minutes) = (if clock.zone_min < 0 { '-' } else { '+' }, clock.zone_min.abs());
            format!(", local time taken for UTC{sign}{}:{:02}", minutes / 60, minutes % 60)
        }
    };
    format!("{sign}{} \u{b1}{}, {state}{zone}", span(clock.offset_us), span(ceil(clock.uncertainty_us)))
}

/// An uncertainty is never rounded away.
const fn ceil(us: i64) -> i64 {
    (us + S - 1) / S * S
}

/// A length of time in its two greatest parts, without a sign.
pub(super) fn span(us: i64) -> String {
    let seconds = us.unsigned_abs().saturating_add(500_000) / 1_000_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::{DeviceClock, News, words};
    use cotside_protocol::model::{DeviceTime, Mono, Now, Wall, Zone};
    use cotside_protocol::wire::upstream::{ClockState, ClockZone};
    use proptest::prelude::*;
    use std::time::Duration;

    const S: i64 = 1_000_000;
    const HOUR: i64 = 3600 * S;
    /// 2026-11-22T11:30:00Z.
    const NOON: i64 = 1_795_347_000 * S;

    struct Bench {
        clock: DeviceClock,
        now: Now,
        /// The digits on the device minus true UTC.
        ahead: i64,
        zone: Zone,
    }

    impl Bench {
        fn new(ahead: i64) -> Self {
            let now = Now { mono: Mono(1_000_000_000), wall: Wall(NOON) };
            Self { clock: DeviceClock::default(), now, ahead, zone: Zone::Unknown }
        }

        /// Ten seconds on, the device is looked at again.
        fn look(&mut self) -> Option<News> {
            self.now = self.now.after(Duration::from_secs(10));
            // True time runs with the monotonic clock, whatever the gateway's wall clock does.
            let truth = NOON - 1_000_000_000 + self.now.mono.0 as i64;
            let digits = truth + self.ahead - 100_000;
            let at = Wall(digits - digits.rem_euclid(S));
            let resolution = Duration::from_secs(1);
            self.clock
                .hear(self.now, &DeviceTime { at, zone: self.zone, resolution, received: self.now.mono })
        }

        fn looks(&mut self, count: usize) -> Vec<News> {
            (0..count).filter_map(|_| self.look()).collect()
        }

        fn words(&mut self) -> String {
            words(&self.clock.status(self.now).unwrap())
        }
    }

    #[test]
    fn the_nearest_zone_is_the_zone_and_the_rest_is_the_error() {
        let mut bench = Bench::new(5 * HOUR + 45 * 60 * S + 192 * S);
        let first = bench.looks(20);
        assert_eq!(first.len(), 1);
        let clock = first[0].clock;
        assert_eq!((clock.zone, clock.zone_min), (ClockZone::Guessed, 345));
        assert!((clock.offset_us - 192 * S).abs() <= clock.uncertainty_us, "{clock:?}");
        assert_eq!(bench.words(), "+3 min 12 s \u{b1}1 s, steady, local time taken for UTC+5:45");
        assert_eq!(bench.clock.alarm(), None);
    }

    #[test]
    fn a_clock_that_is_set_right_is_right_whatever_was_guessed_before() {
        // In London, twenty minutes fast are that; fifty are taken for ten slow in Paris, until the clock is set.
        for (ahead, guessed, error) in [(20, 0, 20), (50, 60, -10)] {
            let mut bench = Bench::new(ahead * 60 * S);
            bench.looks(20);
            let clock = bench.clock.status(bench.now).unwrap();
            assert_eq!(clock.zone_min, guessed);
            assert!((clock.offset_us - error * 60 * S).abs() <= clock.uncertainty_us, "{clock:?}");
            assert!(bench.clock.alarm().is_some());
            bench.ahead = 0;
            bench.looks(20);
            let clock = bench.clock.status(bench.now).unwrap();
            assert_eq!(
                (clock.zone_min, clock.offset_us.abs() <= clock.uncertainty_us),
                (0, true),
                "{clock:?}"
            );
            assert_eq!(bench.clock.alarm(), None);
        }
    }

    #[test]
    fn summer_time_in_both_directions_is_a_change_of_zone_and_no_error() {
        for way in [1, -1] {
            let mut bench = Bench::new(HOUR + 20 * S);
            bench.looks(20);
            bench.ahead += way * HOUR;
            let news = bench.looks(20);
            assert_eq!(news.len(), 1, "{news:?}");
            assert!((news[0].step_us.unwrap() - way * HOUR).abs() < S);
            assert_eq!(news[0].clock.state, ClockState::Steady);
            assert_eq!(i64::from(news[0].clock.zone_min), 60 + way * 60);
            assert!((news[0].clock.offset_us - 20 * S).abs() < S);
            assert!(news[0].words.contains("summer time"), "{}", news[0].words);
            assert_eq!(bench.clock.alarm(), None);
        }
    }

    #[test]
    fn an_hour_in_a_stated_zone_is_an_error() {
        let mut bench = Bench::new(2 * HOUR);
        bench.zone = Zone::Stated(120);
        bench.looks(20);
        bench.ahead -= HOUR;
        let news = bench.looks(20);
        assert_eq!(news[0].clock.state, ClockState::Stepped);
        assert!((news[0].clock.offset_us + HOUR).abs() < S);
        assert_eq!(bench.clock.alarm().unwrap(), "its clock is 1 h 0 min slow");
    }

    #[test]
    fn a_clock_that_was_never_set_says_so_and_is_believed_once_it_is() {
        for zero in [0, 315_532_800 * S, 946_684_800 * S] {
            let mut bench = Bench::new(zero - NOON);
            let first = bench.looks(20);
            assert_eq!((first.len(), first[0].clock.state), (1, ClockState::Unset));
            assert_eq!(bench.words(), "not set");
            assert_eq!(bench.clock.alarm().unwrap(), "its clock is not set");
            bench.ahead = HOUR;
            let set = bench.looks(20);
            assert_eq!(set.len(), 1, "{set:?}");
            assert_eq!((set[0].clock.state, set[0].clock.zone_min), (ClockState::Stepped, 60));
            assert_eq!(bench.clock.alarm(), None);
        }
    }

    #[test]
    fn a_step_of_the_gateways_own_clock_is_not_the_devices() {
        let mut bench = Bench::new(HOUR);
        bench.looks(20);
        bench.now.wall.0 += 12 * S;
        let news = bench.looks(20);
        assert_eq!((news.len(), news[0].step_us), (1, None));
        assert!((news[0].clock.offset_us + 12 * S).abs() < S, "{news:?}");
        assert_eq!(news[0].clock.state, ClockState::Steady);
        // From 1970 to now: the zone is guessed anew.
        let mut bench = Bench::new(HOUR);
        bench.now.wall.0 = 5 * S;
        bench.looks(20);
        bench.now.wall.0 = NOON - 1_000_000_000 + bench.now.mono.0 as i64;
        bench.looks(1);
        let clock = bench.clock.status(bench.now).unwrap();
        assert_eq!((clock.zone_min, clock.offset_us.abs() < S), (60, true), "{clock:?}");
    }

    #[test]
    fn a_steady_clock_is_written_down_once_an_hour() {
        let mut bench = Bench::new(2 * HOUR - 7 * S);
        assert_eq!(bench.looks(3 * 360 + 1).len(), 4);
    }

    #[test]
    fn an_alarm_for_a_clock_far_off_ends_when_it_is_set() {
        let mut bench = Bench::new(400 * S);
        bench.zone = Zone::Stated(0);
        bench.looks(3);
        assert_eq!(bench.clock.alarm().unwrap(), "its clock is 6 min 40 s fast");
        bench.ahead = 2 * S;
        bench.looks(5);
        assert_eq!(bench.clock.alarm(), None);
    }

    proptest! {
        #[test]
        fn the_error_is_found_whatever_the_zone(
            zone in prop::sample::select(vec![-720i64, -570, -210, -60, 0, 60, 120, 330, 345, 480, 765, 840]),
            error in -440i64..440,
            step in prop_oneof![Just(0i64), -300i64..-10, 10i64..300],
        ) {
            let mut bench = Bench::new(zone * 60 * S + error * S);
            bench.looks(20);
            bench.ahead += step * S;
            bench.looks(20);
            let clock = bench.clock.status(bench.now).unwrap();
            prop_assert_eq!(i64::from(clock.zone_min), zone);
            prop_assert!((clock.offset_us - (error + step) * S).abs() <= clock.uncertainty_us, "{:?}", clock);
        }
    }
}
