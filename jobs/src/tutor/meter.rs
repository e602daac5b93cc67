//! What a call uses: as the server says, or by estimate if it broke off before it could.

use crate::marker::Usage;

/// Bytes of text in a token, roughly; more would underrate scripts other than Latin.
const BYTES_PER_TOKEN: u64 = 3;

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

/// The most tokens in `bytes` of text.
pub(crate) fn tokens(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}
