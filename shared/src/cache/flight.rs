//! One load for all who wait for the same value, and not for those who ask after it was changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::runtime::Handle;

use super::generations::Stamp;
use super::{Failed, Got, Key};

/// What all who wait are told.
pub(super) type Landing<V> = Shared<BoxFuture<'static, Result<Got<V>, Failed>>>;

/// The loads under way.
pub(super) struct Flights<V>(Arc<Mutex<Table<V>>>);

struct Table<V> {
    flying: HashMap<Key, Flight<V>>,
    started: u64,
}

struct Flight<V> {
    id: u64,
    stamp: Stamp,
    landing: Landing<V>,
}

impl<V: Send + Sync + 'static> Flights<V> {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Table { flying: HashMap::new(), started: 0 })))
    }

    /// Joins the load of `key` that began under `stamp`, or starts one. It is a task of its own: it goes on when those
    /// who wait go away, and its panic is their error and nobody else's.
    pub(super) fn join<F>(&self, key: &Key, stamp: Stamp, runtime: &Handle, load: impl FnOnce() -> F) -> Landing<V>
    where
        F: Future<Output = Result<Got<V>, Failed>> + Send + 'static,
    {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = table.flying.get(key).filter(|flight| flight.stamp == stamp) {
            return flight.landing.clone();
        }
        table.started += 1;
        let (shared, own, id) = (Arc::clone(&self.0), key.clone(), table.started);
        let load = load();
        let task = runtime.spawn(async move {
            // Made here and not before: a runtime that is shutting down drops the task at once, under our lock.
            let _end = End { table: shared, key: own, id };
            load.await
        });
        let landing = async { task.await.unwrap_or_else(|error| Err(Failed::new(error.into()))) }.boxed().shared();
        let flight = Flight { id, stamp, landing: landing.clone() };
        table.flying.insert(key.clone(), flight);
        landing
    }
}

/// Takes the flight from the table, however it ended.
struct End<V> {
    table: Arc<Mutex<Table<V>>>,
    key: Key,
    id: u64,
}

impl<V> Drop for End<V> {
    fn drop(&mut self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.flying.get(&self.key).is_some_and(|flight| flight.id == self.id) {
            table.flying.remove(&self.key);
        }
    }
}
