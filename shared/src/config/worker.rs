//! `start-workers`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use super::{ConfigError, Variables};

const DRAIN_SECONDS: u64 = 25;
const RETRY_BASE_MS: u64 = 1000;
const RECONCILE_MINUTES: u64 = 10;
const LEDGER_RETENTION_DAYS: u32 = 30;
const VOTE_RETENTION_MONTHS: u32 = 24;
const MAX_CONCURRENCY: usize = 10_000;

/// What a worker process runs and how it stops.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// The queues to serve with their concurrency; empty: all with their defaults.
    pub queues: QueueSelection,
    /// How long running jobs may go on after SIGTERM.
    pub drain: Duration,
    /// The first delay of the exponential backoff.
    pub retry_base: Duration,
    /// The time between two walks over all unfinished jobs.
    pub reconcile_every: Duration,
    /// How long finished jobs stay in the ledger.
    pub ledger_retention_days: u32,
    /// How long the history of votes is kept.
    pub vote_retention_months: u32,
    /// Where Prometheus text is served to loopback peers, if anywhere.
    pub metrics_bind: Option<SocketAddr>,
}

impl WorkerConfig {
    /// Reads `WORKER_QUEUES`, `DRAIN_SECONDS`, `RETRY_BASE_MS`, `RECONCILE_MINUTES`, `LEDGER_RETENTION_DAYS`,
    /// `VOTE_RETENTION_MONTHS` and `WORKER_METRICS_BIND`.
    ///
    /// # Errors
    /// If one is wrong.
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let retry_base = variables.number("RETRY_BASE_MS", RETRY_BASE_MS, 1..=3_600_000)?;
        let metrics_bind = variables.optional("WORKER_METRICS_BIND").map(str::parse).transpose();
        Ok(Self {
            queues: variables.parsed("WORKER_QUEUES", QueueSelection::default())?,
            drain: variables.seconds("DRAIN_SECONDS", DRAIN_SECONDS, 0..=3600)?,
            retry_base: Duration::from_millis(retry_base),
            reconcile_every: Duration::from_secs(
                60 * variables.number("RECONCILE_MINUTES", RECONCILE_MINUTES, 1..=1440)?,
            ),
            ledger_retention_days: variables.number("LEDGER_RETENTION_DAYS", LEDGER_RETENTION_DAYS, 1..=3650)?,
            vote_retention_months: variables.number("VOTE_RETENTION_MONTHS", VOTE_RETENTION_MONTHS, 1..=120)?,
            metrics_bind: metrics_bind.map_err(|error: std::net::AddrParseError| {
                super::variables::invalid("WORKER_METRICS_BIND", "…", error.to_string())
            })?,
        })
    }
}

/// Queues with their concurrency, written `ai=8,email=10`. The names are checked by who knows the queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueSelection(pub BTreeMap<String, usize>);

/// Why a selection of queues could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum QueueSelectionError {
    /// No `=`.
    #[error("\"{0}\" is not of the form queue=concurrency")]
    NoConcurrency(String),
    /// Not a whole number from 1 to 10,000.
    #[error("the concurrency of {0} must be a whole number from 1 to 10000")]
    Concurrency(String),
    /// Nothing at all.
    #[error("it names no queue")]
    Empty,
    /// The same queue twice.
    #[error("{0} is named twice")]
    Twice(String),
}

impl FromStr for QueueSelection {
    type Err = QueueSelectionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut selection = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let no_concurrency = || QueueSelectionError::NoConcurrency(part.to_owned());
            let (name, concurrency) = part.split_once('=').ok_or_else(no_concurrency)?;
            let wrong = || QueueSelectionError::Concurrency(name.to_owned());
            let concurrency: usize = concurrency.trim().parse().map_err(|_| wrong())?;
            if !(1..=MAX_CONCURRENCY).contains(&concurrency) {
                return Err(wrong());
            }
            if selection.insert(name.trim().to_owned(), concurrency).is_some() {
                return Err(QueueSelectionError::Twice(name.to_owned()));
            }
        }
        if selection.is_empty() { Err(QueueSelectionError::Empty) } else { Ok(Self(selection)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_names_each_queue_once_with_its_concurrency() {
        let selection: QueueSelection = "ai=8, email=10".parse().unwrap();
        assert_eq!(selection.0, BTreeMap::from([("ai".to_owned(), 8), ("email".to_owned(), 10)]));
        for (text, error) in [
            ("ai", QueueSelectionError::NoConcurrency("ai".into())),
            ("ai=0", QueueSelectionError::Concurrency("ai".into())),
            ("ai=-1", QueueSelectionError::Concurrency("ai".into())),
            (",", QueueSelectionError::Empty),
            ("ai=1,ai=2", QueueSelectionError::Twice("ai".into())),
        ] {
            assert_eq!(text.parse::<QueueSelection>().unwrap_err(), error);
        }
    }
}
