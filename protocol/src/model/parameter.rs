//! The one parameter table: IEEE 11073-10101 code, LOINC, UCUM and the range that is plausible for a newborn.
//!
//! Sources: IEEE 11073-10101 (context-free codes, partition * 65536 + term), LOINC, UCUM; the plausible ranges are wide on purpose:
//! a value outside its range is flagged and kept, and on the dangerous side it still alarms.

/// A context-free 11073 code. Unknown codes survive with their number; a term of 0xF000 or above is private to its vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u32);

/// Where on the body a channel measures, when the device says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    #[default]
    Unspecified,
    Preductal,
    Postductal,
    /// The n-th of several equal channels, counted from 1, when the device only numbers them.
    Numbered(u8),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    pub code: Code,
    /// 11073 reference identifier.
    pub reference: &'static str,
    pub name: &'static str,
    /// What a tile prints.
    pub label: &'static str,
    /// Empty where no LOINC code is confirmed.
    pub loinc: &'static str,
    pub ucum: &'static str,
    /// Plausible range in `ucum`; outside it a value is flagged, never dropped.
    pub plausible: Option<(f64, f64)>,
}

impl Parameter {
    pub fn is_plausible(&self, value: f64) -> bool {
        self.plausible.is_none_or(|(low, high)| (low..=high).contains(&value))
    }
}

/// The table's row for a code, if it has one.
pub fn parameter(code: Code) -> Option<&'static Parameter> {
    PARAMETERS.binary_search_by_key(&code, |row| row.code).ok().map(|at| &PARAMETERS[at])
}

