//! The one trait, and its erased form that the table of kinds holds.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use bellwork_queue::{Priority, RetryPolicy};
use bellwork_shared::cache::Scope;
use bellwork_shared::events::Event;
use bellwork_shared::ids::{JobId, UserId};
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sqlx::PgConnection;

use crate::context::Context;
use crate::failure::Failure;
use crate::queues::Queue;
use crate::recording::Recording;

/// A kind of job: its payload and what is done with it. Payloads carry ids; a row that has vanished is a success.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + Sized + 'static {
    /// The stored name, a contract: never changed while rows hold it.
    const KIND: &'static str;
    /// The shape of the payload. Raise it when an old worker could not read a new one; new fields have defaults.
    const VERSION: u16 = 1;
    /// Where it waits.
    const QUEUE: &'static Queue;
    /// Which of two ready jobs of the queue runs first.
    const PRIORITY: Priority = Priority::Normal;
    /// How often it may fail before it is given up.
    const MAX_ATTEMPTS: u16 = 5;
    /// The longest one run may take.
    const TIMEOUT: Duration = Duration::from_secs(30);

    /// How long it waits after a failure; none: as the configuration says.
    const RETRY: Option<RetryPolicy> = None;

    /// What `run` found, for `record` to write.
    type Output: Send + 'static;

    /// Does what touches the outside world. No transaction is open. May happen more than once: whoever is called outside
    /// gets the job's id as idempotency key.
    fn run(&self, context: Context<'_>) -> impl Future<Output = Result<Self::Output, Failure>> + Send;

    /// Writes the effects in the transaction that closes the job's row: they happen exactly once.
    fn record(
        &self,
        output: Self::Output,
        recording: &mut Recording<'_>,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// The events that the commit of `record` announced, read again from the rows: for a second delivery, in case the
    /// first process died before it published.
    fn announced(
        _job: JobId,
        _conn: &mut PgConnection,
    ) -> impl Future<Output = sqlx::Result<Vec<(UserId, Event)>>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// What the commit of `record` outdated in the caches, by the rows: for a second delivery, as with `announced`. More
    /// than that does no harm.
    fn outdated(&self, _conn: &mut PgConnection) -> impl Future<Output = sqlx::Result<Vec<Scope>>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// Writes what follows when the job is given up, in the transaction that closes its row as dead.
    fn buried(&self, _recording: &mut Recording<'_>) -> impl Future<Output = anyhow::Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Writes what follows when `_job`, which is this one, is cancelled, in the transaction that then closes its row.
    fn cancelled(&self, _job: JobId, _conn: &mut PgConnection) -> impl Future<Output = sqlx::Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Undoes `buried` and `cancelled`, in the transaction in which an operator opens the job again.
    fn reopened(&self, _conn: &mut PgConnection) -> impl Future<Output = sqlx::Result<()>> + Send {
        std::future::ready(Ok(()))
    }
}

/// A decoded job of some kind.
pub trait Decoded: Send + Sync {
    /// See [`Job::run`].
    fn run<'a>(&'a self, context: Context<'a>) -> BoxFuture<'a, Result<Box<dyn Ran + 'a>, Failure>>;
    /// See [`Job::outdated`].
    fn outdated<'a>(&'a self, conn: &'a mut PgConnection) -> BoxFuture<'a, sqlx::Result<Vec<Scope>>>;
    /// See [`Job::buried`].
    fn buried<'a>(&'a self, recording: &'a mut Recording<'_>) -> BoxFuture<'a, anyhow::Result<()>>;
    /// See [`Job::cancelled`].
    fn cancelled<'a>(&'a self, job: JobId, conn: &'a mut PgConnection) -> BoxFuture<'a, sqlx::Result<()>>;
    /// See [`Job::reopened`].
    fn reopened<'a>(&'a self, conn: &'a mut PgConnection) -> BoxFuture<'a, sqlx::Result<()>>;
}

/// A job that has run and is to be recorded.
pub trait Ran: Send {
    /// See [`Job::record`].
    fn record<'b>(self: Box<Self>, recording: &'b mut Recording<'_>) -> BoxFuture<'b, anyhow::Result<()>>
    where
        Self: 'b;
}

struct Erased<J>(J);

struct Output<'a, J: Job> {
    job: &'a J,
    output: J::Output,
}

impl<J: Job> Decoded for Erased<J> {
    fn run<'a>(&'a self, context: Context<'a>) -> BoxFuture<'a, Result<Box<dyn Ran + 'a>, Failure>> {
        Box::pin(async move {
            let output = self.0.run(context).await?;
            Ok(Box::new(Output { job: &self.0, output }) as Box<dyn Ran + 'a>)
        })
    }

    fn outdated<'a>(&'a self, conn: &'a mut PgConnection) -> BoxFuture<'a, sqlx::Result<Vec<Scope>>> {
        Box::pin(self.0.outdated(conn))
    }

    fn buried<'a>(&'a self, recording: &'a mut Recording<'_>) -> BoxFuture<'a, anyhow::Result<()>> {
        Box::pin(self.0.buried(recording))
    }

    fn cancelled<'a>(&'a self, job: JobId, conn: &'a mut PgConnection) -> BoxFuture<'a, sqlx::Result<()>> {
        Box::pin(self.0.cancelled(job, conn))
    }

    fn reopened<'a>(&'a self, conn: &'a mut PgConnection) -> BoxFuture<'a, sqlx::Result<()>> {
        Box::pin(self.0.reopened(conn))
    }
}

impl<J: Job> Ran for Output<'_, J> {
    fn record<'b>(self: Box<Self>, recording: &'b mut Recording<'_>) -> BoxFuture<'b, anyhow::Result<()>>
    where
        Self: 'b,
    {
        Box::pin(async move { self.job.record(self.output, recording).await })
    }
}

type Announced = for<'a> fn(JobId, &'a mut PgConnection) -> BoxFuture<'a, sqlx::Result<Vec<(UserId, Event)>>>;

/// A row of the table of kinds.
pub struct Kind {
    /// See [`Job::KIND`].
    pub name: &'static str,
    /// See [`Job::VERSION`].
    pub version: u16,
    /// See [`Job::QUEUE`].
    pub queue: &'static Queue,
    /// See [`Job::PRIORITY`].
    pub priority: Priority,
    /// See [`Job::MAX_ATTEMPTS`].
    pub max_attempts: u16,
    /// See [`Job::TIMEOUT`].
    pub timeout: Duration,
    /// See [`Job::RETRY`].
    pub retry: Option<RetryPolicy>,
    /// Reads a payload of this kind.
    pub decode: fn(&RawValue) -> serde_json::Result<Box<dyn Decoded>>,
    /// See [`Job::announced`].
    pub announced: Announced,
}

impl Kind {
    /// The row of `J`.
    #[must_use]
    pub const fn of<J: Job>() -> Self {
        Self {
            name: J::KIND,
            version: J::VERSION,
            queue: J::QUEUE,
            priority: J::PRIORITY,
            max_attempts: J::MAX_ATTEMPTS,
            timeout: J::TIMEOUT,
            retry: J::RETRY,
            decode: |payload| Ok(Box::new(Erased(serde_json::from_str::<J>(payload.get())?))),
            announced: |job, conn| Box::pin(J::announced(job, conn)),
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).field("version", &self.version).finish_non_exhaustive()
    }
}
