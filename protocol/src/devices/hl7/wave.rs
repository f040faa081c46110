//! A waveform (IHE WCM, and vendors before it): samples in an NA field, its rate and resolution in rows below it.

use super::message::Containment;
use super::observation::Row;
use super::params::{self, Named};
use crate::hl7::scan::Field;
use crate::hl7::time::Time;
use crate::model::{Code, Decimal, NO_SAMPLE, Quality, Site};

/// One NA field and what the rows below it said.
#[derive(Clone, Debug)]
pub struct Wave<'a> {
    pub code: Code,
    pub site: Site,
    pub path: Containment,
    pub ucum: &'static str,
    pub is_ucum_assumed: bool,
    /// What OBX-8 and OBX-11 say of the whole row.
    pub quality: Quality,
    pub begins_at: Option<Time>,
    pub ends_at: Option<Time>,
    values: Field<'a>,
    per_second: Option<f64>,
    resolution: f64,
    /// MDC_EVT_INOP: the number that stands for an invalid sample.
    invalid: Option<Decimal>,
}

/// Samples in the model's terms: `physical = gain * sample`.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    pub samples: Vec<i32>,
    pub period_us: u32,
    pub gain: f64,
}

impl<'a> Wave<'a> {
    pub(super) fn of(
        row: &Row<'a>,
        site: Field<'a>,
        begins_at: Option<Time>,
        ends_at: Option<Time>,
    ) -> Option<Self> {
        let Named::Code(code) = params::named(row.name()) else { return None };
        let (ucum, is_ucum_assumed) = params::ucum(row.measure(), code);
        Some(Self {
            code,
            site: params::site(site, code),
            path: row.path,
            ucum,
            is_ucum_assumed,
            quality: row.marks(!row.value().is_empty()),
            begins_at,
            ends_at,
            values: row.value(),
            per_second: None,
            resolution: 1.0,
            invalid: None,
        })
    }

    /// A row one level below this one is its attribute. False: it belongs elsewhere.
    pub(super) fn take_attribute(&mut self, row: &Row<'_>) -> bool {
        if row.path.parts[..4] != self.path.parts[..4] || self.path.depth != 4 {
            return false;
        }
        let [id, name] = row.name().first::<2>();
        let number = std::str::from_utf8(row.value().component(1).trim_ascii()).ok().and_then(Decimal::parse);
        let Some(number) = number else { return true };
        match (id, name) {
            (_, b"MDC_ATTR_SAMP_RATE") | (b"67981", _) => {
                self.per_second = Some(number.to_f64()).filter(|rate| (0.01..=100_000.0).contains(rate));
            }
            (_, b"MDC_ATTR_NU_MSMT_RES") | (b"2327", _) => {
                self.resolution = number.to_f64();
                // The unit stands with the resolution if the samples are raw.
                let (ucum, is_assumed) = params::ucum(row.measure(), self.code);
                if self.is_ucum_assumed && !is_assumed {
                    (self.ucum, self.is_ucum_assumed) = (ucum, false);
                }
            }
            (_, b"MDC_EVT_INOP") => self.invalid = Some(number),
            _ => {}
        }
        true
    }

    /// None: nothing says how fast the samples follow each other, or there are none.
    pub fn samples(&self, sentinels: &[Decimal]) -> Option<Samples> {
        let is_valid = |number: &Decimal| Some(*number) != self.invalid && !sentinels.contains(number);
        let values = || {
            let texts = self.values.repetitions().flat_map(|row| row.components());
            texts.map(|text| {
                std::str::from_utf8(text.trim_ascii()).ok().and_then(Decimal::parse).filter(is_valid)
            })
        };
        let count = values().count();
        let exponent = values().flatten().map(|number| number.exponent).min().unwrap_or(0).max(-9);
        let largest = values().flatten().map(|number| number.to_f64().abs()).fold(0.0, f64::max);
        // As fine as the finest sample was written, unless that would not fit.
        let written = 10f64.powi(i32::from(exponent));
        let step = written.max(largest / f64::from(i32::MAX));
        let samples = values()
            .map(|number| number.map_or(NO_SAMPLE, |number| (number.to_f64() / step).round() as i32))
            .collect();
        let period = self.period_us(count).filter(|period| *period > 0)?;
        (!self.values.is_empty()).then_some(Samples {
            samples,
            period_us: period,
            gain: step * self.resolution,
        })
    }

    fn period_us(&self, count: usize) -> Option<u32> {
        let micros = match (self.per_second, self.begins_at, self.ends_at) {
            (Some(rate), ..) => 1e6 / rate,
            (None, Some(begin), Some(end)) => end.micros_since(&begin) as f64 / count as f64,
            _ => return None,
        };
        (1.0..=1e8).contains(&micros).then_some(micros.round() as u32)
    }
}
