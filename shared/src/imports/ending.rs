//! The end of an import: what was found, in the transaction that stores it.

use sqlx::PgConnection;

use super::report::insert;
use super::{ImportState, Outcome};
use crate::formats::{Problem, Severity};
use crate::ids::ImportId;

/// What a job found in a file.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// The name of its format; empty if it is not known.
    pub format: &'a str,
    /// How many questions are in the file.
    pub found: usize,
    /// How many of them can be used.
    pub usable: usize,
    /// The report.
    pub problems: &'a [Problem],
    /// What was stored, with the slug of the test, or why nothing was.
    pub stored: Result<(Outcome, &'a str), String>,
}

/// Ends an import with what was found and its report.
///
/// # Errors
/// If the database fails.
pub async fn finish(conn: &mut PgConnection, id: ImportId, found: &Found<'_>) -> sqlx::Result<()> {
    let state = if found.stored.is_ok() { ImportState::Done } else { ImportState::Failed };
    let (outcome, slug) = found.stored.as_ref().ok().copied().unzip();
    let count = |severity| found.problems.iter().filter(|problem| problem.severity == severity).count();
    let ended = sqlx::query!(
        r#"
        update imports
        set state = $2, format = coalesce(nullif($3, ''), format), found = $4, usable = $5, lost = $6, changed = $7,
            outcome = $8, test_id = (select id from practice_tests where slug = $9), error = $10, finished_at = now()
        where id = $1 and state = 'queued'
        "#,
        id as ImportId,
        state as ImportState,
        found.format,
        whole(found.found),
        whole(found.usable),
        whole(count(Severity::Lost)),
        whole(count(Severity::Changed)),
        outcome as Option<Outcome>,
        slug,
        found.stored.as_ref().err(),
    );
    if ended.execute(&mut *conn).await?.rows_affected() == 1 {
        insert(conn, id, found.problems).await?;
    }
    Ok(())
}

/// Ends an import that could not be read at all.
///
/// # Errors
/// If the database fails.
pub async fn fail(conn: &mut PgConnection, id: ImportId, why: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "update imports set state = 'failed', error = $2, finished_at = now() where id = $1 and state = 'queued'",
        id as ImportId,
        why,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Undoes [`fail`], for a job that is opened again.
///
/// # Errors
/// If the database fails.
pub async fn reopen(conn: &mut PgConnection, id: ImportId) -> sqlx::Result<()> {
    sqlx::query!(
        "update imports set state = 'queued', error = null, finished_at = null where id = $1 and state = 'failed'",
        id as ImportId,
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn whole(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
