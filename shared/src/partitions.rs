//! Monthly partitions, made ahead: a row never waits for its month.

use sqlx::{Connection, PgConnection};

/// Months that get a partition ahead, with the current one.
const MONTHS_AHEAD: i32 = 3;
/// Making and dropping a partition locks its table; whoever waits for that lock stops all others, so not for long.
pub(crate) const LOCK_WAIT: &str = "set local lock_timeout = '1s'";

/// A table with a partition for each month, and a default one for what no month was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Monthly {
    /// The ledger, by the time in a job's id.
    Jobs,
    /// The history of votes.
    VoteEvents,
}

impl Monthly {
    /// Makes the partition of the month that begins `months` from now; tells whether it was missing.
    async fn ensure(self, conn: &mut PgConnection, months: i32) -> sqlx::Result<bool> {
        let ensured = match self {
            Self::Jobs => sqlx::query_scalar!(
                "select ensure_jobs_partition((date_trunc('month', now() at time zone 'UTC') + make_interval(months => $1))::date)",
                months,
            )
            .fetch_one(conn)
            .await?,
            Self::VoteEvents => sqlx::query_scalar!(
                "select ensure_vote_events_partition((date_trunc('month', now() at time zone 'UTC') + make_interval(months => $1))::date)",
                months,
            )
            .fetch_one(conn)
            .await?,
        };
        Ok(ensured.unwrap_or_default())
    }
}

/// Makes the partitions of this month and the next two, each in a transaction of its own, and returns how many were
/// missing. A month whose rows already went to the default partition gets none; they are found there all the same.
///
/// # Errors
/// If the database fails, or the table was too busy to be locked.
pub async fn make_ahead(conn: &mut PgConnection, table: Monthly) -> sqlx::Result<u32> {
    let mut made = 0;
    for months in 0..MONTHS_AHEAD {
        let mut transaction = conn.begin().await?;
        sqlx::query(LOCK_WAIT).execute(&mut *transaction).await?;
        match table.ensure(&mut transaction, months).await {
            Ok(missing) => {
                transaction.commit().await?;
                made += u32::from(missing);
            }
            Err(error) if is_held_by_default(&error) => transaction.rollback().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(made)
}

/// PostgreSQL's "check violation": the default partition holds rows of the new one.
pub(crate) fn is_held_by_default(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_check_violation)
}
