//! The hub's own certificate authorities, and who they vouch for.
//!
//! Two issuers that share nothing: what one signs is worthless to whoever asks the other.
//!
//! | file | signs or proves | trusted by |
//! |---|---|---|
//! | `authority.pem` | the hub's server certificate and its name towards a broker | agents (by the fingerprint in their token), browsers |
//! | `agents.pem` | agents, for client authentication only | the hub's MQTT listener |
//!
//! So no agent's certificate can name the hub, and the hub's cannot speak as an agent.

use anyhow::{Context, Result, bail, ensure};
use cotside_protocol::model::Wall;
use cotside_protocol::wire::topic::AgentId;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use ring::digest::{SHA256, digest};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The hub's name towards an external broker; no agent may be called so.
pub const HUB_NAME: &str = "hub";

const DAY: Duration = Duration::from_secs(86_400);
const AUTHORITY_VALID: Duration = Duration::from_secs(20 * 365 * 86_400);
const CERTIFICATE_VALID: Duration = Duration::from_secs(2 * 365 * 86_400);
/// A gateway without a battery-backed clock may be a little behind.
const BACKDATED: Duration = DAY;
/// A certificate request is one key and a signature.
const REQUEST_BYTES_MAX: usize = 8 * 1024;

/// The files of the authority in the hub's data directory.
#[derive(Clone, Debug)]
pub struct Authority {
    dir: PathBuf,
    /// By which certificates are checked.
    time: Arc<dyn TimeProvider>,
}

/// A certificate that was just given out.
#[derive(Debug)]
pub struct Certified {
    pub certificate_pem: String,
    pub fingerprint: [u8; 32],
}

