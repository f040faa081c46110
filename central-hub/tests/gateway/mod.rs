//! A hub as a process, a broker if wanted, and a gateway that does what a test tells it.

mod hub;

pub(crate) use hub::{Hub, Via, says_only, silent_socket};

use cotside_central_hub::agents::enrolment::base64url;
use cotside_protocol::model::{Code, Decimal, Mono, Now, Pace, Quality, Site};
use cotside_protocol::wire::block::{Body, Channel, Encoder, Epoch, Gap, GapCause, Header, Sample};
use cotside_protocol::wire::convert::hex;
use cotside_protocol::wire::downstream::LaneAck;
use cotside_protocol::wire::topic::{AgentId, Downstream, Lane, Topic, Upstream, down_filter};
use cotside_protocol::wire::upstream::{
    Alarm, AlarmKind, Condition, Hello, Inactivation, LaneSeqs, OutboxStatus, Priority, Provenance, Record,
    Status, WIRE_VERSION,
};
use cotside_systemd::clock::Clock;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, LastWill, Packet, PubAckReason};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use rumqttc::{Outgoing, TlsConfiguration, Transport};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Generous: a loaded machine is slow, not wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// What a gateway holds after its enrolment.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) agent: String,
    pub(crate) bed: String,
    pub(crate) certificate_pem: String,
    pub(crate) key_pem: String,
    pub(crate) ca_pem: String,
}

/// A token, taken apart as a gateway does.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) fingerprint: String,
    pub(crate) secret: String,
}

impl Token {
    pub(crate) fn parse(text: &str, address: &str) -> Self {
        let parts: Vec<&str> = text.split('.').collect();
        assert_eq!((parts.len(), parts[0], parts[1]), (4, "cs1", base64url(address.as_bytes()).as_str()));
        Self { fingerprint: parts[2].to_owned(), secret: parts[3].to_owned() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Tls,
    NotAuthorized,
    Other,
}

impl Identity {
    pub(crate) fn trust(&mut self, hub: &Hub) {
        self.ca_pem = hub.authority_pem();
    }

    pub(crate) fn tls(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca_pem.as_bytes()).unwrap()).unwrap();
        let certificate = CertificateDer::from_pem_slice(self.certificate_pem.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).unwrap();
        let config = ClientConfig::builder_with_provider(cotside_central_hub::authority::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate], key)
            .unwrap();
        Arc::new(config)
    }
}

/// One life of a gateway's log.
pub(crate) struct Log {
    epoch: u64,
    pub(crate) provenance: Provenance,
    encoder: Encoder,
    begin: Now,
    next: BTreeMap<Lane, u64>,
}

impl Log {
    pub(crate) fn new(epoch: u64) -> Self {
        let begin = Clock::start().now();
        Self { epoch, provenance: Provenance::Live, encoder: Encoder::new(), begin, next: BTreeMap::new() }
    }

    /// What the agent believes of itself, by a clock that is so far ahead.
    pub(crate) fn status(&self, ahead: Duration) -> Vec<u8> {
        let wall = Clock::start().now().wall + ahead;
        let (epoch, outbox) = (hex(self.epoch), OutboxStatus::default());
        let status =
            Status { epoch, wall_us: wall.0, links: Vec::new(), outbox, limits: None, limits_refused: None };
        serde_json::to_vec(&status).unwrap()
    }

    /// One heart rate.
    pub(crate) fn numerics(&mut self, value: i64) -> Vec<u8> {
        let channel = Channel { link: 0, code: Code(147_842), site: Site::Unspecified, setting: false };
        let sample = Sample {
            channel,
            ucum: "{beats}/min".to_owned(),
            pace: Pace::Continuous,
            value: Some(Decimal::new(value, 0)),
            quality: Quality::GOOD,
            at_us: 0,
            lag_ms: 0,
        };
        self.encode(Lane::Numeric, 1, Body::Numerics(vec![sample]))
    }

    pub(crate) fn gap(&mut self, lane: Lane, count: u64) -> Vec<u8> {
        let first = self.next(lane);
        let gap = Gap {
            cause: GapCause::DroppedByPolicy,
            link: None,
            from: self.begin.wall,
            to: self.begin.wall,
            seqs: Some((first, first + count)),
            count: Some(count),
        };
        self.encode(lane, count, Body::Gap(gap))
    }

