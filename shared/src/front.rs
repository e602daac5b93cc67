//! What a thread used last of a cache that all threads share.
//!
//! A look at a shared cache takes its table, its record of uses, and lines of memory that the cores take from each other: a
//! session, its limits and a body cost a request as much as all the rest of its way. What is asked again and again each
//! thread finds here first. What is noted points to the cache's value weakly: what the cache drops is gone here too, but for
//! the bare struct, whose memory waits until its place is taken. A table takes some tenths of a megabyte.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hash};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use thread_local::ThreadLocal;

/// Shelves of each thread: a key has one. With two places on each, few of some hundred keys in turn push each other out.
const SHELVES: usize = 1024;
/// After this time a thread looks in the cache again: so the cache knows what is in use, and all threads what it has now.
const HELD: Duration = Duration::from_secs(30);

/// A table a thread of notes by `K`, before a cache.
pub(crate) struct Front<K: Send, N: Send> {
    threads: ThreadLocal<RefCell<Shelves<K, N>>>,
    hasher: RandomState,
}

/// On each shelf the key that came last stands first.
type Shelves<K, N> = Box<[[Option<Place<K, N>>; 2]]>;

struct Place<K, N> {
    key: K,
    note: N,
    since: Instant,
}

impl<K: Clone + Eq + Hash + Send, N: Send> Front<K, N> {
    pub(crate) fn new() -> Self {
        Self { threads: ThreadLocal::new(), hasher: RandomState::default() }
    }

    /// What `read` makes of this thread's note under `key`, if it has one of lately. The notes are held meanwhile: it notes
    /// nothing itself.
    pub(crate) fn get<T>(&self, key: &K, now: Instant, read: impl FnOnce(&N) -> Option<T>) -> Option<T> {
        let shelves = self.threads.get()?.borrow();
        let place = shelves[self.shelf(key)].iter().flatten().find(|place| place.key == *key)?;
        if now.saturating_duration_since(place.since) < HELD { read(&place.note) } else { None }
    }

    /// Notes what this thread has found in the cache under `key`.
    pub(crate) fn note(&self, key: &K, note: N, now: Instant) {
        let shelves = self.threads.get_or(|| RefCell::new((0..SHELVES).map(|_| [None, None]).collect()));
        let [first, second] = &mut shelves.borrow_mut()[self.shelf(key)];
        let before = first.replace(Place { key: key.clone(), note, since: now });
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

    fn found(front: &Front<usize, usize>, key: usize, now: Instant) -> Option<usize> {
        front.get(&key, now, |note| Some(*note))
    }

    #[test]
    fn a_thread_finds_what_it_noted_last() {
        let (front, now) = (Front::new(), Instant::now());
        assert_eq!(found(&front, 1, now), None);
        front.note(&1, 10, now);
        assert_eq!(found(&front, 1, now), Some(10));
        std::thread::scope(|scope| scope.spawn(|| assert_eq!(found(&front, 1, now), None, "another")).join().unwrap());
        front.note(&1, 11, now);
        assert_eq!(found(&front, 1, now), Some(11));
    }

    #[test]
    fn what_is_always_in_use_is_looked_for_in_the_cache_now_and_then() {
        let (front, noted) = (Front::new(), Instant::now());
        front.note(&1, 10, noted);
        let shortly_before = noted + HELD.checked_sub(Duration::from_millis(1)).unwrap();
        assert_eq!(found(&front, 1, shortly_before), Some(10), "a use is no note");
        assert_eq!(found(&front, 1, noted + HELD), None);
        front.note(&1, 10, noted + HELD);
        assert_eq!(found(&front, 1, noted + HELD), Some(10));
    }

    #[test]
    fn two_keys_share_a_shelf_in_peace() {
        let (front, now) = (Front::new(), Instant::now());
        let other = (1..).find(|key| front.shelf(key) == front.shelf(&0)).unwrap();
        for key in [0, other, 0, other] {
            front.note(&key, key, now);
        }
        assert!(found(&front, 0, now).is_some() && found(&front, other, now).is_some());
    }

    #[test]
    fn a_key_never_finds_anothers() {
        let (front, now) = (Front::new(), Instant::now());
        let keys = 4 * SHELVES;
        (0..keys).for_each(|key| front.note(&key, key, now));
        let found = (0..keys).filter_map(|key| found(&front, key, now).map(|note| assert_eq!(note, key))).count();
        assert!((SHELVES..=2 * SHELVES).contains(&found), "{found} are found on {SHELVES} shelves");
    }
}
