//! Completeness of a bed by day, lane and link, and of a unit's day by bed.

use super::account::{Account, Cause, Evidence, NOT_OFFERED};
use super::follow::DAY_S;
use super::gaps::{GAPS_MAX, GapView};
use super::seconds::Seconds;
use crate::people::Date;
use crate::store::agents::{self, Assignment};
use crate::store::derived;
use cotside_protocol::model::Wall;
use cotside_protocol::wire::topic::Lane;
use rusqlite::Connection;
use serde::Serialize;
use std::collections::BTreeMap;

/// What lies this close before or after a day decides about its first and last seconds.
const MARGIN_S: i64 = 300;
/// The words of the two parts of an account that no gap record names.
const WAITING: &str = "waiting";
const UNEXPLAINED: &str = "unexplained";

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DayReport {
    pub day: String,
    /// Seconds in which an agent served the bed and had been heard of.
    pub expected_s: u64,
    pub lanes: Vec<LaneReport>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaneReport {
    pub lane: &'static str,
    /// None: no link of this bed is known.
    pub link: Option<u8>,
    pub device: Option<String>,
    #[serde(flatten)]
    pub sums: Sums,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BedReport {
    pub bed: String,
    pub expected_s: u64,
    #[serde(flatten)]
    pub sums: Sums,
}

/// An account in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    pub received_s: u64,
    pub missing: BTreeMap<Cause, u64>,
    pub waiting_s: u64,
    pub unexplained_s: u64,
}

impl Sums {
    fn of(account: &Account) -> Self {
        let missing = account.missing.iter().map(|(cause, seconds)| (cause.clone(), seconds.count()));
        Self {
            received_s: account.received.count(),
            missing: missing.collect(),
            waiting_s: account.waiting.count(),
            unexplained_s: account.unexplained.count(),
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.received_s += other.received_s;
        self.waiting_s += other.waiting_s;
        self.unexplained_s += other.unexplained_s;
        for (cause, seconds) in &other.missing {
            *self.missing.entry(cause.clone()).or_default() += seconds;
        }
    }

    pub fn total(&self) -> u64 {
        self.received_s + self.missing.values().sum::<u64>() + self.waiting_s + self.unexplained_s
    }
}

/// The account of a bed over some days.
#[derive(Default)]
struct Book {
    expected: Seconds,
    lines: BTreeMap<(Lane, Option<u8>), Line>,
}

#[derive(Default)]
struct Line {
    device: Option<String>,
    account: Account,
    /// Seconds that speak of this link and no other.
    evidence: Seconds,
}

/// One report a day, `first` to `last`. `now` is where the expectation ends.
pub fn completeness_of_bed(
    connection: &Connection,
    bed: &str,
    (first, last): (Date, Date),
    now: Wall,
) -> rusqlite::Result<Vec<DayReport>> {
    let book = Book::draw_up(connection, bed, (first, last), now)?;
    let days = (first.number()..=last.number()).map(|day| {
        let span = span_of(day);
        let lines = book.lines_of(&span).map(|(&(lane, link), line)| LaneReport {
            lane: lane.name(),
            link,
            device: line.device.clone(),
            sums: Sums::of(&line.account.within(&span)),
        });
        DayReport {
            day: Date::from_number(day).to_string(),
            expected_s: book.expected.and(&span).count(),
            lanes: lines.collect(),
        }
    });
    Ok(days.collect())
}

/// One report a bed.
pub fn completeness_of_unit(
    connection: &Connection,
    beds: &[String],
    day: Date,
    now: Wall,
) -> rusqlite::Result<Vec<BedReport>> {
    let span = span_of(day.number());
    let mut reports = Vec::with_capacity(beds.len());
    for bed in beds {
        let book = Book::draw_up(connection, bed, (day, day), now)?;
        let expected = book.expected.and(&span);
        let all = Account::of_all(&expected, book.lines_of(&span).map(|(_, line)| &line.account));
        reports.push(BedReport { bed: bed.clone(), expected_s: expected.count(), sums: Sums::of(&all) });
    }
    Ok(reports)
}

/// The stretches of a bed's account that are not received, by what they are called there: a cause, `waiting` for what an agent
/// may still bring, `unexplained` for what nobody can account for. In the shape of gaps, sorted by begin. Where a gap record and
/// data claim the same second, there is data.
pub fn holes_of_bed(
    connection: &Connection,
    bed: &str,
    (from, to): (Wall, Wall),
    lane: Lane,
    now: Wall,
) -> rusqlite::Result<Vec<GapView>> {
    let days = (Date::of(from), Date::of(to));
    let book = Book::draw_up(connection, bed, days, now)?;
    let window = Seconds::touched(from.0, to.0);
    let mut holes: BTreeMap<(Option<u8>, &str), Seconds> = BTreeMap::new();
    let mut devices: BTreeMap<Option<u8>, &Option<String>> = BTreeMap::new();
    for day in days.0.number()..=days.1.number() {
        let day = span_of(day);
        let span = day.and(&window);
        for (&(_, link), line) in book.lines_of(&day).filter(|((of, _), _)| *of == lane) {
            let Account { missing, waiting, unexplained, .. } = &line.account;
            let missing = missing.iter().filter(|(cause, _)| *cause != NOT_OFFERED);
            let named = missing.map(|(cause, seconds)| (cause.as_str(), seconds));
            for (cause, seconds) in named.chain([(WAITING, waiting), (UNEXPLAINED, unexplained)]) {
                holes.entry((link, cause)).or_default().add(&seconds.and(&span));
            }
            devices.insert(link, &line.device);
        }
    }
    let mut views = Vec::new();
    for ((link, cause), seconds) in &holes {
        views.extend(seconds.ranges().iter().map(|(from, to)| GapView {
            from_ms: from.saturating_mul(1000),
            to_ms: to.saturating_mul(1000),
            cause: (*cause).to_owned(),
            lane: lane.name(),
            link: *link,
            device: devices.get(link).and_then(|device| (*device).clone()),
            count: None,
        }));
    }
    views.sort_by_key(|view| view.from_ms);
    views.truncate(GAPS_MAX);
    Ok(views)
}

fn span_of(day: i64) -> Seconds {
    Seconds::of(day * DAY_S, (day + 1) * DAY_S)
}

impl Book {
    fn draw_up(
        connection: &Connection,
        bed: &str,
        (first, last): (Date, Date),
        now: Wall,
    ) -> rusqlite::Result<Self> {
        let days = (first.number(), last.number());
        let window = Seconds::of(days.0 * DAY_S - MARGIN_S, (days.1 + 1) * DAY_S + MARGIN_S);
        let mut expected: BTreeMap<String, Seconds> = BTreeMap::new();
        for Assignment { agent, from, to, .. } in agents::assignments(connection, bed)? {
            let spans = derived::spans(connection, &agent, Lane::Numeric)?;
            // Before its first row nothing was heard of it.
            let Some((begin, _)) = spans.first() else { continue };
            let (from, to) = (from.max(*begin), to.map_or(now, |to| to.min(now)));
            let whole = Seconds::whole(from.0, to.0);
            expected.entry(agent).or_default().add(&whole.and(&window));
        }
        let mut book = Self::default();
        for (agent, expected) in expected.iter().filter(|(_, expected)| !expected.is_empty()) {
            book.enter(connection, agent, expected, &window, days)?;
        }
        // What one agent of this bed has, another may not have had.
        for (lane_and_link, line) in &mut book.lines {
            let account = &line.account;
            let mut known = account.received.clone();
            known.add(&account.waiting);
            known.add(&account.unexplained);
            account.missing.values().for_each(|seconds| known.add(seconds));
            let others = book.expected.without(&known);
            debug_assert!(others.is_empty() || expected.len() > 1, "{lane_and_link:?}");
            line.account.miss(NOT_OFFERED, &others);
        }
        Ok(book)
    }

    /// Takes down what one agent brought to the bed.
    fn enter(
        &mut self,
        connection: &Connection,
        agent: &str,
        expected: &Seconds,
        window: &Seconds,
        days: (i64, i64),
    ) -> rusqlite::Result<()> {
        self.expected.add(expected);
        let mut heard: BTreeMap<(Lane, u8), Seconds> = BTreeMap::new();
        for day in days.0 - 1..=days.1 + 1 {
            for (lane_and_link, seconds) in derived::heard(connection, agent, day)? {
                heard.entry(lane_and_link).or_default().add(&seconds.and(window));
            }
        }
        heard.retain(|_, seconds| !seconds.is_empty());
        let micros = |second: i64| Wall(second.saturating_mul(1_000_000));
        let (from, to) = window.ranges().first().copied().unwrap_or_default();
        let gaps = derived::gaps(connection, agent, micros(from), micros(to))?;
        let names = derived::links(connection, agent)?;
        let outbox = derived::outbox(connection, agent)?;

        let mut lines: Vec<(Lane, Option<u8>)> =
            heard.keys().map(|&(lane, link)| (lane, Some(link))).collect();
        lines.extend(gaps.iter().filter(|gap| gap.link.is_some()).map(|gap| (gap.lane, gap.link)));
        lines.retain(|(lane, _)| *lane != Lane::Alarm);
        if lines.is_empty() {
            lines.extend(names.keys().map(|link| (Lane::Numeric, Some(*link))));
        }
        if lines.is_empty() {
            lines.push((Lane::Numeric, None));
        }
        lines.sort_unstable();
        lines.dedup();

        let none = Seconds::default();
        let mut unbroken = BTreeMap::new();
        for lane in [Lane::Numeric, Lane::Waveform] {
            let mut all = Seconds::default();
            derived::spans(connection, agent, lane)?
                .iter()
                .for_each(|(from, to)| all.add(&Seconds::whole(from.0, to.0).and(window)));
            unbroken.insert(lane, all);
        }
        for (lane, link) in lines {
            let mut own = BTreeMap::<Cause, Seconds>::new();
            let mut evidence = Seconds::default();
            for gap in &gaps {
                // A link that is down brings no waveform either.
                let is_of_link = gap.link.is_some() && gap.link == link;
                let concerns = (gap.lane == lane && gap.link.is_none())
                    || (is_of_link && (gap.lane == lane || gap.lane == Lane::Numeric));
                if concerns {
                    let seconds = Seconds::touched(gap.from.0, gap.to.0).and(window);
                    if is_of_link {
                        evidence.add(&seconds);
                    }
                    own.entry(gap.cause.clone()).or_default().add(&seconds);
                }
            }
            let of = |lane| link.and_then(|link| heard.get(&(lane, link))).unwrap_or(&none);
            evidence.add(of(lane));
            // Numerics come first in the order of lanes.
            let numerics = self.lines.get(&(Lane::Numeric, link)).map(|line| line.account.received.clone());
            let account = Account::of(&Evidence {
                expected,
                heard: of(lane),
                gaps: &own,
                unbroken: unbroken.get(&lane).unwrap_or(&none),
                outbox,
                live: numerics.as_ref().filter(|_| lane == Lane::Waveform),
            });
            let line = self.lines.entry((lane, link)).or_default();
            line.account.add(&account);
            line.evidence.add(&evidence);
            line.device = link.and_then(|link| names.get(&link).cloned()).or(line.device.take());
        }
        Ok(())
    }

    /// The lines that a day speaks of; a day that speaks of none, since the agent was away, has them all.
    fn lines_of(
        &self,
        span: &Seconds,
    ) -> impl Iterator<Item = (&(Lane, Option<u8>), &Line)> + Clone + use<'_> {
        let has = |line: &Line| !line.evidence.and(span).is_empty();
        let is_silent = !self.lines.values().any(has);
        let is_expected = !self.expected.and(span).is_empty();
        let span = span.clone();
        self.lines
            .iter()
            .filter(move |(_, line)| is_expected && (is_silent || !line.evidence.and(&span).is_empty()))
    }
}
