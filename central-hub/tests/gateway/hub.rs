//! The hub under test: the program itself in a folder of its own, with mosquitto before it if wanted.

use super::{Identity, PATIENCE, Token};
use cotside_central_hub::agents::enrolment::{Identity as Given, hash};
use cotside_central_hub::authority::{Authority, fingerprint, provider};
use cotside_central_hub::store::agents::{self, Invitation, hex};
use cotside_protocol::wire::topic::AgentId;
use cotside_systemd::clock::Clock;
use rcgen::{CertificateParams, KeyPair};
use rusqlite::{Connection, OpenFlags};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Own,
    Mosquitto,
}

pub(crate) struct Hub {
    /// Where gateways connect.
    pub(crate) mqtt: u16,
    enrolment: u16,
    place: Arc<Place>,
    process: Killed,
}

/// Outlives a hub that is killed and started again.
struct Place {
    dir: PathBuf,
    _broker: Option<Killed>,
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Hub {
    pub(crate) async fn start(via: Via) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("cotside-agents-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        run(&dir, &["quickstart", dir.to_str().unwrap()]);
        let (mqtt, enrolment) = (free_port(), free_port());
        let broker =
            if via == Via::Mosquitto { format!("mqtts://localhost:{mqtt}") } else { "own".to_owned() };
        let config = format!(
            "[unit]\nbeds = [\"01\", \"02\"]\n[agents]\nmqtt = \"127.0.0.1:{mqtt}\"\n\
             enrolment = \"127.0.0.1:{enrolment}\"\nbroker = \"{broker}\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\nsecurity = \"plain\"\n"
        );
        std::fs::write(dir.join("hub.toml"), config).unwrap();
        let broker = (via == Via::Mosquitto).then(|| mosquitto(&dir, mqtt));
        let place = Arc::new(Place { dir, _broker: broker });
        Self::spawn(place, mqtt, enrolment).await
    }

    /// As the kernel kills when memory runs out.
    pub(crate) fn kill(&mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
    }

    pub(crate) async fn start_again(self) -> Self {
        let (place, mqtt, enrolment) = (self.place.clone(), self.mqtt, self.enrolment);
        drop(self);
        Self::spawn(place, mqtt, enrolment).await
    }

    pub(crate) async fn restart(mut self) -> Self {
        self.kill();
        self.start_again().await
    }

    async fn spawn(place: Arc<Place>, mqtt: u16, enrolment: u16) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(place.dir.join("log")).unwrap();
        let process = Command::new(program())
            .args(["serve", "--config"])
            .arg(place.dir.join("hub.toml"))
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let hub = Self { mqtt, enrolment, place, process: Killed(process) };
        for port in [enrolment, mqtt] {
            let up = async {
                while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            };
            if tokio::time::timeout(PATIENCE, up).await.is_err() {
                panic!("nobody listens on {port}:\n{}", hub.log());
            }
        }
        hub
    }

    /// Starts a second hub on the same configuration with a line before it: its exit code and what it said.
    pub(crate) async fn starts_with(&self, line: &str) -> (i32, String) {
        let config = std::fs::read_to_string(self.place.dir.join("hub.toml")).unwrap();
        let path = self.place.dir.join("hub-2.toml");
        std::fs::write(&path, format!("{line}{config}")).unwrap();
        let start = move || Command::new(program()).args(["serve", "--config"]).arg(path).output().unwrap();
        let output = tokio::task::spawn_blocking(start).await.unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.place.dir.join("log")).unwrap_or_default()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> String {
        let config = self.place.dir.join("hub.toml");
        run(&self.place.dir, &[arguments, &["--config", config.to_str().unwrap()]].concat())
    }

    /// An identity without the detour over a token.
    pub(crate) fn register(&self, agent: &str, bed: &str) -> Identity {
        let store = Connection::open(self.place.dir.join("hub.db")).unwrap();
        store.busy_timeout(PATIENCE).unwrap();
        let now = Clock::start().now().wall;
        let id = AgentId::new(agent).unwrap();
        let invitation = Invitation { agent: id.clone(), bed: bed.to_owned() };
        let secret = hash(agent);
        agents::invite(&store, &secret, &invitation, now, Duration::from_secs(60)).unwrap();
        agents::redeem(&store, &secret, now).unwrap().unwrap();
        let (request, key_pem) = request();
        let certified = Authority::at(&self.place.dir).sign_agent(&request, &id, now).unwrap();
        Identity {
            agent: agent.to_owned(),
            bed: bed.to_owned(),
            certificate_pem: certified.certificate_pem,
            key_pem,
            ca_pem: self.authority_pem(),
        }
    }

    /// One of the hub's own certificates, misused.
    pub(crate) fn own_identity(&self, name: &str) -> Identity {
        let read = |file: String| std::fs::read_to_string(self.place.dir.join(file)).unwrap();
        Identity {
            agent: name.to_owned(),
            bed: String::new(),
            certificate_pem: read(format!("{name}.pem")),
            key_pem: read(format!("{name}.key")),
            ca_pem: self.authority_pem(),
        }
    }

    pub(crate) fn authority_pem(&self) -> String {
        std::fs::read_to_string(self.place.dir.join("authority.pem")).unwrap()
    }

