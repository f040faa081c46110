//! Device words to the model's: OBX-3 to a code, OBX-6 to UCUM, OBX-20 to a site; tables aligned for the eye.
//!
//! The number is authoritative. Where number and name are both known and contradict each other, neither is believed.

use crate::device::ParameterRow;
use crate::hl7::scan::Field;
use crate::model::{Code, PARAMETERS, Site, parameter, ucum_of_mdc_unit};

/// What OBX-3 names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Code(Code),
    /// A device, an attribute, an event, or a name without a number that no table here has.
    NotAParameter,
    /// Number and name are both known and are not the same thing.
    Contradiction,
}

/// Every code of the model's table can arrive over HL7.
pub(super) fn parameters() -> Vec<ParameterRow> {
    PARAMETERS
        .iter()
        .map(|row| ParameterRow { device: row.reference, code: row.code, ucum: row.ucum })
        .collect()
}

#[rustfmt::skip]
/// Other reference identifiers in use for a code.
const SYNONYMS: &[(&[u8], u32)] = &[
    (b"MDC_ECG_CARD_BEAT_RATE",        147_842),
    (b"MDC_ECG_LEAD_I",                131_329),
    (b"MDC_ECG_LEAD_II",               131_330),
    (b"MDC_ECG_LEAD_III",              131_389),
    (b"MDC_PULS_OXIM_PERF_INDEX",      150_488),
    (b"MDC_PRESS_BLD_NONINV_PULS_RATE",149_546),
    (b"MDC_TEMP_SKIN_SERVO",           150_388),
];

#[rustfmt::skip]
/// LOINC codes of plain bedside numbers; the more special ones are found in the model's own table.
const LOINC: &[(&[u8], u32)] = &[
    (b"8867-4",  147_842),
    (b"59408-5", 150_456),
    (b"2708-6",  150_456),
    (b"9279-1",  151_562),
    (b"8310-5",  150_344),
    (b"8889-8",  149_530),
];

#[rustfmt::skip]
/// Names in place of codes, compared without regard to case.
const NAMES: &[(&str, u32)] = &[
    ("HR",        147_842),
    ("SpO2",      150_456),
    ("PR",        149_530),
    ("PI",        150_488),
    ("RR",        151_562),
    ("Resp",      151_562),
    ("Temp",      150_344),
    ("Tcore",     150_368),
    ("Tskin",     150_388),
    ("NIBP-S",    150_021),
    ("NIBP-D",    150_022),
    ("NIBP-M",    150_023),
    ("EtCO2",     151_728),
    ("FiO2",      151_920),
];

/// OBX-3: `code^reference^system`, with an alternate in components 4 to 6.
pub(super) fn named(field: Field<'_>) -> Named {
    let [id, name, system, alternate_id, alternate_name, alternate_system] = field.first::<6>();
    match of_triplet(id, name, system) {
        Some(named) => named,
        None => of_triplet(alternate_id, alternate_name, alternate_system).unwrap_or(Named::NotAParameter),
    }
}

/// None: the triplet says nothing that is understood here.
fn of_triplet(id: &[u8], name: &[u8], system: &[u8]) -> Option<Named> {
    if system == b"MDC"
        && let Some(number @ 1..) = number(id)
    {
        return Some(of_mdc(number, name.trim_ascii()));
    }
    let (id, name, system) = (id.trim_ascii(), name.trim_ascii(), system.trim_ascii());
    match system {
        b"MDIL" => return Some(of_mdil(id)),
        b"LN" => return of_loinc(id).map(Named::Code),
        b"MDC" | b"" | b"ISO+" => {}
        _ => return of_vendor(id),
    }
    match number(id) {
        Some(0) => code_of_reference(name).map(Named::Code),
        Some(number) if name.starts_with(b"MDC_") || system == b"MDC" => Some(of_mdc(number, name)),
        // Small numbers without a system are the device's own.
        Some(_) => of_vendor(id),
        None if id.is_empty() || id == name => {
            code_of_reference(name).or_else(|| code_of_name(name)).map(Named::Code)
        }
        None => code_of_reference(id).or_else(|| code_of_reference(name)).map(Named::Code),
    }
}

fn of_mdc(number: u32, name: &[u8]) -> Named {
    let code = Code(number);
    if let Some(row) = parameter(code)
        && row.reference.as_bytes() == name
    {
        return Named::Code(code);
    }
    if !is_metric(number) {
        return Named::NotAParameter;
    }
    match code_of_reference(name) {
        Some(other) if other != code => Named::Contradiction,
        _ => Named::Code(code),
    }
}

/// Partition 2 (metrics), 10 (ECG) and 258 (settings); partition 0 and codes above the standard's are left to vendors.
fn is_metric(number: u32) -> bool {
    !matches!(number >> 16, 1 | 3 | 4 | 7 | 8)
}

