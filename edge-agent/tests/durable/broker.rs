//! Store and uplink as they run, over a real broker (mosquitto) and TLS, to a small hub that acknowledges what it has.

use super::authority::{Authority, Pair, enrolled};
use super::*;
use cotside_edge_agent::row::{BedNotice, StoreRequest, UplinkRequest};
use cotside_edge_agent::store;
use cotside_edge_agent::uplink;
use cotside_protocol::wire::block;
use cotside_protocol::wire::convert::hex;
use cotside_protocol::wire::downstream::{Ack, Alive, LaneAck, Welcome};
use cotside_protocol::wire::topic::{AgentId, Downstream, Topic, Upstream, up_filter};
use cotside_protocol::wire::upstream::{Announce, Hello, Provenance as WireProvenance, Recall};
use cotside_protocol::wire::watermark::Watermark;
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::Stages;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use rumqttc::{TlsConfiguration, Transport};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(60);

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

struct Broker {
    config: PathBuf,
    process: Child,
}

impl Broker {
    fn start(place: &Place, authority: &Authority, port: u16) -> Self {
        let directory = place.path().join("broker");
        std::fs::create_dir_all(&directory).unwrap();
        let Pair { certificate, key } = authority.certify("broker", &["hub.test"]);
        for (name, text) in [("ca.pem", &authority.pem), ("server.pem", &certificate), ("server.key", &key)] {
            std::fs::write(directory.join(name), text).unwrap();
        }
        let at = directory.display();
        let user = if std::env::var("USER").is_ok_and(|user| user != "root") { "" } else { "user root\n" };
        let text = format!(
            "{user}listener {port} 127.0.0.1\ncafile {at}/ca.pem\ncertfile {at}/server.pem\nkeyfile {at}/server.key\n\
             require_certificate true\nuse_identity_as_username true\nuse_username_as_clientid true\n\
             tls_version tlsv1.3\nallow_anonymous false\npersistence false\nset_tcp_nodelay true\n"
        );
        let config = directory.join("mosquitto.conf");
        std::fs::write(&config, text).unwrap();
        Self { process: Self::spawn(&config), config }
    }

    fn spawn(config: &Path) -> Child {
        let mut command = Command::new("mosquitto");
        command.arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("mosquitto is installed (Debian: mosquitto)")
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn restart(&mut self) {
        self.process = Self::spawn(&self.config);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Takes rows once, acknowledges, greets: what an agent needs of a hub.
#[derive(Default)]
struct Hub {
    rows: BTreeMap<(Lane, u64), Vec<u8>>,
    taken: [Watermark; 3],
    epoch: String,
    announces: u32,
    duplicates: u32,
    hellos: u32,
}

impl Hub {
    fn acks(&self) -> Vec<LaneAck> {
        let ack = |lane: Lane| LaneAck {
            lane: lane.name().into(),
            below: self.taken[lane as usize].below(),
            ranges: self.taken[lane as usize].ranges().iter().map(|&(first, end)| [first, end]).collect(),
        };
        Lane::ALL.into_iter().map(ack).collect()
    }

    fn hear(&mut self, kind: Upstream, payload: &[u8], wall_us: i64) -> Option<(Downstream, Vec<u8>)> {
        match kind {
            Upstream::Hello => {
                let hello: Hello = serde_json::from_slice(payload).unwrap();
                self.hellos += 1;
                self.epoch = hello.epoch;
                let welcome = Welcome {
                    wire: 1,
                    store: "a".into(),
                    hub_wall_us: wall_us,
                    bed: Some("01".into()),
                    acks: self.acks(),
                    limits: None,
                    refused: None,
                };
                Some((Downstream::Welcome, serde_json::to_vec(&welcome).unwrap()))
            }
            Upstream::Live(lane) | Upstream::Backlog(lane) => {
                let mut rest = payload;
                let mut epoch = self.epoch.clone();
                while !rest.is_empty() {
                    let (header, length) = block::peek(rest).unwrap();
                    assert_eq!(header.lane, lane);
                    epoch = hex(header.epoch.0);
                    let known = self.rows.insert((lane, header.seq), rest[..length].to_vec());
                    if let Some(known) = known {
                        assert_eq!(known, rest[..length], "one key, one content");
                        self.duplicates += 1;
                    }
                    self.taken[lane as usize].insert(header.seq, header.seq + 1);
                    rest = &rest[length..];
                }
                let ack = Ack { store: "a".into(), epoch, lanes: self.acks() };
                Some((Downstream::Ack, serde_json::to_vec(&ack).unwrap()))
            }
            Upstream::Announce => {
                self.announces += 1;
                None
            }
            Upstream::Recall => {
                let recall: Recall = serde_json::from_slice(payload).unwrap();
                let [past] = &recall.epochs[..] else { panic!("one earlier epoch") };
                let ack = Ack { store: "a".into(), epoch: past.epoch.clone(), lanes: self.acks() };
                Some((Downstream::Ack, serde_json::to_vec(&ack).unwrap()))
            }
            Upstream::Status | Upstream::Reply => None,
        }
    }
}

fn hub_client(authority: &Authority, port: u16) -> (AsyncClient, EventLoop) {
    let pair = authority.certify("hub", &[]);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyName(
            rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .unwrap(),
        )))
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap(),
        )
        .unwrap();
    let mut options = MqttOptions::new("hub", "127.0.0.1", port);
    options
        .set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(tls))))
        .set_max_packet_size(Some(4 << 20))
        .set_keep_alive(Duration::from_secs(10));
    AsyncClient::new(options, 1000)
}

