//! The keys of the agent's file: what `check` accepts, what is the default, and what `describe` prints.

use crate::rule::{self, joined};
use crate::section::{Key, Kind, Need};
use std::time::Duration;

pub(super) const AGENT: &[Key] = &[
    Key {
        name: "id",
        doc: "This agent's name, given by the hub at enrolment; equals its certificate's name.",
        need: Need::Required { example: "\"gw-01\"" },
        kind: Kind::Name,
    },
    Key {
        name: "state_dir",
        doc: "Where the store, the certificates and the confirmed device identities live. Must survive a power cut.",
        need: Need::Default("\"/var/lib/cotside\""),
        kind: Kind::Path,
    },
    Key {
        name: "socket",
        doc: "Where `edge-agent status` and `edge-agent tap` reach the running agent.",
        need: Need::Default("\"/run/cotside/agent.sock\""),
        kind: Kind::Path,
    },
    Key {
        name: "provenance",
        doc: "\"simulated\" only for simulators and training: a clinical hub refuses it, and every record is marked for ever.",
        need: Need::Default("\"live\""),
        kind: Kind::OneOf(&["live", "simulated"]),
    },
    Key {
        name: "loss_window",
        doc: "Numerics and waveforms of at most this long are lost when the power fails; alarms are written at once.\n\
              \"1s\" costs about 1 GB of flash writes a day, \"5s\" about 0.4 GB.",
        need: Need::Default("\"1s\""),
        kind: Kind::Duration { min: Duration::from_millis(200), max: Duration::from_secs(60) },
    },
    Key {
        name: "store_max",
        doc: "The store may grow to this size. Under pressure the oldest waveforms go first, then the oldest numerics, alarms never.",
        need: Need::Default("\"4GiB\""),
        kind: Kind::Bytes { min: 64 << 20 },
    },
    Key {
        name: "standby_max",
        doc: "A procedure may hold the patient's alarms back for so long at a time; extremes are never held back.",
        need: Need::Default("\"30m\""),
        kind: Kind::Duration { min: Duration::from_secs(60), max: Duration::from_secs(3_600) },
    },
    table("hub"),
    table("link"),
    table("limit"),
    table("rate"),
    table("apnoea"),
    table("combined"),
    table("bound"),
    table("prefer"),
    table("annunciate"),
    table("gpio"),
    table("page"),
];

pub(super) const HUB: &[Key] = &[
    Key {
        name: "address",
        doc: "Where the hub is reached, if not at the address that it gave at enrolment.",
        need: Need::Optional { example: "\"mqtts://hub.hospital.example:8883\"" },
        kind: Kind::Text,
    },
    Key {
        name: "credentials",
        doc: "The directory in which `edge-agent enroll` leaves this agent's key, its certificate and the hub's authority.\n\
              Default: state_dir.",
        need: Need::Optional { example: "\"/var/lib/cotside\"" },
        kind: Kind::Path,
    },
];

pub(super) const LINK: &[Key] = &[
    Key {
        name: "name",
        doc: "What people call this device at this bed. The order of the links is the order of preference.",
        need: Need::Required { example: "\"oximeter\"" },
        kind: Kind::Name,
    },
    Key {
        name: "driver",
        doc: "The protocol; the list is at the end of this text.",
        need: Need::Required { example: "\"masimo\"" },
        kind: Kind::Text,
    },
    Key {
        name: "port",
        doc: "Exactly one of port, connect, listen, udp. A serial port: use the by-path name, which stays with the socket.",
        need: Need::Optional { example: "\"/dev/serial/by-path/platform-xhci-usb-0:1.2:1.0-port0\"" },
        kind: Kind::Path,
    },
    Key {
        name: "connect",
        doc: "TCP, we call the device (or its serial device server).",
        need: Need::Optional { example: "\"10.0.0.5:24105\"" },
        kind: Kind::Text,
    },
    Key {
        name: "listen",
        doc: "TCP, the device calls us.",
        need: Need::Optional { example: "\"0.0.0.0:2575\"" },
        kind: Kind::Text,
    },
    Key {
        name: "udp",
        doc: "UDP: the device's address, or \"announced\" to take the one that announces itself (then pin it with allow).",
        need: Need::Optional { example: "\"10.0.0.5\"" },
        kind: Kind::Text,
    },
    Key {
        name: "allow",
        doc: "Only these addresses may speak on this link; without it the first peer is kept until it leaves.",
        need: Need::Optional { example: "[\"10.0.0.7\"]" },
        kind: Kind::Texts,
    },
    Key {
        name: "serial",
        doc: "The serial number (or other identity) this device must state; any other raises WRONG DEVICE?.\n\
              Without it the first identity seen is kept in state_dir, and a later other one raises it.",
        need: Need::Optional { example: "\"0000145838\"" },
        kind: Kind::Word,
    },
    Key {
        name: "baud",
        doc: "Serial line, where it differs from the driver's default.",
        need: Need::Optional { example: "9600" },
        kind: Kind::Integer { min: 300, max: 921_600 },
    },
    Key {
        name: "bits",
        doc: "Data bits.",
        need: Need::Optional { example: "8" },
        kind: Kind::Integer { min: 7, max: 8 },
    },
    Key {
        name: "parity",
        doc: "Parity.",
        need: Need::Optional { example: "\"none\"" },
        kind: Kind::OneOf(&["none", "even", "odd"]),
    },
    Key {
        name: "stop",
        doc: "Stop bits.",
        need: Need::Optional { example: "1" },
        kind: Kind::Integer { min: 1, max: 2 },
    },
    table("settings"),
];

