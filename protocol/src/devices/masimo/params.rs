//! Keys to parameters. CO-oximetry values without a confirmed 11073 code take private ones, from 0x0400F001 on.

use super::message::Key;
use crate::device::ParameterRow;
use crate::model::Code;

pub(super) const SPO2: Code = Code(150_456);
pub(super) const PULSE_RATE: Code = Code(149_530);
pub(super) const PERFUSION: Code = Code(150_488);

/// The private partition of 11073 (1024), where the parameter table names these rows.
const SPHB: Code = Code(0x0400_F001);
const SPOC: Code = Code(0x0400_F002);
const SPCO: Code = Code(0x0400_F003);
const SPMET: Code = Code(0x0400_F004);
const PVI: Code = Code(0x0400_F005);
pub(super) const AVERAGING: Code = Code(0x0400_F006);

struct Row(Key, &'static str, Code, &'static str);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row(Key::Spo2,      "SPO2",  SPO2,                "%"),
    Row(Key::PulseRate, "BPM",   PULSE_RATE,          "{beats}/min"),
    Row(Key::Pi,        "PI",    PERFUSION,           "%"),
    Row(Key::SpHb,      "SPHB",  SPHB,   "g/dL"),
    Row(Key::SpOc,      "SPOC",  SPOC,   "mL/dL"),
    Row(Key::SpCo,      "SPCO",  SPCO,   "%"),
    Row(Key::SpMet,     "SPMET", SPMET,  "%"),
    Row(Key::Pvi,       "PVI",   PVI,    "%"),
];

/// The parameter of a key; None for keys that are read and not reported.
pub(super) fn parameter_of(key: Key) -> Option<(Code, &'static str)> {
    ROWS.iter().find(|row| row.0 == key).map(|row| (row.2, row.3))
}

pub(super) fn rows() -> Vec<ParameterRow> {
    let measured = ROWS.iter().map(|Row(_, device, code, ucum)| ParameterRow { device, code: *code, ucum });
    measured.chain([ParameterRow { device: "setting averaging", code: AVERAGING, ucum: "s" }]).collect()
}
