//! Forgetting what has changed, in Redis and in every process. What Redis could not be told is told again until it can.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::Handle;

use super::generations::Generations;
use super::remote::Remote;
use super::wire::Redis;
use super::{SESSIONS, Scope};

/// The pauses between attempts to tell Redis what it could not be told.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// Scopes that may wait to be told. Beyond these, all but sessions are left to their times in the table.
const MAX_UNTOLD: usize = 10_000;

/// Forgets. For a process without values of its own, such as a worker, this is all it needs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Invalidator {
    remote: Remote,
    generations: Arc<Generations>,
    untold: Arc<Untold>,
    runtime: Handle,
    /// Tells this process's messages from those of others.
    process: u64,
}

/// What Redis could not be told yet. Meanwhile this process trusts nothing that Redis says of it.
#[derive(Debug, Default)]
pub(super) struct Untold {
    scopes: Mutex<HashSet<Scope>>,
    /// Read without the lock: nearly always there are none.
    count: AtomicUsize,
}

impl Invalidator {
    /// For a process that keeps nothing. Call it within a runtime.
    #[must_use]
    pub fn new(redis: Redis, prefix: &str) -> Self {
        Self::of(Remote::new(redis, prefix), Arc::new(Generations::new()))
    }

    pub(super) fn of(remote: Remote, generations: Arc<Generations>) -> Self {
        let (untold, runtime) = (Arc::default(), Handle::current());
        Self { remote, generations, untold, runtime, process: rand::random() }
    }

    /// Forgets `scopes`: call it after the commit of what changed them, and before the change is answered. When it
    /// returns, this process knows, and others do unless Redis is away; then they are told as soon as it is back.
    pub async fn forget(&self, scopes: &[Scope]) {
        join_all(scopes.iter().map(|scope| self.forget_one(*scope))).await;
    }

    async fn forget_one(&self, scope: Scope) {
        let told = self.remote.forget(scope, &self.message(scope)).await;
        // After Redis: what a reader of this process found there before is older than this.
        self.generations.forget(scope);
        if let Err(error) = told {
            tracing::debug!(%error, %scope, "others are told later what to forget");
            metrics::counter!("bellwork_cache_untold_total", "cache" => scope.policy().name).increment(1);
            self.tell_later(scope);
        }
    }

    /// Before a change that nobody may miss: until the hold is released, nothing of `scopes` is found in Redis, and
    /// nothing is kept. Hold, change, commit, release. Should this process die in between, the hold ends by itself, and
    /// what was kept before it stays unfindable.
    pub async fn hold(&self, scopes: Vec<Scope>) -> Held {
        join_all(scopes.iter().map(async |scope| {
            if let Err(error) = self.remote.hold(*scope, &self.message(*scope)).await {
                tracing::debug!(%error, "not held; it is forgotten after the change");
            }
            self.generations.forget(*scope);
        }))
        .await;
        Held { invalidator: self.clone(), scopes }
    }

    fn message(&self, scope: Scope) -> String {
        format!("{:016x} {scope}", self.process)
    }

    /// What another process's message says to forget; nothing if it is our own, or a newer release's.
    pub(super) fn read(&self, message: &str) -> Option<Scope> {
        let (process, scope) = message.split_once(' ')?;
        let ours = u64::from_str_radix(process, 16) == Ok(self.process);
        scope.parse().ok().filter(|_| !ours)
    }

    pub(super) fn is_untold(&self, scope: Scope) -> bool {
        self.untold.count.load(Ordering::SeqCst) > 0 && self.untold.lock().contains(&scope)
    }

    fn tell_later(&self, scope: Scope) {
        let first = {
            let mut scopes = self.untold.lock();
            if scopes.len() >= MAX_UNTOLD && scope.policy().name != SESSIONS.name {
                return;
            }
            scopes.insert(scope);
            self.untold.count.swap(scopes.len(), Ordering::SeqCst) == 0
        };
        if first {
            self.runtime.spawn(self.clone().tell_untold());
        }
    }

    async fn tell_untold(self) {
        let mut pause = FIRST_PAUSE;
        while self.untold.count.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
            let scopes: Vec<_> = self.untold.lock().iter().copied().collect();
            for scope in scopes {
                if let Err(error) = self.remote.forget(scope, &self.message(scope)).await {
                    tracing::debug!(%error, "others still cannot be told what to forget");
                    break;
                }
                self.generations.forget(scope);
                let mut untold = self.untold.lock();
                untold.remove(&scope);
                self.untold.count.store(untold.len(), Ordering::SeqCst);
            }
        }
    }
}

impl Untold {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<Scope>> {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Scopes that are being changed. Dropped without a release, as when the change fails, they are forgotten all the same.
#[derive(Debug)]
pub struct Held {
    invalidator: Invalidator,
    scopes: Vec<Scope>,
}

impl Held {
    /// After the commit.
    pub async fn release(mut self) {
        let scopes = std::mem::take(&mut self.scopes);
        self.invalidator.forget(&scopes).await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let scopes = std::mem::take(&mut self.scopes);
        if !scopes.is_empty() {
            let invalidator = self.invalidator.clone();
            self.invalidator.runtime.spawn(async move { invalidator.forget(&scopes).await });
        }
    }
}
