//! The layer in process: bounded by weight, and each value with the stamp that says whether it still holds.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use moka::sync::Cache;

use super::generations::Stamp;
use super::{Key, Policy, Value};
use crate::front::Front;

/// What an entry weighs beside its value: the key, the bookkeeping.
const OVERHEAD: usize = 256;

/// A value, or that there is none.
pub(super) struct Entry<V> {
    pub(super) value: Option<Arc<V>>,
    pub(super) life: Life,
    /// Set after it could not be loaded anew: until then nobody tries, and nobody waits for who does.
    pub(super) retry_at: Option<Instant>,
}

/// When a value was loaded, and how long it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    /// Where the generations stood when its load began.
    pub(super) stamp: Stamp,
    pub(super) since: Instant,
    /// How long it is fresh.
    pub(super) fresh: Duration,
    /// How long it took to load.
    pub(super) cost: Duration,
}

impl Life {
    /// How long it is still fresh at `now`; none if it is not.
    pub(super) fn left(&self, limit: Duration, now: Instant) -> Option<Duration> {
        let age = now.saturating_duration_since(self.since);
        self.fresh.min(limit).checked_sub(age).filter(|left| !left.is_zero())
    }

    /// How long it has not been fresh.
    pub(super) fn overdue(&self) -> Duration {
        self.since.elapsed().saturating_sub(self.fresh)
    }
}

/// The values of one cache in this process.
pub(super) struct Local<V: Value> {
    entries: Cache<Key, Arc<Entry<V>>>,
    front: Front<Key, Noted<V>>,
}

/// What a thread notes of an entry, so that it need not look at it again.
struct Noted<V> {
    value: Weak<V>,
    life: Life,
}

impl<V: Value> Local<V> {
    pub(super) fn new(policy: &Policy) -> Self {
        let weigh = |_: &Key, entry: &Arc<Entry<V>>| {
            let weight = OVERHEAD + entry.value.as_ref().map_or(0, |value| value.weight());
            u32::try_from(weight).unwrap_or(u32::MAX)
        };
        let kept = policy.local + policy.stale;
        let entries = Cache::builder().max_capacity(policy.capacity).weigher(weigh).time_to_live(kept).build();
        Self { entries, front: Front::new() }
    }

    /// The value that this thread used last, if its life is `good` and it is still kept. Another may have taken its place.
    pub(super) fn last_used(&self, key: &Key, now: Instant, good: impl FnOnce(Life) -> bool) -> Option<Arc<V>> {
        self.front.get(key, now, |noted| if good(noted.life) { noted.value.upgrade() } else { None })
    }

    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<Arc<Entry<V>>> {
        let entry = self.entries.get(key)?;
        if let Some(value) = &entry.value {
            self.front.note(key, Noted { value: Arc::downgrade(value), life: entry.life }, now);
        }
        Some(entry)
    }

    /// Keeps an entry; of two values that say the same, the one that is there stays.
    pub(super) fn keep(&self, key: Key, mut entry: Entry<V>) -> Option<Arc<V>> {
        if let (Some(value), Some(there)) = (&entry.value, self.entries.get(&key).and_then(|there| there.value.clone()))
            && there.is_same(value)
        {
            entry.value = Some(there);
        }
        let value = entry.value.clone();
        self.entries.insert(key, Arc::new(entry));
        value
    }
}