#[rustfmt::skip]
/// Sorted by code. `row(code, reference, name, label, loinc, ucum, plausible)`.
pub const PARAMETERS: &[Parameter] = &[
    row(131328, "MDC_ECG_ELEC_POTL",                     "ECG",                               "ECG",         "",        "mV",            None),
    row(131329, "MDC_ECG_ELEC_POTL_I",                   "ECG lead I",                        "ECG I",       "",        "mV",            None),
    row(131330, "MDC_ECG_ELEC_POTL_II",                  "ECG lead II",                       "ECG II",      "",        "mV",            None),
    row(131389, "MDC_ECG_ELEC_POTL_III",                 "ECG lead III",                      "ECG III",     "",        "mV",            None),
    row(131390, "MDC_ECG_ELEC_POTL_AVR",                 "ECG lead aVR",                      "ECG aVR",     "",        "mV",            None),
    row(131391, "MDC_ECG_ELEC_POTL_AVL",                 "ECG lead aVL",                      "ECG aVL",     "",        "mV",            None),
    row(131392, "MDC_ECG_ELEC_POTL_AVF",                 "ECG lead aVF",                      "ECG aVF",     "",        "mV",            None),
    row(131395, "MDC_ECG_ELEC_POTL_V",                   "ECG lead V",                        "ECG V",       "",        "mV",            None),
    row(131841, "MDC_ECG_AMPL_ST_I",                     "ST lead I",                         "ST I",        "",        "mm",            None),
    row(131842, "MDC_ECG_AMPL_ST_II",                    "ST lead II",                        "ST II",       "",        "mm",            None),
    row(131901, "MDC_ECG_AMPL_ST_III",                   "ST lead III",                       "ST III",      "",        "mm",            None),
    row(131902, "MDC_ECG_AMPL_ST_AVR",                   "ST lead aVR",                       "ST aVR",      "",        "mm",            None),
    row(131903, "MDC_ECG_AMPL_ST_AVL",                   "ST lead aVL",                       "ST aVL",      "",        "mm",            None),
    row(131904, "MDC_ECG_AMPL_ST_AVF",                   "ST lead aVF",                       "ST aVF",      "",        "mm",            None),
    row(131907, "MDC_ECG_AMPL_ST_V",                     "ST lead V",                         "ST V",        "",        "mm",            None),
    row(147232, "MDC_ECG_TIME_PD_QT_GL",                 "QT",                                "QT",          "",        "ms",            None),
    row(147236, "MDC_ECG_TIME_PD_QTc",                   "QTc",                               "QTc",         "8634-8",  "ms",            Some((200.0, 700.0))),
    row(147842, "MDC_ECG_HEART_RATE",                    "Heart rate (ECG)",                  "HR",          "8867-4",  "{beats}/min",   Some((20.0, 350.0))),
    row(147850, "MDC_ECG_CARD_BEAT_RATE_BTB",            "Heart rate, beat to beat",          "HR btb",      "",        "{beats}/min",   Some((20.0, 350.0))),
    row(148065, "MDC_ECG_V_P_C_CNT",                     "PVC count in a minute",             "PVC",         "",        "/min",          Some((0.0, 200.0))),
    row(148066, "MDC_ECG_V_P_C_RATE",                    "PVC rate",                          "PVC rate",    "",        "/min",          Some((0.0, 200.0))),
    row(149514, "MDC_PULS_RATE",                         "Pulse rate (generic)",              "PR",          "8867-4",  "{beats}/min",   Some((20.0, 350.0))),
    row(149522, "MDC_BLD_PULS_RATE_INV",                 "Pulse rate (arterial line)",        "PR",          "60978-4", "{beats}/min",   Some((20.0, 350.0))),
    row(149530, "MDC_PULS_OXIM_PULS_RATE",               "Pulse rate (SpO2)",                 "PR",          "8889-8",  "{beats}/min",   Some((20.0, 350.0))),
    row(149538, "MDC_PULS_RATE_PLETH_PHILIPS",           "Pulse rate (Philips Pleth label)",  "PR",          "8889-8",  "{beats}/min",   Some((20.0, 350.0))),
    row(149546, "MDC_PULS_RATE_NON_INV",                 "Pulse rate (cuff)",                 "PR",          "",        "{beats}/min",   Some((20.0, 350.0))),
    row(150021, "MDC_PRESS_BLD_NONINV_SYS",              "NIBP systolic",                     "NIBP sys",    "8480-6",  "mm[Hg]",        Some((10.0, 180.0))),
    row(150022, "MDC_PRESS_BLD_NONINV_DIA",              "NIBP diastolic",                    "NIBP dia",    "8462-4",  "mm[Hg]",        Some((5.0, 140.0))),
    row(150023, "MDC_PRESS_BLD_NONINV_MEAN",             "NIBP mean",                         "NIBP mean",   "8478-0",  "mm[Hg]",        Some((8.0, 160.0))),
    row(150032, "MDC_PRESS_BLD_ART",                     "Arterial pressure (ART)",           "ART",         "",        "mm[Hg]",        None),
    row(150033, "MDC_PRESS_BLD_ART_SYS",                 "ART systolic",                      "ART sys",     "76215-3", "mm[Hg]",        Some((10.0, 200.0))),
    row(150034, "MDC_PRESS_BLD_ART_DIA",                 "ART diastolic",                     "ART dia",     "76213-8", "mm[Hg]",        Some((5.0, 150.0))),
    row(150035, "MDC_PRESS_BLD_ART_MEAN",                "ART mean",                          "ART mean",    "76214-6", "mm[Hg]",        Some((8.0, 170.0))),
    row(150036, "MDC_PRESS_BLD_ART_ABP",                 "Arterial pressure",                 "ABP",         "",        "mm[Hg]",        None),
    row(150037, "MDC_PRESS_BLD_ART_ABP_SYS",             "ABP systolic",                      "ABP sys",     "76215-3", "mm[Hg]",        Some((10.0, 200.0))),
    row(150038, "MDC_PRESS_BLD_ART_ABP_DIA",             "ABP diastolic",                     "ABP dia",     "76213-8", "mm[Hg]",        Some((5.0, 150.0))),
    row(150039, "MDC_PRESS_BLD_ART_ABP_MEAN",            "ABP mean",                          "ABP mean",    "76214-6", "mm[Hg]",        Some((8.0, 170.0))),
    row(150044, "MDC_PRESS_BLD_ART_PULM",                "Pulmonary arterial pressure",       "PAP",         "",        "mm[Hg]",        None),
    row(150045, "MDC_PRESS_BLD_ART_PULM_SYS",            "PAP systolic",                      "PAP sys",     "",        "mm[Hg]",        Some((2.0, 150.0))),
    row(150046, "MDC_PRESS_BLD_ART_PULM_DIA",            "PAP diastolic",                     "PAP dia",     "",        "mm[Hg]",        Some((0.0, 100.0))),
    row(150047, "MDC_PRESS_BLD_ART_PULM_MEAN",           "PAP mean",                          "PAP mean",    "",        "mm[Hg]",        Some((1.0, 120.0))),
    row(150056, "MDC_PRESS_BLD_ART_UMB",                 "Umbilical arterial pressure",       "UAP",         "",        "mm[Hg]",        None),
    row(150057, "MDC_PRESS_BLD_ART_UMB_SYS",             "UAC systolic",                      "UAC sys",     "76215-3", "mm[Hg]",        Some((10.0, 200.0))),
    row(150058, "MDC_PRESS_BLD_ART_UMB_DIA",             "UAC diastolic",                     "UAC dia",     "76213-8", "mm[Hg]",        Some((5.0, 150.0))),
    row(150059, "MDC_PRESS_BLD_ART_UMB_MEAN",            "UAC mean",                          "UAC mean",    "76214-6", "mm[Hg]",        Some((8.0, 170.0))),
    row(150084, "MDC_PRESS_BLD_VEN_CENT",                "Central venous pressure",           "CVP",         "",        "mm[Hg]",        None),
    row(150087, "MDC_PRESS_BLD_VEN_CENT_MEAN",           "CVP mean",                          "CVP mean",    "60985-9", "mm[Hg]",        Some((-10.0, 40.0))),
    row(150088, "MDC_PRESS_BLD_VEN_UMB",                 "Umbilical venous pressure",         "UVP",         "",        "mm[Hg]",        None),
    row(150091, "MDC_PRESS_BLD_VEN_UMB_MEAN",            "UVC / CVP mean",                    "UVC / CVP mean", "60985-9", "mm[Hg]",        Some((-10.0, 40.0))),
    row(150324, "MDC_SAT_O2_ART",                        "SaO2",                              "SaO2",        "",        "%",             Some((1.0, 100.0))),
    row(150328, "MDC_SAT_O2_CEREB",                      "Cerebral rSO2",                     "Cerebral rSO2", "",        "%",             Some((15.0, 95.0))),
    row(150332, "MDC_SAT_O2_VEN",                        "SvO2",                              "SvO2",        "",        "%",             Some((1.0, 100.0))),
    row(150344, "MDC_TEMP",                              "Temp unspecified",                  "Temp unspecified", "8310-5",  "Cel",           Some((20.0, 45.0))),
    row(150368, "MDC_TEMP_CORE",                         "Temp core",                         "Temp core",   "8329-5",  "Cel",           Some((20.0, 45.0))),
    row(150372, "MDC_TEMP_ESOPH",                        "Temp esophageal",                   "Temp esophageal", "60836-4", "Cel",           Some((20.0, 45.0))),
    row(150380, "MDC_TEMP_NASOPH",                       "Temp nasopharyngeal",               "Temp nasoph", "",        "Cel",           Some((20.0, 45.0))),
    row(150388, "MDC_TEMP_SKIN",                         "Temp skin",                         "Temp skin",   "61008-9", "Cel",           Some((20.0, 45.0))),
    row(150448, "MDC_PULS_OXIM_PERF_REL",                "Perfusion, relative",               "Perf",        "",        "1",             Some((0.0, 20.0))),
    row(150452, "MDC_PULS_OXIM_PLETH",                   "Plethysmogram",                     "Pleth",       "",        "1",             None),
    row(150456, "MDC_PULS_OXIM_SAT_O2",                  "SpO2 (site unspecified)",           "SpO2",        "59408-5", "%",             Some((1.0, 100.0))),
    row(150468, "MDC_PULS_OXIM_SAT_O2_DIFF",             "SpO2 pre-post difference",          "SpO2 diff",   "",        "%",             Some((-50.0, 50.0))),
    row(150488, "MDC_BLD_PERF_INDEX",                    "Perfusion index",                   "PI",          "61006-3", "%",             Some((0.02, 20.0))),
    row(151552, "MDC_RESP",                              "Respiration (impedance)",           "Resp",        "",        "Ohm",           None),
    row(151562, "MDC_RESP_RATE",                         "Resp rate (generic)",               "RR",          "9279-1",  "{breaths}/min", Some((0.0, 200.0))),
    row(151570, "MDC_AWAY_RESP_RATE",                    "Resp rate (airway)",                "awRR",        "",        "{breaths}/min", Some((0.0, 200.0))),
    row(151578, "MDC_TTHOR_RESP_RATE",                   "Resp rate (impedance)",             "RR",          "9279-1",  "{breaths}/min", Some((0.0, 200.0))),
    row(151586, "MDC_VENT_RESP_RATE",                    "Resp rate (ventilator total)",      "RR vent",     "76171-8", "{breaths}/min", Some((0.0, 200.0))),
    row(151594, "MDC_CO2_RESP_RATE",                     "Resp rate (CO2)",                   "RR CO2",      "76172-6", "{breaths}/min", Some((0.0, 150.0))),
    row(151692, "MDC_COMPL_LUNG_DYN",                    "Compliance dyn",                    "Compliance dyn", "60827-3", "mL/cm[H2O]",    Some((0.0, 300.0))),
    row(151724, "MDC_AWAY_CO2",                          "Airway CO2",                        "CO2",         "",        "mm[Hg]",        None),
    row(151728, "MDC_AWAY_CO2_ET",                       "EtCO2 (partial pressure)",          "EtCO2",       "19891-1", "mm[Hg]",        Some((1.0, 150.0))),
    row(151736, "MDC_AWAY_CO2_INSP",                     "FiCO2",                             "FiCO2",       "",        "mm[Hg]",        Some((0.0, 30.0))),
    row(151738, "MDC_AWAY_CO2_INSP_MIN",                 "CO2 inspired, minimum",             "imCO2",       "",        "mm[Hg]",        Some((0.0, 30.0))),
    row(151756, "MDC_CO2_TCUT",                          "tcpCO2",                            "tcpCO2",      "19884-6", "mm[Hg]",        Some((5.0, 200.0))),
    row(151760, "MDC_O2_TCUT",                           "tcpO2",                             "tcpO2",       "",        "mm[Hg]",        Some((0.0, 300.0))),
    row(151764, "MDC_FLOW_AWAY",                         "Airway flow",                       "Flow",        "",        "L/min",         None),
    row(151792, "MDC_PRESS_AWAY",                        "Airway pressure",                   "Paw",         "",        "cm[H2O]",       None),
    row(151819, "MDC_PRESS_AWAY_INSP_MEAN",              "Paw mean",                          "Paw mean",    "76530-5", "cm[H2O]",       Some((0.0, 60.0))),
    row(151832, "MDC_RATIO_IE",                          "I:E",                               "I:E",         "75931-6", "{ratio}",       Some((0.05, 10.0))),
    row(151840, "MDC_RES_AWAY",                          "Resistance",                        "Resistance",  "",        "cm[H2O].s/L",   Some((0.0, 1000.0))),
    row(151856, "MDC_TIME_PD_APNEA",                     "Apnea duration",                    "Apnea duration", "",        "s",             Some((0.0, 300.0))),
    row(151868, "MDC_VOL_AWAY_TIDAL",                    "Tidal volume exp",                  "Tidal volume exp", "76222-9", "mL",            Some((0.0, 2000.0))),
    row(151880, "MDC_VOL_MINUTE_AWAY",                   "Minute volume",                     "Minute volume", "76009-0", "L/min",         Some((0.0, 60.0))),
    row(151920, "MDC_VENT_CONC_AWAY_O2_INSP",            "FiO2 measured",                     "FiO2",        "71835-3", "%",             Some((15.0, 100.0))),
    row(151957, "MDC_VENT_PRESS_MAX",                    "PIP / Ppeak",                       "PIP / Ppeak", "76531-3", "cm[H2O]",       Some((0.0, 120.0))),
    row(151976, "MDC_VENT_PRESS_AWAY_END_EXP_POS",       "PEEP measured",                     "PEEP",        "76248-4", "cm[H2O]",       Some((-5.0, 30.0))),
    row(152196, "MDC_CONC_AWAY_O2_INSP",                 "O2 inspired",                       "inO2",        "",        "%",             Some((15.0, 100.0))),
    row(152424, "MDC_VENT_PRESS_RESP_PLAT",              "Pplat",                             "Pplat",       "76259-1", "cm[H2O]",       Some((0.0, 100.0))),
    row(152432, "MDC_VENT_VOL_LEAK",                     "Leak",                              "Leak",        "",        "%",             Some((0.0, 100.0))),
    row(152440, "MDC_CONC_AWAY_O2_ET",                   "O2 end-tidal",                      "etO2",        "",        "%",             Some((5.0, 100.0))),
    row(153604, "MDC_PRESS_CEREB_PERF",                  "CPP",                               "CPP",         "61017-0", "mm[Hg]",        Some((-20.0, 150.0))),
    row(153608, "MDC_PRESS_INTRA_CRAN",                  "ICP",                               "ICP",         "60956-0", "mm[Hg]",        Some((-10.0, 80.0))),
    row(153611, "MDC_PRESS_INTRA_CRAN_MEAN",             "ICP mean",                          "ICP mean",    "",        "mm[Hg]",        Some((-10.0, 80.0))),
    row(153856, "MDC_CIRCUM_HEAD",                       "Head circumference",                "Head circumference", "9843-4",  "cm",            Some((18.0, 60.0))),
    row(153900, "MDC_EEG_ELEC_POTL_CRTX",                "EEG",                               "EEG",         "",        "uV",            None),
    row(157784, "MDC_FLOW_FLUID_PUMP",                   "Pump rate",                         "Pump rate",   "",        "mL/h",          Some((0.0, 2000.0))),
    row(157864, "MDC_VOL_FLUID_DELIV",                   "Volume delivered",                  "Volume delivered", "",        "mL",            Some((0.0, 10000.0))),
    row(157884, "MDC_VOL_FLUID_TBI",                     "VTBI",                              "VTBI",        "",        "mL",            Some((0.0, 10000.0))),
    row(157924, "MDC_RATE_DOSE",                         "Dose rate",                         "Dose rate",   "",        "ug/kg/min",     None),
    row(159748, "MDC_CONC_PH_ART",                       "pH arterial",                       "pH",          "2744-1",  "[pH]",          Some((6.5, 8.0))),
    row(159752, "MDC_CONC_PCO2_ART",                     "pCO2 arterial",                     "pCO2",        "2019-8",  "mm[Hg]",        Some((5.0, 200.0))),
    row(159756, "MDC_CONC_PO2_ART",                      "pO2 arterial",                      "pO2",         "2703-7",  "mm[Hg]",        Some((5.0, 600.0))),
    row(159760, "MDC_CONC_HCO3_ART",                     "HCO3 arterial",                     "HCO3",        "1960-4",  "mmol/L",        Some((2.0, 60.0))),
    row(159764, "MDC_CONC_HB_ART",                       "Hb",                                "Hb",          "718-7",   "g/dL",          Some((2.0, 30.0))),
    row(159780, "MDC_CONC_NA_ART",                       "Na",                                "Na",          "2947-0",  "mmol/L",        Some((90.0, 200.0))),
    row(159784, "MDC_CONC_K_ART",                        "K",                                 "K",           "6298-4",  "mmol/L",        Some((1.0, 12.0))),
    row(159792, "MDC_CONC_CA_ART",                       "iCa",                               "iCa",         "1994-3",  "mmol/L",        Some((0.2, 3.0))),
    row(160020, "MDC_CONC_GLU_GEN",                      "Glucose",                           "Glucose",     "2339-0",  "mg/dL",         Some((10.0, 1000.0))),
    row(160108, "MDC_BASE_EXCESS_ART_INDEX",             "Base excess",                       "Base excess", "1925-7",  "mmol/L",        Some((-40.0, 40.0))),
    row(160296, "MDC_PULS_OXIM_SAT_O2_PREDUCTAL",        "SpO2 preductal",                    "SpO2 pre",    "59407-7", "%",             Some((1.0, 100.0))),
    row(160300, "MDC_PULS_OXIM_SAT_O2_POSTDUCTAL",       "SpO2 postductal",                   "SpO2 post",   "59418-4", "%",             Some((1.0, 100.0))),
    row(188420, "MDC_TEMP_RECT",                         "Temp rectal",                       "Temp rectal", "8332-9",  "Cel",           Some((20.0, 45.0))),
    row(188496, "MDC_TEMP_AXIL",                         "Temp axillary",                     "Temp axillary", "8328-7",  "Cel",           Some((20.0, 45.0))),
    row(188736, "MDC_MASS_BODY_ACTUAL",                  "Weight",                            "Weight",      "29463-7", "g",             Some((200.0, 8000.0))),
    row(188740, "MDC_LEN_BODY_ACTUAL",                   "Length",                            "Length",      "8302-2",  "cm",            Some((20.0, 70.0))),
    row(16929084, "MDC_VOL_AWAY_TIDAL_SETTING",            "Tidal volume, set",                 "VT set",      "",        "mL",            Some((0.0, 2000.0))),
    row(16929136, "MDC_VENT_CONC_AWAY_O2_INSP_SETTING",    "FiO2, set",                         "FiO2 set",    "",        "%",             Some((15.0, 100.0))),
    row(16929173, "MDC_VENT_PRESS_MAX_SETTING",            "PIP, set",                          "PIP set",     "",        "cm[H2O]",       Some((0.0, 120.0))),
    row(16929192, "MDC_VENT_PRESS_AWAY_END_EXP_POS_SETTING", "PEEP, set",                         "PEEP set",    "",        "cm[H2O]",       Some((-5.0, 30.0))),
    // Partition 1024 is the standard's private one; its terms from 0xF000 on are ours, for values without a confirmed code.
    row(0x0400_F001, "COTSIDE_PULS_OXIM_HB",             "Hb (pulse CO-oximetry)",            "SpHb",        "",        "g/dL",          Some((2.0, 30.0))),
    row(0x0400_F002, "COTSIDE_PULS_OXIM_O2_CONTENT",     "O2 content (pulse CO-oximetry)",    "SpOC",        "",        "mL/dL",         Some((0.0, 40.0))),
    row(0x0400_F003, "COTSIDE_PULS_OXIM_HB_CO",          "Carboxyhaemoglobin (pulse CO-oximetry)", "SpCO",   "",        "%",             Some((0.0, 100.0))),
    row(0x0400_F004, "COTSIDE_PULS_OXIM_HB_MET",         "Methaemoglobin (pulse CO-oximetry)", "SpMet",      "",        "%",             Some((0.0, 100.0))),
    row(0x0400_F005, "COTSIDE_PULS_OXIM_PLETH_VARIAB",   "Pleth variability index",           "PVI",         "",        "%",             Some((0.0, 100.0))),
    row(0x0400_F006, "COTSIDE_PULS_OXIM_AVERAGING",      "SpO2 averaging time",               "SpO2 avg",    "",        "s",             Some((1.0, 60.0))),
];

