//! The latest numeric of every channel of one bed, and when it stops being shown (H11). A value is never carried forward.

use super::clock::{self, AgentClock};
use super::view::ValueView;
use cotside_protocol::model::{Code, Mono, Now, Pace, Provenance, Quality, parameter};
use cotside_protocol::wire::block::{Channel, Header, Sample};
use cotside_protocol::wire::convert::site_name;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

/// H11: a continuous value older than this is not shown, whatever the feed's rate.
pub(super) const CONTINUOUS_FRESH: Duration = Duration::from_secs(10);
/// A feed slower than that is trend only; past this it is not even a trend.
pub(super) const TREND_FRESH: Duration = Duration::from_secs(5 * 60);
/// One measurement at a time: shown with its clock time for a shift.
pub(super) const EPISODIC_FRESH: Duration = Duration::from_secs(12 * 3600);
/// How long a channel without value keeps its place, with its age growing.
const REMOVED_AFTER: Duration = Duration::from_secs(3600);
/// No bed has as many; a broken agent stops here.
const CHANNELS_MAX: usize = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    channels: BTreeMap<Channel, Latest>,
}

#[derive(Clone, Debug)]
struct Latest {
    sample: Sample,
    /// On the agent's clock: orders samples of one boot.
    boot: u32,
    taken_at: Mono,
    /// When it was measured, on the hub's clock: what the age counts from.
    measured_at: Mono,
    is_demo: bool,
}

impl Values {
    /// Takes what is newer than what is held and not from before `since` (a new patient). True if anything was.
    pub(super) fn take(
        &mut self,
        now: Now,
        since: Mono,
        clock: &AgentClock,
        header: &Header,
        samples: Vec<Sample>,
    ) -> bool {
        let mut has_changed = false;
        for sample in samples {
            let taken_at = clock::later(header.mono, sample.at_us);
            // The age is the larger of time since receipt and the lag by the device's own clock, which goes on growing:
            // so it is counted from the instant that the device names.
            let lag = Duration::from_millis(u64::from(sample.lag_ms));
            let received_at = clock.ours(now.mono, taken_at);
            let measured_at = Mono(received_at.0.saturating_sub(micros(lag)));
            if measured_at < since || self.is_older(&sample.channel, header.boot, taken_at) {
                continue;
            }
            if self.channels.len() >= CHANNELS_MAX && !self.channels.contains_key(&sample.channel) {
                continue;
            }
            let is_demo = header.provenance == Provenance::DeviceDemo || sample.quality.has(Quality::DEMO);
            let latest = Latest { boot: header.boot, taken_at, measured_at, is_demo, sample };
            self.channels.insert(latest.sample.channel, latest);
            has_changed = true;
        }
        has_changed
    }

    fn is_older(&self, channel: &Channel, boot: u32, taken_at: Mono) -> bool {
        self.channels.get(channel).is_some_and(|held| held.boot == boot && held.taken_at > taken_at)
    }

    pub(super) fn clear(&mut self) {
        self.channels.clear();
    }

    /// Nothing of a link whose device is not this bed's is attributed (H2).
    pub(super) fn forget_link(&mut self, link: u8) -> bool {
        let before = self.channels.len();
        self.channels.retain(|channel, _| channel.link != link);
        self.channels.len() != before
    }

    pub(super) fn sweep(&mut self, now: Mono) {
        self.channels.retain(|_, latest| now.since(latest.measured_at) <= latest.kept_for());
    }

    /// How many channels there are and how many are fresh: changes when age alone changes what is to be seen.
    pub(super) fn census(&self, now: Mono) -> (usize, usize) {
        (self.channels.len(), self.channels.values().filter(|latest| latest.is_fresh(now)).count())
    }

    /// In order of code; of several channels the bed's preferred one first.
    pub(super) fn view(&self, now: Now, is_occupied: bool, device: impl Fn(u8) -> String) -> Vec<ValueView> {
        let mut sorted: Vec<&Latest> = self.channels.values().collect();
        sorted.sort_by_key(|latest| {
            let channel = latest.sample.channel;
            (channel.code, Reverse(latest.rank(now.mono)), channel.setting, channel.link, channel.site)
        });
        sorted.into_iter().map(|latest| latest.view(now, is_occupied, &device)).collect()
    }
}

impl Latest {
    fn fresh_for(&self) -> Duration {
        match self.sample.pace {
            Pace::Continuous => CONTINUOUS_FRESH,
            Pace::Trend => TREND_FRESH,
            Pace::Episodic => EPISODIC_FRESH,
        }
    }

    fn kept_for(&self) -> Duration {
        REMOVED_AFTER.max(self.fresh_for())
    }

    fn is_fresh(&self, now: Mono) -> bool {
        now.since(self.measured_at) <= self.fresh_for()
    }

    /// Of two channels for one parameter: a fresh one before a stale one, a good number before a doubtful one before none.
    fn rank(&self, now: Mono) -> (bool, bool, bool) {
        let quality = self.sample.quality;
        let is_number = self.sample.value.is_some() && quality.is_usable();
        (self.is_fresh(now), is_number, !quality.has(Quality::QUESTIONABLE))
    }

    fn view(&self, now: Now, is_occupied: bool, device: &impl Fn(u8) -> String) -> ValueView {
        let Sample { channel, ucum, pace, value, quality, .. } = &self.sample;
        let is_fresh = self.is_fresh(now.mono);
        let mut marks: Vec<&'static str> = quality.words().collect();
        if self.is_demo && !quality.has(Quality::DEMO) {
            marks.push("demo");
        }
        if !is_fresh {
            marks.push("stale");
        }
        // H13: a device in demo mode at an admitted bed shows no number.
        let is_hidden = !is_fresh || (self.is_demo && is_occupied);
        let age = now.mono.since(self.measured_at);
        let row = parameter(channel.code);
        ValueView {
            code: channel.code.0,
            label: row.map_or_else(|| unknown(channel.code).into(), |row| row.label.into()),
            name: row.map_or_else(|| unknown(channel.code).into(), |row| row.name.into()),
            site: site_name(channel.site),
            value: value.filter(|_| !is_hidden).map(|value| value.to_string()),
            ucum: ucum.clone(),
            age_ms: millis(age),
            at_ms: (now.wall - age).millis(),
            pace: match pace {
                Pace::Continuous => "continuous",
                Pace::Trend => "trend",
                Pace::Episodic => "episodic",
            },
            quality: marks,
            device: device(channel.link),
            setting: channel.setting,
        }
    }
}

/// An unknown code survives with its number.
pub fn unknown(code: Code) -> String {
    format!("#{}", code.0)
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
