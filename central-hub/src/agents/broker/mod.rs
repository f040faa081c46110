//! An external broker between agents and hub: a lossy pipe. Everything that matters stays between [`super::inbound`] and the agent.
//!
//! Who an agent is, is known from the topic alone, so the broker must enforce what the own listener does: one certificate,
//! one name, one topic tree. [`mosquitto_conf`] and [`MOSQUITTO_ACL`] are the lines that matter; the tests run with them.

pub mod run;

use std::path::Path;

/// Publishing and subscribing, by the name in the certificate.
pub const MOSQUITTO_ACL: &str = include_str!("../../../../config/mosquitto.acl.example");

/// A configuration for mosquitto 2 with the certificates of `dir`.
pub fn mosquitto_conf(dir: &Path, listen: &str) -> String {
    include_str!("../../../../config/mosquitto.conf.example")
        .replace("/var/lib/cotside-hub", &dir.display().to_string())
        .replace("listener 8883", &format!("listener {listen}"))
}
