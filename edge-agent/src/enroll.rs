//! How a gateway gets its identity: the token says where the hub is, whom to trust there, and what to say; the key is made here.
//!
//! ```text
//! cs1.<base64url of host:port>.<SHA-256 of the authority's certificate, hex>.<secret>
//! ```
//! The gateway connects without a certificate of its own, takes only a hub whose chain leads to the authority with that
//! fingerprint, sends a certificate request with the secret, and keeps what comes back beside its key.

mod run;

pub use run::run;

use crate::uplink::credentials::{HubAddress, name_of, split_address};
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

/// The hub's answer is two certificates and a few names.
const ANSWER_BYTES_MAX: usize = 64 << 10;
const SECRET_MAX: usize = 64;

/// What the operator hands to whoever stands at the gateway.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub host: String,
    pub port: u16,
    pub fingerprint: [u8; 32],
    secret: String,
}

impl Token {
    /// Reads a token; the error is words for the person who typed it.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let mut parts = text.trim().split('.');
        let (version, address, fingerprint, secret) =
            (parts.next(), parts.next(), parts.next(), parts.next());
        if version != Some("cs1") {
            return Err("this is no token of this software: it begins with cs1.");
        }
        let (Some(address), Some(fingerprint), Some(secret), None) =
            (address, fingerprint, secret, parts.next())
        else {
            return Err("the token is not whole: it has four parts with dots between them");
        };
        let address = base64url(address).and_then(|bytes| String::from_utf8(bytes).ok());
        let (host, port) = address
            .and_then(|address| split_address(&address))
            .ok_or("the token is damaged: it names no address")?;
        let fingerprint =
            hex(fingerprint).ok_or("the token is damaged: its fingerprint is not 64 hex digits")?;
        if secret.is_empty() || secret.len() > SECRET_MAX || base64url(secret).is_none() {
            return Err("the token is damaged: its secret is not whole");
        }
        Ok(Self { host, port, fingerprint, secret: secret.to_owned() })
    }
}

#[derive(Serialize)]
struct Request<'a> {
    secret: &'a str,
    csr_pem: &'a str,
}

#[derive(Deserialize)]
struct Envelope {
    data: Option<Identity>,
    error: Option<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    message: String,
}

#[derive(Deserialize)]
struct Identity {
    agent: String,
    bed: Option<String>,
    certificate_pem: String,
    ca_pem: String,
    mqtt: String,
    server_name: String,
}

/// A key of this gateway's own, and what is sent about it.
pub struct Application {
    key: KeyPair,
    pub request: Vec<u8>,
}

/// What goes into the credentials directory.
pub struct Enrolled {
    pub key_pem: String,
    pub certificate_pem: String,
    pub ca_pem: String,
    pub hub: HubAddress,
}

impl Application {
    /// Makes the key (ECDSA on P-256) and the HTTP request that carries its certificate request.
    pub fn new(token: &Token) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        // The hub gives the name: what the request would say is ignored there.
        let csr_pem = CertificateParams::default().serialize_request(&key)?.pem()?;
        let body = serde_json::to_string(&Request { secret: &token.secret, csr_pem: &csr_pem })
            .expect("two strings are always JSON");
        let request = format!(
            "POST /api/v1/enroll HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: application/json\r\nAccept: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            token.host,
            token.port,
            body.len()
        );
        Ok(Self { key, request: request.into_bytes() })
    }

    /// Checks the hub's answer; the error is words for the biomedical engineer.
    pub fn conclude(self, token: &Token, answer: &[u8]) -> Result<Enrolled, String> {
        let (status, body) = read_answer(answer).ok_or("what answers there is not the hub's enrolment.")?;
        let envelope: Envelope = serde_json::from_slice(body)
            .map_err(|_| format!("what answers there is not the hub's enrolment (HTTP {status})."))?;
        if let Some(problem) = envelope.error {
            return Err(in_words(&problem));
        }
        let identity = envelope.data.ok_or("the hub's answer holds nothing.")?;
        let authority = CertificateDer::from_pem_slice(identity.ca_pem.as_bytes())
            .map_err(|_| "the hub's answer holds no authority.")?;
        if digest(&SHA256, &authority).as_ref() != token.fingerprint {
            return Err("the hub's answer names another authority than the token.".into());
        }
        let certificate = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes())
            .map_err(|_| "the hub's answer holds no certificate.")?;
        if name_of(Some(&certificate)).is_none_or(|name| name.as_str() != identity.agent) {
            return Err("the certificate in the hub's answer has another name than the answer.".into());
        }
        if !self.is_for_this_key(&certificate) {
            return Err("the certificate in the hub's answer is for another key.".into());
        }
        if split_address(&identity.mqtt).is_none() {
            return Err("the hub's answer names no address for MQTT.".into());
        }
        let Identity { agent, bed, certificate_pem, ca_pem, mqtt, server_name } = identity;
        let hub = HubAddress { agent, bed, mqtt, server_name };
        Ok(Enrolled { key_pem: self.key.serialize_pem(), certificate_pem, ca_pem, hub })
    }

    fn is_for_this_key(&self, certificate: &CertificateDer<'_>) -> bool {
        x509_parser::parse_x509_certificate(certificate).is_ok_and(|(_, certificate)| {
            certificate.public_key().subject_public_key.data == self.key.der_bytes()
        })
    }
}

