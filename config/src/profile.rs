//! Alarm profiles: which limits a newborn of this age and oxygen therapy has, each number with its source beside it.
//!
//! A profile is a file, shipped with the hub ([`SHIPPED`]) or written by the site. Nothing in it holds for a bed by itself: the hub
//! resolves it, with the age of the patient and what was changed for this patient, into one concrete set.

mod consistent;
mod keys;
#[cfg(test)]
mod tests;

pub use consistent::quarrel;

use crate::problem::{Problem, Problems};
use crate::rule::{self, parameters_of};
use crate::section::{Section, subtables};
use cotside_protocol::model::{Apnoea, Code, Combined, Envelope, Limit, LimitSet, Rate};
use std::ops::Range;
use std::time::Duration;
use toml::de::DeTable;

/// Name and text of every profile that comes with the hub.
pub const SHIPPED: &[(&str, &str)] = &[
    ("neonatal", include_str!("../profiles/neonatal.toml")),
    ("neonatal-hfov", include_str!("../profiles/neonatal-hfov.toml")),
];

/// The one a patient has until a person chooses another.
pub const USUAL: &str = "neonatal";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Oxygen {
    RoomAir,
    Supplemental,
    /// Nobody has said: it counts as oxygen.
    #[default]
    Unknown,
}

impl Oxygen {
    pub const ALL: [Self; 3] = [Self::RoomAir, Self::Supplemental, Self::Unknown];

    pub const fn name(self) -> &'static str {
        match self {
            Self::RoomAir => "room-air",
            Self::Supplemental => "supplemental",
            Self::Unknown => "unknown",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|oxygen| oxygen.name() == text)
    }
}

/// What decides which rows of a profile hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// Completed days of pregnancy at birth.
    pub gestation_days: i64,
    /// The same and the days since birth: the postmenstrual age.
    pub pma_days: i64,
    pub oxygen: Oxygen,
}

#[derive(Clone, Debug)]
pub struct Profile {
    pub name: String,
    pub title: String,
    pub limits: Vec<Row<Limit>>,
    pub rates: Vec<Row<Rate>>,
    pub apnoea: Option<Row<Apnoea>>,
    pub combined: Option<Row<Combined>>,
    pub averaging: Vec<Averaging>,
}

/// One rule, when it holds, and who says so.
#[derive(Clone, Debug)]
pub struct Row<T> {
    pub rule: T,
    pub when: When,
    pub source: String,
    place: Range<usize>,
}

/// What a device has taken from a parameter before its value comes here, and how long all delays together may be (H10).
#[derive(Clone, Debug)]
pub struct Averaging {
    pub code: Code,
    pub time: Duration,
    pub budget: Duration,
    pub source: String,
}

/// Ages in days, [from, below); an empty list of therapies: all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    pub gestation: (Option<i64>, Option<i64>),
    pub pma: (Option<i64>, Option<i64>),
    pub oxygen: Vec<Oxygen>,
}

impl When {
    pub fn holds(&self, at: &Circumstances) -> bool {
        let within = |(from, below): (Option<i64>, Option<i64>), days: i64| {
            from.is_none_or(|from| days >= from) && below.is_none_or(|below| days < below)
        };
        within(self.gestation, at.gestation_days)
            && within(self.pma, at.pma_days)
            && (self.oxygen.is_empty() || self.oxygen.contains(&at.oxygen))
    }
}

impl Profile {
    /// The limits that hold in these circumstances.
    pub fn limits_at(&self, at: &Circumstances) -> impl Iterator<Item = &Row<Limit>> {
        self.limits.iter().filter(move |row| row.when.holds(at))
    }

    /// The set of these circumstances, without a number.
    pub fn set_at(&self, at: &Circumstances) -> LimitSet {
        LimitSet {
            version: 0,
            limits: self.limits_at(at).map(|row| row.rule.clone()).collect(),
            rates: self.rates.iter().filter(|row| row.when.holds(at)).map(|row| row.rule.clone()).collect(),
            apnoea: self.apnoea.as_ref().map(|row| row.rule),
            combined: self.combined.as_ref().map(|row| row.rule),
        }
    }