pub(super) const LIMIT: &[Key] = &joined::<1, 10, 11>(
    [Key {
        name: "parameter",
        doc: "By label, 11073 reference identifier or code. Limits here are in force until the hub sends its own set.",
        need: Need::Required { example: "\"SpO2\"" },
        kind: Kind::Word,
    }],
    rule::LIMIT,
);

pub(super) const RATE: &[Key] = &joined::<1, 4, 5>(
    [Key {
        name: "parameter",
        doc: "A change that is too fast, whatever the value.",
        need: Need::Required { example: "\"HR\"" },
        kind: Kind::Word,
    }],
    rule::RATE,
);

pub(super) const APNOEA: &[Key] = &rule::APNOEA;
pub(super) const COMBINED: &[Key] = &rule::COMBINED;

pub(super) const PREFER: &[Key] = &[
    Key {
        name: "parameter",
        doc: "Where two devices measure one parameter, the first fresh one of this list is shown and watched.",
        need: Need::Required { example: "\"SpO2\"" },
        kind: Kind::Word,
    },
    Key {
        name: "links",
        doc: "Names of links, best first.",
        need: Need::Required { example: "[\"oximeter\"]" },
        kind: Kind::Texts,
    },
];

pub(super) const ANNUNCIATE: &[Key] = &[Key {
    name: "hook",
    doc: "A program that signals at the bed: its whole path and its arguments, run as they stand and never by a shell. It gets one line\n\
          of JSON on its standard input for each change and stays; one that ends is started again, and that is an alarm.",
    need: Need::Optional { example: "[\"/usr/lib/cotside/beep\", \"--loud\"]" },
    kind: Kind::Texts,
}];

pub(super) const GPIO: &[Key] = &[
    Key {
        name: "chip",
        doc: "The character device of the lines below.",
        need: Need::Default("\"/dev/gpiochip0\""),
        kind: Kind::Path,
    },
    Key {
        name: "sounder",
        doc: "The line that switches a buzzer: on for each pulse of the standard's patterns.",
        need: Need::Optional { example: "17" },
        kind: Kind::Integer { min: 0, max: 1_023 },
    },
    Key {
        name: "button",
        doc: "The line of a button that pauses the sound of this bed for two minutes, and ends that pause.",
        need: Need::Optional { example: "27" },
        kind: Kind::Integer { min: 0, max: 1_023 },
    },
    Key {
        name: "pressed",
        doc: "What the button's line reads when it is pressed; \"low\" switches the line's own pull-up on.",
        need: Need::Default("\"low\""),
        kind: Kind::OneOf(&["low", "high"]),
    },
];

pub(super) const PAGE: &[Key] = &[
    Key {
        name: "listen",
        doc: "A page of this bed alone, for a screen beside it, works without the hub. Anybody who reaches the address can read it:\n\
              keep it on this machine.",
        need: Need::Optional { example: "\"127.0.0.1:8481\"" },
        kind: Kind::Text,
    },
    Key {
        name: "pin",
        doc: "The digits with which the page pauses the sound; without them it only shows.",
        need: Need::Optional { example: "\"2468\"" },
        kind: Kind::Text,
    },
];

const fn table(name: &'static str) -> Key {
    Key { name, doc: "", need: Need::Optional { example: "" }, kind: Kind::Table }
}
