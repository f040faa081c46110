//! What the tests share: dice, a baby, captures from the drivers' folders, and a session's report as lines.

use cotside_protocol::capture::Capture;
use cotside_protocol::device::{Driver, Output, Physiology};
use cotside_protocol::model::{Code, Event, Mono, Now, PARAMETERS, Wall};
use cotside_protocol::replay::Replay;
use cotside_protocol::transcript::Line;
use std::path::{Path, PathBuf};

/// Tests begin at this moment: an hour on the monotonic clock, so that nothing counts on zero, and a date of this century.
pub(crate) const BEGIN: Now = Now { mono: Mono(3_600_000_000), wall: Wall(1_795_000_000_000_000) };

/// SplitMix64: a seed is a test case.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides.max(1) as u64).unwrap()
    }
}

/// A body in which everything is measured and nothing happens: the middle of each plausible range, waves of one hertz.
pub(crate) struct Body;

impl Physiology for Body {
    fn numeric(&self, code: Code, _at: Mono) -> Option<f64> {
        let (low, high) = PARAMETERS.iter().find(|row| row.code == code)?.plausible?;
        Some((low + high) / 2.0)
    }

    fn sample(&self, _code: Code, at: Mono) -> Option<f64> {
        Some((at.0 as f64 / 1e6 * std::f64::consts::TAU).sin())
    }
}

pub(crate) fn folder(driver: &Driver) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/devices").join(driver.name)
}

/// Every capture in a driver's folder, by path.
pub(crate) fn captures(driver: &Driver) -> Vec<(PathBuf, Capture)> {
    let entries = std::fs::read_dir(folder(driver).join("captures")).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "cap"));
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let capture = Capture::parse(&text).unwrap_or_else(|bad| panic!("{}: {bad}", path.display()));
        (path, capture)
    };
    paths.into_iter().map(read).collect()
}

pub(crate) fn open(driver: &'static Driver, capture: &Capture) -> Replay {
    let settings = capture.settings(driver.settings).unwrap();
    Replay::open(driver, settings, BEGIN).unwrap()
}

/// The lines of what a session puts out, with times counted from a beginning; waits are left out.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) begin: Mono,
    pub(crate) lines: Vec<String>,
    /// Numerics with a value and runs of waveform samples.
    pub(crate) values: usize,
}

impl Report {
    pub(crate) fn since(begin: Mono) -> Self {
        Self { begin, ..Self::default() }
    }

    pub(crate) fn take(&mut self, now: Now, output: &Output) {
        match output {
            Output::Wait { .. } => return,
            Output::Event(Event::Numeric(numeric)) if numeric.value.is_some() => self.values += 1,
            Output::Event(Event::Waveform(_)) => self.values += 1,
            Output::Event(_) | Output::Transmit { .. } | Output::Hangup(_) => {}
        }
        self.lines.push(format!("+{} {}", now.mono.since(self.begin).as_millis(), Line(output)));
    }

    /// Without the lines on bad bytes: how a run of noise is cut into events is the session's own affair, its sum is not.
    pub(crate) fn without_malformed(&self) -> Vec<&str> {
        self.lines.iter().map(String::as_str).filter(|line| !line.contains(" malformed ")).collect()
    }
}
