//! The ledger: one row per accepted job. Redis is a rebuildable index of the rows that are not closed.

use bellwork_queue::Priority;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::ids::{JobId, UserId};

/// How far a job has come, as a client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "job_state", rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its time.
    Scheduled,
    /// Waits for a worker.
    Ready,
    /// A worker runs it. Known to Redis only, never stored.
    Running,
    /// Failed, and waits for its next attempt.
    Retrying,
    /// Ended well.
    Done,
    /// Given up; an operator can retry it.
    Dead,
    /// Ended before it ran, by a student or an operator.
    Cancelled,
}

impl JobState {
    /// Its name, as it goes out over HTTP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }
}

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
    /// Its priority within the queue.
    pub priority: Priority,
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

/// What Redis is told of a job that is not closed.
#[derive(Clone, Debug)]
pub struct OpenJob {
    /// Its id.
    pub id: JobId,
    /// The stored name of its kind.
    pub kind: String,
    /// The shape of its payload.
    pub version: i16,
    /// The queue it goes to.
    pub queue: String,
    /// See [`Priority`].
    pub priority: i16,
    /// Its payload.
    pub payload: Value,
    /// When it may run.
    pub run_at: DateTime<Utc>,
    /// The W3C trace context of the request that caused it.
    pub trace_parent: Option<String>,
    /// The user on whose behalf it runs.
    pub submitter: Option<UserId>,
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
                   case when run_at > now() then 'scheduled'::job_state else 'ready' end,
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
struct Columns {
    ids: Vec<Uuid>,
    kinds: Vec<String>,
    versions: Vec<i16>,
    queues: Vec<String>,
    priorities: Vec<i16>,
    groups: Vec<Option<String>>,
    payloads: Vec<Value>,
    max_attempts: Vec<i16>,
    run_ats: Vec<DateTime<Utc>>,
    trace_parents: Vec<Option<String>>,
    submitters: Vec<Option<Uuid>>,
    parents: Vec<Option<Uuid>>,
}

impl Columns {
    fn of(jobs: &[NewJob]) -> Self {
        fn column<T>(jobs: &[NewJob], value: impl Fn(&NewJob) -> T) -> Vec<T> {
            jobs.iter().map(value).collect()
        }
        Self {
            ids: column(jobs, |job| job.id.0),
            kinds: column(jobs, |job| job.kind.to_owned()),
            versions: column(jobs, |job| small(job.version)),
            queues: column(jobs, |job| job.queue.to_owned()),
            priorities: column(jobs, |job| small(job.priority as u16)),
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

/// Takes the jobs that Redis has from the outbox.
///
/// # Errors
/// If the database fails.
pub async fn confirm_pushed(conn: &mut PgConnection, ids: &[JobId]) -> sqlx::Result<()> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    sqlx::query!("delete from job_outbox where job_id = any($1)", &ids).execute(conn).await?;
    Ok(())
}

/// Whether a job's row was closed by this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// By this call; its transaction may write the job's effects.
    Ours,
    /// It was closed before, or is gone: somebody else did it, and this transaction must be rolled back.
    SomebodyElses,
}

/// Closes a job as done, with what it leaves behind, and accepts its follow-ups, in one statement.
///
/// # Errors
/// If the database fails.
pub async fn close_done(
    conn: &mut PgConnection,
    id: JobId,
    result: Option<&Value>,
    children: &[NewJob],
) -> sqlx::Result<Closing> {
    if children.is_empty() {
        return close_childless(conn, id, result).await;
    }
    let new = Columns::of(children);
    let closed = sqlx::query_scalar!(
        r#"
        with closed as (
            update jobs set state = 'done', finished_at = now(), result = $14, children = $1
            where id = $13 and finished_at is null
            returning id
        ), accepted as (
            insert into jobs (id, kind, version, queue, priority, group_key, payload, state, max_attempts, run_at,
                              trace_parent, submitter, parent)
            select id, kind, version, queue, priority, group_key, payload,
                   case when run_at > now() then 'scheduled'::job_state else 'ready' end,
                   max_attempts, run_at, trace_parent, submitter, parent
            from unnest($1::uuid[], $2::text[], $3::int2[], $4::text[], $5::int2[], $6::text[], $7::jsonb[], $8::int2[],
                        $9::timestamptz[], $10::text[], $11::uuid[], $12::uuid[])
                 as new (id, kind, version, queue, priority, group_key, payload, max_attempts, run_at,
                         trace_parent, submitter, parent)
            where exists (select from closed)
            returning id
        ), outboxed as (
            insert into job_outbox (job_id) select id from accepted
        )
        select count(*) as "closed!" from closed
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
        id as JobId,
        result,
    )
    .fetch_one(conn)
    .await?;
    Ok(closing(closed.unsigned_abs()))
}

async fn close_childless(conn: &mut PgConnection, id: JobId, result: Option<&Value>) -> sqlx::Result<Closing> {
    let closed = sqlx::query!(
        "update jobs set state = 'done', finished_at = now(), result = $2 where id = $1 and finished_at is null",
        id as JobId,
        result,
    )
    .execute(conn)
    .await?;
    Ok(closing(closed.rows_affected()))
}

/// Closes a job as dead, with its last error.
///
/// # Errors
/// If the database fails.
pub async fn close_dead(conn: &mut PgConnection, id: JobId, error: &str) -> sqlx::Result<Closing> {
    let closed = sqlx::query!(
        "update jobs set state = 'dead', finished_at = now(), last_error = $2 where id = $1 and finished_at is null",
        id as JobId,
        error,
    )
    .execute(conn)
    .await?;
    Ok(closing(closed.rows_affected()))
}

/// Closes a job as cancelled.
///
/// # Errors
/// If the database fails.
pub async fn close_cancelled(conn: &mut PgConnection, id: JobId) -> sqlx::Result<Closing> {
    let closed = sqlx::query!(
        "update jobs set state = 'cancelled', finished_at = now() where id = $1 and finished_at is null",
        id as JobId,
    )
    .execute(conn)
    .await?;
    Ok(closing(closed.rows_affected()))
}

fn closing(rows: u64) -> Closing {
    if rows == 0 { Closing::SomebodyElses } else { Closing::Ours }
}

/// How often a job has failed and how often it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// Failed attempts, with this one.
    pub failed: u16,
    /// How many there may be.
    pub most: u16,
}

/// Charges a failed attempt to a job and notes the error; nothing if the job is closed.
///
/// # Errors
/// If the database fails.
pub async fn charge(conn: &mut PgConnection, id: JobId, error: &str, worker: &str) -> sqlx::Result<Option<Attempts>> {
    let row = sqlx::query!(
        r#"
        with charged as (
            update jobs set attempts = attempts + 1, last_error = $2
            where id = $1 and finished_at is null returning attempts, max_attempts
        ), noted as (
            insert into job_failures (job_id, attempt, error, worker) select $1, attempts, $2, $3 from charged
            on conflict (job_id, attempt) do update set error = excluded.error, worker = excluded.worker, failed_at = now()
        )
        select attempts, max_attempts from charged
        "#,
        id as JobId,
        error,
        worker,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Attempts { failed: row.attempts.unsigned_abs(), most: row.max_attempts.unsigned_abs() }))
}

