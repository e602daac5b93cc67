//! From the rows of a version back to the test file that says the same.

use sqlx::PgConnection;
use sqlx::types::Json;

use super::{QuestionEntry, TestFile};
use crate::ids::TestId;
use crate::points::Points;
use crate::practice_tests::{AnswerKey, Choice, QuestionKind, TimeLimit};

/// The content of a version, if there is one. Imported again it changes nothing.
///
/// # Errors
/// If the database fails.
pub async fn export(conn: &mut PgConnection, test: TestId, version: i32) -> sqlx::Result<Option<TestFile>> {
    let heading = sqlx::query!(
        r#"
        select slug, edition.title, edition.subject, edition.description, edition.passage,
               edition.time_limit as "time_limit: Json<TimeLimit>"
        from test_versions as edition join practice_tests on practice_tests.id = test_id
        where test_id = $1 and edition.version = $2
        "#,
        test as TestId,
        version,
    );
    let Some(heading) = heading.fetch_optional(&mut *conn).await? else { return Ok(None) };
    Ok(Some(TestFile {
        slug: heading.slug,
        title: heading.title,
        subject: heading.subject,
        description: heading.description,
        passage: heading.passage,
        time_limit: heading.time_limit.map(|limit| limit.0),
        questions: questions(conn, test, version).await?,
    }))
}

async fn questions(conn: &mut PgConnection, test: TestId, version: i32) -> sqlx::Result<Vec<QuestionEntry>> {
    let rows = sqlx::query!(
        r#"
        select slug, kind as "kind: QuestionKind", topic, difficulty, prompt, points as "points: Points",
               choices as "choices: Json<Vec<Choice>>", answer_key as "answer: Json<AnswerKey>", explanation
        from questions where test_id = $1 and version = $2 order by position
        "#,
        test as TestId,
        version,
    );
    let entries = rows.fetch_all(conn).await?.into_iter().map(|row| QuestionEntry {
        slug: row.slug,
        kind: row.kind,
        topic: row.topic,
        difficulty: row.difficulty,
        prompt: row.prompt,
        points: row.points,
        choices: row.choices.0,
        answer: row.answer.0,
        explanation: row.explanation,
    });
    Ok(entries.collect())
}
