//! What a queue is to do, in plain memory: the places of its jobs, who holds what, and what becomes of them.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::delivery::Marks;
use crate::job::{Conflict, Hold, NewJob, Past};
use crate::limits::{GroupLimits, Limits};
use crate::priority::Priority;
use crate::producer::Pushed;

/// A due time that is so far ahead that its exact value does not matter.
pub(super) const SOME_DAY: i64 = i64::MAX;

/// Where a job is, and what it has there.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum At {
    /// Until this time.
    Scheduled(i64),
    Ready,
    Suspect,
    Leased(Vec<u8>),
    Dead,
    /// Until a worker can read this.
    Newer(String),
    /// Until the end of this batch.
    Batch(Uuid),
}

#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) job: NewJob,
    pub(super) at: At,
    pub(super) marks: Marks,
    /// The priority of its line.
    pub(super) line: Priority,
    /// The lower, the earlier it stands in its line.
    pub(super) order: i64,
    /// An entry that it had left behind may have lent it its place: its priority and order are not known.
    pub(super) strayed: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Batch {
    pub(super) open: bool,
    pub(super) members: i64,
    /// None if it was removed.
    pub(super) callback: Option<Uuid>,
}

/// Who has a unique key, and how it is to be given back.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Holder {
    pub(super) id: Uuid,
    pub(super) for_a_time: bool,
    pub(super) expired: bool,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) jobs: BTreeMap<Uuid, Job>,
    pub(super) batches: BTreeMap<Uuid, Batch>,
    pub(super) unique: BTreeMap<String, Holder>,
    /// Entries of lines that their jobs have left.
    pub(super) stale: BTreeMap<Uuid, i64>,
    pub(super) cancelling: BTreeSet<Uuid>,
    pub(super) registered: BTreeSet<String>,
    pub(super) paused: bool,
    pub(super) limits: Limits,
    pub(super) policies: BTreeMap<String, GroupLimits>,
    pub(super) token: u64,
    /// The orders of the last and of the first in all lines.
    pub(super) last: i64,
    pub(super) first: i64,
}

impl Model {
    pub(super) fn push(&mut self, job: &NewJob) -> Pushed {
        if self.jobs.contains_key(&job.id) {
            return Pushed::Known;
        }
        if let Some(unique) = &job.unique {
            let holder = self.unique.get(&unique.key).filter(|holder| !holder.expired && holder.id != job.id);
            if let Some(outcome) = holder.cloned().and_then(|holder| self.meet(holder.id, job)) {
                return outcome;
            }
            let for_a_time = matches!(unique.hold, Hold::For(_));
            self.unique.insert(unique.key.clone(), Holder { id: job.id, for_a_time, expired: false });
        }
        self.store(job.clone());
        Pushed::Stored
    }

    /// What becomes of `job` if another job has its unique key; nothing if it is stored all the same.
    fn meet(&mut self, other: Uuid, job: &NewJob) -> Option<Pushed> {
        let unique = job.unique.as_ref().unwrap();
        if unique.conflict == Conflict::Keep {
            return Some(Pushed::KeptOut);
        }
        let held = self.jobs.get(&other).filter(|held| {
            let same = held.job.unique.as_ref().is_some_and(|own| own.key == unique.key);
            same && !matches!(held.at, At::Dead | At::Leased(_) | At::Batch(_))
        });
        if held.is_some() {
            self.merge(other, job);
            return Some(Pushed::Merged);
        }
        let runs = self.jobs.get(&other).is_some_and(|held| matches!(held.at, At::Leased(_)));
        (!runs && matches!(unique.hold, Hold::For(_))).then_some(Pushed::KeptOut)
    }

    fn merge(&mut self, other: Uuid, job: &NewJob) {
        let pushed_back = job.unique.as_ref().unwrap().conflict == Conflict::PushBack;
        let held = self.jobs.get_mut(&other).unwrap();
        held.job.payload = job.payload.clone();
        if pushed_back {
            if held.at == At::Ready {
                *self.stale.entry(other).or_default() += 1;
                held.strayed |= held.line != held.job.priority;
            }
            if !matches!(held.at, At::Scheduled(_)) {
                held.line = held.job.priority;
            }
            held.at = At::Scheduled(job.due.unwrap_or(0));
        } else if matches!(held.at, At::Newer(_)) {
            self.line_up(other);
        }
    }

    fn store(&mut self, job: NewJob) {
        let releases = u32::from(job.past == Past::Unknown);
        let batch = job.batch.filter(|batch| self.batches.contains_key(batch));
        if let Some(batch) = batch {
            self.batches.get_mut(&batch).unwrap().members += 1;
        }
        let (id, due) = (job.id, job.due.unwrap_or(0));
        let strayed = self.stale.get(&id).is_some_and(|entries| *entries > 0);
        let marks = Marks { releases, ..Marks::default() };
        let (at, line) = (At::Scheduled(due), job.priority);
        self.jobs.insert(id, Job { job: NewJob { batch, ..job }, at, marks, line, order: 0, strayed });
        if due < *super::trial::FAR {
            self.line_up(id);
        }
    }

    /// Makes a job ready, last in its line.
    pub(super) fn line_up(&mut self, id: Uuid) {
        self.last += 1;
        let job = self.jobs.get_mut(&id).unwrap();
        (job.at, job.order) = (At::Ready, self.last);
    }

    /// The job will not run any more.
    pub(super) fn let_go(&mut self, job: &NewJob) {
        if let Some(unique) = &job.unique
            && self.unique.get(&unique.key).is_some_and(|holder| holder.id == job.id && !holder.for_a_time)
        {
            self.unique.remove(&unique.key);
        }
        if let Some(batch) = job.batch
            && let Some(left) = self.batches.get_mut(&batch)
        {
            left.members -= 1;
            self.end_batch(batch);
        }
    }

    fn end_batch(&mut self, batch: Uuid) {
        if self.batches[&batch].open || self.batches[&batch].members > 0 {
            return;
        }
        if let Some(callback) = self.batches.remove(&batch).unwrap().callback {
            self.line_up(callback);
        }
    }

    /// Whether the batch was opened.
    pub(super) fn open(&mut self, batch: Uuid, callback: &NewJob) -> bool {
        if self.batches.contains_key(&batch) || self.jobs.contains_key(&callback.id) {
            return false;
        }
        let strayed = self.stale.get(&callback.id).is_some_and(|entries| *entries > 0);
        let own = callback.batch.filter(|own| self.batches.contains_key(own));
        if let Some(own) = own {
            self.batches.get_mut(&own).unwrap().members += 1;
        }
        let job = NewJob { batch: own, due: None, ..callback.clone() };
        let (at, line) = (At::Batch(batch), job.priority);
        let held = Job { job, at, marks: Marks::default(), line, order: 0, strayed };
        self.jobs.insert(callback.id, held);
        self.batches.insert(batch, Batch { open: true, members: 0, callback: Some(callback.id) });
        true
    }

    /// Whether the batch was closed.
    pub(super) fn close(&mut self, batch: Uuid) -> bool {
        let Some(closed) = self.batches.get_mut(&batch).filter(|batch| batch.open) else { return false };
        closed.open = false;
        self.end_batch(batch);
        true
    }

    pub(super) fn readmit(&mut self, readable: &[String]) -> u64 {
        let first = self.first;
        let waiting =
            self.jobs.values_mut().filter(|job| matches!(&job.at, At::Newer(needs) if readable.contains(needs)));
        waiting.map(|job| (job.at, job.order) = (At::Ready, first)).count() as u64
    }
}
