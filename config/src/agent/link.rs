//! One device at the bed: its driver, the cable or socket it hangs on, and who may speak on it.

use super::keys;
use crate::problem::{Problems, nearest};
use crate::section::{Section, subtable, subtables, word};
use cotside_protocol::device::{Driver, Framing, Parity, Settings, Transport};
use cotside_protocol::devices::{DRIVERS, driver};
use cotside_protocol::model::Now;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;
use toml::de::DeTable;

/// The position of a link is a byte in every block; a bed with more cables than this is a mistake.
const LINKS_MAX: usize = 32;

pub struct Link {
    pub name: String,
    pub driver: &'static Driver,
    pub place: Place,
    /// Only these may speak; empty: whoever is first.
    pub allow: Vec<IpAddr>,
    /// The identity the device must state.
    pub serial: Option<String>,
    pub settings: Settings,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} ({} on {})", self.name, self.driver.name, self.place)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Serial {
        path: PathBuf,
        line: Line,
    },
    /// `host:port`
    TcpConnect(String),
    TcpListen(SocketAddr),
    Udp {
        /// None: whoever announces itself.
        device: Option<SocketAddr>,
        announce: Option<u16>,
        group: Option<Ipv4Addr>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub baud: u32,
    pub bits: u8,
    pub parity: Parity,
    pub stop: u8,
}

impl std::fmt::Display for Line {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parity = match self.parity {
            Parity::None => 'N',
            Parity::Even => 'E',
            Parity::Odd => 'O',
        };
        write!(out, "{} {}{parity}{}", self.baud, self.bits, self.stop)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Serial { path, line } => write!(out, "{} {line}", path.display()),
            Self::TcpConnect(address) => write!(out, "tcp {address}"),
            Self::TcpListen(address) => write!(out, "tcp listen {address}"),
            Self::Udp { device: Some(address), .. } => write!(out, "udp {address}"),
            Self::Udp { device: None, announce, .. } => {
                write!(out, "udp announced on {}", announce.unwrap_or_default())
            }
        }
    }
}

pub(super) fn links(problems: &mut Problems<'_>, root: &DeTable<'_>) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for (span, table) in subtables(problems, root, "link") {
        let section = Section::read(problems, "[[link]]", span, table, keys::LINK);
        let Some(link) = link(problems, &section, table) else { continue };
        if links.iter().any(|other| other.name == link.name) {
            problems.at(
                section.at("name"),
                format!("name: there is a link \"{}\" already; each needs its own name", link.name),
            );
        }
        if let Some(other) = links.iter().find(|other| shares_cable(&other.place, &link.place)) {
            problems.at(&section.span, format!("{} is used by link \"{}\" already", link.place, other.name));
        }
        if links.len() == LINKS_MAX {
            problems.at(&section.span, format!("at most {LINKS_MAX} links"));
            break;
        }
        links.push(link);
    }
    links
}

fn shares_cable(one: &Place, other: &Place) -> bool {
    match (one, other) {
        (Place::Serial { path: one, .. }, Place::Serial { path: other, .. }) => one == other,
        (Place::TcpListen(one), Place::TcpListen(other)) => one == other,
        (Place::Serial { .. } | Place::TcpConnect(_) | Place::TcpListen(_) | Place::Udp { .. }, _) => false,
    }
}

fn link(problems: &mut Problems<'_>, section: &Section, table: &DeTable<'_>) -> Option<Link> {
    let driver = section.text("driver").and_then(|word| known_driver(problems, section, word));
    let allow = addresses(problems, section);
    let settings = subtable(problems, table, "settings");
    let driver = driver?;
    let place = place(problems, section, driver);
    let settings = checked_settings(problems, section, driver, place.as_ref(), settings);
    Some(Link {
        name: section.text("name")?.to_owned(),
        driver,
        place: place?,
        allow,
        serial: section.text("serial").map(str::to_owned),
        settings: settings?,
    })
}

