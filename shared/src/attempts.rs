//! Attempts: a student's answers to one test and, once graded, their result.

mod handing_in;

pub use handing_in::{NewAttempt, Punctuality, Sat, insert};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::answers::Answer;
use crate::ids::{AttemptId, QuestionId, TestId, UserId};
use crate::points::Points;
use crate::versions::Taken;

/// How far an attempt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "attempt_status", rename_all = "snake_case")]
pub enum AttemptStatus {
    /// Accepted.
    Queued,
    /// A worker waits for the AI server.
    Grading,
    /// The result is there.
    Graded,
    /// Grading was given up; an operator can retry its job.
    Failed,
}

/// Who or what graded an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GradedBy {
    /// Compared with the key.
    Exact,
    /// The built-in rubric marker.
    Rubric,
    /// An AI server reported the key points met; our code checked the quotes and computed the mark.
    Ai,
}

/// What the student learns about one answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Feedback {
    /// The question.
    pub question_id: QuestionId,
    /// Whether it earned all its points.
    pub correct: bool,
    /// What it earned.
    pub points: Points,
    /// Why.
    pub comment: String,
    /// Who or what graded it.
    pub graded_by: GradedBy,
}

/// What grading needs of an attempt.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// Whose it is.
    pub user_id: UserId,
    /// The test taken; a practice set's own id.
    pub test_id: TestId,
    /// The version taken; none: it is a practice set.
    pub test_version: Option<i32>,
    /// The answers.
    pub answers: Json<Vec<Answer>>,
    /// What all right answers would earn.
    pub max_score: Points,
}

impl Submitted {
    /// What was taken.
    #[must_use]
    pub fn taken(&self) -> Taken {
        Taken::new(self.test_id, self.test_version)
    }
}

/// The attempt's answers, unless it has vanished.
///
/// # Errors
/// If the database fails.
pub async fn submitted(conn: &mut PgConnection, id: AttemptId) -> sqlx::Result<Option<Submitted>> {
    sqlx::query_as!(
        Submitted,
        r#"
        select user_id as "user_id: UserId", test_id as "test_id: TestId", test_version,
               answers as "answers: Json<Vec<Answer>>", max_score as "max_score: Points"
        from attempts where id = $1
        "#,
        id as AttemptId,
    )
    .fetch_optional(conn)
    .await
}

/// Says that a worker waits for the AI server, unless the attempt has ended.
///
/// # Errors
/// If the database fails.
pub async fn mark_grading(conn: &mut PgConnection, id: AttemptId) -> sqlx::Result<()> {
    sqlx::query!("update attempts set status = 'grading' where id = $1 and status = 'queued'", id as AttemptId)
        .execute(conn)
        .await?;
    Ok(())
}

/// A result to be stored.
#[derive(Clone, Debug)]
pub struct Grading {
    /// What the answers earned.
    pub score: Points,
    /// One per question, in the order of the test.
    pub feedback: Vec<Feedback>,
}

/// Whose an attempt is, and what was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whose it is.
    pub user_id: UserId,
    /// The test taken; a practice set's own id.
    pub test_id: TestId,
    /// The version taken; none: it is a practice set.
    pub test_version: Option<i32>,
    /// Whether its score counts for leaderboards.
    pub ranks: bool,
}

/// Stores the result and returns the attempt's origin, unless the attempt has a result already or has vanished.
///
/// # Errors
/// If the database fails.
pub async fn mark_graded(conn: &mut PgConnection, id: AttemptId, grading: &Grading) -> sqlx::Result<Option<Origin>> {
    sqlx::query_as!(
        Origin,
        r#"
        update attempts set status = 'graded', score = $2, feedback = $3, graded_at = now()
        where id = $1 and status <> 'graded'
        returning user_id as "user_id: UserId", test_id as "test_id: TestId", test_version, ranks
        "#,
        id as AttemptId,
        grading.score as Points,
        Json(&grading.feedback) as _,
    )
    .fetch_optional(conn)
    .await
}

