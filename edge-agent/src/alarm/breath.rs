//! Breath, heart and oxygen as a preterm's three that fail together: since when, how deep, and whether anybody could tell.

use super::alerts::words;
use super::engine::Engine;
use super::rule::Rule;
use super::verdict::{Finding, Hold, Verdict, Verdicts};
use cotside_protocol::model::{Code, Decimal, LimitSide, Mono, parameter};
use std::time::Duration;

/// Breath rates: of the chest, of the airway, of CO2, and where a device does not say of what.
const BREATH: [Code; 4] = [Code(151_578), Code(151_570), Code(151_594), Code(151_562)];
/// A ventilator counts its own strokes: asked only where nothing measures the patient's.
const VENTILATOR: [Code; 1] = [Code(151_586)];
/// By preference: of the first that is fresh.
pub(super) const HEART: [Code; 5] =
    [Code(147_842), Code(149_530), Code(149_538), Code(149_522), Code(149_514)];
pub(super) const OXYGEN: [Code; 3] = [Code(150_456), Code(160_296), Code(160_300)];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Breath,
    Heart,
    Oxygen,
}

impl Part {
    pub(super) const ALL: [Self; 3] = [Self::Breath, Self::Heart, Self::Oxygen];

    pub(super) fn concerns(code: Code) -> bool {
        [&BREATH[..], &VENTILATOR, &HEART, &OXYGEN].iter().any(|codes| codes.contains(&code))
    }
}

/// One part: as it is now, and the last time before that it was long enough to count.
#[derive(Clone, Debug, Default)]
pub(super) struct Spell {
    pub(super) now: Option<Run>,
    pub(super) last: Option<Run>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    pub(super) since: Mono,
    pub(super) until: Option<Mono>,
    pub(super) worst: Option<Decimal>,
    /// On the device's word, which has waited already.
    pub(super) is_said: bool,
}

impl Run {
    pub(super) fn counts(&self, now: Mono, after: Duration) -> bool {
        self.is_said || self.until.unwrap_or(now).since(self.since) >= after
    }
}

/// What is known of one part.
#[derive(Clone, Copy)]
enum Sense {
    Fails { since: Mono, value: Option<Decimal>, is_said: bool },
    Fine,
    Unknown,
}

impl Spell {
    fn follow(&mut self, now: Mono, sense: &Sense, after: Duration) {
        match (*sense, self.now.as_mut()) {
            (Sense::Fails { value, is_said, .. }, Some(run)) => {
                run.is_said |= is_said;
                let is_worse = |worst: Decimal| value.is_some_and(|value| value.to_f64() < worst.to_f64());
                if run.worst.is_none_or(is_worse) {
                    run.worst = value;
                }
            }
            (Sense::Fails { since, value, is_said }, None) => {
                self.now = Some(Run { since, until: None, worst: value, is_said });
            }
            (Sense::Fine, Some(run)) => {
                let run = Run { until: Some(now), ..*run };
                self.now = None;
                if run.counts(now, after) {
                    self.last = Some(run);
                }
            }
            (Sense::Fine, None) | (Sense::Unknown, _) => {}
        }
    }
}

impl Engine {
    pub(super) fn watches_breath(&self) -> bool {
        self.set.apnoea.is_some() || self.set.combined.is_some()
    }

    /// Looks at the three anew.
    pub(super) fn follow_parts(&mut self, now: Mono) {
        if !self.watches_breath() {
            return;
        }
        for part in Part::ALL {
            let (sense, after) = (self.sense(now, part), self.counts_after(part));
            self.together.spells[part as usize].follow(now, &sense, after);
            self.together.is_known[part as usize] = !matches!(sense, Sense::Unknown);
        }
    }

    /// How long a part must last to count as one of a combined episode.
    pub(super) fn counts_after(&self, part: Part) -> Duration {
        let combined = self.set.combined.as_ref();
        match part {
            Part::Breath => self.set.apnoea.map(|apnoea| apnoea.accompanied),
            Part::Heart => combined.map(|combined| combined.bradycardia.1),
            Part::Oxygen => combined.map(|combined| combined.desaturation.1),
        }
        .unwrap_or_default()
    }

