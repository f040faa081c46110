//! Pure cores: waiting, clocks, serialisation and queues each have their places, and are nowhere else.

use crate::tree::{Source, hold, sources};

/// Ports and wiring that wait beside the shells, by name: a new one is a reviewed line.
const PORTS: [&str; 7] = [
    "central-hub/src/agents/mod.rs",
    "edge-agent/src/link/datagram.rs",
    "edge-agent/src/link/port.rs",
    "edge-agent/src/link/serial.rs",
    "edge-agent/src/link/stream.rs",
    "edge-agent/src/link/tap.rs",
    "edge-agent/src/local.rs",
];

/// Shells: they wait, they do not decide.
fn may_wait(source: &Source) -> bool {
    const SHELL_FILES: [&str; 6] = ["run", "main", "lib", "agent", "hub", "commands"];
    const SHELL_FOLDERS: [&str; 2] = ["/api/", "/commands/"];
    source.is_below("systemd/")
        || source.is_below("simulators/")
        || SHELL_FOLDERS.iter().any(|folder| source.path.contains(folder))
        || SHELL_FILES.contains(&source.stem())
        || PORTS.contains(&source.path.as_str())
}

#[test]
fn only_shells_wait() {
    let wait = |code: &str| code.contains(".await") || code.contains("tokio::") || code.contains("async fn");
    let cores = |source: &Source| !source.is_test && !may_wait(source);
    hold("no .await and no tokio in a core", &breaches(cores, wait));
}

#[test]
fn the_protocol_crate_waits_nowhere() {
    let wait = |code: &str| {
        code.contains(".await") || code.contains("tokio") || code.contains("std::net::TcpStream")
    };
    hold("protocol is sans-IO", &breaches(|source| source.is_below("protocol/src/"), wait));
}

#[test]
fn one_file_reads_the_clocks() {
    let reads = |code: &str| code.contains("Instant::now") || code.contains("SystemTime::now");
    let others = |source: &Source| {
        !source.is_test && source.path != "systemd/src/clock.rs" && !source.is_below("fuzz/")
    };
    hold("time is an argument", &breaches(others, reads));
}

#[test]
fn the_model_is_not_serialisable() {
    let serialises = |code: &str| code.contains("serde") || code.contains("Serialize");
    let model = |source: &Source| source.is_below("protocol/src/") && !source.is_below("protocol/src/wire/");
    hold("serde appears in protocol/src/wire/ and nowhere else in that crate", &breaches(model, serialises));
}

#[test]
fn every_queue_has_a_bound() {
    let unbounded = |code: &str| code.contains("unbounded") || code.contains("mpsc::channel()");
    hold("channels are bounded", &breaches(|source| !source.is_test, unbounded));
}

#[test]
fn personal_data_is_never_printed() {
    let prints = |code: &str| {
        let is_log = ["trace!", "debug!", "info!", "warn!", "error!", "bail!", "anyhow!"]
            .iter()
            .any(|word| code.contains(word));
        is_log && code.contains(".reveal()")
    };
    hold("Private<T> stays out of logs and error texts", &breaches(|source| !source.is_test, prints));
}

fn breaches(concerns: impl Fn(&Source) -> bool, is_breach: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| concerns(source)) {
        for (line, code) in source.code().filter(|(_, code)| is_breach(code)) {
            found.push(format!("{}:{line}: {}", source.path, code.trim()));
        }
    }
    found
}
