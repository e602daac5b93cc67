//! Open jobs: those that Redis has, is to be given, or has lost.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::ids::{JobId, UserId};

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
    /// See [`super::NewJob::priority`].
    pub priority: i16,
    /// Whose turn it takes within a priority.
    pub group: Option<String>,
    /// Its payload.
    pub payload: Value,
    /// When it may run.
    pub run_at: DateTime<Utc>,
    /// The W3C trace context of the request that caused it.
    pub trace_parent: Option<String>,
    /// The user on whose behalf it runs.
    pub submitter: Option<UserId>,
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
        select id as "id: JobId", kind, version, queue, priority, group_key as "group", payload, run_at,
               trace_parent, submitter as "submitter: UserId"
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
        select id as "id: JobId", kind, version, queue, priority, group_key as "group", payload, run_at,
               trace_parent, submitter as "submitter: UserId"
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
        select id as "id: JobId", kind, version, queue, priority, group_key as "group", payload, run_at,
               trace_parent, submitter as "submitter: UserId"
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
        select id as "id: JobId", kind, version, queue, priority, group_key as "group", payload, run_at,
               trace_parent, submitter as "submitter: UserId"
        from jobs where finished_at is null and id = any((select children from jobs where id = $1)::uuid[])
        "#,
        id as JobId,
    )
    .fetch_all(conn)
    .await
}
