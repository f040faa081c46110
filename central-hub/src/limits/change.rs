//! What was changed for one patient: kept with each version, and read from what a person sent with everything that is wrong with it.

use cotside_protocol::model::{Code, Decimal, LIMITS_MAX, parameter};
use cotside_protocol::wire::downstream::Side;
use cotside_protocol::wire::upstream::Priority;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A limit that was switched off comes back by itself, at the latest after this.
pub const OFF_MIN_MAX: u64 = 12 * 60;
const DELAY_MS_MAX: u64 = 120_000;
const REASON_MAX: usize = 200;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// None: the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Change>,
}

/// One limit of one parameter, side and priority, other than the profile has it; or one that the profile does not have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub code: u32,
    pub side: Side,
    pub priority: Priority,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Switched off until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_until_ms: Option<i64>,
}

impl Change {
    pub fn is_about(&self, other: &Self) -> bool {
        (self.code, self.side, self.priority) == (other.code, other.side, other.priority)
    }
}

/// What is wrong, and where in what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wrong {
    pub field: String,
    pub problem: String,
}

/// What a person asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// The version that the person has seen.
    pub version: Option<u64>,
    pub reason: String,
    /// None: not said. Some(None): the usual one.
    pub profile: Option<Option<String>>,
    pub limits: Vec<Wish>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    pub change: Change,
    /// Back to what the profile says.
    pub back: bool,
}

impl Changes {
    /// Nothing but what is asked for.
    pub fn replaced_by(&self, asked: &Asked) -> Self {
        let limits = asked.limits.iter().filter(|wish| !wish.back).map(|wish| wish.change.clone());
        Self { profile: asked.profile.clone().unwrap_or_default(), limits: limits.collect() }
    }

    /// What is asked for over what there was.
    pub fn merged_with(&self, asked: &Asked) -> Self {
        let mut merged = self.clone();
        if let Some(profile) = &asked.profile {
            merged.profile.clone_from(profile);
        }
        for wish in &asked.limits {
            let earlier = merged.limits.iter().position(|change| change.is_about(&wish.change));
            let earlier = earlier.map(|at| merged.limits.remove(at));
            if wish.back {
                continue;
            }
            let mut change = wish.change.clone();
            if let Some(earlier) = earlier {
                change.threshold = change.threshold.or(earlier.threshold);
                change.delay_ms = change.delay_ms.or(earlier.delay_ms);
            }
            merged.limits.push(change);
        }
        merged
    }
}

/// Everything that is wrong is told at once.
pub fn read(body: &Value, now_ms: i64) -> Result<Asked, Vec<Wrong>> {
    let mut reader = Reader { wrong: Vec::new(), now_ms };
    let asked = reader.asked(body);
    if reader.wrong.is_empty() { Ok(asked) } else { Err(reader.wrong) }
}

struct Reader {
    wrong: Vec<Wrong>,
    now_ms: i64,
}

impl Reader {
    fn say(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.wrong.push(Wrong { field: field.into(), problem: problem.into() });
    }

