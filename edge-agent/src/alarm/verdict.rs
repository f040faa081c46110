//! What a rule says of its condition at one moment, and in which words.

use super::rule::Rule;
use cotside_protocol::model::{Code, Decimal, Mono, Priority, Site, parameter};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    True(Finding),
    False,
    /// Nothing is known: keep what was.
    Unknown,
    /// It was true, and who said so came back and does not say it any more: over when a person has seen it.
    Faded,
}

/// What the rules said, in the order in which they were asked.
pub(super) type Verdicts = Vec<(Rule, Verdict)>;

/// Why a condition is true, in words and numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) priority: Priority,
    pub(super) delay: Duration,
    /// Since when, where that was before the rule was asked.
    pub(super) since: Option<Mono>,
    pub(super) value: Option<Decimal>,
    pub(super) limit: Option<Decimal>,
    pub(super) ucum: &'static str,
    pub(super) text: String,
    pub(super) parts: Vec<String>,
    pub(super) latching: bool,
    pub(super) hold: Hold,
    /// A value that worsens by so much asks for attention anew.
    pub(super) far: f64,
    /// Asks for attention anew when it rises.
    pub(super) weight: u32,
}

/// How far its sound may be held back for the bed as a whole. One by one, each can be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hold {
    /// By a pause of the bed, and by standby if it is physiological.
    Free,
    /// By a pause of a person who saw it; one that comes later is heard, and standby does not touch it.
    Seen,
    /// By nothing.
    Never,
}

impl Finding {
    pub(super) fn new(priority: Priority, text: String) -> Self {
        Self {
            priority,
            delay: Duration::ZERO,
            since: None,
            value: None,
            limit: None,
            ucum: "",
            text,
            parts: Vec::new(),
            latching: false,
            hold: Hold::Free,
            far: f64::INFINITY,
            weight: 0,
        }
    }
}

/// Where several rows of a set are one rule, the one that alarms speaks, and of two of these the one with the shorter wait.
pub(super) fn add(verdicts: &mut Verdicts, rule: Rule, verdict: Verdict) {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::True(finding) => (2, std::cmp::Reverse(Some(finding.delay))),
        Verdict::Unknown | Verdict::Faded => (1, std::cmp::Reverse(None)),
        Verdict::False => (0, std::cmp::Reverse(None)),
    };
    match verdicts.iter_mut().find(|(of, _)| *of == rule) {
        Some((_, before)) if rank(before) >= rank(&verdict) => {}
        Some((_, before)) => *before = verdict,
        None => verdicts.push((rule, verdict)),
    }
}

/// What a nurse calls a channel.
pub(super) fn label(code: Code, site: Site) -> String {
    let name = parameter(code).map_or_else(|| format!("parameter {}", code.0), |row| row.label.to_owned());
    match site {
        Site::Unspecified => name,
        Site::Preductal => format!("{name} preductal"),
        Site::Postductal => format!("{name} postductal"),
        Site::Numbered(number) => format!("{name} {number}"),
    }
}
