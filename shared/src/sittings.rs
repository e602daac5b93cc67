//! Sittings: one student, one paper, one clock, which is that of PostgreSQL.
//!
//! Whether an answer comes in time is decided by the statement that takes it: no process's clock matters, and the job that
//! closes a sitting may come as late as it likes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::answers::Answer;
use crate::attempts::{self, NewAttempt, Punctuality, Sat};
use crate::ids::{AttemptId, JobId, SittingId, TestId, UserId};
use crate::personal_data::erasure;
use crate::points::Points;
use crate::practice_tests::{LateAnswers, PracticeTest, TimeLimit};
use crate::versions::Taken;

/// How long after the deadline an answer is still in time, in seconds: it was sent before, and took a moment to arrive.
pub const GRACE_SECONDS: i32 = 30;
/// How long after the deadline a test that takes late answers takes them, in hours.
const LATE_HOURS: i32 = 24;

/// How far a sitting has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SittingState {
    /// Answers can be saved and handed in.
    Running,
    /// Its time is over; what was saved is about to be handed in.
    Closing,
    /// There is an attempt.
    HandedIn,
    /// Its time was over, and nothing had been saved.
    Expired,
}

/// A sitting, as its student sees it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Sitting {
    /// Its id.
    pub id: SittingId,
    /// The test taken; a practice set's own id.
    pub test_id: TestId,
    /// The version taken; none: it is a practice set.
    pub version: Option<i32>,
    /// What the student reads.
    pub title: String,
    /// How far it has come.
    pub state: SittingState,
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// When answers must be there.
    pub deadline: DateTime<Utc>,
    /// Whether later answers are taken, and marked.
    pub late_accepted: bool,
    /// The working state, as it was last saved.
    #[schema(value_type = Vec<Answer>)]
    pub answers: Json<Vec<Answer>>,
    /// When it was last saved.
    pub saved_at: Option<DateTime<Utc>>,
    /// What came of it.
    pub attempt_id: Option<AttemptId>,
    /// When nothing more can be handed in.
    #[serde(skip)]
    pub closes_at: DateTime<Utc>,
}

impl Sitting {
    /// What it is a sitting of.
    #[must_use]
    pub fn taken(&self) -> Taken {
        Taken::new(self.test_id, self.version)
    }
}

/// Starts a sitting of a timed test; none if one is live already.
///
/// # Errors
/// If the database fails.
pub async fn start(
    conn: &mut PgConnection,
    user: UserId,
    test: &PracticeTest,
    limit: TimeLimit,
) -> sqlx::Result<Option<SittingId>> {
    sqlx::query_scalar!(
        r#"
        insert into sittings (id, user_id, test_id, test_version, title, max_score, deadline, closes_at, late_accepted)
        values ($1, $2, $3, $4, $5, $6, now() + make_interval(mins => $7),
                now() + make_interval(mins => $7, hours => case when $8 then $9 else 0 end, secs => $10), $8)
        on conflict (user_id, test_id) where ended_at is null do nothing
        returning id as "id: SittingId"
        "#,
        SittingId::new() as SittingId,
        user as UserId,
        test.id as TestId,
        test.version,
        test.title,
        test.max_score as Points,
        i32::from(limit.minutes),
        limit.late == LateAnswers::Mark,
        LATE_HOURS,
        f64::from(GRACE_SECONDS),
    )
    .fetch_optional(conn)
    .await
}

/// The sitting, if it is `user`'s.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, user: UserId, id: SittingId) -> sqlx::Result<Option<Sitting>> {
    let row = sqlx::query!(
        r#"
        select test_id as "test_id: TestId", test_version, title, started_at, deadline, closes_at, late_accepted,
               coalesce(answers, '[]') as "answers!: Json<Vec<Answer>>", saved_at, ended_at is null as "live!",
               now() > closes_at as "overdue!", attempt_id as "attempt_id: AttemptId"
        from sittings where id = $1 and user_id = $2
        "#,
        id as SittingId,
        user as UserId,
    );
    Ok(row.fetch_optional(conn).await?.map(|row| Sitting {
        id,
        test_id: row.test_id,
        version: row.test_version,
        title: row.title,
        state: match (row.live, row.overdue, row.attempt_id) {
            (true, false, _) => SittingState::Running,
            (true, true, _) => SittingState::Closing,
            (false, _, Some(_)) => SittingState::HandedIn,
            (false, _, None) => SittingState::Expired,
        },
        started_at: row.started_at,
        deadline: row.deadline,
        late_accepted: row.late_accepted,
        answers: row.answers,
        saved_at: row.saved_at,
        attempt_id: row.attempt_id,
        closes_at: row.closes_at,
    }))
}

/// The sitting of `test` that `user` has not ended, be it overdue or not.
///
/// # Errors
/// If the database fails.
pub async fn live(conn: &mut PgConnection, user: UserId, test: TestId) -> sqlx::Result<Option<SittingId>> {
    sqlx::query_scalar!(
        r#"select id as "id: SittingId" from sittings where user_id = $1 and test_id = $2 and ended_at is null"#,
        user as UserId,
        test as TestId,
    )
    .fetch_optional(conn)
    .await
}

