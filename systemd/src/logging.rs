//! Logging: constant messages, values as fields, to standard error; journal-friendly text by default, JSON on request.

use tracing_subscriber::EnvFilter;

/// Reads the level from `COTSIDE_LOG` (the one environment override), default `info`; `COTSIDE_LOG_FORMAT=json` for machines.
pub fn start() {
    let filter = EnvFilter::try_from_env("COTSIDE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let is_json = std::env::var("COTSIDE_LOG_FORMAT").is_ok_and(|format| format == "json");
    // A second start in one process (tests) keeps the first subscriber.
    let _ = if is_json { log.json().try_init() } else { log.with_ansi(false).try_init() };
}
