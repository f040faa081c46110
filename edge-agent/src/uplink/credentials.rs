//! Who this gateway is to the hub: files that enrolment wrote, and the TLS configuration made of them.
//!
//! ```text
//! agent.key   the gateway's private key, made here, readable by its owner only
//! agent.pem   its certificate, signed by the hub's authority
//! ca.pem      that authority
//! hub.json    where the hub listens and what its certificate is called
//! ```

use cotside_protocol::model::Wall;
use cotside_protocol::wire::topic::AgentId;
use cotside_systemd::clock::{BUILT_AT, Clock};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A clock this far before a time that is proved is not merely slow.
const ABSURD_US: i64 = 24 * 3600 * 1_000_000;

/// `hub.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubAddress {
    pub agent: String,
    #[serde(default)]
    pub bed: Option<String>,
    /// `host:port` of the MQTT listener.
    pub mqtt: String,
    /// The name in the hub's certificate.
    pub server_name: String,
}

/// What a gateway shows the hub, and what it expects of it.
pub struct Credentials {
    pub agent: AgentId,
    pub host: String,
    pub port: u16,
    server_name: ServerName<'static>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: RootCertStore,
}

impl Credentials {
    /// The hub's name in its certificate stays; only the way to it is another.
    pub fn reached_at(self, address: &Option<(String, u16)>) -> Self {
        match address.clone() {
            Some((host, port)) => Self { host, port, ..self },
            None => self,
        }
    }

    /// Reads the files of an enrolled gateway; the error is words for the biomedical engineer.
    pub fn load(directory: &Path) -> Result<Self, String> {
        let hub = directory.join("hub.json");
        if !hub.exists() {
            return Err("This gateway is not enrolled: run edge-agent enroll.".into());
        }
        let text = fs::read_to_string(&hub).map_err(|error| unreadable(&hub, &error))?;
        let hub: HubAddress = serde_json::from_str(&text).map_err(|error| unreadable(&hub, &error))?;
        let (host, port) =
            split_address(&hub.mqtt).ok_or(format!("hub.json: {} is no host:port.", hub.mqtt))?;
        let server_name = ServerName::try_from(hub.server_name.clone())
            .map_err(|_| format!("hub.json: {} is no server name.", hub.server_name))?;
        let certificate = directory.join("agent.pem");
        let chain: Vec<_> = CertificateDer::pem_file_iter(&certificate)
            .and_then(Iterator::collect)
            .map_err(|error| unreadable(&certificate, &error))?;
        let key = directory.join("agent.key");
        let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| unreadable(&key, &error))?;
        let agent = name_of(chain.first()).ok_or("agent.pem: its common name is no agent's name.")?;
        if agent.as_str() != hub.agent {
            return Err(format!("agent.pem names {agent}, hub.json {}: enrol again.", hub.agent));
        }
        let authority = directory.join("ca.pem");
        let mut roots = RootCertStore::empty();
        let certificates =
            CertificateDer::pem_file_iter(&authority).map_err(|error| unreadable(&authority, &error))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| unreadable(&authority, &error))?;
            roots.add(certificate).map_err(|error| unreadable(&authority, &error))?;
        }
        Ok(Self { agent, host, port, server_name, chain, key, roots })
    }

    /// TLS 1.3 with this gateway's certificate; the server must be the hub, by authority and name.
    pub fn tls(&self, time: Arc<TrustedTime>) -> Result<ClientConfig, String> {
        if let Some((issued, until)) = self.chain.first().and_then(validity) {
            time.until_us.store(until.0, Ordering::Relaxed);
            time.prove(issued);
        }
        let provider = provider();
        let inner =
            WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots.clone()), provider.clone())
                .build()
                .map_err(|error| format!("ca.pem: {error}."))?;
        let verifier = NamedHub { inner, name: self.server_name.clone() };
        ClientConfig::builder_with_details(provider, time)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| format!("agent.pem and agent.key do not belong together: {error}."))
    }
}

