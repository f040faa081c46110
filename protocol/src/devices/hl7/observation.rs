//! One OBX segment (PCD-01 3.1.4.9): its value exactly as written, with the marks that OBX-8 and OBX-11 put on it.

use super::message::{Containment, Dialect};
use super::params::{self, Named};
use crate::hl7::scan::{Field, Segment};
use crate::hl7::time::Time;
use crate::model::{Code, Decimal, Kind, Malformed, Quality, Site, parameter};

/// One number of one channel, as the message has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    pub code: Code,
    pub site: Site,
    pub path: Containment,
    pub value: Option<Decimal>,
    pub ucum: &'static str,
    pub quality: Quality,
    pub kind: Kind,
    pub is_episodic: bool,
    /// OBX-14, inherited down the containment, else OBR-7.
    pub at: Option<Time>,
    /// The value's text is no number: there is no value, and it is reported as malformed.
    pub is_malformed: bool,
}

/// An OBX segment taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    segment: Segment<'a>,
    fields: [&'a [u8]; 21],
    pub(super) path: Containment,
}

impl<'a> Row<'a> {
    pub(super) fn of(segment: &Segment<'a>) -> Self {
        let fields: [&[u8]; 21] = segment.fields();
        Self { segment: *segment, fields, path: Containment::parse(fields[4]) }
    }

