//! The monitor's physio ids and units in the model's words: context-free 11073 codes, UCUM, and where on the body.
//!
//! A measured physio id below F000 is its 11073 term: code = 2 * 65536 + id. The rows here are what a newborn's monitor reports, and the
//! ids whose code is another than that. Ids from F000 on are the vendor's own and keep their number unless a row says otherwise.

use super::labels::migrated;
use crate::device::ParameterRow;
use crate::model::{Code, Site, parameter, ucum_of_mdc_unit};

const SCADA: u32 = 2 << 16;
/// 11073 codes of settings are the measured codes plus 2^24.
const SETTING: u32 = 1 << 24;
/// "Metric, not otherwise specified": the label says what it is.
const PHYSIO_UNSPECIFIED: u16 = 0xEFFF;

const PARTITION_SETTING: u32 = 0x0402;
const PARTITION_OLD: u32 = 0x0401;

struct Row {
    physio: u16,
    device: &'static str,
    code: u32,
    ucum: &'static str,
}

const fn row(physio: u16, device: &'static str, code: u32, ucum: &'static str) -> Row {
    Row { physio, device, code, ucum }
}

#[rustfmt::skip]
/// Sorted by physio id. `row(physio, device, code, ucum)`.
const ROWS: &[Row] = &[
    row(0x0101, "0101 ECG I",        131_329, "mV"),
    row(0x0102, "0102 ECG II",       131_330, "mV"),
    row(0x013D, "013D ECG III",      131_389, "mV"),
    row(0x013E, "013E ECG aVR",      131_390, "mV"),
    row(0x013F, "013F ECG aVL",      131_391, "mV"),
    row(0x0140, "0140 ECG aVF",      131_392, "mV"),
    row(0x0143, "0143 ECG V",        131_395, "mV"),
    row(0x0301, "0301 ST I",         131_841, "mm"),
    row(0x0302, "0302 ST II",        131_842, "mm"),
    row(0x033D, "033D ST III",       131_901, "mm"),
    row(0x033E, "033E ST aVR",       131_902, "mm"),
    row(0x033F, "033F ST aVL",       131_903, "mm"),
    row(0x0340, "0340 ST aVF",       131_904, "mm"),
    row(0x0343, "0343 ST V",         131_907, "mm"),
    row(0x3F20, "3F20 QT",           147_232, "ms"),
    row(0x3F24, "3F24 QTc",          147_236, "ms"),
    row(0x4182, "4182 HR",           147_842, "{beats}/min"),
    row(0x418A, "418A btb HR",       147_850, "{beats}/min"),
    row(0x4261, "4261 PVC",          148_065, "{beats}/min"),
    row(0x480A, "480A Pulse",        149_514, "{beats}/min"),
    row(0x4822, "4822 Pulse SpO2",   149_530, "{beats}/min"),
    row(0x490C, "490C C.I.",         149_772, "L/min/m2"),
    row(0x4A05, "4A05 NBPs",         150_021, "mm[Hg]"),
    row(0x4A06, "4A06 NBPd",         150_022, "mm[Hg]"),
    row(0x4A07, "4A07 NBPm",         150_023, "mm[Hg]"),
    row(0x4A10, "4A10 ART wave",     150_032, "mm[Hg]"),
    row(0x4A11, "4A11 ARTs",         150_033, "mm[Hg]"),
    row(0x4A12, "4A12 ARTd",         150_034, "mm[Hg]"),
    row(0x4A13, "4A13 ARTm",         150_035, "mm[Hg]"),
    row(0x4A14, "4A14 ABP wave",     150_036, "mm[Hg]"),
    row(0x4A15, "4A15 ABPs",         150_037, "mm[Hg]"),
    row(0x4A16, "4A16 ABPd",         150_038, "mm[Hg]"),
    row(0x4A17, "4A17 ABPm",         150_039, "mm[Hg]"),
    row(0x4A1C, "4A1C PAP wave",     150_044, "mm[Hg]"),
    row(0x4A1D, "4A1D PAPs",         150_045, "mm[Hg]"),
    row(0x4A1E, "4A1E PAPd",         150_046, "mm[Hg]"),
    row(0x4A1F, "4A1F PAPm",         150_047, "mm[Hg]"),
    row(0x4A28, "4A28 UAP wave",     150_056, "mm[Hg]"),
    row(0x4A29, "4A29 UAPs",         150_057, "mm[Hg]"),
    row(0x4A2A, "4A2A UAPd",         150_058, "mm[Hg]"),
    row(0x4A2B, "4A2B UAPm",         150_059, "mm[Hg]"),
    row(0x4A44, "4A44 CVP wave",     150_084, "mm[Hg]"),
    row(0x4A47, "4A47 CVPm",         150_087, "mm[Hg]"),
    row(0x4A48, "4A48 UVP wave",     150_088, "mm[Hg]"),
    row(0x4A4B, "4A4B UVPm",         150_091, "mm[Hg]"),
    row(0x4B04, "4B04 C.O.",         150_276, "L/min"),
    row(0x4B34, "4B34 SaO2",         150_324, "%"),
    row(0x4B3C, "4B3C SvO2",         150_332, "%"),
    row(0x4B48, "4B48 Temp",         150_344, "Cel"),
    row(0x4B54, "4B54 Tairway",      150_356, "Cel"),
    row(0x4B60, "4B60 Tcore",        150_368, "Cel"),
    row(0x4B64, "4B64 Tesoph",       150_372, "Cel"),
    row(0x4B6C, "4B6C Tnaso",        150_380, "Cel"),
    row(0x4B74, "4B74 Tskin",        150_388, "Cel"),
    row(0x4BB0, "4BB0 Perf",         150_448, "1"),
    row(0x4BB4, "4BB4 Pleth",        150_452, "1"),
    row(0x4BB8, "4BB8 SpO2",         150_456, "%"),
    row(0x4BC4, "4BC4 dSpO2",        150_468, "%"),
    row(0x5000, "5000 Resp wave",    151_552, "Ohm"),
    row(0x500A, "500A RR",           151_562, "{breaths}/min"),
    row(0x5012, "5012 awRR",         151_570, "{breaths}/min"),
    row(0x508C, "508C Cdyn",         151_692, "mL/cm[H2O]"),
    row(0x50AC, "50AC CO2 wave",     151_724, "mm[Hg]"),
    row(0x50B0, "50B0 etCO2",        151_728, "mm[Hg]"),
    row(0x50BA, "50BA imCO2",        151_738, "mm[Hg]"),
    row(0x50CC, "50CC tcpCO2",       151_756, "mm[Hg]"),
    row(0x50D0, "50D0 tcpO2",        151_760, "mm[Hg]"),
    row(0x50D4, "50D4 AWF wave",     151_764, "L/min"),
    row(0x50E8, "50E8 Pplat",        152_424, "cm[H2O]"),
    row(0x50F0, "50F0 AWP wave",     151_792, "cm[H2O]"),
    row(0x5109, "5109 PIP",          151_957, "cm[H2O]"),
    row(0x510B, "510B Pmean",        151_819, "cm[H2O]"),
    row(0x5118, "5118 I:E",          151_832, "{ratio}"),
    row(0x5120, "5120 Raw",          151_840, "cm[H2O].s/L"),
    row(0x5130, "5130 Tapnea",       151_856, "s"),
    row(0x513C, "513C TV",           151_868, "mL"),
    row(0x5148, "5148 MV",           151_880, "L/min"),
    row(0x51A8, "51A8 PEEP",         151_976, "cm[H2O]"),
    row(0x5284, "5284 inO2",         152_196, "%"),
    row(0x5370, "5370 Leak",         152_432, "%"),
    row(0x5378, "5378 etO2",         152_440, "%"),
    row(0x5804, "5804 CPP",          153_604, "mm[Hg]"),
    row(0x5808, "5808 ICP wave",     153_608, "mm[Hg]"),
    row(0x580B, "580B ICPm",         153_611, "mm[Hg]"),
    row(0x592C, "592C EEG",          153_900, "uV"),
    row(0x7498, "7498 FiO2",         151_920, "%"),
    row(0xE004, "E004 Trect",        188_420, "Cel"),
    row(0xE014, "E014 Tblood",       188_436, "Cel"),
    row(0xF0E5, "F0E5 Pulse NBP",    149_546, "{beats}/min"),
    row(0xF1C0, "F1C0 SpO2 pre",     160_296, "%"),
    row(0xF1D4, "F1D4 SpO2 post",    160_300, "%"),
];

