//! `edge-agent run`: the daemon.

use super::{Failed, check::summary, load, runtime};
use crate::agent;
use cotside_systemd::clock::Clock;
use cotside_systemd::exit::Exit;
use std::path::Path;

pub(super) fn run(path: &Path) -> Result<Exit, Failed> {
    tracing::info!(software = agent::SOFTWARE, "starting");
    let config = load(path)?;
    for line in summary(&config).lines() {
        tracing::info!("{line}");
    }
    let clock = Clock::start();
    runtime()?.block_on(async {
        let running = agent::start(config, clock).map_err(|error| Failed::new(Exit::Unavailable, error))?;
        tracing::info!("running");
        let is_clean = running.until_stopped().await.map_err(|error| Failed::new(Exit::NotClean, error))?;
        if is_clean {
            tracing::info!("stopped cleanly");
            Ok(Exit::Clean)
        } else {
            tracing::error!("stopped, not cleanly: what was not written is lost");
            Ok(Exit::NotClean)
        }
    })
}
