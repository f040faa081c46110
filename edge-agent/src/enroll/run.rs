//! Carries one enrolment to the hub and its answer into files.

use super::{ANSWER_BYTES_MAX, Application, Token, is_whole};
use crate::uplink::credentials::{self, HubAddress, TrustedTime, provider};
use crate::uplink::words;
use cotside_protocol::model::Wall;
use cotside_systemd::clock::Clock;
use ring::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const ENROL_WITHIN: Duration = Duration::from_secs(15);

/// Enrols this gateway and leaves its credentials in `directory`. `at` is another way to the hub than the token's.
pub async fn run(
    token: &str,
    at: Option<(String, u16)>,
    directory: &Path,
    clock: Clock,
) -> Result<HubAddress, String> {
    let token = Token::read(token)?;
    let (host, port) = at.unwrap_or_else(|| (token.host.clone(), token.port));
    let address = format!("{host}:{port}");
    let application = Application::new(&token).map_err(|error| format!("no key could be made: {error}."))?;
    let asked = ask(&token, &application, (&host, port), clock);
    let answer = tokio::time::timeout(ENROL_WITHIN, asked)
        .await
        .map_err(|_| format!("the hub at {address} does not answer."))?
        .map_err(|error| words::of_error(&error, &address))?;
    let enrolled = application.conclude(&token, &answer)?;
    credentials::write(
        directory,
        &enrolled.key_pem,
        &enrolled.certificate_pem,
        &enrolled.ca_pem,
        &enrolled.hub,
    )
    .map_err(|error| {
        let directory = directory.display();
        format!(
            "the hub enrolled this gateway, but {directory} cannot be written: {error}. Ask for a new token."
        )
    })?;
    Ok(enrolled.hub)
}

async fn ask(
    token: &Token,
    application: &Application,
    at: (&str, u16),
    clock: Clock,
) -> std::io::Result<Vec<u8>> {
    let name = ServerName::try_from(token.host.clone()).map_err(std::io::Error::other)?;
    let time = Arc::new(TrustedTime::new(clock, Wall(0)));
    let config = ClientConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(std::io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(token.fingerprint)))
        .with_no_client_auth();
    let socket = TcpStream::connect(at).await?;
    let mut hub = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
    hub.write_all(&application.request).await?;
    hub.flush().await?;
    let mut answer = Vec::new();
    while !is_whole(&answer) && answer.len() < ANSWER_BYTES_MAX {
        if hub.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(answer)
}

/// Trusts the one authority whose certificate has this digest, if the hub presents it; nothing else, and no weaker.
#[derive(Debug)]
struct Pinned([u8; 32]);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let is_pinned = |certificate: &&CertificateDer<'_>| digest(&SHA256, certificate).as_ref() == self.0;
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let authority = intermediates.iter().find(is_pinned).ok_or(unknown)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not offered".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
