//! Whether a profile gives every newborn one set, and one that may be in force: all ages and therapies are tried.

use super::{Circumstances, Oxygen, Profile, Row, When, in_weeks};
use crate::problem::Problems;
use cotside_protocol::model::{Envelope, Limit, LimitSide, Priority, beyond, parameter};
use std::collections::BTreeSet;

const YOUNGEST: i64 = 20 * 7;
const OLDEST: i64 = 46 * 7;
/// A patient of this unit is two years old at most.
const GROWN: i64 = OLDEST + 731;

pub(super) fn check(problems: &mut Problems<'_>, profile: &Profile, envelope: &Envelope) {
    delays(problems, profile);
    let mut told = BTreeSet::new();
    let mut is_whole = true;
    for at in everyone(profile) {
        let rows: Vec<&Row<Limit>> = profile.limits_at(&at).collect();
        for (number, row) in rows.iter().enumerate() {
            for other in &rows[..number] {
                let Some(words) = quarrel(&other.rule, &row.rule) else { continue };
                is_whole = false;
                if told.insert((other.place.start, row.place.start, row.rule.code.0)) {
                    problems.at(&row.place, format!("{words}{}", at_age(&at)));
                }
            }
        }
    }
    if !is_whole {
        return;
    }
    let mut told = BTreeSet::new();
    for at in everyone(profile) {
        for words in envelope.breaches(&profile.set_at(&at)) {
            if told.insert(words.clone()) {
                problems.at(&(0..0), format!("{words}{}", at_age(&at)));
            }
        }
    }
}

fn at_age(at: &Circumstances) -> String {
    let oxygen = at.oxygen.name();
    format!(" (born at {}, now {}, oxygen {oxygen})", in_weeks(at.gestation_days), in_weeks(at.pma_days))
}

/// Why two rows cannot hold at once.
pub fn quarrel(one: &Limit, other: &Limit) -> Option<String> {
    if one.code != other.code {
        return None;
    }
    let label = parameter(one.code).map_or("this parameter", |row| row.label);
    let (low, high) = match (one.side, other.side) {
        (LimitSide::Low, LimitSide::High) => (one, other),
        (LimitSide::High, LimitSide::Low) => (other, one),
        _ if one.priority == other.priority => {
            return Some(format!("{label} has a limit of this side and priority already"));
        }
        _ => return disorder(one, other, label),
    };
    (low.threshold.to_f64() >= high.threshold.to_f64())
        .then(|| format!("{label}: low = {} must be below high = {}", low.threshold, high.threshold))
}

/// What alarms louder lies farther out.
fn disorder(one: &Limit, other: &Limit, label: &str) -> Option<String> {
    let (louder, quieter) = if one.priority > other.priority { (one, other) } else { (other, one) };
    let is_wrong = beyond(quieter.threshold, louder.threshold, one.side)
        || quieter.threshold.to_f64() == louder.threshold.to_f64();
    is_wrong.then(|| {
        format!(
            "{label}: {} at {} is reached before {} at {}",
            name(louder.priority),
            louder.threshold,
            name(quieter.priority),
            quieter.threshold
        )
    })
}

const fn name(priority: Priority) -> &'static str {
    match priority {
        Priority::Advisory => "advisory",
        Priority::Low => "low priority",
        Priority::Medium => "medium priority",
        Priority::High => "high priority",
    }
}

/// H10: what the device averaged and what we wait, against the budget.
fn delays(problems: &mut Problems<'_>, profile: &Profile) {
    for row in &profile.limits {
        let label = parameter(row.rule.code).map_or("this parameter", |row| row.label);
        match profile.averaging(row.rule.code) {
            None => problems.at(&row.place, format!("no [[averaging]] says what the devices delay {label}")),
            Some(device) if device.time + row.rule.delay > device.budget => problems.at(
                &row.place,
                format!(
                    "{label}: averaging {:?} and delay {:?} are more than the budget, {:?}",
                    device.time, row.rule.delay, device.budget
                ),
            ),
            Some(_) => {}
        }
    }
}

/// One newborn of every kind that the profile tells apart: at and just before each of its ages, with each therapy.
pub(super) fn everyone(profile: &Profile) -> Vec<Circumstances> {
    let limits = profile.limits.iter().map(|row| &row.when);
    let whens: Vec<&When> = limits.chain(profile.rates.iter().map(|row| &row.when)).collect();
    let points = |of: fn(&When) -> (Option<i64>, Option<i64>), oldest: i64| {
        let mut days = BTreeSet::from([YOUNGEST, oldest]);
        for when in &whens {
            let (from, below) = of(when);
            days.extend([from, below].into_iter().flatten().flat_map(|day| [day - 1, day]));
        }
        days.retain(|day| (YOUNGEST..=oldest).contains(day));
        days
    };
    let gestations = points(|when| when.gestation, OLDEST);
    // Whoever is born is as old as at birth at least.
    let mut pmas = points(|when| when.pma, GROWN);
    pmas.extend(&gestations);
    let mut all = Vec::new();
    for gestation_days in gestations {
        for pma_days in pmas.range(gestation_days..) {
            let of = |oxygen| Circumstances { gestation_days, pma_days: *pma_days, oxygen };
            all.extend(Oxygen::ALL.map(of));
        }
    }
    all
}