/// Philips: partition and term in hexadecimal, `0002-4182`.
fn of_mdil(id: &[u8]) -> Named {
    match mdil_number(id) {
        // A number under the name of the respiration curve is its rate.
        Some(151_552) => Named::Code(Code(151_562)),
        Some(number) if is_metric(number) => Named::Code(Code(number)),
        _ => Named::NotAParameter,
    }
}

fn mdil_number(id: &[u8]) -> Option<u32> {
    let id = std::str::from_utf8(id).ok()?;
    let (partition, term) =
        id.split_once('-').filter(|(partition, term)| partition.len() == 4 && term.len() == 4)?;
    Some(u32::from_str_radix(partition, 16).ok()? << 16 | u32::from_str_radix(term, 16).ok()?)
}

fn of_loinc(id: &[u8]) -> Option<Code> {
    if let Some((_, code)) = LOINC.iter().find(|(loinc, _)| *loinc == id) {
        return Some(Code(*code));
    }
    let is_code = !id.is_empty();
    PARAMETERS.iter().find(|row| is_code && row.loinc.as_bytes() == id).map(|row| row.code)
}

/// A number in a vendor's own system may look like a standard one and mean something else (`131072^ECG_HR^EHC`), so it is kept
/// only where it fits into the private terms (0xF000 and above) of partition 0.
fn of_vendor(id: &[u8]) -> Option<Named> {
    number(id).filter(|number| (1..0x1000).contains(number)).map(|number| Named::Code(Code(0xF000 | number)))
}

fn code_of_reference(name: &[u8]) -> Option<Code> {
    if !name.starts_with(b"MDC_") {
        return None;
    }
    let row = PARAMETERS.iter().find(|row| row.reference.as_bytes() == name).map(|row| row.code);
    row.or_else(|| SYNONYMS.iter().find(|(synonym, _)| *synonym == name).map(|(_, code)| Code(*code)))
}

fn code_of_name(name: &[u8]) -> Option<Code> {
    NAMES.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name)).map(|(_, code)| Code(*code))
}

pub(super) fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    let mut sum = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        sum = sum * 10 + u32::from(digit);
    }
    Some(sum)
}

/// OBX-6 in UCUM, and whether it had to be assumed. Never inferred from a value's size: a stated unit that is not understood
/// yields no unit at all, an absent one the parameter's usual one, and both are marked as assumed.
pub(super) fn ucum(field: Field<'_>, code: Code) -> (&'static str, bool) {
    let usual = parameter(code).map_or("", |row| row.ucum);
    let [id, name, system, alternate_id, alternate_name, alternate_system] = field.first::<6>();
    let (first, second) =
        (measure(id, name, system), measure(alternate_id, alternate_name, alternate_system));
    let stated = match (first, second) {
        (Measure::Absent, Measure::Absent) => return (usual, true),
        (Measure::Known(a), Measure::Known(b)) if !is_same_measure(a, b) => return ("", true),
        (Measure::Known(ucum), _) | (_, Measure::Known(ucum)) => ucum,
        _ => return ("", true),
    };
    // `/min` and `{beats}/min` are one unit: the annotation is for people.
    if is_same_measure(stated, usual) { (usual, false) } else { (stated, false) }
}