impl Authority {
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), time: Arc::new(DefaultTimeProvider) }
    }

    /// Checks certificates at this time instead of the machine's.
    pub fn by(self, time: Arc<dyn TimeProvider>) -> Self {
        Self { time, ..self }
    }

    /// Makes both issuers and the hub's certificates for `names`. Never overwrites a file.
    pub fn found(&self, names: &[String], now: Wall) -> Result<()> {
        let authority = self.issuer("authority", "Cotside hub authority", now)?;
        self.issuer("agents", "Cotside agents authority", now)?;
        let mut server = leaf(names.to_vec(), &names[0], ExtendedKeyUsagePurpose::ServerAuth, now)
            .context("a name of the hub is not a host name or address")?;
        server.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        self.certify("server", &server, &authority)?;
        let hub = leaf(Vec::new(), HUB_NAME, ExtendedKeyUsagePurpose::ClientAuth, now)?;
        self.certify("hub", &hub, &authority)
    }

    /// Signs an agent's key under the name the hub gave it; whatever else the request asks for is ignored.
    pub fn sign_agent(&self, request_pem: &str, agent: &AgentId, now: Wall) -> Result<Certified> {
        ensure!(agent.as_str() != HUB_NAME, "the name {HUB_NAME} is the hub's own");
        ensure!(request_pem.len() <= REQUEST_BYTES_MAX, "the certificate request is too long");
        let request = CertificateSigningRequestDer::from_pem_slice(request_pem.as_bytes())
            .context("this is no certificate request in PEM")?;
        // Checks the request's own signature: the sender holds the key.
        let request = CertificateSigningRequestParams::from_der(&request)
            .context("the certificate request is not sound")?;
        let params = leaf(Vec::new(), agent.as_str(), ExtendedKeyUsagePurpose::ClientAuth, now)?;
        let issuer = self.load_issuer("agents")?;
        let certificate = params.signed_by(&request.public_key, &issuer)?;
        Ok(Certified { fingerprint: fingerprint(certificate.der()), certificate_pem: certificate.pem() })
    }

    /// What agents trust, and what the token names by its fingerprint.
    pub fn authority_pem(&self) -> Result<String> {
        read(&self.path("authority.pem"))
    }

    pub fn fingerprint(&self) -> Result<[u8; 32]> {
        Ok(fingerprint(&self.certificate("authority")?))
    }

    /// TLS 1.3 for agents: only a certificate of the agents' issuer, made for client authentication, gets in.
    pub fn tls_for_agents(&self) -> Result<Arc<ServerConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate("agents")?).context("agents.pem cannot be trusted")?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
        let config = self
            .server_config()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain("server")?, self.key("server")?)
            .context("server.pem and server.key do not belong together")?;
        Ok(Arc::new(config))
    }

    /// TLS 1.3 for who has no certificate: enrolling agents, and browsers (`alpn` then names HTTP).
    pub fn tls_for_anyone(&self, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>> {
        // An enrolling agent knows the authority by its fingerprint only: it must see the certificate.
        let mut chain = self.chain("server")?;
        chain.push(self.certificate("authority")?);
        let mut config = self
            .server_config()?
            .with_no_client_auth()
            .with_single_cert(chain, self.key("server")?)
            .context("server.pem and server.key do not belong together")?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }

    /// The hub as a client of an external broker, which carries a certificate of this authority.
    pub fn tls_towards_broker(&self) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate("authority")?).context("authority.pem cannot be trusted")?;
        let config = ClientConfig::builder_with_details(provider(), self.time.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(self.chain("hub")?, self.key("hub")?)
            .context("hub.pem and hub.key do not belong together")?;
        Ok(Arc::new(config))
    }

    /// Until when the hub's server certificate is valid.
    pub fn valid_until(&self) -> Result<Wall> {
        let certificate = self.certificate("server")?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate)?;
        Ok(Wall(parsed.validity().not_after.timestamp() * 1_000_000))
    }

    fn server_config(&self) -> Result<rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>> {
        let config = ServerConfig::builder_with_details(provider(), self.time.clone());
        Ok(config.with_protocol_versions(&[&rustls::version::TLS13])?)
    }

    fn issuer(&self, name: &str, title: &str, now: Wall) -> Result<Issuer<'static, KeyPair>> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = distinguished(title);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(serial()?);
        valid(&mut params, now, AUTHORITY_VALID);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        self.write_pair(name, &certificate.pem(), &key)?;
        Ok(Issuer::new(params, key))
    }

    fn certify(&self, name: &str, params: &CertificateParams, issuer: &Issuer<'_, KeyPair>) -> Result<()> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, issuer)?;
        self.write_pair(name, &certificate.pem(), &key)
    }

    fn load_issuer(&self, name: &str) -> Result<Issuer<'static, KeyPair>> {
        let key = KeyPair::from_pem(&read(&self.path(&format!("{name}.key")))?)?;
        Ok(Issuer::from_ca_cert_pem(&read(&self.path(&format!("{name}.pem")))?, key)?)
    }

    fn certificate(&self, name: &str) -> Result<CertificateDer<'static>> {
        match self.chain(name)?.into_iter().next() {
            Some(first) => Ok(first),
            None => bail!("{} holds no certificate", self.path(&format!("{name}.pem")).display()),
        }
    }

    fn chain(&self, name: &str) -> Result<Vec<CertificateDer<'static>>> {
        let path = self.path(&format!("{name}.pem"));
        CertificateDer::pem_file_iter(&path)
            .and_then(Iterator::collect)
            .with_context(|| format!("cannot read the certificate {}", path.display()))
    }

    fn key(&self, name: &str) -> Result<PrivateKeyDer<'static>> {
        let path = self.path(&format!("{name}.key"));
        PrivateKeyDer::from_pem_file(&path).with_context(|| format!("cannot read the key {}", path.display()))
    }

    fn write_pair(&self, name: &str, certificate_pem: &str, key: &KeyPair) -> Result<()> {
        write_new(&self.path(&format!("{name}.pem")), certificate_pem, 0o644)?;
        write_new(&self.path(&format!("{name}.key")), &key.serialize_pem(), 0o600)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// The name in a client certificate that TLS already accepted.
pub fn name_in(certificate: &CertificateDer<'_>) -> Option<AgentId> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let mut names = parsed.subject().iter_common_name();
    let name = names.next()?.as_str().ok()?;
    // Two names would leave open which one speaks.
    if names.next().is_some() {
        return None;
    }
    AgentId::new(name)
}

pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, certificate).as_ref());
    bytes
}

/// Creates a file that was not there, with the given permissions.
pub fn write_new(path: &Path, text: &str, mode: u32) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| format!("cannot create {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all().with_context(|| format!("cannot write {}", path.display()))
}

pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Bytes nobody can guess.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(bytes)
}

fn leaf(
    names: Vec<String>,
    common_name: &str,
    purpose: ExtendedKeyUsagePurpose,
    now: Wall,
) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = distinguished(common_name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial()?);
    valid(&mut params, now, CERTIFICATE_VALID);
    Ok(params)
}

