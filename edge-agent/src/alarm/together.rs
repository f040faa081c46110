//! Apnoea, bradycardia and desaturation that belong together are one alarm: not three for one breathless baby.

use super::breath::{HEART, OXYGEN, Part, Run, Spell};
use super::engine::Engine;
use super::episode::State;
use super::rule::{Rule, Side};
use super::verdict::{Finding, Hold, Verdict, Verdicts};
use cotside_protocol::model::{Combined, Ended, Mono, Now, Priority};
use std::collections::BTreeSet;

/// An acknowledged event asks anew for every so much deeper: SpO2 in points, heart rate in beats a minute.
const STEP: [f64; 3] = [f64::INFINITY, 20.0, 10.0];

/// No true value is so many steps deep.
const STEPS_MAX: f64 = 100.0;

#[derive(Clone, Debug, Default)]
pub(super) struct Together {
    pub(super) spells: [Spell; 3],
    /// Whether a part was heard of at the last look.
    pub(super) is_known: [bool; 3],
    event: Option<Event>,
}

/// The combined episode while it lasts.
#[derive(Clone, Debug, Default)]
struct Event {
    parts: BTreeSet<Part>,
    /// Rules that would alarm beside it, and still hold.
    standing: BTreeSet<Rule>,
    /// Extreme ones that have been among them.
    extremes: BTreeSet<Rule>,
    /// The highest that any of the parts' own alarms would have.
    priority: Option<Priority>,
    /// A restart cut it off: its parts have waited already.
    is_resumed: bool,
}

impl Together {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Another set of limits is in force: what stood by the last one stands no more.
    pub(super) fn retain(&mut self, is_in_force: impl Fn(Rule) -> bool) {
        if let Some(event) = &mut self.event {
            event.standing.retain(|rule| is_in_force(*rule));
        }
    }
}

impl Engine {
    /// Before the other rules are settled: what they find of its parts is told by this one. Takes their verdicts out.
    pub(super) fn join(&mut self, now: Now, verdicts: &mut Verdicts) {
        let Some(combined) = self.set.combined else {
            self.together.event = None;
            return;
        };
        let runs = Part::ALL.map(|part| self.run(now.mono, part));
        let begun = || Some(Event { parts: first_parts(&runs, &combined)?, ..Event::default() });
        let Some(mut event) = self.together.event.take().or_else(begun).or_else(|| self.gone_on()) else {
            return verdicts.push((Rule::Combined, self.not_combined()));
        };
        // Whatever counts while it lasts belongs to it.
        event.parts.extend(Part::ALL.into_iter().filter(|part| {
            let spell = &self.together.spells[*part as usize];
            spell.now.is_some_and(|run| event.is_resumed || runs[*part as usize] == Some(run))
        }));
        self.gather(now, &mut event, verdicts);
        let goes_on = event.parts.iter().any(|part| self.together.spells[*part as usize].now.is_some());
        if goes_on || !event.standing.is_empty() {
            let finding = self.tell(now.mono, &combined, &event);
            verdicts.insert(0, (Rule::Combined, Verdict::True(finding)));
            self.together.event = Some(event);
        } else {
            self.together.spells.iter_mut().for_each(|spell| spell.last = None);
            verdicts.insert(0, (Rule::Combined, Verdict::False));
        }
    }

    /// One that a restart cut off has waited for its parts already.
    fn gone_on(&self) -> Option<Event> {
        let lasts = |part: &Part| self.together.spells[*part as usize].now.is_some();
        let parts: BTreeSet<Part> = Part::ALL.into_iter().filter(lasts).collect();
        let is_open = self.episodes.contains_key(&Rule::Combined);
        (is_open && !parts.is_empty()).then(|| Event { parts, is_resumed: true, ..Event::default() })
    }

    /// After a restart one may be open whose parts have not been heard of yet.
    fn not_combined(&self) -> Verdict {
        if self.together.is_known.contains(&false) { Verdict::Unknown } else { Verdict::False }
    }

    fn run(&self, now: Mono, part: Part) -> Option<Run> {
        let (spell, after) = (&self.together.spells[part as usize], self.counts_after(part));
        spell.now.filter(|run| run.counts(now, after)).or(spell.last)
    }

