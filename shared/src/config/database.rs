//! PostgreSQL.

use url::Url;

use super::variables::invalid;
use super::{ConfigError, Variables};

const POOL_SIZE: u32 = 16;

/// What stands between this process and PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Nothing: each session asks for its time-outs itself.
    Direct,
    /// A pooler that shares sessions, such as PgBouncer: it refuses or drops what a session asks for, so that the role has the
    /// time-outs.
    Pooler,
}

/// Where the truth is kept.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// The primary.
    pub url: Url,
    /// Replicas that may be read.
    pub replica_urls: Vec<Url>,
    /// What stands between.
    pub via: Via,
    /// The most connections one process opens.
    pub pool_size: u32,
}

impl DatabaseConfig {
    /// Reads `DATABASE_URL`, `DATABASE_REPLICA_URLS`, `DATABASE_VIA` and `DATABASE_POOL_SIZE`.
    ///
    /// # Errors
    /// If one is missing or wrong.
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let hint = "Write postgres://user:password@host:5432/bellwork, or use scripts/run, which brings its own.";
        variables.required("DATABASE_URL", hint)?;
        let url = variables.address("DATABASE_URL", &["postgres", "postgresql"])?;
        let url = url.ok_or(ConfigError::Missing { name: "DATABASE_URL", hint })?;
        let replica_urls = variables.addresses("DATABASE_REPLICA_URLS", &["postgres", "postgresql"])?;
        let via = match variables.optional("DATABASE_VIA") {
            None | Some("direct") => Via::Direct,
            Some("pooler") => Via::Pooler,
            Some(other) => return Err(invalid("DATABASE_VIA", other, "it must be direct or pooler".to_owned())),
        };
        let pool_size = variables.number("DATABASE_POOL_SIZE", POOL_SIZE, 2..=1000)?;
        Ok(Self { url, replica_urls, via, pool_size })
    }
}
