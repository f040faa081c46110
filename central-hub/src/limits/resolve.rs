//! Profile, age, oxygen and what was changed for this patient become one concrete set.
//!
//! Whatever was changed, extremes stay and nothing contradicts: a change that does not fit is refused when a person makes it, and set
//! aside, with words, when the profile or the age came to be another one under it.

use super::change::Change;
use cotside_config::profile::{Circumstances, Profile, quarrel};
use cotside_protocol::model::{Code, Decimal, Envelope, Limit, LimitSet, LimitSide, beyond, parameter};
use cotside_protocol::wire::convert;
use cotside_protocol::wire::downstream::Side;
use std::collections::BTreeSet;
use std::time::Duration;

/// The wait of a limit that no profile has, until a person gives it one.
const DELAY: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// Without a number.
    pub set: LimitSet,
    /// One for each of its limits.
    pub lines: Vec<Line>,
    /// What the profile has and is switched off.
    pub off: Vec<(Limit, i64)>,
    /// The changes that switched it off, by position.
    off_by: Vec<usize>,
    /// Changes by position that do not fit, and why.
    pub aside: Vec<(usize, String)>,
}

/// Where a limit of the set comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub limit: Limit,
    /// What the profile says in its place.
    pub usual: Option<Limit>,
    pub source: String,
    /// The change that made it, by position.
    change: Option<usize>,
}

impl Line {
    pub fn is_changed(&self) -> bool {
        self.change.is_some()
    }
}

impl Resolved {
    /// Whether a change makes any difference.
    pub fn has_effect(&self, change: usize) -> bool {
        self.off_by.contains(&change) || self.lines.iter().any(|line| line.change == Some(change))
    }

    /// What is other than in the profile, in words.
    pub fn deviations(&self) -> Vec<String> {
        let changed = self.lines.iter().filter(|line| line.is_changed()).map(|line| {
            let limit = &line.limit;
            match &line.usual {
                None => format!("{} {} added", name(limit), limit.threshold),
                Some(usual) if usual.threshold != limit.threshold => {
                    format!("{} {} instead of {}", name(limit), limit.threshold, usual.threshold)
                }
                Some(usual) => {
                    format!("{} after {:?} instead of {:?}", name(limit), limit.delay, usual.delay)
                }
            }
        });
        let off = self.off.iter().map(|(limit, _)| format!("{} {} off", name(limit), limit.threshold));
        let aside = self.aside.iter().map(|(_, words)| format!("set aside: {words}"));
        changed.chain(off).chain(aside).collect()
    }
}

impl Resolved {
    /// What is other than before, in words.
    pub fn differences(&self, before: &Self) -> Vec<String> {
        let key = |line: &Line| (line.limit.code, line.limit.side, line.limit.priority);
        let mut words = Vec::new();
        for line in &self.lines {
            let name = name(&line.limit);
            match before.lines.iter().find(|other| key(other) == key(line)) {
                Some(other) if other.limit.threshold != line.limit.threshold => {
                    words.push(format!("{name} {} to {}", other.limit.threshold, line.limit.threshold));
                }
                Some(other) if other.limit != line.limit => words.push(name),
                Some(_) => {}
                None => words.push(format!("{name} {} is new", line.limit.threshold)),
            }
        }
        let is_gone = |line: &&Line| self.lines.iter().all(|other| key(other) != key(line));
        let gone = before.lines.iter().filter(is_gone);
        words.extend(gone.map(|line| format!("{} {} ends", name(&line.limit), line.limit.threshold)));
        words
    }
}

pub fn name(limit: &Limit) -> String {
    let label = parameter(limit.code).map_or_else(|| limit.code.0.to_string(), |row| row.label.to_owned());
    match limit.side {
        LimitSide::Low => format!("{label} low"),
        LimitSide::High => format!("{label} high"),
    }
}

pub fn resolve(
    profile: &Profile,
    at: &Circumstances,
    changes: &[Change],
    now_ms: i64,
    envelope: &Envelope,
) -> Resolved {
    let usual = profile.set_at(at);
    let mut skipped = BTreeSet::new();
    let mut aside = Vec::new();
    // Each round sets at least one change aside, and without any the profile stands, which is sound.
    loop {
        let (lines, off, mut wrong) = apply(profile, at, changes, &skipped, now_ms);
        if wrong.is_empty() {
            wrong = quarrels(&lines);
        }
        let set = LimitSet { limits: lines.iter().map(|line| line.limit.clone()).collect(), ..usual.clone() };
        let is_changed = !off.is_empty() || lines.iter().any(Line::is_changed);
        if wrong.is_empty() && is_changed {
            let all = || (0..changes.len()).filter(|at| !skipped.contains(at));
            let breaches = envelope.breaches(&set);
            wrong = breaches
                .first()
                .map(|words| all().map(|at| (at, words.clone())).collect())
                .unwrap_or_default();
        }
        if wrong.is_empty() {
            let (off, off_by) = off.into_iter().map(|(limit, until, by)| ((limit, until), by)).unzip();
            return Resolved { set, lines, off, off_by, aside };
        }
        skipped.extend(wrong.iter().map(|(at, _)| *at));
        aside.extend(wrong);
    }
}