/// Shows the attempt as failed and returns its origin, unless it has a result or has vanished.
///
/// # Errors
/// If the database fails.
pub async fn mark_failed(conn: &mut PgConnection, id: AttemptId) -> sqlx::Result<Option<Origin>> {
    sqlx::query_as!(
        Origin,
        r#"
        update attempts set status = 'failed' where id = $1 and status <> 'graded'
        returning user_id as "user_id: UserId", test_id as "test_id: TestId", test_version, ranks
        "#,
        id as AttemptId,
    )
    .fetch_optional(conn)
    .await
}

/// Shows a failed attempt as queued again.
///
/// # Errors
/// If the database fails.
pub async fn mark_queued(conn: &mut PgConnection, id: AttemptId) -> sqlx::Result<()> {
    sqlx::query!("update attempts set status = 'queued' where id = $1 and status = 'failed'", id as AttemptId)
        .execute(conn)
        .await?;
    Ok(())
}

/// An attempt, as it goes out over HTTP.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// The test taken; a practice set's own id.
    pub test_id: TestId,
    /// How far it has come.
    pub status: AttemptStatus,
    /// What the answers earned, once graded.
    pub score: Option<Points>,
    /// What all right answers would earn.
    pub max_score: Points,
    /// The share of ranked students whom the score is above, ties counted half, in percent with one decimal.
    pub percentile: Option<f64>,
    /// One per question, in the order of the test; empty before it is graded.
    #[schema(value_type = Vec<Feedback>)]
    pub feedback: Json<Vec<Feedback>>,
    /// When the answers were accepted.
    pub submitted_at: DateTime<Utc>,
    /// When the result was stored.
    pub graded_at: Option<DateTime<Utc>>,
    /// Present if the answers came after the deadline; such an attempt is not ranked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub late: bool,
}

/// The attempt, if it is `user`'s.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, user: UserId, id: AttemptId) -> sqlx::Result<Option<Attempt>> {
    Ok(between(conn, user, id, id, 1).await?.pop())
}

/// Up to `limit` attempts of `user`, the newest first, older than `before`.
///
/// # Errors
/// If the database fails.
pub async fn list(
    conn: &mut PgConnection,
    user: UserId,
    before: Option<AttemptId>,
    limit: i64,
) -> sqlx::Result<Vec<Attempt>> {
    let newest = before.map_or(Uuid::max(), |id| Uuid::from_u128(id.0.as_u128().saturating_sub(1)));
    between(conn, user, AttemptId(Uuid::nil()), AttemptId(newest), limit).await
}

/// Both bounds are included. The percentile compares the score with the best scores of all who are ranked.
async fn between(
    conn: &mut PgConnection,
    user: UserId,
    oldest: AttemptId,
    newest: AttemptId,
    limit: i64,
) -> sqlx::Result<Vec<Attempt>> {
    sqlx::query_as!(
        Attempt,
        r#"
        select id as "id: AttemptId", test_id as "test_id: TestId", status as "status: AttemptStatus",
               score as "score: Points", max_score as "max_score: Points",
               coalesce(feedback, '[]') as "feedback!: Json<Vec<Feedback>>", submitted_at, graded_at, percentile,
               late
        from attempts left join lateral (
            select round(100 * (coalesce(bands.below, 0) + coalesce(cells.below, 0) + coalesce(cells.equal, 0) / 2)
                         / nullif(bands.total, 0), 1)::float8 as percentile
            from (
                select sum(entries) as total, sum(entries) filter (where band < attempts.score / 100) as below
                from leaderboard_bands as row
                where row.test_id = attempts.test_id and period = 'all' and starts_on = '1970-01-01'
            ) as bands, (
                select sum(entries) filter (where cell.score < attempts.score) as below,
                       sum(entries) filter (where cell.score = attempts.score) as equal
                from leaderboard_histogram as cell
                where cell.test_id = attempts.test_id and period = 'all' and starts_on = '1970-01-01'
                      and cell.score between attempts.score / 100 * 100 and attempts.score
            ) as cells
            where attempts.status = 'graded' and ranks
        ) as ranked on true
        where user_id = $1 and id between $2 and $3 order by id desc limit $4
        "#,
        user as UserId,
        oldest as AttemptId,
        newest as AttemptId,
        limit,
    )
    .fetch_all(conn)
    .await
}
