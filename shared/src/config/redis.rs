//! Redis: the queue instance and the cache instance.

use url::Url;

use super::variables::invalid;
use super::{ConfigError, Variables};

const PREFIX: &str = "bellwork";
/// One server each.
const SINGLE: &[&str] = &["redis", "rediss", "redis+unix", "unix", "valkey", "valkeys"];
/// Several servers each, which an ordinary address cannot name.
const MANY: &[&str] = &["redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"];

/// Where the queues live and where events pass.
#[derive(Clone)]
pub struct RedisConfig {
    /// The queue instance: append-only file, `noeviction`. An address that `bellwork_queue::Server` reads.
    pub queue_url: String,
    /// The cache instance, which also carries live events; may be the same server.
    pub cache_url: String,
    /// Begins every key, so that installations can share a server.
    pub prefix: String,
}

/// Without the addresses: they may hold passwords.
impl std::fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisConfig").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl RedisConfig {
    /// Reads `REDIS_URL`, `CACHE_REDIS_URL` and `REDIS_PREFIX`.
    ///
    /// # Errors
    /// If one is missing or wrong.
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let hint = "Write redis://host:6379, or use scripts/run, which brings its own.";
        let missing = || ConfigError::Missing { name: "REDIS_URL", hint };
        let queue_url = address(variables, "REDIS_URL")?.ok_or_else(missing)?;
        let cache_url = address(variables, "CACHE_REDIS_URL")?.unwrap_or_else(|| queue_url.clone());
        let prefix = variables.optional("REDIS_PREFIX").unwrap_or(PREFIX).to_owned();
        if !prefix.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c)) {
            let reason = "it may hold letters, digits and - _ . : only".to_owned();
            return Err(invalid("REDIS_PREFIX", &prefix, reason));
        }
        Ok(Self { queue_url, cache_url, prefix })
    }
}

/// The address in the variable `name`. The message of an error shows nothing of it, since what is wrong may be anywhere.
fn address(variables: &Variables, name: &'static str) -> Result<Option<String>, ConfigError> {
    let Some(value) = variables.optional(name) else { return Ok(None) };
    let (scheme, rest) = value.split_once("://").unwrap_or(("", value));
    let checked = match scheme {
        _ if SINGLE.contains(&scheme) => Url::parse(value).map(drop).map_err(|error| error.to_string()),
        _ if MANY.contains(&scheme) => check_many(scheme, rest).map_err(ToOwned::to_owned),
        _ => Err(format!("its scheme must be one of {}", [SINGLE, MANY].concat().join(", "))),
    };
    checked.map(|()| Some(value.to_owned())).map_err(|reason| invalid(name, "…", reason))
}

/// Checks what follows `scheme://` where several hosts may stand, and for sentinels the name of their master.
fn check_many(scheme: &str, rest: &str) -> Result<(), &'static str> {
    let (rest, _parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    if hosts.split(',').any(|host| host.is_empty() || Url::parse(&format!("redis://{host}")).is_err()) {
        return Err("its hosts must read host:port,host:port");
    }
    if scheme.ends_with("sentinel") && path.split('/').next().is_none_or(str::is_empty) {
        return Err("the master's name is missing: redis+sentinel://host:26379/name");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<RedisConfig, ConfigError> {
        RedisConfig::read(&Variables::of_pairs([("REDIS_URL", url)]))
    }

    #[test]
    fn each_topology_has_an_address() {
        for url in [
            "redis://host:6379/0",
            "rediss://user:secret@host?ca=/etc/ca.pem",
            "unix:///run/redis.sock",
            "redis+sentinel://:secret@one:26379,two:26379/main",
            "rediss+cluster://one:7000,[::1]:7001?ca=/etc/ca.pem",
        ] {
            assert_eq!(read(url).unwrap().queue_url, url);
        }
    }

    #[test]
    fn a_wrong_address_is_refused_with_a_sentence_that_names_the_variable_and_no_password() {
        for (url, reason) in [
            ("", "is not set"),
            ("host:6379", "its scheme must be one of"),
            ("amqp://:secret@host", "its scheme must be one of"),
            ("redis://:secret@host:port", "invalid port number"),
            ("redis+cluster://:secret@one,:7000", "its hosts must read"),
            ("redis+sentinel://:secret@one,two", "the master's name is missing"),
        ] {
            let sentence = read(url).unwrap_err().to_string();
            assert!(sentence.starts_with("REDIS_URL") && sentence.contains(reason), "{url}: {sentence}");
            assert!(!sentence.contains("secret"), "{sentence}");
        }
    }
}
