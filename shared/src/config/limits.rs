//! Limits: quotas other than the table's, and whose word on addresses counts.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::variables::invalid;
use super::{ConfigError, Variables};
use crate::rate_limit::Quota;
use crate::rate_limit::policies::{self, Policy};

/// A Redis on the same network answers in a millisecond; a request must not wait longer for its count than for its answer.
const PATIENCE_MS: u64 = 50;
/// Stands for every policy that is not named itself.
const ALL: &str = "all";

/// How often what may be asked, and by which address somebody is known.
#[derive(Clone, Debug)]
pub struct LimitsConfig {
    /// Quotas that replace those of the table, by the policy's name, `all` for the rest.
    quotas: Vec<(String, Quota)>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// A Redis that takes longer counts as away, and each process counts for itself.
    pub patience: Duration,
}

impl LimitsConfig {
    /// Reads `RATE_LIMITS`, `TRUSTED_PROXIES` and `RATE_LIMIT_PATIENCE_MS`.
    ///
    /// # Errors
    /// If one is wrong.
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let patience = variables.number("RATE_LIMIT_PATIENCE_MS", PATIENCE_MS, 1..=10_000)?;
        Ok(Self {
            quotas: listed(variables, "RATE_LIMITS", quota)?,
            trusted_proxies: listed(variables, "TRUSTED_PROXIES", network)?,
            patience: Duration::from_millis(patience),
        })
    }

    /// What `policy` allows.
    #[must_use]
    pub fn quota(&self, policy: &Policy) -> Quota {
        let named = |name: &str| self.quotas.iter().find(|(of, _)| of == name).map(|(_, quota)| *quota);
        named(policy.name).or_else(|| named(ALL)).unwrap_or(policy.quota)
    }
}

/// The parts of a list that is separated by commas.
fn listed<T>(
    variables: &Variables,
    name: &'static str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, ConfigError> {
    let Some(value) = variables.optional(name) else { return Ok(Vec::new()) };
    value.split(',').map(|part| read(part.trim()).map_err(|reason| invalid(name, value, reason))).collect()
}

fn quota(text: &str) -> Result<(String, Quota), String> {
    let (name, quota) = text.split_once('=').ok_or("it must read name=quota,name=quota")?;
    if name != ALL && policies::ALL.iter().all(|policy| policy.name != name) {
        let names: Vec<_> = policies::ALL.iter().map(|policy| policy.name).collect();
        return Err(format!("there is no limit {name}, only {ALL}, {}", names.join(", ")));
    }
    Ok((name.to_owned(), quota.parse().map_err(|error| format!("{name}: {error}"))?))
}

/// A network, or an address for the network of it alone.
fn network(text: &str) -> Result<IpNet, String> {
    let alone = |_| text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>().or_else(alone).map_err(|_| format!("{text} is no address and no network like 10.0.0.0/8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> Result<LimitsConfig, ConfigError> {
        LimitsConfig::read(&Variables::of_pairs([(name, value)]))
    }

    #[test]
    fn a_quota_is_that_of_its_name_then_of_all_then_of_the_table() {
        let config = read("RATE_LIMITS", "api=1000/s, ai=5/min").unwrap();
        assert_eq!(config.quota(&policies::API), Quota::per_second(1000));
        assert_eq!(config.quota(&policies::AI), Quota::per_minute(5));
        assert_eq!(config.quota(&policies::VOTES), Quota::per_minute(60));
        let config = read("RATE_LIMITS", "all=9/s,ai=5/min").unwrap();
        assert_eq!(config.quota(&policies::VOTES), Quota::per_second(9));
        assert_eq!(config.quota(&policies::AI), Quota::per_minute(5));
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_name() {
        for (name, value) in [
            ("RATE_LIMITS", "api"),
            ("RATE_LIMITS", "api=many"),
            ("RATE_LIMITS", "apo=5/s"),
            ("RATE_LIMITS", "api=5/s,"),
            ("TRUSTED_PROXIES", "10.0.0.0/33"),
            ("TRUSTED_PROXIES", "proxy.example"),
        ] {
            assert!(read(name, value).unwrap_err().to_string().starts_with(name), "{value}");
        }
        let proxies = read("TRUSTED_PROXIES", "10.0.0.0/8, ::1").unwrap().trusted_proxies;
        assert_eq!(proxies.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "::1/128"]);
    }
}