/// Why an open job waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// For its next attempt after a failure.
    ToRetry,
    /// For its time, without a failure.
    Snoozed,
}

/// Lets an open job wait until `run_at`.
///
/// # Errors
/// If the database fails.
pub async fn postpone(conn: &mut PgConnection, id: JobId, why: Waiting, run_at: DateTime<Utc>) -> sqlx::Result<()> {
    let state = match why {
        Waiting::ToRetry => JobState::Retrying,
        Waiting::Snoozed => JobState::Scheduled,
    };
    sqlx::query!(
        "update jobs set state = $2, run_at = $3 where id = $1 and finished_at is null",
        id as JobId,
        state as JobState,
        run_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Opens a dead or cancelled job again with its attempts at zero, and puts it into the outbox. Returns what Redis is to
/// be told, or nothing if there is no such job.
///
/// # Errors
/// If the database fails.
pub async fn reopen(conn: &mut PgConnection, id: JobId) -> sqlx::Result<Option<OpenJob>> {
    sqlx::query_as!(
        OpenJob,
        r#"
        with reopened as (
            update jobs set state = 'ready', finished_at = null, attempts = 0, run_at = now()
            where id = $1 and state in ('dead', 'cancelled')
            returning *
        ), outboxed as (
            insert into job_outbox (job_id) select id from reopened on conflict do nothing
        )
        select id as "id: JobId", kind, version, queue, priority, payload, run_at, trace_parent,
               submitter as "submitter: UserId"
        from reopened
        "#,
        id as JobId,
    )
    .fetch_optional(conn)
    .await
}

/// Takes up to `limit` jobs accepted before `made_before` out of the outbox, passing over those that another relay has
/// locked, and returns the open ones: to be pushed before the transaction commits, so that a failure puts them back.
///
/// # Errors
/// If the database fails.
pub async fn take_unpushed(
    conn: &mut PgConnection,
    made_before: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<OpenJob>> {
    sqlx::query_as!(
        OpenJob,
        r#"
        with share as (
            delete from job_outbox where job_id in (
                select job_id from job_outbox where job_id < uuid7_floor($1)
                order by job_id limit $2 for update skip locked
            )
            returning job_id
        )
        select id as "id: JobId", kind, version, queue, priority, payload, run_at, trace_parent,
               submitter as "submitter: UserId"
        from share join jobs on jobs.id = share.job_id where finished_at is null
        "#,
        made_before,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Up to `limit` jobs that are not closed, in the order of their ids, after `after`.
///
/// # Errors
/// If the database fails.
pub async fn unfinished(conn: &mut PgConnection, after: Option<JobId>, limit: i64) -> sqlx::Result<Vec<OpenJob>> {
    sqlx::query_as!(
        OpenJob,
        r#"
        select id as "id: JobId", kind, version, queue, priority, payload, run_at, trace_parent,
               submitter as "submitter: UserId"
        from jobs where finished_at is null and id > $1 order by id limit $2
        "#,
        after.map_or(Uuid::nil(), |id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Those of a closed job's children that are not closed: what its second delivery pushes again.
///
/// # Errors
/// If the database fails.
pub async fn unfinished_children(conn: &mut PgConnection, id: JobId) -> sqlx::Result<Vec<OpenJob>> {
    sqlx::query_as!(
        OpenJob,
        r#"
        select id as "id: JobId", kind, version, queue, priority, payload, run_at, trace_parent,
               submitter as "submitter: UserId"
        from jobs where finished_at is null and id = any((select children from jobs where id = $1)::uuid[])
        "#,
        id as JobId,
    )
    .fetch_all(conn)
    .await
}

/// The job's payload, if there is such a job.
///
/// # Errors
/// If the database fails.
pub async fn payload(conn: &mut PgConnection, id: JobId) -> sqlx::Result<Option<Value>> {
    sqlx::query_scalar!("select payload from jobs where id = $1", id as JobId).fetch_optional(conn).await
}

/// True if the job is open.
///
/// # Errors
/// If the database fails.
pub async fn is_open(conn: &mut PgConnection, id: JobId) -> sqlx::Result<bool> {
    let open = sqlx::query_scalar!(
        r#"select exists (select from jobs where id = $1 and finished_at is null) as "open!""#,
        id as JobId,
    );
    open.fetch_one(conn).await
}

/// One job as its submitter and operators see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobRow {
    /// Its id.
    pub id: JobId,
    /// The stored name of its kind.
    pub kind: String,
    /// The queue it goes to.
    pub queue: String,
    /// See [`Priority`].
    pub priority: i16,
    /// How far it has come; [`JobState::Running`] is for Redis to say.
    pub state: JobState,
    /// Failed attempts.
    pub attempts: i16,
    /// How many there may be.
    pub max_attempts: i16,
    /// When it may run next, or might first.
    pub run_at: DateTime<Utc>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it failed last.
    pub last_error: Option<String>,
    /// What it left behind.
    pub result: Option<Value>,
    /// The user on whose behalf it runs.
    pub submitter: Option<UserId>,
}

/// The job, if there is one.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, id: JobId) -> sqlx::Result<Option<JobRow>> {
    sqlx::query_as!(
        JobRow,
        r#"
        select id as "id: JobId", kind, queue, priority, state as "state: JobState", attempts, max_attempts, run_at,
               created_at, finished_at, last_error, result, submitter as "submitter: UserId"
        from jobs where id = $1
        "#,
        id as JobId,
    )
    .fetch_optional(conn)
    .await
}

/// How many dead jobs there are in each queue that has some.
///
/// # Errors
/// If the database fails.
pub async fn count_dead(conn: &mut PgConnection) -> sqlx::Result<Vec<(String, i64)>> {
    let rows = sqlx::query!(r#"select queue, count(*) as "dead!" from jobs where state = 'dead' group by queue"#);
    Ok(rows.fetch_all(conn).await?.into_iter().map(|row| (row.queue, row.dead)).collect())
}

fn small(number: u16) -> i16 {
    i16::try_from(number).unwrap_or(i16::MAX)
}
