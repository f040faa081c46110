//! What is watched, as a person writes it: the tables `[[limit]]`, `[[rate]]`, `[apnoea]` and `[combined]` of the agent's file and of
//! the alarm profiles.

use crate::problem::{Problems, nearest};
use crate::section::{Key, Kind, Need, Section, subtable, subtables};
use cotside_protocol::model::{
    Apnoea, Bound, Code, Combined, Decimal, Depth, Envelope, Limit, LimitSide, PARAMETERS, Parameter,
    Priority, Rate, parameter,
};
use std::ops::Range;
use std::time::Duration;
use toml::de::DeTable;

/// What a newborn can lose between limit and signal; longer delays are refused.
const DELAY_MAX: Duration = Duration::from_secs(120);
const RATE_WITHIN_MAX: Duration = Duration::from_secs(3600);
const APNOEA_MIN: Duration = Duration::from_secs(5);
const APNOEA_MAX: Duration = Duration::from_secs(30);

/// The keys of `[[limit]]`, but for the parameter that it is about.
pub(crate) const LIMIT: [Key; 10] = [
    Key {
        name: "low",
        doc: "Alarm below this value. low, high or both.",
        need: Need::Optional { example: "85" },
        kind: Kind::Decimal,
    },
    Key {
        name: "high",
        doc: "Alarm above this value.",
        need: Need::Optional { example: "98" },
        kind: Kind::Decimal,
    },
    Key {
        name: "ucum",
        doc: "Unit of measure in UCUM. Default: the parameter's own. A device that measures in another is said not to be watched.",
        need: Need::Optional { example: "\"%\"" },
        kind: Kind::Text,
    },
    Key {
        name: "delay",
        doc: "The value must stay beyond the limit for this long.",
        need: Need::Default("\"10s\""),
        kind: Kind::Duration { min: Duration::ZERO, max: DELAY_MAX },
    },
    Key {
        name: "full",
        doc: "The deeper, the shorter the wait: so far beyond the limit it waits full_delay only.",
        need: Need::Optional { example: "10" },
        kind: Kind::Decimal,
    },
    Key {
        name: "full_delay",
        doc: "The wait of a value that lies `full` beyond the limit or farther; in a straight line from delay at the limit itself.",
        need: Need::Optional { example: "\"3s\"" },
        kind: Kind::Duration { min: Duration::ZERO, max: DELAY_MAX },
    },
    Key {
        name: "hysteresis",
        doc: "How far a value must come back inside before the alarm's condition is over.",
        need: Need::Default("0"),
        kind: Kind::Decimal,
    },
    Key {
        name: "priority",
        doc: "How urgently a nurse must answer. One limit of each priority and side may watch a parameter.",
        need: Need::Default("\"medium\""),
        kind: Kind::OneOf(&["low", "medium", "high"]),
    },
    Key {
        name: "latching",
        doc: "What has alarmed stays until a person has seen it.",
        need: Need::Default("false"),
        kind: Kind::Flag,
    },
    Key {
        name: "extreme",
        doc: "Never held back by standby or by a pause. Of high priority.",
        need: Need::Default("false"),
        kind: Kind::Flag,
    },
];

/// The keys of `[[rate]]`, but for the parameter that it is about.
pub(crate) const RATE: [Key; 4] = [
    Key {
        name: "change",
        doc: "Alarm when the value falls, or rises,",
        need: Need::Default("\"falls\""),
        kind: Kind::OneOf(&["falls", "rises"]),
    },
    Key { name: "by", doc: "by this much,", need: Need::Required { example: "40" }, kind: Kind::Decimal },
    Key {
        name: "within",
        doc: "within this time.",
        need: Need::Default("\"10s\""),
        kind: Kind::Duration { min: Duration::from_secs(1), max: RATE_WITHIN_MAX },
    },
    Key {
        name: "priority",
        doc: "How urgently a nurse must answer.",
        need: Need::Default("\"medium\""),
        kind: Kind::OneOf(&["low", "medium", "high"]),
    },
];