type Applied = (Vec<Line>, Vec<(Limit, i64, usize)>, Vec<(usize, String)>);

fn apply(
    profile: &Profile,
    at: &Circumstances,
    changes: &[Change],
    skipped: &BTreeSet<usize>,
    now_ms: i64,
) -> Applied {
    let rows = profile.limits_at(at);
    let mut lines: Vec<Line> = rows
        .map(|row| Line {
            limit: row.rule.clone(),
            usual: Some(row.rule.clone()),
            source: row.source.clone(),
            change: None,
        })
        .collect();
    let (mut off, mut wrong) = (Vec::new(), Vec::new());
    for (number, change) in changes.iter().enumerate().filter(|(number, _)| !skipped.contains(number)) {
        let found = lines.iter().position(|line| is_about(change, &line.limit));
        let is_off = change.off_until_ms.is_some_and(|until| until > now_ms);
        let outcome = match found {
            Some(at) if is_off && lines[at].limit.extreme => {
                Err("an extreme cannot be switched off".to_owned())
            }
            Some(at) if is_off => {
                off.push((lines.remove(at).limit, change.off_until_ms.unwrap_or_default(), number));
                Ok(())
            }
            Some(at) => alter(profile, &mut lines[at], number, change),
            // What is off, or was, and has no place in the profile is simply not there.
            None if is_off || change.threshold.is_none() && change.off_until_ms.is_some() => Ok(()),
            None => added(profile, number, change).map(|line| lines.push(line)),
        };
        if let Err(words) = outcome {
            let label = parameter(Code(change.code)).map_or("a parameter", |row| row.label);
            wrong.push((number, format!("{label}: {words}")));
        }
    }
    (lines, off, wrong)
}

fn alter(profile: &Profile, line: &mut Line, number: usize, change: &Change) -> Result<(), String> {
    let limit = &mut line.limit;
    let before = limit.clone();
    if let Some(threshold) = change.threshold.as_deref() {
        let threshold = Decimal::parse(threshold).ok_or("its threshold is no number")?;
        if limit.extreme && beyond(threshold, limit.threshold, limit.side) {
            return Err(format!("an extreme may only be nearer than {}", limit.threshold));
        }
        limit.threshold = threshold;
    }
    if let Some(delay) = change.delay_ms.map(Duration::from_millis) {
        if limit.extreme && delay > limit.delay {
            return Err(format!("an extreme may only be told sooner than after {:?}", limit.delay));
        }
        limit.delay = delay;
        if let Some(depth) = &mut limit.depth {
            depth.delay = depth.delay.min(delay);
        }
    }
    within_budget(profile, limit)?;
    if *limit != before {
        line.change = Some(number);
    }
    Ok(())
}

fn added(profile: &Profile, number: usize, change: &Change) -> Result<Line, String> {
    let row = parameter(Code(change.code)).ok_or("it is not known")?;
    let threshold =
        change.threshold.as_deref().ok_or("the profile has no such limit, so it needs a threshold")?;
    let threshold = Decimal::parse(threshold).ok_or("its threshold is no number")?;
    let side = side(change.side);
    let limit = Limit {
        delay: change.delay_ms.map_or(DELAY, Duration::from_millis),
        priority: convert::priority_of(change.priority),
        ..Limit::plain(row.code, side, threshold, row.ucum)
    };
    within_budget(profile, &limit)?;
    Ok(Line { limit, usual: None, source: String::new(), change: Some(number) })
}

/// H10: with what the device has averaged already.
fn within_budget(profile: &Profile, limit: &Limit) -> Result<(), String> {
    match profile.averaging(limit.code) {
        Some(device) if device.time + limit.delay > device.budget => Err(format!(
            "the device averages {:?}, with a delay of {:?} that is more than the budget, {:?}",
            device.time, limit.delay, device.budget
        )),
        _ => Ok(()),
    }
}

/// Contradictions between two limits of which at least one was changed; the changed one is to blame.
fn quarrels(lines: &[Line]) -> Vec<(usize, String)> {
    let mut wrong: Vec<(usize, String)> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        for other in &lines[..at] {
            let Some(words) = quarrel(&other.limit, &line.limit) else { continue };
            let Some(blamed) = line.change.or(other.change) else { continue };
            if wrong.iter().all(|(known, _)| *known != blamed) {
                wrong.push((blamed, words));
            }
        }
    }
    wrong
}

fn is_about(change: &Change, limit: &Limit) -> bool {
    Code(change.code) == limit.code
        && side(change.side) == limit.side
        && convert::priority_of(change.priority) == limit.priority
}

const fn side(side: Side) -> LimitSide {
    match side {
        Side::Low => LimitSide::Low,
        Side::High => LimitSide::High,
    }
}
