//! Retention: old partitions of the ledger dropped, and what has served its time deleted in bounded batches.
//!
//! A finished job stays at least as long as it is told to, and goes with its month: a partition is dropped when all of
//! it is older and finished. What cannot be dropped, for an unfinished job in it, is emptied around that job.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::partitions::LOCK_WAIT;

/// Rows deleted by one statement.
const BATCH: i64 = 1000;
/// Whether a month is older than it must be kept is found by reading all of it once.
const READ_WAIT: &str = "set local statement_timeout = '5min'";

/// A month of the ledger that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldMonth {
    /// Its partition, of the form `jobs_2026_01`.
    partition: String,
    /// Its smallest possible id.
    floor: Uuid,
    /// The smallest id after it.
    ceiling: Uuid,
}

/// The partitions of months that ended before `cutoff`, the oldest first.
///
/// # Errors
/// If the database fails.
pub async fn old_months(conn: &mut PgConnection, cutoff: DateTime<Utc>) -> sqlx::Result<Vec<OldMonth>> {
    sqlx::query_as!(
        OldMonth,
        r#"
        select relname as "partition!", uuid7_floor(starts) as "floor!", uuid7_floor(ends) as "ceiling!"
        from pg_inherits
        join pg_class on pg_class.oid = inhrelid
        cross join lateral (select to_timestamp(substr(relname, 6) || ' +00', 'YYYY_MM TZH') as starts) as begin
        cross join lateral (select (starts at time zone 'UTC' + interval '1 month') at time zone 'UTC' as ends) as "end"
        where inhparent = 'jobs'::regclass and relname ~ '^jobs_\d{4}_\d{2}$' and ends <= $1
        order by relname
        "#,
        cutoff,
    )
    .fetch_all(conn)
    .await
}

/// What became of an old month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropping {
    /// Its partition is gone.
    Dropped,
    /// It holds a job that is unfinished, or finished too lately.
    MustStay,
    /// The ledger was too busy to be locked; another time.
    Busy,
}

/// Drops the partition of a month if all of its jobs finished before `cutoff`.
///
/// # Errors
/// If the database fails.
pub async fn drop_month(conn: &mut PgConnection, month: &OldMonth, cutoff: DateTime<Utc>) -> sqlx::Result<Dropping> {
    if must_stay(conn, month, cutoff).await? {
        return Ok(Dropping::MustStay);
    }
    let mut transaction = sqlx::Connection::begin(&mut *conn).await?;
    match drop_unless_reopened(&mut transaction, month).await {
        Ok(Dropping::Dropped) => transaction.commit().await.map(|()| Dropping::Dropped),
        Err(error) if is_lock_timeout(&error) => transaction.rollback().await.map(|()| Dropping::Busy),
        other => other,
    }
}

/// Reads the whole month if it may go, so without any lock that stops others.
async fn must_stay(conn: &mut PgConnection, month: &OldMonth, cutoff: DateTime<Utc>) -> sqlx::Result<bool> {
    let mut transaction = sqlx::Connection::begin(&mut *conn).await?;
    sqlx::query(READ_WAIT).execute(&mut *transaction).await?;
    let must_stay = sqlx::query_scalar!(
        r#"
        select exists (select from jobs where id >= $1 and id < $2 and finished_at is null)
               or exists (select from jobs where id >= $1 and id < $2 and finished_at >= $3) as "must_stay!"
        "#,
        month.floor,
        month.ceiling,
        cutoff,
    )
    .fetch_one(&mut *transaction)
    .await?;
    transaction.rollback().await?;
    Ok(must_stay)
}

/// Looks once more, under the lock, for a job that an operator has opened again.
async fn drop_unless_reopened(conn: &mut PgConnection, month: &OldMonth) -> sqlx::Result<Dropping> {
    let partition = &month.partition;
    sqlx::query(LOCK_WAIT).execute(&mut *conn).await?;
    // The name is one that `old_months` matched against `jobs_` and digits.
    sqlx::query(AssertSqlSafe(format!("lock table only jobs, only {partition} in access exclusive mode")))
        .execute(&mut *conn)
        .await?;
    let reopened = sqlx::query_scalar!(
        r#"select exists (select from jobs where id >= $1 and id < $2 and finished_at is null) as "reopened!""#,
        month.floor,
        month.ceiling,
    );
    if reopened.fetch_one(&mut *conn).await? {
        return Ok(Dropping::MustStay);
    }
    sqlx::query(AssertSqlSafe(format!("drop table {partition}"))).execute(&mut *conn).await?;
    Ok(Dropping::Dropped)
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "55P03")
}

/// Deletes the jobs of old months that finished before `cutoff`, wherever their partition must stay. Each batch commits
/// by itself.
///
/// # Errors
/// If the database fails.
pub async fn delete_finished(conn: &mut PgConnection, cutoff: DateTime<Utc>) -> sqlx::Result<u64> {
    let (mut total, mut after) = (0, Uuid::nil());
    loop {
        let batch = sqlx::query!(
            r#"
            with old as (
                select id from jobs
                where id > $1 and id < uuid7_floor(date_trunc('month', $2 at time zone 'UTC') at time zone 'UTC')
                      and finished_at < $2
                order by id limit $3
            ), deleted as (
                delete from jobs using old where jobs.id = old.id and finished_at < $2 returning 1
            )
            select (select count(*) from deleted) as "deleted!", (array_agg(id order by id desc))[1] as last from old
            "#,
            after,
            cutoff,
            BATCH,
        )
        .fetch_one(&mut *conn)
        .await?;
        total += batch.deleted.unsigned_abs();
        let Some(last) = batch.last else { return Ok(total) };
        after = last;
    }
}