pub(crate) const APNOEA: [Key; 3] = [
    Key {
        name: "after",
        doc: "No breath for so long. Watched where a device measures breath or tells of apnoea; elsewhere the bed says that it is not.",
        need: Need::Default("\"20s\""),
        kind: Kind::Duration { min: APNOEA_MIN, max: APNOEA_MAX },
    },
    Key {
        name: "accompanied",
        doc: "With bradycardia or desaturation already after this.",
        need: Need::Default("\"10s\""),
        kind: Kind::Duration { min: APNOEA_MIN, max: APNOEA_MAX },
    },
    Key {
        name: "priority",
        doc: "How urgently a nurse must answer.",
        need: Need::Default("\"high\""),
        kind: Kind::OneOf(&["medium", "high"]),
    },
];

pub(crate) const COMBINED: [Key; 6] = [
    Key {
        name: "bradycardia",
        doc: "Apnoea, bradycardia and desaturation that belong together are one alarm. Heart rate below this,",
        need: Need::Default("100"),
        kind: Kind::Decimal,
    },
    Key {
        name: "bradycardia_for",
        doc: "for so long.",
        need: Need::Default("\"4s\""),
        kind: Kind::Duration { min: Duration::ZERO, max: DELAY_MAX },
    },
    Key { name: "desaturation", doc: "SpO2 below this,", need: Need::Default("80"), kind: Kind::Decimal },
    Key {
        name: "desaturation_for",
        doc: "for so long.",
        need: Need::Default("\"10s\""),
        kind: Kind::Duration { min: Duration::ZERO, max: DELAY_MAX },
    },
    Key {
        name: "window",
        doc: "Parts that overlap, or begin so soon after one another, belong together.",
        need: Need::Default("\"30s\""),
        kind: Kind::Duration { min: Duration::ZERO, max: DELAY_MAX },
    },
    Key {
        name: "priority",
        doc: "How urgently a nurse must answer.",
        need: Need::Default("\"high\""),
        kind: Kind::OneOf(&["medium", "high"]),
    },
];

/// The keys of `[[bound]]`.
pub(crate) const BOUND: &[Key] = &[
    Key {
        name: "parameter",
        doc: "What this site allows, in place of what is allowed otherwise: SpO2 low 80, HR and PR low 60 and high 240.\n\
              A set of limits that goes beyond is refused.",
        need: Need::Required { example: "\"SpO2\"" },
        kind: Kind::Word,
    },
    Key {
        name: "low",
        doc: "No low limit may lie below this. low, high or both.",
        need: Need::Optional { example: "80" },
        kind: Kind::Decimal,
    },
    Key {
        name: "high",
        doc: "No high limit may lie above this.",
        need: Need::Optional { example: "100" },
        kind: Kind::Decimal,
    },
    Key {
        name: "extreme_within",
        doc: "A set must hold an extreme limit at this bound or nearer, which waits no longer than this.",
        need: Need::Optional { example: "\"15s\"" },
        kind: Kind::Duration { min: Duration::ZERO, max: DELAY_MAX },
    },
];

/// The bounds of the site: the neonatal ones, and over them the tables `[[bound]]`.
pub(crate) fn envelope(problems: &mut Problems<'_>, root: &DeTable<'_>) -> Envelope {
    let mut envelope = Envelope::neonatal();
    for (span, table) in subtables(problems, root, "bound") {
        let section = Section::read(problems, "[[bound]]", span, table, BOUND);
        if table.get("low").or(table.get("high")).is_none() {
            problems.at(&section.span, "[[bound]] needs low or high, for example low = 80");
        }
        for row in parameters_of(problems, &section) {
            for (side, name) in [(LimitSide::Low, "low"), (LimitSide::High, "high")] {
                let Some(widest) = section.decimal(name) else { continue };
                envelope.bounds.retain(|bound| (bound.code, bound.side) != (row.code, side));
                let extreme = section.duration("extreme_within");
                envelope.bounds.push(Bound { code: row.code, side, widest, extreme });
            }
        }
    }
    envelope
}

