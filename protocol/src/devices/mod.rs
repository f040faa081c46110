//! The drivers. A driver is added by its folder and its two lines here, and by nothing else.

pub mod hl7;
pub mod intellivue;
pub mod masimo;

use crate::device::{Driver, PeerKind};

/// Every driver the agent knows.
pub const DRIVERS: &[&Driver] = &[&hl7::DRIVER, &intellivue::DRIVER, &masimo::DRIVER];

/// Every driver's simulated device, for simulators and tests.
pub const PEERS: &[&PeerKind] = &[&hl7::PEER, &intellivue::PEER, &masimo::PEER];

pub fn driver(name: &str) -> Option<&'static Driver> {
    DRIVERS.iter().find(|driver| driver.name == name).copied()
}

pub fn peer(name: &str) -> Option<&'static PeerKind> {
    PEERS.iter().find(|peer| peer.name == name).copied()
}
