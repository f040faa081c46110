//! What the shipped limits spare and what they cost: annunciations per patient-day, no extreme event missed, the delay that was added.

use super::quantile;
use crate::burden::{self, Annunciation, SATURATION, cohort::Day};
use crate::figures::Figures;
use anyhow::{Context, Result, anyhow};
use cotside_config::profile::{self, Circumstances, Oxygen};
use cotside_protocol::model::{AlarmKind, Envelope, LimitSet, Priority};
use std::time::Duration;

/// Patient-days of the cohort; `COTSIDE_PATIENT_DAYS` asks for another size.
const PATIENT_DAYS: u64 = 40;

/// Born after 28 weeks, two weeks old, in oxygen: whom a unit's alarms are about.
const PATIENT: Circumstances =
    Circumstances { gestation_days: 28 * 7, pma_days: 30 * 7, oxygen: Oxygen::Supplemental };

pub fn run(figures: &mut Figures) -> Result<()> {
    let shipped = &shipped()?;
    let asked = std::env::var("COTSIDE_PATIENT_DAYS").ok().and_then(|text| text.parse().ok());
    let days: Vec<Day> = (0..asked.unwrap_or(PATIENT_DAYS)).map(Day::of).collect();
    let all = |days: &[Day], limits: &LimitSet| -> Vec<Vec<Annunciation>> {
        days.iter().map(|day| burden::annunciations(day, limits)).collect()
    };
    let short: Vec<Day> = days.iter().map(|day| day.averaged(2)).collect();
    let plain = all(&short, &burden::plain());
    let mut counts: Vec<f64> = plain.iter().map(|day| day.len() as f64).collect();
    let mean = counts.iter().sum::<f64>() / counts.len() as f64;
    figures.beside("burden-plain-per-patient-day", mean, "alarms", "published mean", 177.1);
    for (name, share, published) in [("q1", 0.25, 89.0), ("median", 0.5, 135.9), ("q3", 0.75, 213.0)] {
        let value = quantile(&mut counts, share);
        figures.beside(&format!("burden-plain-{name}"), value, "alarms", "published", published);
    }
    let every: Vec<&Annunciation> = plain.iter().flatten().collect();
    let share = |is: &dyn Fn(&Annunciation) -> bool| {
        100.0 * every.iter().filter(|one| is(one)).count() as f64 / every.len() as f64
    };
    let critical = share(&|one| one.priority == Priority::High);
    figures.beside("burden-plain-critical", critical, "%", "published", 3.6);
    let device = share(&|one| one.kind != AlarmKind::Physiological);
    figures.beside("burden-plain-device", device, "%", "published", 41.4);
    let dips = |days: &[Vec<Annunciation>]| -> Vec<f64> {
        let is_dip = |one: &&Annunciation| one.rule == "limit-low" && one.code == Some(SATURATION);
        days.iter().flatten().filter(is_dip).map(|one| one.lasted as f64).collect()
    };
    let mut short_dips = dips(&plain);
    let brief =
        100.0 * short_dips.iter().filter(|lasted| **lasted < 15.0).count() as f64 / short_dips.len() as f64;
    figures.beside("burden-dips-under-15-s", brief, "%", "published", 55.0);
    let long: Vec<Day> = days.iter().map(|day| day.averaged(16)).collect();
    let mut long_dips = dips(&all(&long, &burden::plain()));
    let change = |after: f64, before: f64| 100.0 * (after / before - 1.0);
    let fewer = change(long_dips.len() as f64, short_dips.len() as f64);
    figures.beside("burden-average-2-to-16-s", fewer, "%", "published", -53.0);
    let longer = quantile(&mut long_dips, 0.5) / quantile(&mut short_dips, 0.5);
    figures.beside("burden-average-16-s-length", longer, "x", "published", 2.15);
    let waited = dips(&all(&short, &burden::delayed(Duration::from_secs(15))));
    let fewer = change(waited.len() as f64, short_dips.len() as f64);
    figures.beside("burden-delay-15-s", fewer, "%", "published", -67.0);

    let ours = all(&short, shipped);
    let total = ours.iter().map(Vec::len).sum::<usize>() as f64 / ours.len() as f64;
    figures.beside("burden-shipped-per-patient-day", total, "alarms", "plain thresholds", mean);
    let (mut events, mut missed, mut delays, mut added) = (0.0, 0.0, Vec::new(), Vec::new());
    for ((day, told), plain) in short.iter().zip(&ours).zip(&plain) {
        for extreme in burden::extremes(day, shipped) {
            events += 1.0;
            match burden::told_after(&extreme, told) {
                None => missed += 1.0,
                Some(after) => {
                    delays.push(after as f64);
                    let before = burden::told_after(&extreme, plain).unwrap_or(after);
                    added.push((after as f64 - before as f64).max(0.0));
                }
            }
        }
    }
    figures.alone(
        "burden-extreme-events",
        events,
        "events",
        "beyond an extreme limit for longer than its delay",
    );
    figures.alone("burden-extreme-missed", missed, "events", "nobody was told before it was over");
    for (name, share) in [("p50", 0.5), ("p95", 0.95), ("max", 1.0)] {
        let value = quantile(&mut delays, share);
        let beside = quantile(&mut added, share);
        figures.beside(
            &format!("burden-extreme-told-{name}"),
            value,
            "s",
            "of it added to plain thresholds",
            beside,
        );
    }
    Ok(())
}

/// The limits that such a patient's bed has while nobody has touched them.
pub fn shipped() -> Result<LimitSet> {
    let (name, text) = profile::SHIPPED.first().context("a profile is shipped")?;
    let profile = profile::check(name, text, &Envelope::neonatal(), &[])
        .map_err(|problems| anyhow!("the shipped profile has {} problems", problems.len()))?;
    Ok(profile.set_at(&PATIENT))
}
