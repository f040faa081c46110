//! What the hub has said of this bed that outlives a start, as one text in two copies: which bed, whose stay, which limits
//! (hazards H2, H4).
//!
//! A set of limits is taken whole or not at all, its versions only rise, and it ends with the stay: the configuration's limits follow
//! it, and the bed says LIMITS RESET until the next set comes or a person accepts.

use super::core::{Bed, Output};
use super::kept::Keep;
use super::values::Values;
use crate::alarm::Input as Alarming;
use cotside_protocol::model::{DeviceText, LimitSet, Now};
use cotside_protocol::wire::convert;
use cotside_protocol::wire::downstream::{Limits, Stay};
use cotside_protocol::wire::upstream::{LimitsRefused, Record};
use serde::{Deserialize, Serialize};

/// Words of a refusal, which a set with a hundred mistakes would fill with all of them.
const REFUSAL_MAX: usize = 240;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    pub bed: Option<String>,
    /// None: no hub has ever said who lies here.
    #[serde(default)]
    pub stay: Option<Stay>,
    /// The highest version that was ever in force at this bed.
    #[serde(default)]
    pub floor: u64,
    /// The configuration's limits took the place of a set, and nobody has accepted that.
    #[serde(default)]
    pub is_reset: bool,
    /// In force; None: the configuration's are.
    #[serde(default)]
    pub limits: Option<Limits>,
}

impl Orders {
    /// The stay's name, if somebody is admitted.
    pub(super) fn stay_id(&self) -> Option<&str> {
        self.stay.as_ref()?.id.as_deref()
    }

    fn json(&self) -> String {
        serde_json::to_string(self).expect("orders of plain fields always have a JSON text")
    }
}

impl Bed {
    /// What the last life left.
    pub(super) fn resume_orders(&mut self, now: Now, orders: Orders, is_lost: bool) {
        self.orders = orders;
        if let Some(limits) = self.orders.limits.take() {
            match self.readable(&limits) {
                Ok(set) => {
                    self.engine.handle(now, Alarming::Limits(&set));
                    self.orders.limits = Some(limits);
                }
                Err(words) => {
                    self.orders.is_reset = true;
                    self.refuse(now, limits.version, words);
                }
            }
        }
        self.orders.is_reset |= is_lost;
    }

    /// Which bed this agent serves. Another one than before is another baby's.
    pub(super) fn assigned(&mut self, now: Now, bed: &str) {
        let bed = DeviceText::new(bed).to_string();
        if self.orders.bed.as_ref() == Some(&bed) {
            return;
        }
        let was_elsewhere = self.orders.bed.replace(bed).is_some();
        if was_elsewhere {
            // Stays and versions of the other bed say nothing of this one.
            (self.orders.stay, self.orders.floor) = (None, 0);
            self.turn_over(now);
        }
        self.keep_orders();
    }

    /// Who lies here. The first word on it is no change: an agent may be younger than the stay.
    pub(super) fn hear_stay(&mut self, now: Now, stay: Stay) {
        let stay = Stay { id: stay.id.map(|id| DeviceText::new(&id).to_string()) };
        if self.orders.stay.as_ref() == Some(&stay) {
            return;
        }
        let is_first = self.orders.stay.replace(stay).is_none();
        if !is_first {
            self.turn_over(now);
        }
        self.keep_orders();
        if let Some(limits) = self.limits_ahead.take() {
            self.take_limits(now, limits);
        }
    }

    /// Nothing that was said, held back or set for the last patient touches the next.
    fn turn_over(&mut self, now: Now) {
        self.engine.handle(now, Alarming::TurnOver);
        self.values = Values::default();
        self.alerts.clear();
        if self.orders.limits.take().is_some() {
            self.orders.is_reset = true;
            let configured = self.setup.limits.clone();
            self.engine.handle(now, Alarming::Limits(&configured));
        }
        self.limits_refused = None;
        self.engine.handle(now, Alarming::LimitsRefused(None));
        self.say_reset(now);
        self.say_limits_soon(now);
        let stay = self.orders.stay_id().map(str::to_owned);
        self.record(now, &Record::TurnedOver { stay });
    }