/// The rows as the driver's printed table.
pub(super) fn rows() -> Vec<ParameterRow> {
    ROWS.iter().map(|row| ParameterRow { device: row.device, code: Code(row.code), ucum: row.ucum }).collect()
}

#[rustfmt::skip]
/// Ids that name a site: (physio, the id of the same quantity without a site, site).
const SITED: &[(u16, u16, Site)] = &[
    (0xF1C0, 0xF1C0, Site::Preductal),   // SpO2 pre: a code of its own
    (0xF1D4, 0xF1D4, Site::Postductal),
    (0xF1DC, 0x4BB0, Site::Postductal),  // Perf
    (0xF22C, 0x4BB0, Site::Preductal),
];

#[rustfmt::skip]
/// Labels that say more than their physio id: (label, code, site).
const LABELLED: &[(u32, u32, Site)] = &[
    (0x0002_5022, 151_586, Site::Unspecified), // RRvent
    (0x8003_5402, 149_522, Site::Unspecified), // Pulse from ABP, ART, Ao, UAP, FAP, BAP
    (0x8003_5403, 149_522, Site::Unspecified),
    (0x8003_5404, 149_522, Site::Unspecified),
    (0x8003_540A, 149_522, Site::Unspecified),
    (0x8003_5434, 149_522, Site::Unspecified),
    (0x8003_5437, 149_522, Site::Unspecified),
    (0x8015_543D, 149_530, Site::Preductal),   // Pulse from SpO2 pre, post
    (0x8015_5440, 149_530, Site::Postductal),
];

