//! Acceptance: a job's row and its place in the outbox, in the caller's transaction.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::ids::{JobId, UserId};

/// A job to be accepted.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id, chosen first.
    pub id: JobId,
    /// The stored name of its kind.
    pub kind: &'static str,
    /// The shape of its payload.
    pub version: u16,
    /// The queue it goes to.
    pub queue: &'static str,
    /// The rank of its priority within the queue: 0, the most urgent, to 3.
    pub priority: i16,
    /// Whose turn it takes within a priority, such as a school.
    pub group: Option<String>,
    /// Its payload.
    pub payload: Value,
    /// How often it may fail before it is given up.
    pub max_attempts: u16,
    /// When it may run first.
    pub run_at: DateTime<Utc>,
    /// The W3C trace context of the request that caused it.
    pub trace_parent: Option<String>,
    /// The user on whose behalf it runs.
    pub submitter: Option<UserId>,
    /// The job whose `record` submitted it.
    pub parent: Option<JobId>,
}

/// Accepts `jobs`: writes their rows and their places in the outbox.
///
/// # Errors
/// If the database fails.
pub async fn insert(conn: &mut PgConnection, jobs: &[NewJob]) -> sqlx::Result<()> {
    let new = Columns::of(jobs);
    sqlx::query!(
        r#"
        with accepted as (
            insert into jobs (id, kind, version, queue, priority, group_key, payload, state, max_attempts, run_at,
                              trace_parent, submitter, parent)
            select id, kind, version, queue, priority, group_key, payload,
                   case when run_at > clock_timestamp() + interval '1 second' then 'scheduled'::job_state else 'ready' end,
                   max_attempts, run_at, trace_parent, submitter, parent
            from unnest($1::uuid[], $2::text[], $3::int2[], $4::text[], $5::int2[], $6::text[], $7::jsonb[], $8::int2[],
                        $9::timestamptz[], $10::text[], $11::uuid[], $12::uuid[])
                 as new (id, kind, version, queue, priority, group_key, payload, max_attempts, run_at,
                         trace_parent, submitter, parent)
            returning id
        )
        insert into job_outbox (job_id) select id from accepted
        "#,
        &new.ids,
        &new.kinds,
        &new.versions,
        &new.queues,
        &new.priorities,
        &new.groups as &[Option<String>],
        &new.payloads,
        &new.max_attempts,
        &new.run_ats,
        &new.trace_parents as &[Option<String>],
        &new.submitters as &[Option<Uuid>],
        &new.parents as &[Option<Uuid>],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// New jobs as PostgreSQL takes many rows at once: one array per column.
pub(super) struct Columns {
    pub(super) ids: Vec<Uuid>,
    pub(super) kinds: Vec<String>,
    pub(super) versions: Vec<i16>,
    pub(super) queues: Vec<String>,
    pub(super) priorities: Vec<i16>,
    pub(super) groups: Vec<Option<String>>,
    pub(super) payloads: Vec<Value>,
    pub(super) max_attempts: Vec<i16>,
    pub(super) run_ats: Vec<DateTime<Utc>>,
    pub(super) trace_parents: Vec<Option<String>>,
    pub(super) submitters: Vec<Option<Uuid>>,
    pub(super) parents: Vec<Option<Uuid>>,
}

impl Columns {
    pub(super) fn of(jobs: &[NewJob]) -> Self {
        fn column<T>(jobs: &[NewJob], value: impl Fn(&NewJob) -> T) -> Vec<T> {
            jobs.iter().map(value).collect()
        }
        Self {
            ids: column(jobs, |job| job.id.0),
            kinds: column(jobs, |job| job.kind.to_owned()),
            versions: column(jobs, |job| small(job.version)),
            queues: column(jobs, |job| job.queue.to_owned()),
            priorities: column(jobs, |job| job.priority),
            groups: column(jobs, |job| job.group.clone()),
            payloads: column(jobs, |job| job.payload.clone()),
            max_attempts: column(jobs, |job| small(job.max_attempts)),
            run_ats: column(jobs, |job| job.run_at),
            trace_parents: column(jobs, |job| job.trace_parent.clone()),
            submitters: column(jobs, |job| job.submitter.map(|id| id.0)),
            parents: column(jobs, |job| job.parent.map(|id| id.0)),
        }
    }
}

fn small(number: u16) -> i16 {
    i16::try_from(number).unwrap_or(i16::MAX)
}