    pub(crate) fn token(&self, bed: &str, agent: &str) -> Token {
        let said = self.command(&["enroll", "--bed", bed, "--agent", agent]);
        let text = said.split_whitespace().find(|word| word.starts_with("cs1.")).unwrap();
        Token::parse(text, &format!("localhost:{}", self.enrolment))
    }

    pub(crate) async fn enrol(&self, token: &Token) -> Result<Identity, (u16, String)> {
        let (request, key_pem) = request();
        let given = self.enrol_with(token, &request).await?;
        let given: Given = serde_json::from_value(given).unwrap();
        assert_eq!(
            (given.mqtt, given.server_name),
            (format!("localhost:{}", self.mqtt), "localhost".to_owned())
        );
        Ok(Identity {
            agent: given.agent,
            bed: given.bed,
            certificate_pem: given.certificate_pem,
            key_pem,
            ca_pem: given.ca_pem,
        })
    }

    pub(crate) async fn enrol_with(&self, token: &Token, request: &str) -> Result<Value, (u16, String)> {
        // The token says whom to trust before anything is sent.
        let authority = CertificateDer::from_pem_slice(self.authority_pem().as_bytes()).unwrap();
        assert_eq!(hex(&fingerprint(&authority)), token.fingerprint);
        let mut roots = RootCertStore::empty();
        roots.add(authority).unwrap();
        let tls = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut stream = tls_connect(self.enrolment, Arc::new(tls)).await.unwrap();
        let body = json!({ "secret": token.secret, "csr_pem": request }).to_string();
        let head = format!(
            "POST /api/v1/enroll HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A peer that closes without a TLS goodbye has said everything all the same.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let status: u16 = answer.split_whitespace().nth(1).unwrap().parse().unwrap();
        let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        if status == 200 {
            return Ok(body["data"].clone());
        }
        Err((status, body["error"]["code"].as_str().unwrap().to_owned()))
    }

    /// Lane (0 alarm, 1 numeric, 2 waveform) and seq of every stored block, sorted; more than one of a key stands there as often.
    pub(crate) fn blocks(&self, agent: &str) -> Vec<(u8, u64)> {
        let store = self.store();
        let mut question = store
            .prepare("SELECT lane, seq FROM blocks JOIN sources ON sources.id = source WHERE agent = ?1 ORDER BY 1, 2")
            .unwrap();
        let rows =
            question.query_map([agent], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())));
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    pub(crate) fn count(&self, question: &str) -> i64 {
        self.store().query_row(question, [], |row| row.get(0)).unwrap()
    }

    /// Changes the store behind the hub's back.
    pub(crate) fn change(&self, sql: &str) {
        let store = Connection::open(self.place.dir.join("hub.db")).unwrap();
        store.busy_timeout(PATIENCE).unwrap();
        store.execute_batch(sql).unwrap();
    }

    /// Waits until the hub noted an event.
    pub(crate) async fn event(&self, what: &str) {
        let noted = async {
            while self.count(&format!("SELECT count(*) FROM events WHERE what = '{what}'")) == 0 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        if tokio::time::timeout(PATIENCE, noted).await.is_err() {
            panic!("no event {what}:\n{}", self.log());
        }
    }

    fn store(&self) -> Connection {
        let path = self.place.dir.join("hub.db");
        let store = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        store.busy_timeout(PATIENCE).unwrap();
        store
    }
}

/// Connects and says nothing; returns when the hub hangs up.
pub(crate) async fn silent_socket(hub: &Hub) {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, hub.mqtt)).await.unwrap();
    let _ = socket.read_to_end(&mut Vec::new()).await;
}

/// Gets through TLS, says these bytes, and returns when the hub hangs up.
pub(crate) async fn says_only(hub: &Hub, identity: &Identity, bytes: &[u8]) {
    let mut stream = tls_connect(hub.mqtt, identity.tls()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

async fn tls_connect(port: u16, tls: Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    TlsConnector::from(tls).connect(ServerName::try_from("localhost").unwrap(), socket).await
}

fn request() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::new(Vec::new()).unwrap().serialize_request(&key).unwrap();
    (request.pem().unwrap(), key.serialize_pem())
}

/// The shipped example, on a free port of this machine.
fn mosquitto(dir: &Path, port: u16) -> Killed {
    let example = std::fs::read_to_string(dir.join("mosquitto.conf.example")).unwrap();
    // Started as root it would change to a user that may not read the key.
    let config = example.replace("listener 8883", &format!("user root\nlistener {port} 127.0.0.1"));
    let path = dir.join("mosquitto.conf");
    std::fs::write(&path, config).unwrap();
    let log = std::fs::File::create(dir.join("mosquitto.log")).unwrap();
    let process =
        Command::new("/usr/sbin/mosquitto").arg("-c").arg(path).stdout(Stdio::null()).stderr(log).spawn();
    Killed(process.expect("mosquitto is needed for these tests (Debian: apt install mosquitto)"))
}

fn run(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program()).args(arguments).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?} in {}: {wrong}", dir.display());
    said
}

fn program() -> &'static str {
    env!("CARGO_BIN_EXE_central-hub")
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
