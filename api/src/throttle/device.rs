//! A device that has signed in to an account before, by the cookie it got then. It proves nothing but that: who has it
//! still needs the password.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Random bytes that tell devices apart.
const NONCE: usize = 16;
/// Bytes kept of the signature: 128 bits, more than anybody can guess.
const SIGNATURE: usize = 16;

/// A device of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Device([u8; NONCE]);

impl Device {
    /// A new one.
    #[must_use]
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    /// The cookie that says it is a device of `account`.
    #[must_use]
    pub(crate) fn seal(self, key: &str, account: &str) -> String {
        let signature = signer(key, account, &self.0).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([&self.0[..], &signature[..SIGNATURE]].concat())
    }

    /// Reads a cookie; nothing if it is none of ours, or another account's.
    #[must_use]
    pub(crate) fn open(cookie: &str, key: &str, account: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let (nonce, signature) = bytes.split_at_checked(NONCE)?;
        signer(key, account, nonce).verify_truncated_left(signature).ok().filter(|()| signature.len() == SIGNATURE)?;
        nonce.try_into().ok().map(Self)
    }

    /// As text.
    #[must_use]
    pub(super) fn name(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

fn signer(key: &str, account: &str, nonce: &[u8]) -> Hmac<Sha256> {
    let signer = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    let account = account.to_ascii_lowercase();
    signer.chain_update("device\0").chain_update(account).chain_update([0]).chain_update(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_one_of_its_account_only() {
        let device = Device::random();
        let cookie = device.seal("key", "ada@example.com");
        assert_eq!(Device::open(&cookie, "key", "Ada@example.com"), Some(device));
        assert_eq!(Device::open(&cookie, "key", "bob@example.com"), None);
        assert_eq!(Device::open(&cookie, "other", "ada@example.com"), None);
        for cookie in ["", "AAAA", &cookie[..22], "not base64!"] {
            assert_eq!(Device::open(cookie, "key", "ada@example.com"), None);
        }
    }
}
