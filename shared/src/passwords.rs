//! Passwords: argon2id at OWASP's settings (19 MiB, two passes, one lane), which are the crate's defaults.
//!
//! Each call takes about 20 ms of one core and 19 MiB: callers with a runtime use `spawn_blocking` under a semaphore.

use anyhow::anyhow;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params};

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

/// True if `stored` was made under other settings than [`hash`] uses now: then it is to be made again as soon as the
/// password is known.
#[must_use]
pub fn is_outdated(stored: &str) -> bool {
    let Ok(hash) = PasswordHash::new(stored) else { return true };
    let current = Params::default();
    let same = Params::try_from(&hash).is_ok_and(|params| {
        (params.m_cost(), params.t_cost(), params.p_cost()) == (current.m_cost(), current.t_cost(), current.p_cost())
    });
    !(same && hash.algorithm == Algorithm::default().ident())
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
    fn a_hash_under_other_settings_is_outdated_and_still_verifies() {
        let weaker = Argon2::new(Algorithm::Argon2id, argon2::Version::V0x13, Params::new(8192, 1, 1, None).unwrap());
        let stored = weaker.hash_password(b"correct horse").unwrap().to_string();
        assert!(is_outdated(&stored) && verify("correct horse", &stored));
        assert!(is_outdated(&stored.replace("argon2id", "argon2i")));
        assert!(!is_outdated(&hash("correct horse").unwrap()));
    }

    #[test]
    fn what_is_no_hash_matches_nothing() {
        assert!(!verify("", ""));
        assert!(!verify("plain", "plain"));
    }
}
