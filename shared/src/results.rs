//! Results: a graded attempt with its student and its test, as a letter about it needs them.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::attempts::Feedback;
use crate::ids::{AttemptId, TestId, UserId};
use crate::points::Points;
use crate::versions::Taken;

/// A graded attempt.
#[derive(Clone, Debug)]
pub struct GradedAttempt {
    /// The student's address.
    pub email: String,
    /// The student's name.
    pub display_name: String,
    /// The test taken; a practice set's own id.
    pub test_id: TestId,
    /// The version taken; none: it is a practice set.
    pub test_version: Option<i32>,
    /// Its title.
    pub title: String,
    /// What the answers earned.
    pub score: Points,
    /// What all right answers would earn.
    pub max_score: Points,
    /// One per question, in the order of the test.
    pub feedback: Json<Vec<Feedback>>,
}

impl GradedAttempt {
    /// What was taken.
    #[must_use]
    pub fn taken(&self) -> Taken {
        Taken::new(self.test_id, self.test_version)
    }
}

/// The graded attempt of `user`, unless one of them has vanished or there is no result.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, user: UserId, id: AttemptId) -> sqlx::Result<Option<GradedAttempt>> {
    sqlx::query_as!(
        GradedAttempt,
        r#"
        select email, display_name, attempts.test_id as "test_id: TestId", attempts.test_version,
               coalesce(edition.title, sittings.title) as "title!", score as "score!: Points",
               attempts.max_score as "max_score: Points", feedback as "feedback!: Json<Vec<Feedback>>"
        from attempts
        join users on users.id = attempts.user_id
        left join test_versions as edition on (edition.test_id, version) = (attempts.test_id, attempts.test_version)
        left join sittings on sittings.id = attempts.test_id and attempts.test_version is null
        where attempts.id = $2 and attempts.user_id = $1 and status = 'graded'
        "#,
        user as UserId,
        id as AttemptId,
    )
    .fetch_optional(conn)
    .await
}

/// What came of an attempt, in short.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whose it is.
    pub user_id: UserId,
    /// The test taken.
    pub test_id: TestId,
    /// Its title.
    pub title: String,
    /// What the answers earned.
    pub score: Points,
    /// What all right answers would earn.
    pub max_score: Points,
}

/// What came of an attempt, if it has a result.
///
/// # Errors
/// If the database fails.
pub async fn outcome(conn: &mut PgConnection, id: AttemptId) -> sqlx::Result<Option<Outcome>> {
    sqlx::query_as!(
        Outcome,
        r#"
        select attempts.user_id as "user_id: UserId", attempts.test_id as "test_id: TestId",
               coalesce(edition.title, sittings.title) as "title!", score as "score!: Points",
               attempts.max_score as "max_score: Points"
        from attempts
        left join test_versions as edition on (edition.test_id, version) = (attempts.test_id, attempts.test_version)
        left join sittings on sittings.id = attempts.test_id and attempts.test_version is null
        where attempts.id = $1 and status = 'graded'
        "#,
        id as AttemptId,
    )
    .fetch_optional(conn)
    .await
}
