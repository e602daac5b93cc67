//! What a call uses: as the server says, or by estimate if it broke off before it could.

use crate::marker::Usage;

/// A token is about this many bytes of text; fewer would underrate other scripts than Latin.
const BYTES_PER_TOKEN: u64 = 3;
/// A token is at least this many bytes of text: models that read bytes may take each for a token.
const FEWEST_BYTES_PER_TOKEN: u64 = 1;

/// The meter of one call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    stage: Stage,
    prompt_bytes: u64,
    written_bytes: u64,
}

#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    /// Nothing was sent, or nothing was done with it: such a call costs nothing.
    #[default]
    Unused,
    /// It was sent, and the server may be working.
    Sent,
    /// The server said what it used.
    Told { prompt_tokens: u64, completion_tokens: u64 },
}

impl Meter {
    /// A request of `bytes` is on its way.
    pub(super) fn sent(&mut self, bytes: usize) {
        *self = Self { stage: Stage::Sent, prompt_bytes: bytes as u64, written_bytes: 0 };
    }

    /// The server did nothing with it.
    pub(super) fn refused(&mut self) {
        self.stage = Stage::Unused;
    }

    /// `bytes` of an answer arrived.
    pub(super) fn heard(&mut self, bytes: usize) {
        self.written_bytes += bytes as u64;
    }

    /// What the server says it used.
    pub(super) fn told(&mut self, prompt_tokens: u64, completion_tokens: u64) {
        self.stage = Stage::Told { prompt_tokens, completion_tokens };
    }

    /// What was used.
    pub(crate) fn usage(&self) -> Usage {
        match self.stage {
            Stage::Unused => Usage::default(),
            Stage::Sent => {
                let (prompt_tokens, completion_tokens) = (tokens(self.prompt_bytes), tokens(self.written_bytes));
                Usage { prompt_tokens, completion_tokens, requests: 1 }
            }
            Stage::Told { prompt_tokens, completion_tokens } => Usage { prompt_tokens, completion_tokens, requests: 1 },
        }
    }
}

/// About how many tokens a text of this length is.
fn tokens(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// The most tokens that a text of this length can be: what a call is paid for in advance.
pub(crate) fn most_tokens(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(FEWEST_BYTES_PER_TOKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_has_more_tokens_than_are_reserved_for_it() {
        for text in ["", "a", "mill", "\u{1F9EE}\u{10FFFF}", "\0\u{1}"] {
            assert!(most_tokens(text.len()) >= text.len() as u64, "each byte may be a token: {text:?}");
        }
        assert!(tokens(3000) < most_tokens(3000), "what was not told is estimated, not taken at its worst");
    }
}
