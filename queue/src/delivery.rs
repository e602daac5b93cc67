//! A job in the hands of this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::progress::Reporter;
use crate::settler::Settler;

/// A job that was running when this many processes died runs beside no other such job: so the cause is found.
pub(crate) const DEATHS_OF_A_SUSPECT: u32 = 2;

/// The right to run a job: priority, process and fencing token, as Redis wrote it. Every later transition shows it, and
/// is refused once the lease has gone to somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lease(pub(crate) Arc<[u8]>);

impl Lease {
    /// The process that holds it: eight characters after the priority.
    pub(crate) fn process(&self) -> Option<&[u8]> {
        self.0.get(1..9)
    }
}

/// A claimed job.
#[derive(Debug)]
pub struct Delivery {
    /// The job.
    pub id: Uuid,
    /// What was pushed.
    pub payload: Bytes,
    /// What happened to it before.
    pub marks: Marks,
    /// After this time, in ms since 1970, it does not matter any more.
    pub deadline: Option<i64>,
    /// Set when somebody wants it to end, see [`crate::Inspector::cancel`]. A handler that goes on for longer than
    /// [`crate::CANCEL_GRACE`] is aborted at its next await.
    pub cancelled: CancellationToken,
    /// Tells how far it is.
    pub reporter: Reporter,
    pub(crate) lease: Lease,
    /// Who settles it.
    pub(crate) settler: Settler,
    /// This job's place among the running ones, until the layer that settles it takes it.
    pub(crate) place: Option<OwnedSemaphorePermit>,
}

/// How a job's earlier deliveries ended. A first delivery has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Handlers that failed.
    pub failures: u32,
    /// Processes that died while they ran it.
    pub deaths: u32,
    /// Times it was given back uncharged.
    pub releases: u32,
}

impl Marks {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let mut numbers = text.split(':').map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self { failures: next()?, deaths: next()?, releases: next()? })
    }

    /// True if the job may have run before.
    #[must_use]
    pub fn seen_before(self) -> bool {
        self != Self::default()
    }
}

/// What becomes of a delivered job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done, in whatever way: nothing of it stays.
    Complete,
    /// It failed: charged, and delivered again after the delay.
    Retry(Duration),
    /// It is too early: uncharged, and delivered again after the delay.
    Snooze(Duration),
    /// It goes back to the head of its line, uncharged.
    Release,
    /// This worker cannot read it: it waits, uncharged, until a worker comes that can read what is named here, see
    /// [`crate::Upkeep::reading`].
    Unreadable(String),
    /// It goes to the dead letters with this evidence (JSON).
    Bury(String),
}

/// The jobs in the hands of this process, of one queue. Guards against leases that Redis gave but whose answer was lost.
#[derive(Clone, Debug, Default)]
pub(crate) struct InHand {
    held: Arc<Mutex<HashMap<Uuid, Held>>>,
    /// Rings when a suspect has ended: the next one may be claimed.
    bell: Arc<Notify>,
}

#[derive(Clone, Debug)]
struct Held {
    lease: Lease,
    suspect: bool,
    cancelled: CancellationToken,
}

impl InHand {
    pub(crate) fn new(bell: Arc<Notify>) -> Self {
        Self { held: Arc::default(), bell }
    }

    /// Holds `id`; the token tells when it is to end.
    pub(crate) fn insert(&self, id: Uuid, lease: Lease, marks: Marks) -> CancellationToken {
        let cancelled = CancellationToken::new();
        let suspect = marks.deaths >= DEATHS_OF_A_SUSPECT;
        self.lock().insert(id, Held { lease, suspect, cancelled: cancelled.clone() });
        cancelled
    }

    /// Tells the handler of `id`, if it runs here, to end.
    pub(crate) fn cancel(&self, id: Uuid) {
        if let Some(held) = self.lock().get(&id) {
            held.cancelled.cancel();
        }
    }

    /// Forgets `id` if it is still held under `lease`.
    pub(crate) fn remove(&self, id: Uuid, lease: &Lease) {
        let mut held = self.lock();
        if held.get(&id).is_some_and(|held| held.lease == *lease)
            && let Some(removed) = held.remove(&id)
            && removed.suspect
        {
            self.bell.notify_one();
        }
    }

    pub(crate) fn holds(&self, id: Uuid, lease: &Lease) -> bool {
        self.lock().get(&id).is_some_and(|held| held.lease == *lease)
    }

    /// Whether one of them is a suspect: then this process takes no other.
    pub(crate) fn has_suspect(&self) -> bool {
        self.lock().values().any(|held| held.suspect)
    }

    pub(crate) fn all(&self) -> Vec<(Uuid, Lease)> {
        self.lock().iter().map(|(id, held)| (*id, held.lease.clone())).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_redis_writes_them() {
        assert_eq!(Marks::parse(""), Some(Marks::default()));
        assert_eq!(Marks::parse("2:1:0"), Some(Marks { failures: 2, deaths: 1, releases: 0 }));
        assert_eq!(Marks::parse("2:1"), None);
        assert!(Marks::parse("0:0:1").unwrap().seen_before());
        assert!(!Marks::default().seen_before());
    }
}
