//! One TOML table read against its declared keys: the same declaration checks the file and prints the commented example.

use crate::problem::{Problems, nearest};
use cotside_protocol::device::parse_duration;
use cotside_protocol::model::Decimal;
use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// One key of a table.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub name: &'static str,
    pub doc: &'static str,
    pub need: Need,
    pub kind: Kind,
}

/// Whether a key must be given. The texts are TOML, as a person would write them.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    Required { example: &'static str },
    Optional { example: &'static str },
    Default(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Text,
    /// `[a-z0-9-]{1,32}`
    Name,
    Path,
    Integer {
        min: i64,
        max: i64,
    },
    /// `85`, `36.5`
    Decimal,
    OneOf(&'static [&'static str]),
    /// `"1500ms"`, `"10s"`, `"2m"`, `"1h"`
    Duration {
        min: Duration,
        max: Duration,
    },
    /// `"512MiB"`, `"4GiB"`
    Bytes {
        min: u64,
    },
    Texts,
    /// A text or a whole number, kept as text.
    Word,
    Flag,
    /// Nested tables are read by the caller; here only their presence is known.
    Table,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Integer(i64),
    Decimal(Decimal),
    Duration(Duration),
    Bytes(u64),
    Texts(Vec<String>),
    Flag(bool),
}

/// A table whose keys were checked. A missing or wrong value is absent here and already among the problems.
#[derive(Debug)]
pub struct Section {
    pub span: Range<usize>,
    values: Vec<(&'static str, Range<usize>, Value)>,
}

impl Section {
    /// `name` is how the table is called in words: `[hub]`, `[[link]]`, `the file`.
    pub fn read(
        problems: &mut Problems<'_>,
        name: &str,
        span: Range<usize>,
        table: &DeTable<'_>,
        keys: &'static [Key],
    ) -> Self {
        for (word, _) in table {
            if !keys.iter().any(|key| key.name == word.get_ref().as_ref()) {
                problems.at(&word.span(), unknown(word.get_ref(), name, keys.iter().map(|key| key.name)));
            }
        }
        let mut values = Vec::new();
        for key in keys {
            let given = table.get(key.name);
            match (given, key.need) {
                (Some(_), _) if matches!(key.kind, Kind::Table) => {}
                (Some(given), _) => match key.kind.read(given.get_ref()) {
                    Ok(value) => values.push((key.name, given.span(), value)),
                    Err(expected) => problems.at(
                        &given.span(),
                        format!("{}: expected {expected}, found {}", key.name, found(given.get_ref())),
                    ),
                },
                (None, Need::Default(text)) => {
                    values.extend(key.kind.default(text).map(|value| (key.name, span.clone(), value)))
                }
                (None, Need::Required { example }) => {
                    problems.at(
                        &span,
                        format!("{name} needs {}, for example {} = {example}", key.name, key.name),
                    );
                }
                (None, Need::Optional { .. }) => {}
            }
        }
        Self { span, values }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(key, ..)| *key == name).map(|(.., value)| value)
    }

    /// Where the value stands, or the table if it was not given.
    pub fn at(&self, name: &str) -> &Range<usize> {
        self.values.iter().find(|(key, ..)| *key == name).map_or(&self.span, |(_, span, _)| span)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        if let Value::Text(text) = self.get(name)? { Some(text) } else { None }
    }

    pub fn integer(&self, name: &str) -> Option<i64> {
        if let Value::Integer(number) = self.get(name)? { Some(*number) } else { None }
    }

    pub fn decimal(&self, name: &str) -> Option<Decimal> {
        if let Value::Decimal(number) = self.get(name)? { Some(*number) } else { None }
    }

    pub fn duration(&self, name: &str) -> Option<Duration> {
        if let Value::Duration(span) = self.get(name)? { Some(*span) } else { None }
    }

    pub fn bytes(&self, name: &str) -> Option<u64> {
        if let Value::Bytes(count) = self.get(name)? { Some(*count) } else { None }
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        if let Value::Flag(flag) = self.get(name)? { Some(*flag) } else { None }
    }

    pub fn texts(&self, name: &str) -> Option<&[String]> {
        if let Value::Texts(texts) = self.get(name)? { Some(texts) } else { None }
    }
}

/// A nested table, `[name]`.
pub fn subtable<'a, 'i>(
    problems: &mut Problems<'_>,
    table: &'a DeTable<'i>,
    name: &str,
) -> Option<(Range<usize>, &'a DeTable<'i>)> {
    let given = table.get(name)?;
    let DeValue::Table(inner) = given.get_ref() else {
        problems.at(
            &given.span(),
            format!("{name}: expected a table, [{name}], found {}", found(given.get_ref())),
        );
        return None;
    };
    Some((given.span(), inner))
}

/// Nested tables, `[[name]]`.
pub fn subtables<'a, 'i>(
    problems: &mut Problems<'_>,
    table: &'a DeTable<'i>,
    name: &str,
) -> Vec<(Range<usize>, &'a DeTable<'i>)> {
    let Some(given) = table.get(name) else { return Vec::new() };
    let wrong = |value: &DeValue<'_>| format!("{name}: expected tables, [[{name}]], found {}", found(value));
    let DeValue::Array(items) = given.get_ref() else {
        problems.at(&given.span(), wrong(given.get_ref()));
        return Vec::new();
    };
    let mut tables = Vec::new();
    for item in items {
        match item.get_ref() {
            DeValue::Table(inner) => tables.push((item.span(), inner)),
            other => problems.at(&item.span(), wrong(other)),
        }
    }
    tables
}

