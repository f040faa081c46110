//! What is true: who said what when, who could hear it, what was promised; and whether the hub's archive agrees.
//!
//! A line that a session heard is at the hub exactly once, or its agent died within the loss window after it, or its row was
//! dropped by a policy that was in force. A line that no session could hear is at the hub never. Whatever is missing stands in a gap
//! record whose cause is what happened. A row that the store has told of is at the hub, byte for byte, or in the gap record that
//! replaced it.

use super::bed::BedWorld;
use super::*;
use crate::counting::Counter;
use crate::ledger::cause_name;
use cotside_edge_agent::row::FromStore;
use cotside_protocol::wire::block::{Body, Epoch, Gap, GapCause};
use cotside_protocol::wire::topic::Lane;
use std::collections::{BTreeMap, HashMap};

/// Clocks are read at the begin of a block and rounded.
const TOLERANCE: i64 = 20_000;
/// A line is on its way through network and hub for no longer than this, after its window.
const SETTLED: Duration = Duration::from_secs(5);
/// A moment is written down at least this often.
const BEAT_US: u64 = 10_000_000;
/// A link that was pulled is opened again within this, and heard and told of in the next turn of device and harness.
const REPLUG_US: u64 = 2_500_000;
/// Rows that are written together may stand in either order.
const TOGETHER: usize = 3;

/// One line of the counting oximeter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) at: Mono,
    /// What the agent's clock said then.
    pub(super) wall: Wall,
    pub(super) fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// By the session of this life of the agent.
    Heard(u32),
    /// The agent ran, and its link was not open.
    NotConnected,
    AgentDown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    Killed,
    PowerCut,
    Stopped,
}

/// One life of an agent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    born: Mono,
    died: Option<Mono>,
    pub(super) death: Option<Death>,
    /// Its store was opened.
    pub(super) has_opened: bool,
    /// What it left on disk is no store.
    pub(super) left_damage: bool,
    /// What it wrote since then was taken back by its disk.
    pub(super) lost_since: Option<Mono>,
}

impl Life {
    pub(super) fn begin(born: Mono) -> Self {
        Self { born, died: None, death: None, has_opened: false, left_damage: false, lost_since: None }
    }

    pub(super) fn end(&mut self, at: Mono, how: Death) {
        (self.died, self.death) = (Some(at), Some(how));
    }

    /// From when on nothing of it need be on disk.
    fn safe_until(&self, weather: &Weather) -> Mono {
        if self.death == Some(Death::Stopped) {
            return NEVER;
        }
        let died = self.died.unwrap_or(NEVER);
        let window = (weather.loss_window + 2 * weather.step).as_micros() as u64;
        let window = Mono(died.0.saturating_sub(window));
        match (self.left_damage, self.lost_since) {
            (true, _) => Mono(0),
            (false, Some(since)) => since.min(window),
            (false, None) => window,
        }
    }
}

/// Every row that the store has told of, by what became of it.
#[derive(Default)]
pub(super) struct Committed {
    epoch: u64,
    rows: HashMap<(u64, Lane, u64), (u32, Mono)>,
    dropped: bool,
}

impl Committed {
    pub(super) fn begin(&mut self, epoch: Epoch) {
        self.epoch = epoch.0;
    }

    pub(super) fn hear(&mut self, now: Mono, told: &FromStore) {
        match told {
            FromStore::Log(log) => self.epoch = log.epoch.0,
            FromStore::Dropped { .. } => self.dropped = true,
            FromStore::Stored(rows) => {
                for row in rows {
                    self.rows.insert((self.epoch, row.lane, row.seq), (blocks::digest(&row.bytes), now));
                }
            }
            _ => {}
        }
    }
}

/// The hub's archive of one bed against what is true of it.
pub(super) struct Trial<'a> {
    bed: &'a BedWorld,
    archive: &'a Archive,
    weather: &'a Weather,
    end: Mono,
    said: &'a [Said],
    pulls: &'a [(Mono, Mono)],
    gaps: Vec<(usize, &'a Gap)>,
    has_clock_jumps: bool,
}

