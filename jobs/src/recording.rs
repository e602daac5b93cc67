//! The transaction in which a job's effects, its follow-ups and the end of its own row are written.

use bellwork_shared::cache::Scope;
use bellwork_shared::events::Event;
use bellwork_shared::ids::{JobId, UserId};
use bellwork_shared::ledger::NewJob;
use bellwork_shared::personal_data::erasure;
use serde_json::Value;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::job::Job;
use crate::submit::{Options, new_job};

/// What `record` writes into. Nothing of it exists unless the whole commits. A job that writes nothing but its own end
/// costs no transaction: that begins with the first use.
#[derive(Debug)]
pub struct Recording<'a> {
    database: &'a PgPool,
    transaction: Option<Transaction<'static, Postgres>>,
    /// The job being recorded.
    pub job: JobId,
    /// The user on whose behalf it runs.
    pub submitter: Option<UserId>,
    trace_parent: Option<&'a str>,
    aftermath: Aftermath,
}

/// What remains to be done after the commit.
#[derive(Debug, Default)]
pub struct Aftermath {
    /// Jobs to push.
    pub children: Vec<NewJob>,
    /// Events to publish.
    pub events: Vec<(UserId, Event)>,
    /// What to forget in the caches, beside the notifications that events tell of.
    pub outdated: Vec<Scope>,
    /// What the job leaves behind for its submitter.
    pub result: Option<Value>,
}

impl<'a> Recording<'a> {
    /// The recording of `job`.
    #[must_use]
    pub fn new(database: &'a PgPool, job: JobId, submitter: Option<UserId>, trace_parent: Option<&'a str>) -> Self {
        Self { database, transaction: None, job, submitter, trace_parent, aftermath: Aftermath::default() }
    }

    /// The transaction in which all of the job's effects happen.
    ///
    /// # Errors
    /// If it cannot begin.
    pub async fn transaction(&mut self) -> sqlx::Result<&mut PgConnection> {
        let transaction = match &mut self.transaction {
            Some(transaction) => transaction,
            none => none.insert(self.database.begin().await?),
        };
        Ok(&mut *transaction)
    }

    /// The same, for effects on rows of the submitter's, who is not erased meanwhile. It must come before any effect: see
    /// [`erasure::hold_off`].
    ///
    /// # Errors
    /// If it cannot begin.
    pub async fn transaction_for_submitter(&mut self) -> sqlx::Result<&mut PgConnection> {
        let submitter = self.submitter;
        let conn = self.transaction().await?;
        if let Some(user) = submitter {
            erasure::hold_off(conn, user).await?;
        }
        Ok(conn)
    }

    /// Adds a follow-up: accepted with this transaction, pushed after its commit.
    pub fn submit<J: Job>(&mut self, job: &J) {
        let options = Options {
            submitter: self.submitter,
            parent: Some(self.job),
            trace_parent: self.trace_parent.map(str::to_owned),
            ..Options::default()
        };
        self.aftermath.children.push(new_job(job, options));
    }

    /// Adds a follow-up on behalf of `submitter`, under an id that its rows name already.
    pub fn submit_as<J: Job>(&mut self, id: JobId, submitter: UserId, job: &J) {
        let options = Options {
            id: Some(id),
            submitter: Some(submitter),
            parent: Some(self.job),
            trace_parent: self.trace_parent.map(str::to_owned),
            ..Options::default()
        };
        self.aftermath.children.push(new_job(job, options));
    }

    /// Adds an event: published after the commit.
    pub fn announce(&mut self, user: UserId, event: Event) {
        self.aftermath.events.push((user, event));
    }

    /// Says that what was read of `scope` before this transaction is out of date: forgotten after the commit.
    pub fn outdate(&mut self, scope: Scope) {
        self.aftermath.outdated.push(scope);
    }

    /// Leaves `result` with the job.
    pub fn result(&mut self, result: Value) {
        self.aftermath.result = Some(result);
    }

    /// Ends the recording. The transaction, if there is one, is the caller's to commit.
    #[must_use]
    pub fn finish(self) -> (Option<Transaction<'static, Postgres>>, Aftermath) {
        (self.transaction, self.aftermath)
    }
}