    pub(crate) fn alarm(&mut self, episode: &str) -> Vec<u8> {
        let alarm = Alarm {
            episode: episode.to_owned(),
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
            onset_us: self.begin.wall.0,
            active_us: Some(self.begin.wall.0),
            ended_us: None,

            ended: None,
        };
        let json = serde_json::to_string(&Record::Alarm(alarm)).unwrap();
        self.encode(Lane::Alarm, 1, Body::Record(json))
    }

    fn next(&self, lane: Lane) -> u64 {
        self.next.get(&lane).copied().unwrap_or(0)
    }

    fn encode(&mut self, lane: Lane, seqs: u64, body: Body) -> Vec<u8> {
        let seq = self.next(lane);
        self.next.insert(lane, seq + seqs);
        let header = Header {
            lane,
            epoch: Epoch(self.epoch),
            seq,
            provenance: match self.provenance {
                Provenance::Simulated => cotside_protocol::model::Provenance::Simulated,
                _ => cotside_protocol::model::Provenance::Live,
            },
            boot: 1,
            mono: Mono(self.begin.mono.0 + seq),
            wall: self.begin.wall,
            span_us: 1_000_000,
        };
        let mut bytes = Vec::new();
        self.encoder.encode(&header, &body, &mut bytes);
        bytes
    }

    fn hello(&self, agent: &str) -> Vec<u8> {
        let hello = Hello {
            wire: WIRE_VERSION,
            agent: agent.to_owned(),
            software: "test".to_owned(),
            epoch: hex(self.epoch),
            predecessor: None,
            in_memory: false,
            boot: hex(1),
            provenance: self.provenance,
            wall_us: self.begin.wall.0,
            first: LaneSeqs::default(),
            confirmed: LaneSeqs::default(),
            confirmed_by: None,
            next: LaneSeqs {
                alarm: self.next(Lane::Alarm),
                numeric: self.next(Lane::Numeric),
                waveform: self.next(Lane::Waveform),
            },
        };
        serde_json::to_vec(&hello).unwrap()
    }
}

#[derive(Debug)]
enum Heard {
    Down(String, Vec<u8>),
    Answered(u16, PubAckReason),
    Subscribed,
    Sent(u16),
    Ended,
}

pub(crate) struct Gateway {
    id: AgentId,
    pub(crate) log: Log,
    pub(crate) welcome: Value,
    /// Topics that are not this gateway's, and came all the same.
    pub(crate) foreign: Vec<String>,
    client: AsyncClient,
    heard: mpsc::UnboundedReceiver<Heard>,
    poller: Poller,
    published: usize,
    sent: Vec<u16>,
    answered: BTreeMap<u16, Vec<PubAckReason>>,
    subscribed: bool,
    acks: BTreeMap<String, LaneAck>,
    alive: usize,
    ended: bool,
}

