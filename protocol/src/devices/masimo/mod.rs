//! Masimo pulse oximeters (Radical-7, Rad-8, Rad-87 and kin) on a serial line: one line of text a second, nothing to ask for.

mod frame;
mod message;
mod params;
mod peer;
mod session;

use crate::device::{Driver, Framing, Parity, PeerKind, Setting, SettingKind, Transport};
use session::Oximeter;

pub const DRIVER: Driver = Driver {
    name: "masimo",
    summary: "Masimo pulse oximeters, serial text (ASCII 1 and ASCII 2)",
    models: &["Radical", "Radical-7", "Rad-8", "Rad-57", "Rad-87", "Root (ASCII 1 port)"],
    transports: &[serial(9600), serial(19200)],
    framing: Framing::Stream,
    settings: &[
        Setting {
            name: "format",
            doc: "What the device's serial output is set to; auto takes either.",
            default: Some("auto"),
            kind: SettingKind::OneOf(&["auto", "ascii1", "ascii2"]),
        },
        Setting {
            name: "site",
            doc: "Where the sensor sits. The wire does not say, so a person does.",
            default: Some("unspecified"),
            kind: SettingKind::OneOf(&["unspecified", "preductal", "postductal"]),
        },
        Setting {
            name: "averaging",
            doc: "Averaging time in seconds as set on the device (with FastSat 2 stands for 2-4, 4 for 4-6). The wire does not say.",
            default: None,
            kind: SettingKind::OneOf(&["2", "4", "8", "10", "12", "14", "16"]),
        },
    ],
    parameters: params::rows,
    // Two seconds below the session's own hang-up: the alarm is up before the line is opened anew.
    silent_after_ms: 8_000,
    open: Oximeter::open,
};

pub const PEER: PeerKind = PeerKind { name: "masimo", open: peer::open };

const fn serial(baud: u32) -> Transport {
    Transport::Serial { baud, bits: 8, parity: Parity::None, stop: 1 }
}