    fn sense(&self, now: Mono, part: Part) -> Sense {
        let codes = match part {
            Part::Breath => return self.sense_breath(now),
            Part::Heart => &HEART[..],
            Part::Oxygen => &OXYGEN[..],
        };
        let Some(threshold) = self.part_below(part) else { return Sense::Fine };
        let in_its_unit = |code: Code, ucum: &str| parameter(code).is_some_and(|row| row.ucum == ucum);
        let reading = codes.iter().find_map(|code| {
            let mut fresh = self.sources.fresh(now, &self.policy, *code);
            fresh.find(|reading| in_its_unit(*code, reading.ucum))
        });
        match reading {
            None => Sense::Unknown,
            Some(reading) if reading.value.to_f64() < threshold => {
                Sense::Fails { since: reading.at, value: Some(reading.value), is_said: false }
            }
            Some(_) => Sense::Fine,
        }
    }

    /// Where bradycardia and desaturation begin: by the combined rule, else by the bed's own low limits.
    pub(super) fn part_below(&self, part: Part) -> Option<f64> {
        if let Some(combined) = self.set.combined {
            let of = if part == Part::Heart { combined.bradycardia } else { combined.desaturation };
            return Some(of.0.to_f64());
        }
        let codes = if part == Part::Heart { &HEART[..] } else { &OXYGEN[..] };
        let low = self.set.limits.iter().filter(|limit| limit.side == LimitSide::Low);
        low.filter(|limit| codes.contains(&limit.code)).map(|limit| limit.threshold.to_f64()).reduce(f64::max)
    }

    fn sense_breath(&self, now: Mono) -> Sense {
        if self.alerts.apnoea().is_some() {
            return Sense::Fails { since: now, value: None, is_said: true };
        }
        let was_said = self.together.spells[Part::Breath as usize].now.is_some_and(|run| run.is_said);
        let mut is_known = false;
        for codes in [&BREATH[..], &VENTILATOR] {
            for reading in codes.iter().flat_map(|code| self.sources.fresh(now, &self.policy, *code)) {
                is_known = true;
                // Any that measures this patient and finds nothing is believed: of an obstructed baby the chest goes on.
                if reading.value.to_f64() < 1.0 {
                    return Sense::Fails { since: reading.at, value: None, is_said: false };
                }
            }
            if is_known {
                return Sense::Fine;
            }
        }
        // The device that said so has withdrawn it.
        if was_said { Sense::Fine } else { Sense::Unknown }
    }

    pub(super) fn judge_apnoea(&self, verdicts: &mut Verdicts) {
        let Some(apnoea) = self.set.apnoea else { return };
        let is_known = self.together.is_known[Part::Breath as usize];
        let verdict = match self.together.spells[Part::Breath as usize].now {
            None if !is_known => Verdict::Unknown,
            None => Verdict::False,
            Some(run) => Verdict::True(self.find_apnoea(apnoea, run)),
        };
        verdicts.push((Rule::Apnoea, verdict));
        let can_tell = is_known || self.alerts.can_tell_apnoea(&self.links);
        let unwatched = if can_tell {
            Verdict::False
        } else {
            let text = "APNOEA NOT MONITORED: no breath signal".to_owned();
            let delay = self.policy.apnoea_unmonitored_after;
            Verdict::True(Finding { delay, ..Finding::new(self.policy.apnoea_unmonitored, text) })
        };
        verdicts.push((Rule::ApnoeaNotMonitored, unwatched));
    }

    fn find_apnoea(&self, apnoea: cotside_protocol::model::Apnoea, run: Run) -> Finding {
        let is_accompanied =
            [Part::Heart, Part::Oxygen].iter().any(|part| self.together.spells[*part as usize].now.is_some());
        let delay = if is_accompanied { apnoea.accompanied.min(apnoea.after) } else { apnoea.after };
        let said = self.alerts.apnoea().filter(|_| run.is_said);
        let text =
            said.map_or_else(|| "Apnoea: no breath".to_owned(), |alert| format!("Apnoea: {}", words(alert)));
        let delay = if run.is_said { Duration::ZERO } else { delay };
        let hold = Hold::Seen;
        Finding { delay, since: Some(run.since), hold, ..Finding::new(apnoea.priority, text) }
    }

    /// When a part is long enough to count, or to be an alarm of its own.
    pub(super) fn parts_due(&self) -> impl Iterator<Item = Mono> + '_ {
        Part::ALL.into_iter().filter_map(|part| {
            let run = self.together.spells[part as usize].now?;
            Some(run.since + self.counts_after(part))
        })
    }
}
