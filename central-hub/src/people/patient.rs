//! A patient as far as the unit view needs to know one, and the ages derived from it. Everything that names a person is `Private`.

use super::date::Date;
use crate::unit::view::{AgeView, PatientView};
use cotside_config::profile::Oxygen;
use cotside_protocol::model::{DeviceText, Private, Wall};
use serde::Deserialize;

const WEEK: i64 = 7;
pub const OXYGEN_WORDS: &str = "room-air, supplemental or unknown";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patient {
    pub name: Private<String>,
    pub identifier: Private<String>,
    pub birth_date: Private<Date>,
    /// Completed days of pregnancy at birth.
    pub gestation_days: i64,
    pub weight_g: Option<u32>,
    /// None: not said, so what was said before holds.
    pub oxygen: Option<Oxygen>,
}

/// What a person types to admit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Particulars {
    pub name: String,
    pub identifier: String,
    pub birth_date: String,
    pub gestational_age: GestationalAge,
    #[serde(default)]
    pub weight_g: Option<u32>,
    /// `room-air`, `supplemental` or `unknown`.
    #[serde(default)]
    pub oxygen: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GestationalAge {
    pub weeks: i64,
    pub days: i64,
}

impl Patient {
    /// The first thing wrong with what was typed, by field. The value itself is not repeated: it is a patient's.
    pub fn check(typed: Particulars, now: Wall) -> Result<Self, (&'static str, &'static str)> {
        let name = text(&typed.name).ok_or(("name", "1 to 64 characters, without control characters"))?;
        let identifier = text(&typed.identifier)
            .ok_or(("identifier", "1 to 64 characters, without control characters"))?;
        let birth_date = Date::parse(&typed.birth_date).ok_or(("birth_date", "a day as YYYY-MM-DD"))?;
        // A day of grace: east of Greenwich today begins before the hub's UTC day does.
        let age = Date::of(now).days_since(birth_date);
        if !(-1..=730).contains(&age) {
            return Err(("birth_date", "not in the future, and within two years"));
        }
        let GestationalAge { weeks, days } = typed.gestational_age;
        if !(20..=45).contains(&weeks) || !(0..WEEK).contains(&days) {
            return Err(("gestational_age", "20 to 45 weeks and 0 to 6 days"));
        }
        if typed.weight_g.is_some_and(|weight| !(200..=20_000).contains(&weight)) {
            return Err(("weight_g", "200 to 20000 grams"));
        }
        let oxygen = match typed.oxygen.as_deref() {
            None => None,
            Some(word) => Some(Oxygen::parse(word).ok_or(("oxygen", OXYGEN_WORDS))?),
        };
        Ok(Self {
            name: Private::new(name),
            identifier: Private::new(identifier),
            birth_date: Private::new(birth_date),
            gestation_days: weeks * WEEK + days,
            weight_g: typed.weight_g,
            oxygen,
        })
    }

    /// The day of birth is day 0. Days are counted in UTC: the hub does not know where it stands.
    pub fn day_of_life(&self, now: Wall) -> i64 {
        Date::of(now).days_since(*self.birth_date.reveal()).max(0)
    }

    pub fn view(&self, now: Wall) -> PatientView {
        let day_of_life = self.day_of_life(now);
        PatientView {
            name: self.name.reveal().clone(),
            identifier: self.identifier.reveal().clone(),
            birth_date: self.birth_date.reveal().to_string(),
            gestational_age: weeks_and_days(self.gestation_days),
            day_of_life,
            pma: weeks_and_days(self.gestation_days + day_of_life),
            weight_g: self.weight_g,
            oxygen: self.oxygen.unwrap_or_default().name(),
        }
    }
}

fn text(typed: &str) -> Option<String> {
    let harmless = DeviceText::new(typed.trim());
    (!harmless.is_empty() && harmless.as_str() == typed.trim()).then(|| harmless.as_str().to_owned())
}

fn weeks_and_days(days: i64) -> AgeView {
    AgeView { weeks: days / WEEK, days: days % WEEK }
}

#[cfg(test)]
mod tests {
    use super::{GestationalAge, Particulars, Patient};
    use cotside_protocol::model::Wall;

    const NOW: Wall = Wall(1_768_360_364_123_000);

    fn typed() -> Particulars {
        Particulars {
            name: "Thompson".to_owned(),
            identifier: "4711".to_owned(),
            birth_date: "2026-01-06".to_owned(),
            gestational_age: GestationalAge { weeks: 32, days: 4 },
            weight_g: Some(1820),
            oxygen: None,
        }
    }

    #[test]
    fn ages_are_derived_from_birth_and_gestation() {
        let view = Patient::check(typed(), NOW).unwrap().view(NOW);
        assert_eq!(view.day_of_life, 8);
        assert_eq!((view.pma.weeks, view.pma.days), (33, 5));
    }

    #[test]
    fn what_cannot_be_a_newborn_is_refused_by_field() {
        let with = |change: fn(&mut Particulars)| {
            let mut typed = typed();
            change(&mut typed);
            Patient::check(typed, NOW).unwrap_err().0
        };
        assert_eq!(with(|typed| typed.name = "\u{202e}x".to_owned()), "name");
        assert_eq!(with(|typed| typed.identifier = " ".to_owned()), "identifier");
        assert_eq!(with(|typed| typed.birth_date = "2026-02-30".to_owned()), "birth_date");
        assert_eq!(with(|typed| typed.birth_date = "2026-02-20".to_owned()), "birth_date");
        assert_eq!(with(|typed| typed.gestational_age.days = 7), "gestational_age");
        assert_eq!(with(|typed| typed.weight_g = Some(1)), "weight_g");
        assert_eq!(with(|typed| typed.oxygen = Some("air".to_owned())), "oxygen");
    }

    #[test]
    fn a_patient_prints_as_dots() {
        let patient = Patient::check(typed(), NOW).unwrap();
        let printed = format!("{patient:?} {:?}", patient.view(NOW));
        assert!(!printed.contains("Thompson") && !printed.contains("4711") && !printed.contains("2026"));
    }
}
