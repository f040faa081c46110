//! `central-hub serve`: the daemon from start to stop.

use super::{Failure, File, Outcome, as_exit};
use crate::hub::{Fault, Running};
use cotside_config::hub::Security;
use cotside_systemd::clock::Clock;
use cotside_systemd::exit::Exit;
use cotside_systemd::{logging, stages};

pub(super) fn run(file: &File) -> Outcome<Exit> {
    logging::start();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "central hub");
    // A net below the configurations, which all name their provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = file.read()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("hub")
        .build()
        .map_err(as_exit(Exit::Unavailable))?;
    runtime.block_on(async {
        let mut hub = Running::start(&config, Clock::start()).await.map_err(|fault| {
            let exit = match fault {
                Fault::Store(_) => Exit::Io,
                Fault::Certificates(_) => Exit::Config,
                Fault::Unavailable(_) => Exit::Unavailable,
            };
            Failure::new(exit, fault)
        })?;
        tracing::info!(
            unit = config.unit.id,
            beds = config.unit.beds.len(),
            mqtt = config.mqtt_for_agents(),
            enrolment = %hub.enrolment,
            console = %format!("{}://{}", if config.http.security == Security::Tls { "https" } else { "http" }, hub.http),
            broker = ?config.agents.broker,
            accepts = ?config.accepts,
            "running"
        );
        hub.ready().map_err(as_exit(Exit::Unavailable))?;
        let why = hub.wait().await.map_err(as_exit(Exit::Unavailable))?;
        tracing::info!(why, "stopping");
        stages::stopping();
        let by_itself = !why.starts_with("SIG");
        let clean = hub.stop().await && !by_itself;
        tracing::info!(clean, "stopped");
        Ok(if clean { Exit::Clean } else { Exit::NotClean })
    })
}
