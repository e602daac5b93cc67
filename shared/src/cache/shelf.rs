//! One cache: what a reader meets on the way from memory to PostgreSQL.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::early;
use super::flight::{Flights, Landing};
use super::generations::{Stamp, Standing};
use super::link::Core;
use super::local::{Entry, Life, Local};
use super::remote::{Found, Look, Stored, Token};
use super::tally::{Outcome, Tally};
use super::{Failed, Freshness, Got, Key, Policy, SECOND, Value};

/// A load that takes longer has failed; statements end before that.
const LOAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How long after a failed load the stale value answers at once, before somebody tries again.
const RETRY_PAUSE: Duration = SECOND;

/// One cache of a process. Cheap to clone.
pub struct Shelf<V: Value>(Arc<Inner<V>>);

impl<V: Value> Clone for Shelf<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V: Value> std::fmt::Debug for Shelf<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").field("policy", &self.0.policy.name).finish_non_exhaustive()
    }
}

struct Inner<V: Value> {
    policy: &'static Policy,
    core: Arc<Core>,
    local: Local<V>,
    flights: Flights<V>,
    tally: Arc<Tally>,
}

impl<V: Value> Shelf<V> {
    pub(super) fn new(policy: &'static Policy, core: Arc<Core>, tally: Arc<Tally>) -> Self {
        Self(Arc::new(Inner { policy, core, local: Local::new(policy), flights: Flights::new(), tally }))
    }

    /// The value of `key`: from this process, else from Redis, else by `load`, which says nothing if there is no such
    /// thing. Of any number of callers at the same time one loads, in a task of its own. A load reads from the primary: from
    /// a replica that lags it would bring back, and keep, what was forgotten.
    ///
    /// # Errors
    /// If the load fails and there is no value that may be stale.
    pub async fn get<L, F>(&self, key: Key, load: L) -> Result<Got<V>, Failed>
    where
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = anyhow::Result<Option<V>>> + Send + 'static,
    {
        let (shelf, at) = (&self.0, Instant::now());
        let Some(limit) = shelf.core.trust(shelf.policy, at) else {
            shelf.tally.count(Outcome::LocalBypass);
            return Box::pin(Arc::clone(shelf).fetch(key, load)).await;
        };
        let stamp = shelf.core.generations.stamp(key.scope);
        let (outcome, got, due) = match shelf.seen(&key, Asked { at, stamp, limit }) {
            Seen::Fresh(got, due) => (Outcome::LocalHit, got, due),
            Seen::Stale(got, due) => (Outcome::LocalStale, got, due),
            Seen::Nothing => {
                shelf.tally.count(Outcome::LocalMiss);
                return shelf.start(key, stamp, load).await;
            }
        };
        shelf.tally.count(outcome);
        if due {
            drop(shelf.start(key, stamp, load));
        }
        Ok(got)
    }

    /// The value of `key` if this process has it fresh: no store is asked, but for the load that `loader` gives if it is time
    /// for that. Only what is found is counted.
    pub fn at_hand<L, F>(&self, key: &Key, loader: impl FnOnce() -> L) -> Option<Arc<V>>
    where
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = anyhow::Result<Option<V>>> + Send + 'static,
    {
        let (shelf, at) = (&self.0, Instant::now());
        let limit = shelf.core.trust(shelf.policy, at)?;
        let stamp = shelf.core.generations.stamp(key.scope);
        let Seen::Fresh(Got { value: Some(value), .. }, due) = shelf.seen(key, Asked { at, stamp, limit }) else {
            return None;
        };
        shelf.tally.count(Outcome::LocalHit);
        if due {
            drop(shelf.start(key.clone(), stamp, loader()));
        }
        Some(value)
    }

    /// How often Redis refused a value since it was forgotten while it was loaded.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.tally.read(Outcome::RemoteRefused)
    }
}

/// As things stood when somebody asked.
#[derive(Clone, Copy)]
struct Asked {
    at: Instant,
    /// Of the scope.
    stamp: Stamp,
    /// How long a value may be used after its load.
    limit: Duration,
}