impl<'a> Trial<'a> {
    pub(super) fn new(
        bed: &'a BedWorld,
        archive: &'a Archive,
        weather: &'a Weather,
        end: Mono,
        has_clock_jumps: bool,
    ) -> Option<Self> {
        let count = bed.lines.iter().find_map(|line| line.count())?;
        let gaps = archive.blocks.iter().enumerate().filter_map(|(at, block)| match &block.body {
            // Other links have cables of their own.
            Body::Gap(gap) if block.header.lane == Lane::Numeric && gap.link.is_none_or(|link| link == 0) => {
                Some((at, gap))
            }
            _ => None,
        });
        let (said, pulls) = (&count.said[..], &count.pulls[..]);
        Some(Self { bed, archive, weather, end, said, pulls, gaps: gaps.collect(), has_clock_jumps })
    }

    pub(super) fn hold(&self, broken: &mut Vec<String>) -> Ledger {
        let mut ledger = Ledger::default();
        let mut fail = |words: String| broken.push(format!("{}: {words}", self.bed.id));
        let places = self.look_through(&mut ledger, &mut fail);
        let settled = self.settled();
        let due = self.said.partition_point(|said| said.at < settled);
        ledger.sent = due as u64;
        // Before its first start that was not cut short, there was no agent to hear anything.
        let first = self.bed.lives.iter().find(|life| life.has_opened).map_or(NEVER, |life| life.born);
        for (number, said) in self.said[..due].iter().enumerate() {
            match places[number].0 {
                0 if said.at < first => ledger.sent -= 1,
                0 => self.account_for(number, said, &places, &mut ledger, &mut fail),
                1 => ledger.once += 1,
                _ => ledger.twice += 1,
            }
        }
        self.rows_are_there(&mut fail);
        if !self.has_clock_jumps {
            self.gaps_are_true(&mut fail);
        }
        ledger
    }

    /// What was said before has had the time to arrive.
    fn settled(&self) -> Mono {
        Mono(self.end.0 - (SETTLED + self.weather.loss_window).as_micros() as u64)
    }

    /// The device's turn and the harness's: a link's state is as old as that.
    fn turn_us(&self) -> u64 {
        (self.weather.line_every + self.weather.house_every).as_micros() as u64
    }

    /// How often each line is in the archive, and in which block it was last.
    fn look_through(&self, ledger: &mut Ledger, fail: &mut dyn FnMut(String)) -> Vec<(u32, usize)> {
        let mut places = vec![(0, 0); self.said.len()];
        let mut counter = Counter::default();
        let mut last: Option<(u64, u64)> = None;
        for (at, block) in self.archive.blocks.iter().enumerate() {
            let Body::Numerics(samples) = &block.body else { continue };
            for sample in samples {
                let wall = block.header.wall.0 + i64::from(sample.at_us);
                let Some(number) = counter.hear(wall, sample) else { continue };
                let said = usize::try_from(number).ok().and_then(|number| self.said.get(number));
                let Some(said) = said.filter(|said| matches!(said.fate, Fate::Heard(_))) else {
                    ledger.invented += 1;
                    fail(format!("line {number} is at the hub, and no session ever heard it"));
                    continue;
                };
                if !self.has_clock_jumps && (wall - said.wall.0).abs() > TOLERANCE {
                    ledger.invented += 1;
                    fail(format!("line {number} was heard at {} and is dated {wall}", said.wall.0));
                }
                let epoch = block.header.epoch.0;
                if last.is_some_and(|(of, before)| of == epoch && before >= number) {
                    fail(format!("line {number} stands after line {last:?}: not the order of measurement"));
                }
                last = Some((epoch, number));
                let place = &mut places[number as usize];
                *place = (place.0 + 1, at);
            }
        }
        places
    }

    fn account_for(
        &self,
        number: usize,
        said: &Said,
        places: &[(u32, usize)],
        ledger: &mut Ledger,
        fail: &mut dyn FnMut(String),
    ) {
        let mut covered = None;
        for (_, gap) in self.gaps.iter().filter(|(at, gap)| self.covers(*at, gap, number, said, places)) {
            if self.explains(gap, said) {
                *ledger.gaps.entry(cause_name(gap.cause)).or_default() += 1;
                return;
            }
            covered = Some(gap.cause);
        }
        ledger.lost.push(number as u64);
        let life = self.bed.lives.iter().rposition(|life| life.born <= said.at);
        let words = format!(
            "line {number} of {} ({:?}, life {life:?}: {:?}) is missing",
            said.at.0,
            said.fate,
            life.map(|life| self.bed.lives[life])
        );
        match covered {
            Some(cause) => fail(format!("{words}, and its gap's cause is not true: {}", cause_name(cause))),
            None => fail(format!("{words}, and no gap says why")),
        }
    }