fn in_words(problem: &Problem) -> String {
    match problem.code.as_str() {
        "token-used" => "the token was used already: ask the operator for a new one.".into(),
        "token-expired" => "the token has expired: ask the operator for a new one.".into(),
        "token-unknown" => "the hub does not know this token; a newer one may have replaced it.".into(),
        _ => format!("the hub refused: {}.", problem.message.trim_end_matches('.')),
    }
}

/// The status and body of an HTTP/1.1 answer that came whole.
fn read_answer(answer: &[u8]) -> Option<(u16, &[u8])> {
    let head_end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..head_end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let body = &answer[head_end + 4..];
    let stated = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    })?;
    Some((status, body.get(..stated.ok()?)?))
}

/// True once the answer has come whole.
fn is_whole(answer: &[u8]) -> bool {
    read_answer(answer).is_some()
}

/// RFC 4648 section 5, without padding.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    // One letter alone is no byte, and what is left over must be zero.
    (count < 6 && bits == 0).then_some(bytes)
}

fn hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Token, base64url, read_answer};

    #[test]
    fn a_token_says_where_whom_and_what() {
        let fingerprint = "ab".repeat(32);
        let text = format!("cs1.aHViOjg4ODQ.{fingerprint}.AAECAwQFBgcICQoLDA0ODw");
        let token = Token::read(&format!(" {text}\n")).ok().unwrap();
        assert_eq!((token.host.as_str(), token.port, token.fingerprint), ("hub", 8884, [0xab; 32]));
        for cut in 0..text.len() {
            // A shorter secret cannot be told from a whole one; everything before it can.
            if cut <= text.rfind('.').unwrap() + 1 {
                assert!(Token::read(&text[..cut]).is_err(), "{}", &text[..cut]);
            }
        }
        assert!(Token::read(&text.replace("cs1", "cs2")).is_err());
        assert!(Token::read(&text.replace('a', "\u{e4}")).is_err());
    }

    #[test]
    fn base64url_reads_the_vectors_of_rfc_4648_and_nothing_else() {
        for (text, plain) in [("", ""), ("Zg", "f"), ("Zm8", "fo"), ("Zm9v", "foo"), ("Zm9vYg", "foob")] {
            assert_eq!(base64url(text).unwrap(), plain.as_bytes());
        }
        assert_eq!(base64url("-_8").unwrap(), [0xfb, 0xff]);
        for bad in ["Z", "Zh", "Zm9v=", "Zm 9", "+/8"] {
            assert_eq!(base64url(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_answer_counts_once_it_is_whole() {
        let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\n{\"a\"";
        assert_eq!(read_answer(answer), Some((403, b"{\"a\"".as_slice())));
        assert!((0..answer.len()).all(|cut| read_answer(&answer[..cut]).is_none()));
        assert_eq!(read_answer(b"SSH-2.0-OpenSSH\r\n\r\n"), None);
    }
}
