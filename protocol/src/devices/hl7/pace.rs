//! How fast and how late a feed is, per channel: what decides whether a value may be watched as if it were continuous.
//!
//! Old must never be shown as new: a feed slower than ten seconds is a trend, and a backlog delivered in a burst is as slow as its
//! own times say, not as fast as it arrives.

use crate::hl7::time::{Precision, Time};
use crate::model::{Code, Mono, Pace, Site};
use std::collections::BTreeMap;
use std::time::Duration;

/// A slower feed is trend only.
const CONTINUOUS_WITHIN: Duration = Duration::from_secs(10);
/// The best of so many intervals counts, so that one late message does not make a trend of a live feed.
const INTERVALS: usize = 3;
/// More channels than any bed has; what comes beyond is a trend.
const CHANNELS_MAX: usize = 1024;
/// Runs of one waveform are joined if they meet within half their length or this.
const JOINT_US: u64 = 250_000;

#[derive(Debug, Default)]
pub(super) struct Feed {
    channels: BTreeMap<(Code, Site), Channel>,
    waves: BTreeMap<(Code, Site), Mono>,
    /// The least of (our monotonic clock - MSH-7), in microseconds: both clocks' offset plus the quickest delivery so far.
    quickest_us: Option<i64>,
    made_last: Option<Time>,
    late: Duration,
}

#[derive(Debug)]
struct Channel {
    heard_at: Mono,
    made_at: Option<Time>,
    intervals: [Option<Duration>; INTERVALS],
}

/// What the message's own time says about the sender's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    Steady,
    SteppedBack,
}

impl Feed {
    /// A message made at `made_at` (MSH-7) has arrived.
    pub(super) fn arrived(&mut self, now: Mono, made_at: Option<Time>) -> Clock {
        self.late = Duration::ZERO;
        let Some(made) = made_at.filter(|made| made.precision >= Precision::Second) else {
            return Clock::Steady;
        };
        let stepped = self.made_last.is_some_and(|last| made.micros_since(&last) < 0);
        if stepped {
            self.quickest_us = None;
        }
        self.made_last = Some(made);
        let made_us = made.local_us - i64::from(made.offset_min.unwrap_or(0)) * 60_000_000;
        let taken = i64::try_from(now.0).unwrap_or(i64::MAX).saturating_sub(made_us);
        let quickest = self.quickest_us.map_or(taken, |quickest| quickest.min(taken));
        self.quickest_us = Some(quickest);
        self.late = Duration::from_micros(taken.saturating_sub(quickest).unsigned_abs());
        if stepped { Clock::SteppedBack } else { Clock::Steady }
    }

    /// How old a value taken `at` was when it came: by the message's own times, and by how much later than the quickest it arrived.
    pub(super) fn lag(&self, made_at: Option<Time>, at: Option<Time>) -> Duration {
        let within = made_at.zip(at).map_or(0, |(made, at)| made.micros_since(&at).max(0));
        self.late + Duration::from_micros(within.unsigned_abs())
    }

    pub(super) fn pace(&mut self, now: Mono, made_at: Option<Time>, code: Code, site: Site) -> Pace {
        if let Some(channel) = self.channels.get_mut(&(code, site)) {
            let by_sender =
                made_at.zip(channel.made_at).map_or(0, |(made, last)| made.micros_since(&last).max(0));
            let interval = now.since(channel.heard_at).max(Duration::from_micros(by_sender.unsigned_abs()));
            // Twice in one message says nothing about the next.
            if !interval.is_zero() {
                channel.intervals.rotate_right(1);
                channel.intervals[0] = Some(interval);
            }
            (channel.heard_at, channel.made_at) = (now, made_at);
            let is_live = channel.intervals.iter().flatten().any(|interval| *interval <= CONTINUOUS_WITHIN);
            return if is_live { Pace::Continuous } else { Pace::Trend };
        }
        if self.channels.len() < CHANNELS_MAX {
            let channel = Channel { heard_at: now, made_at, intervals: [None; INTERVALS] };
            self.channels.insert((code, site), channel);
        }
        // One value alone does not say how soon the next will come.
        Pace::Trend
    }