    fn covers(&self, at: usize, gap: &Gap, number: usize, said: &Said, places: &[(u32, usize)]) -> bool {
        if (gap.from.0 - TOLERANCE..=gap.to.0 + TOLERANCE).contains(&said.wall.0) {
            return true;
        }
        if !self.has_clock_jumps {
            return false;
        }
        // Dates mean nothing across a jump: what the log lost is said whenever that was found, all else stands
        // between the neighbours that are there.
        let before = places[..number].iter().rev().find(|place| place.0 > 0).map_or(0, |place| place.1);
        let after = places[number + 1..].iter().find(|place| place.0 > 0).map_or(usize::MAX, |place| place.1);
        let (from, to) = (before.min(after), before.max(after));
        if gap.cause == GapCause::StoreLost && at + TOGETHER >= from {
            return true;
        }
        (from.saturating_sub(TOGETHER)..=to.saturating_add(TOGETHER)).contains(&at)
    }

    /// Is the gap's cause what happened to this line?
    fn explains(&self, gap: &Gap, said: &Said) -> bool {
        let lives = &self.bed.lives;
        let before = lives.iter().rfind(|life| life.born <= said.at);
        match gap.cause {
            GapCause::AgentDown => match said.fate {
                Fate::AgentDown => true,
                Fate::Heard(life) => said.at >= self.safe_until(life as usize),
                Fate::NotConnected => before.is_some_and(|life| self.is_around_death(life, said.at)),
            },
            GapCause::CableOut | GapCause::DeviceSilent => {
                !matches!(said.fate, Fate::Heard(_))
                    && self
                        .pulls
                        .iter()
                        .any(|(from, to)| (from.0..=to.0 + REPLUG_US + self.turn_us()).contains(&said.at.0))
            }
            GapCause::DroppedByPolicy => self.bed.committed.dropped,
            GapCause::StoreLost => self.has_lost_rows(),
            GapCause::Undecodable | GapCause::ClockStep | GapCause::WrongDevice => false,
        }
    }

    /// From when on nothing that this life heard need be on disk: it died, or a disk took it back later.
    fn safe_until(&self, life: usize) -> Mono {
        let window = self.weather.loss_window.as_micros() as u64;
        let later = self.bed.lives[life..].iter().filter_map(|life| life.lost_since);
        let later = later.map(|since| Mono(since.0 - window));
        later.fold(self.bed.lives[life].safe_until(self.weather), Mono::min)
    }

    fn is_around_death(&self, life: &Life, at: Mono) -> bool {
        let window = (self.weather.loss_window + self.weather.house_every).as_micros() as u64;
        life.died.is_some_and(|died| at.0 + window + BEAT_US + 100_000 >= died.0)
    }

    /// A disk took back rows of this bed: others may then lack their key frame.
    pub(super) fn has_lost_rows(&self) -> bool {
        self.bed.lives.iter().any(|life| life.left_damage || life.lost_since.is_some())
    }

    /// Every gap record is about something that happened.
    fn gaps_are_true(&self, fail: &mut dyn FnMut(String)) {
        let world = |wall: Wall| (wall.0 - START.wall.0 + START.mono.0.cast_signed()).max(0).cast_unsigned();
        for (_, gap) in &self.gaps {
            let (from, to) = (world(gap.from), world(gap.to));
            let is_true = match gap.cause {
                GapCause::AgentDown => {
                    let window = (self.weather.loss_window + self.weather.house_every).as_micros() as u64;
                    self.bed.lives.windows(2).any(|pair| {
                        let died = pair[0].died.unwrap_or(NEVER).0;
                        let earliest = died.saturating_sub(window + BEAT_US + 1_100_000);
                        let earliest = pair[0].lost_since.map_or(earliest, |since| {
                            earliest.min(since.0.saturating_sub(window + BEAT_US + 1_100_000))
                        });
                        // A start that was cut short may have written nothing: the next one's gap begins before it.
                        let earliest = if died < pair[0].born.0 + BEAT_US { 0 } else { earliest };
                        from >= earliest && to <= pair[1].born.0 + 1000
                    })
                }
                GapCause::CableOut | GapCause::DeviceSilent => self.outages().any(|(begin, end)| {
                    let back = end.0 + REPLUG_US + self.turn_us();
                    from + self.turn_us() >= begin.0 && self.while_it_ran(to) <= back
                }),
                GapCause::ClockStep | GapCause::Undecodable | GapCause::WrongDevice => false,
                GapCause::DroppedByPolicy => self.bed.committed.dropped,
                GapCause::StoreLost => self.has_lost_rows(),
            };
            if !is_true {
                fail(format!(
                    "a gap from {from} to {to} gives a cause that is not true: {}",
                    cause_name(gap.cause)
                ));
            }
        }
    }