/// Two lists of keys as one.
pub(crate) const fn joined<const A: usize, const B: usize, const ALL: usize>(
    first: [Key; A],
    then: [Key; B],
) -> [Key; ALL] {
    assert!(A + B == ALL, "both lists fill the whole");
    let mut all = [first[0]; ALL];
    let mut at = 0;
    while at < ALL {
        all[at] = if at < A { first[at] } else { then[at - A] };
        at += 1;
    }
    all
}

/// A rule with the table that it stands in.
pub(crate) struct Placed<T> {
    pub section: Section,
    pub rules: Vec<T>,
}

/// The tables `[[limit]]`, each with what it says for every parameter and side that it names.
pub(crate) fn limits(
    problems: &mut Problems<'_>,
    root: &DeTable<'_>,
    keys: &'static [Key],
) -> Vec<Placed<Limit>> {
    let mut placed = Vec::new();
    for (span, table) in subtables(problems, root, "limit") {
        let section = Section::read(problems, "[[limit]]", span, table, keys);
        if table.get("low").or(table.get("high")).is_none() {
            problems.at(&section.span, "[[limit]] needs low or high, for example low = 85");
        }
        let (low, high) = (section.decimal("low"), section.decimal("high"));
        if let (Some(low), Some(high)) = (low, high)
            && low.to_f64() >= high.to_f64()
        {
            problems.at(section.at("low"), format!("low = {low} must be below high = {high}"));
        }
        let rows = parameters_of(problems, &section);
        let rules = one_limit(problems, &section, &rows).unwrap_or_default();
        placed.push(Placed { section, rules });
    }
    placed
}

fn one_limit(
    problems: &mut Problems<'_>,
    section: &Section,
    rows: &[&'static Parameter],
) -> Option<Vec<Limit>> {
    let depth = depth(problems, section);
    let priority = priority(section)?;
    let (delay, hysteresis) = (section.duration("delay")?, section.decimal("hysteresis")?);
    let (latching, extreme) = (section.flag("latching")?, section.flag("extreme")?);
    if hysteresis.to_f64() < 0.0 {
        problems.at(section.at("hysteresis"), "hysteresis: expected 0 or more");
    }
    if extreme && priority != Priority::High {
        problems.at(section.at("extreme"), "extreme = true needs priority = \"high\"");
    }
    let mut limits = Vec::new();
    for row in rows {
        let Some(ucum) = ucum_of(problems, section, row) else { continue };
        for (side, name) in [(LimitSide::Low, "low"), (LimitSide::High, "high")] {
            let Some(threshold) = section.decimal(name) else { continue };
            if ucum == row.ucum && !row.is_plausible(threshold.to_f64()) {
                let words = format!("{name} = {threshold} is no value of {}, in {ucum}", row.label);
                problems.at(section.at(name), words);
            }
            limits.push(Limit {
                delay,
                priority,
                hysteresis,
                depth,
                latching,
                extreme,
                ..Limit::plain(row.code, side, threshold, ucum)
            });
        }
    }
    Some(limits)
}

fn depth(problems: &mut Problems<'_>, section: &Section) -> Option<Depth> {
    let (full, delay) = (section.decimal("full"), section.duration("full_delay"));
    let (full, shortest) = match (full, delay) {
        (None, None) => return None,
        (Some(full), Some(delay)) => (full, delay),
        _ => {
            problems.at(&section.span, "full and full_delay stand together, or neither does");
            return None;
        }
    };
    if full.to_f64() <= 0.0 {
        problems.at(section.at("full"), "full: expected more than 0");
    }
    if section.duration("delay").is_some_and(|delay| shortest > delay) {
        problems.at(section.at("full_delay"), "full_delay must not be longer than delay");
    }
    Some(Depth { full, delay: shortest })
}

/// The tables `[[rate]]`.
pub(crate) fn rates(
    problems: &mut Problems<'_>,
    root: &DeTable<'_>,
    keys: &'static [Key],
) -> Vec<Placed<Rate>> {
    let mut placed = Vec::new();
    for (span, table) in subtables(problems, root, "rate") {
        let section = Section::read(problems, "[[rate]]", span, table, keys);
        let rows = parameters_of(problems, &section);
        let side = if section.text("change") == Some("rises") { LimitSide::High } else { LimitSide::Low };
        if section.decimal("by").is_some_and(|by| by.to_f64() <= 0.0) {
            problems.at(section.at("by"), "by: expected more than 0");
        }
        let whole = || Some((section.decimal("by")?, section.duration("within")?, priority(&section)?));
        let rules = whole().map(|(by, within, priority)| {
            let rate = |row: &&'static Parameter| Rate {
                code: row.code,
                side,
                by,
                ucum: row.ucum,
                within,
                priority,
            };
            rows.iter().map(rate).collect()
        });
        placed.push(Placed { rules: rules.unwrap_or_default(), section });
    }
    placed
}