    /// What is said here stands in place of what the base says of the same parameter, side and priority.
    fn over(mut self, base: Self) -> Self {
        let key = |limit: &Limit| (limit.code, limit.side, limit.priority);
        let own: Vec<_> = self.limits.iter().map(|row| key(&row.rule)).collect();
        self.limits.extend(base.limits.into_iter().filter(|row| !own.contains(&key(&row.rule))));
        let own: Vec<_> = self.rates.iter().map(|row| (row.rule.code, row.rule.side)).collect();
        let is_new = |row: &Row<Rate>| !own.contains(&(row.rule.code, row.rule.side));
        self.rates.extend(base.rates.into_iter().filter(is_new));
        let own: Vec<_> = self.averaging.iter().map(|row| row.code).collect();
        self.averaging.extend(base.averaging.into_iter().filter(|row| !own.contains(&row.code)));
        self.apnoea = self.apnoea.or(base.apnoea);
        self.combined = self.combined.or(base.combined);
        self
    }

    pub fn averaging(&self, code: Code) -> Option<&Averaging> {
        self.averaging.iter().find(|row| row.code == code)
    }
}

/// Reads and checks a profile; `file` is how the problems call it. `envelope` is what the site allows, `others` are the profiles that
/// it may be based on.
pub fn check(
    file: &str,
    text: &str,
    envelope: &Envelope,
    others: &[Profile],
) -> Result<Profile, Vec<Problem>> {
    let mut problems = Problems::new(file, text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let words = error.message().lines().collect::<Vec<_>>().join("; ");
        problems.at(&error.span().unwrap_or(0..0), words);
    }
    if !errors.is_empty() {
        return Err(problems.into_sorted());
    }
    let read = profile(&mut problems, root.get_ref(), others);
    if let Some(profile) = &read
        && problems.is_empty()
    {
        consistent::check(&mut problems, profile, envelope);
    }
    match (read, problems.is_empty()) {
        (Some(profile), true) => Ok(profile),
        _ => Err(problems.into_sorted()),
    }
}

fn profile(problems: &mut Problems<'_>, root: &DeTable<'_>, others: &[Profile]) -> Option<Profile> {
    let top = Section::read(problems, "the file", 0..0, root, keys::PROFILE);
    let base = base(problems, &top, others);
    let limits = rule::limits(problems, root, keys::LIMIT);
    let limits = limits.into_iter().flat_map(|placed| {
        let when = when(problems, &placed.section);
        let row = |limit: Limit| Row {
            when: when.clone(),
            source: source(&placed.section),
            place: rule::place(&placed.section, limit.side),
            rule: limit,
        };
        placed.rules.into_iter().map(row).collect::<Vec<_>>()
    });
    let limits = limits.collect();
    let rates = rule::rates(problems, root, keys::RATE);
    let rates = rates.into_iter().flat_map(|placed| {
        let when = when(problems, &placed.section);
        let row = |rate: Rate| Row {
            when: when.clone(),
            source: source(&placed.section),
            place: placed.section.span.clone(),
            rule: rate,
        };
        placed.rules.into_iter().map(row).collect::<Vec<_>>()
    });
    let rates = rates.collect();
    let apnoea = rule::apnoea(problems, root, keys::APNOEA).map(|(section, rule)| always(&section, rule));
    let combined =
        rule::combined(problems, root, keys::COMBINED).map(|(section, rule)| always(&section, rule));
    let own = Profile {
        name: top.text("profile")?.to_owned(),
        title: top.text("title")?.to_owned(),
        limits,
        rates,
        apnoea,
        combined,
        averaging: averaging(problems, root),
    };
    Some(match base {
        Some(base) => own.over(base),
        None => own,
    })
}

