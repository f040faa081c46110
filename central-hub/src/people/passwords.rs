//! Argon2id. Every call costs 19 MiB and tens of milliseconds: callers bound how many run, and never on an async thread.

use anyhow::{Result, anyhow};
use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

/// Verified in place of an account that does not exist, so that its absence takes as long as a wrong password.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ib2R5$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

pub(super) fn hash(password: &str) -> Result<String> {
    let hash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| anyhow!("cannot hash a password: {error}"))?;
    Ok(hash.to_string())
}

/// None: there is no such account; it is refused after the same work.
pub(super) fn verify(password: &str, hash: Option<&str>) -> bool {
    let is_right = Argon2::default().verify_password(password.as_bytes(), hash.unwrap_or(NOBODY)).is_ok();
    is_right && hash.is_some()
}

#[cfg(test)]
mod tests {
    use super::{NOBODY, hash, verify};
    use argon2::password_hash::phc::PasswordHash;

    #[test]
    fn only_the_right_password_of_an_account_is_accepted() {
        let stored = hash("correct horse").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verify("correct horse", Some(&stored)));
        assert!(!verify("wrong horse", Some(&stored)));
        assert!(!verify("correct horse", None));
    }

    #[test]
    fn refusing_nobody_costs_a_real_verification() {
        assert!(PasswordHash::new(NOBODY).is_ok());
    }
}
