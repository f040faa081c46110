//! `edge-agent check`: runs exactly what start-up runs, and says what would be started.

use super::{Failed, load, print};
use cotside_config::agent::Agent;
use cotside_systemd::exit::Exit;
use std::fmt::Write as _;
use std::path::Path;

pub(super) fn check(path: &Path) -> Result<Exit, Failed> {
    let config = load(path)?;
    print(&format!("{}: no problems\n{}", path.display(), summary(&config)))
}

/// The effective configuration in a few lines. It holds no secret: keys are named by their paths.
pub(super) fn summary(config: &Agent) -> String {
    let mut out = format!("agent {}, state in {}\n", config.id, config.state_dir.display());
    let _ = match &config.hub {
        Some(hub) => match &hub.address {
            Some((host, port)) => writeln!(out, "hub   {host}:{port}"),
            None => writeln!(out, "hub   as enrolled, credentials in {}", hub.credentials.display()),
        },
        None => writeln!(out, "hub   none: the agent stands alone"),
    };
    for link in &config.links {
        let _ = writeln!(out, "link  {}: {} on {}", link.name, link.driver.name, link.place);
    }
    let _ = writeln!(out, "limits {} until the hub sends its own", config.limits.limits.len());
    out
}
