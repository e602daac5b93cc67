//! The limiter: lets requests through or not, and keeps the counts of all processes together.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use redis::aio::ConnectionLike;
use smallvec::{SmallVec, smallvec};
use tokio::time::{MissedTickBehavior, interval};

use super::policies::Policy;
use super::quota::Quota;
use super::redis_counts::{Away, EXCHANGE_EVERY, Fit, RedisCounts};
use super::tally::{Alone, Counted, Listing, Tally};
use crate::config::limits::LimitsConfig;
use crate::front::Front;
use crate::ids::UserId;

/// Tallies a process remembers, about 40 MB; the least recently used goes first, and Redis still has its count. One that a
/// thread still finds at its front may live on beside its successor: what it has not told is bounded for each.
const TALLIES: u64 = 100_000;
/// A tally unused for this long is forgotten.
const IDLE: Duration = Duration::from_secs(600);
/// Tallies exchanged in one call: a millisecond of Redis's time.
const BATCH: usize = 200;
/// One exchange in this many says that this process lives. While Redis is away each asks whether it is back.
const PULSE_EVERY: u32 = 10;

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A user's.
    User(UserId),
    /// An address's: of an IPv6 site, its first 64 bits with zeros behind.
    Address(IpAddr),
    /// An address's for one account, which a digest stands for.
    Account(IpAddr, u64),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user:{user}"),
            Self::Address(address) => write!(f, "address:{address}"),
            Self::Account(address, account) => write!(f, "address:{address}:account:{account:016x}"),
        }
    }
}

/// How a subject stands with a policy.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The policy.
    pub policy: &'static Policy,
    /// What it allows here.
    pub quota: Quota,
    /// Requests that may still pass now.
    pub remaining: u32,
    /// Seconds, at least one, until more may pass than now.
    pub reset_seconds: u64,
}

/// How a subject stands with each policy that applies: seldom more than two, and then nothing is allocated.
pub type Standings = SmallVec<[Standing; 2]>;

/// Whether a request may pass.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It may, and is counted under all its policies.
    Through(Standings),
    /// It may not, and is counted nowhere.
    Refused(Standings),
}

/// Counts requests. Cheap to clone.
pub struct Limiter<C>(Arc<Inner<C>>);