    pub(super) fn take_limits(&mut self, now: Now, given: Limits) {
        let is_ahead = given.stay.is_some() && given.stay.as_deref() != self.orders.stay_id();
        if is_ahead {
            if self.limits_ahead.as_ref().is_none_or(|held| held.version <= given.version) {
                self.limits_ahead = Some(given);
            }
            return;
        }
        if self.orders.limits.as_ref() == Some(&given) {
            // Said again: the last word of the hub is the one in force.
            self.limits_refused = None;
            return self.engine.handle(now, Alarming::LimitsRefused(None));
        }
        match self.admissible(&given).and_then(|()| self.readable(&given)) {
            Ok(set) => self.put_in_force(now, given, &set),
            Err(words) => self.refuse(now, given.version, words),
        }
    }

    fn put_in_force(&mut self, now: Now, given: Limits, set: &LimitSet) {
        self.engine.handle(now, Alarming::Limits(set));
        self.engine.handle(now, Alarming::LimitsRefused(None));
        self.limits_refused = None;
        let author = DeviceText::new(&given.author).to_string();
        self.record(now, &Record::LimitsTaken { version: given.version, author, refused: None });
        self.orders.floor = given.version;
        self.orders.is_reset = false;
        self.orders.limits = Some(given);
        self.say_reset(now);
        self.say_limits_soon(now);
        self.keep_orders();
    }

    /// Whether it is this bed's to take, in words why not.
    fn admissible(&self, given: &Limits) -> Result<(), String> {
        let bed = self.orders.bed.as_deref().unwrap_or_default();
        if !given.bed.is_empty() && !bed.is_empty() && given.bed != bed {
            return Err(format!("it is for bed {}, this is bed {bed}", DeviceText::new(&given.bed)));
        }
        let floor = self.orders.floor;
        if given.version < floor {
            return Err(format!("version {} is older than {floor}", given.version));
        }
        // The same version is taken again only for a stay that it names: it was reset, and is the hub's word still.
        if given.version == floor && (given.stay.is_none() || self.orders.limits.is_some()) {
            return Err(match given.version {
                0 => "version 0 is the configuration's".to_owned(),
                version => format!("version {version} was another set before"),
            });
        }
        Ok(())
    }

    fn readable(&self, given: &Limits) -> Result<LimitSet, String> {
        let set = convert::limit_set(given)?;
        let breaches = self.setup.envelope.breaches(&set);
        if breaches.is_empty() { Ok(set) } else { Err(breaches.join("; ")) }
    }

    fn refuse(&mut self, now: Now, version: u64, words: String) {
        let words: String = words.chars().take(REFUSAL_MAX).collect();
        let refused = LimitsRefused { version, words: words.clone() };
        if self.limits_refused.as_ref() == Some(&refused) {
            return;
        }
        self.engine.handle(now, Alarming::LimitsRefused(Some(&words)));
        self.record(now, &Record::LimitsTaken { version, author: "hub".to_owned(), refused: Some(words) });
        self.limits_refused = Some(refused);
        self.status_at = now.mono;
    }

    /// A person has accepted the limits that took the place of a set.
    pub(super) fn limits_accepted(&mut self) {
        self.orders.is_reset = false;
        self.keep_orders();
    }

    /// At a bed where nobody lies it concerns nobody.
    pub(super) fn say_reset(&mut self, now: Now) {
        let is_empty = self.orders.stay.as_ref().is_some_and(|stay| stay.id.is_none());
        self.engine.handle(now, Alarming::LimitsReset(self.orders.is_reset && !is_empty));
    }

    fn say_limits_soon(&mut self, now: Now) {
        (self.status_at, self.limits_at) = (now.mono, now.mono);
    }

    fn keep_orders(&mut self) {
        self.outputs.push_back(Output::Keep(Keep::Orders, self.orders.json()));
    }
}