const fn row(
    code: u32,
    reference: &'static str,
    name: &'static str,
    label: &'static str,
    loinc: &'static str,
    ucum: &'static str,
    plausible: Option<(f64, f64)>,
) -> Parameter {
    Parameter { code: Code(code), reference, name, label, loinc, ucum, plausible }
}

/// UCUM for an 11073 unit code (partition 4, context-free).
pub fn ucum_of_mdc_unit(code: u32) -> Option<&'static str> {
    UNITS.binary_search_by_key(&code, |(mdc, _)| *mdc).ok().map(|at| UNITS[at].1)
}

#[rustfmt::skip]
const UNITS: &[(u32, &str)] = &[
    (262656, "1"),
    (262688, "%"),
    (262752, "[ppm]"),
    (263136, "[pH]"),
    (263441, "cm"),
    (263762, "mL"),
    (263872, "g"),
    (263875, "kg"),
    (263890, "mg"),
    (264256, "g/dL"),
    (264274, "mg/dL"),
    (264306, "mg/mL"),
    (264320, "s"),
    (264338, "ms"),
    (264352, "min"),
    (264384, "h"),
    (264608, "/s"),
    (264640, "Hz"),
    (264672, "/min"),
    (264864, "{beats}/min"),
    (264896, "{beats}/min"),
    (264928, "{breaths}/min"),
    (265184, "L/s"),
    (265216, "L/min"),
    (265234, "mL/min"),
    (265266, "mL/h"),
    (265619, "ug/kg/min"),
    (265987, "kPa"),
    (266016, "mm[Hg]"),
    (266048, "cm[H2O]"),
    (266098, "mbar"),
    (266418, "mV"),
    (266419, "uV"),
    (266560, "[degF]"),
    (266866, "mmol/L"),
    (266994, "meq/L"),
    (268050, "mL/cm[H2O]"),
    (268064, "cm[H2O].s/L"),
    (268192, "Cel"),
    (268288, "cm[H2O]/L"),
    (268384, "%{vol}"),
];

#[cfg(test)]
mod tests {
    use super::{Code, PARAMETERS, UNITS, parameter};

    #[test]
    fn the_tables_are_sorted_and_have_no_doubled_code() {
        assert!(PARAMETERS.windows(2).all(|pair| pair[0].code < pair[1].code));
        assert!(UNITS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn heart_rate_is_found_by_its_code() {
        let row = parameter(Code(147_842)).unwrap();
        assert_eq!((row.label, row.ucum, row.loinc), ("HR", "{beats}/min", "8867-4"));
    }
}
