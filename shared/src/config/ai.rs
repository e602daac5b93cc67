//! The chat-completions server that grades free text, if one is configured.

use std::time::Duration;

use url::Url;

use super::{ConfigError, Variables};

const MODEL: &str = "gpt-4o-mini";
const TIMEOUT_SECONDS: u64 = 60;
/// The job that grades may take two minutes: one call must end before.
const LONGEST_TIMEOUT_SECONDS: u64 = 110;

/// Any server with OpenAI's chat-completions interface.
#[derive(Clone, Debug)]
pub struct AiConfig {
    /// The server; without it the built-in rubric marker grades free text.
    pub server: Option<AiServer>,
}

/// How to reach the server.
#[derive(Clone)]
pub struct AiServer {
    /// The base address, such as `https://api.openai.com/v1`.
    pub base_url: Url,
    /// Sent as a bearer token.
    pub api_key: Option<String>,
    /// The model to ask for.
    pub model: String,
    /// The longest wait for one answer.
    pub timeout: Duration,
    /// The most requests this process sends in a minute.
    pub requests_per_minute: Option<u32>,
}

/// Without the key.
impl std::fmt::Debug for AiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AiServer")
            .field("base_url", &self.base_url.as_str())
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

impl AiConfig {
    /// Reads `AI_BASE_URL`, `AI_API_KEY`, `AI_MODEL`, `AI_TIMEOUT_SECONDS` and `AI_REQUESTS_PER_MINUTE`.
    ///
    /// # Errors
    /// If one is wrong.
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let Some(base_url) = variables.address("AI_BASE_URL", &["http", "https"])? else {
            return Ok(Self { server: None });
        };
        let per_minute = variables.number("AI_REQUESTS_PER_MINUTE", 0, 0..=1_000_000)?;
        Ok(Self {
            server: Some(AiServer {
                base_url,
                api_key: variables.optional("AI_API_KEY").map(str::to_owned),
                model: variables.optional("AI_MODEL").unwrap_or(MODEL).to_owned(),
                timeout: variables.seconds("AI_TIMEOUT_SECONDS", TIMEOUT_SECONDS, 1..=LONGEST_TIMEOUT_SECONDS)?,
                requests_per_minute: (per_minute > 0).then_some(per_minute),
            }),
        })
    }
}
