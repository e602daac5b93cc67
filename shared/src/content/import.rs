//! From a validated test to the rows of its next version, in the caller's transaction.

use sqlx::PgConnection;
use sqlx::types::Json;

use super::{QuestionEntry, TestFile};
use crate::ids::{QuestionId, TestId};
use crate::points::Points;
use crate::practice_tests::QuestionKind;

/// What to do with a test that exists with other content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDifference {
    /// Leave it alone.
    Refuse,
    /// Publish it as the next version. Attempts at the earlier ones keep their texts and keys.
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
    /// The database failed.
    #[error("the test could not be written")]
    Database(#[from] sqlx::Error),
}

/// Publishes `test` unless students get this content already.
///
/// # Errors
/// If the test exists with other content that is to be left alone, or the database fails.
pub async fn import(
    conn: &mut PgConnection,
    test: &TestFile,
    on_difference: OnDifference,
) -> Result<Imported, ImportError> {
    if let Some(id) = insert(conn, test).await? {
        publish(conn, id, test).await?;
        return Ok(Imported::Created);
    }
    let (id, present) = lock_by_slug(conn, &test.slug).await?;
    if present == test.source_hash() {
        return Ok(Imported::Unchanged);
    }
    if on_difference == OnDifference::Refuse {
        return Err(ImportError::Different(test.slug.clone()));
    }
    publish(conn, id, test).await?;
    Ok(Imported::Replaced)
}

/// Makes a test that has no version yet; none if its slug is taken.
///
/// # Errors
/// If the database fails.
pub(crate) async fn insert(conn: &mut PgConnection, test: &TestFile) -> sqlx::Result<Option<TestId>> {
    sqlx::query_scalar!(
        r#"
        insert into practice_tests (id, slug, title, subject, description, max_score, source_hash, version)
        values ($1, $2, $3, $4, $5, $6, '', null) on conflict (slug) do nothing
        returning id as "id: TestId"
        "#,
        TestId::new() as TestId,
        test.slug,
        test.title,
        test.subject,
        test.description,
        test.max_score() as Points,
    )
    .fetch_optional(conn)
    .await
}

async fn lock_by_slug(conn: &mut PgConnection, slug: &str) -> sqlx::Result<(TestId, String)> {
    let row =
        sqlx::query!(r#"select id as "id: TestId", source_hash from practice_tests where slug = $1 for update"#, slug);
    row.fetch_one(conn).await.map(|row| (row.id, row.source_hash))
}

/// What a publication came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// Students get this new version.
    Next(i32),
    /// Students get this version, which has the same content.
    Unchanged(i32),
}

/// Makes `content` what students get, and opens the test if it was archived. Attempts and sittings keep their versions.
///
/// # Errors
/// If the database fails.
pub async fn publish(conn: &mut PgConnection, id: TestId, content: &TestFile) -> sqlx::Result<Published> {
    let hash = content.source_hash();
    let row = sqlx::query!("select version, source_hash from practice_tests where id = $1 for update", id as TestId);
    let present = row.fetch_one(&mut *conn).await?;
    if let Some(version) = present.version.filter(|_| present.source_hash == hash) {
        reopen(conn, id, version).await?;
        return Ok(Published::Unchanged(version));
    }
    retire(conn, id).await?;
    let version = present.version.unwrap_or_default() + 1;
    insert_version(conn, id, version, content, &hash).await?;
    for (position, question) in (1..).zip(&content.questions) {
        insert_question(conn, Place { test: id, version, position }, question, content).await?;
    }
    point_to(conn, id, version).await?;
    Ok(Published::Next(version))
}

async fn reopen(conn: &mut PgConnection, id: TestId, version: i32) -> sqlx::Result<()> {
    sqlx::query!(
        "update practice_tests set archived_at = null, revision = revision + 1 where id = $1 and archived_at is not null",
        id as TestId,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        r#"
        update questions set listed = true
        from test_versions
        where (questions.test_id, questions.version) = ($1, $2) and not listed
              and (test_versions.test_id, test_versions.version) = ($1, $2) and time_limit is null
        "#,
        id as TestId,
        version,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends the version that students get, if there is one.
async fn retire(conn: &mut PgConnection, id: TestId) -> sqlx::Result<()> {
    sqlx::query!(
        "update test_versions set superseded_at = now() where test_id = $1 and superseded_at is null",
        id as TestId,
    )
    .execute(&mut *conn)
    .await?;
    unlist(conn, id).await
}

/// Takes the test's questions out of the bank.
///
/// # Errors
/// If the database fails.
pub(crate) async fn unlist(conn: &mut PgConnection, id: TestId) -> sqlx::Result<()> {
    sqlx::query!("update questions set listed = false where test_id = $1 and listed", id as TestId)
        .execute(conn)
        .await?;
    Ok(())
}

async fn insert_version(
    conn: &mut PgConnection,
    id: TestId,
    version: i32,
    content: &TestFile,
    hash: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into test_versions (test_id, version, title, subject, description, passage, max_score, time_limit, source_hash)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        "#,
        id as TestId,
        version,
        content.title,
        content.subject,
        content.description,
        content.passage,
        content.max_score() as Points,
        content.time_limit.map(Json) as _,
        hash,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Where a question stands.
#[derive(Clone, Copy)]
struct Place {
    test: TestId,
    version: i32,
    position: i16,
}

/// A question of the same slug continues the lineage of the one before.
async fn insert_question(
    conn: &mut PgConnection,
    place: Place,
    question: &QuestionEntry,
    content: &TestFile,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into questions (id, test_id, version, lineage, slug, position, kind, subject, topic, difficulty, prompt,
                               choices, answer_key, explanation, points, standalone, listed)
        values ($1, $2, $3,
                coalesce((select lineage from questions where (test_id, version, slug) = ($2, $3 - 1, $4)), $1),
                $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        "#,
        QuestionId::new() as QuestionId,
        place.test as TestId,
        place.version,
        question.slug,
        place.position,
        question.kind as QuestionKind,
        content.subject,
        question.topic,
        question.difficulty,
        question.prompt,
        Json(&question.choices) as _,
        Json(&question.answer) as _,
        question.explanation,
        question.points as Points,
        content.passage.is_none(),
        content.time_limit.is_none(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Repeats the heading of the version in the test's own row, where lists read it.
async fn point_to(conn: &mut PgConnection, id: TestId, version: i32) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update practice_tests as test
        set version = edition.version, title = edition.title, subject = edition.subject,
            description = edition.description, passage = edition.passage, max_score = edition.max_score,
            time_limit = edition.time_limit, source_hash = edition.source_hash, archived_at = null,
            revision = revision + 1
        from test_versions as edition
        where test.id = $1 and edition.test_id = $1 and edition.version = $2
        "#,
        id as TestId,
        version,
    )
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