/// What this process knows, and whether somebody should load it anew.
enum Seen<V> {
    Fresh(Got<V>, bool),
    Stale(Got<V>, bool),
    Nothing,
}

impl<V: Value> Inner<V> {
    fn seen(&self, key: &Key, asked: Asked) -> Seen<V> {
        let mut drawn = None;
        let used = self.local.last_used(key, asked.at, |life| {
            drawn = is_due(life, asked).map(|due| (life.since, due));
            matches!(drawn, Some((_, false)))
        });
        if used.is_some() {
            return Seen::Fresh(Got { value: used, freshness: Freshness::Fresh }, false);
        }
        let Some(entry) = self.local.get(key, asked.at) else { return Seen::Nothing };
        // What is due may have been loaded anew since; if not, nobody draws twice.
        let drawn = drawn.filter(|(since, _)| *since == entry.life.since).map(|(_, due)| due);
        if let Some(due) = drawn.or_else(|| is_due(entry.life, asked)) {
            return Seen::Fresh(Got { value: entry.value.clone(), freshness: Freshness::Fresh }, due);
        }
        match entry.retry_at {
            Some(retry_at) if self.may_be_stale(&entry, asked.stamp) => {
                let freshness = Freshness::Stale { overdue: entry.life.overdue() };
                Seen::Stale(Got { value: entry.value.clone(), freshness }, retry_at <= asked.at)
            }
            _ => Seen::Nothing,
        }
    }

    /// True if `entry` may answer though it is not fresh: it was not changed, and is not too old.
    fn may_be_stale(&self, entry: &Entry<V>, now: Stamp) -> bool {
        entry.life.overdue() < self.policy.stale && entry.life.stamp.standing(now) != Standing::Outdated
    }

    fn start<L, F>(self: &Arc<Self>, key: Key, stamp: Stamp, load: L) -> Landing<V>
    where
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = anyhow::Result<Option<V>>> + Send + 'static,
    {
        let (shelf, own) = (Arc::clone(self), key.clone());
        self.flights.join(&key, stamp, &self.core.runtime, move || shelf.fetch(own, load))
    }

    /// From Redis, else by `load`.
    async fn fetch<L, F>(self: Arc<Self>, key: Key, load: L) -> Result<Got<V>, Failed>
    where
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = anyhow::Result<Option<V>>> + Send + 'static,
    {
        let stamp = self.core.generations.stamp(key.scope);
        let (keeping, last) = match self.look(&key).await {
            Looked::Fresh(remote) => return Ok(self.keep(key, stamp, remote)),
            Looked::Else(keeping, last) => (keeping, last),
        };
        let begun = Instant::now();
        let loaded = match timeout(LOAD_TIMEOUT, load()).await {
            Ok(loaded) => loaded,
            Err(elapsed) => Err(anyhow::Error::new(elapsed).context("could not be loaded in time")),
        };
        match loaded {
            Ok(value) => Ok(self.loaded(key, stamp, keeping, value, begun.elapsed()).await),
            Err(error) => {
                self.tally.count(Outcome::Failed);
                self.last(key, stamp, last).ok_or_else(|| Failed::new(error))
            }
        }
    }

    async fn look(&self, key: &Key) -> Looked<V> {
        if self.core.invalidator.is_untold(key.scope) {
            self.tally.count(Outcome::RemoteHeld);
            return Looked::Else(Keeping::Here, None);
        }
        let (outcome, looked) = match self.core.remote.look(key).await {
            Look::Missing(token) => (Outcome::RemoteMiss, Looked::Else(Keeping::Everywhere(token), None)),
            Look::Held => (Outcome::RemoteHeld, Looked::Else(Keeping::Nowhere, None)),
            Look::Away => (Outcome::RemoteAway, Looked::Else(Keeping::Here, None)),
            Look::Found(found) => self.found(found),
        };
        self.tally.count(outcome);
        looked
    }

