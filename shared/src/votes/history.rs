//! The history of votes, by month: partitions made ahead, old ones dropped, and the alarm of the default one.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection};

/// Months that get a partition ahead, with the current one.
const MONTHS_AHEAD: i32 = 3;
/// Making and dropping a partition locks the history; whoever waits for that lock stops all votes, so not for long.
const LOCK_WAIT: &str = "set local lock_timeout = '1s'";

/// Makes the partitions of this month and the next two, each in a transaction of its own, and returns how many were
/// missing. A month whose rows already went to the default partition gets none: they are found there all the same, and
/// [`in_default`] tells.
///
/// # Errors
/// If the database fails, or the history was too busy to be locked.
pub async fn make_months_ahead(conn: &mut PgConnection) -> sqlx::Result<u32> {
    let mut made = 0;
    for months in 0..MONTHS_AHEAD {
        let mut transaction = sqlx::Connection::begin(&mut *conn).await?;
        sqlx::query(LOCK_WAIT).execute(&mut *transaction).await?;
        let missing = sqlx::query_scalar!(
            r#"
            select ensure_vote_events_partition(
                (date_trunc('month', now() at time zone 'UTC') + make_interval(months => $1))::date) as "missing!"
            "#,
            months,
        )
        .fetch_one(&mut *transaction)
        .await;
        match missing {
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
fn is_held_by_default(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_check_violation)
}

/// Drops the months that ended before `cutoff`, the oldest first, each in a transaction of its own, and returns how many.
///
/// # Errors
/// If the database fails, or the history was too busy to be locked.
pub async fn drop_months(conn: &mut PgConnection, cutoff: DateTime<Utc>) -> sqlx::Result<u32> {
    let mut dropped = 0;
    for partition in old_months(conn, cutoff).await? {
        let mut transaction = sqlx::Connection::begin(&mut *conn).await?;
        sqlx::query(LOCK_WAIT).execute(&mut *transaction).await?;
        // The name is one of the catalogue's, of digits and underscores.
        sqlx::query(AssertSqlSafe(format!("drop table {partition}"))).execute(&mut *transaction).await?;
        transaction.commit().await?;
        dropped += 1;
    }
    Ok(dropped)
}

async fn old_months(conn: &mut PgConnection, cutoff: DateTime<Utc>) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        select relname as "partition!"
        from pg_inherits
        join pg_class on pg_class.oid = inhrelid
        cross join lateral (select to_date(substr(relname, 13), 'YYYY_MM')::timestamp as month) as begin
        where inhparent = 'vote_events'::regclass and relname ~ '^vote_events_\d{4}_\d{2}$'
              and (month + interval '1 month') at time zone 'UTC' <= $1
        order by relname
        "#,
        cutoff,
    )
    .fetch_all(conn)
    .await
}

/// How many rows the default partition holds, up to 1,000. It should hold none: a month was not made in time.
///
/// # Errors
/// If the database fails.
pub async fn in_default(conn: &mut PgConnection) -> sqlx::Result<i64> {
    let rows = sqlx::query_scalar!(
        r#"select count(*) as "rows!" from (select from vote_events_default limit 1000) as rows"#
    );
    rows.fetch_one(conn).await
}