fn distinguished(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn serial() -> Result<SerialNumber> {
    let mut bytes = random::<16>()?;
    // Positive, as RFC 5280 4.1.2.2 wants it.
    bytes[0] &= 0x7f;
    Ok(SerialNumber::from_slice(&bytes))
}

fn valid(params: &mut CertificateParams, now: Wall, span: Duration) {
    let since_1970 = Duration::from_secs(now.0.max(0).unsigned_abs() / 1_000_000);
    let now = rcgen::date_time_ymd(1970, 1, 1) + since_1970;
    params.not_before = now - BACKDATED;
    params.not_after = now + span;
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{Authority, name_in};
    use crate::passed_time::PassedTime;
    use cotside_protocol::model::Wall;
    use cotside_protocol::wire::topic::AgentId;
    use cotside_systemd::clock::{BUILT_AT, Clock};
    use rcgen::{CertificateParams, DnType, KeyPair};
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    const NOW: Wall = Wall(1_768_360_364_000_000);

    fn authority(name: &str) -> (Authority, std::path::PathBuf) {
        let dir = std::env::temp_dir().join(format!("cotside-authority-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        let authority = Authority::at(&dir);
        authority.found(&["hub.ward".into(), "127.0.0.1".into()], NOW).unwrap();
        (authority, dir)
    }

    fn request(common_name: &str) -> String {
        let mut params = CertificateParams::new(vec!["hub.ward".into()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap()
    }

    #[test]
    fn the_hub_names_the_agent_whatever_the_request_says() {
        let (authority, dir) = authority("names");
        let id = AgentId::new("gw-01").unwrap();
        let certified = authority.sign_agent(&request("hub"), &id, NOW).unwrap();
        let der = CertificateDer::from_pem_slice(certified.certificate_pem.as_bytes()).unwrap();
        assert_eq!(name_in(&der), Some(id));
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
        assert!(parsed.subject_alternative_name().unwrap().is_none());
        let usage = parsed.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.client_auth && !usage.server_auth && !parsed.is_ca());
        assert!(authority.sign_agent(&request("x"), &AgentId::new("hub").unwrap(), NOW).is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn keys_are_for_their_owner_only_and_are_never_overwritten() {
        let (authority, dir) = authority("keys");
        for name in ["authority", "agents", "server", "hub"] {
            let mode = dir.join(format!("{name}.key")).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert!(authority.found(&["hub.ward".into()], NOW).is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }

    /// A hub by one clock and an agent by another shake hands in memory.
    fn handshake(authority: &Authority, hub: Clock, agent: Clock) -> Result<(), rustls::Error> {
        let forever = Wall(i64::MAX);
        let key = KeyPair::generate().unwrap();
        let request = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        let certified = authority.sign_agent(&request, &AgentId::new("gw-01").unwrap(), NOW).unwrap();
        let certificate = CertificateDer::from_pem_slice(certified.certificate_pem.as_bytes()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.certificate("authority").unwrap()).unwrap();
        let time = Arc::new(PassedTime::new(agent, NOW, forever));
        let client = rustls::ClientConfig::builder_with_details(super::provider(), time)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(
                vec![certificate],
                PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
            )
            .unwrap();
        let by_hub = authority.clone().by(Arc::new(PassedTime::new(hub, NOW, forever)));
        let mut server = rustls::ServerConnection::new(by_hub.tls_for_agents().unwrap()).unwrap();
        let name = "hub.ward".try_into().unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets()?;
            wire.clear();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(())
    }

    #[test]
    fn s10_certificates_are_checked_by_a_time_that_has_passed_and_expiry_is_never_skipped() {
        let (authority, dir) = authority("clocks");
        let (unset, right) = (|| Clock::start_saying(Wall(9)), || Clock::start_saying(BUILT_AT));
        // Certificates of two years, five years later.
        let late = || Clock::start_saying(NOW + 5 * 365 * super::DAY);
        assert_eq!(handshake(&authority, right(), right()), Ok(()));
        assert_eq!(handshake(&authority, unset(), unset()), Ok(()));
        let expired =
            |error: Result<(), rustls::Error>| format!("{:?}", error.unwrap_err()).contains("Expired");
        assert!(expired(handshake(&authority, late(), right())), "the agent's certificate");
        assert!(expired(handshake(&authority, right(), late())), "the hub's certificate");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_broken_request_is_refused() {
        let (authority, dir) = authority("broken");
        let id = AgentId::new("gw-01").unwrap();
        for text in [
            "",
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
            &"x".repeat(10_000),
        ] {
            assert!(authority.sign_agent(text, &id, NOW).is_err());
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}
