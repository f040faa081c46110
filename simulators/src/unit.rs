//! A whole unit of real processes on loopback: hub, agents, simulated devices, admitted babies. The demo and the system tests stand on it.

use crate::cable::{Cable, Faults};
use crate::newborn::{Episode, Newborn};
use crate::process::{Process, output};
use crate::run::{Device, Place};
use crate::station::Station;
use anyhow::{Context, Result, bail, ensure};
use cotside_protocol::device::{Peer, PeerOptions};
use cotside_protocol::devices;
use cotside_protocol::model::Mono;
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::Stages;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long the hub may take until it answers.
const START_PATIENCE: Duration = Duration::from_secs(20);
const ASK_EVERY: Duration = Duration::from_millis(50);
const DEVICE_STOP: Duration = Duration::from_secs(2);

/// One bed of the unit to be.
#[derive(Clone)]
pub struct BedPlan {
    pub bed: String,
    pub baby: Option<Baby>,
    pub seed: u64,
    pub script: Vec<Episode>,
    pub devices: Vec<DevicePlan>,
    /// TOML of `[[limit]]` tables and the like: in force until the hub sends a set.
    pub limits: String,
}

#[derive(Clone, Debug)]
pub struct Baby {
    pub name: &'static str,
    pub gestation: (u8, u8),
    pub day_of_life: u16,
    pub weight_g: u16,
    /// `room-air`, `supplemental` or `unknown`.
    pub oxygen: &'static str,
}

#[derive(Clone)]
pub struct DevicePlan {
    pub name: &'static str,
    pub driver: &'static str,
    pub on: On,
    pub faults: Faults,
    /// None: the driver's own simulated device.
    pub peer: Option<OpenPeer>,
}

/// Makes the device's half of the cable.
pub type OpenPeer = Arc<dyn Fn(&PeerOptions) -> Box<dyn Peer> + Send + Sync>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Serial,
    Udp,
    /// The device calls the agent.
    Tcp,
}

/// How the unit is built.
#[derive(Clone)]
pub struct Plan {
    /// Where `edge-agent` and `central-hub` lie.
    pub binaries: PathBuf,
    /// Everything the unit writes; must be empty or not exist.
    pub dir: PathBuf,
    pub beds: Vec<BedPlan>,
    /// None: any free port.
    pub http_port: Option<u16>,
    /// None: the hub's own listener.
    pub broker: Option<MakeBroker>,
    /// Where each agent finds the hub, bed by bed; those that are not named find it where it is.
    pub detours: Vec<SocketAddr>,
}

/// Makes the process of an external broker for a port, from what quickstart left in the hub's folder.
pub type MakeBroker = fn(&Path, u16) -> Result<Process>;

/// A running unit. Dropping it kills its processes.
pub struct Unit {
    pub dir: PathBuf,
    pub http: SocketAddr,
    pub mqtt: SocketAddr,
    pub username: String,
    pub password: String,
    pub hub: Process,
    pub broker: Option<Process>,
    pub agents: Vec<Process>,
    pub devices: Stages,
    pub clock: Clock,
    /// When the babies' time began.
    pub origin: Mono,
}

