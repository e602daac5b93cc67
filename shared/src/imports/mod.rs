//! Imports: files that operators hand in to become tests, what became of each, and its report.

mod ending;
mod report;

pub use self::ending::{Found, fail, finish, reopen};
pub use self::report::{ReportRow, report};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::content::{Imported, OnDifference};
use crate::ids::{ImportId, JobId, TestId, UserId};

/// How long an import, its file and its report are kept, in days.
pub const KEPT_DAYS: i32 = 30;
/// Old imports deleted by one statement; each has a file.
const DELETE_BATCH: i64 = 20;

/// How far an import has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "import_state", rename_all = "snake_case")]
pub enum ImportState {
    /// A job will read it, or does.
    Queued,
    /// What could be used of it is stored; a dry run stores nothing.
    Done,
    /// Nothing of it is stored; `error` says why.
    Failed,
}

/// What to do with a test that exists with other content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum OnExisting {
    /// Leave it alone; the import fails.
    #[default]
    Refuse,
    /// Replace its texts and keys, question by question, by their slugs.
    Replace,
}

impl From<OnExisting> for OnDifference {
    fn from(on_existing: OnExisting) -> Self {
        match on_existing {
            OnExisting::Refuse => Self::Refuse,
            OnExisting::Replace => Self::Replace,
        }
    }
}

/// What an import came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Outcome {
    /// The test is new.
    Created,
    /// The test was there with this content.
    Unchanged,
    /// The test was there with other content, and has this now.
    Replaced,
    /// A dry run: it could be stored, and nothing was.
    Checked,
}

impl From<Imported> for Outcome {
    fn from(imported: Imported) -> Self {
        match imported {
            Imported::Created => Self::Created,
            Imported::Unchanged => Self::Unchanged,
            Imported::Replaced => Self::Replaced,
        }
    }
}

/// A file that was handed in.
#[derive(Clone, Debug)]
pub struct NewImport<'a> {
    /// Its id.
    pub id: ImportId,
    /// Who handed it in.
    pub submitter: UserId,
    /// The job that reads it.
    pub job: JobId,
    /// How it is to be read.
    pub request: Request<'a>,
    /// The file; not empty.
    pub file: &'a [u8],
}

/// What the one who hands in a file says of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The name of its format, if that is known.
    pub format: Option<&'a str>,
    /// The file's name.
    pub filename: Option<&'a str>,
    /// What the test is to be called.
    pub title: Option<&'a str>,
    /// What the test is about.
    pub subject: Option<&'a str>,
    /// What to do with a test that exists with other content.
    pub on_existing: OnExisting,
    /// True: read and report, and store nothing.
    pub dry_run: bool,
}

/// An import, as operators see it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Import {
    /// Its id.
    pub id: ImportId,
    /// The job that reads it.
    pub job_id: JobId,
    /// How far it has come.
    pub state: ImportState,
    /// The name of the file's format, once it is known.
    pub format: Option<String>,
    /// The file's name, if it was given.
    pub filename: Option<String>,
    /// What the test was to be called, if that was given.
    pub title: Option<String>,
    /// What the test was to be about, if that was given.
    pub subject: Option<String>,
    /// What to do with a test that exists with other content.
    pub on_existing: OnExisting,
    /// True if nothing is to be stored.
    pub dry_run: bool,
    /// The file's size, in bytes.
    pub size: i32,
    /// How many questions are in the file.
    pub found: i32,
    /// How many of them can be used.
    pub usable: i32,
    /// How many rows of the report tell of something lost.
    pub lost: i32,
    /// How many rows of the report tell of something that reads, or is graded, differently.
    pub changed: i32,
    /// What it came to; none until it is done, and if it failed.
    pub outcome: Option<Outcome>,
    /// The test that was stored, or was there already.
    pub test_id: Option<TestId>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was handed in.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// What a job needs of an import.
#[derive(Clone, Debug)]
pub struct HandedIn {
    /// The name of its format, if that was given.
    pub format: Option<String>,
    /// The file's name, if it was given.
    pub filename: Option<String>,
    /// What the test is to be called, if that was given.
    pub title: Option<String>,
    /// What the test is about, if that was given.
    pub subject: Option<String>,
    /// What to do with a test that exists with other content.
    pub on_existing: OnExisting,
    /// True if nothing is to be stored.
    pub dry_run: bool,
    /// The file.
    pub file: Vec<u8>,
}

/// Writes a file that was handed in.
///
/// # Errors
/// If the database fails.
pub async fn insert(conn: &mut PgConnection, new: &NewImport<'_>) -> sqlx::Result<()> {
    let request = &new.request;
    sqlx::query!(
        r#"
        insert into imports (id, submitter, job_id, format, filename, title, subject, on_existing, dry_run, size, file)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, octet_length($10::bytea), $10)
        "#,
        new.id as ImportId,
        new.submitter as UserId,
        new.job as JobId,
        request.format,
        request.filename,
        request.title,
        request.subject,
        request.on_existing as OnExisting,
        request.dry_run,
        new.file,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The import, if there is one.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, id: ImportId) -> sqlx::Result<Option<Import>> {
    sqlx::query_as!(
        Import,
        r#"
        select id as "id: ImportId", job_id as "job_id: JobId", state as "state: ImportState", format, filename, title,
               subject, on_existing as "on_existing: OnExisting", dry_run, size, found, usable, lost, changed,
               outcome as "outcome: Outcome", test_id as "test_id: TestId", error, created_at, finished_at
        from imports where id = $1
        "#,
        id as ImportId,
    )
    .fetch_optional(conn)
    .await
}

/// Up to `limit` imports that came before `before`, the newest first.
///
/// # Errors
/// If the database fails.
pub async fn list(conn: &mut PgConnection, before: Option<ImportId>, limit: i64) -> sqlx::Result<Vec<Import>> {
    sqlx::query_as!(
        Import,
        r#"
        select id as "id: ImportId", job_id as "job_id: JobId", state as "state: ImportState", format, filename, title,
               subject, on_existing as "on_existing: OnExisting", dry_run, size, found, usable, lost, changed,
               outcome as "outcome: Outcome", test_id as "test_id: TestId", error, created_at, finished_at
        from imports where $1::uuid is null or id < $1 order by id desc limit $2
        "#,
        before as Option<ImportId>,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// What a job needs, if the import is there and has not ended.
///
/// # Errors
/// If the database fails.
pub async fn handed_in(conn: &mut PgConnection, id: ImportId) -> sqlx::Result<Option<HandedIn>> {
    sqlx::query_as!(
        HandedIn,
        r#"
        select format, filename, title, subject, on_existing as "on_existing: OnExisting", dry_run, file
        from imports where id = $1 and state = 'queued'
        "#,
        id as ImportId,
    )
    .fetch_optional(conn)
    .await
}

/// Deletes imports that were handed in more than [`KEPT_DAYS`] ago, with their files and reports, in bounded batches, and
/// says how many.
///
/// # Errors
/// If the database fails.
pub async fn delete_old(conn: &mut PgConnection) -> sqlx::Result<u64> {
    let mut deleted = 0;
    loop {
        let batch = sqlx::query!(
            r#"
            delete from imports where id in (
                select id from imports where id < uuid7_floor(now() - make_interval(days => $1)) order by id limit $2
            )
            "#,
            KEPT_DAYS,
            DELETE_BATCH,
        );
        let count = batch.execute(&mut *conn).await?.rows_affected();
        deleted += count;
        if count < DELETE_BATCH.unsigned_abs() {
            return Ok(deleted);
        }
    }
}
