//! A real mosquitto between agents and hub, with TLS and the access list that `central-hub quickstart` writes.

use anyhow::{Context, Result};
use cotside_simulators::process::Process;
use std::path::Path;

/// The process (not started) that serves `port` with the hub's own authority and certificate.
pub fn mosquitto(hub_dir: &Path, port: u16) -> Result<Process> {
    let binary = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"].into_iter().map(Path::new);
    let binary = binary.into_iter().find(|path| path.exists()).context("mosquitto is not installed")?;
    let example = hub_dir.join("mosquitto.conf.example");
    let text = std::fs::read_to_string(&example)?;
    let lines = text.lines().map(|line| match line.split_whitespace().next() {
        Some("listener") => format!("listener {port} 127.0.0.1"),
        _ => line.to_owned(),
    });
    // Started as root, mosquitto would otherwise give up the right to read the keys.
    let config = lines.chain(["user root".to_owned()]).collect::<Vec<_>>().join("\n");
    let file = hub_dir.join("mosquitto.conf");
    std::fs::write(&file, config)?;
    Ok(Process::new("mosquitto", binary, &["-c", &file.to_string_lossy()], &hub_dir.join("mosquitto.log")))
}
