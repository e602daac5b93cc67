//! What tells a value that was loaded before a change from one loaded after it, without a lock and in bounded memory.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;

use super::Scope;

/// Counters for all scopes. Two scopes may share one: then one is forgotten with the other, which
/// costs a load and nothing else.
const COUNTERS: usize = 4096;

/// A counter for each scope, raised when it is forgotten, and one for everything.
#[derive(Debug)]
pub(super) struct Generations {
    /// Raised when changes may have been missed.
    epoch: AtomicU64,
    counters: Box<[AtomicU64]>,
    hasher: RandomState,
}

/// Where the counters stood when a load began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    epoch: u64,
    generation: u64,
}

/// What is known of a value by its stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing has changed since.
    Current,
    /// Something may have changed since.
    Doubtful,
    /// It has changed since.
    Outdated,
}

impl Stamp {
    /// What is known of a value with this stamp, now that the counters of its scope stand at `now`.
    pub(super) fn standing(self, now: Self) -> Standing {
        match self {
            _ if self == now => Standing::Current,
            Self { generation, .. } if generation == now.generation => Standing::Doubtful,
            _ => Standing::Outdated,
        }
    }
}

impl Generations {
    pub(super) fn new() -> Self {
        let counters = (0..COUNTERS).map(|_| AtomicU64::new(0)).collect();
        Self { epoch: AtomicU64::new(0), counters, hasher: RandomState::default() }
    }

    /// Taken before a load begins: what is read after it is at least as new.
    pub(super) fn stamp(&self, scope: Scope) -> Stamp {
        Stamp { epoch: self.epoch.load(Ordering::SeqCst), generation: self.counter(scope).load(Ordering::SeqCst) }
    }

    /// All values of `scope` that are there or being loaded are outdated.
    pub(super) fn forget(&self, scope: Scope) {
        self.counter(scope).fetch_add(1, Ordering::SeqCst);
    }

    /// All values that are there or being loaded are doubtful.
    pub(super) fn doubt_all(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    fn counter(&self, scope: Scope) -> &AtomicU64 {
        let hash = usize::try_from(self.hasher.hash_one(scope) % COUNTERS as u64);
        &self.counters[hash.expect("there are fewer counters than a usize can count")]
    }
}
