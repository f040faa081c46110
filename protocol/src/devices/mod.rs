//! The drivers. A driver is added by its folder and its two lines here, and by nothing else.

use crate::device::{Driver, PeerKind};

/// Every driver the agent knows.
pub const DRIVERS: &[&Driver] = &[];

/// Every driver's simulated device, for simulators and tests.
pub const PEERS: &[&PeerKind] = &[];

pub fn driver(name: &str) -> Option<&'static Driver> {
    DRIVERS.iter().find(|driver| driver.name == name).copied()
}

pub fn peer(name: &str) -> Option<&'static PeerKind> {
    PEERS.iter().find(|peer| peer.name == name).copied()
}