#[rustfmt::skip]
/// Measured ids whose setting goes under the same id: without its label such a number is not told from a setting.
const SETTING_TWINS: &[u16] = &[
    0x4B48, 0x5012, 0x50DD, 0x50F2, 0x50F4, 0x5108, 0x5109, 0x5118, 0x513C, 0x5148, 0x5164, 0x51A8, 0x51B8,
    0x51CC, 0x51D8, 0x51DC, 0x51E0, 0x51E4, 0x51E8, 0x51F0, 0x5388, 0x6858, 0x7498, 0xD02A,
];

/// What a channel is in the model's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) code: Code,
    pub(super) site: Site,
    pub(super) is_setting: bool,
}

/// The meaning of a physio id under a label (None: its context is not known yet).
pub(super) fn meaning(physio: u16, label: Option<u32>) -> Meaning {
    let label = label.map(migrated);
    let partition = label.map_or(0, |label| label >> 16);
    let is_setting = partition == PARTITION_SETTING || label.is_some_and(is_old_setting);
    let physio = match label {
        Some(label) if physio == PHYSIO_UNSPECIFIED && matches!(partition, 2 | PARTITION_SETTING) => {
            label as u16
        }
        _ => physio,
    };
    let named = LABELLED.iter().find(|(known, ..)| Some(*known) == label);
    let (code, site) = match named {
        Some((_, code, site)) => (*code, *site),
        None => measured(physio),
    };
    Meaning { code: Code(if is_setting { code + SETTING } else { code }), site, is_setting }
}

fn measured(physio: u16) -> (u32, Site) {
    let (physio, site) = SITED
        .iter()
        .find(|(sited, ..)| *sited == physio)
        .map_or((physio, Site::Unspecified), |(_, plain, site)| (*plain, *site));
    let code = ROWS
        .binary_search_by_key(&physio, |row| row.physio)
        .map_or(SCADA + u32::from(physio), |at| ROWS[at].code);
    (code, site)
}

/// Settings of before revision G that have no new label: 0401 8xxx.
fn is_old_setting(label: u32) -> bool {
    label >> 16 == PARTITION_OLD && label & 0x8000 != 0
}

/// True if, without its label, this id might be a setting.
pub(super) fn may_be_setting(physio: u16) -> bool {
    physio >= 0xF800 || SETTING_TWINS.contains(&physio)
}

/// UCUM of a unit code; true: the device named one we do not know, and the parameter's usual one stands in.
pub(super) fn ucum(unit_code: u16, code: Code) -> (&'static str, bool) {
    if let Some(known) = ucum_of_mdc_unit((4 << 16) | u32::from(unit_code)) {
        return (known, false);
    }
    if let Ok(at) = UNITS.binary_search_by_key(&unit_code, |(unit, _)| *unit) {
        return (UNITS[at].1, false);
    }
    (parameter(code).map_or("1", |row| row.ucum), true)
}