/// The table `[apnoea]`.
pub(crate) fn apnoea(
    problems: &mut Problems<'_>,
    root: &DeTable<'_>,
    keys: &'static [Key],
) -> Option<(Section, Apnoea)> {
    let (span, table) = subtable(problems, root, "apnoea")?;
    let section = Section::read(problems, "[apnoea]", span, table, keys);
    let (after, accompanied) = (section.duration("after")?, section.duration("accompanied")?);
    if accompanied > after {
        problems.at(section.at("accompanied"), "accompanied must not be longer than after");
    }
    let priority = priority(&section)?;
    Some((section, Apnoea { after, accompanied, priority }))
}

/// The table `[combined]`.
pub(crate) fn combined(
    problems: &mut Problems<'_>,
    root: &DeTable<'_>,
    keys: &'static [Key],
) -> Option<(Section, Combined)> {
    let (span, table) = subtable(problems, root, "combined")?;
    let section = Section::read(problems, "[combined]", span, table, keys);
    let below = |value: &str, time: &str| Some((section.decimal(value)?, section.duration(time)?));
    let rule = Combined {
        bradycardia: below("bradycardia", "bradycardia_for")?,
        desaturation: below("desaturation", "desaturation_for")?,
        window: section.duration("window")?,
        priority: priority(&section)?,
    };
    for (key, parameter, threshold) in
        [("bradycardia", HEART_RATE, rule.bradycardia.0), ("desaturation", SATURATION, rule.desaturation.0)]
    {
        if !is_plausible(parameter, threshold) {
            problems.at(section.at(key), format!("{key} = {threshold} is no value of this parameter"));
        }
    }
    Some((section, rule))
}

const HEART_RATE: Code = Code(147_842);
const SATURATION: Code = Code(150_456);

fn is_plausible(code: Code, value: Decimal) -> bool {
    parameter(code).is_none_or(|row| row.is_plausible(value.to_f64()))
}

fn priority(section: &Section) -> Option<Priority> {
    Some(match section.text("priority")? {
        "high" => Priority::High,
        "low" => Priority::Low,
        _ => Priority::Medium,
    })
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

/// What `parameter` or `parameters` of a table mean.
pub(crate) fn parameters_of(problems: &mut Problems<'_>, section: &Section) -> Vec<&'static Parameter> {
    let one = section.text("parameter").map(|word| ("parameter", word.to_owned()));
    let many = section.texts("parameters").unwrap_or_default();
    let words: Vec<(&str, String)> =
        one.into_iter().chain(many.iter().map(|word| ("parameters", word.clone()))).collect();
    let mut rows = Vec::new();
    for (key, word) in words {
        match named(&word) {
            Ok(meant) => rows.extend(meant),
            Err(words) => problems.at(section.at(key), format!("{key}: {words}")),
        }
    }
    rows
}

/// Where in the file a table stands, for what is found only when all are read.
pub(crate) fn place(section: &Section, side: LimitSide) -> Range<usize> {
    section.at(if side == LimitSide::Low { "low" } else { "high" }).clone()
}

/// A code or reference identifier means one parameter; a label means every one that a tile prints under it, whatever its source.
pub fn named(word: &str) -> Result<Vec<&'static Parameter>, String> {
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