fn known_driver(problems: &mut Problems<'_>, section: &Section, word: &str) -> Option<&'static Driver> {
    let known = driver(word);
    if known.is_none() {
        let names = DRIVERS.iter().map(|driver| driver.name);
        let hint = match nearest(word, names.clone()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("known are {}", names.collect::<Vec<_>>().join(", ")),
        };
        problems.at(section.at("driver"), format!("driver: unknown driver \"{word}\": {hint}"));
    }
    known
}

fn addresses(problems: &mut Problems<'_>, section: &Section) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for text in section.texts("allow").unwrap_or_default() {
        match text.parse() {
            Ok(address) => addresses.push(address),
            Err(_) => problems.at(section.at("allow"), format!("allow: \"{text}\" is not an IP address")),
        }
    }
    addresses
}

/// Checks the settings against the driver's own declaration, and opens a session once: what start-up will do.
fn checked_settings(
    problems: &mut Problems<'_>,
    section: &Section,
    driver: &'static Driver,
    place: Option<&Place>,
    given: Option<(Range<usize>, &DeTable<'_>)>,
) -> Option<Settings> {
    let mut values = place.map(|place| said_by_place(driver, place)).unwrap_or_default();
    let mut spans = Vec::new();
    let mut is_readable = true;
    for (key, value) in given.iter().flat_map(|(_, table)| table.iter()) {
        let name = key.get_ref().to_string();
        if !driver.settings.iter().any(|setting| setting.name == name) {
            let known = driver.settings.iter().map(|setting| setting.name);
            let place = format!("the settings of driver {}", driver.name);
            problems.at(&key.span(), crate::section::unknown(&name, &place, known));
            is_readable = false;
            continue;
        }
        spans.push((name.clone(), value.span()));
        match word(value.get_ref()) {
            Some(text) => {
                values.retain(|(known, _)| *known != name);
                values.push((name, text));
            }
            None => {
                problems.at(&value.span(), format!("{name}: expected a text in quotes or a whole number"));
                is_readable = false;
            }
        }
    }
    let span_of = |name: &str| {
        let span = spans.iter().find(|(key, _)| key == name).map(|(_, span)| span.clone());
        span.or_else(|| given.as_ref().map(|(span, _)| span.clone())).unwrap_or_else(|| section.span.clone())
    };
    let settings = match Settings::check(driver.settings, &values) {
        Ok(settings) => settings,
        Err(bad) => {
            for bad in bad {
                problems.at(&span_of(&bad.name), bad.to_string());
            }
            return None;
        }
    };
    if is_readable && let Err(bad) = (driver.open)(&settings, Now::default()) {
        problems.at(&span_of(&bad.name), bad.to_string());
        return None;
    }
    is_readable.then_some(settings)
}

/// The settings `over` and `address`, where a driver declares them, are said by the link's place already.
fn said_by_place(driver: &Driver, place: &Place) -> Vec<(String, String)> {
    let said = match place {
        Place::Serial { .. } => [("over", Some("serial".to_owned())), ("address", None)],
        Place::Udp { device, .. } => {
            [("over", Some("lan".to_owned())), ("address", device.map(|device| device.to_string()))]
        }
        Place::TcpConnect(_) | Place::TcpListen(_) => return Vec::new(),
    };
    let is_declared = |name: &str| driver.settings.iter().any(|setting| setting.name == name);
    let said = said.into_iter().filter_map(|(name, word)| Some((name, word?)));
    said.filter(|(name, _)| is_declared(name)).map(|(name, word)| (name.to_owned(), word)).collect()
}

fn place(problems: &mut Problems<'_>, section: &Section, driver: &'static Driver) -> Option<Place> {
    let given: Vec<_> = ["port", "connect", "listen", "udp"]
        .into_iter()
        .filter_map(|key| section.text(key).map(|text| (key, text)))
        .collect();
    let [(key, text)] = given.as_slice() else {
        let words = if given.is_empty() { "needs one of" } else { "has more than one of" };
        problems.at(
            &section.span,
            format!("[[link]] {words} port, connect, listen, udp: say where the cable ends"),
        );
        return None;
    };
    let place = match *key {
        "port" => serial(section, driver, text),
        "connect" => connect(driver, text),
        "listen" => listen(driver, text),
        _ => udp(driver, text),
    };
    place.map_err(|words| problems.at(section.at(key), format!("{key}: {words}"))).ok()
}

fn serial(section: &Section, driver: &Driver, path: &str) -> Result<Place, String> {
    let declared = driver.transports.iter().find_map(|transport| match *transport {
        Transport::Serial { baud, bits, parity, stop } => Some(Line { baud, bits, parity, stop }),
        _ => None,
    });
    let Some(line) = declared else { return Err(not_spoken(driver, "a serial port")) };
    let byte = |name: &str, default: u8| {
        section.integer(name).and_then(|number| u8::try_from(number).ok()).unwrap_or(default)
    };
    let line = Line {
        baud: section.integer("baud").and_then(|number| u32::try_from(number).ok()).unwrap_or(line.baud),
        bits: byte("bits", line.bits),
        parity: match section.text("parity") {
            Some("none") => Parity::None,
            Some("even") => Parity::Even,
            Some("odd") => Parity::Odd,
            _ => line.parity,
        },
        stop: byte("stop", line.stop),
    };
    Ok(Place::Serial { path: path.into(), line })
}

/// A stream driver may also be reached through a serial device server.
fn connect(driver: &Driver, text: &str) -> Result<Place, String> {
    let declared = driver.transports.iter().find_map(|transport| match transport {
        Transport::TcpConnect { port } => Some(*port),
        _ => None,
    });
    if declared.is_none() && driver.framing != Framing::Stream {
        return Err(not_spoken(driver, "a TCP connection to the device"));
    }
    match (text.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())), declared) {
        (Some((host, Ok(_))), _) if !host.is_empty() => Ok(Place::TcpConnect(text.to_owned())),
        (None, Some(port)) => Ok(Place::TcpConnect(format!("{text}:{port}"))),
        _ => Err(format!("expected \"host:port\", found \"{text}\"")),
    }
}

