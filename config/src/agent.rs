//! The edge agent's configuration: who it is, where its hub is, which devices hang on which cables, and its limits.

mod bedside;
mod describe;
mod keys;
mod limit;
mod link;
#[cfg(test)]
mod tests;

pub use bedside::{Bedside, Gpio, Page};
pub use describe::describe;
pub use limit::Preference;
pub use link::{Line, Link, Place};

use crate::problem::{Problem, Problems};
use crate::rule;
use crate::section::{Section, subtable};
use cotside_protocol::model::{Envelope, LimitSet, Provenance};
use cotside_protocol::wire::topic::AgentId;
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeTable;

#[derive(Debug)]
pub struct Agent {
    pub id: AgentId,
    pub state_dir: PathBuf,
    pub socket: PathBuf,
    pub provenance: Provenance,
    /// Streaming data of at most this long is lost when the power fails.
    pub loss_window: Duration,
    /// The one cap of the store on disk.
    pub store_max: u64,
    /// None: the agent stands alone, and says so.
    pub hub: Option<Hub>,
    pub links: Vec<Link>,
    /// In force until the hub sends a set.
    pub limits: LimitSet,
    /// What this site allows; a set from the hub that goes beyond is refused.
    pub envelope: Envelope,
    pub preferences: Vec<Preference>,
    /// The patient's alarms are held back for so long at most.
    pub standby_max: Duration,
    pub bedside: Bedside,
}

#[derive(Clone, Debug)]
pub struct Hub {
    /// Host and port, where they are not those of the enrolment.
    pub address: Option<(String, u16)>,
    /// Where enrolment leaves key, certificate and authority.
    pub credentials: PathBuf,
}

/// Reads and checks the text of a configuration file; `file` is how the problems call it.
pub fn check(file: &str, text: &str) -> Result<Agent, Vec<Problem>> {
    let mut problems = Problems::new(file, text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let words = error.message().lines().collect::<Vec<_>>().join("; ");
        problems.at(&error.span().unwrap_or(0..0), words);
    }
    if !errors.is_empty() {
        return Err(problems.into_sorted());
    }
    match (agent(&mut problems, root.get_ref()), problems.is_empty()) {
        (Some(agent), true) => Ok(agent),
        _ => Err(problems.into_sorted()),
    }
}

fn agent(problems: &mut Problems<'_>, root: &DeTable<'_>) -> Option<Agent> {
    let top = Section::read(problems, "the file", 0..0, root, keys::AGENT);
    let state_dir = top.text("state_dir").map(PathBuf::from);
    let hub =
        subtable(problems, root, "hub").map(|(span, table)| hub(problems, span, table, state_dir.as_deref()));
    let links = link::links(problems, root);
    let limits = limit::set(problems, root);
    let envelope = rule::envelope(problems, root);
    let names: Vec<&str> = links.iter().map(|link| link.name.as_str()).collect();
    let preferences = limit::preferences(problems, root, &names);
    let bedside = bedside::bedside(problems, root);
    Some(Agent {
        id: AgentId::new(top.text("id")?)?,
        socket: top.text("socket")?.into(),
        provenance: match top.text("provenance")? {
            "simulated" => Provenance::Simulated,
            _ => Provenance::Live,
        },
        loss_window: top.duration("loss_window")?,
        store_max: top.bytes("store_max")?,
        standby_max: top.duration("standby_max")?,
        bedside,
        hub: match hub {
            Some(hub) => Some(hub?),
            None => None,
        },
        state_dir: state_dir?,
        links,
        limits,
        envelope,
        preferences,
    })
}

fn hub(
    problems: &mut Problems<'_>,
    span: std::ops::Range<usize>,
    table: &DeTable<'_>,
    state_dir: Option<&std::path::Path>,
) -> Option<Hub> {
    let section = Section::read(problems, "[hub]", span, table, keys::HUB);
    let address = match section.text("address") {
        None => None,
        Some(text) => match host_and_port(text) {
            Some(address) => Some(address),
            None => {
                let words =
                    "address: expected \"mqtts://host:port\", such as \"mqtts://hub.hospital.example:8883\"";
                problems.at(section.at("address"), format!("{words}, found \"{text}\""));
                return None;
            }
        },
    };
    Some(Hub {
        address,
        credentials: section
            .text("credentials")
            .map_or_else(|| state_dir.map(Into::into), |path| Some(path.into()))?,
    })
}

fn host_and_port(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.strip_prefix("mqtts://")?.trim_end_matches('/').rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty() && !host.contains(['/', '@', ' '])).then_some((host.to_owned(), port.parse().ok()?))
}
