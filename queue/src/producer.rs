//! Pushing: callers that push at the same time share a round trip, and each waits until its jobs are stored.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::engine::Engine;
use crate::error::Error;
use crate::job::{Conflict, Hold, NewJob, Past, batch_name};
use crate::keys::Keys;
use crate::partition::part_of;
use crate::scripts::{self, Call};

/// The most jobs in one call, so that no call takes longer than a few milliseconds.
const BATCH_JOBS: usize = 256;
/// The most bytes of payload in one call, unless one job alone has more.
const BATCH_BYTES: usize = 512 * 1024;
/// Pushes that wait for their turn before a caller waits to hand its own over.
const BACKLOG: usize = 1024;

/// What became of a pushed job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is stored.
    Stored,
    /// Its id was there already.
    Known,
    /// Another job holds its unique key: it was dropped.
    KeptOut,
    /// Another job holds its unique key, and took over its payload.
    Merged,
}

/// Pushes jobs to any queue. Cheap to clone; its tasks, one for each queue, end with the last clone.
#[derive(Clone, Debug)]
pub struct Producer {
    engine: Engine,
    /// Where each queue's pushes gather. In a cluster a queue whose node is away must not hold up the others.
    queues: Arc<Mutex<HashMap<String, mpsc::Sender<Push>>>>,
}

struct Push {
    jobs: Vec<NewJob>,
    outcomes: oneshot::Sender<Result<Vec<Pushed>, Error>>,
}

impl Producer {
    pub(crate) fn start(engine: Engine) -> Self {
        Self { engine, queues: Arc::default() }
    }