    /// When the first sample of a run was taken: by the run's age, joined to the run before where they meet.
    pub(super) fn begin(&mut self, now: Mono, age: Duration, span: Duration, code: Code, site: Site) -> Mono {
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let estimate = Mono(now.0.saturating_sub(micros(age.max(span))));
        let joint = self.waves.get(&(code, site)).copied();
        let begin = joint
            .filter(|end| end.0.abs_diff(estimate.0) <= (micros(span) / 2).max(JOINT_US))
            .unwrap_or(estimate);
        if self.waves.len() < CHANNELS_MAX {
            self.waves.insert((code, site), begin + span);
        }
        begin
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, Feed};
    use crate::hl7::time::Time;
    use crate::model::{Code, Mono, Pace, Site};
    use std::time::Duration;

    const HR: Code = Code(147_842);

    fn made(second: u32) -> Option<Time> {
        Time::parse(format!("202406011200{second:02}+0200").as_bytes())
    }

    fn at(second: u64) -> Mono {
        Mono(second * 1_000_000)
    }

    fn paces(feed: &mut Feed, seconds: &[u32]) -> Vec<Pace> {
        seconds.iter().map(|s| feed.pace(at((*s).into()), made(*s), HR, Site::Unspecified)).collect()
    }

    #[test]
    fn a_feed_is_continuous_only_once_it_has_shown_so() {
        use Pace::{Continuous, Trend};
        assert_eq!(
            paces(&mut Feed::default(), &[0, 1, 2, 20, 21]),
            [Trend, Continuous, Continuous, Continuous, Continuous]
        );
        assert_eq!(paces(&mut Feed::default(), &[0, 11, 22, 33]), [Trend; 4]);
        assert_eq!(
            paces(&mut Feed::default(), &[0, 5, 16, 27, 38]),
            [Trend, Continuous, Continuous, Continuous, Trend]
        );
    }

    #[test]
    fn a_backlog_in_a_burst_is_as_slow_as_its_own_times() {
        let mut feed = Feed::default();
        for second in [0, 15, 30, 45] {
            assert_eq!(feed.pace(at(100), made(second), HR, Site::Unspecified), Pace::Trend);
        }
    }

    #[test]
    fn a_late_delivery_is_late_by_the_senders_clock() {
        let mut feed = Feed::default();
        feed.arrived(at(100), made(0));
        feed.arrived(at(101), made(1));
        assert_eq!(feed.lag(made(1), made(1)), Duration::ZERO);
        feed.arrived(at(132), made(2));
        assert_eq!(feed.lag(made(2), made(2)), Duration::from_secs(30));
        assert_eq!(feed.lag(made(2), made(0)), Duration::from_secs(32));
        assert_eq!(
            feed.lag(made(2), made(9)),
            Duration::from_secs(30),
            "a value from the future is not early"
        );
    }

    #[test]
    fn a_clock_set_back_does_not_make_everything_late_for_ever() {
        let mut feed = Feed::default();
        feed.arrived(at(100), made(30));
        assert_eq!(feed.arrived(at(101), made(1)), Clock::SteppedBack);
        assert_eq!(feed.lag(made(1), None), Duration::ZERO);
    }

    #[test]
    fn runs_of_a_waveform_are_joined_while_they_meet() {
        let mut feed = Feed::default();
        let span = Duration::from_secs(1);
        let mut begin = |ms: u64| feed.begin(Mono(ms * 1000), span, span, HR, Site::Unspecified).0 / 1000;
        assert_eq!(begin(10_000), 9_000);
        assert_eq!(begin(11_180), 10_000);
        assert_eq!(begin(11_900), 11_000);
        assert_eq!(begin(19_000), 18_000);
    }
}
