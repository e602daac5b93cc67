//! From a validated test to its rows, in the caller's transaction.

use sqlx::PgConnection;
use sqlx::types::Json;

use super::{QuestionEntry, TestFile};
use crate::ids::{QuestionId, TestId};
use crate::points::Points;
use crate::practice_tests::{Choice, QuestionKind};

/// Added to positions while questions change places: a place must be positive and free at each step.
const OUT_OF_THE_WAY: i16 = 16_384;

/// What to do with a test that exists with other content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDifference {
    /// Leave it alone.
    Refuse,
    /// Replace its texts and keys, question by question, by their slugs.
    Replace,
}

/// What an import came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The test is new.
    Created,
    /// The test was there with this content.
    Unchanged,
    /// The test was there with other content, and has this now.
    Replaced,
}

/// Why a test was not imported. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It exists with other content, and was to be left alone.
    #[error("the test \"{0}\" exists with other content")]
    Different(String),
    /// Attempts were made at questions that would ask or earn something else.
    #[error("students have taken the test \"{slug}\", and these questions would ask or earn something else: {}", questions.join(", "))]
    InUse {
        /// The test.
        slug: String,
        /// Slugs of questions that were added or taken away, or whose kind, points or choices changed.
        questions: Vec<String>,
    },
    /// The database failed.
    #[error("the test could not be written")]
    Database(#[from] sqlx::Error),
}

/// Writes `test` unless it is there with this content. Results that students have already got stay as they are.
///
/// # Errors
/// If the test exists with content that must not be replaced, or the database fails.
pub async fn import(
    conn: &mut PgConnection,
    test: &TestFile,
    on_difference: OnDifference,
) -> Result<Imported, ImportError> {
    let hash = test.source_hash();
    if let Some(id) = insert_test(conn, test, &hash).await? {
        put_questions(conn, id, &test.questions).await?;
        return Ok(Imported::Created);
    }
    let (id, present) = lock_test(conn, &test.slug).await?;
    if present == hash {
        return Ok(Imported::Unchanged);
    }
    if on_difference == OnDifference::Refuse {
        return Err(ImportError::Different(test.slug.clone()));
    }
    refuse_if_in_use(conn, id, test).await?;
    update_test(conn, id, test, &hash).await?;
    put_questions(conn, id, &test.questions).await?;
    Ok(Imported::Replaced)
}

async fn insert_test(conn: &mut PgConnection, test: &TestFile, hash: &str) -> sqlx::Result<Option<TestId>> {
    sqlx::query_scalar!(
        r#"
        insert into practice_tests (id, slug, title, subject, description, passage, max_score, source_hash)
        values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (slug) do nothing
        returning id as "id: TestId"
        "#,
        TestId::new() as TestId,
        test.slug,
        test.title,
        test.subject,
        test.description,
        test.passage,
        test.max_score() as Points,
        hash,
    )
    .fetch_optional(conn)
    .await
}

/// The test's id and hash. Until the transaction ends no attempt at it can be accepted.
async fn lock_test(conn: &mut PgConnection, slug: &str) -> sqlx::Result<(TestId, String)> {
    let row =
        sqlx::query!(r#"select id as "id: TestId", source_hash from practice_tests where slug = $1 for update"#, slug);
    row.fetch_one(conn).await.map(|row| (row.id, row.source_hash))
}

async fn refuse_if_in_use(conn: &mut PgConnection, id: TestId, test: &TestFile) -> Result<(), ImportError> {
    let questions = differing(&shapes(conn, id).await?, test);
    if questions.is_empty() || !has_attempts(conn, id).await? {
        return Ok(());
    }
    Err(ImportError::InUse { slug: test.slug.clone(), questions })
}

/// What attempts at a question rely on.
struct Shape {
    slug: String,
    kind: QuestionKind,
    points: Points,
    choices: Json<Vec<Choice>>,
}

async fn shapes(conn: &mut PgConnection, id: TestId) -> sqlx::Result<Vec<Shape>> {
    sqlx::query_as!(
        Shape,
        r#"
        select slug, kind as "kind: QuestionKind", points as "points: Points", choices as "choices: Json<Vec<Choice>>"
        from questions where test_id = $1 order by position
        "#,
        id as TestId,
    )
    .fetch_all(conn)
    .await
}

fn differing(present: &[Shape], test: &TestFile) -> Vec<String> {
    let entry = |slug: &str| test.questions.iter().find(|question| question.slug == slug);
    let changed = present.iter().filter(|shape| !entry(&shape.slug).is_some_and(|entry| fits(shape, entry)));
    let added = test.questions.iter().filter(|entry| !present.iter().any(|shape| shape.slug == entry.slug));
    changed.map(|shape| shape.slug.clone()).chain(added.map(|entry| entry.slug.clone())).collect()
}

fn fits(shape: &Shape, entry: &QuestionEntry) -> bool {
    let named = |choice: &Choice| entry.choices.iter().any(|other| other.id == choice.id);
    shape.kind == entry.kind
        && shape.points == entry.points
        && shape.choices.len() == entry.choices.len()
        && shape.choices.iter().all(named)
}

async fn has_attempts(conn: &mut PgConnection, id: TestId) -> sqlx::Result<bool> {
    let found =
        sqlx::query_scalar!(r#"select exists (select from attempts where test_id = $1) as "found!""#, id as TestId);
    found.fetch_one(conn).await
}

async fn update_test(conn: &mut PgConnection, id: TestId, test: &TestFile, hash: &str) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update practice_tests set title = $2, subject = $3, description = $4, passage = $5, max_score = $6, source_hash = $7
        where id = $1
        "#,
        id as TestId,
        test.title,
        test.subject,
        test.description,
        test.passage,
        test.max_score() as Points,
        hash,
    )
    .execute(&mut *conn)
    .await?;
    let kept: Vec<_> = test.questions.iter().map(|question| question.slug.clone()).collect();
    sqlx::query!("delete from questions where test_id = $1 and slug <> all($2)", id as TestId, &kept)
        .execute(&mut *conn)
        .await?;
    sqlx::query!("update questions set position = position + $2 where test_id = $1", id as TestId, OUT_OF_THE_WAY)
        .execute(conn)
        .await?;
    Ok(())
}

async fn put_questions(conn: &mut PgConnection, test: TestId, questions: &[QuestionEntry]) -> sqlx::Result<()> {
    for (position, question) in (1..).zip(questions) {
        put_question(conn, test, position, question).await?;
    }
    Ok(())
}

async fn put_question(
    conn: &mut PgConnection,
    test: TestId,
    position: i16,
    question: &QuestionEntry,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into questions (id, test_id, slug, position, kind, topic, difficulty, prompt, choices, answer_key,
                               explanation, points)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        on conflict (test_id, slug) do update
        set position = excluded.position, kind = excluded.kind, topic = excluded.topic,
            difficulty = excluded.difficulty, prompt = excluded.prompt, choices = excluded.choices,
            answer_key = excluded.answer_key, explanation = excluded.explanation, points = excluded.points
        "#,
        QuestionId::new() as QuestionId,
        test as TestId,
        question.slug,
        position,
        question.kind as QuestionKind,
        question.topic,
        question.difficulty,
        question.prompt,
        Json(&question.choices) as _,
        Json(&question.answer) as _,
        question.explanation,
        question.points as Points,
    )
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
