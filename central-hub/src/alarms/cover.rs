//! Which beds a station has lately painted and sounded: the proof that a lease is made of (H5, S4).

use cotside_protocol::model::{Mono, Now};
use cotside_protocol::wire::upstream::Priority;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// A station proves itself every second; this long without a proof, and it covers nothing.
pub(super) const PROVEN_FOR: Duration = Duration::from_secs(5);
/// How long after a start a station that was there before may take to come back.
const GRACE: Duration = Duration::from_secs(15);
/// Ticks of five seconds, and of a restart of the clock's second.
const TICKS_MAX: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beds {
    All,
    Some(BTreeSet<String>),
}

impl Beds {
    pub fn has(&self, bed: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(beds) => beds.contains(bed),
        }
    }
}

/// An approved station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Station {
    pub id: String,
    pub name: String,
    pub beds: Beds,
    /// It was there before: its absence is an alarm.
    pub expected: bool,
}

/// What a station says each second of what it has painted and what sounds.
#[derive(Clone, Debug, Deserialize)]
pub struct Receipt {
    pub nonce: String,
    pub beats: BTreeMap<String, u64>,
    pub audio: Audio,
    #[serde(deserialize_with = "sounding")]
    pub sounding: Option<Priority>,
    pub visible: bool,
    #[serde(default)]
    pub self_test: SelfTest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Audio {
    Running,
    Suspended,
    Failed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelfTest {
    Passed,
    Failed,
    #[default]
    None,
}

/// `none`, or a priority.
fn sounding<'de, D: serde::Deserializer<'de>>(given: D) -> Result<Option<Priority>, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Word {
        None,
        Advisory,
        Low,
        Medium,
        High,
    }
    Ok(match Word::deserialize(given)? {
        Word::None => None,
        Word::Advisory => Some(Priority::Advisory),
        Word::Low => Some(Priority::Low),
        Word::Medium => Some(Priority::Medium),
        Word::High => Some(Priority::High),
    })
}

/// Whether a receipt counts for a lease; if not, why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Verdict {
    pub counts: bool,
    pub why: &'static str,
}

/// The state of one bed that went out: its beat, and what must sound with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub epoch: Arc<str>,
    pub beat: u64,
    pub demand: Option<Priority>,
}

#[derive(Clone, Debug)]
struct Tick {
    nonce: String,
    at: Mono,
    beds: BTreeMap<String, Shown>,
}

#[derive(Clone, Debug)]
struct Watching {
    station: Station,
    /// The last receipt that echoed a fresh nonce.
    heard: Option<Mono>,
    /// Why it covers nothing although it answers.
    trouble: &'static str,
    unverified: bool,
    painted: BTreeMap<String, Painted>,
}

#[derive(Clone, Debug)]
struct Painted {
    epoch: Arc<str>,
    beat: u64,
    at: Mono,
}

/// What is proven of one bed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Covered {
    pub beat: Option<u64>,
    pub why: String,
    pub stations: Vec<String>,
}

/// A station of which something must be said on the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub id: String,
    pub name: String,
    pub words: &'static str,
    pub lost: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Cover {
    stations: BTreeMap<String, Watching>,
    ticks: VecDeque<Tick>,
    began: Mono,
}

const NOT_VISIBLE: &str = "is not visible";
const NOT_AUDIBLE: &str = "has no sound";
const SPEAKER_FAILED: &str = "failed its speaker test";
const UNVERIFIED: &str = "has not tested its speaker";
const LOST: &str = "does not answer";

impl Cover {
    pub(super) fn new(now: Mono) -> Self {
        Self { stations: BTreeMap::new(), ticks: VecDeque::new(), began: now }
    }

    /// The approved stations, whole. One that is not among them any more covers nothing from here on.
    pub(super) fn set(&mut self, stations: Vec<Station>) {
        let mut before = std::mem::take(&mut self.stations);
        for station in stations {
            let id = station.id.clone();
            let watching = match before.remove(&id) {
                Some(mut known) => {
                    known.painted.retain(|bed, _| station.beds.has(bed));
                    Watching { station, ..known }
                }
                None => Watching {
                    station,
                    heard: None,
                    trouble: "",
                    unverified: false,
                    painted: BTreeMap::new(),
                },
            };
            self.stations.insert(id, watching);
        }
    }

    pub(super) fn tick(&mut self, now: Mono, nonce: String, beds: BTreeMap<String, Shown>) {
        if nonce.is_empty() {
            return;
        }
        self.ticks.push_back(Tick { nonce, at: now, beds });
        while self.ticks.len() > TICKS_MAX {
            self.ticks.pop_front();
        }
    }

