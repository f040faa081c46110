//! The least that a gateway can be: TLS 1.3 with its certificate, MQTT v5, a hello, and announces at QoS 1. A peer to measure against.

use anyhow::{Context, Result, ensure};
use cotside_edge_agent::uplink::credentials::{Credentials, TrustedTime};
use cotside_protocol::model::{Mono, Wall};
use cotside_protocol::wire::convert::hex;
use cotside_protocol::wire::topic::{AgentId, Downstream, Topic, Upstream, down_filter};
use cotside_protocol::wire::upstream::{
    Alarm, AlarmKind, Announce, Condition, Hello, Inactivation, LaneSeqs, Priority, Provenance, WIRE_VERSION,
};
use cotside_systemd::clock::Clock;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use rumqttc::{NetworkOptions, TlsConfiguration, Transport};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

const QUEUE: usize = 8;
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const WELCOME_PATIENCE: Duration = Duration::from_secs(20);

/// The word by which the bench starts itself as the floor.
pub const FLOOR: &str = "floor";
/// About what the agent's log grows by in a second with waveforms.
const ROW_BYTES: usize = 2048;

/// The floor of an agent: tokio, rustls and SQLite in one thread, each second one announce and one row on disk. Runs until killed.
pub fn live(credentials: &Path, store: &Path) -> Result<()> {
    let connection = rusqlite::Connection::open(store)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE log(seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL);",
    )?;
    let clock = Clock::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut bare = Bare::connect(clock, credentials).await?;
        let row = vec![0x5a; ROW_BYTES];
        let write = |_| {
            connection.execute("INSERT INTO log(bytes) VALUES(?1)", [&row])?;
            Ok(true)
        };
        bare.announce(|now| now + Duration::from_secs(1), write).await
    })
}

/// A connection that was welcomed by the hub.
pub struct Bare {
    clock: Clock,
    agent: AgentId,
    epoch: u64,
    client: AsyncClient,
    events: EventLoop,
}

impl Bare {
    /// Connects with the credentials of an enrolled gateway whose agent does not run.
    pub async fn connect(clock: Clock, credentials: &Path) -> Result<Self> {
        let credentials = Credentials::load(credentials).map_err(anyhow::Error::msg)?;
        let time = Arc::new(TrustedTime::new(clock, Wall(0)));
        let tls = credentials.tls(time).map_err(anyhow::Error::msg)?;
        let agent = credentials.agent.clone();
        let mut options = MqttOptions::new(agent.as_str(), credentials.host.clone(), credentials.port);
        options
            .set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(tls))))
            .set_keep_alive(KEEP_ALIVE)
            .set_clean_start(true);
        let (client, mut events) = AsyncClient::new(options, QUEUE);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        events.options.set_network_options(network);
        let epoch = clock.now().wall.0.unsigned_abs();
        let mut bare = Self { clock, agent, epoch, client, events };
        tokio::time::timeout(WELCOME_PATIENCE, bare.be_welcomed())
            .await
            .context("the hub says no welcome")??;
        Ok(bare)
    }

    async fn be_welcomed(&mut self) -> Result<()> {
        loop {
            match self.events.poll().await? {
                Event::Incoming(Packet::ConnAck(_)) => {
                    self.client.try_subscribe(down_filter(&self.agent), QoS::AtLeastOnce)?;
                }
                Event::Incoming(Packet::SubAck(_)) => {
                    let hello = serde_json::to_vec(&self.hello())?;
                    self.client.try_publish(self.topic(Upstream::Hello), QoS::AtLeastOnce, false, hello)?;
                }
                Event::Incoming(Packet::Publish(publish)) => {
                    let topic = std::str::from_utf8(&publish.topic).ok().and_then(Topic::parse);
                    if matches!(topic, Some(Topic::Down(_, Downstream::Welcome))) {
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
    }

    /// Publishes an announce at every `next(now)`, and tells how long the PUBACK took, until `until`.
    pub async fn announce(
        &mut self,
        mut next: impl FnMut(Mono) -> Mono,
        mut trip: impl FnMut(Duration) -> Result<bool>,
    ) -> Result<()> {
        let topic = self.topic(Upstream::Announce);
        let payload = serde_json::to_vec(&self.state_of_alarms())?;
        let mut due = next(self.clock.now().mono);
        let mut sent_at = None;
        loop {
            let event = {
                let mut poll = pin!(self.events.poll());
                loop {
                    tokio::select! {
                        biased;
                        event = &mut poll => break event?,
                        () = tokio::time::sleep_until(self.clock.instant(due).into()), if sent_at.is_none() => {
                            sent_at = Some(self.clock.now().mono);
                            self.client.try_publish(&topic, QoS::AtLeastOnce, false, payload.clone())?;
                        }
                    }
                }
            };
            // The hello's PUBACK may come after its welcome: then nothing was sent yet.
            if let (Event::Incoming(Packet::PubAck(puback)), Some(sent)) = (&event, sent_at) {
                ensure!(puback.reason == PubAckReason::Success, "an announce was refused: {puback:?}");
                let now = self.clock.now().mono;
                (sent_at, due) = (None, next(now));
                if !trip(now.since(sent))? {
                    return Ok(());
                }
            }
        }
    }

    fn topic(&self, what: Upstream) -> String {
        Topic::Up(self.agent.clone(), what).to_string()
    }

    fn hello(&self) -> Hello {
        Hello {
            wire: WIRE_VERSION,
            agent: self.agent.as_str().to_owned(),
            software: "bare".to_owned(),
            epoch: hex(self.epoch),
            predecessor: None,
            in_memory: false,
            boot: hex(self.epoch),
            provenance: Provenance::Simulated,
            wall_us: self.clock.now().wall.0,
            first: LaneSeqs::default(),
            next: LaneSeqs::default(),
            confirmed: LaneSeqs::default(),
            confirmed_by: None,
        }
    }

    /// As long as the announce of one alarm at a bed.
    fn state_of_alarms(&self) -> Announce {
        let at = self.clock.now().wall.0;
        let alarm = Alarm {
            episode: hex(1),
            version: 1,
            attention: 1,
            rule: "limit-low".to_owned(),
            kind: AlarmKind::Physiological,
            priority: Priority::High,
            condition: Condition::Active,
            inactivation: Inactivation::Enabled,
            code: Some(150_456),
            site: None,
            value: Some("71".to_owned()),
            limit: Some("85".to_owned()),
            ucum: "%".to_owned(),
            text: "SpO2 71 < 85".to_owned(),
            parts: Vec::new(),
            link: None,
            delay_ms: 0,
            limits: 0,
            onset_us: at,
            active_us: Some(at),
            ended_us: None,
            ended: None,
        };
        Announce {
            epoch: hex(self.epoch),
            wall_us: at,
            beat: 1,
            alarms: vec![alarm],
            standby: None,
            pause: None,
            stay: None,
        }
    }
}
