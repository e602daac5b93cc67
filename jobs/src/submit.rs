//! Submitting a job: its ledger row in the caller's transaction, its push after the commit.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwork_queue::{NewJob as QueuedJob, Past, Priority, Producer};
use bellwork_shared::ids::{JobId, UserId};
use bellwork_shared::ledger::{self, NewJob};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use crate::envelope::Addressed;
use crate::job::Job;

/// How a submission differs from its kind's defaults.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The job's id, if the caller has chosen it.
    pub id: Option<JobId>,
    /// Instead of the kind's priority.
    pub priority: Option<Priority>,
    /// Not before.
    pub run_at: Option<DateTime<Utc>>,
    /// Whose turn it takes within a priority; none: the submitter's.
    pub group: Option<String>,
    /// The user on whose behalf it runs.
    pub submitter: Option<UserId>,
    /// The job whose `record` submits it.
    pub parent: Option<JobId>,
    /// The W3C trace context of the request that caused it.
    pub trace_parent: Option<String>,
}

/// The ledger row of `job`, to be written by [`ledger::insert`].
pub fn new_job<J: Job>(job: &J, options: Options) -> NewJob {
    NewJob {
        id: options.id.unwrap_or_else(JobId::new),
        kind: J::KIND,
        version: J::VERSION,
        queue: J::QUEUE.name,
        priority: options.priority.unwrap_or(J::PRIORITY) as i16,
        group: options.group.or_else(|| options.submitter.map(|user| user.to_string())),
        payload: serde_json::to_value(job).expect("payloads hold only ids, strings and numbers"),
        max_attempts: J::MAX_ATTEMPTS,
        run_at: options.run_at.unwrap_or_else(Utc::now),
        trace_parent: options.trace_parent,
        submitter: options.submitter,
        parent: options.parent,
    }
}

/// Pushes committed jobs to Redis and takes them from the outbox.
#[derive(Clone, Debug)]
pub struct Submitter {
    producer: Producer,
    pushed: mpsc::UnboundedSender<JobId>,
}

impl Submitter {
    /// Starts the task that clears the outbox; it ends when the last clone is gone, and the handle then resolves.
    #[must_use]
    pub fn start(producer: Producer, database: PgPool) -> (Self, JoinHandle<()>) {
        let (pushed, confirmations) = mpsc::unbounded_channel();
        (Self { producer, pushed }, tokio::spawn(clear_outbox(confirmations, database)))
    }

    /// Pushes jobs whose rows are committed. What Redis does not take now stays in the outbox, for the relay: the jobs
    /// are accepted already, so this cannot fail.
    pub async fn push<'a, J>(&self, jobs: &'a [J])
    where
        Addressed: From<&'a J>,
    {
        for (queue, jobs) in by_queue(jobs.iter().map(Addressed::from).collect()) {
            let ids: Vec<_> = jobs.iter().map(|job| JobId(job.id)).collect();
            match self.producer.push(&queue, jobs).await {
                Ok(_) => ids.into_iter().for_each(|id| {
                    // The receiver lives as long as any sender.
                    let _ = self.pushed.send(id);
                }),
                Err(error) => warn!(%error, queue, jobs = ids.len(), "not pushed; the relay will"),
            }
        }
    }

    /// Pushes jobs that nobody else will push, and leaves the outbox alone. Each may have run meanwhile, and its delivery
    /// will say so.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn insist(&self, jobs: Vec<Addressed>) -> Result<(), bellwork_queue::Error> {
        for (queue, mut jobs) in by_queue(jobs) {
            jobs.iter_mut().for_each(|job| job.past = Past::Unknown);
            self.producer.push(&queue, jobs).await?;
        }
        Ok(())
    }
}

fn by_queue(jobs: Vec<Addressed>) -> BTreeMap<String, Vec<QueuedJob>> {
    let mut queues: BTreeMap<String, Vec<QueuedJob>> = BTreeMap::new();
    for Addressed { queue, job } in jobs {
        queues.entry(queue).or_default().push(job);
    }
    queues
}

/// The most confirmations written at once.
const CONFIRM_BATCH: usize = 1000;
/// How long a confirmation waits for others. The relay leaves an outbox row alone for longer than this.
const CONFIRM_DELAY: Duration = Duration::from_millis(100);

async fn clear_outbox(mut pushed: mpsc::UnboundedReceiver<JobId>, database: PgPool) {
    let mut batch = Vec::with_capacity(CONFIRM_BATCH);
    while pushed.recv_many(&mut batch, CONFIRM_BATCH).await > 0 {
        if batch.len() < CONFIRM_BATCH {
            tokio::time::sleep(CONFIRM_DELAY).await;
            while batch.len() < CONFIRM_BATCH
                && let Ok(id) = pushed.try_recv()
            {
                batch.push(id);
            }
        }
        if let Err(error) = confirm(&database, &batch).await {
            debug!(%error, jobs = batch.len(), "the outbox was not cleared; the relay pushes these again, harmlessly");
        }
        batch.clear();
    }
}

async fn confirm(database: &PgPool, ids: &[JobId]) -> sqlx::Result<()> {
    let mut conn = database.acquire().await?;
    ledger::confirm_pushed(&mut conn, ids).await
}
