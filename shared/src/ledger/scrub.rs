//! What rows say of a person is taken out of them; that there was a job stays.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::ids::JobId;

/// Empties payloads, results and errors of `jobs` and of all that they led to, and cancels those that are open. A run
/// that is under way finds its row closed and leaves nothing behind.
///
/// # Errors
/// If the database fails.
pub async fn scrub(conn: &mut PgConnection, jobs: &[JobId]) -> sqlx::Result<()> {
    let jobs: Vec<_> = jobs.iter().map(|id| id.0).collect();
    let scrubbed: Vec<Uuid> = sqlx::query_scalar!(
        r#"
        with recursive family (id) as (
            select unnest($1::uuid[])
            union
            select unnest(children) from family join jobs on jobs.id = family.id
        )
        update jobs set payload = '{}', result = null, last_error = null,
                        state = case when finished_at is null then 'cancelled' else state end,
                        finished_at = coalesce(finished_at, now())
        from family where jobs.id = family.id
        returning jobs.id
        "#,
        &jobs,
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query!("delete from job_failures where job_id = any($1)", &scrubbed).execute(conn).await?;
    Ok(())
}

/// Empties the payload of a job that is being recorded: it held what is no longer needed once it has run.
///
/// # Errors
/// If the database fails.
pub async fn empty_payload(conn: &mut PgConnection, job: JobId) -> sqlx::Result<()> {
    sqlx::query!("update jobs set payload = '{}' where id = $1", job as JobId).execute(conn).await?;
    Ok(())
}
