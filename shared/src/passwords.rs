//! Passwords: argon2id at OWASP's settings (19 MiB, two passes, one lane), which are the crate's defaults.
//!
//! Each call takes about 20 ms of one core and 19 MiB: callers with a runtime use `spawn_blocking` under a semaphore.

use anyhow::anyhow;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

/// The PHC string of `password` under a fresh salt, to be stored.
///
/// # Errors
/// If the system gives no randomness, or the password is longer than argon2 takes (4 GiB).
pub fn hash(password: &str) -> anyhow::Result<String> {
    let hashed = Argon2::default().hash_password(password.as_bytes());
    Ok(hashed.map_err(|error| anyhow!("the password could not be hashed: {error}"))?.to_string())
}

/// True if `password` is the one that `stored` was made of. Settings are read from `stored`, so that old hashes still
/// verify when the defaults rise. A string that is no hash matches nothing.
#[must_use]
pub fn verify(password: &str, stored: &str) -> bool {
    PasswordHash::new(stored).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Takes as long as [`verify`], so that the time of a login does not tell whether an address is registered.
pub fn verify_against_nobody(password: &str) {
    // Hashing and verifying are the same computation under the same settings.
    let _ = hash(password);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_opens_to_its_password_only_and_is_salted() {
        let stored = hash("correct horse").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(verify("correct horse", &stored));
        assert!(!verify("correct horse ", &stored));
        assert_ne!(stored, hash("correct horse").unwrap());
    }

    #[test]
    fn what_is_no_hash_matches_nothing() {
        assert!(!verify("", ""));
        assert!(!verify("plain", "plain"));
    }
}