#[derive(Clone, Copy)]
enum Measure {
    Absent,
    Known(&'static str),
    Unknown,
}

fn measure(id: &[u8], name: &[u8], system: &[u8]) -> Measure {
    if id.is_empty() && name.is_empty() {
        return Measure::Absent;
    }
    if system == b"MDC"
        && let Some(ucum) = number(id).and_then(ucum_of_mdc_unit)
    {
        return Measure::Known(ucum);
    }
    let (id, name, system) = (id.trim_ascii(), name.trim_ascii(), system.trim_ascii());
    if id.is_empty() && name.is_empty() || id == b"\"\"" {
        return Measure::Absent;
    }
    let coded = match system {
        b"MDIL" => mdil_number(id).and_then(ucum_of_mdc_unit),
        b"MDC" | b"" | b"ISO+" => number(id).and_then(ucum_of_mdc_unit),
        _ => None,
    };
    coded.or_else(|| spelled(id)).or_else(|| spelled(name)).map_or(Measure::Unknown, Measure::Known)
}

#[rustfmt::skip]
/// How units are spelled on the wire: UCUM itself first, then what devices make of it, compared without regard to ASCII case.
const SPELLINGS: &[(&str, &str)] = &[
    ("%", "%"),                         ("percent", "%"),
    ("{beats}/min", "{beats}/min"),     ("{beat}/min", "{beats}/min"),     ("bpm", "{beats}/min"),
    ("beats/min", "{beats}/min"),       ("beat/min", "{beats}/min"),
    ("{breaths}/min", "{breaths}/min"), ("{breath}/min", "{breaths}/min"), ("rpm", "{breaths}/min"),
    ("BrPM", "{breaths}/min"),          ("breaths/min", "{breaths}/min"),  ("resp/min", "{breaths}/min"),
    ("/min", "/min"),                   ("1/min", "/min"),                 ("min-1", "/min"),
    ("mm[Hg]", "mm[Hg]"),               ("mmHg", "mm[Hg]"),                ("mm Hg", "mm[Hg]"),
    ("cm[H2O]", "cm[H2O]"),             ("cmH2O", "cm[H2O]"),              ("cm H2O", "cm[H2O]"),
    ("mbar", "mbar"),                   ("kPa", "kPa"),
    ("Cel", "Cel"),                     ("°C", "Cel"),                     ("C", "Cel"),    ("degC", "Cel"),  ("℃", "Cel"),
    ("[degF]", "[degF]"),               ("°F", "[degF]"),                  ("F", "[degF]"), ("degF", "[degF]"),
    ("mL", "mL"),                       ("L/min", "L/min"),                ("mL/min", "mL/min"),
    ("mL/h", "mL/h"),                   ("mL/hr", "mL/h"),                 ("L/s", "L/s"),
    ("ug/kg/min", "ug/kg/min"),         ("µg/kg/min", "ug/kg/min"),        ("μg/kg/min", "ug/kg/min"), ("mcg/kg/min", "ug/kg/min"),
    ("Vol%", "%{vol}"),                 ("Vol %", "%{vol}"),               ("%{vol}", "%{vol}"),
    ("s", "s"),                         ("sec", "s"),                      ("ms", "ms"),    ("msec", "ms"),
    ("min", "min"),                     ("h", "h"),                        ("hr", "h"),
    ("Hz", "Hz"),                       ("/s", "/s"),                      ("1", "1"),
    ("mV", "mV"),                       ("uV", "uV"),                      ("µV", "uV"),    ("μV", "uV"),
    ("g", "g"),                         ("kg", "kg"),                      ("mg", "mg"),    ("cm", "cm"),
    ("g/dL", "g/dL"),                   ("mg/dL", "mg/dL"),                ("mmol/L", "mmol/L"),
    ("meq/L", "meq/L"),                 ("mEq/L", "meq/L"),                ("[ppm]", "[ppm]"), ("ppm", "[ppm]"),
    ("[pH]", "[pH]"),                   ("mL/cm[H2O]", "mL/cm[H2O]"),      ("mL/cmH2O", "mL/cm[H2O]"),
    ("cm[H2O].s/L", "cm[H2O].s/L"),     ("cmH2O/L/s", "cm[H2O].s/L"),      ("{ratio}", "{ratio}"),
];

fn spelled(text: &[u8]) -> Option<&'static str> {
    SPELLINGS
        .iter()
        .find(|(spelling, _)| spelling.as_bytes().eq_ignore_ascii_case(text))
        .map(|(_, ucum)| *ucum)
}

/// Equal but for annotations in braces.
fn is_same_measure(a: &str, b: &str) -> bool {
    fn bare(text: &str) -> impl Iterator<Item = char> + '_ {
        let mut depth = 0;
        text.chars().filter(move |c| {
            let was_inside = depth > 0;
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            !was_inside && depth == 0
        })
    }
    a == b || bare(a).eq(bare(b))
}

/// Where an oximeter's probe sits, from OBX-20 or from the code itself. The left hand is neither: its vessel may leave before or
/// after the duct.
pub(super) fn site(field: Field<'_>, code: Code) -> Site {
    match code.0 {
        160_296 => return Site::Preductal,
        160_300 => return Site::Postductal,
        // Saturation, its pulse rate, perfusion, curve.
        150_456 | 149_530 | 150_488 | 150_452 => {}
        _ => return Site::Unspecified,
    }
    if field.is_empty() {
        return Site::Unspecified;
    }
    let text = String::from_utf8_lossy(field.bytes()).to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let is_right = has(&["RIGHT", "_R^", "^R^"]) || text.ends_with("_R");
    if has(&["POSTDUCTAL", "POST-DUCTAL", "FOOT", "TOE", "LOEXT"]) {
        Site::Postductal
    } else if has(&["PREDUCTAL", "PRE-DUCTAL"])
        || is_right && has(&["HAND", "FINGER", "WRIST", "ARM", "UPEXT", "PALM"])
    {
        Site::Preductal
    } else {
        Site::Unspecified
    }
}

