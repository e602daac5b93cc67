//! The end of a job's row. It can be closed once: whoever closes no row has come second.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::accept::{Columns, NewJob, insert};
use crate::ids::JobId;

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
    // The insertion repeats that of `insert`: one text for both would let every acceptance plan an update of all
    // partitions, and take twice as long.
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
                   case when run_at > clock_timestamp() + interval '1 second' then 'scheduled'::job_state else 'ready' end,
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
    close_dead_with(conn, id, error, &[]).await
}

/// Closes a job as dead, with its last error, and accepts its follow-ups.
///
/// # Errors
/// If the database fails.
pub async fn close_dead_with(
    conn: &mut PgConnection,
    id: JobId,
    error: &str,
    children: &[NewJob],
) -> sqlx::Result<Closing> {
    let closed = sqlx::query!(
        r#"
        update jobs set state = 'dead', finished_at = now(), last_error = $2, children = $3
        where id = $1 and finished_at is null
        "#,
        id as JobId,
        error,
        &children.iter().map(|child| child.id.0).collect::<Vec<_>>(),
    )
    .execute(&mut *conn)
    .await?;
    let closing = closing(closed.rows_affected());
    if closing == Closing::Ours && !children.is_empty() {
        insert(conn, children).await?;
    }
    Ok(closing)
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
