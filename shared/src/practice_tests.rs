//! Practice tests, their questions and the keys to them.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::ids::{QuestionId, TestId};
use crate::points::Points;

/// How a question is asked and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "question_kind", rename_all = "snake_case")]
pub enum QuestionKind {
    /// One of the choices.
    SingleChoice,
    /// Some of the choices.
    MultipleChoice,
    /// A number.
    Numeric,
    /// Words.
    FreeText,
}

/// How long a student may take over a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeLimit {
    /// From the start to the deadline.
    pub minutes: i16,
    /// What becomes of answers that come after it.
    #[serde(default)]
    pub late: LateAnswers,
}

/// What becomes of answers that come after the deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LateAnswers {
    /// They are refused.
    #[default]
    Refuse,
    /// They are graded, marked as late, and never ranked.
    Mark,
}

/// One of the choices of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Unique within the question.
    pub id: String,
    /// What the student reads.
    pub text: String,
}

/// What a right answer is. Never sent to a student before grading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum AnswerKey {
    /// For single and multiple choice.
    Choices(ChoicesKey),
    /// For numbers.
    Number(NumberKey),
    /// For words.
    Text(TextKey),
}

/// The right choices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChoicesKey {
    /// Their ids.
    pub choice_ids: Vec<String>,
}

/// The right number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberKey {
    /// The number.
    pub number: f64,
    /// How far off an answer may be and still be right.
    pub tolerance: f64,
}

/// What a right text says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TextKey {
    /// What a very good student would write.
    pub model_answer: String,
    /// The statements it makes; the mark is the share of them that an answer meets.
    pub key_points: Vec<KeyPoint>,
}

/// A statement that a right text makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyPoint {
    /// Unique within the question.
    pub id: String,
    /// The statement.
    pub text: String,
    /// For the rubric marker: the point is met if the answer holds one term of every group.
    pub terms: Vec<Vec<String>>,
}

/// A question with its key.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its id.
    pub id: QuestionId,
    /// How it is asked and answered.
    pub kind: QuestionKind,
    /// What the student reads.
    pub prompt: String,
    /// For single and multiple choice; otherwise empty.
    pub choices: Json<Vec<Choice>>,
    /// What a right answer is.
    pub answer_key: Json<AnswerKey>,
    /// Why it is right; shown after grading.
    pub explanation: String,
    /// What a right answer earns.
    pub points: Points,
}

/// One version of a test, or a practice set, without its questions.
#[derive(Clone, Debug)]
pub struct PracticeTest {
    /// Its id.
    pub id: TestId,
    /// Which version; none: it is a practice set.
    pub version: Option<i32>,
    /// What the student reads.
    pub title: String,
    /// A text that its questions are about.
    pub passage: Option<String>,
    /// How long a student may take.
    pub time_limit: Option<Json<TimeLimit>>,
    /// What all right answers earn.
    pub max_score: Points,
}

/// Whether there is such a test, open or archived. One that was never published is none.
///
/// # Errors
/// If the database fails.
pub async fn exists(conn: &mut PgConnection, id: TestId) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar!(
        r#"select exists (select from practice_tests where id = $1 and version is not null) as "found!""#,
        id as TestId,
    );
    found.fetch_one(conn).await
}

/// The version that students get; none if the test is not open to them.
///
/// # Errors
/// If the database fails.
pub async fn current_version(conn: &mut PgConnection, id: TestId) -> sqlx::Result<Option<i32>> {
    let version =
        sqlx::query_scalar!("select version from practice_tests where id = $1 and archived_at is null", id as TestId,);
    Ok(version.fetch_optional(conn).await?.flatten())
}

