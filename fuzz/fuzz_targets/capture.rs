//! The reader of captures: what it accepts, it writes and reads again.
#![no_main]

use cotside_protocol::capture::Capture;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(capture) = Capture::parse(text) {
        let again = Capture::parse(&capture.to_string()).expect("what was written can be read");
        assert_eq!(again.records, capture.records);
    }
});
