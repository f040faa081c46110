//! `edge-agent enroll`: this gateway gets its identity from the hub, once.

use super::{Failed, load, print, runtime};
use crate::enroll;
use crate::uplink::credentials::split_address;
use anyhow::anyhow;
use cotside_systemd::clock::Clock;
use cotside_systemd::exit::Exit;
use std::path::Path;

pub(super) fn enroll(config: &Path, token: &str, hub: Option<&str>) -> Result<Exit, Failed> {
    let agent = load(config)?;
    let Some(settings) = agent.hub else {
        let why = anyhow!("{} has no [hub] section: this gateway has no hub to enrol with", config.display());
        return Err(Failed::new(Exit::Config, why));
    };
    let at = match hub.map(|hub| hub.strip_prefix("https://").unwrap_or(hub)) {
        Some(address) => {
            let split = split_address(address.trim_end_matches('/'));
            Some(split.ok_or_else(|| Failed::new(Exit::Usage, anyhow!("--hub {address} is no host:port")))?)
        }
        None => None,
    };
    let enrolled = runtime()?.block_on(enroll::run(token, at, &settings.credentials, Clock::start()));
    let hub = enrolled.map_err(|why| Failed::new(Exit::Unavailable, anyhow!("not enrolled: {why}")))?;
    let bed = hub.bed.map(|bed| format!(" at bed {bed}")).unwrap_or_default();
    print(&format!(
        "Enrolled as {}{bed}. The hub is {} ({}); credentials are in {}.\n",
        hub.agent,
        hub.mqtt,
        hub.server_name,
        settings.credentials.display()
    ))
}
