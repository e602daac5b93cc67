//! Authoring: the next version of a test while it is being written, and its way to the students.
//!
//! Every change of a test raises its revision. Who changes it says which revision they have seen, and is told if somebody
//! else was faster.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::content::{self, Finding, Published, TestFile};
use crate::ids::{TestId, UserId};
use crate::points::Points;

/// What students can do with a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TestState {
    /// Nothing yet: it was never published.
    Draft,
    /// Take it.
    Published,
    /// Look at what they took.
    Archived,
}

/// A test, as its authors list it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct TestOverview {
    /// Its id.
    pub id: TestId,
    /// Its name in addresses and files.
    pub slug: String,
    /// Of the version that students get, or of the first draft.
    pub title: String,
    /// What it is about.
    pub subject: String,
    /// What students can do with it.
    pub state: TestState,
    /// The version that students get, if one was published.
    pub version: Option<i32>,
    /// How often it was changed; the `ETag` of its page.
    pub revision: i32,
    /// When its draft was last saved; none: there is nothing to publish.
    pub draft_saved_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Up to `limit` tests in the order of their ids, after `after`.
///
/// # Errors
/// If the database fails.
pub async fn list(conn: &mut PgConnection, after: Option<TestId>, limit: i64) -> sqlx::Result<Vec<TestOverview>> {
    between(conn, after, None, limit).await
}

async fn between(
    conn: &mut PgConnection,
    after: Option<TestId>,
    only: Option<TestId>,
    limit: i64,
) -> sqlx::Result<Vec<TestOverview>> {
    let rows = sqlx::query!(
        r#"
        select id as "id: TestId", slug, title, subject, version, revision, archived_at is not null as "archived!",
               created_at, edited_at as "edited_at?"
        from practice_tests left join test_drafts on test_id = id
        where ($1::uuid is null or id > $1) and ($2::uuid is null or id = $2) order by id limit $3
        "#,
        after as Option<TestId>,
        only as Option<TestId>,
        limit,
    );
    let overviews = rows.fetch_all(conn).await?.into_iter().map(|row| TestOverview {
        id: row.id,
        slug: row.slug,
        title: row.title,
        subject: row.subject,
        state: match (row.archived, row.version) {
            (true, _) => TestState::Archived,
            (false, Some(_)) => TestState::Published,
            (false, None) => TestState::Draft,
        },
        version: row.version,
        revision: row.revision,
        draft_saved_at: row.edited_at,
        created_at: row.created_at,
    });
    Ok(overviews.collect())
}

/// A test with what its next version would be: the draft, or what students get if there is none.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct AuthoredTest {
    /// See [`TestOverview`].
    #[serde(flatten)]
    pub overview: TestOverview,
    /// As a test file says it, with all keys.
    #[schema(value_type = TestFile)]
    pub content: Value,
}

/// The test, if there is one.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, id: TestId) -> sqlx::Result<Option<AuthoredTest>> {
    let Some(overview) = between(conn, None, Some(id), 1).await?.pop() else { return Ok(None) };
    let content = match (draft(conn, id).await?, overview.version) {
        (Some(draft), _) => draft,
        (None, Some(version)) => serde_json::to_value(content::export(conn, id, version).await?).unwrap_or_default(),
        (None, None) => Value::Null,
    };
    Ok(Some(AuthoredTest { overview, content }))
}

async fn draft(conn: &mut PgConnection, id: TestId) -> sqlx::Result<Option<Value>> {
    sqlx::query_scalar!("select content from test_drafts where test_id = $1", id as TestId).fetch_optional(conn).await
}

/// Makes a test with `content` as its first draft; none if its slug is taken.
///
/// # Errors
/// If the database fails.
pub async fn create(conn: &mut PgConnection, content: &TestFile, by: UserId) -> sqlx::Result<Option<TestId>> {
    let Some(id) = content::insert(conn, content).await? else { return Ok(None) };
    put_draft(conn, id, content, by).await?;
    Ok(Some(id))
}