    /// The cable's pulls; one that follows before the device could come back is the same outage.
    fn outages(&self) -> impl Iterator<Item = (Mono, Mono)> {
        let mut joined: Vec<(Mono, Mono)> = Vec::new();
        for &(begin, end) in self.pulls {
            match joined.last_mut() {
                Some(last) if begin.0 <= last.1.0 + REPLUG_US + self.turn_us() => last.1 = end,
                _ => joined.push((begin, end)),
            }
        }
        joined.into_iter()
    }

    /// This instant, or the end of the last life before it: what a link's gap says of the time after that, nobody can know, and a
    /// gap of the agent's own stands beside it.
    fn while_it_ran(&self, at: u64) -> u64 {
        // A life that ended before the device could come back has seen nothing of it either.
        let long = REPLUG_US + self.turn_us();
        let saw = |life: &&Life| life.has_opened && life.died.is_none_or(|died| died.0 - life.born.0 > long);
        let before = self.bed.lives.iter().filter(saw).rfind(|life| life.born.0 < at);
        before.and_then(|life| life.died).map_or(at, |died| died.0.min(at))
    }

    /// Every row that the store has told of is at the hub as it was told, or in the record that replaced it.
    fn rows_are_there(&self, fail: &mut dyn FnMut(String)) {
        let mut held: HashMap<(u64, Lane, u64), u32> = HashMap::new();
        let mut replaced: BTreeMap<(u64, Lane, u64), (u64, GapCause)> = BTreeMap::new();
        for (block, digest) in self.archive.blocks.iter().zip(&self.archive.digests) {
            let key = (block.header.epoch.0, block.header.lane, block.header.seq);
            held.insert(key, *digest);
            if let Body::Gap(Gap { seqs: Some((_, end)), cause, .. }) = &block.body {
                replaced.insert(key, (*end, *cause));
            }
        }
        let settled = self.settled();
        let mut missing: BTreeMap<(u64, Lane), Vec<u64>> = BTreeMap::new();
        for (key @ (epoch, lane, seq), (digest, at)) in &self.bed.committed.rows {
            let stand_in = replaced.range(..=*key).next_back().filter(|((of, on, _), (end, cause))| {
                let may = match cause {
                    GapCause::DroppedByPolicy => *lane != Lane::Alarm && self.bed.committed.dropped,
                    _ => self.was_taken_back(*at),
                };
                (of, on) == (epoch, lane) && seq < end && may
            });
            match held.get(key) {
                Some(as_held) if as_held == digest || stand_in.is_some() => {}
                Some(_) => fail(format!("row {} {seq} is at the hub with other bytes", lane.name())),
                None if stand_in.is_some() || *at >= settled || self.was_taken_back(*at) => {}
                None => missing.entry((*epoch, *lane)).or_default().push(*seq),
            }
        }
        for ((epoch, lane), seqs) in missing {
            fail(format!(
                "rows {seqs:?} of lane {} in epoch {epoch:016x} were committed and are missing",
                lane.name()
            ));
        }
    }

    /// The disk took back what it had said it wrote then.
    fn was_taken_back(&self, at: Mono) -> bool {
        let mut lives = self.bed.lives.iter();
        lives.any(|life| {
            let died = life.died.is_some_and(|died| at <= died);
            died && (life.left_damage || life.lost_since.is_some_and(|since| at >= since))
        })
    }
}
