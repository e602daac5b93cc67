//! Old boards go: only the current ones are read.

use chrono::{NaiveDate, Utc};
use sqlx::PgConnection;

use super::oldest_kept;
use super::repair::tests;
use crate::ids::TestId;

/// Rows deleted by one statement.
const BATCH: i64 = 1000;

/// Deletes the boards of days, weeks and months that began too long ago, in batches that commit by themselves, and returns
/// how many entries they had.
///
/// # Errors
/// If the database fails.
pub async fn prune(conn: &mut PgConnection) -> sqlx::Result<u64> {
    let oldest = oldest_kept(Utc::now());
    let mut entries = 0;
    for test in tests(conn, None).await? {
        loop {
            match delete_entries(conn, test, oldest).await? {
                0 => break,
                deleted => entries += deleted,
            }
        }
        while delete_cells(conn, test, oldest).await? > 0 {}
        while delete_bands(conn, test, oldest).await? > 0 {}
    }
    Ok(entries)
}

async fn delete_entries(conn: &mut PgConnection, test: TestId, oldest: NaiveDate) -> sqlx::Result<u64> {
    let batch = sqlx::query!(
        r#"
        delete from leaderboard_entries where (test_id, period, starts_on, user_id) in (
            select test_id, period, starts_on, user_id from leaderboard_entries
            where test_id = $1 and period in ('month', 'week', 'day') and starts_on < $2 limit $3
        )
        "#,
        test as TestId,
        oldest,
        BATCH,
    );
    Ok(batch.execute(conn).await?.rows_affected())
}

async fn delete_cells(conn: &mut PgConnection, test: TestId, oldest: NaiveDate) -> sqlx::Result<u64> {
    let batch = sqlx::query!(
        r#"
        delete from leaderboard_histogram where (test_id, period, starts_on, score) in (
            select test_id, period, starts_on, score from leaderboard_histogram
            where test_id = $1 and period in ('month', 'week', 'day') and starts_on < $2 limit $3
        )
        "#,
        test as TestId,
        oldest,
        BATCH,
    );
    Ok(batch.execute(conn).await?.rows_affected())
}

async fn delete_bands(conn: &mut PgConnection, test: TestId, oldest: NaiveDate) -> sqlx::Result<u64> {
    let batch = sqlx::query!(
        r#"
        delete from leaderboard_bands where (test_id, period, starts_on, band) in (
            select test_id, period, starts_on, band from leaderboard_bands
            where test_id = $1 and period in ('month', 'week', 'day') and starts_on < $2 limit $3
        )
        "#,
        test as TestId,
        oldest,
        BATCH,
    );
    Ok(batch.execute(conn).await?.rows_affected())
}