/// The broker's certificate is for another name than 127.0.0.1.
#[derive(Debug)]
struct AnyName(Arc<rustls::client::WebPkiServerVerifier>);

impl rustls::client::danger::ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &rustls::pki_types::ServerName<'_>,
        ocsp: &[u8],
        now: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        let name = rustls::pki_types::ServerName::try_from("hub.test").unwrap();
        self.0.verify_server_cert(end_entity, intermediates, &name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Runs a hub behind the broker until `done` says so of it; reconnects as often as it must.
async fn serve(
    hub: &mut Hub,
    client: &AsyncClient,
    events: &mut EventLoop,
    clock: Clock,
    done: impl Fn(&Hub) -> bool,
) {
    let agent = AgentId::new("gw-01").unwrap();
    let mut alive = interval(Duration::from_secs(1));
    let until = Instant::now() + PATIENCE;
    while !done(hub) {
        assert!(
            Instant::now() < until,
            "the hub still waits: {} rows, acks {:?}",
            hub.rows.len(),
            hub.acks()
        );
        tokio::select! {
            _ = alive.tick() => {
                let alive = Alive { store: "a".into(), hub_wall_us: clock.now().wall.0, ..Alive::default() };
                let topic = Topic::Down(agent.clone(), Downstream::Alive).to_string();
                let _ = client.try_publish(topic, QoS::AtLeastOnce, false, serde_json::to_vec(&alive).unwrap());
            }
            event = events.poll() => match event {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    client.try_subscribe(up_filter(), QoS::AtLeastOnce).unwrap();
                }
                Ok(Event::Incoming(Packet::Publish(publish))) => {
                    let topic = std::str::from_utf8(&publish.topic).ok().and_then(Topic::parse);
                    let Some(Topic::Up(_, kind)) = topic else { panic!("a foreign topic") };
                    if let Some((kind, answer)) = hub.hear(kind, &publish.payload, clock.now().wall.0) {
                        let topic = Topic::Down(agent.clone(), kind).to_string();
                        let _ = client.try_publish(topic, QoS::AtLeastOnce, false, answer);
                    }
                }
                Ok(_) => {}
                Err(_) => sleep(Duration::from_millis(100)).await,
            },
        }
    }
}

pub(crate) struct Agent {
    pub(crate) stages: Stages,
    clock: Clock,
    requests: mpsc::Sender<StoreRequest>,
    uplink: mpsc::Sender<UplinkRequest>,
    pub(crate) notices: mpsc::Receiver<BedNotice>,
}

impl Agent {
    fn start(place: &Place, credentials: PathBuf) -> Self {
        Self::start_by(Clock::start(), place, credentials)
    }

    pub(crate) fn start_by(clock: Clock, place: &Place, credentials: PathBuf) -> Self {
        let store_settings = Settings { directory: place.path().join("log"), ..settings(place) };
        let store = Store::open(store_settings, clock.now());
        let log = store.log();
        let (requests, asked) = mpsc::channel(store::REQUESTS_MAX);
        let (ask, asks) = mpsc::channel(store::ASKS_MAX);
        let (tell, told) = mpsc::channel(store::FROM_STORE_MAX);
        let (notify, notices) = mpsc::channel(256);
        let (uplink, uplink_requests) = mpsc::channel(uplink::UPLINK_REQUESTS_MAX);
        let wires = store::Wires { requests: asked, asks, uplink: tell, bed: notify.clone() };
        let mut stages = Stages::new();
        stages.start("store", Duration::from_secs(5), |stop| store::run(store, clock, wires, stop));
        let uplink_settings = uplink::Settings {
            credentials,
            address: None,
            software: "test".into(),
            provenance: WireProvenance::Simulated,
        };
        let wires = uplink::Wires { requests: uplink_requests, store: told, asks: ask, bed: notify };
        stages.start("uplink", Duration::from_secs(5), |stop| {
            uplink::run(uplink_settings, log, clock, wires, stop)
        });
        Self { stages, clock, requests, uplink, notices }
    }