/// The client's own loop; ends with this.
pub(crate) struct Poller {
    task: JoinHandle<()>,
    freeze: Option<oneshot::Sender<()>>,
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Gateway {
    /// Connects under a client id; nothing more.
    pub(crate) async fn connect(hub: &Hub, identity: &Identity, client_id: &str) -> Result<Self, Refused> {
        Self::open(options(hub, identity, client_id), identity, Log::new(0)).await
    }

    pub(crate) async fn connect_with_will(hub: &Hub, identity: &Identity) -> Result<Self, Refused> {
        let mut options = options(hub, identity, &identity.agent);
        let topic = format!("cotside/v1/agent/{}/up/status", identity.agent);
        options.set_last_will(LastWill::new(topic, "gone", QoS::AtLeastOnce, false, None));
        Self::open(options, identity, Log::new(0)).await
    }

    /// Connects, says hello and has its welcome. Tries again as an agent does, while hub or broker are starting.
    pub(crate) async fn welcomed(hub: &Hub, identity: &Identity, log: Log) -> Self {
        let mut log = Some(log);
        let connect = async {
            loop {
                let options = options(hub, identity, &identity.agent);
                if let Ok(gateway) = Self::open(options, identity, Log::new(0)).await {
                    return gateway;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let mut gateway = timeout(PATIENCE, connect).await.expect("the hub does not accept the gateway");
        gateway.log = log.take().unwrap();
        let down = down_filter(&gateway.id);
        gateway.subscribe(&down).await;
        let hello = async {
            loop {
                let hello = gateway.log.hello(gateway.id.as_str());
                gateway.publish_unanswered(Upstream::Hello, hello).await;
                let welcome = async {
                    while gateway.welcome.is_null() {
                        gateway.hear().await;
                    }
                };
                // The hub may not have subscribed at the broker yet, or not read its register again.
                if timeout(Duration::from_millis(1500), welcome).await.is_ok() {
                    return;
                }
            }
        };
        timeout(PATIENCE, hello).await.expect("no welcome");
        gateway
    }

    async fn open(options: MqttOptions, identity: &Identity, log: Log) -> Result<Self, Refused> {
        let (client, mut events) = AsyncClient::new(options, 500);
        match timeout(PATIENCE, events.poll()).await.expect("no answer to CONNECT") {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {}
            Ok(other) => panic!("not a CONNACK: {other:?}"),
            Err(ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized)) => {
                return Err(Refused::NotAuthorized);
            }
            Err(ConnectionError::ConnectionRefused(_)) => return Err(Refused::Other),
            Err(_) => return Err(Refused::Tls),
        }
        let (report, heard) = mpsc::unbounded_channel();
        let (freeze, frozen) = oneshot::channel();
        let task = tokio::spawn(poll(events, report, frozen));
        Ok(Self {
            id: AgentId::new(&identity.agent).unwrap(),
            log,
            welcome: Value::Null,
            foreign: Vec::new(),
            client,
            heard,
            poller: Poller { task, freeze: Some(freeze) },
            published: 0,
            sent: Vec::new(),
            answered: BTreeMap::new(),
            subscribed: false,
            acks: BTreeMap::new(),
            alive: 0,
            ended: false,
        })
    }

    pub(crate) async fn subscribe(&mut self, filter: &str) {
        self.subscribed = false;
        self.client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        self.until("no SUBACK", |gateway| gateway.subscribed).await;
    }

    pub(crate) async fn publish_unanswered(&mut self, what: Upstream, payload: Vec<u8>) {
        let topic = Topic::Up(self.id.clone(), what).to_string();
        self.published += 1;
        self.client.publish(topic, QoS::AtLeastOnce, false, payload).await.unwrap();
    }

    /// Publishes and waits for the transport's answer.
    pub(crate) async fn publish(&mut self, what: Upstream, payload: Vec<u8>) {
        let id = self.id.clone();
        self.publish_as(&id, what, payload).await;
    }

    pub(crate) async fn publish_as(
        &mut self,
        id: &AgentId,
        what: Upstream,
        payload: Vec<u8>,
    ) -> PubAckReason {
        let topic = Topic::Up(id.clone(), what).to_string();
        let number = self.published;
        self.published += 1;
        self.client.publish(topic, QoS::AtLeastOnce, false, payload).await.unwrap();
        self.until("not sent", |gateway| gateway.sent.len() > number).await;
        let packet_id = self.sent[number];
        let earlier = self.sent[..number].iter().filter(|id| **id == packet_id).count();
        self.until("no PUBACK", |gateway| {
            gateway.answered.get(&packet_id).is_some_and(|answers| answers.len() > earlier)
        })
        .await;
        self.answered[&packet_id][earlier]
    }

    pub(crate) async fn publish_numerics(&mut self, count: i64) {
        for value in 0..count {
            let block = self.log.numerics(100 + value);
            self.publish(Upstream::Live(Lane::Numeric), block).await;
        }
    }

    /// Waits until everything below is committed.
    pub(crate) async fn acknowledged(&mut self, lane: Lane, below: u64) {
        self.until("not acknowledged", |gateway| {
            gateway.acks.get(lane.name()).is_some_and(|ack| ack.below >= below)
        })
        .await;
    }

    pub(crate) async fn acknowledged_ranges(&mut self, lane: Lane, below: u64, ranges: &[[u64; 2]]) {
        self.until("not acknowledged so", |gateway| {
            gateway.acks.get(lane.name()).is_some_and(|ack| ack.below == below && ack.ranges == ranges)
        })
        .await;
    }

    /// What the welcome said is committed.
    pub(crate) fn held(&self, lane: Lane) -> u64 {
        let acks = self.welcome["acks"].as_array().unwrap();
        let ack = acks.iter().find(|ack| ack["lane"] == lane.name()).unwrap();
        ack["below"].as_u64().unwrap()
    }

    pub(crate) async fn welcomed_to(&mut self, bed: &str) {
        self.until("no new welcome", |gateway| gateway.welcome["bed"] == bed).await;
    }

    pub(crate) async fn heartbeat_stops(&mut self) {
        let stops = async {
            loop {
                let before = self.alive;
                let beats = async {
                    while self.alive == before && !self.ended {
                        self.hear().await;
                    }
                };
                if timeout(Duration::from_secs(3), beats).await.is_err() || self.ended {
                    return;
                }
            }
        };
        timeout(PATIENCE, stops).await.expect("the heartbeat goes on");
    }

    pub(crate) async fn ended(&mut self) {
        self.until("the connection goes on", |gateway| gateway.ended).await;
    }

    /// Drops the connection and keeps the log.
    pub(crate) async fn leave(self) -> Log {
        let _ = self.client.try_disconnect();
        // Goodbye is said before the loop is cut off; a broken connection has none to say.
        let mut this = self;
        let _ = timeout(Duration::from_secs(2), async {
            while !this.ended {
                this.hear().await;
            }
        })
        .await;
        this.log
    }

    /// Stops reading and writing without closing the socket, as a gateway without power does.
    pub(crate) fn freeze(mut self) -> (Log, Poller) {
        let _ = self.poller.freeze.take().unwrap().send(());
        (self.log, self.poller)
    }

    async fn until(&mut self, otherwise: &str, is_so: impl Fn(&Self) -> bool) {
        let wait = async {
            while !is_so(self) {
                assert!(!self.ended, "{otherwise}: the connection ended");
                self.hear().await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!("{otherwise}; heard {} heartbeats, acks {:?}", self.alive, self.acks);
        }
    }

    async fn hear(&mut self) {
        match self.heard.recv().await {
            Some(Heard::Sent(packet_id)) => self.sent.push(packet_id),
            Some(Heard::Answered(packet_id, reason)) => {
                self.answered.entry(packet_id).or_default().push(reason);
            }
            Some(Heard::Subscribed) => self.subscribed = true,
            Some(Heard::Ended) | None => self.ended = true,
            Some(Heard::Down(topic, payload)) => self.down(topic, &payload),
        }
    }

    fn down(&mut self, topic: String, payload: &[u8]) {
        let Some(Topic::Down(id, what)) = Topic::parse(&topic) else { panic!("{topic}") };
        if id != self.id {
            self.foreign.push(topic);
            return;
        }
        let message: Value = serde_json::from_slice(payload).unwrap();
        match what {
            Downstream::Welcome => {
                self.welcome = message;
                self.take_acks(&self.welcome["acks"].clone());
            }
            Downstream::Ack => self.take_acks(&message["lanes"].clone()),
            Downstream::Alive => self.alive += 1,
            Downstream::Limits | Downstream::Command => {}
        }
    }

    fn take_acks(&mut self, acks: &Value) {
        for ack in serde_json::from_value::<Vec<LaneAck>>(acks.clone()).unwrap() {
            self.acks.insert(ack.lane.clone(), ack);
        }
    }
}

fn options(hub: &Hub, identity: &Identity, client_id: &str) -> MqttOptions {
    let mut options = MqttOptions::new(client_id, "localhost", hub.mqtt);
    options
        .set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(identity.tls())))
        .set_keep_alive(Duration::from_secs(5))
        .set_clean_start(true)
        .set_max_packet_size(Some(1 << 20))
        .set_outgoing_inflight_upper_limit(16);
    options
}

async fn poll(
    mut events: EventLoop,
    report: mpsc::UnboundedSender<Heard>,
    mut frozen: oneshot::Receiver<()>,
) {
    loop {
        let event = tokio::select! {
            event = events.poll() => event,
            _ = &mut frozen => return std::future::pending().await,
        };
        let heard = match event {
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                Heard::Down(String::from_utf8(publish.topic.to_vec()).unwrap(), publish.payload.to_vec())
            }
            Ok(Event::Incoming(Packet::PubAck(puback))) => Heard::Answered(puback.pkid, puback.reason),
            Ok(Event::Incoming(Packet::SubAck(_))) => Heard::Subscribed,
            Ok(Event::Outgoing(Outgoing::Publish(packet_id))) => Heard::Sent(packet_id),
            Ok(_) => continue,
            Err(_) => Heard::Ended,
        };
        let is_over = matches!(heard, Heard::Ended);
        if report.send(heard).is_err() || is_over {
            return;
        }
    }
}
