//! The central hub's configuration: which unit and beds it serves, where it listens, and what it accepts.

pub mod escalation;

use self::escalation::{ESCALATION, Escalation};
use crate::problem::{Problem, Problems};
use crate::rule;
use crate::section::{Key, Kind, Need, Section, describe as keys_of, subtable};
use cotside_protocol::model::{Envelope, Provenance};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

#[derive(Clone, Debug)]
pub struct Hub {
    pub data_dir: PathBuf,
    /// The one kind of data this hub takes.
    pub accepts: Provenance,
    pub unit: Unit,
    pub agents: Agents,
    pub http: Http,
    pub escalation: Escalation,
    /// Where the site's own alarm profiles lie.
    pub profiles: PathBuf,
    /// What this site allows for limits.
    pub envelope: Envelope,
}

#[derive(Clone, Debug)]
pub struct Unit {
    pub id: String,
    pub name: String,
    /// In the order of the screen.
    pub beds: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Agents {
    /// The name agents reach the hub by; the server certificate carries it.
    pub name: String,
    pub mqtt: SocketAddr,
    pub enrolment: SocketAddr,
    pub broker: Broker,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broker {
    /// The hub terminates MQTT itself.
    Own,
    External {
        host: String,
        port: u16,
    },
}

#[derive(Clone, Debug)]
pub struct Http {
    pub listen: SocketAddr,
    pub security: Security,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    Tls,
    /// For a browser on this machine.
    Plain,
    /// A proxy on this machine speaks TLS for the hub.
    Proxy,
}

/// The files below `data_dir`, by what they are.
impl Hub {
    pub fn store(&self) -> PathBuf {
        self.data_dir.join("hub.db")
    }

    /// Where agents reach MQTT, `host:port`.
    pub fn mqtt_for_agents(&self) -> String {
        match &self.agents.broker {
            Broker::Own => format!("{}:{}", self.agents.name, self.agents.mqtt.port()),
            Broker::External { host, port } => format!("{host}:{port}"),
        }
    }
}

/// Reads and checks the text of a configuration file; `file` is how the problems call it. A relative `data_dir` counts from `base`.
pub fn check(file: &str, text: &str, base: &Path) -> Result<Hub, Vec<Problem>> {
    let mut problems = Problems::new(file, text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let words = error.message().lines().collect::<Vec<_>>().join("; ");
        problems.at(&error.span().unwrap_or(0..0), words);
    }
    if !errors.is_empty() {
        return Err(problems.into_sorted());
    }
    match (hub(&mut problems, root.get_ref(), base), problems.is_empty()) {
        (Some(hub), true) => Ok(hub),
        _ => Err(problems.into_sorted()),
    }
}

/// A file that `check` accepts as it stands, with every key explained.
pub fn describe() -> String {
    let mut out = String::from(
        "# Cotside central hub. Lines with ## explain, lines with # are defaults or options switched off.\n\
         # Check a changed file with: central-hub check\n\n",
    );
    keys_of(HUB, &mut out);
    for (name, keys) in [("unit", UNIT), ("agents", AGENTS), ("http", HTTP), ("escalation", ESCALATION)] {
        out.push_str(&format!("[{name}]\n"));
        keys_of(keys, &mut out);
    }
    out.push_str(
        "## What the limits of a bed may be; the agents have such a table of their own.\n[[bound]]\n",
    );
    let mut bound = String::new();
    keys_of(rule::BOUND, &mut bound);
    out.push_str(&bound.replacen("# low = ", "low = ", 1));
    out
}

fn hub(problems: &mut Problems<'_>, root: &DeTable<'_>, base: &Path) -> Option<Hub> {
    let top = Section::read(problems, "the file", 0..0, root, HUB);
    let tables = [("unit", UNIT), ("agents", AGENTS), ("http", HTTP), ("escalation", ESCALATION)];
    let [unit, agents, http, escalation] = tables.map(|(name, keys)| {
        let empty = DeTable::new();
        let (span, table) = subtable(problems, root, name).unwrap_or((0..0, &empty));
        Section::read(problems, &format!("[{name}]"), span, table, keys)
    });
    let unit = Unit {
        id: unit.text("id")?.to_owned(),
        name: unit.text("name")?.to_owned(),
        beds: beds(problems, &unit)?,
    };
    let mqtt = address(problems, &agents, "mqtt");
    let enrolment = address(problems, &agents, "enrolment");
    let listen = address(problems, &http, "listen");
    let broker = broker(problems, &agents);
    let escalation = escalation::escalation(problems, &escalation);
    let envelope = rule::envelope(problems, root);
    Some(Hub {
        data_dir: base.join(top.text("data_dir")?),
        profiles: base.join(top.text("profiles")?),
        envelope,
        accepts: match top.text("accepts")? {
            "simulated" => Provenance::Simulated,
            _ => Provenance::Live,
        },
        unit,
        agents: Agents {
            name: agents.text("name")?.to_owned(),
            mqtt: mqtt?,
            enrolment: enrolment?,
            broker: broker?,
        },
        http: Http {
            listen: listen?,
            security: match http.text("security")? {
                "plain" => Security::Plain,
                "proxy" => Security::Proxy,
                _ => Security::Tls,
            },
        },
        escalation: escalation?,
    })
}

fn beds(problems: &mut Problems<'_>, unit: &Section) -> Option<Vec<String>> {
    let beds = unit.texts("beds")?;
    if beds.is_empty() || beds.len() > BEDS_MAX {
        problems.at(unit.at("beds"), format!("beds: expected 1 to {BEDS_MAX} beds, found {}", beds.len()));
    }
    for (at, bed) in beds.iter().enumerate() {
        if !is_bed(bed) {
            let words =
                format!("beds: expected names of a-z, A-Z, 0-9, - and ., at most 16 long, found \"{bed}\"");
            problems.at(unit.at("beds"), words);
        }
        if beds[..at].contains(bed) {
            problems.at(unit.at("beds"), format!("beds: \"{bed}\" stands twice"));
        }
    }
    Some(beds.to_vec())
}

/// One hub serves a house at most.
const BEDS_MAX: usize = 1000;

fn is_bed(name: &str) -> bool {
    (1..=16).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

fn address(problems: &mut Problems<'_>, section: &Section, key: &str) -> Option<SocketAddr> {
    let text = section.text(key)?;
    let address = text.parse().ok();
    if address.is_none() {
        let words =
            format!("{key}: expected an address and port, such as \"0.0.0.0:8883\", found \"{text}\"");
        problems.at(section.at(key), words);
    }
    address
}

fn broker(problems: &mut Problems<'_>, section: &Section) -> Option<Broker> {
    let text = section.text("broker")?;
    if text == "own" {
        return Some(Broker::Own);
    }
    let external = || {
        let (host, port) = text.strip_prefix("mqtts://")?.trim_end_matches('/').rsplit_once(':')?;
        let is_host = !host.is_empty() && !host.contains(['/', '@', ' ']);
        is_host.then_some(Broker::External { host: host.to_owned(), port: port.parse().ok()? })
    };
    let broker = external();
    if broker.is_none() {
        let words = format!("broker: expected \"own\" or \"mqtts://host:port\", found \"{text}\"");
        problems.at(section.at("broker"), words);
    }
    broker
}

const HUB: &[Key] = &[
    Key {
        name: "data_dir",
        doc: "Where the store and the hub's keys and certificates live. Relative to this file.",
        need: Need::Default("\".\""),
        kind: Kind::Path,
    },
    Key {
        name: "accepts",
        doc: "\"simulated\" only for a demonstration or training hub: it takes simulated data and nothing else.",
        need: Need::Default("\"live\""),
        kind: Kind::OneOf(&["live", "simulated"]),
    },
    Key {
        name: "profiles",
        doc: "The folder of the site's own alarm profiles, `*.toml`, each in place of the shipped one of its name or beside it.\n\
              `central-hub limits profiles` lists those in use. Relative to this file.",
        need: Need::Default("\"profiles\""),
        kind: Kind::Path,
    },
    table("bound"),
    table("unit"),
    table("agents"),
    table("http"),
    table("escalation"),
];

const UNIT: &[Key] = &[
    Key {
        name: "id",
        doc: "The unit's name in addresses.",
        need: Need::Default("\"nicu\""),
        kind: Kind::Name,
    },
    Key {
        name: "name",
        doc: "The unit's name on the screen.",
        need: Need::Default("\"Neonatal intensive care\""),
        kind: Kind::Text,
    },
    Key {
        name: "beds",
        doc: "Every bed, in the order of the screen. A bed keeps its name; a new one is added at any place.",
        need: Need::Required { example: "[\"01\", \"02\", \"03\", \"04\"]" },
        kind: Kind::Texts,
    },
];

const AGENTS: &[Key] = &[
    Key {
        name: "name",
        doc: "The name by which agents reach the hub; its server certificate carries it (`central-hub quickstart --name`).",
        need: Need::Default("\"localhost\""),
        kind: Kind::Text,
    },
    Key {
        name: "mqtt",
        doc: "Where the hub takes the agents' data: MQTT v5, TLS 1.3, certificates on both sides. Unused with an external broker.",
        need: Need::Default("\"0.0.0.0:8883\""),
        kind: Kind::Text,
    },
    Key {
        name: "enrolment",
        doc: "Where a new agent turns its one-time token into a certificate.",
        need: Need::Default("\"0.0.0.0:8884\""),
        kind: Kind::Text,
    },
    Key {
        name: "broker",
        doc: "\"own\": the hub terminates MQTT itself. \"mqtts://host:8883\": an external broker, see mosquitto.conf.example.",
        need: Need::Default("\"own\""),
        kind: Kind::Text,
    },
];

const HTTP: &[Key] = &[
    Key {
        name: "listen",
        doc: "Where the console and the API are served.",
        need: Need::Default("\"0.0.0.0:8443\""),
        kind: Kind::Text,
    },
    Key {
        name: "security",
        doc: "\"plain\" only for a browser on this machine, at 127.0.0.1. \"proxy\": a proxy on this machine speaks TLS for the hub,\n\
              and what it forwards about the other end (x-forwarded-proto, x-forwarded-for) is believed.",
        need: Need::Default("\"tls\""),
        kind: Kind::OneOf(&["tls", "plain", "proxy"]),
    },
];

const fn table(name: &'static str) -> Key {
    Key { name, doc: "", need: Need::Optional { example: "" }, kind: Kind::Table }
}

#[cfg(test)]
mod tests {
    use super::{Broker, check, describe};
    use std::path::Path;

    fn problems(text: &str) -> Vec<String> {
        let found = check("hub.toml", text, Path::new("/srv")).unwrap_err();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_printed_example_is_accepted_as_it_stands() {
        let hub = check("hub.toml", &describe(), Path::new("/srv")).unwrap();
        assert_eq!((hub.store(), hub.unit.beds.len()), ("/srv/./hub.db".into(), 4));
        assert_eq!(
            (hub.agents.broker.clone(), hub.mqtt_for_agents()),
            (Broker::Own, "localhost:8883".into())
        );
    }

    #[test]
    fn every_problem_is_told_at_once_with_its_place() {
        let found = problems(
            "accepts = \"demo\"\n[unit]\nbeds = [\"01\", \"01\", \"a b\"]\n[agents]\nbroker = \"tcp://x\"\nmqtt = \"8883\"\nport = 1\n",
        );
        let starts = [
            "hub.toml:1:11: ",
            "hub.toml:3:8: ",
            "hub.toml:3:8: ",
            "hub.toml:5:10: ",
            "hub.toml:6:8: ",
            "hub.toml:7:1: ",
        ];
        assert_eq!(found.len(), starts.len(), "{found:#?}");
        assert!(found.iter().zip(starts).all(|(words, start)| words.starts_with(start)), "{found:#?}");
    }

    #[test]
    fn an_external_broker_is_one_line() {
        let text = "[unit]\nbeds = [\"01\"]\n[agents]\nbroker = \"mqtts://broker.ward:8883\"\n";
        let hub = check("hub.toml", text, Path::new("/srv")).unwrap();
        assert_eq!(hub.agents.broker, Broker::External { host: "broker.ward".into(), port: 8883 });
    }
}