/// Measured one at a time by nature: cuff pressures with their pulse rate, blood gases, weight, length.
pub(super) fn is_episodic(code: Code) -> bool {
    matches!(code.0, 150_021..=150_023 | 149_546 | 153_856 | 159_748..=160_108 | 188_736 | 188_740)
}

#[cfg(test)]
mod tests {
    use super::{Named, named, site, ucum};
    use crate::hl7::scan::Message;
    use crate::model::{Code, Site};

    fn with<T>(field: &str, read: impl FnOnce(crate::hl7::scan::Field<'_>) -> T) -> T {
        let text = format!("MSH|^~\\&|{field}");
        let message = Message::scan(text.as_bytes()).unwrap();
        read(message.header().field(3))
    }

    #[track_caller]
    fn is(field: &str, code: u32) {
        assert_eq!(with(field, named), Named::Code(Code(code)), "{field}");
    }

    #[test]
    fn a_code_is_found_by_number_and_by_every_synonym() {
        is("150456^MDC_PULS_OXIM_SAT_O2^MDC", 150_456);
        is("147842^MDC_ECG_CARD_BEAT_RATE^MDC", 147_842);
        is("147842^^MDC ", 147_842);
        is("0^MDC_PULS_OXIM_SAT_O2^MDC", 150_456);
        is("MDC_PULS_OXIM_SAT_O2", 150_456);
        is("0002-4182^HR^MDIL", 147_842);
        is("0002-5000^Resp^MDIL", 151_562);
        is("8867-4^HR^LN", 147_842);
        is("59407-7^SpO2 pre^LN", 160_296);
        is("^SpO2", 150_456);
        is("X1^local^L^150456^MDC_PULS_OXIM_SAT_O2^MDC", 150_456);
    }

    #[test]
    fn an_unknown_number_survives_and_a_foreign_one_is_not_taken_for_standard() {
        is("151658^MDC_PULS_OXIM_PLETH_RESP_RATE^MDC", 151_658);
        is("108^MNDRY_ECG_PAUSE_RATE^99MNDRY", 0xF000 | 108);
        assert_eq!(with("131072^ECG_HR^EHC", named), Named::NotAParameter);
        assert_eq!(with("69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC", named), Named::NotAParameter);
        assert_eq!(with("0^MDCX_SOMETHING^MDC", named), Named::NotAParameter);
    }

    #[test]
    fn number_and_name_that_contradict_each_other_are_not_believed() {
        for field in [
            "149522^MDC_PULS_RATE^MDC",
            "150457^MDC_PULS_OXIM_PULS_RATE^MDC",
            "150017^MDC_PRESS_BLD_NONINV_SYS^MDC",
        ] {
            assert_eq!(with(field, named), Named::Contradiction, "{field}");
        }
    }

    #[track_caller]
    fn measured(field: &str, code: u32, expected: &'static str, is_assumed: bool) {
        assert_eq!(with(field, |field| ucum(field, Code(code))), (expected, is_assumed), "{field}");
    }

    #[test]
    fn a_unit_is_taken_as_stated_and_never_guessed() {
        measured("266016^MDC_DIM_MMHG^MDC", 150_021, "mm[Hg]", false);
        measured("266016^MDC_DIM_MMHG^MDC^mm[Hg]^mm[Hg]^UCUM", 150_021, "mm[Hg]", false);
        measured("264864^MDC_DIM_BEAT_PER_MIN^MDC^/min^/min^UCUM", 147_842, "{beats}/min", false);
        measured("/min", 147_842, "{beats}/min", false);
        measured("0004-0aa0^bpm^MDIL", 147_842, "{beats}/min", false);
        measured("265987^MDC_DIM_KILO_PASCAL^MDC", 151_728, "kPa", false);
        measured("°C", 150_344, "Cel", false);
        measured("mbar", 151_957, "mbar", false);
        measured("1^1^UCUM", 150_456, "1", false);
        measured("", 150_456, "%", true);
        measured("", 999_999, "", true);
        measured("furlong", 150_456, "", true);
        measured("266016^MDC_DIM_MMHG^MDC^kPa^kPa^UCUM", 150_021, "", true);
    }

    #[test]
    fn a_probe_is_before_or_after_the_duct_where_the_device_says_so() {
        let of = |field: &str, code: u32| with(field, |field| site(field, Code(code)));
        assert_eq!(of("right hand", 150_456), Site::Preductal);
        assert_eq!(of("459040^MDC_UPEXT_FINGER_R^MDC", 150_456), Site::Preductal);
        assert_eq!(of("left foot", 150_456), Site::Postductal);
        assert_eq!(of("left hand", 150_456), Site::Unspecified);
        assert_eq!(of("", 160_300), Site::Postductal);
        assert_eq!(of("left foot", 150_344), Site::Unspecified);
    }
}