/// A test, as a list shows it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct TestSummary {
    /// Its id.
    pub id: TestId,
    /// Its name in addresses and files.
    pub slug: String,
    /// What the student reads.
    pub title: String,
    /// What it is about, such as `biology`.
    pub subject: String,
    /// A sentence or two.
    pub description: String,
    /// How many questions it has.
    pub question_count: i64,
    /// What all right answers earn.
    pub max_score: Points,
    /// The version that students get.
    pub version: i32,
    /// How long a student may take; absent: as long as they like. A timed test must be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TimeLimit>)]
    pub time_limit: Option<Json<TimeLimit>>,
}

/// Up to `limit` open tests in the order of their ids, after `after`.
///
/// # Errors
/// If the database fails.
pub async fn list(conn: &mut PgConnection, after: Option<TestId>, limit: i64) -> sqlx::Result<Vec<TestSummary>> {
    sqlx::query_as!(
        TestSummary,
        r#"
        select id as "id: TestId", slug, title, subject, description, max_score as "max_score: Points",
               version as "version!", time_limit as "time_limit: Json<TimeLimit>",
               (select count(*) from questions
                where test_id = practice_tests.id and version = practice_tests.version) as "question_count!"
        from practice_tests
        where version is not null and archived_at is null and ($1::uuid is null or id > $1)
        order by id limit $2
        "#,
        after as Option<TestId>,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// A test, as the student who takes it sees it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct TestSheet {
    /// See [`TestSummary`].
    #[serde(flatten)]
    pub summary: TestSummary,
    /// A text that its questions are about. A timed test's comes with the start.
    pub passage: Option<String>,
    /// Its questions in their order. A timed test's come with the start.
    pub questions: Vec<AskedQuestion>,
}

/// A question without its key and explanation.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct AskedQuestion {
    /// Its id.
    pub id: QuestionId,
    /// How it is asked and answered.
    pub kind: QuestionKind,
    /// What the student reads.
    pub prompt: String,
    /// For single and multiple choice; otherwise empty.
    #[schema(value_type = Vec<Choice>)]
    pub choices: Json<Vec<Choice>>,
    /// What a right answer earns.
    pub points: Points,
}

impl From<&Question> for AskedQuestion {
    fn from(question: &Question) -> Self {
        let Question { id, kind, prompt, choices, points, .. } = question.clone();
        Self { id, kind, prompt, choices, points }
    }
}

/// The open test with its questions, if there is one.
///
/// # Errors
/// If the database fails.
pub async fn sheet(conn: &mut PgConnection, id: TestId) -> sqlx::Result<Option<TestSheet>> {
    let row = sqlx::query!(
        r#"
        select slug, title, subject, description, passage, max_score as "max_score: Points", version as "version!",
               time_limit as "time_limit: Json<TimeLimit>"
        from practice_tests where id = $1 and version is not null and archived_at is null
        "#,
        id as TestId,
    );
    let Some(row) = row.fetch_optional(&mut *conn).await? else { return Ok(None) };
    let mut questions = asked(conn, id, row.version).await?;
    let question_count = i64::try_from(questions.len()).unwrap_or(i64::MAX);
    let mut passage = row.passage;
    if row.time_limit.is_some() {
        (passage, questions) = (None, Vec::new());
    }
    let (slug, title, subject, description) = (row.slug, row.title, row.subject, row.description);
    let (max_score, version, time_limit) = (row.max_score, row.version, row.time_limit);
    let summary = TestSummary { id, slug, title, subject, description, question_count, max_score, version, time_limit };
    Ok(Some(TestSheet { summary, passage, questions }))
}

async fn asked(conn: &mut PgConnection, test: TestId, version: i32) -> sqlx::Result<Vec<AskedQuestion>> {
    sqlx::query_as!(
        AskedQuestion,
        r#"
        select id as "id: QuestionId", kind as "kind: QuestionKind", prompt, choices as "choices: Json<Vec<Choice>>",
               points as "points: Points"
        from questions where test_id = $1 and version = $2 order by position
        "#,
        test as TestId,
        version,
    )
    .fetch_all(conn)
    .await
}
