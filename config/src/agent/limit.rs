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
        let rows = parameters_of(problems, &section);
        let (Some(delay), Some(priority)) = (section.duration("delay"), section.text("priority")) else {
            continue;
        };
        let priority = match priority {
            "high" => Priority::High,
            "low" => Priority::Low,
            _ => Priority::Medium,
        };
        for row in rows {
            let Some(ucum) = ucum_of(problems, &section, row) else { continue };
            for (side, name, threshold) in [(LimitSide::Low, "low", low), (LimitSide::High, "high", high)] {
                let Some(threshold) = threshold else { continue };
                let same =
                    |limit: &&Limit| (limit.code, limit.side, limit.priority) == (row.code, side, priority);
                if limits.iter().any(|limit| same(&limit)) {
                    let words = format!("{} has a {name} limit of this priority already", row.label);
                    problems.at(section.at(name), words);
                    continue;
                }
                limits.push(Limit { delay, priority, ..Limit::plain(row.code, side, threshold, ucum) });
            }
        }
    }
    limits
}

fn ucum_of(problems: &mut Problems<'_>, section: &Section, row: &Parameter) -> Option<&'static str> {
    let Some(given) = section.text("ucum") else { return Some(row.ucum) };
    let known = PARAMETERS.iter().map(|row| row.ucum).find(|ucum| *ucum == given);
    if known.is_none() {
        let words = format!("ucum: \"{given}\" is no unit of any parameter; {} is usual here", row.ucum);
        problems.at(section.at("ucum"), words);
    }
    known
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

fn parameters_of(problems: &mut Problems<'_>, section: &Section) -> Vec<&'static Parameter> {
    let Some(word) = section.text("parameter") else { return Vec::new() };
    named(word).unwrap_or_else(|words| {
        problems.at(section.at("parameter"), format!("parameter: {words}"));
        Vec::new()
    })
}

/// A code or reference identifier means one parameter; a label means every one that a tile prints under it, whatever its source.
fn named(word: &str) -> Result<Vec<&'static Parameter>, String> {
    if let Ok(code) = word.parse() {
        let row = parameter(Code(code)).ok_or_else(|| format!("no parameter has the code {word}"))?;
        return Ok(vec![row]);
    }
    let is_exact =
        |row: &&Parameter| [row.reference, row.name].iter().any(|name| name.eq_ignore_ascii_case(word));
    let labelled = |row: &&Parameter| row.label.eq_ignore_ascii_case(word);
    let mut meant: Vec<_> = PARAMETERS.iter().filter(labelled).collect();
    if meant.is_empty() {
        meant = PARAMETERS.iter().filter(is_exact).collect();
    }
    if !meant.is_empty() {
        return Ok(meant);
    }
    Err(match nearest(word, PARAMETERS.iter().map(|row| row.label)) {
        Some(label) => format!("unknown parameter \"{word}\": did you mean \"{label}\"?"),
        None => format!(
            "unknown parameter \"{word}\": use a label such as \"SpO2\", a reference identifier or a code"
        ),
    })
}