    fn found(&self, found: Found) -> (Outcome, Looked<V>) {
        let Found { token, value, life, cost } = found;
        let Some(value) = V::decode(value) else {
            return (Outcome::RemoteMiss, Looked::Else(Keeping::Everywhere(token), None));
        };
        let (left, overdue) = (life.saturating_sub(self.policy.stale), self.policy.stale.saturating_sub(life));
        let remote = Remembered { value, left, overdue, cost };
        if left.is_zero() || early::is_due(left, cost, rand::random) {
            (Outcome::RemoteMiss, Looked::Else(Keeping::Everywhere(token), Some(remote)))
        } else {
            (Outcome::RemoteHit, Looked::Fresh(remote))
        }
    }

    /// Keeps a value that Redis had, for no longer than Redis calls it fresh.
    fn keep(&self, key: Key, stamp: Stamp, remote: Remembered<V>) -> Got<V> {
        let Remembered { value, left, cost, .. } = remote;
        let fresh = self.policy.local.min(left);
        let value = Some(Arc::new(value));
        let entry = Entry { value, life: Life { stamp, since: Instant::now(), fresh, cost }, retry_at: None };
        Got { value: self.local.keep(key, entry), freshness: Freshness::Fresh }
    }

    async fn loaded(&self, key: Key, stamp: Stamp, keeping: Keeping, value: Option<V>, cost: Duration) -> Got<V> {
        self.tally.count(if value.is_some() { Outcome::Loaded } else { Outcome::Absent });
        if let (Keeping::Everywhere(token), Some(value)) = (&keeping, &value)
            && self.core.remote.store(&key, *token, &value.encode(), cost).await == Stored::Refused
        {
            self.tally.count(Outcome::RemoteRefused);
        }
        let value = value.map(Arc::new);
        if matches!(keeping, Keeping::Nowhere) {
            return Got { value, freshness: Freshness::Fresh };
        }
        let fresh = if value.is_some() { self.policy.local.min(self.policy.remote) } else { self.policy.absent };
        let entry = Entry { value, life: Life { stamp, since: Instant::now(), fresh, cost }, retry_at: None };
        Got { value: self.local.keep(key, entry), freshness: Freshness::Fresh }
    }

    /// The last value that is known, if it may be stale and was not changed.
    fn last(&self, key: Key, stamp: Stamp, remote: Option<Remembered<V>>) -> Option<Got<V>> {
        let (now, at) = (self.core.generations.stamp(key.scope), Instant::now());
        let here = self.local.get(&key, at);
        let here = here.filter(|entry| entry.value.is_some() && self.may_be_stale(entry, now));
        let retry_at = Some(at + RETRY_PAUSE);
        let entry = match (here, remote) {
            (Some(entry), _) => Entry { value: entry.value.clone(), life: entry.life, retry_at },
            (None, Some(Remembered { value, left, overdue, cost })) => {
                let (value, since) = (Some(Arc::new(value)), at.checked_sub(overdue).unwrap_or(at));
                Entry { value, life: Life { stamp, since, fresh: left, cost }, retry_at }
            }
            (None, None) => return None,
        };
        let is_current = entry.life.stamp.standing(now) == Standing::Current;
        let freshness = match entry.life.left(self.policy.local, at).filter(|_| is_current) {
            Some(_) => Freshness::Fresh,
            None => Freshness::Stale { overdue: entry.life.overdue() },
        };
        tracing::warn!(cache = self.policy.name, "could not be loaded anew; the last value answers");
        Some(Got { value: self.local.keep(key, entry), freshness })
    }
}

/// Whether somebody should load anew what has this life, though it is fresh; none if it is not.
fn is_due(life: Life, asked: Asked) -> Option<bool> {
    let left = life.left(asked.limit, asked.at)?;
    let is_current = life.stamp.standing(asked.stamp) == Standing::Current;
    is_current.then(|| early::is_due(left, life.cost, rand::random))
}

/// A value that Redis had.
struct Remembered<V> {
    value: V,
    /// How long it is still fresh.
    left: Duration,
    /// How long it has not been fresh.
    overdue: Duration,
    cost: Duration,
}

/// What a look at Redis comes to.
enum Looked<V> {
    Fresh(Remembered<V>),
    /// To be loaded. A value that Redis had, but too old, may answer if that fails.
    Else(Keeping, Option<Remembered<V>>),
}

/// Where a value may be kept that is loaded now.
enum Keeping {
    Everywhere(Token),
    Here,
    Nowhere,
}
