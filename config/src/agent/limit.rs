//! Limits and channel preferences: parameters are named by label, reference identifier or code.

use super::keys;
use crate::problem::{Problems, nearest};
use crate::rule::{self, parameters_of};
use crate::section::{Section, subtables};
use cotside_protocol::model::{Code, Limit, LimitSet, LimitSide, parameter};
use toml::de::DeTable;

/// Which link's channel of a parameter is shown and watched, best first; links by position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preference {
    pub code: Code,
    pub links: Vec<u8>,
}

/// Everything that the engine watches beyond the technical, as the file has it.
pub(super) fn set(problems: &mut Problems<'_>, root: &DeTable<'_>) -> LimitSet {
    let mut limits: Vec<Limit> = Vec::new();
    for placed in rule::limits(problems, root, keys::LIMIT) {
        for limit in placed.rules {
            let same = |other: &Limit| {
                (other.code, other.side, other.priority) == (limit.code, limit.side, limit.priority)
            };
            if limits.iter().any(same) {
                let name = if limit.side == LimitSide::Low { "low" } else { "high" };
                let label = parameter(limit.code).map_or("this parameter", |row| row.label);
                let words = format!("{label} has a {name} limit of this priority already");
                problems.at(placed.section.at(name), words);
                continue;
            }
            limits.push(limit);
        }
    }
    let rates = rule::rates(problems, root, keys::RATE);
    LimitSet {
        version: 0,
        limits,
        rates: rates.into_iter().flat_map(|placed| placed.rules).collect(),
        apnoea: rule::apnoea(problems, root, keys::APNOEA).map(|(_, rule)| rule),
        combined: rule::combined(problems, root, keys::COMBINED).map(|(_, rule)| rule),
    }
}

pub(super) fn preferences(
    problems: &mut Problems<'_>,
    root: &DeTable<'_>,
    names: &[&str],
) -> Vec<Preference> {
    let mut preferences = Vec::new();
    for (span, table) in subtables(problems, root, "prefer") {
        let section = Section::read(problems, "[[prefer]]", span, table, keys::PREFER);
        let rows = parameters_of(problems, &section);
        let mut links = Vec::new();
        for name in section.texts("links").unwrap_or_default() {
            match names.iter().position(|known| known == name).and_then(|at| u8::try_from(at).ok()) {
                Some(link) => links.push(link),
                None => {
                    let hint = nearest(name, names.iter().copied()).map_or_else(
                        || "there is no such link".to_owned(),
                        |meant| format!("did you mean \"{meant}\"?"),
                    );
                    problems.at(section.at("links"), format!("links: \"{name}\": {hint}"));
                }
            }
        }
        preferences.extend(rows.iter().map(|row| Preference { code: row.code, links: links.clone() }));
    }
    preferences
}