    const fn field(&self, number: usize) -> Field<'a> {
        self.segment.whole(self.fields[number])
    }

    /// OBX-2.
    pub(super) const fn kind(&self) -> &'a [u8] {
        self.fields[2].trim_ascii()
    }

    pub(super) const fn name(&self) -> Field<'a> {
        self.field(3)
    }

    pub(super) const fn value(&self) -> Field<'a> {
        self.field(5)
    }

    pub(super) const fn measure(&self) -> Field<'a> {
        self.field(6)
    }

    const fn status(&self) -> &'a [u8] {
        self.fields[11].trim_ascii()
    }

    /// OBX-13, in which some vendors say how a value came about.
    const fn access(&self) -> &'a [u8] {
        self.fields[13].trim_ascii()
    }

    pub(super) const fn at(&self) -> Field<'a> {
        self.field(14)
    }

    const fn method(&self) -> Field<'a> {
        self.field(17)
    }

    pub(super) const fn equipment(&self) -> Field<'a> {
        self.field(18)
    }

    pub(super) const fn site(&self) -> Field<'a> {
        self.field(20)
    }

    /// A row that describes a device, subdevice or channel: it has a place and no value.
    pub(super) fn is_device(&self) -> bool {
        self.value().is_empty() && self.kind().is_empty() && {
            let [id, name] = self.name().first::<2>();
            name.starts_with(b"MDC_DEV_") || params::number(id).is_some_and(|number| number >> 16 == 1)
        }
    }

    /// None: whole and correct, but nothing that the model has. Err: not to be believed.
    pub(super) fn observe(
        &self,
        site: Field<'a>,
        at: Option<Time>,
        dialect: &Dialect,
    ) -> Option<Result<Observation, Malformed>> {
        let is_number = match self.kind() {
            b"NM" | b"SN" => true,
            b"" | b"ST" => false,
            _ => return None,
        };
        let code = match params::named(self.name()) {
            Named::Code(code) if self.path.depth <= 4 => code,
            Named::Contradiction => return Some(Err(Malformed::Field)),
            _ => return None,
        };
        // Free text in the place of a number is only a number where the parameter says that it should be.
        if !is_number && parameter(code).is_none() {
            return None;
        }
        let number = self.number();
        let mut quality = self.marks(!matches!(number, Text::Nothing | Text::Rubbish));
        let (value, is_malformed) = match number {
            Text::Number(number) if dialect.sentinels.contains(&number) => (None, false),
            Text::Number(number) => (Some(number), false),
            Text::Nothing => (None, false),
            Text::Bound => {
                quality = quality | Quality::INVALID;
                (None, false)
            }
            Text::Rubbish => (None, true),
        };
        let (ucum, is_assumed) = params::ucum(self.measure(), code);
        let value = if matches!(self.status(), b"D" | b"W") { None } else { value };
        match value {
            Some(number) => {
                if is_assumed {
                    quality = quality | Quality::UCUM_ASSUMED;
                }
                let row = parameter(code).filter(|row| row.ucum == ucum);
                if row.is_some_and(|row| !row.is_plausible(number.to_f64())) {
                    quality = quality | Quality::IMPLAUSIBLE;
                }
            }
            None if is_malformed => quality = quality | Quality::INVALID,
            None if quality.is_usable() => quality = quality | Quality::UNAVAILABLE,
            None => {}
        }
        Some(Ok(Observation {
            code,
            site: params::site(site, code),
            path: self.path,
            value,
            ucum,
            quality,
            kind: self.measured_or_set(code),
            is_episodic: self.access() == b"APERIODIC" || params::is_episodic(code),
            at,
            is_malformed,
        }))
    }

    /// OBX-5 as a number, strictly: no exponent, no comma, no unit. Of several values in time the latest counts.
    fn number(&self) -> Text {
        let value = self.value().repetitions().last().unwrap_or(self.value());
        let text = match self.kind() {
            // SN is `comparator^number^separator^number`; only a plain number is one.
            b"SN" => match value.first::<4>() {
                [b"" | b"=", number, b"", b""] => number,
                [number, b"", b"", b""] => number,
                _ => return Text::Bound,
            },
            _ => value.bytes(),
        };
        let text = text.trim_ascii();
        if text.is_empty()
            || text == b"\"\""
            || text.iter().all(|byte| matches!(byte, b'-' | b'?' | b'.' | b'*'))
        {
            return Text::Nothing;
        }
        std::str::from_utf8(text).ok().and_then(Decimal::parse).map_or(Text::Rubbish, Text::Number)
    }

    /// OBX-8 (repeatable; table 0078 as PCD-01 extends it) and OBX-11 (table 0085).
    pub(super) fn marks(&self, has_value: bool) -> Quality {
        let mut quality = Quality::GOOD;
        if !self.field(8).is_empty() {
            for flag in self.field(8).repetitions() {
                quality = quality | self.mark(flag.component(1).trim_ascii());
            }
        }
        match self.status() {
            b"" | b"R" | b"F" | b"P" | b"C" | b"S" | b"I" | b"U" | b"B" | b"V" => quality,
            // No value, deleted, of another patient: should a number stand there all the same, it is kept and not used.
            b"X" if !has_value => quality | Quality::UNAVAILABLE,
            b"X" | b"D" | b"W" => quality | Quality::INVALID,
            _ => quality | Quality::QUESTIONABLE,
        }
    }

    fn mark(&self, flag: &[u8]) -> Quality {
        match flag {
            b"INV" => Quality::INVALID,
            b"QUES" | b"EARLY" => Quality::QUESTIONABLE,
            b"NAV" | b"NI" | b"NA" | b"OFF" | b"MSK" | b"NAN" | b"PINF" | b"NINF" | b"BUSY" => {
                Quality::UNAVAILABLE
            }
            b"CAL" | b"TEST" => Quality::CALIBRATING,
            b"DEMO" => Quality::DEMO,
            b"ALACT" => Quality::IN_ALARM,
            // OBX-7 holds the alarm limits of a device, not a laboratory's reference range.
            b"L" | b"H" | b"LL" | b"HH" if !self.fields[7].is_empty() => Quality::IN_ALARM,
            _ => Quality::GOOD,
        }
    }

    /// OBX-17 (ASET, MSET), OBX-13 (Philips), partition 258, or a name that says so.
    fn measured_or_set(&self, code: Code) -> Kind {
        let says_set = |text: &[u8]| matches!(text.trim_ascii(), b"ASET" | b"MSET");
        let by_method = !self.method().is_empty()
            && self.method().repetitions().any(|method| method.components().any(says_set));
        let by_name = self.name().component(2).ends_with(b"_SETTING");
        if by_method || by_name || self.access() == b"SETTING" || code.0 >> 16 == 258 {
            Kind::Setting
        } else {
            Kind::Measurement
        }
    }
}

enum Text {
    Number(Decimal),
    /// Empty, `""`, or the dashes that a screen would show.
    Nothing,
    /// More or less than a number, or two of them (SN): not one number.
    Bound,
    Rubbish,
}