/// What became of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// They were taken.
    Taken(Punctuality),
    /// The sitting has ended, or its time is over.
    Over,
}

/// Saves the working state, which the closing of the sitting hands in if the student does not.
///
/// # Errors
/// If the database fails.
pub async fn save(conn: &mut PgConnection, id: SittingId, answers: &[Answer]) -> sqlx::Result<Taking> {
    let late = sqlx::query_scalar!(
        r#"
        update sittings set answers = $2, saved_at = now()
        where id = $1 and ended_at is null and now() <= closes_at
        returning now() > deadline + make_interval(secs => $3) as "late!"
        "#,
        id as SittingId,
        Json(answers) as _,
        f64::from(GRACE_SECONDS),
    );
    Ok(taking(late.fetch_optional(conn).await?))
}

/// Ends the sitting with `attempt`, which must be inserted in the same transaction.
///
/// # Errors
/// If the database fails.
pub async fn hand_in(conn: &mut PgConnection, id: SittingId, attempt: AttemptId) -> sqlx::Result<Taking> {
    hold_student(&mut *conn, id).await?;
    let late = sqlx::query_scalar!(
        r#"
        update sittings set ended_at = now(), attempt_id = $2
        where id = $1 and ended_at is null and now() <= closes_at
        returning now() > deadline + make_interval(secs => $3) as "late!"
        "#,
        id as SittingId,
        attempt as AttemptId,
        f64::from(GRACE_SECONDS),
    );
    Ok(taking(late.fetch_optional(conn).await?))
}

/// Keeps the student from being erased while the sitting becomes an attempt.
async fn hold_student(conn: &mut PgConnection, id: SittingId) -> sqlx::Result<()> {
    let student = sqlx::query_scalar!(r#"select user_id as "id: UserId" from sittings where id = $1"#, id as SittingId);
    if let Some(student) = student.fetch_optional(&mut *conn).await? {
        erasure::hold_off(conn, student).await?;
    }
    Ok(())
}

fn taking(late: Option<bool>) -> Taking {
    late.map_or(Taking::Over, |late| Taking::Taken(Punctuality::of(late)))
}

/// What the closing of a sitting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// It had ended, or has vanished.
    Ended,
    /// Its time is not over.
    NotYet,
    /// It has ended now; nothing had been saved.
    Expired,
    /// What was saved is handed in, to be graded for its student.
    HandedIn(AttemptId, UserId),
}

/// How long answers to the sitting are still taken; none if it has ended or has vanished.
///
/// # Errors
/// If the database fails.
pub async fn time_left(conn: &mut PgConnection, id: SittingId) -> sqlx::Result<Option<Duration>> {
    let seconds = sqlx::query_scalar!(
        r#"
        select extract(epoch from closes_at - now())::float8 as "seconds!"
        from sittings where id = $1 and ended_at is null
        "#,
        id as SittingId,
    );
    Ok(seconds.fetch_optional(conn).await?.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}

/// Ends a sitting whose time is over, and hands in what was saved as an attempt that `grading` is to grade.
///
/// # Errors
/// If the database fails.
pub async fn close(conn: &mut PgConnection, id: SittingId, grading: JobId) -> sqlx::Result<Closing> {
    hold_student(&mut *conn, id).await?;
    let row = sqlx::query!(
        r#"
        select user_id as "user_id: UserId", test_id as "test_id: TestId", test_version, max_score as "max_score: Points",
               now() > closes_at as "overdue!", answers as "answers: Json<Vec<Answer>>",
               coalesce(saved_at > deadline + make_interval(secs => $2), false) as "late!"
        from sittings where id = $1 and ended_at is null for update
        "#,
        id as SittingId,
        f64::from(GRACE_SECONDS),
    );
    let Some(row) = row.fetch_optional(&mut *conn).await? else { return Ok(Closing::Ended) };
    if !row.overdue {
        return Ok(Closing::NotYet);
    }
    let attempt = row.answers.filter(|answers| !answers.is_empty()).map(|answers| (AttemptId::new(), answers));
    let attempt_id = attempt.as_ref().map(|(id, _)| *id);
    sqlx::query!(
        "update sittings set ended_at = now(), attempt_id = $2 where id = $1",
        id as SittingId,
        attempt_id as Option<AttemptId>,
    )
    .execute(&mut *conn)
    .await?;
    let Some((attempt, answers)) = attempt else { return Ok(Closing::Expired) };
    let new = NewAttempt {
        id: attempt,
        user: row.user_id,
        taken: Taken::new(row.test_id, row.test_version),
        job: grading,
        answers: &answers,
        max_score: row.max_score,
        sat: Some(Sat { sitting: id, punctuality: Punctuality::of(row.late) }),
    };
    attempts::insert(conn, &new).await?;
    Ok(Closing::HandedIn(attempt, row.user_id))
}