/// Deletes the failures, older than `cutoff`, of jobs that are gone. Each batch commits by itself.
///
/// # Errors
/// If the database fails.
pub async fn delete_failures(conn: &mut PgConnection, cutoff: DateTime<Utc>) -> sqlx::Result<u64> {
    let (mut total, mut after) = (0, Uuid::nil());
    loop {
        let batch = sqlx::query!(
            r#"
            with old as (
                select distinct job_id from job_failures where job_id > $1 and job_id < uuid7_floor($2)
                order by job_id limit $3
            ), deleted as (
                delete from job_failures using old
                where job_failures.job_id = old.job_id and not exists (select from jobs where jobs.id = old.job_id)
                returning 1
            )
            select (select count(*) from deleted) as "deleted!", (array_agg(job_id order by job_id desc))[1] as last
            from old
            "#,
            after,
            cutoff,
            BATCH,
        )
        .fetch_one(&mut *conn)
        .await?;
        total += batch.deleted.unsigned_abs();
        let Some(last) = batch.last else { return Ok(total) };
        after = last;
    }
}

/// Deletes the schedule ticks from before `cutoff`, but the latest of each schedule: it says what was missed. Each batch
/// commits by itself.
///
/// # Errors
/// If the database fails.
pub async fn delete_ticks(conn: &mut PgConnection, cutoff: DateTime<Utc>) -> sqlx::Result<u64> {
    let mut total = 0;
    loop {
        let batch = sqlx::query!(
            r#"
            delete from schedule_ticks where (schedule, tick) in (
                select schedule, tick from schedule_ticks as old
                where tick < $1 and exists (
                    select from schedule_ticks as later where later.schedule = old.schedule and later.tick > old.tick)
                limit $2)
            "#,
            cutoff,
            BATCH,
        );
        match batch.execute(&mut *conn).await?.rows_affected() {
            0 => return Ok(total),
            deleted => total += deleted,
        }
    }
}

/// Deletes the idempotency keys that are older than the day for which they are kept. Each batch commits by itself.
///
/// # Errors
/// If the database fails.
pub async fn delete_idempotency_keys(conn: &mut PgConnection) -> sqlx::Result<u64> {
    let mut total = 0;
    loop {
        let batch = sqlx::query!(
            r#"
            delete from idempotency_keys where (user_id, route, key) in (
                select user_id, route, key from idempotency_keys where created_at < now() - interval '24 hours'
                order by created_at limit $1 for update skip locked)
            "#,
            BATCH,
        );
        match batch.execute(&mut *conn).await?.rows_affected() {
            0 => return Ok(total),
            deleted => total += deleted,
        }
    }
}

/// Deletes the sessions that have ended by age or for want of use. Each batch commits by itself.
///
/// # Errors
/// If the database fails.
pub async fn delete_expired_sessions(conn: &mut PgConnection) -> sqlx::Result<u64> {
    let mut total = 0;
    loop {
        let batch = sqlx::query!(
            r#"
            delete from sessions where id in (
                select id from sessions where least(expires_at, idle_at) <= now()
                order by least(expires_at, idle_at) limit $1 for update skip locked)
            "#,
            BATCH,
        );
        match batch.execute(&mut *conn).await?.rows_affected() {
            0 => return Ok(total),
            deleted => total += deleted,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use sqlx::PgPool;

    use super::*;

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn a_job_opened_again_at_the_last_moment_saves_its_month(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        sqlx::query("select ensure_jobs_partition('2026-02-10')").execute(&mut *conn).await.unwrap();
        let insert = "insert into jobs (id, kind, version, queue, priority, payload, state, max_attempts, run_at)
                      values (uuid7_floor('2026-02-28 23:59:59.999+00'), 'x', 1, 'x', 2, '{}', 'ready', 1, now())";
        sqlx::query(insert).execute(&mut *conn).await.unwrap();
        let months = old_months(&mut conn, Utc.with_ymd_and_hms(2026, 3, 1, 0, 0, 0).unwrap()).await.unwrap();
        assert_eq!(months.iter().map(|month| &month.partition).collect::<Vec<_>>(), ["jobs_2026_02"]);
        let mut transaction = database.begin().await.unwrap();
        assert_eq!(drop_unless_reopened(&mut transaction, &months[0]).await.unwrap(), Dropping::MustStay);
        sqlx::query("update jobs set state = 'done', finished_at = now()").execute(&mut *transaction).await.unwrap();
        assert_eq!(drop_unless_reopened(&mut transaction, &months[0]).await.unwrap(), Dropping::Dropped);
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn a_month_is_old_when_it_has_ended(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        sqlx::query("select ensure_jobs_partition('2025-12-31')").execute(&mut *conn).await.unwrap();
        let end = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap();
        assert!(old_months(&mut conn, end - chrono::TimeDelta::milliseconds(1)).await.unwrap().is_empty());
        assert_eq!(old_months(&mut conn, end).await.unwrap().len(), 1);
    }
}
