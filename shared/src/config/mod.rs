//! Configuration: environment only, read once at start, each part by itself. `.env.sample` documents every variable.

pub mod ai;
pub mod database;
pub mod http;
pub mod limits;
pub mod log;
pub mod mail;
pub mod redis;
pub mod variables;
pub mod worker;

pub use variables::{ConfigError, Variables};

/// Everything a process can be told. Each process reads the whole, so that a wrong value is found at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// PostgreSQL.
    pub database: database::DatabaseConfig,
    /// The queue instance and the cache instance.
    pub redis: redis::RedisConfig,
    /// Listening, public address, sessions and streams.
    pub http: http::HttpConfig,
    /// How often what may be asked, and by which address somebody is known.
    pub limits: limits::LimitsConfig,
    /// What `start-workers` runs and how it stops.
    pub worker: worker::WorkerConfig,
    /// The chat-completions server, if any.
    pub ai: ai::AiConfig,
    /// Where mail goes.
    pub mail: mail::MailConfig,
    /// What is logged, and how.
    pub log: log::LogConfig,
}

impl Config {
    /// Reads and validates the process's environment.
    ///
    /// # Errors
    /// A sentence that names the first variable that is missing or wrong.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&Variables::of_process())
    }

    /// Reads and validates `variables`.
    ///
    /// # Errors
    /// A sentence that names the first variable that is missing or wrong.
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            database: database::DatabaseConfig::read(variables)?,
            redis: redis::RedisConfig::read(variables)?,
            http: http::HttpConfig::read(variables)?,
            limits: limits::LimitsConfig::read(variables)?,
            worker: worker::WorkerConfig::read(variables)?,
            ai: ai::AiConfig::read(variables)?,
            mail: mail::MailConfig::read(variables)?,
            log: log::LogConfig::read(variables)?,
        })
    }
}
