//! The ledger: one row per accepted job. Redis is a rebuildable index of the rows that are not closed.
//!
//! A row is [`accept`]ed, stands [`open`] until it is [`close`]d, and may [`fail`] meanwhile. What it says of a person can be
//! [`scrub`]bed.

pub mod accept;
pub mod close;
pub mod dead;
pub mod fail;
pub mod failures;
pub mod open;
pub mod scrub;
pub mod search;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;

use crate::ids::{JobId, UserId};

pub use accept::{NewJob, insert};
pub use close::{Closing, close_cancelled, close_dead, close_dead_with, close_done};
pub use fail::{Attempts, Waiting, charge, postpone};
pub use open::{OpenJob, confirm_pushed, reopen, take_unpushed, unfinished, unfinished_children};

/// How far a job has come, as a client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
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

/// One job as its submitter and operators see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobRow {
    /// Its id.
    pub id: JobId,
    /// The stored name of its kind.
    pub kind: String,
    /// The queue it goes to.
    pub queue: String,
    /// See [`NewJob::priority`].
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
