//! Waveforms that real monitors sent, second by second: from the recordings that others made, where they are at hand.

use crate::corpora;
use cotside_protocol::device::Output;
use cotside_protocol::devices;
use cotside_protocol::model::{Event, Mono, NO_SAMPLE, Now, Wall};
use cotside_protocol::replay::Replay;
use cotside_protocol::wire::block::{Body, Stretch};
use cotside_protocol::wire::convert;

/// The recordings that hold the most, and what they are called here.
const RECORDINGS: [(&str, &str); 3] = [
    ("intellivue/jvscapture_mp_serial/MPRawoutput1.raw", "recorded-250"),
    ("intellivue/mdrepo_mp70/messages_concat/NumericAlarmsWaveforms10mins12-14.txt", "recorded-500"),
    ("intellivue/mdrepo_mp70/sessions_log/dd_intellivue_mp70_response.log.06242014.5mins", "recorded-mixed"),
];
const SECONDS_MAX: usize = 300;

pub(super) fn seconds() -> Vec<(&'static str, Vec<Body>)> {
    let Some(recordings) = corpora::folder().and_then(|folder| corpora::recordings(&folder).ok()) else {
        return Vec::new();
    };
    let named = |(path, name): &(&str, &'static str)| {
        let recording = recordings.iter().find(|recording| recording.path == *path)?;
        Some((*name, blocks(recording)?))
    };
    RECORDINGS.iter().filter_map(named).collect()
}

/// Every channel's present samples, joined and cut into seconds.
fn blocks(recording: &corpora::Recording) -> Option<Vec<Body>> {
    let driver = devices::driver(&recording.capture.header.driver)?;
    let settings = recording.capture.settings(driver.settings).ok()?;
    let begin = Now { mono: Mono(0), wall: Wall(0) };
    let mut replay = Replay::open(driver, settings, begin).ok()?;
    let mut channels: Vec<Stretch> = Vec::new();
    let mut take = |_: Now, output: &Output| {
        if let Output::Event(Event::Waveform(waveform)) = output {
            let mut stretch = convert::stretch(0, waveform.clone(), begin.mono);
            stretch.samples.retain(|sample| *sample != NO_SAMPLE);
            let form = |stretch: &Stretch| (stretch.channel, stretch.period_us, stretch.gain.to_bits());
            match channels.iter_mut().find(|known| form(known) == form(&stretch)) {
                Some(known) => known.samples.extend(stretch.samples),
                None => channels.push(stretch),
            }
        }
    };
    replay.play(&recording.capture, &mut take);
    let rate = |channel: &Stretch| (1_000_000 / channel.period_us.max(1)) as usize;
    let seconds = channels.iter().map(|channel| channel.samples.len() / rate(channel).max(1)).max()?;
    channels.retain(|channel| channel.samples.len() / rate(channel).max(1) >= seconds / 2);
    let seconds =
        channels.iter().map(|channel| channel.samples.len() / rate(channel).max(1)).min()?.min(SECONDS_MAX);
    let second = |second: usize| {
        let cut = |channel: &Stretch| {
            let length = rate(channel);
            let samples = channel.samples[second * length..(second + 1) * length].to_vec();
            Stretch { at_us: 0, samples, ..channel.clone() }
        };
        Body::Waveforms(channels.iter().map(cut).collect())
    };
    Some((0..seconds).map(second).collect())
}
