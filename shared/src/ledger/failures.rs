//! Every failed attempt of a job, for the operator who asks why. Written with the charge, in [`crate::ledger`].

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use crate::ids::JobId;

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FailedAttempt {
    /// Its number, from 1.
    pub attempt: i16,
    /// Why it failed.
    pub error: String,
    /// The process that ran it.
    pub worker: String,
    /// When.
    pub failed_at: DateTime<Utc>,
}

/// The failed attempts of a job, the first one first.
///
/// # Errors
/// If the database fails.
pub async fn list(conn: &mut PgConnection, job: JobId) -> sqlx::Result<Vec<FailedAttempt>> {
    sqlx::query_as!(
        FailedAttempt,
        "select attempt, error, worker, failed_at from job_failures where job_id = $1 order by attempt",
        job as JobId,
    )
    .fetch_all(conn)
    .await
}
