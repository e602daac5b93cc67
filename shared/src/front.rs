//! What a thread used last of a cache that all threads share.
//!
//! A look at a shared cache takes its table, its record of uses, and lines of memory that the cores take from each other: a
//! session, its limits and a body cost a request as much as all the rest of its way. What is asked again and again each
//! thread finds here first. Only weakly: what the cache drops is gone here too, and nothing is kept for longer.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Weak};

use foldhash::fast::RandomState;
use thread_local::ThreadLocal;

/// Shelves of each thread: a key has one. With two places on each, few of some hundred keys in turn push each other out.
const SHELVES: usize = 1024;

/// A table a thread, before a cache of `T` by `K`.
pub(crate) struct Front<K: Send, T: Send + Sync> {
    threads: ThreadLocal<RefCell<Shelves<K, T>>>,
    hasher: RandomState,
}

/// On each shelf the key that came last stands first.
type Shelves<K, T> = Box<[[Option<(K, Weak<T>)>; 2]]>;

impl<K: Clone + Eq + Hash + Send, T: Send + Sync> Front<K, T> {
    pub(crate) fn new() -> Self {
        Self { threads: ThreadLocal::new(), hasher: RandomState::default() }
    }

    /// What this thread used last under `key`, if the cache still has it.
    pub(crate) fn get(&self, key: &K) -> Option<Arc<T>> {
        let shelves = self.threads.get()?.borrow();
        let mut places = shelves[self.shelf(key)].iter().flatten();
        places.find_map(|(known, used)| if known == key { used.upgrade() } else { None })
    }

    /// Notes what this thread has found in the cache under `key`.
    pub(crate) fn note(&self, key: &K, found: &Arc<T>) {
        let shelves = self.threads.get_or(|| RefCell::new((0..SHELVES).map(|_| [None, None]).collect()));
        let [first, second] = &mut shelves.borrow_mut()[self.shelf(key)];
        let before = first.replace((key.clone(), Arc::downgrade(found)));
        if before.as_ref().is_some_and(|(known, _)| known != key) {
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
        let (front, cached) = (Front::new(), Arc::new("kept"));
        assert!(front.get(&1).is_none());
        front.note(&1, &cached);
        assert!(Arc::ptr_eq(&front.get(&1).unwrap(), &cached));
        std::thread::scope(|scope| scope.spawn(|| assert!(front.get(&1).is_none(), "another thread")).join().unwrap());
        let newer = Arc::new("newer");
        front.note(&1, &newer);
        drop(cached);
        assert!(Arc::ptr_eq(&front.get(&1).unwrap(), &newer));
        drop(newer);
        assert!(front.get(&1).is_none(), "the cache has dropped it");
    }

    #[test]
    fn two_keys_share_a_shelf_in_peace() {
        let (front, cached) = (Front::new(), Arc::new("kept"));
        let other = (1..).find(|key| front.shelf(key) == front.shelf(&0)).unwrap();
        for key in [0, other, 0, other] {
            front.note(&key, &cached);
        }
        assert!(front.get(&0).is_some() && front.get(&other).is_some());
    }

    #[test]
    fn a_key_never_finds_anothers() {
        let front = Front::new();
        let cached: Vec<_> = (0..4 * SHELVES).map(Arc::new).collect();
        cached.iter().enumerate().for_each(|(key, value)| front.note(&key, value));
        let found = (0..cached.len()).filter_map(|key| front.get(&key).map(|value| assert_eq!(*value, key))).count();
        assert!((SHELVES..=2 * SHELVES).contains(&found), "{found} are found on {SHELVES} shelves");
    }
}