    /// Ends the parts' own episodes and keeps new ones from beginning.
    fn gather(&mut self, now: Now, event: &mut Event, verdicts: &mut Verdicts) {
        verdicts.retain(|(rule, verdict)| {
            if !part_of(*rule).is_some_and(|part| event.parts.contains(&part)) {
                return true;
            }
            match verdict {
                Verdict::True(finding) => {
                    event.standing.insert(*rule);
                    event.priority = event.priority.max(Some(finding.priority));
                    if finding.hold == Hold::Never {
                        event.extremes.insert(*rule);
                    }
                }
                Verdict::False => drop(event.standing.remove(rule)),
                Verdict::Unknown | Verdict::Faded => {}
            }
            !matches!(verdict, Verdict::True(_))
        });
        for (rule, episode) in &mut self.episodes {
            let is_part = part_of(*rule).is_some_and(|part| event.parts.contains(&part));
            if is_part && !episode.is_over() {
                event.priority = event.priority.max(Some(episode.finding.priority));
                if episode.can_hold() == Hold::Never {
                    event.extremes.insert(*rule);
                }
                if !matches!(episode.state(), State::Latched { .. }) {
                    event.standing.insert(*rule);
                }
                episode.end(now, Ended::Joined);
            }
        }
    }

    fn tell(&self, now: Mono, combined: &Combined, event: &Event) -> Finding {
        let names = [(Part::Breath, "apnoea"), (Part::Heart, "bradycardia"), (Part::Oxygen, "desaturation")];
        let text = names.iter().filter(|(part, _)| event.parts.contains(part)).map(|(_, name)| *name);
        let text = text.collect::<Vec<_>>().join(", ");
        let text = text[..1].to_uppercase() + &text[1..];
        let told = event.parts.iter().filter_map(|part| {
            let spell = &self.together.spells[*part as usize];
            Some((*part, spell.now.or(spell.last)?))
        });
        let deeper = told.clone().map(|(part, run)| self.steps(part, &run)).sum::<u32>();
        Finding {
            parts: told.map(|(part, run)| words(now, part, &run)).collect(),
            hold: if !event.extremes.is_empty() {
                Hold::Never
            } else if event.parts.contains(&Part::Breath) {
                Hold::Seen
            } else {
                Hold::Free
            },
            weight: (event.parts.len() + event.extremes.len()) as u32 + deeper,
            ..Finding::new(Some(combined.priority).max(event.priority).unwrap_or(combined.priority), text)
        }
    }

    /// How many steps deep below where the part begins.
    fn steps(&self, part: Part, run: &Run) -> u32 {
        let (Some(worst), Some(threshold)) = (run.worst, self.part_below(part)) else { return 0 };
        let steps = (threshold - worst.to_f64()) / STEP[part as usize];
        if part == Part::Breath { 0 } else { steps.clamp(0.0, STEPS_MAX) as u32 }
    }
}

/// Two parts that overlap or follow soon enough, one of which goes on.
fn first_parts(runs: &[Option<Run>; 3], combined: &Combined) -> Option<BTreeSet<Part>> {
    let mut parts = BTreeSet::new();
    for one in Part::ALL {
        for other in Part::ALL.into_iter().filter(|other| *other > one) {
            let (Some(a), Some(b)) = (runs[one as usize], runs[other as usize]) else { continue };
            let goes_on = a.until.is_none() || b.until.is_none();
            let ends = [a.until, b.until].into_iter().flatten().min();
            let gap = ends.map_or(std::time::Duration::ZERO, |end| a.since.max(b.since).since(end));
            if goes_on && gap <= combined.window {
                parts.extend([one, other]);
            }
        }
    }
    (!parts.is_empty()).then_some(parts)
}

/// Which part a rule tells of by itself.
fn part_of(rule: Rule) -> Option<Part> {
    match rule {
        Rule::Apnoea => Some(Part::Breath),
        Rule::BeyondLimit { code, side: Side::Low, .. } if HEART.contains(&code) => Some(Part::Heart),
        Rule::BeyondLimit { code, side: Side::Low, .. } if OXYGEN.contains(&code) => Some(Part::Oxygen),
        _ => None,
    }
}

fn words(now: Mono, part: Part, run: &Run) -> String {
    let lasted = run.until.unwrap_or(now).since(run.since).as_secs();
    match (part, run.worst) {
        (Part::Heart, Some(worst)) => format!("HR {worst}"),
        (Part::Oxygen, Some(worst)) => format!("SpO2 {worst}"),
        // While it lasts, in steps that do not make every second news.
        _ if run.until.is_none() && (run.is_said || lasted < 10) => "Apnoea".to_owned(),
        _ if run.until.is_none() => format!("Apnoea over {} s", lasted / 10 * 10),
        _ => format!("Apnoea {lasted} s"),
    }
}