#[rustfmt::skip]
/// Units beyond the model's own table, sorted.
const UNITS: &[(u16, &str)] = &[
    (0x0240, "[ppth]"), (0x02A0, "[ppb]"), (0x0500, "m"), (0x0512, "mm"), (0x0513, "um"), (0x0560, "[in_i]"),
    (0x0592, "mL/m2"), (0x05C0, "m2"), (0x0640, "L"), (0x0672, "mL"), (0x06D3, "ug"), (0x06D4, "ng"),
    (0x06E0, "[lb_av]"), (0x0800, "g/L"), (0x0812, "mg/L"), (0x0813, "ug/L"), (0x0853, "ug/dL"),
    (0x0873, "ug/mL"), (0x0874, "ng/mL"), (0x0893, "us"), (0x08E0, "d"), (0x0900, "wk"), (0x0920, "mo"),
    (0x0940, "a"), (0x0A00, "/h"), (0x0B20, "L/min/m2"), (0x0C20, "L/h"), (0x0C52, "mL/d"), (0x0C72, "mL/kg"),
    (0x0D12, "mg/min"), (0x0D13, "ug/min"), (0x0D32, "mg/h"), (0x0D33, "ug/h"), (0x0D92, "mg/kg/min"),
    (0x0D94, "ng/kg/min"), (0x0DB2, "mg/kg/h"), (0x0DB3, "ug/kg/h"), (0x0F00, "Pa"), (0x0F02, "hPa"),
    (0x0FC0, "W"), (0x0FD2, "mW"), (0x1020, "dyn.s/cm5"), (0x1052, "mA"), (0x10A0, "V"), (0x10C0, "Ohm"),
    (0x10C3, "kOhm"), (0x1120, "K"), (0x1273, "umol/L"), (0x15C0, "[iU]/L"), (0x15E0, "[iU]/mL"),
    (0x1620, "[iU]/min"), (0x1640, "[iU]/h"), (0x1752, "mL2/s"), (0x1780, "dyn.s/m2/cm5"), (0x1892, "mL/mm[Hg]"),
    (0x1912, "mL/dL"), (0x1920, "dB"), (0xF001, "{count}"), (0xF004, "uV"), (0xF005, "uV2"),
    (0xF008, "[psi]"), (0xF009, "mm[Hg]/s"), (0xF00A, "mL/s"), (0xF100, "{revs}/min"), (0xF152, "mL/mbar"),
    (0xF192, "mbar.s/L"), (0xF1B2, "mbar/L"), (0xF260, "L/min/kg"), (0xF272, "mL/min/kg"),
    (0xF2A2, "mL/hPa"), (0xF312, "mL"), (0xF332, "mL/m2"), (0xF352, "mbar/s"),
];

#[cfg(test)]
mod tests {
    use super::{Meaning, ROWS, UNITS, meaning, ucum};
    use crate::model::{Code, Site};

    #[test]
    fn the_tables_are_sorted() {
        assert!(ROWS.windows(2).all(|pair| pair[0].physio < pair[1].physio));
        assert!(UNITS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn a_setting_is_never_the_measurement_that_shares_its_id() {
        let measured = meaning(0x51A8, Some(0x0002_51A8));
        let set = meaning(0x51A8, Some(0x0402_51A8));
        assert_eq!((measured.code, measured.is_setting), (Code(151_976), false));
        assert_eq!((set.code, set.is_setting), (Code(151_976 + (1 << 24)), true));
    }

    #[test]
    fn sites_private_ids_and_old_labels_keep_their_meaning() {
        let check = |physio, label, code, site| {
            assert_eq!(meaning(physio, label), Meaning { code: Code(code), site, is_setting: false });
        };
        check(0xF1C0, None, 160_296, Site::Preductal);
        check(0xF22C, None, 150_448, Site::Preductal);
        check(0x4822, Some(0x8015_5440), 149_530, Site::Postductal);
        check(0x480A, Some(0x8003_540A), 149_522, Site::Unspecified);
        check(0xF04E, None, (2 << 16) + 0xF04E, Site::Unspecified);
        check(0x5B00, None, (2 << 16) + 0x5B00, Site::Unspecified);
        assert!(meaning(0xEFFF, Some(0x0401_80CC)).is_setting);
        assert_eq!(meaning(0xEFFF, Some(0x0401_80CC)).code, Code((258 << 16) + 0xF8D9));
    }

    #[test]
    fn an_unknown_ucum_is_assumed_and_says_so() {
        assert_eq!(ucum(0x0F20, Code(150_037)), ("mm[Hg]", false));
        assert_eq!(ucum(0x0F03, Code(150_037)), ("kPa", false));
        assert_eq!(ucum(0xFEED, Code(147_842)), ("{beats}/min", true));
    }
}