    fn unknown(&mut self, place: &str, fields: &Map<String, Value>, known: &[&str]) {
        for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
            // The name is the caller's own; only so much of it as cannot be more than a name is repeated.
            let name: String =
                name.chars().take(32).filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            self.say(format!("{place}{name}"), "is no field of this");
        }
    }

    fn asked(&mut self, body: &Value) -> Asked {
        let mut asked = Asked::default();
        let Some(fields) = body.as_object() else {
            self.say("", "expected an object");
            return asked;
        };
        self.unknown("", fields, &["version", "reason", "profile", "limits"]);
        match fields.get("version") {
            None | Some(Value::Null) => {}
            Some(version) => match version.as_u64() {
                Some(version) => asked.version = Some(version),
                None => self.say("version", "a whole number"),
            },
        }
        match fields.get("reason") {
            None | Some(Value::Null) => {}
            Some(Value::String(text))
                if text.chars().count() <= REASON_MAX && !text.contains(char::is_control) =>
            {
                asked.reason.clone_from(text);
            }
            Some(_) => self.say("reason", "a text of at most 200 characters"),
        }
        match fields.get("profile") {
            None => {}
            Some(Value::Null) => asked.profile = Some(None),
            Some(Value::String(name)) => asked.profile = Some(Some(name.clone())),
            Some(_) => self.say("profile", "the name of a profile"),
        }
        match fields.get("limits") {
            None | Some(Value::Null) => {}
            Some(Value::Array(limits)) if limits.len() <= LIMITS_MAX => {
                for (at, limit) in limits.iter().enumerate() {
                    let wish = self.wish(at, limit);
                    if let Some(wish) = wish {
                        if asked.limits.iter().any(|other| other.change.is_about(&wish.change)) {
                            self.say(format!("limits[{at}]"), "this limit stands twice");
                        }
                        asked.limits.push(wish);
                    }
                }
            }
            Some(_) => self.say("limits", "a list of at most 256 limits"),
        }
        asked
    }

    fn wish(&mut self, at: usize, limit: &Value) -> Option<Wish> {
        let place = format!("limits[{at}]");
        let Some(fields) = limit.as_object() else {
            self.say(place, "expected an object");
            return None;
        };
        let known = ["code", "side", "priority", "threshold", "delay_ms", "off_for_min", "back"];
        self.unknown(&format!("{place}."), fields, &known);
        let code = fields.get("code").and_then(Value::as_u64).and_then(|code| u32::try_from(code).ok());
        let code = code.filter(|code| parameter(Code(*code)).is_some());
        if code.is_none() {
            self.say(format!("{place}.code"), "the code of a known parameter");
        }
        let side = match fields.get("side").and_then(Value::as_str) {
            Some("low") => Some(Side::Low),
            Some("high") => Some(Side::High),
            _ => {
                self.say(format!("{place}.side"), "low or high");
                None
            }
        };
        let priority = match fields.get("priority").map(Value::as_str) {
            None | Some(Some("medium")) => Some(Priority::Medium),
            Some(Some("low")) => Some(Priority::Low),
            Some(Some("high")) => Some(Priority::High),
            Some(_) => {
                self.say(format!("{place}.priority"), "low, medium or high");
                None
            }
        };
        let threshold = self.threshold(&place, code, fields.get("threshold"));
        let delay_ms = self.number(&place, "delay_ms", fields, 0, DELAY_MS_MAX);
        let off_for = self.number(&place, "off_for_min", fields, 1, OFF_MIN_MAX);
        let back = match fields.get("back") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(back)) => *back,
            Some(_) => {
                self.say(format!("{place}.back"), "true or false");
                false
            }
        };
        if !back && threshold.is_none() && delay_ms.is_none() && off_for.is_none() {
            let is_given =
                ["threshold", "delay_ms", "off_for_min"].iter().any(|name| fields.contains_key(*name));
            if !is_given {
                self.say(place, "needs threshold, delay_ms, off_for_min or back");
            }
        }
        let off_until_ms = off_for.map(|minutes| {
            self.now_ms.saturating_add(i64::try_from(minutes).unwrap_or(i64::MAX).saturating_mul(60_000))
        });
        let change =
            Change { code: code?, side: side?, priority: priority?, threshold, delay_ms, off_until_ms };
        Some(Wish { change, back })
    }

    fn threshold(&mut self, place: &str, code: Option<u32>, given: Option<&Value>) -> Option<String> {
        let text = match given? {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let decimal = Decimal::parse(&text).filter(|_| text.len() <= 12);
        let row = code.and_then(|code| parameter(Code(code)));
        let Some(decimal) = decimal else {
            self.say(format!("{place}.threshold"), "a number");
            return None;
        };
        if row.is_some_and(|row| !row.is_plausible(decimal.to_f64())) {
            self.say(format!("{place}.threshold"), "no value that this parameter can have");
        }
        Some(decimal.to_string())
    }

    fn number(
        &mut self,
        place: &str,
        name: &str,
        fields: &Map<String, Value>,
        min: u64,
        max: u64,
    ) -> Option<u64> {
        let given = fields.get(name).filter(|given| !given.is_null())?;
        let number = given.as_u64().filter(|number| (min..=max).contains(number));
        if number.is_none() {
            self.say(format!("{place}.{name}"), format!("a whole number from {min} to {max}"));
        }
        number
    }
}
