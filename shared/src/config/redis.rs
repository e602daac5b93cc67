//! Redis: the queue instance and the cache instance.

use url::Url;

use super::variables::invalid;
use super::{ConfigError, Variables};

const PREFIX: &str = "bellwork";
const SCHEMES: &[&str] = &["redis", "rediss", "redis+unix", "unix"];

/// Where the queues live and where events pass.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// The queue instance: append-only file, `noeviction`.
    pub queue_url: Url,
    /// The cache instance, which also carries live events; may be the same server.
    pub cache_url: Url,
    /// Begins every key, so that installations can share a server.
    pub prefix: String,
}

impl RedisConfig {
    /// Reads `REDIS_URL`, `CACHE_REDIS_URL` and `REDIS_PREFIX`.
    ///
    /// # Errors
    /// If one is missing or wrong.
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let hint = "Write redis://host:6379, or use scripts/run, which brings its own.";
        let missing = || ConfigError::Missing { name: "REDIS_URL", hint };
        let queue_url = variables.address("REDIS_URL", SCHEMES)?.ok_or_else(missing)?;
        let cache_url = variables.address("CACHE_REDIS_URL", SCHEMES)?.unwrap_or_else(|| queue_url.clone());
        let prefix = variables.optional("REDIS_PREFIX").unwrap_or(PREFIX).to_owned();
        if !prefix.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c)) {
            let reason = "it may hold letters, digits and - _ . : only".to_owned();
            return Err(invalid("REDIS_PREFIX", &prefix, reason));
        }
        Ok(Self { queue_url, cache_url, prefix })
    }
}