    /// Where the pushes to a queue gather, or to one of its partitions.
    fn pushes_to(&self, queue: &str) -> Result<mpsc::Sender<Push>, Error> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pushes) = queues.get(queue) {
            return Ok(pushes.clone());
        }
        let keys = self.engine.keys(queue)?;
        let (pushes, received) = mpsc::channel(BACKLOG);
        tokio::spawn(serve(received, keys, self.engine.clone()));
        queues.insert(queue.to_owned(), pushes.clone());
        Ok(pushes)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Pushes `jobs` to `queue` and returns what became of each, once Redis has stored them.
    ///
    /// # Errors
    /// If a job cannot be used, in which case nothing is pushed; or if Redis failed, in which case some of a large number
    /// of jobs may have been stored: pushing all of them again is harmless.
    pub async fn push(&self, queue: &str, jobs: Vec<NewJob>) -> Result<Vec<Pushed>, Error> {
        jobs.iter().try_for_each(NewJob::check)?;
        match self.engine.partitions_of(queue) {
            1 => self.push_to(queue, jobs).await,
            partitions => self.push_spread(queue, partitions, jobs).await,
        }
    }

    /// Pushes each job to its partition, and returns the outcomes in the order of the jobs.
    async fn push_spread(&self, queue: &str, partitions: u32, jobs: Vec<NewJob>) -> Result<Vec<Pushed>, Error> {
        let order: Vec<_> = jobs.iter().map(|job| part_of(job, partitions)).collect();
        let mut shares: Vec<Vec<NewJob>> = (0..partitions).map(|_| Vec::new()).collect();
        for (job, part) in jobs.into_iter().zip(&order) {
            shares[*part as usize].push(job);
        }
        let pushes = shares.into_iter().zip(self.engine.parts(queue)).map(async |(share, part)| {
            if share.is_empty() { Ok(Vec::new()) } else { self.push_to(&part, share).await }
        });
        let outcomes = futures_util::future::try_join_all(pushes).await?;
        let mut outcomes: Vec<_> = outcomes.into_iter().map(Vec::into_iter).collect();
        Ok(order.into_iter().filter_map(|part| outcomes[part as usize].next()).collect())
    }

    async fn push_to(&self, queue: &str, jobs: Vec<NewJob>) -> Result<Vec<Pushed>, Error> {
        let pushes = self.pushes_to(queue)?;
        let mut rest = jobs;
        let mut outcomes = Vec::with_capacity(rest.len());
        while !rest.is_empty() {
            let chunk: Vec<_> = rest.drain(..chunk_length(&rest)).collect();
            let (reply, answer) = oneshot::channel();
            pushes.send(Push { jobs: chunk, outcomes: reply }).await.map_err(|_| Error::Stopped)?;
            outcomes.extend(answer.await.map_err(|_| Error::Stopped)??);
        }
        Ok(outcomes)
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

/// Pushes what callers have handed over. While one call is under way the next gathers.
async fn serve(mut received: mpsc::Receiver<Push>, keys: Keys, engine: Engine) {
    let mut pushes = Vec::new();
    while received.recv_many(&mut pushes, BATCH_JOBS).await > 0 {
        store(&mut pushes, &keys, &engine).await;
    }
}

async fn store(pushes: &mut Vec<Push>, keys: &Keys, engine: &Engine) {
    let mut rest = pushes.drain(..).peekable();
    while rest.peek().is_some() {
        let (mut batch, mut jobs, mut bytes) = (Vec::new(), 0, 0);
        while let Some(push) = rest.next_if(|push| {
            jobs += push.jobs.len();
            bytes += push.jobs.iter().map(|job| job.payload.len()).sum::<usize>();
            batch.is_empty() || (jobs <= BATCH_JOBS && bytes <= BATCH_BYTES)
        }) {
            batch.push(push);
        }
        answer(call(&batch, keys, engine).await, batch);
    }
}

async fn call(batch: &[Push], keys: &Keys, engine: &Engine) -> Result<Vec<Pushed>, Error> {
    let mut push = scripts::PUSH.on(keys);
    for job in batch.iter().flat_map(|push| &push.jobs) {
        add(&mut push, job);
    }
    let answer: String = scripts::call(&push, &mut engine.connection.clone()).await?;
    answer.bytes().map(outcome).collect::<Option<_>>().ok_or(Error::Answer { script: scripts::PUSH.name })
}

fn add(push: &mut Call, job: &NewJob) {
    let more = if job.is_extended() { b'+' } else { b'-' };
    let head = [b'0' + job.priority as u8, b'0' + u8::from(job.past == Past::Unknown), more];
    push.arg(job.id.as_bytes()).arg(&head).arg(job.due.unwrap_or(0)).arg(job.stored());
    if job.is_extended() {
        let (key, mode, period) = job.unique.as_ref().map_or(("", "", String::new()), |unique| {
            let mode = match unique.conflict {
                Conflict::Keep => "k",
                Conflict::Replace => "r",
                Conflict::PushBack => "p",
            };
            let period = match unique.hold {
                Hold::UntilDone => String::new(),
                Hold::For(period) => period.as_millis().to_string(),
            };
            (unique.key.as_str(), mode, period)
        });
        push.arg(job.group.as_deref().unwrap_or_default()).arg(key).arg(mode).arg(period);
        push.arg(job.batch.map(batch_name).unwrap_or_default());
    }
}

fn outcome(flag: u8) -> Option<Pushed> {
    match flag {
        b'0' => Some(Pushed::Known),
        b'1' => Some(Pushed::Stored),
        b'2' => Some(Pushed::KeptOut),
        b'3' => Some(Pushed::Merged),
        _ => None,
    }
}

/// Tells each caller what became of its jobs.
fn answer(result: Result<Vec<Pushed>, Error>, batch: Vec<Push>) {
    match result {
        Ok(outcomes) => {
            let mut outcomes = outcomes.into_iter();
            for push in batch {
                let own = outcomes.by_ref().take(push.jobs.len()).collect();
                // A caller that has gone away does not want to know.
                let _ = push.outcomes.send(Ok(own));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for push in batch {
                let _ = push.outcomes.send(Err(Error::Shared(Arc::clone(&error))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::job::MAX_PAYLOAD;

    fn job(bytes: usize) -> NewJob {
        NewJob::new(Uuid::now_v7(), vec![0; bytes])
    }

    #[test]
    fn a_call_carries_a_bounded_number_of_jobs_and_bytes() {
        assert_eq!(chunk_length(&vec![job(1); 1000]), BATCH_JOBS);
        assert_eq!(chunk_length(&vec![job(BATCH_BYTES / 2); 5]), 2);
        assert_eq!(chunk_length(&vec![job(MAX_PAYLOAD); 5]), 1, "one job goes however large it is");
    }
}