/// The time at which certificates are checked: the latest of the clock, every time that was proved, and the build date.
#[derive(Debug)]
pub struct TrustedTime {
    clock: Clock,
    proved_us: AtomicI64,
    /// This gateway's certificate ends then: a hub that claims a later time is wrong about it.
    until_us: AtomicI64,
}

impl TrustedTime {
    pub fn new(clock: Clock, proved: Wall) -> Self {
        Self { clock, proved_us: AtomicI64::new(proved.max(BUILT_AT).0), until_us: AtomicI64::new(i64::MAX) }
    }

    /// Takes a time for proved. False: it is not believed.
    pub fn prove(&self, wall: Wall) -> bool {
        let is_believed = wall.0 <= self.until_us.load(Ordering::Relaxed);
        if is_believed {
            self.proved_us.fetch_max(wall.0, Ordering::Relaxed);
        }
        is_believed
    }

    /// Words about a clock that cannot be right.
    pub fn absurdity(&self) -> Option<String> {
        if !self.clock.is_set() {
            return Some(
                "This gateway's clock is not set; certificates are checked at the last time that was proved."
                    .into(),
            );
        }
        let (clock, proved) = (self.clock.now().wall, self.proved_us.load(Ordering::Relaxed));
        (proved - clock.0 > ABSURD_US).then(|| {
            let days = (proved - clock.0) / ABSURD_US;
            format!("This gateway's clock is at least {days} days slow; certificates are checked at the last time that was proved.")
        })
    }
}

impl TimeProvider for TrustedTime {
    fn current_time(&self) -> Option<UnixTime> {
        let latest_us = self.clock.now().wall.0.max(self.proved_us.load(Ordering::Relaxed));
        let since_1970 = std::time::Duration::from_micros(u64::try_from(latest_us).unwrap_or(0));
        Some(UnixTime::since_unix_epoch(since_1970))
    }
}

/// Checks the hub's certificate for the hub's name, whatever address it is reached by.
#[derive(Debug)]
struct NamedHub {
    inner: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for NamedHub {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _address: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.inner.verify_server_cert(end_entity, intermediates, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Puts all of an enrolment's files in place, `hub.json` last: until it is there the gateway is not enrolled.
pub fn write(
    directory: &Path,
    key_pem: &str,
    certificate_pem: &str,
    ca_pem: &str,
    hub: &HubAddress,
) -> std::io::Result<()> {
    fs::create_dir_all(directory)?;
    let json = serde_json::to_string_pretty(hub).map_err(std::io::Error::other)?;
    for (name, text, mode) in [
        ("agent.key", key_pem, 0o600),
        ("agent.pem", certificate_pem, 0o644),
        ("ca.pem", ca_pem, 0o644),
        ("hub.json", &json, 0o644),
    ] {
        write_whole(directory, name, text, mode)?;
    }
    fs::File::open(directory)?.sync_all()
}

/// The old file or the new one, never a part.
fn write_whole(directory: &Path, name: &str, text: &str, mode: u32) -> std::io::Result<()> {
    let fresh = directory.join(format!("{name}.new"));
    // A leftover might have been made with another mode.
    let _ = fs::remove_file(&fresh);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, directory.join(name))
}

/// `host:port`, with brackets around an IPv6 address.
pub fn split_address(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty()).then_some((host.to_owned(), port.parse().ok()?))
}

/// The agent's name: the certificate's common name.
pub fn name_of(certificate: Option<&CertificateDer<'_>>) -> Option<AgentId> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate?).ok()?;
    let name = certificate.subject().iter_common_name().next()?.as_str().ok()?;
    AgentId::new(name)
}

fn validity(certificate: &CertificateDer<'_>) -> Option<(Wall, Wall)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let validity = certificate.validity();
    let wall = |seconds: i64| Wall(seconds.saturating_mul(1_000_000));
    Some((wall(validity.not_before.timestamp()), wall(validity.not_after.timestamp())))
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{} cannot be read: {error}.", path.display())
}

/// Named explicitly wherever TLS is configured; there is no process-wide default to depend on.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
