//! Versions: a test as it was published. What they say never changes; what students get moves on to the next one.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::ids::{QuestionId, SittingId, TestId};
use crate::points::Points;
use crate::practice_tests::{AnswerKey, Choice, PracticeTest, Question, QuestionKind, TimeLimit};

/// What an attempt was made at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Taken {
    /// One version of a test.
    Version(TestId, i32),
    /// The questions of a practice set.
    Practice(SittingId),
}

impl Taken {
    /// From the two columns that say it: a practice set has no version, and its own id for a test.
    #[must_use]
    pub fn new(test: TestId, version: Option<i32>) -> Self {
        version.map_or(Self::Practice(SittingId(test.0)), |version| Self::Version(test, version))
    }

    /// The two columns.
    #[must_use]
    pub fn columns(self) -> (TestId, Option<i32>) {
        match self {
            Self::Version(test, version) => (test, Some(version)),
            Self::Practice(set) => (TestId(set.0), None),
        }
    }
}

/// The version of a test, if there is one.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, test: TestId, version: i32) -> sqlx::Result<Option<PracticeTest>> {
    sqlx::query_as!(
        PracticeTest,
        r#"
        select test_id as "id: TestId", version as "version: Option<i32>", title, passage,
               time_limit as "time_limit: Json<TimeLimit>", max_score as "max_score: Points"
        from test_versions where test_id = $1 and version = $2
        "#,
        test as TestId,
        version,
    )
    .fetch_optional(conn)
    .await
}

/// The questions of a version in their order; empty if there is none.
///
/// # Errors
/// If the database fails.
pub async fn questions(conn: &mut PgConnection, test: TestId, version: i32) -> sqlx::Result<Vec<Question>> {
    sqlx::query_as!(
        Question,
        r#"
        select id as "id: QuestionId", kind as "kind: QuestionKind", prompt, choices as "choices: Json<Vec<Choice>>",
               answer_key as "answer_key: Json<AnswerKey>", explanation, points as "points: Points"
        from questions where test_id = $1 and version = $2 order by position
        "#,
        test as TestId,
        version,
    )
    .fetch_all(conn)
    .await
}

/// The version of `test` that asks `question`, if students could take it at most `hours` ago.
///
/// # Errors
/// If the database fails.
pub async fn asking(
    conn: &mut PgConnection,
    test: TestId,
    question: QuestionId,
    hours: i32,
) -> sqlx::Result<Option<i32>> {
    sqlx::query_scalar!(
        r#"
        select version from questions join test_versions using (test_id, version)
        where questions.id = $2 and test_id = $1
              and (superseded_at is null or superseded_at > now() - make_interval(hours => $3))
        "#,
        test as TestId,
        question as QuestionId,
        hours,
    )
    .fetch_optional(conn)
    .await
}

/// A version, as a list shows it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct EditionSummary {
    /// Counted from 1.
    pub version: i32,
    /// What the student read.
    pub title: String,
    /// How many questions it has.
    pub question_count: i64,
    /// What all right answers earn.
    pub max_score: Points,
    /// How long a student may take; none: as long as they like.
    #[schema(value_type = Option<TimeLimit>)]
    pub time_limit: Option<Json<TimeLimit>>,
    /// When students got it.
    pub published_at: DateTime<Utc>,
    /// When the next one took its place.
    pub superseded_at: Option<DateTime<Utc>>,
}

/// Up to `limit` versions of a test, the newest first, older than `before`.
///
/// # Errors
/// If the database fails.
pub async fn list(
    conn: &mut PgConnection,
    test: TestId,
    before: Option<i32>,
    limit: i64,
) -> sqlx::Result<Vec<EditionSummary>> {
    sqlx::query_as!(
        EditionSummary,
        r#"
        select version, title, max_score as "max_score: Points", time_limit as "time_limit: Json<TimeLimit>",
               published_at, superseded_at,
               (select count(*) from questions
                where test_id = $1 and questions.version = test_versions.version) as "question_count!"
        from test_versions where test_id = $1 and ($2::integer is null or version < $2) order by version desc limit $3
        "#,
        test as TestId,
        before,
        limit,
    )
    .fetch_all(conn)
    .await
}