fn listen(driver: &Driver, text: &str) -> Result<Place, String> {
    if !driver.transports.iter().any(|transport| matches!(transport, Transport::TcpListen { .. })) {
        return Err(not_spoken(driver, "a TCP connection from the device"));
    }
    text.parse()
        .map(Place::TcpListen)
        .map_err(|_| format!("expected \"address:port\", such as \"0.0.0.0:2575\", found \"{text}\""))
}

fn udp(driver: &Driver, text: &str) -> Result<Place, String> {
    let declared = driver.transports.iter().find_map(|transport| match *transport {
        Transport::Udp { port, announce, group } => Some((port, announce, group.map(Ipv4Addr::from))),
        _ => None,
    });
    let Some((port, announce, group)) = declared else { return Err(not_spoken(driver, "UDP")) };
    let device = match text {
        "announced" if announce.is_some() => None,
        "announced" => {
            return Err(format!("driver {} has no announcements: give the device's address", driver.name));
        }
        _ => Some(
            text.parse::<SocketAddr>()
                .or_else(|_| text.parse::<IpAddr>().map(|address| SocketAddr::new(address, port)))
                .map_err(|_| {
                    format!("expected an address such as \"10.0.0.5\", or \"announced\", found \"{text}\"")
                })?,
        ),
    };
    Ok(Place::Udp { device, announce, group })
}

fn not_spoken(driver: &Driver, what: &str) -> String {
    let mut spoken: Vec<_> = driver
        .transports
        .iter()
        .map(|transport| match transport {
            Transport::Serial { .. } => "port",
            Transport::Udp { .. } => "udp",
            Transport::TcpListen { .. } => "listen",
            Transport::TcpConnect { .. } => "connect",
        })
        .collect();
    spoken.dedup();
    format!("driver {} does not speak over {what}: use {}", driver.name, spoken.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::{Place, said_by_place};
    use cotside_protocol::devices::driver;

    #[test]
    fn a_link_on_the_network_tells_its_driver_so() {
        let device = Some("10.0.0.5:24105".parse().unwrap());
        let place = Place::Udp { device, announce: None, group: None };
        let said = said_by_place(driver("intellivue").unwrap(), &place);
        let words = [("over", "lan"), ("address", "10.0.0.5:24105")];
        assert_eq!(said, words.map(|(name, word)| (name.to_owned(), word.to_owned())));
        assert_eq!(said_by_place(driver("masimo").unwrap(), &place), []);
    }
}
