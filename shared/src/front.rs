//! What a thread used last of a cache that all threads share.
//!
//! A look at a shared cache takes its table, its record of uses, and lines of memory that the cores take from each other: a
//! session, its limits and a body cost a request as much as all the rest of its way. What is asked again and again each
//! thread finds here first. Only weakly: what the cache drops is gone here too, but for the bare struct, whose memory waits until
//! its place is taken. A table takes about a tenth of a megabyte.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use thread_local::ThreadLocal;

/// Shelves of each thread: a key has one. With two places on each, few of some hundred keys in turn push each other out.
const SHELVES: usize = 1024;
/// After this time a thread looks in the cache again: so the cache knows what is in use, and all threads what it has now.
const HELD: Duration = Duration::from_secs(30);

/// A table a thread, before a cache of `T` by `K`.
pub(crate) struct Front<K: Send, T: Send + Sync> {
    threads: ThreadLocal<RefCell<Shelves<K, T>>>,
    hasher: RandomState,
}

/// On each shelf the key that came last stands first.
type Shelves<K, T> = Box<[[Option<Place<K, T>>; 2]]>;

struct Place<K, T> {
    key: K,
    used: Weak<T>,
    since: Instant,
}

impl<K: Clone + Eq + Hash + Send, T: Send + Sync> Front<K, T> {
    pub(crate) fn new() -> Self {
        Self { threads: ThreadLocal::new(), hasher: RandomState::default() }
    }

    /// What this thread found lately under `key`, if the cache still has it.
    pub(crate) fn get(&self, key: &K, now: Instant) -> Option<Arc<T>> {
        let shelves = self.threads.get()?.borrow();
        let place = shelves[self.shelf(key)].iter().flatten().find(|place| place.key == *key)?;
        if now.saturating_duration_since(place.since) < HELD { place.used.upgrade() } else { None }
    }

    /// Notes what this thread has found in the cache under `key`.
    pub(crate) fn note(&self, key: &K, found: &Arc<T>, now: Instant) {
        let shelves = self.threads.get_or(|| RefCell::new((0..SHELVES).map(|_| [None, None]).collect()));
        let [first, second] = &mut shelves.borrow_mut()[self.shelf(key)];
        let before = first.replace(Place { key: key.clone(), used: Arc::downgrade(found), since: now });
        if before.as_ref().is_some_and(|place| place.key != *key) {
            *second = before;
        }
    }

    fn shelf(&self, key: &K) -> usize {
        let shelf = usize::try_from(self.hasher.hash_one(key) % SHELVES as u64);
        shelf.expect("there are fewer shelves than a usize can count")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_finds_what_it_used_last_as_long_as_the_cache_has_it() {
        let (front, cached, now) = (Front::new(), Arc::new("kept"), Instant::now());
        assert!(front.get(&1, now).is_none());
        front.note(&1, &cached, now);
        assert!(Arc::ptr_eq(&front.get(&1, now).unwrap(), &cached));
        std::thread::scope(|scope| scope.spawn(|| assert!(front.get(&1, now).is_none(), "another")).join().unwrap());
        let newer = Arc::new("newer");
        front.note(&1, &newer, now);
        drop(cached);
        assert!(Arc::ptr_eq(&front.get(&1, now).unwrap(), &newer));
        drop(newer);
        assert!(front.get(&1, now).is_none(), "the cache has dropped it");
    }

    #[test]
    fn what_is_always_in_use_is_looked_for_in_the_cache_now_and_then() {
        let (front, cached, noted) = (Front::new(), Arc::new("kept"), Instant::now());
        front.note(&1, &cached, noted);
        let shortly_before = noted + HELD.checked_sub(Duration::from_millis(1)).unwrap();
        assert!(front.get(&1, shortly_before).is_some(), "a use is no note");
        assert!(front.get(&1, noted + HELD).is_none());
        front.note(&1, &cached, noted + HELD);
        assert!(front.get(&1, noted + HELD).is_some());
    }

    #[test]
    fn two_keys_share_a_shelf_in_peace() {
        let (front, cached, now) = (Front::new(), Arc::new("kept"), Instant::now());
        let other = (1..).find(|key| front.shelf(key) == front.shelf(&0)).unwrap();
        for key in [0, other, 0, other] {
            front.note(&key, &cached, now);
        }
        assert!(front.get(&0, now).is_some() && front.get(&other, now).is_some());
    }

    #[test]
    fn a_key_never_finds_anothers() {
        let (front, now) = (Front::new(), Instant::now());
        let cached: Vec<_> = (0..4 * SHELVES).map(Arc::new).collect();
        cached.iter().enumerate().for_each(|(key, value)| front.note(&key, value, now));
        let found =
            (0..cached.len()).filter_map(|key| front.get(&key, now).map(|value| assert_eq!(*value, key))).count();
        assert!((SHELVES..=2 * SHELVES).contains(&found), "{found} are found on {SHELVES} shelves");
    }
}
