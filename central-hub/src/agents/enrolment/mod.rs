//! How a gateway gets its identity: a one-time token out of the operator's hand, a key that never leaves the gateway.
//!
//! The token reads `cs1.<base64url of host:port>.<hex SHA-256 of the authority's certificate>.<base64url secret>`: where to
//! go, whom to trust there, and what to say. The hub keeps only the secret's hash.

pub mod run;

use crate::authority::{self, Authority};
use anyhow::Result;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// A request as it comes; anything longer is not one.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024;

#[derive(Debug, Deserialize)]
pub struct Request {
    pub secret: String,
    pub csr_pem: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Identity {
    pub agent: String,
    pub bed: String,
    pub certificate_pem: String,
    /// Whom the agent trusts from now on.
    pub ca_pem: String,
    /// `host:port`.
    pub mqtt: String,
    /// The name to expect in the hub's certificate.
    pub server_name: String,
}

/// A fresh token, and the hash to keep of it.
#[derive(Debug)]
pub struct Token {
    pub text: String,
    pub hash: [u8; 32],
}

impl Token {
    /// `address` is where agents reach the enrolment listener, `host:port`.
    pub fn draw(address: &str, authority: &Authority) -> Result<Self> {
        let secret = base64url(&authority::random::<16>()?);
        let fingerprint = crate::store::agents::hex(&authority.fingerprint()?);
        let text = format!("cs1.{}.{fingerprint}.{secret}", base64url(address.as_bytes()));
        Ok(Self { text, hash: hash(&secret) })
    }
}

/// What is kept of a secret, as it is written in the token.
pub fn hash(secret: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    bytes
}

/// RFC 4648 section 5, without padding.
pub fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for letter in 0..=group.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * letter) & 63) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64url;

    #[test]
    fn the_test_vectors_of_rfc_4648_come_out() {
        let vectors =
            [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE")];
        for (plain, encoded) in vectors {
            assert_eq!(base64url(plain.as_bytes()), encoded);
        }
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
    }
}
