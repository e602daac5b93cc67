//! Pushing: callers that push at the same time share a round trip, and each waits until its jobs are stored.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::engine::Engine;
use crate::error::Error;
use crate::keys::Keys;
use crate::priority::Priority;
use crate::scripts;

/// The largest payload, in bytes.
pub const MAX_PAYLOAD: usize = 1024 * 1024;
/// So many jobs go in one call at the most, so that no call takes longer than a few milliseconds.
const BATCH_JOBS: usize = 256;
/// So many bytes of payload go in one call at the most, unless one job alone has more.
const BATCH_BYTES: usize = 512 * 1024;
/// So many pushes wait for their turn before a caller waits to hand its own over.
const BACKLOG: usize = 1024;

/// A job to be pushed.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id; a second push of an id changes nothing while the first is not finished.
    pub id: Uuid,
    /// Which of two ready jobs runs first.
    pub priority: Priority,
    /// What the worker gets.
    pub payload: Bytes,
    /// Not before this time, in ms since 1970; none: at once.
    pub due: Option<i64>,
    /// What is known of its past.
    pub past: Past,
}

/// Whether a job may have run before it is pushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Past {
    /// It has not.
    #[default]
    None,
    /// It may have: its delivery says so, see [`crate::Marks::seen_before`].
    Unknown,
}

/// Pushes jobs to any queue. Cheap to clone; its task ends with the last clone.
#[derive(Clone, Debug)]
pub struct Producer {
    pushes: mpsc::Sender<Push>,
    engine: Engine,
}

struct Push {
    keys: Arc<Keys>,
    jobs: Vec<NewJob>,
    stored: oneshot::Sender<Result<usize, Error>>,
}

impl Producer {
    pub(crate) fn start(engine: Engine) -> Self {
        let (pushes, received) = mpsc::channel(BACKLOG);
        tokio::spawn(serve(received, engine.clone()));
        Self { pushes, engine }
    }

    /// Pushes `jobs` to `queue` and returns how many were new, once Redis has stored them.
    ///
    /// # Errors
    /// If a job cannot be used, in which case nothing is pushed; or if Redis failed, in which case some of a large number
    /// of jobs may have been stored: pushing all of them again is harmless.
    pub async fn push(&self, queue: &str, jobs: Vec<NewJob>) -> Result<usize, Error> {
        let keys = Arc::new(self.engine.keys(queue)?);
        jobs.iter().try_for_each(check)?;
        let mut rest = jobs;
        let mut stored = 0;
        while !rest.is_empty() {
            let chunk: Vec<_> = rest.drain(..chunk_length(&rest)).collect();
            let (reply, answer) = oneshot::channel();
            let push = Push { keys: Arc::clone(&keys), jobs: chunk, stored: reply };
            self.pushes.send(push).await.map_err(|_| Error::Stopped)?;
            stored += answer.await.map_err(|_| Error::Stopped)??;
        }
        Ok(stored)
    }
}

/// No job waits longer than this.
const MAX_DELAY_MS: i64 = 10 * 366 * 24 * 3600 * 1000;

fn check(job: &NewJob) -> Result<(), Error> {
    if job.payload.len() > MAX_PAYLOAD {
        return Err(Error::PayloadTooLarge { id: job.id, bytes: job.payload.len(), limit: MAX_PAYLOAD });
    }
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    match job.due {
        Some(due) if due < 0 => Err(Error::Invalid { field: "due", reason: "must not lie before 1970" }),
        Some(due) if due > now.saturating_add(MAX_DELAY_MS) => {
            Err(Error::Invalid { field: "due", reason: "must not lie more than ten years ahead" })
        }
        _ => Ok(()),
    }
}

/// How many of `jobs` go in one call.
fn chunk_length(jobs: &[NewJob]) -> usize {
    let mut bytes = 0;
    let fitting = jobs.iter().take(BATCH_JOBS).take_while(|job| {
        bytes += job.payload.len();
        bytes <= BATCH_BYTES
    });
    fitting.count().max(1)
}

/// Takes what callers have handed over, and pushes it queue by queue. While one call is under way the next gathers.
async fn serve(mut received: mpsc::Receiver<Push>, engine: Engine) {
    let mut pushes = Vec::new();
    while received.recv_many(&mut pushes, BATCH_JOBS).await > 0 {
        let mut by_queue: HashMap<Arc<str>, Vec<Push>> = HashMap::new();
        for push in pushes.drain(..) {
            by_queue.entry(Arc::clone(&push.keys.queue)).or_default().push(push);
        }
        let calls = by_queue.into_values().map(|pushes| store(pushes, &engine));
        futures_util::future::join_all(calls).await;
    }
}

async fn store(pushes: Vec<Push>, engine: &Engine) {
    let mut rest = pushes.into_iter().peekable();
    while rest.peek().is_some() {
        let (mut batch, mut jobs, mut bytes) = (Vec::new(), 0, 0);
        while let Some(push) = rest.next_if(|push| {
            jobs += push.jobs.len();
            bytes += push.jobs.iter().map(|job| job.payload.len()).sum::<usize>();
            batch.is_empty() || (jobs <= BATCH_JOBS && bytes <= BATCH_BYTES)
        }) {
            batch.push(push);
        }
        answer(call(&batch, engine).await, batch);
    }
}

async fn call(batch: &[Push], engine: &Engine) -> Result<String, Error> {
    let keys = &batch[0].keys;
    let [critical, high, normal, low] = &keys.ready;
    let mut push =
        scripts::PUSH.keys([&*keys.jobs, critical, high, normal, low, &keys.scheduled, &keys.cancelled, &keys.marks]);
    push.arg(&*keys.wake);
    for job in batch.iter().flat_map(|push| &push.jobs) {
        push.arg(job.id.as_bytes()).arg(job.priority as u8).arg(job.due.unwrap_or(0));
        push.arg(u8::from(job.past == Past::Unknown)).arg(&job.payload[..]);
    }
    Ok(scripts::call(&push, &mut engine.connection.clone()).await?)
}

/// Tells each caller how many of its jobs were new.
fn answer(result: Result<String, Error>, batch: Vec<Push>) {
    match result {
        Ok(answer) => {
            let mut flags = scripts::flags(&answer);
            for push in batch {
                let stored = flags.by_ref().take(push.jobs.len()).filter(|stored| *stored).count();
                // A caller that has gone away does not want to know.
                let _ = push.stored.send(Ok(stored));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for push in batch {
                let _ = push.stored.send(Err(Error::Shared(Arc::clone(&error))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(bytes: usize) -> NewJob {
        NewJob {
            id: Uuid::now_v7(),
            priority: Priority::Normal,
            payload: vec![0; bytes].into(),
            due: None,
            past: Past::None,
        }
    }

    #[test]
    fn a_call_carries_a_bounded_number_of_jobs_and_bytes() {
        assert_eq!(chunk_length(&vec![job(1); 1000]), BATCH_JOBS);
        assert_eq!(chunk_length(&vec![job(BATCH_BYTES / 2); 5]), 2);
        assert_eq!(chunk_length(&vec![job(MAX_PAYLOAD); 5]), 1, "one job goes however large it is");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let due = |due| check(&NewJob { due: Some(due), ..job(1) });
        assert!(matches!(check(&job(MAX_PAYLOAD + 1)), Err(Error::PayloadTooLarge { .. })));
        assert!(matches!(due(i64::MAX), Err(Error::Invalid { field: "due", .. })));
        assert!(matches!(due(-1), Err(Error::Invalid { field: "due", .. })));
        assert!(due(1).is_ok());
    }
}
