//! Opaque tokens of 256 bits: who holds one is let in. Only their SHA-256 is stored, so that a leaked table opens nothing.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// What a client holds to prove who it is. Never logged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl Token {
    /// A new one that nobody can guess.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// Reads one as a client sends it; what cannot be one opens nothing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // One byte more than a token has, as the decoder reckons.
        let mut bytes = [0; 33];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        Self::of_bytes(&bytes[..length])
    }

    /// As a client sends it.
    #[must_use]
    pub fn reveal(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Without the token.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_hides_itself() {
        let token = Token::random();
        assert_eq!(Token::parse(&token.reveal()).unwrap().0, token.0);
        assert_eq!(format!("{token:?}"), "Token(…)");
        for text in ["", "abc", &"A".repeat(44), &format!("{}\0", token.reveal())] {
            assert!(Token::parse(text).is_none(), "{text:?}");
        }
    }
}