impl Unit {
    /// Builds everything and starts it: hub first, agents, devices last.
    pub async fn start(plan: &Plan, progress: impl Fn(&str)) -> Result<Self> {
        let clock = Clock::start();
        let dir = plan.dir.clone();
        std::fs::create_dir_all(dir.join("log"))?;
        let hub_binary = plan.binaries.join("central-hub");
        let agent_binary = plan.binaries.join("edge-agent");
        for binary in [&hub_binary, &agent_binary] {
            ensure!(binary.exists(), "{} is not there; build it first", binary.display());
        }

        progress("hub: authority, keys, configuration, administrator");
        let hub_dir = dir.join("hub");
        let said = output(&hub_binary, ["quickstart".as_ref(), hub_dir.as_os_str()]).await?;
        let password = word_after(&said, "password").context("quickstart printed no password")?;
        let username = word_after(&said, "username").context("quickstart printed no username")?;
        let (mqtt, enrolment) = (free_tcp()?, free_tcp()?);
        let http = match plan.http_port {
            Some(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            None => free_tcp()?,
        };
        let config = hub_dir.join("hub.toml");
        let mut broker = plan.broker.map(|make| make(&hub_dir, mqtt.port())).transpose()?;
        if let Some(broker) = &mut broker {
            broker.start()?;
        }
        std::fs::write(&config, hub_config(plan, mqtt, enrolment, http))?;
        let config_text = config.to_string_lossy().into_owned();
        let mut hub = Process::new(
            "central-hub",
            &hub_binary,
            &["serve", "--config", &config_text],
            &dir.join("log/hub.log"),
        );
        hub.start()?;
        let origin = clock.now().mono;
        let mut unit = Self {
            dir,
            http,
            mqtt,
            username,
            password,
            hub,
            broker,
            agents: Vec::new(),
            devices: Stages::new(),
            clock,
            origin,
        };
        let station = unit.station().await?;

        for (index, bed) in plan.beds.iter().enumerate() {
            progress(&format!("bed {}: certificate, agent, devices", bed.bed));
            if let Some(baby) = &bed.baby {
                station.put(&format!("/api/v1/beds/{}/patient", bed.bed), &admission(baby, &clock)).await?;
            }
            let way = plan.detours.get(index).copied().unwrap_or(mqtt);
            unit.add_bed(index, bed, way, [&hub_binary, &agent_binary], &config).await?;
        }
        Ok(unit)
    }

    /// Logs in, waiting until the hub answers.
    pub async fn station(&mut self) -> Result<Station> {
        let deadline = self.clock.now().mono + START_PATIENCE;
        loop {
            match Station::log_in(self.http, &self.username, &self.password).await {
                Ok(station) => return Ok(station),
                Err(error) if !self.hub.is_running() => {
                    bail!("the hub ended: {error}\n{}", self.hub.last_words())
                }
                Err(error) if self.clock.now().mono > deadline => {
                    return Err(error.context(self.hub.last_words()));
                }
                Err(_) => tokio::time::sleep(ASK_EVERY).await,
            }
        }
    }

    async fn add_bed(
        &mut self,
        index: usize,
        bed: &BedPlan,
        hub_at: SocketAddr,
        [hub, agent]: [&Path; 2],
        config: &Path,
    ) -> Result<()> {
        let id = format!("gw-{}", bed.bed);
        let place = self.dir.join(&id);
        std::fs::create_dir_all(&place)?;
        let token = {
            let bed = bed.bed.as_str();
            let arguments = ["enroll", "--config", &config.to_string_lossy(), "--bed", bed, "--agent", &id];
            let said = output(hub, arguments).await?;
            let token = said.split_whitespace().find(|word| word.starts_with("cs1."));
            token.with_context(|| format!("enroll printed no token: {said}"))?.to_owned()
        };
        let host = if hub_at.ip().is_loopback() { "localhost".to_owned() } else { hub_at.ip().to_string() };
        let mut text = format!(
            "id = \"{id}\"\nstate_dir = \"{}\"\nsocket = \"{}\"\nprovenance = \"simulated\"\n\n\
             [hub]\naddress = \"mqtts://{host}:{}\"\ncredentials = \"{}\"\n",
            place.join("state").display(),
            place.join("agent.sock").display(),
            hub_at.port(),
            place.display()
        );
        for (at, device) in bed.devices.iter().enumerate() {
            let stands = self.add_device(index * 8 + at, bed, device, &place, &mut text)?;
            let options = PeerOptions {
                seed: bed.seed ^ at as u64,
                serial: format!("SIM{:07}", bed.seed % 10_000 * 10 + at as u64),
                bed_label: bed.bed.clone(),
                datagram: device.on == On::Udp,
            };
            let peer = match (&device.peer, devices::peer(device.driver)) {
                (Some(open), _) => open(&options),
                (None, Some(kind)) => (kind.open)(&options),
                (None, None) => bail!("there is no simulated {}", device.driver),
            };
            let body = Newborn::new(bed.seed, self.origin, bed.script.clone());
            let cable = Cable::new(bed.seed.wrapping_mul(31).wrapping_add(at as u64), device.faults);
            let device = Device { peer, body, cable, clock: self.clock };
            self.devices.start("device", DEVICE_STOP, |stop| device.run(stands, stop));
        }
        text.push_str(&bed.limits);
        let agent_config = place.join("agent.toml");
        std::fs::write(&agent_config, text)?;
        let agent_config = agent_config.to_string_lossy().into_owned();
        output(agent, ["enroll", "--config", &agent_config, "--token", &token]).await?;
        let log = self.dir.join("log").join(format!("{id}.log"));
        let mut process = Process::new(&id, agent, &["run", "--config", &agent_config], &log);
        process.start()?;
        self.agents.push(process);
        Ok(())
    }

    /// Adds the link to the agent's configuration; where the device will stand.
    fn add_device(
        &self,
        at: usize,
        bed: &BedPlan,
        device: &DevicePlan,
        directory: &Path,
        config: &mut String,
    ) -> Result<Place> {
        let DevicePlan { name, driver, .. } = device;
        write!(config, "\n[[link]]\nname = \"{name}\"\ndriver = \"{driver}\"\n")?;
        let place = match device.on {
            On::Serial => {
                let path = directory.join(format!("tty-{name}"));
                writeln!(config, "port = \"{}\"", path.display())?;
                Place::Pty(path)
            }
            On::Udp => {
                let address = free_udp().with_context(|| format!("no free port for device {at}"))?;
                writeln!(config, "udp = \"{address}\"")?;
                Place::Udp(address)
            }
            On::Tcp => {
                let address = free_tcp()?;
                writeln!(config, "listen = \"{address}\"")?;
                Place::TcpTo(address)
            }
        };
        if *driver == "hl7" {
            write!(config, "[link.settings]\nlocation = \"^^{}\"\n", bed.bed)?;
        }
        Ok(place)
    }

    /// Stops agents, then the hub; true if every process ended cleanly.
    pub async fn stop(mut self) -> Result<bool> {
        let mut clean = self.devices.stop().await;
        for agent in &mut self.agents {
            clean &= agent.stop().await? == 0;
        }
        clean &= self.hub.stop().await? == 0;
        if let Some(mut broker) = self.broker {
            clean &= broker.stop().await? == 0;
        }
        Ok(clean)
    }
}

fn hub_config(plan: &Plan, mqtt: SocketAddr, enrolment: SocketAddr, http: SocketAddr) -> String {
    let broker = match plan.broker {
        Some(_) => format!("mqtts://localhost:{}", mqtt.port()),
        None => "own".to_owned(),
    };
    let beds: Vec<String> = plan.beds.iter().map(|bed| format!("\"{}\"", bed.bed)).collect();
    format!(
        "accepts = \"simulated\"\n\n[unit]\nid = \"nicu\"\nname = \"NICU (simulated)\"\nbeds = [{}]\n\n\
         [agents]\nname = \"localhost\"\nmqtt = \"{mqtt}\"\nenrolment = \"{enrolment}\"\nbroker = \"{broker}\"\n\n\
         [http]\nlisten = \"{http}\"\nsecurity = \"plain\"\n",
        beds.join(", ")
    )
}

fn admission(baby: &Baby, clock: &Clock) -> serde_json::Value {
    let born = clock.now().wall - Duration::from_secs(u64::from(baby.day_of_life) * 86_400);
    serde_json::json!({
        "name": baby.name,
        "identifier": format!("SIM-{:04}", baby.weight_g),
        "birth_date": &born.to_string()[..10],
        "gestational_age": { "weeks": baby.gestation.0, "days": baby.gestation.1 },
        "weight_g": baby.weight_g,
        "oxygen": baby.oxygen,
    })
}

/// The word that follows `label` in what a command printed (`username  admin`, `password: x`).
fn word_after(said: &str, label: &str) -> Option<String> {
    let line = said.lines().find(|line| line.trim_start().to_lowercase().starts_with(label))?;
    line.split_whitespace().last().map(ToOwned::to_owned)
}

fn free_tcp() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn free_udp() -> Result<SocketAddr> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
