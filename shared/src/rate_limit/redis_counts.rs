//! The counts of all processes in Redis, and its clock.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use redis::aio::ConnectionLike;
use redis::{RedisResult, Script};
use tokio::time::timeout;
use uuid::Uuid;

use super::tally::Told;

/// The time between two exchanges of a process that counts by itself.
pub const EXCHANGE_EVERY: Duration = Duration::from_millis(100);
/// How long a process counts after it was last heard of, in milliseconds.
const PROCESS_LIFE_MS: u64 = 3000;

static EXCHANGE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("exchange.lua")));
static PULSE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("pulse.lua")));

/// Whether all that asked may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    All,
    None,
}

/// Redis did not count, or not in time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Away {
    #[error("no answer in time")]
    Slow,
    #[error(transparent)]
    Failed(#[from] redis::RedisError),
}

/// Redis, as the counts need it.
pub(crate) struct RedisCounts<C> {
    connection: C,
    /// One hash tag for all keys, since one call touches those of a user and of an address.
    prefix: String,
    /// This process among those that share the quotas.
    process: String,
    patience: Duration,
    clock: Clock,
}

impl<C: ConnectionLike + Clone + Sync> RedisCounts<C> {
    pub(crate) fn new(connection: C, prefix: &str, patience: Duration) -> Self {
        let (prefix, process) = (format!("{{{prefix}:limits}}"), Uuid::now_v7().to_string());
        Self { connection, prefix, process, patience, clock: Clock::new() }
    }

    /// The name of `subject`'s count under `policy`.
    pub(crate) fn key(&self, policy: &str, subject: impl std::fmt::Display) -> String {
        format!("{}:{policy}:{subject}", self.prefix)
    }

    /// The time of Redis, in milliseconds, as far as this process knows.
    pub(crate) fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    /// The same at `instant` of this process's clock.
    pub(crate) fn at(&self, instant: Instant) -> u64 {
        self.clock.at(instant)
    }

    /// Tells what was let through, and asks for `asked` more under each policy.
    pub(crate) async fn exchange(&self, told: Vec<Told>, asked: u32) -> Result<Fit, Away> {
        let mut call = EXCHANGE.prepare_invoke();
        for told in &told {
            let (tally, requests) = (&told.tally, told.requests);
            call.key(&tally.key).arg(tally.width()).arg(tally.quota.requests).arg(requests).arg(asked);
        }
        let mut connection = self.connection.clone();
        let answer: redis::Value = self.in_time(call.invoke_async(&mut connection)).await?;
        let (now, fits, counts) = read(answer)?;
        self.clock.set(now);
        for (told, counts) in told.into_iter().zip(counts) {
            told.heard(&counts);
        }
        Ok(if fits == 1 { Fit::All } else { Fit::None })
    }

    /// Notes that this process counts, and returns how many do.
    pub(crate) async fn pulse(&self) -> Result<u32, Away> {
        let mut call = PULSE.key(format!("{}:processes", self.prefix));
        call.arg(&self.process).arg(PROCESS_LIFE_MS);
        let mut connection = self.connection.clone();
        let (now, processes) = self.in_time(call.invoke_async(&mut connection)).await?;
        self.clock.set(now);
        Ok(processes)
    }

    async fn in_time<T>(&self, answer: impl Future<Output = RedisResult<T>>) -> Result<T, Away> {
        Ok(timeout(self.patience, answer).await.map_err(|_| Away::Slow)??)
    }
}

/// The time, whether all fit, and the counts of each window.
fn read(answer: redis::Value) -> RedisResult<(u64, u64, Vec<Vec<u64>>)> {
    let mut parts = redis::from_redis_value::<Vec<redis::Value>>(answer)?.into_iter();
    let mut next = || redis::from_redis_value(parts.next().unwrap_or(redis::Value::Nil));
    let (now, fits) = (next()?, next()?);
    Ok((now, fits, parts.map(redis::from_redis_value).collect::<Result<_, _>>()?))
}

/// Redis's clock, carried on by ours between two answers.
struct Clock {
    started: Instant,
    /// What Redis's clock showed, in milliseconds, when this process started.
    epoch: AtomicI64,
}

impl Clock {
    fn new() -> Self {
        let ours = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), epoch: AtomicI64::new(milliseconds(ours)) }
    }

    fn at(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.started);
        let now = self.epoch.load(Ordering::Relaxed) + milliseconds(since);
        u64::try_from(now).unwrap_or_default()
    }

    fn set(&self, now: u64) {
        let epoch = i64::try_from(now).unwrap_or(i64::MAX) - milliseconds(self.started.elapsed());
        self.epoch.store(epoch, Ordering::Relaxed);
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