async fn put_draft(conn: &mut PgConnection, id: TestId, content: &TestFile, by: UserId) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into test_drafts (test_id, content, edited_by) values ($1, $2, $3)
        on conflict (test_id) do update
        set content = excluded.content, edited_by = excluded.edited_by, edited_at = now()
        "#,
        id as TestId,
        Json(content) as _,
        by as UserId,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        r#"
        update practice_tests set title = $2, subject = $3, description = $4, max_score = $5
        where id = $1 and version is null
        "#,
        id as TestId,
        content.title,
        content.subject,
        content.description,
        content.max_score() as Points,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Which revisions of a test may be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is.
    Any,
    /// One of these, which the author has seen.
    OneOf(Vec<i32>),
}

/// Why a test was not changed.
#[derive(Debug, thiserror::Error)]
pub enum Unchanged {
    /// There is none.
    #[error("there is no such test")]
    Missing,
    /// Somebody else changed it since.
    #[error("the test was changed meanwhile")]
    Stale,
    /// Its slug names it for ever.
    #[error("the slug of a test never changes")]
    OtherSlug,
    /// It has neither a draft nor a version.
    #[error("there is nothing to publish")]
    NothingToPublish,
    /// Its draft was saved under older rules.
    #[error("the draft breaks the rules")]
    Invalid(Vec<Finding>),
    /// The database failed.
    #[error("the test could not be changed")]
    Database(#[from] sqlx::Error),
}

/// Locks the test until the transaction ends.
async fn lock(conn: &mut PgConnection, id: TestId, expected: &Expected) -> Result<String, Unchanged> {
    let row = sqlx::query!("select slug, revision from practice_tests where id = $1 for update", id as TestId);
    let row = row.fetch_optional(conn).await?.ok_or(Unchanged::Missing)?;
    match expected {
        Expected::OneOf(seen) if !seen.contains(&row.revision) => Err(Unchanged::Stale),
        _ => Ok(row.slug),
    }
}

async fn raise_revision(conn: &mut PgConnection, id: TestId) -> sqlx::Result<()> {
    sqlx::query!("update practice_tests set revision = revision + 1 where id = $1", id as TestId).execute(conn).await?;
    Ok(())
}

/// Saves `content` as the draft.
///
/// # Errors
/// If the test is not there, not as expected or of another slug, or the database fails.
pub async fn save(
    conn: &mut PgConnection,
    id: TestId,
    expected: &Expected,
    content: &TestFile,
    by: UserId,
) -> Result<(), Unchanged> {
    if lock(conn, id, expected).await? != content.slug {
        return Err(Unchanged::OtherSlug);
    }
    put_draft(conn, id, content, by).await?;
    Ok(raise_revision(conn, id).await?)
}

/// Makes the draft what students get, or opens an archived test again as it was.
///
/// # Errors
/// If the test is not there or not as expected, there is nothing to publish, or the database fails.
pub async fn publish(conn: &mut PgConnection, id: TestId, expected: &Expected) -> Result<Published, Unchanged> {
    lock(conn, id, expected).await?;
    let content = next_content(conn, id).await?;
    let published = content::publish(conn, id, &content).await?;
    sqlx::query!("delete from test_drafts where test_id = $1", id as TestId).execute(conn).await?;
    Ok(published)
}

async fn next_content(conn: &mut PgConnection, id: TestId) -> Result<TestFile, Unchanged> {
    if let Some(draft) = draft(conn, id).await? {
        return content::check(&draft).map_err(Unchanged::Invalid);
    }
    let version = sqlx::query_scalar!("select version from practice_tests where id = $1", id as TestId);
    let version = version.fetch_one(&mut *conn).await?.ok_or(Unchanged::NothingToPublish)?;
    content::export(conn, id, version).await?.ok_or(Unchanged::NothingToPublish)
}

/// Takes the test from the students. What they took stays readable, and running sittings go on.
///
/// # Errors
/// If the test is not there or not as expected, or the database fails.
pub async fn archive(conn: &mut PgConnection, id: TestId, expected: &Expected) -> Result<(), Unchanged> {
    lock(conn, id, expected).await?;
    let archived = sqlx::query!(
        r#"
        update practice_tests set archived_at = now(), revision = revision + 1
        where id = $1 and archived_at is null
        "#,
        id as TestId,
    );
    archived.execute(&mut *conn).await?;
    Ok(content::unlist(conn, id).await?)
}
