//! Claiming: as many jobs in one round trip as there are free places, then sleep until a push, the next due time, a free
//! place, or the poll.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use redis::Value;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tracing::warn;
use uuid::Uuid;

use crate::audit::Audit;
use crate::delivery::{DEATHS_OF_A_SUSPECT, Delivery, InHand, Lease, Marks, Verdict};
use crate::error::Error;
use crate::job::read_stored;
use crate::process::ProcessId;
use crate::progress::{Reporter, Source};
use crate::scripts;
use crate::settler::{Settlement, Settler};

/// The most jobs claimed in one call.
const BATCH: usize = 200;
/// The most due jobs promoted in one call.
const PROMOTIONS: usize = 200;
/// An idle claimer looks this often, in case a wake-up was lost.
const POLL_EVERY: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Claimed jobs on their way to the worker.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    deliveries: Mutex<VecDeque<Delivery>>,
    waker: AtomicWaker,
}

impl Buffer {
    fn push(&self, delivery: Delivery) {
        self.lock().push_back(delivery);
        self.waker.wake();
    }

    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Delivery> {
        self.waker.register(cx.waker());
        self.lock().pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    fn take_all(&self) -> VecDeque<Delivery> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Delivery>> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Claims the jobs of one queue for this process.
pub(crate) struct Claimer {
    pub(crate) source: Arc<Source>,
    pub(crate) process: ProcessId,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) buffer: Arc<Buffer>,
    pub(crate) in_hand: InHand,
    pub(crate) settler: Settler,
    pub(crate) bell: Arc<Notify>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// What a claim found.
struct Claimed {
    now: i64,
    /// When something may be ready that is not now.
    again: Option<i64>,
    promoted: usize,
    /// Ids taken out of lines, those of removed jobs too.
    taken: usize,
    /// Whether more lanes wait for a look than one call may take.
    busy: bool,
    jobs: Vec<ClaimedJob>,
}

struct ClaimedJob {
    id: Uuid,
    lease: Lease,
    marks: Marks,
    deadline: Option<i64>,
    payload: Bytes,
}

impl Claimer {
    /// Claims until it is told to stop, then gives back what the worker has not taken. A claim under way is never given
    /// up: its jobs would be leased to a process that does not know of them.
    pub(crate) async fn run(self) {
        let mut audit = Audit::begin();
        let mut pause = FIRST_PAUSE;
        while let Some(places) = self.places_or_stop(&mut audit).await {
            let wanted = places.len();
            let wait = match self.claim(wanted).await {
                Ok(claimed) => {
                    pause = FIRST_PAUSE;
                    let wait = wait_after(&claimed, wanted);
                    self.deliver(claimed.jobs, places);
                    wait
                }
                Err(error) => {
                    warn!(%error, queue = &*self.source.keys.queue, "nothing claimed");
                    drop(places);
                    audit.suspect();
                    let wait = pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    Some(wait)
                }
            };
            if audit.is_suspicious() {
                self.release_unknown(&mut audit).await;
            }
            if let Some(wait) = wait {
                self.sleep_or_stop(wait).await;
            }
        }
        if audit.is_suspicious() {
            self.release_unknown(&mut audit).await;
        }
        for delivery in self.buffer.take_all() {
            let Delivery { id, lease, .. } = delivery;
            self.settler.settle(Settlement { id, lease, verdict: Verdict::Release });
        }
    }

    /// Waits for free places, looking for forgotten leases now and then. None: it is time to stop.
    async fn places_or_stop(&self, audit: &mut Audit) -> Option<Vec<OwnedSemaphorePermit>> {
        let mut stop = self.stop.clone();
        loop {
            tokio::select! {
                biased;
                () = told_to_stop(&mut stop) => return None,
                () = tokio::time::sleep_until(audit.next) => {
                    audit.put_off();
                    self.release_unknown(audit).await;
                }
                places = self.free_places() => return Some(places),
            }
        }
    }

    /// Waits for a free place and takes all there are, up to a batch.
    async fn free_places(&self) -> Vec<OwnedSemaphorePermit> {
        let first = Arc::clone(&self.places).acquire_owned().await;
        let mut places = vec![first.expect("the semaphore is never closed")];
        while places.len() < BATCH
            && let Ok(place) = Arc::clone(&self.places).try_acquire_owned()
        {
            places.push(place);
        }
        places
    }

    async fn claim(&self, wanted: usize) -> Result<Claimed, Error> {
        let mut claim = scripts::CLAIM.on(&self.source.keys);
        let suspect = u8::from(!self.in_hand.has_suspect());
        claim.arg(self.process.as_str()).arg(wanted).arg(PROMOTIONS).arg(suspect).arg(DEATHS_OF_A_SUSPECT);
        let answer: Value = scripts::call(&claim, &mut self.source.engine.connection.clone()).await?;
        read(answer).ok_or(Error::Answer { script: scripts::CLAIM.name })
    }

    fn deliver(&self, jobs: Vec<ClaimedJob>, places: Vec<OwnedSemaphorePermit>) {
        for (job, place) in jobs.into_iter().zip(places) {
            let cancelled = self.in_hand.insert(job.id, job.lease.clone(), job.marks);
            let ClaimedJob { id, lease, marks, deadline, payload } = job;
            let reporter = Reporter::new(Arc::clone(&self.source), id, lease.clone());
            let (settler, place) = (self.settler.clone(), Some(place));
            let delivery = Delivery { id, payload, marks, deadline, cancelled, reporter, lease, settler, place };
            self.buffer.push(delivery);
        }
    }

    async fn sleep_or_stop(&self, wait: Duration) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = told_to_stop(&mut stop) => {}
            () = self.bell.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone says the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// How long to sleep after a claim; not at all if more may be ready.
fn wait_after(claimed: &Claimed, wanted: usize) -> Option<Duration> {
    if claimed.taken == wanted || claimed.promoted == PROMOTIONS || claimed.busy {
        return None;
    }
    let until = claimed.again.map(|again| Duration::from_millis(u64::try_from(again - claimed.now).unwrap_or(0)));
    Some(until.map_or(POLL_EVERY, |until| until.min(POLL_EVERY)))
}

fn read(answer: Value) -> Option<Claimed> {
    let Value::Array(fields) = answer else { return None };
    let [now, again, promoted, taken, busy, ids, leases, marks, jobs] = <[Value; 9]>::try_from(fields).ok()?;
    let columns = strings(ids)?.into_iter().zip(strings(leases)?).zip(strings(marks)?).zip(strings(jobs)?);
    let jobs = columns.map(|(((id, lease), marks), stored)| read_job(&id, lease, &marks, stored));
    let again = integer(&again)?;
    Some(Claimed {
        now: integer(&now)?,
        again: (again >= 0).then_some(again),
        promoted: usize::try_from(integer(&promoted)?).ok()?,
        taken: usize::try_from(integer(&taken)?).ok()?,
        busy: integer(&busy)? == 1,
        jobs: jobs.collect::<Option<_>>()?,
    })
}

fn read_job(id: &[u8], lease: Vec<u8>, marks: &[u8], stored: Vec<u8>) -> Option<ClaimedJob> {
    let (options, payload) = read_stored(stored.into());
    Some(ClaimedJob {
        id: Uuid::from_slice(id).ok()?,
        lease: Lease(lease.into()),
        marks: Marks::parse(std::str::from_utf8(marks).ok()?)?,
        deadline: options.deadline,
        payload,
    })
}

fn integer(value: &Value) -> Option<i64> {
    if let Value::Int(number) = value { Some(*number) } else { None }
}

fn strings(value: Value) -> Option<Vec<Vec<u8>>> {
    let Value::Array(values) = value else { return None };
    let string = |value| match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::Nil => Some(Vec::new()),
        _ => None,
    };
    values.into_iter().map(string).collect()
}

#[cfg(test)]
mod tests {
    use bellwork_testkit::test_run::redis_url;

    use super::*;
    use crate::engine::Engine;
    use crate::job::NewJob;

    fn claimed(jobs: usize, promoted: usize, again: Option<i64>) -> Claimed {
        let job = || ClaimedJob {
            id: Uuid::now_v7(),
            lease: Lease(b"2".as_slice().into()),
            marks: Marks::default(),
            deadline: None,
            payload: Bytes::new(),
        };
        let jobs_claimed = (0..jobs).map(|_| job()).collect();
        Claimed { now: 1000, again, promoted, taken: jobs, busy: false, jobs: jobs_claimed }
    }

    #[test]
    fn a_claimer_sleeps_until_the_next_due_job_and_never_longer_than_its_poll() {
        for (found, wait) in [
            (claimed(5, 0, None), None),
            (claimed(3, PROMOTIONS, None), None),
            (claimed(3, 0, None), Some(POLL_EVERY)),
            (claimed(0, 0, Some(1250)), Some(Duration::from_millis(250))),
            (claimed(0, 0, Some(1_000_000)), Some(POLL_EVERY)),
            (claimed(0, 0, Some(900)), Some(Duration::ZERO)),
        ] {
            assert_eq!(wait_after(&found, 5), wait, "{} jobs, due {:?}", found.jobs.len(), found.again);
        }
        let busy = Claimed { busy: true, ..claimed(0, 0, None) };
        assert_eq!(wait_after(&busy, 5), None, "more lanes wait for a look");
    }

    async fn claimer() -> Claimer {
        let engine = Engine::new(redis_url().parse().unwrap(), &format!("test-{}", Uuid::new_v4().simple()));
        let keys = Arc::new(engine.keys("work").unwrap());
        let in_hand = InHand::default();
        let (_, stop) = watch::channel(false);
        Claimer {
            settler: Settler::start(engine.clone(), Arc::clone(&keys), in_hand.clone()),
            process: ProcessId::new(),
            places: Arc::new(Semaphore::new(10)),
            buffer: Arc::default(),
            bell: Arc::default(),
            source: Arc::new(Source { engine, keys }),
            in_hand,
            stop,
        }
    }

    #[tokio::test]
    async fn jobs_whose_claim_was_never_answered_are_released_and_others_are_kept() {
        let claimer = claimer().await;
        let job = || NewJob::new(Uuid::now_v7(), "payload");
        claimer.source.engine.producer().push("work", (0..5).map(|_| job()).collect()).await.unwrap();
        let kept = claimer.claim(2).await.unwrap();
        let places = claimer.free_places().await;
        claimer.deliver(kept.jobs, places);
        drop(claimer.claim(3).await.unwrap());
        let inspector = claimer.source.engine.inspector();
        assert_eq!(inspector.counts("work").await.unwrap().running, 5);

        let mut audit = Audit::begin();
        audit.suspect();
        claimer.release_unknown(&mut audit).await;
        claimer.settler.flush().await;
        let counts = inspector.counts("work").await.unwrap();
        assert_eq!((counts.running, counts.ready_total()), (2, 3));
    }
}