impl<C> Clone for Limiter<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Of a tally: its policy's name and whose requests it counts.
type Name = (&'static str, Subject);

struct Inner<C> {
    redis: RedisCounts<C>,
    config: LimitsConfig,
    /// Bounded: an attacker who has many addresses pushes out old ones, and memory stays as it is.
    tallies: Cache<Name, Arc<Tally>>,
    front: Front<Name, Weak<Tally>>,
    /// Those to exchange next; held to push or to swap only.
    listed: Mutex<Vec<Arc<Tally>>>,
    degraded: AtomicBool,
    /// The number of processes that share the quotas, as last heard.
    processes: AtomicU32,
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Limiter<C> {
    /// Counts over `connection`, in keys that begin with `prefix`. Needs no Redis to start. Call it within a runtime: a task
    /// of it exchanges counts until the last clone is gone.
    pub fn start(connection: C, prefix: &str, config: LimitsConfig) -> Self {
        let inner = Arc::new(Inner {
            redis: RedisCounts::new(connection, prefix, config.patience),
            tallies: Cache::builder()
                .max_capacity(TALLIES)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_idle(IDLE)
                .build(),
            front: Front::new(),
            config,
            listed: Mutex::default(),
            degraded: AtomicBool::new(false),
            processes: AtomicU32::new(1),
        });
        gauge!("bellwork_rate_limiter_degraded").increment(0.0);
        tokio::spawn(exchange_for_ever(Arc::downgrade(&inner)));
        Self(inner)
    }

    /// Lets a request through if it fits under all `applied`, and counts it then.
    pub async fn admit(&self, applied: &[(&'static Policy, Subject)]) -> Verdict {
        let (inner, at) = (&*self.0, Instant::now());
        let tally = |(policy, subject): &(&'static Policy, Subject)| inner.tally(policy, *subject, at);
        let tallies: SmallVec<[_; 2]> = applied.iter().map(tally).collect();
        if let Some(verdict) = inner.decide(&tallies, inner.alone(), inner.redis.at(at)) {
            return verdict;
        }
        match Box::pin(inner.ask(&tallies)).await {
            Ok(verdict) => verdict,
            Err(away) => {
                inner.degrade(&away);
                let alone = Alone::Degraded { processes: self.processes() };
                let alone = inner.decide(&tallies, alone, inner.redis.now());
                alone.expect("a process that is on its own has nobody to ask")
            }
        }
    }

    /// How `subject` stands with `policy`, if this process knows that nothing more may pass. Counts nothing.
    #[must_use]
    pub fn refusal(&self, policy: &'static Policy, subject: Subject) -> Option<Standing> {
        let standing = self.0.tallies.get(&(policy.name, subject))?.refusal(self.0.redis.now())?;
        count_refusals(&[standing]);
        Some(standing)
    }

    /// The number of processes that share the quotas, as Redis last said.
    #[must_use]
    pub fn processes(&self) -> u32 {
        self.0.processes.load(Ordering::Relaxed)
    }

    /// True while Redis is away and each process counts for itself.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.0.degraded.load(Ordering::Relaxed)
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Inner<C> {
    fn tally(&self, policy: &'static Policy, subject: Subject, at: Instant) -> Arc<Tally> {
        let name = (policy.name, subject);
        if let Some(tally) = self.front.get(&name, at, Weak::upgrade) {
            return tally;
        }
        let tally = self.tallies.get_with(name, || {
            Arc::new(Tally::new(policy, self.config.quota(policy), self.redis.key(policy.name, subject)))
        });
        self.front.note(&name, Arc::downgrade(&tally), at);
        tally
    }

    fn alone(&self) -> Alone {
        if self.degraded.load(Ordering::Relaxed) {
            Alone::Degraded { processes: self.processes.load(Ordering::Relaxed) }
        } else {
            Alone::Connected
        }
    }

    /// What this process can know by itself at `now`; none if only Redis can tell.
    fn decide(&self, tallies: &[Arc<Tally>], alone: Alone, now: u64) -> Option<Verdict> {
        let mut standings = Standings::new();
        for (place, tally) in tallies.iter().enumerate() {
            let stopped = match tally.count(now, alone) {
                Counted::Through { standing, listing } => {
                    if listing == Listing::Wanted {
                        self.listed.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(tally));
                    }
                    standings.push(standing);
                    continue;
                }
                Counted::Refused(standing) => Some(refused(smallvec![standing])),
                Counted::Unsure => None,
            };
            tallies[..place].iter().for_each(|counted| counted.take_back(now));
            // Another policy may refuse what this one cannot tell.
            return stopped.or_else(|| refusals(&tallies[place + 1..], now));
        }
        Some(Verdict::Through(standings))
    }

    /// Asks Redis, which decides for all policies in one round trip.
    async fn ask(&self, tallies: &[Arc<Tally>]) -> Result<Verdict, Away> {
        let now = self.redis.now();
        let told = tallies.iter().map(|tally| tally.tell(now)).collect();
        let fit = self.redis.exchange(told, 1).await?;
        let now = self.redis.now();
        match fit {
            Fit::All => Ok(Verdict::Through(tallies.iter().map(|tally| tally.stands(now)).collect())),
            Fit::None => {
                // Counts that have aged since Redis decided no longer say which policy it was.
                let all = || refused(tallies.iter().map(|tally| tally.stands(now)).collect());
                Ok(refusals(tallies, now).unwrap_or_else(all))
            }
        }
    }

    /// Exchanges what this process has counted by itself.
    async fn exchange(&self) {
        let listed = std::mem::take(&mut *self.listed.lock().unwrap_or_else(PoisonError::into_inner));
        if self.degraded.load(Ordering::Relaxed) {
            // Kept where they are: a list would grow as long as Redis is away.
            listed.iter().for_each(|tally| tally.unlist());
        } else if let Err(away) = self.tell(&listed).await {
            self.degrade(&away);
        }
    }

    async fn tell(&self, tallies: &[Arc<Tally>]) -> Result<(), Away> {
        for batch in tallies.chunks(BATCH) {
            let now = self.redis.now();
            let told: Vec<_> = batch.iter().map(|tally| tally.tell(now)).filter(|told| told.requests > 0).collect();
            if !told.is_empty() {
                self.redis.exchange(told, 0).await?;
            }
        }
        Ok(())
    }

    async fn pulse(&self) {
        match self.redis.pulse().await {
            Ok(processes) => self.processes.store(processes, Ordering::Relaxed),
            Err(away) => return self.degrade(&away),
        }
        if self.degraded.load(Ordering::Relaxed) && self.catch_up().await.is_ok() {
            self.degraded.store(false, Ordering::Relaxed);
            gauge!("bellwork_rate_limiter_degraded").set(0.0);
            tracing::info!("Redis counts requests again");
        }
    }

    /// Tells Redis all that was counted here while it was away.
    async fn catch_up(&self) -> Result<(), Away> {
        let tallies: Vec<_> = self.tallies.iter().map(|(_, tally)| tally).collect();
        self.tell(&tallies).await
    }

    fn degrade(&self, away: &Away) {
        if !self.degraded.swap(true, Ordering::Relaxed) {
            gauge!("bellwork_rate_limiter_degraded").set(1.0);
            tracing::warn!(cause = %away, "Redis counts no requests; this process counts for itself");
        }
    }
}

/// Those policies that are known to be used up, if any.
fn refusals(tallies: &[Arc<Tally>], now: u64) -> Option<Verdict> {
    let standings: Standings = tallies.iter().filter_map(|tally| tally.refusal(now)).collect();
    (!standings.is_empty()).then(|| refused(standings))
}

fn refused(standings: Standings) -> Verdict {
    count_refusals(&standings);
    Verdict::Refused(standings)
}

fn count_refusals(standings: &[Standing]) {
    for standing in standings {
        counter!("bellwork_rate_limited_total", "policy" => standing.policy.name).increment(1);
    }
}

async fn exchange_for_ever<C: ConnectionLike + Clone + Send + Sync + 'static>(limiter: Weak<Inner<C>>) {
    let mut ticks = interval(EXCHANGE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 0_u32.. {
        ticks.tick().await;
        let Some(limiter) = limiter.upgrade() else { return };
        if round % PULSE_EVERY == 0 || limiter.degraded.load(Ordering::Relaxed) {
            limiter.pulse().await;
        }
        limiter.exchange().await;
    }
}