/// Words for a name that is not in the list.
pub fn unknown<'k>(word: &str, place: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(meant) => format!("unknown key \"{word}\" in {place}: did you mean \"{meant}\"?"),
        None => {
            format!("unknown key \"{word}\" in {place}: known are {}", known.collect::<Vec<_>>().join(", "))
        }
    }
}

impl Kind {
    fn read(self, given: &DeValue<'_>) -> Result<Value, String> {
        let text = given.as_str();
        let value = match self {
            Self::Text | Self::Path => {
                text.filter(|text| !text.is_empty()).map(|text| Value::Text(text.to_owned()))
            }
            Self::Name => text.filter(|text| is_name(text)).map(|text| Value::Text(text.to_owned())),
            Self::OneOf(words) => {
                text.filter(|text| words.contains(text)).map(|text| Value::Text(text.to_owned()))
            }
            Self::Word => word(given).map(Value::Text),
            Self::Flag => given.as_bool().map(Value::Flag),
            Self::Integer { min, max } => {
                integer(given).filter(|number| (min..=max).contains(number)).map(Value::Integer)
            }
            Self::Decimal => decimal(given).map(Value::Decimal),
            Self::Duration { min, max } => {
                text.and_then(parse_duration).filter(|span| (min..=max).contains(span)).map(Value::Duration)
            }
            Self::Bytes { min } => text.and_then(parse_bytes).filter(|count| *count >= min).map(Value::Bytes),
            Self::Texts => texts(given).map(Value::Texts),
            Self::Table => None,
        };
        value.ok_or_else(|| self.expected())
    }

    /// A default is written in the type as TOML; a test holds it to its kind ([`defaults_that_do_not_fit`]).
    fn default(self, text: &str) -> Option<Value> {
        DeValue::parse(text).ok().and_then(|given| self.read(given.get_ref()).ok())
    }

    fn expected(self) -> String {
        match self {
            Self::Text => "a text in quotes".to_owned(),
            Self::Name => "a name of a-z, 0-9 and -, at most 32 long".to_owned(),
            Self::Path => "a path in quotes".to_owned(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Decimal => "a number".to_owned(),
            Self::OneOf(words) => format!("one of \"{}\"", words.join("\", \"")),
            Self::Duration { min, max } => {
                format!(
                    "a duration from \"{}\" to \"{}\", such as \"1500ms\", \"10s\" or \"2m\"",
                    words(min),
                    words(max)
                )
            }
            Self::Bytes { min } => {
                format!("a size such as \"512MiB\" or \"4GiB\", at least \"{}MiB\"", min >> 20)
            }
            Self::Texts => "a list of texts, [\"...\", \"...\"]".to_owned(),
            Self::Word => "a text in quotes or a whole number".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Table => "a table".to_owned(),
        }
    }
}

/// A duration as it is written in a configuration.
pub fn words(span: Duration) -> String {
    let millis = span.as_millis();
    match millis {
        0 => "0s".to_owned(),
        _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1_000) => format!("{}s", millis / 1_000),
        _ => format!("{millis}ms"),
    }
}

/// The commented example of one table: `##` explains, `#` is a default or an option switched off.
pub fn describe(keys: &[Key], out: &mut String) {
    for key in keys.iter().filter(|key| !matches!(key.kind, Kind::Table)) {
        for line in key.doc.lines() {
            let _ = writeln!(out, "## {line}");
        }
        let _ = match key.need {
            Need::Required { example } => writeln!(out, "{} = {example}\n", key.name),
            Need::Optional { example } => writeln!(out, "# {} = {example}\n", key.name),
            Need::Default(text) => writeln!(out, "# {} = {text}\n", key.name),
        };
    }
}

/// Names of keys whose written default or example is not of their own kind: empty, or a mistake of ours.
pub fn defaults_that_do_not_fit(keys: &[Key]) -> Vec<&'static str> {
    let fits = |key: &&Key| {
        let (Need::Default(text) | Need::Required { example: text } | Need::Optional { example: text }) =
            key.need;
        matches!(key.kind, Kind::Table) || key.kind.default(text).is_some()
    };
    keys.iter().filter(|key| !fits(key)).map(|key| key.name).collect()
}

fn is_name(text: &str) -> bool {
    cotside_protocol::wire::topic::AgentId::new(text).is_some()
}

fn integer(given: &DeValue<'_>) -> Option<i64> {
    let number = given.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn decimal(given: &DeValue<'_>) -> Option<Decimal> {
    match given {
        DeValue::Integer(number) => Decimal::parse(number.as_str()),
        DeValue::Float(number) => Decimal::parse(number.as_str()),
        _ => None,
    }
}

/// A text, or a number as a person would write it as text; for settings whose own kind is checked elsewhere.
pub fn word(given: &DeValue<'_>) -> Option<String> {
    match given {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(_) => integer(given).map(|number| number.to_string()),
        _ => None,
    }
}

fn texts(given: &DeValue<'_>) -> Option<Vec<String>> {
    given.as_array()?.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
}

fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let scale = match &text[digits..] {
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(scale)
}

/// What stands in the file, in words short enough for one line.
fn found(given: &DeValue<'_>) -> String {
    match given {
        DeValue::String(text) => format!("\"{}\"", text.chars().take(60).collect::<String>()),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(at) => at.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
