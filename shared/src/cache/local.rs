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

    /// The value that this thread used last, if its life is `good` and somebody still has it: the cache, or an answer on its
    /// way. Another may have taken its place; its life says how long that may be.
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::generations::Generations;
    use super::*;
    use crate::cache::{Scope, TESTS};

    struct Text(&'static str);

    impl Value for Text {
        fn encode(&self) -> Bytes {
            Bytes::from_static(self.0.as_bytes())
        }

        fn decode(_: Bytes) -> Option<Self> {
            unreachable!("nothing here comes from Redis")
        }

        fn weight(&self) -> usize {
            self.0.len()
        }

        fn is_same(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }

    fn entry(text: Option<&'static str>, fresh: u64) -> Entry<Text> {
        let life = Life {
            stamp: Generations::new().stamp(Scope::Tests),
            since: Instant::now(),
            fresh: Duration::from_secs(fresh),
            cost: Duration::ZERO,
        };
        Entry { value: text.map(|text| Arc::new(Text(text))), life, retry_at: None }
    }

    #[test]
    fn a_thread_finds_what_it_used_last_as_long_as_the_cache_has_it() {
        let (local, key, now) = (Local::new(&TESTS), Key { scope: Scope::Tests, name: "all".into() }, Instant::now());
        let used = || local.last_used(&key, now, |_| true);
        local.keep(key.clone(), entry(Some("old"), 1));
        assert!(used().is_none(), "it is kept, not used yet");
        let first = local.get(&key, now).unwrap();
        assert!(Arc::ptr_eq(&used().unwrap(), first.value.as_ref().unwrap()));
        assert!(
            local.last_used(&key, now, |life| life.fresh > Duration::from_secs(1)).is_none(),
            "its life is not good"
        );

        local.keep(key.clone(), entry(Some("old"), 2));
        assert_eq!(used().unwrap().0, "old", "what says the same stays");
        local.get(&key, now).unwrap();
        assert!(
            local.last_used(&key, now, |life| life.fresh == Duration::from_secs(2)).is_some(),
            "its life is the new one"
        );

        drop(first);
        local.keep(key.clone(), entry(Some("new"), 1));
        local.entries.run_pending_tasks();
        assert!(used().is_none(), "nobody has the old one");
        assert_eq!(local.get(&key, now).unwrap().value.as_ref().unwrap().0, "new");
        assert_eq!(used().unwrap().0, "new");
    }

    #[test]
    fn that_there_is_nothing_is_asked_of_the_cache() {
        let (local, key, now) = (Local::new(&TESTS), Key { scope: Scope::Tests, name: "all".into() }, Instant::now());
        local.keep(key.clone(), entry(None, 1));
        assert!(local.get(&key, now).unwrap().value.is_none());
        assert!(local.last_used(&key, now, |_| true).is_none());
    }
}
