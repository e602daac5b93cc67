//! The history of votes, by month: old partitions dropped, and the alarm of the default one.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::partitions::LOCK_WAIT;

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
    let rows =
        sqlx::query_scalar!(r#"select count(*) as "rows!" from (select from vote_events_default limit 1000) as rows"#);
    rows.fetch_one(conn).await
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use serde_json::Value;
    use sqlx::PgPool;

    use super::*;
    use crate::partitions::{Monthly, is_held_by_default, make_ahead};

    async fn append(database: &PgPool, at: &str) {
        let insert = "insert into vote_events (id, at, vote_id, user_id, model_id, action, value)
                      select gen_random_uuid(), $1::timestamptz, id, id, id, 'cast', 1 from gen_random_uuid() as id";
        sqlx::query(insert).bind(at.parse::<DateTime<Utc>>().unwrap()).execute(database).await.unwrap();
    }

    async fn ensure(database: &PgPool, day: &str) -> sqlx::Result<bool> {
        sqlx::query_scalar("select ensure_vote_events_partition($1::text::date)").bind(day).fetch_one(database).await
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn months_are_made_ahead_and_dropped_when_they_have_ended(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        assert_eq!(make_ahead(&mut conn, Monthly::VoteEvents).await.unwrap(), 0, "the migration made them");
        for day in ["2024-01-31", "2024-02-01", "2024-03-01"] {
            assert!(ensure(&database, day).await.unwrap());
        }
        append(&database, "2024-01-31T23:59:59Z").await;
        append(&database, "2024-02-01T00:00:00Z").await;
        let cutoff = Utc.with_ymd_and_hms(2024, 3, 1, 0, 0, 0).unwrap();
        assert_eq!(drop_months(&mut conn, cutoff - chrono::TimeDelta::milliseconds(1)).await.unwrap(), 1);
        assert_eq!(drop_months(&mut conn, cutoff).await.unwrap(), 1);
        let left: i64 = sqlx::query_scalar("select count(*) from vote_events").fetch_one(&database).await.unwrap();
        assert_eq!(left, 0);
        assert!(!ensure(&database, "2024-03-15").await.unwrap(), "March is still there");
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn a_vote_without_a_month_is_kept_and_told(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        assert_eq!(in_default(&mut conn).await.unwrap(), 0);
        append(&database, "2020-01-01T00:00:00Z").await;
        assert_eq!(in_default(&mut conn).await.unwrap(), 1);
        assert!(is_held_by_default(&ensure(&database, "2020-01-01").await.unwrap_err()));
    }

    /// The names of all tables that a plan reads, and how many partitions were pruned when it began.
    fn read(plan: &Value, tables: &mut Vec<String>) -> i64 {
        tables.extend(plan["Relation Name"].as_str().map(str::to_owned));
        let below = plan["Plans"].as_array().into_iter().flatten().map(|plan| read(plan, tables)).sum::<i64>();
        below + plan["Subplans Removed"].as_i64().unwrap_or_default()
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn a_look_at_the_last_minute_reads_one_month(database: PgPool) {
        for day in ["2024-01-01", "2024-02-01", "2024-03-01"] {
            ensure(&database, day).await.unwrap();
        }
        let explain = "explain (format json) select from vote_events
            where user_id = gen_random_uuid() and at > now() - interval '1 minute' and action in ('cast', 'withdraw')";
        let explained: Value = sqlx::query_scalar(explain).fetch_one(&database).await.unwrap();
        let mut tables = Vec::new();
        let pruned = read(&explained[0]["Plan"], &mut tables);
        assert_eq!(pruned, 3, "{explained}");
        assert!(!tables.iter().any(|table| table.starts_with("vote_events_2024")), "{tables:?}");
    }
}
