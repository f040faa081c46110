//! Who may depend on whom: `docs/ARCHITECTURE.md` draws the arrows, this test reads them from cargo.

use crate::tree::{hold, root, sources};
use serde_json::Value;
use std::process::Command;

/// Each crate and the crates of the house that it may name.
const ARROWS: [(&str, &[&str]); 7] = [
    ("protocol", &[]),
    ("config", &["protocol"]),
    ("systemd", &["protocol"]),
    ("simulators", &["protocol", "config", "systemd"]),
    ("edge-agent", &["protocol", "config", "systemd"]),
    ("central-hub", &["protocol", "config", "systemd"]),
    ("tests", &["protocol", "config", "systemd", "simulators", "edge-agent", "central-hub"]),
];

/// What would bring IO into the crate that has none.
const NOT_IN_PROTOCOL: [&str; 8] =
    ["tokio", "mio", "socket2", "rusqlite", "rustls", "axum", "hyper", "tracing"];

#[test]
fn crates_depend_on_each_other_only_along_the_arrows() {
    let mut breaches = Vec::new();
    for package in packages() {
        let name = short(&package["name"]);
        let Some((_, allowed)) = ARROWS.iter().find(|(member, _)| *member == name) else {
            breaches.push(format!("{name}: a crate without arrows"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let is_ours = dependency["name"].as_str().is_some_and(|name| name.starts_with("cotside-"));
            let on = short(&dependency["name"]);
            if is_ours && !allowed.contains(&on.as_str()) {
                breaches.push(format!("{name} -> {on}"));
            }
        }
    }
    hold("dependency arrows, and no others", &breaches);
}

#[test]
fn the_protocol_crate_cannot_do_io_because_the_dependency_is_not_there() {
    let packages = packages();
    let protocol =
        packages.iter().find(|package| short(&package["name"]) == "protocol").expect("it is a member");
    let names = protocol["dependencies"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|dependency| short(&dependency["name"]));
    let breaches: Vec<_> = names.filter(|name| NOT_IN_PROTOCOL.contains(&name.as_str())).collect();
    hold("protocol is sans-IO", &breaches);
}

#[test]
fn agent_and_hub_never_name_each_other() {
    let mut breaches = Vec::new();
    for source in sources() {
        for (member, stranger) in [("edge-agent/", "central_hub"), ("central-hub/", "edge_agent")] {
            let crate_name = format!("cotside_{stranger}");
            if source.is_below(member) && source.text.contains(&crate_name) {
                breaches.push(source.path.clone());
            }
        }
    }
    hold("they share protocol::{model, wire, hl7} and nothing else", &breaches);
}

#[test]
fn the_agent_never_names_a_simulated_device() {
    const PEER_WORDS: [&str; 6] =
        ["PEERS", "PeerKind", "PeerOptions", "PeerOutput", "Physiology", "devices::peer"];
    let mut breaches = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| source.is_below("edge-agent/src/") || source.is_below("central-hub/src/"))
    {
        for (line, code) in
            source.code().filter(|(_, code)| PEER_WORDS.iter().any(|word| code.contains(word)))
        {
            breaches.push(format!("{}:{line}: {}", source.path, code.trim()));
        }
    }
    hold("peers are for simulators and tests", &breaches);
}

#[test]
fn the_alarm_engine_knows_the_model_and_nothing_else() {
    const ALLOWED: [&str; 7] =
        ["std::", "core::", "super::", "self::", "crate::alarm", "cotside_protocol::model", "Self::"];
    let mut breaches = Vec::new();
    for source in sources().iter().filter(|source| source.is_below("edge-agent/src/alarm")) {
        for (line, code) in source.code() {
            let code = code.trim_start();
            let import = code.strip_prefix("pub use ").or(code.strip_prefix("use "));
            let imports_more = import.is_some_and(|path| {
                let is_own_module =
                    path.chars().next().is_some_and(char::is_lowercase) && source.path.ends_with("mod.rs");
                !ALLOWED.iter().any(|allowed| path.starts_with(allowed))
                    && (!is_own_module || path.starts_with("cotside_"))
            });
            let names_more = code.contains("crate::") && !code.contains("crate::alarm");
            if imports_more || names_more {
                breaches.push(format!("{}:{line}: {code}", source.path));
            }
        }
    }
    hold("edge-agent/src/alarm imports protocol::model alone", &breaches);
}

fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    metadata["packages"].as_array().expect("it lists packages").clone()
}

fn short(name: &Value) -> String {
    let name = name.as_str().unwrap_or_default();
    name.strip_prefix("cotside-").unwrap_or(name).to_owned()
}