    async fn store(&self, drafts: Vec<Draft>) {
        self.requests.send(StoreRequest { drafts, checkpoints: Vec::new() }).await.unwrap();
    }

    /// The words about the hub once they hold what is looked for.
    pub(crate) async fn hub_words(&mut self, wanted: &str) -> String {
        let words = async {
            loop {
                match self.notices.recv().await {
                    Some(BedNotice::Hub { detail, .. }) if detail.contains(wanted) => return detail,
                    Some(_) => {}
                    None => panic!("the agent is gone"),
                }
            }
        };
        timeout(PATIENCE, words).await.unwrap_or_else(|_| panic!("nobody said {wanted}"))
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn every_row_reaches_the_hub_though_the_broker_is_killed_and_forgets() {
    let place = Place::new();
    let authority = Authority::new("ward");
    let port = free_port();
    let mut broker = Broker::start(&place, &authority, port);
    let credentials = enrolled(&place, &authority, &authority, port, "hub.test");
    block_on(async {
        let agent = Agent::start(&place, credentials.clone());
        let clock = agent.clock;
        let mut hub = Hub::default();
        let (client, mut events) = hub_client(&authority, port);
        for n in 0..100 {
            agent.store(second(clock.now(), n)).await;
        }
        // The start is in the alarm lane.
        serve(&mut hub, &client, &mut events, clock, |hub| hub.rows.len() >= 201).await;
        agent.uplink.send(UplinkRequest::Announce(Announce::default())).await.unwrap();
        serve(&mut hub, &client, &mut events, clock, |hub| hub.announces > 0).await;

        broker.kill();
        for n in 100..200 {
            agent.store(second(clock.now(), n)).await;
        }
        broker.restart();
        for n in 200..300 {
            agent.store(second(clock.now(), n)).await;
        }
        serve(&mut hub, &client, &mut events, clock, |hub| hub.rows.len() >= 601).await;
        assert!(hub.hellos >= 2);
        assert!(agent.stages.stop().await, "a clean stop");

        // Another start on the same log: the stop, the new start and the gaps between go out, and no hole is left.
        let again = Agent::start(&place, credentials);
        serve(&mut hub, &client, &mut events, again.clock, |hub| {
            hub.taken.iter().map(Watermark::below).sum::<u64>() >= 601 + 2
                && hub.taken.iter().all(|taken| taken.ranges().is_empty())
        })
        .await;
        assert_eq!(hub.rows.len() as u64, hub.taken.iter().map(Watermark::below).sum::<u64>());
        assert!(again.stages.stop().await);
    });
}

#[test]
fn why_there_is_no_connection_is_said_in_plain_words() {
    let place = Place::new();
    let (ward, other) = (Authority::new("ward"), Authority::new("other"));
    let port = free_port();
    let broker = Broker::start(&place, &ward, port);
    block_on(async {
        let stranger = Place::new();
        let mut agent = Agent::start(&stranger, stranger.path().join("nothing"));
        agent.hub_words("not enrolled").await;
        assert!(agent.stages.stop().await);

        let stranger = Place::new();
        let mut agent = Agent::start(&stranger, enrolled(&stranger, &other, &ward, port, "hub.test"));
        agent.hub_words("another authority").await;
        assert!(agent.stages.stop().await);

        let stranger = Place::new();
        let mut agent = Agent::start(&stranger, enrolled(&stranger, &ward, &ward, port, "hub.elsewhere"));
        agent.hub_words("its certificate is for another name").await;
        assert!(agent.stages.stop().await);

        let stranger = Place::new();
        let mut agent = Agent::start(&stranger, enrolled(&stranger, &ward, &other, port, "hub.test"));
        agent.hub_words("does not know the authority").await;
        assert!(agent.stages.stop().await);

        drop(broker);
        let stranger = Place::new();
        let mut agent = Agent::start(&stranger, enrolled(&stranger, &ward, &ward, port, "hub.test"));
        agent.hub_words("Nothing listens").await;
        assert!(agent.stages.stop().await);
    });
}

#[test]
fn a_broker_without_a_hub_behind_it_gets_no_rows() {
    let place = Place::new();
    let authority = Authority::new("ward");
    let port = free_port();
    let _broker = Broker::start(&place, &authority, port);
    let credentials = enrolled(&place, &authority, &authority, port, "hub.test");
    block_on(async {
        let mut agent = Agent::start(&place, credentials);
        for n in 0..20 {
            agent.store(second(agent.clock.now(), n)).await;
        }
        agent.hub_words("the hub does not answer hello").await;
        let status = async {
            loop {
                if let Some(BedNotice::Outbox(status)) = agent.notices.recv().await
                    && status.waiting_rows > 0
                {
                    return status;
                }
            }
        };
        assert_eq!(timeout(PATIENCE, status).await.unwrap().waiting_rows, 41);
        assert!(agent.stages.stop().await);
    });
}
