//! PostgreSQL.

use url::Url;

use super::{ConfigError, Variables};

const POOL_SIZE: u32 = 16;

/// Where the truth is kept.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// The primary.
    pub url: Url,
    /// Replicas that may be read.
    pub replica_urls: Vec<Url>,
    /// The most connections one process opens.
    pub pool_size: u32,
}

impl DatabaseConfig {
    /// Reads `DATABASE_URL`, `DATABASE_REPLICA_URLS` and `DATABASE_POOL_SIZE`.
    ///
    /// # Errors
    /// If one is missing or wrong.
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let hint = "Write postgres://user:password@host:5432/bellwork, or use scripts/run, which brings its own.";
        variables.required("DATABASE_URL", hint)?;
        let url = variables.address("DATABASE_URL", &["postgres", "postgresql"])?;
        let url = url.ok_or(ConfigError::Missing { name: "DATABASE_URL", hint })?;
        let replica_urls = variables.addresses("DATABASE_REPLICA_URLS", &["postgres", "postgresql"])?;
        Ok(Self { url, replica_urls, pool_size: variables.number("DATABASE_POOL_SIZE", POOL_SIZE, 2..=1000)? })
    }
}