    /// Takes a receipt. With the verdict, what it newly proves: bed, beat, and what sounds there.
    pub(super) fn receipt(
        &mut self,
        now: Mono,
        id: &str,
        receipt: &Receipt,
    ) -> (Verdict, Vec<(String, Shown)>) {
        let verdict = |why: &'static str| (Verdict { counts: why.is_empty(), why }, Vec::new());
        let Some(watching) = self.stations.get_mut(id) else { return verdict("not an approved station") };
        let fresh = |tick: &Tick| tick.nonce == receipt.nonce && now.since(tick.at) < PROVEN_FOR;
        let Some(latest) = self.ticks.iter().rposition(fresh) else {
            return verdict("what it answers was not sent lately");
        };
        watching.heard = Some(now);
        watching.unverified = receipt.self_test == SelfTest::None;
        watching.trouble = if !receipt.visible {
            NOT_VISIBLE
        } else if receipt.audio != Audio::Running {
            NOT_AUDIBLE
        } else if receipt.self_test == SelfTest::Failed {
            SPEAKER_FAILED
        } else {
            ""
        };
        if !watching.trouble.is_empty() {
            watching.painted.clear();
            return verdict(watching.trouble);
        }
        let mut proven = Vec::new();
        let mut why = "";
        for (bed, beat) in receipt.beats.iter().filter(|(bed, _)| watching.station.beds.has(bed)) {
            let sent = self.ticks.range(..=latest).rev().filter_map(|tick| tick.beds.get(bed));
            let Some(shown) = sent.clone().find(|shown| shown.beat == *beat) else {
                why = "a state that was not sent lately";
                continue;
            };
            if shown.demand > receipt.sounding {
                why = "an alarm does not sound";
                continue;
            }
            let is_older = watching
                .painted
                .get(bed)
                .is_some_and(|known| known.epoch == shown.epoch && known.beat > shown.beat);
            if !is_older {
                let painted = Painted { epoch: shown.epoch.clone(), beat: shown.beat, at: now };
                watching.painted.insert(bed.clone(), painted);
                proven.push((bed.clone(), shown.clone()));
            }
        }
        (Verdict { counts: why.is_empty(), why }, proven)
    }

    pub(super) fn covered(&self, now: Mono, bed: &str, epoch: &str) -> Covered {
        let mut covered = Covered::default();
        let mut why = None;
        for watching in self.stations.values().filter(|watching| watching.station.beds.has(bed)) {
            let painted = watching
                .painted
                .get(bed)
                .filter(|painted| *painted.epoch == *epoch && now.since(painted.at) < PROVEN_FOR);
            match painted {
                Some(painted) => {
                    covered.beat = covered.beat.max(Some(painted.beat));
                    covered.stations.push(watching.station.name.clone());
                }
                None => why = why.or(Some((&watching.station.name, watching.words(now)))),
            }
        }
        if covered.beat.is_none() {
            covered.why = match why {
                None => "no station covers this bed".to_owned(),
                Some((name, words)) => format!("{name} {words}"),
            };
        }
        covered
    }

    /// What must be said of stations on the others.
    pub(super) fn troubles(&self, now: Mono) -> Vec<Trouble> {
        let trouble = |watching: &Watching| {
            let is_lost = watching.is_lost(now);
            let is_due = match watching.heard {
                Some(_) => true,
                None => watching.station.expected && now.since(self.began) >= GRACE,
            };
            let words = match (is_lost, watching.trouble) {
                (true, _) => LOST,
                (false, "") if watching.unverified => UNVERIFIED,
                (false, words) => words,
            };
            (is_due && !words.is_empty()).then(|| Trouble {
                id: watching.station.id.clone(),
                name: watching.station.name.clone(),
                words,
                lost: is_lost || !watching.trouble.is_empty(),
            })
        };
        self.stations.values().filter_map(trouble).collect()
    }
}

impl Watching {
    fn is_lost(&self, now: Mono) -> bool {
        self.heard.is_none_or(|at| now.since(at) >= PROVEN_FOR)
    }

    fn words(&self, now: Mono) -> &'static str {
        match self.trouble {
            _ if self.is_lost(now) => LOST,
            "" => "does not show this bed",
            words => words,
        }
    }
}

/// By the wall clock of people: when a trouble began.
pub(super) fn since(now: Now, at: Mono) -> cotside_protocol::model::Wall {
    now.wall - now.mono.since(at)
}
