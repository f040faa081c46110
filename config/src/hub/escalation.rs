//! Who is called when an alarm is not answered: tiers in words, checked so that an alarm can never run out of recipients.

use crate::problem::Problems;
use crate::section::{Key, Kind, Need, Section};
use cotside_protocol::device::parse_duration;
use cotside_protocol::model::Priority;
use std::time::Duration;

/// Whom a tier calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// Every station that covers the bed.
    Station,
    /// The nurse assigned to the bed.
    Primary,
    /// Who stands in for that nurse.
    Buddy,
    /// The unit's charge nurse.
    Charge,
    Physician,
    /// Every station and everybody who is signed in: the recipient that is always there.
    Unit,
}

/// From so long after the onset on, these are called as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    pub after: Duration,
    pub to: Vec<Recipient>,
}

/// What happens to an alarm that nobody answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder {
    /// In order of time, the first at 0, the last with [`Recipient::Unit`].
    pub tiers: Vec<Tier>,
    /// Not shown at any station for so long, it goes to the second tier at once. None: it does not.
    pub receipt: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    pub high: Ladder,
    pub medium: Ladder,
    /// Low, advisory and technical ones of low priority.
    pub low: Ladder,
}

impl Escalation {
    pub const fn of(&self, priority: Priority) -> &Ladder {
        match priority {
            Priority::High => &self.high,
            Priority::Medium => &self.medium,
            Priority::Low | Priority::Advisory => &self.low,
        }
    }
}

/// As it is where nothing is configured.
pub fn shipped() -> Escalation {
    let text = "[unit]\nbeds = [\"01\"]";
    let hub = crate::hub::check("", text, std::path::Path::new("."));
    hub.expect("the defaults are checked by a test").escalation
}

const DOC: &str = "Tiers of an alarm that nobody answers: after how long, who is called as well. station, primary, buddy, charge, physician, unit.\n\
     The first is at 0s, the last must call the unit: an alarm never runs out of recipients.";

pub(super) const ESCALATION: &[Key] = &[
    Key {
        name: "high",
        doc: DOC,
        need: Need::Default("[\"0s station primary\", \"15s buddy\", \"30s charge\", \"1m unit physician\"]"),
        kind: Kind::Texts,
    },
    Key {
        name: "medium",
        doc: "",
        need: Need::Default("[\"0s station primary\", \"1m buddy\", \"2m charge\", \"3m unit physician\"]"),
        kind: Kind::Texts,
    },
    Key {
        name: "low",
        doc: "",
        need: Need::Default("[\"0s station primary\", \"5m buddy unit\"]"),
        kind: Kind::Texts,
    },
    Key {
        name: "high_receipt",
        doc: "Not shown at any station for so long, an alarm goes to the second tier at once.",
        need: Need::Default("\"5s\""),
        kind: RECEIPT,
    },
    Key { name: "medium_receipt", doc: "", need: Need::Default("\"15s\""), kind: RECEIPT },
];

const RECEIPT: Kind = Kind::Duration { min: Duration::from_secs(1), max: Duration::from_secs(60) };
/// No tier is later: an alarm that waits longer for a second person has none.
const AFTER_MAX: Duration = Duration::from_secs(30 * 60);
const TIERS_MAX: usize = 20;

pub(super) fn escalation(problems: &mut Problems<'_>, section: &Section) -> Option<Escalation> {
    let [high, medium, low] = ["high", "medium", "low"].map(|key| tiers(problems, section, key));
    let ladder = |tiers, receipt: Option<&str>| Ladder {
        tiers,
        receipt: receipt.and_then(|key| section.duration(key)),
    };
    Some(Escalation {
        high: ladder(high?, Some("high_receipt")),
        medium: ladder(medium?, Some("medium_receipt")),
        low: ladder(low?, None),
    })
}

fn tiers(problems: &mut Problems<'_>, section: &Section, key: &str) -> Option<Vec<Tier>> {
    let texts = section.texts(key)?;
    let mut tiers: Vec<Tier> = Vec::new();
    for text in texts {
        let Some(tier) = tier(text) else {
            let words = format!("{key}: expected a tier such as \"15s buddy charge\", found \"{text}\"");
            problems.at(section.at(key), words);
            return None;
        };
        tiers.push(tier);
    }
    let wrong = if tiers.is_empty() || tiers.len() > TIERS_MAX {
        format!("{key}: expected 1 to {TIERS_MAX} tiers")
    } else if tiers[0].after != Duration::ZERO || !tiers.is_sorted_by(|a, b| a.after < b.after) {
        format!("{key}: expected tiers in order of time, the first at 0s")
    } else if tiers.last().is_some_and(|last| !last.to.contains(&Recipient::Unit)) {
        format!("{key}: the last tier must call the unit, or an alarm could run out of recipients")
    } else {
        return Some(tiers);
    };
    problems.at(section.at(key), wrong);
    None
}

fn tier(text: &str) -> Option<Tier> {
    let mut words = text.split_whitespace();
    let after = parse_duration(words.next()?).filter(|after| *after <= AFTER_MAX)?;
    let to: Option<Vec<Recipient>> = words.map(recipient).collect();
    to.filter(|to| !to.is_empty()).map(|to| Tier { after, to })
}

fn recipient(word: &str) -> Option<Recipient> {
    Some(match word {
        "station" => Recipient::Station,
        "primary" => Recipient::Primary,
        "buddy" => Recipient::Buddy,
        "charge" => Recipient::Charge,
        "physician" => Recipient::Physician,
        "unit" => Recipient::Unit,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::Recipient;
    use crate::hub::{check, describe};
    use cotside_protocol::model::Priority;
    use std::path::Path;

    fn problem(escalation: &str) -> String {
        let text = format!("[unit]\nbeds = [\"01\"]\n[escalation]\n{escalation}\n");
        check("hub.toml", &text, Path::new("/srv")).unwrap_err()[0].to_string()
    }

    #[test]
    fn an_alarm_can_never_run_out_of_recipients() {
        let shipped = check("hub.toml", &describe(), Path::new("/srv")).unwrap().escalation;
        for priority in [Priority::High, Priority::Medium, Priority::Low, Priority::Advisory] {
            let tiers = &shipped.of(priority).tiers;
            assert!(tiers[0].after.is_zero() && tiers.last().unwrap().to.contains(&Recipient::Unit));
        }
        assert!(problem("high = [\"0s station\", \"15s buddy\"]").contains("run out of recipients"));
        assert!(problem("low = []").contains("tiers"));
        assert!(problem("medium = [\"5s unit\"]").contains("first at 0s"));
        assert!(problem("medium = [\"0s primary\", \"2m charge\", \"1m unit\"]").contains("order of time"));
        assert!(problem("medium = [\"0s primary\", \"1m nobody unit\"]").contains("expected a tier"));
        assert!(problem("medium = [\"0s primary\", \"2h unit\"]").contains("expected a tier"));
    }
}
