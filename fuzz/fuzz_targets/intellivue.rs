//! The IntelliVue driver against any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cotside_fuzz::converse("intellivue", data));
