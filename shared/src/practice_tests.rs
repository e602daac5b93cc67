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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberKey {
    /// The number.
    pub number: f64,
    /// How far off an answer may be and still be right.
    pub tolerance: f64,
}

/// What a right text says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextKey {
    /// What a very good student would write.
    pub model_answer: String,
    /// The statements it makes; the mark is the share of them that an answer meets.
    pub key_points: Vec<KeyPoint>,
}

/// A statement that a right text makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// A test without its questions.
#[derive(Clone, Debug)]
pub struct PracticeTest {
    /// Its id.
    pub id: TestId,
    /// What the student reads.
    pub title: String,
    /// What it is about, such as `biology`.
    pub subject: String,
    /// A sentence or two.
    pub description: String,
    /// A text that its questions are about.
    pub passage: Option<String>,
    /// What all right answers earn.
    pub max_score: Points,
}

/// The test, if there is one.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, id: TestId) -> sqlx::Result<Option<PracticeTest>> {
    sqlx::query_as!(
        PracticeTest,
        r#"
        select id as "id: TestId", title, subject, description, passage, max_score as "max_score: Points"
        from practice_tests where id = $1
        "#,
        id as TestId,
    )
    .fetch_optional(conn)
    .await
}

/// The questions of a test in their order; empty if there is no such test.
///
/// # Errors
/// If the database fails.
pub async fn questions(conn: &mut PgConnection, test: TestId) -> sqlx::Result<Vec<Question>> {
    sqlx::query_as!(
        Question,
        r#"
        select id as "id: QuestionId", kind as "kind: QuestionKind", prompt, choices as "choices: Json<Vec<Choice>>",
               answer_key as "answer_key: Json<AnswerKey>", explanation, points as "points: Points"
        from questions where test_id = $1 order by position
        "#,
        test as TestId,
    )
    .fetch_all(conn)
    .await
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
}

/// Up to `limit` tests in the order of their ids, after `after`.
///
/// # Errors
/// If the database fails.
pub async fn list(conn: &mut PgConnection, after: Option<TestId>, limit: i64) -> sqlx::Result<Vec<TestSummary>> {
    sqlx::query_as!(
        TestSummary,
        r#"
        select id as "id: TestId", slug, title, subject, description, max_score as "max_score: Points",
               (select count(*) from questions where test_id = practice_tests.id) as "question_count!"
        from practice_tests where $1::uuid is null or id > $1 order by id limit $2
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
    /// A text that its questions are about.
    pub passage: Option<String>,
    /// Its questions in their order.
    pub questions: Vec<AskedQuestion>,
}

/// A question without its key and explanation.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
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

/// The test with its questions, if there is one.
///
/// # Errors
/// If the database fails.
pub async fn sheet(conn: &mut PgConnection, id: TestId) -> sqlx::Result<Option<TestSheet>> {
    let row = sqlx::query!(
        r#"select slug, title, subject, description, passage, max_score as "max_score: Points" from practice_tests where id = $1"#,
        id as TestId,
    );
    let Some(row) = row.fetch_optional(&mut *conn).await? else { return Ok(None) };
    let questions = sqlx::query_as!(
        AskedQuestion,
        r#"
        select id as "id: QuestionId", kind as "kind: QuestionKind", prompt, choices as "choices: Json<Vec<Choice>>",
               points as "points: Points"
        from questions where test_id = $1 order by position
        "#,
        id as TestId,
    )
    .fetch_all(conn)
    .await?;
    let question_count = i64::try_from(questions.len()).unwrap_or(i64::MAX);
    let (slug, title, subject, description) = (row.slug, row.title, row.subject, row.description);
    let summary = TestSummary { id, slug, title, subject, description, question_count, max_score: row.max_score };
    Ok(Some(TestSheet { summary, passage: row.passage, questions }))
}
