//! A gateway gets its identity: over real TLS, from a hub that answers as the real one does.

use super::Place;
use super::authority::Authority;
use cotside_edge_agent::enroll;
use cotside_edge_agent::uplink::credentials::Credentials;
use cotside_systemd::clock::Clock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const SECRET: &str = "AAECAwQFBgcICQoLDA0ODw";

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        (0..=group.len()).for_each(|n| text.push(LETTERS[(bits >> (18 - 6 * n) & 63) as usize] as char));
    }
    text
}

fn token(address: &str, authority: &Authority) -> String {
    let fingerprint: String = authority.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("cs1.{}.{fingerprint}.{SECRET}", base64url(address.as_bytes()))
}

/// Answers one enrolment; `answer` makes the HTTP status line and body of the request's.
async fn serve(
    listener: TcpListener,
    presents: &Authority,
    answer: impl FnOnce(&str, &str) -> (String, String),
) {
    let pair = presents.certify("hub", &["localhost"]);
    let chain = [&pair.certificate, &presents.pem]
        .map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
        .to_vec();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap())
            .unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(socket).await else { return };
    let mut request = Vec::new();
    let body = loop {
        if stream.read_buf(&mut request).await.unwrap() == 0 {
            return;
        }
        let text = std::str::from_utf8(&request).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.ends_with('}')
        {
            assert!(head.starts_with("POST /api/v1/enroll HTTP/1.1\r\n"));
            break serde_json::from_str::<serde_json::Value>(body).unwrap();
        }
    };
    let (status, json) = answer(body["secret"].as_str().unwrap(), body["csr_pem"].as_str().unwrap());
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{json}",
        json.len()
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let _ = stream.shutdown().await;
}

fn identity(authority: &Authority, agent: &str, csr: &str) -> (String, String) {
    let data = serde_json::json!({ "data": {
        "agent": agent,
        "bed": "07",
        "certificate_pem": authority.sign_request(agent, csr),
        "ca_pem": authority.pem,
        "mqtt": "localhost:8883",
        "server_name": "localhost",
    }});
    ("200 OK".into(), data.to_string())
}

fn refusal(code: &str) -> (String, String) {
    let error = serde_json::json!({ "error": { "code": code, "message": "words", "statusCode": 403 } });
    ("403 Forbidden".into(), error.to_string())
}

/// Enrols against a hub that presents `presents` and answers with `answer`, by a token of `trusts`.
fn enrol(
    place: &Place,
    trusts: &Authority,
    presents: &Authority,
    answer: impl FnOnce(&str, &str) -> (String, String),
) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let token = token(&format!("localhost:{port}"), trusts);
        let at = Some(("127.0.0.1".to_owned(), port));
        let directory = place.path().join("credentials");
        let enrolling = enroll::run(&token, at, &directory, Clock::start());
        let (enrolled, ()) = tokio::join!(enrolling, serve(listener, presents, answer));
        enrolled.map(|hub| hub.agent)
    })
}

#[test]
fn a_gateway_enrols_and_its_key_never_leaves_it() {
    let place = Place::new();
    let ward = Authority::new("ward");
    let agent = enrol(&place, &ward, &ward, |secret, csr| {
        assert_eq!(secret, SECRET);
        assert!(!csr.contains("PRIVATE"));
        identity(&ward, "gw-07", csr)
    });
    assert_eq!(agent.as_deref(), Ok("gw-07"));
    let directory = place.path().join("credentials");
    let mode = directory.join("agent.key").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let credentials = Credentials::load(&directory).ok().unwrap();
    assert_eq!(
        (credentials.agent.as_str(), credentials.host.as_str(), credentials.port),
        ("gw-07", "localhost", 8883)
    );
    // Again, over the first: a gateway that moves to another bed.
    let agent = enrol(&place, &ward, &ward, |_, csr| identity(&ward, "gw-08", csr));
    assert_eq!(agent.as_deref(), Ok("gw-08"));
    assert_eq!(Credentials::load(&directory).ok().unwrap().agent.as_str(), "gw-08");
}

#[test]
fn a_refused_enrolment_leaves_nothing_and_says_why() {
    let (ward, other) = (Authority::new("ward"), Authority::new("other"));
    let place = Place::new();
    let why = |answer: Result<String, String>| answer.unwrap_err();
    assert!(why(enrol(&place, &ward, &ward, |_, _| refusal("token-used"))).contains("used already"));
    assert!(why(enrol(&place, &ward, &ward, |_, _| refusal("token-expired"))).contains("expired"));
    assert!(why(enrol(&place, &ward, &ward, |_, _| refusal("token-unknown"))).contains("does not know"));
    assert!(
        why(enrol(&place, &ward, &other, |_, csr| identity(&other, "gw-07", csr)))
            .contains("another authority")
    );
    assert!(
        why(enrol(&place, &ward, &ward, |_, csr| identity(&other, "gw-07", csr)))
            .contains("another authority")
    );
    let swapped = enrol(&place, &ward, &ward, |_, csr| {
        let (status, json) = identity(&ward, "gw-07", csr);
        let foreign = ward.certify("gw-07", &[]).certificate;
        let mut json: serde_json::Value = serde_json::from_str(&json).unwrap();
        json["data"]["certificate_pem"] = foreign.into();
        (status, json.to_string())
    });
    assert!(why(swapped).contains("another key"));
    assert!(
        why(enrol(&place, &ward, &ward, |_, _| ("200 OK".into(), "<html>}".into())))
            .contains("not the hub's enrolment")
    );
    assert!(!place.path().join("credentials").exists());
}
