//! Philips IntelliVue patient monitors: Data Export over MIB/RS232 and LAN. The README beside this file says what is supported.

mod alerts;
mod association;
mod attribute;
mod card;
mod channels;
mod clock;
mod duties;
mod frame;
mod labels;
mod lists;
mod message;
mod octets;
mod params;
mod peer;
mod query;
mod session;
mod settings;
#[cfg(test)]
mod tests;

use crate::device::{Driver, Framing, Parity, Transport};
pub use peer::PEER;

pub static DRIVER: Driver = Driver {
    name: "intellivue",
    summary: "Philips IntelliVue patient monitors, Data Export over serial or LAN",
    models: &["MP2", "MP5", "MP20-MP90", "MX400-MX800", "X2", "X3"],
    transports: &[
        Transport::Serial { baud: 115_200, bits: 8, parity: Parity::None, stop: 1 },
        Transport::Serial { baud: 19_200, bits: 8, parity: Parity::None, stop: 1 },
        Transport::Udp { port: settings::DATA_PORT, announce: Some(24_005), group: Some([224, 0, 23, 63]) },
    ],
    framing: Framing::Stream,
    settings: settings::SETTINGS,
    parameters: params::rows,
    silent_after_ms: 10_000,
    open: |settings, now| Ok(Box::new(session::Intellivue::new(settings::Wanted::read(settings)?, now))),
};
