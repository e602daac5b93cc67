//! The transaction in which a job's effects, its follow-ups and the end of its own row are written.

use bellwork_shared::events::Event;
use bellwork_shared::ids::{JobId, UserId};
use bellwork_shared::ledger::NewJob;
use serde_json::Value;
use sqlx::PgConnection;

use crate::job::Job;
use crate::submit::{Options, new_job};

/// What `record` writes into. Nothing of it exists unless the whole commits.
#[derive(Debug)]
pub struct Recording<'a> {
    /// The open transaction.
    pub conn: &'a mut PgConnection,
    /// The job being recorded.
    pub job: JobId,
    /// The user on whose behalf it runs.
    pub submitter: Option<UserId>,
    trace_parent: Option<String>,
    aftermath: Aftermath,
}

/// What remains to be done after the commit.
#[derive(Debug, Default)]
pub struct Aftermath {
    /// Jobs to push.
    pub children: Vec<NewJob>,
    /// Events to publish.
    pub events: Vec<(UserId, Event)>,
    /// What the job leaves behind for its submitter.
    pub result: Option<Value>,
}

impl<'a> Recording<'a> {
    /// The recording of `job` on the open transaction `conn`.
    pub fn new(
        conn: &'a mut PgConnection,
        job: JobId,
        submitter: Option<UserId>,
        trace_parent: Option<String>,
    ) -> Self {
        Self { conn, job, submitter, trace_parent, aftermath: Aftermath::default() }
    }

    /// Adds a follow-up: accepted with this transaction, pushed after its commit.
    pub fn submit<J: Job>(&mut self, job: &J) {
        let options = Options {
            submitter: self.submitter,
            parent: Some(self.job),
            trace_parent: self.trace_parent.clone(),
            ..Options::default()
        };
        self.aftermath.children.push(new_job(job, options));
    }

    /// Adds an event: published after the commit.
    pub fn announce(&mut self, user: UserId, event: Event) {
        self.aftermath.events.push((user, event));
    }

    /// Leaves `result` with the job.
    pub fn result(&mut self, result: Value) {
        self.aftermath.result = Some(result);
    }

    /// Ends the recording.
    #[must_use]
    pub fn finish(self) -> Aftermath {
        self.aftermath
    }
}
