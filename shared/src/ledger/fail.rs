//! Failed attempts, and the waiting that follows.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::JobState;
use crate::ids::JobId;

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
