//! HTTP, sessions and live streams.

use std::net::SocketAddr;
use std::time::Duration;

use url::Url;

use super::{ConfigError, Variables};
use crate::sessions::Lifetime;

const BIND: &str = "127.0.0.1:8080";
const PUBLIC_URL: &str = "http://localhost:8080";
const SESSION_DAYS: u64 = 30;
const SESSION_IDLE_DAYS: u64 = 14;
const STREAM_DRAIN_SECONDS: u64 = 10;
const STREAM_HEARTBEAT_SECONDS: u64 = 20;

/// What `bellwork-api` listens on and promises its clients.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// The address to listen on; port 0 takes a free one.
    pub bind: SocketAddr,
    /// How browsers reach the API; under https the session cookie is `__Host-` and Secure.
    pub public_url: Url,
    /// How long a session lasts.
    pub session_lifetime: Lifetime,
    /// The window over which open streams are ended at a stop.
    pub stream_drain: Duration,
    /// The longest silence on a stream; a comment is sent between three quarters of it and the whole.
    pub stream_heartbeat: Duration,
    /// Lets peers other than loopback read `/api/metrics`.
    pub metrics_token: Option<String>,
}

impl HttpConfig {
    /// Reads `BIND`, `PUBLIC_URL`, `SESSION_DAYS`, `SESSION_IDLE_DAYS`, `STREAM_DRAIN_SECONDS`,
    /// `STREAM_HEARTBEAT_SECONDS`, `METRICS_TOKEN`.
    ///
    /// # Errors
    /// If one is wrong.
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let bind: SocketAddr = BIND.parse().expect("the default address is well-formed");
        let public_url = Url::parse(PUBLIC_URL).expect("the default address is well-formed");
        let days = |name, default| {
            let days = variables.number(name, default, 1..=3650)?;
            Ok(Duration::from_secs(days * 24 * 3600))
        };
        let absolute = days("SESSION_DAYS", SESSION_DAYS)?;
        let idle = days("SESSION_IDLE_DAYS", SESSION_IDLE_DAYS)?;
        Ok(Self {
            bind: variables.parsed("BIND", bind)?,
            public_url: variables.address("PUBLIC_URL", &["http", "https"])?.unwrap_or(public_url),
            session_lifetime: Lifetime { absolute, idle },
            stream_drain: variables.seconds("STREAM_DRAIN_SECONDS", STREAM_DRAIN_SECONDS, 0..=600)?,
            stream_heartbeat: variables.seconds("STREAM_HEARTBEAT_SECONDS", STREAM_HEARTBEAT_SECONDS, 1..=25)?,
            metrics_token: variables.optional("METRICS_TOKEN").map(str::to_owned),
        })
    }
}
