//! What travels through Redis for a job: kind, version, payload, and whose it is.

use bellwork_queue::{NewJob as QueuedJob, Priority, check_key};
use bellwork_shared::ids::UserId;
use bellwork_shared::ledger::{NewJob, OpenJob};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// One job as bytes. Names of one letter, since each waiting job holds them in memory.
#[derive(Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// The stored name of the kind.
    #[serde(rename = "k")]
    pub kind: String,
    /// The shape of the payload.
    #[serde(rename = "v")]
    pub version: u16,
    /// The payload, as the kind's type reads it.
    #[serde(rename = "p")]
    pub payload: Box<RawValue>,
    /// The user on whose behalf the job runs.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub submitter: Option<UserId>,
    /// The W3C trace context of the request that caused it.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub trace_parent: Option<String>,
}

impl Envelope {
    /// As bytes for Redis.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an envelope holds only strings, numbers and valid JSON")
    }
}

/// A job on its way to a queue.
#[derive(Debug)]
pub struct Addressed {
    /// The queue it goes to.
    pub queue: String,
    /// What goes there.
    pub job: QueuedJob,
}

impl From<&OpenJob> for Addressed {
    fn from(job: &OpenJob) -> Self {
        let envelope = Envelope {
            kind: job.kind.clone(),
            version: job.version.unsigned_abs(),
            payload: to_raw_value(&job.payload).expect("a JSON value is valid JSON"),
            submitter: job.submitter,
            trace_parent: job.trace_parent.clone(),
        };
        let priority = Priority::try_from(job.priority).unwrap_or_default();
        let group = job.group.clone();
        Self { queue: job.queue.clone(), job: queued(job.id.0, priority, group, &envelope, job.run_at) }
    }
}

impl From<&NewJob> for Addressed {
    fn from(job: &NewJob) -> Self {
        let envelope = Envelope {
            kind: job.kind.to_owned(),
            version: job.version,
            payload: to_raw_value(&job.payload).expect("a JSON value is valid JSON"),
            submitter: job.submitter,
            trace_parent: job.trace_parent.clone(),
        };
        let priority = Priority::try_from(job.priority).unwrap_or_default();
        let group = job.group.clone();
        Self { queue: job.queue.to_owned(), job: queued(job.id.0, priority, group, &envelope, job.run_at) }
    }
}

/// A row is accepted already: a group that the engine refuses must not keep its job from running.
fn queued(
    id: uuid::Uuid,
    priority: Priority,
    group: Option<String>,
    envelope: &Envelope,
    run_at: DateTime<Utc>,
) -> QueuedJob {
    let due = (run_at > Utc::now()).then_some(run_at.timestamp_millis());
    let group = group.filter(|group| check_key("group", group).is_ok());
    QueuedJob { priority, due, group, ..QueuedJob::new(id, envelope.to_bytes()) }
}
