//! `central-hub check`: what a start would find, without starting.

use super::{Failure, File, Outcome, as_exit, open_store, say};
use crate::authority::Authority;
use cotside_config::hub::Broker;
use cotside_systemd::clock::Clock;
use cotside_systemd::exit::Exit;

/// Certificates are renewed with time to spare.
const WARN_DAYS: i64 = 60;

pub(super) fn run(file: &File) -> Outcome {
    let hub = file.read()?;
    let authority = Authority::at(&hub.data_dir);
    authority.tls_for_anyone(&[]).map_err(as_exit(Exit::Config))?;
    authority.tls_for_agents().map_err(as_exit(Exit::Config))?;
    if hub.agents.broker != Broker::Own {
        authority.tls_towards_broker().map_err(as_exit(Exit::Config))?;
    }
    let until = authority.valid_until().map_err(as_exit(Exit::Config))?;
    let days = (until.0 - Clock::start().now().wall.0) / 86_400_000_000;
    if days < 0 {
        return Err(Failure::new(Exit::Config, "the hub's server certificate has expired"));
    }
    let store = open_store(&hub)?;
    let whole: String =
        store.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(as_exit(Exit::Io))?;
    if whole != "ok" {
        return Err(Failure::new(Exit::Io, format!("the store is damaged: {whole}")));
    }
    let warning = if days < WARN_DAYS { " (renew it soon)" } else { "" };
    say(&format!(
        "{}: in order. Unit {} with {} beds, server certificate good for {days} days{warning}.\n",
        file.config.display(),
        hub.unit.id,
        hub.unit.beds.len(),
    ))
}