/// The profile that this one is based on, without what it leaves out.
fn base(problems: &mut Problems<'_>, top: &Section, others: &[Profile]) -> Option<Profile> {
    let name = top.text("based_on")?;
    let Some(base) = others.iter().find(|other| other.name == name) else {
        let known = others.iter().map(|other| other.name.as_str()).collect::<Vec<_>>().join(", ");
        problems.at(top.at("based_on"), format!("based_on: \"{name}\" is none of {known}"));
        return None;
    };
    let mut base = base.clone();
    for word in top.texts("without").unwrap_or_default() {
        match rule::named(word) {
            Ok(rows) => {
                let is_out = |code: Code| rows.iter().any(|row| row.code == code);
                base.limits.retain(|row| !is_out(row.rule.code));
                base.rates.retain(|row| !is_out(row.rule.code));
            }
            Err(words) => problems.at(top.at("without"), format!("without: {words}")),
        }
    }
    if top.texts("without").is_some() && top.text("without_source").is_none() {
        problems.at(top.at("without"), "what is left out needs a without_source");
    }
    for row in &mut base.limits {
        row.place = top.at("based_on").clone();
    }
    Some(base)
}

fn always<T>(section: &Section, rule: T) -> Row<T> {
    Row { rule, when: When::default(), source: source(section), place: section.span.clone() }
}

fn source(section: &Section) -> String {
    section.text("source").unwrap_or_default().to_owned()
}

fn averaging(problems: &mut Problems<'_>, root: &DeTable<'_>) -> Vec<Averaging> {
    let mut rows: Vec<Averaging> = Vec::new();
    for (span, table) in subtables(problems, root, "averaging") {
        let section = Section::read(problems, "[[averaging]]", span, table, keys::AVERAGING);
        let parameters = parameters_of(problems, &section);
        let (Some(time), Some(budget)) = (section.duration("time"), section.duration("budget")) else {
            continue;
        };
        for parameter in parameters {
            if rows.iter().any(|row| row.code == parameter.code) {
                let words = format!("parameters: {} stands in two [[averaging]]", parameter.label);
                problems.at(section.at("parameters"), words);
            }
            rows.push(Averaging { code: parameter.code, time, budget, source: source(&section) });
        }
    }
    rows
}

fn when(problems: &mut Problems<'_>, section: &Section) -> When {
    let mut age = |key: &'static str| {
        let text = section.text(key)?;
        let days = weeks(text);
        if days.is_none() {
            let words = format!("{key}: expected weeks and days such as \"37+0\", found \"{text}\"");
            problems.at(section.at(key), words);
        }
        days
    };
    let gestation = (age("gestation_from"), age("gestation_below"));
    let pma = (age("pma_from"), age("pma_below"));
    for ((from, below), key) in [(gestation, "gestation_below"), (pma, "pma_below")] {
        if let (Some(from), Some(below)) = (from, below)
            && from >= below
        {
            problems.at(section.at(key), format!("{key} must be above {}", key.replace("below", "from")));
        }
    }
    let mut oxygen = Vec::new();
    for word in section.texts("oxygen").unwrap_or_default() {
        match Oxygen::parse(word) {
            Some(known) => oxygen.push(known),
            None => {
                let known = Oxygen::ALL.map(Oxygen::name).join(", ");
                problems
                    .at(section.at("oxygen"), format!("oxygen: expected some of {known}, found \"{word}\""));
            }
        }
    }
    When { gestation, pma, oxygen }
}

/// Days of `37+2` or `37`.
fn weeks(text: &str) -> Option<i64> {
    let (weeks, days) = text.split_once('+').unwrap_or((text, "0"));
    let (weeks, days): (u8, u8) = (weeks.parse().ok()?, days.parse().ok()?);
    (weeks <= 150 && days < 7).then(|| i64::from(weeks) * 7 + i64::from(days))
}

/// `37+2`.
pub fn in_weeks(days: i64) -> String {
    format!("{}+{}", days.div_euclid(7), days.rem_euclid(7))
}
