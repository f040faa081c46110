//! The HL7 driver against any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cotside_fuzz::converse("hl7", data));
