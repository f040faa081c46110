//! Limits and channel preferences: parameters are named by label, reference identifier or code.

use super::keys;
use crate::problem::{Problems, nearest};
use crate::section::{Section, subtables};
use cotside_protocol::model::{Code, Limit, LimitSide, PARAMETERS, Parameter, Priority, parameter};
use toml::de::DeTable;

/// Which link's channel of a parameter is shown and watched, best first; links by position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preference {
    pub code: Code,
    pub links: Vec<u8>,
}

pub(super) fn limits(problems: &mut Problems<'_>, root: &DeTable<'_>) -> Vec<Limit> {
    let mut limits: Vec<Limit> = Vec::new();
    for (span, table) in subtables(problems, root, "limit") {
        let section = Section::read(problems, "[[limit]]", span, table, keys::LIMIT);
        let (low, high) = (section.decimal("low"), section.decimal("high"));
        if table.get("low").or(table.get("high")).is_none() {
            problems.at(&section.span, "[[limit]] needs low or high, for example low = 85");
        }
        if let (Some(low), Some(high)) = (low, high)
            && low.to_f64() >= high.to_f64()
        {
            problems.at(section.at("low"), format!("low = {low} must be below high = {high}"));
        }
        let Some(row) = parameter_of(problems, &section) else { continue };
        let (Some(delay), Some(priority)) = (section.duration("delay"), section.text("priority")) else {
            continue;
        };
        let ucum = match section.text("ucum") {
            None => row.ucum,
            Some(given) => match PARAMETERS.iter().find(|row| row.ucum == given) {
                Some(row) => row.ucum,
                None => {
                    problems.at(
                        section.at("ucum"),
                        format!("ucum: \"{given}\" is no unit of any parameter; {} is usual here", row.ucum),
                    );
                    continue;
                }
            },
        };
        let priority = match priority {
            "high" => Priority::High,
            "low" => Priority::Low,
            _ => Priority::Medium,
        };
        for (side, name, threshold) in [(LimitSide::Low, "low", low), (LimitSide::High, "high", high)] {
            let Some(threshold) = threshold else { continue };
            if limits
                .iter()
                .any(|limit| (limit.code, limit.side, limit.priority) == (row.code, side, priority))
            {
                problems.at(
                    section.at(name),
                    format!("{} has a {name} limit of this priority already", row.label),
                );
                continue;
            }
            limits.push(Limit { code: row.code, side, threshold, ucum, delay, priority });
        }
    }
    limits
}

pub(super) fn preferences(
    problems: &mut Problems<'_>,
    root: &DeTable<'_>,
    names: &[&str],
) -> Vec<Preference> {
    let mut preferences = Vec::new();
    for (span, table) in subtables(problems, root, "prefer") {
        let section = Section::read(problems, "[[prefer]]", span, table, keys::PREFER);
        let row = parameter_of(problems, &section);
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
        preferences.extend(row.map(|row| Preference { code: row.code, links }));
    }
    preferences
}

fn parameter_of(problems: &mut Problems<'_>, section: &Section) -> Option<&'static Parameter> {
    let word = section.text("parameter")?;
    match named(word) {
        Ok(row) => Some(row),
        Err(words) => {
            problems.at(section.at("parameter"), format!("parameter: {words}"));
            None
        }
    }
}

fn named(word: &str) -> Result<&'static Parameter, String> {
    if let Ok(code) = word.parse() {
        return parameter(Code(code)).ok_or_else(|| format!("no parameter has the code {word}"));
    }
    let is_meant = |row: &&Parameter| {
        [row.label, row.reference, row.name].iter().any(|name| name.eq_ignore_ascii_case(word))
    };
    let meant: Vec<_> = PARAMETERS.iter().filter(is_meant).collect();
    match meant.as_slice() {
        [row] => Ok(row),
        [] => Err(match nearest(word, PARAMETERS.iter().map(|row| row.label)) {
            Some(label) => format!("unknown parameter \"{word}\": did you mean \"{label}\"?"),
            None => format!(
                "unknown parameter \"{word}\": use a label such as \"SpO2\", a reference identifier or a code"
            ),
        }),
        several => {
            let list: Vec<_> = several.iter().map(|row| format!("{} {}", row.reference, row.name)).collect();
            Err(format!("\"{word}\" names several, use one of: {}", list.join(", ")))
        }
    }
}
