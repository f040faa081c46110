//! Pages that are stations: each has a key that cannot be copied, a name, and the beds that it covers. It looks without anybody signed in.

mod base64;
pub mod run;

pub use base64::{decode, encode};

use crate::alarms::Beds;
use cotside_protocol::model::Mono;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use std::collections::VecDeque;
use std::time::Duration;

/// A station that has proved its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    pub id: String,
    pub name: String,
    pub beds: Beds,
    pub(crate) key: Vec<u8>,
}

/// How long a challenge may be answered.
const CHALLENGE_FOR: Duration = Duration::from_secs(30);
/// Challenges of one station that wait: whoever asks more often than a page does loses the first.
const CHALLENGES_OF_ONE: usize = 4;
/// An uncompressed point of P-256.
const KEY_BYTES: usize = 65;
const UNCOMPRESSED: u8 = 4;

pub(crate) fn is_key(bytes: &[u8]) -> bool {
    bytes.len() == KEY_BYTES && bytes[0] == UNCOMPRESSED
}

/// Challenges that were given out; each is good once.
#[derive(Debug, Default)]
struct Challenges(VecDeque<(String, String, Mono)>);

impl Challenges {
    fn give(&mut self, now: Mono, station: &str, challenge: &str) {
        self.0.retain(|(_, _, at)| now.since(*at) < CHALLENGE_FOR);
        while self.0.iter().filter(|(of, ..)| of == station).count() >= CHALLENGES_OF_ONE {
            let oldest = self.0.iter().position(|(of, ..)| of == station);
            oldest.and_then(|at| self.0.remove(at));
        }
        self.0.push_back((station.to_owned(), challenge.to_owned(), now));
    }

    fn take(&mut self, now: Mono, station: &str, challenge: &str) -> bool {
        let is_it = |(of, words, at): &(String, String, Mono)| {
            of == station && words == challenge && now.since(*at) < CHALLENGE_FOR
        };
        let found = self.0.iter().position(is_it);
        found.and_then(|at| self.0.remove(at)).is_some()
    }
}

/// Whether the key of this station signed this challenge.
fn is_signed(key: &[u8], station: &str, challenge: &str, signature: &[u8]) -> bool {
    let words = format!("cotside station session\n{station}\n{challenge}");
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(words.as_bytes(), signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{CHALLENGE_FOR, Challenges, is_key, is_signed};
    use cotside_protocol::model::Mono;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

    #[test]
    fn s4_only_the_key_that_was_paired_opens_a_session() {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = || {
            let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random).unwrap()
        };
        let (own, other) = (pair(), pair());
        let key = own.public_key().as_ref();
        assert!(is_key(key) && !is_key(&key[1..]));
        let sign = |pair: &EcdsaKeyPair, words: &str| pair.sign(&random, words.as_bytes()).unwrap();
        let words = "cotside station session\nc1\nabc";
        assert!(is_signed(key, "c1", "abc", sign(&own, words).as_ref()));
        assert!(!is_signed(key, "c1", "abc", sign(&other, words).as_ref()));
        assert!(!is_signed(key, "c2", "abc", sign(&own, words).as_ref()));
        assert!(!is_signed(key, "c1", "xyz", sign(&own, words).as_ref()));
    }

    #[test]
    fn s4_a_challenge_is_good_once_and_for_half_a_minute() {
        let (mut challenges, now) = (Challenges::default(), Mono(1));
        challenges.give(now, "c1", "abc");
        assert!(!challenges.take(now, "c2", "abc"));
        assert!(challenges.take(now, "c1", "abc"));
        assert!(!challenges.take(now, "c1", "abc"));
        challenges.give(now, "c1", "abc");
        assert!(!challenges.take(now + CHALLENGE_FOR, "c1", "abc"));
        for number in 0..100 {
            challenges.give(now, "c1", &number.to_string());
        }
        assert_eq!(challenges.0.len(), 4);
    }
}
