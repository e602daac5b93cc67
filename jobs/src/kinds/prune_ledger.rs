//! Keeps the ledger small: makes partitions ahead, drops old ones, and deletes what has served its time.

use std::time::Duration;

use bellwork_shared::partitions::{Monthly, make_ahead};
use bellwork_shared::retention::{self, Dropping};
use chrono::{DateTime, Days, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::queues::{MAINTENANCE, Queue};
use crate::recording::Recording;

/// The payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneLedger {}

/// What a run did; the job's result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Partitions made ahead.
    pub partitions_made: u32,
    /// Partitions dropped.
    pub partitions_dropped: u32,
    /// Partitions that must stay, for an unfinished or lately finished job.
    pub partitions_kept: u32,
    /// Partitions that could not be dropped, since the ledger was too busy.
    pub partitions_busy: u32,
    /// Jobs deleted from the partitions that must stay.
    pub jobs: u64,
    /// Failures deleted, of jobs that are gone.
    pub failures: u64,
    /// Schedule ticks deleted.
    pub ticks: u64,
    /// Idempotency keys deleted.
    pub idempotency_keys: u64,
}

impl Job for PruneLedger {
    const KIND: &'static str = "prune_ledger";
    const QUEUE: &'static Queue = &MAINTENANCE;
    const TIMEOUT: Duration = Duration::from_secs(1800);

    type Output = Pruned;

    /// In steps that commit by themselves: what a first run has pruned, a second one does not find.
    async fn run(&self, context: Context<'_>) -> Result<Pruned, Failure> {
        let days = Days::new(context.platform.ledger_retention_days.into());
        let cutoff = Utc::now() - days;
        let mut conn = context.platform.database.acquire().await?;
        let partitions_made = make_ahead(&mut conn, Monthly::Jobs).await?;
        let mut pruned = Pruned { partitions_made, ..Pruned::default() };
        drop_months(&mut conn, cutoff, &mut pruned).await?;
        delete_rows(&mut conn, cutoff, &mut pruned).await?;
        Ok(pruned)
    }

    async fn record(&self, pruned: Pruned, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        recording.result(serde_json::to_value(pruned)?);
        Ok(())
    }
}

async fn drop_months(conn: &mut PgConnection, cutoff: DateTime<Utc>, pruned: &mut Pruned) -> sqlx::Result<()> {
    for month in retention::old_months(conn, cutoff).await? {
        match retention::drop_month(conn, &month, cutoff).await? {
            Dropping::Dropped => pruned.partitions_dropped += 1,
            Dropping::MustStay => pruned.partitions_kept += 1,
            Dropping::Busy => pruned.partitions_busy += 1,
        }
    }
    Ok(())
}

async fn delete_rows(conn: &mut PgConnection, cutoff: DateTime<Utc>, pruned: &mut Pruned) -> sqlx::Result<()> {
    // A partition that was only busy goes as a whole another time.
    if pruned.partitions_busy == 0 {
        pruned.jobs = retention::delete_finished(conn, cutoff).await?;
    }
    pruned.failures = retention::delete_failures(conn, cutoff).await?;
    pruned.ticks = retention::delete_ticks(conn, cutoff).await?;
    pruned.idempotency_keys = retention::delete_idempotency_keys(conn).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sqlx::PgPool;

    use super::*;
    use crate::marker::Marker;
    use crate::rehearsal::{Stage, register};

    /// A job with a failure; it was accepted, and finished if at all, as many days ago as the arguments say.
    async fn job(database: &PgPool, accepted_days_ago: i32, finished_days_ago: Option<i32>) {
        let insert = "with job as (
                insert into jobs (id, kind, version, queue, priority, payload, state, max_attempts, run_at, finished_at)
                select (substr(uuid7_floor(now() - make_interval(days => $1))::text, 1, 13)
                            || substr(gen_random_uuid()::text, 14))::uuid, 'x', 1, 'x', 2, '{}',
                       case when $2 is null then 'ready' else 'done' end::job_state, 1, now(),
                       now() - make_interval(days => $2)
                returning id
            ) insert into job_failures (job_id, attempt, error, worker) select id, 1, 'x', 'x' from job";
        sqlx::query(insert).bind(accepted_days_ago).bind(finished_days_ago).execute(database).await.unwrap();
    }

    async fn ensure_partition(database: &PgPool, days_ago: i32) {
        let ensure = "select ensure_jobs_partition(((now() at time zone 'UTC') - make_interval(days => $1))::date)";
        sqlx::query(ensure).bind(days_ago).execute(database).await.unwrap();
    }

    async fn count(database: &PgPool, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(database).await.unwrap()
    }

    async fn pruned(database: &PgPool) -> serde_json::Value {
        let stage = Stage::new(database, Marker::Rubric);
        stage.perform(&PruneLedger {}).await.unwrap().result().clone()
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn old_months_go_but_for_what_is_unfinished_or_finished_lately(database: PgPool) {
        for days_ago in [100, 150, 200] {
            ensure_partition(&database, days_ago).await;
        }
        for _ in 0..1200 {
            job(&database, 100, Some(99)).await;
            job(&database, 150, Some(99)).await;
        }
        job(&database, 150, None).await;
        job(&database, 200, Some(1)).await;
        job(&database, 1000, Some(999)).await;
        job(&database, 0, Some(0)).await;
        let expected = json!({
            "partitions_made": 0, "partitions_dropped": 1, "partitions_kept": 2, "partitions_busy": 0,
            "jobs": 1201, "failures": 2401, "ticks": 0, "idempotency_keys": 0,
        });
        assert_eq!(pruned(&database).await, expected);
        assert_eq!(count(&database, "select count(*) from jobs").await, 3);
        assert_eq!(count(&database, "select count(*) from job_failures join jobs on id = job_id").await, 3);
        let nothing = json!({
            "partitions_made": 0, "partitions_dropped": 0, "partitions_kept": 2, "partitions_busy": 0,
            "jobs": 0, "failures": 0, "ticks": 0, "idempotency_keys": 0,
        });
        assert_eq!(pruned(&database).await, nothing);
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn partitions_are_made_ahead_unless_the_default_holds_their_rows(database: PgPool) {
        let drop_all = "do $$ declare name text; begin
                for name in select inhrelid::regclass from pg_inherits
                            where inhparent = 'jobs'::regclass and inhrelid <> 'jobs_default'::regclass
                loop execute 'drop table ' || name; end loop; end $$";
        sqlx::query(drop_all).execute(&database).await.unwrap();
        job(&database, 0, None).await;
        assert_eq!(pruned(&database).await["partitions_made"], 2);
        assert_eq!(pruned(&database).await["partitions_made"], 0);
        assert_eq!(count(&database, "select count(*) from jobs").await, 1);
        sqlx::query("delete from jobs").execute(&database).await.unwrap();
        assert_eq!(pruned(&database).await["partitions_made"], 1);
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_busy_ledger_is_left_alone_until_another_time(database: PgPool) {
        ensure_partition(&database, 100).await;
        job(&database, 100, Some(99)).await;
        let mut reader = database.begin().await.unwrap();
        sqlx::query("select from jobs").fetch_all(&mut *reader).await.unwrap();
        let busy = pruned(&database).await;
        assert_eq!((&busy["partitions_busy"], &busy["jobs"]), (&json!(1), &json!(0)));
        reader.rollback().await.unwrap();
        assert_eq!(pruned(&database).await["partitions_dropped"], 1);
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn ticks_and_idempotency_keys_that_served_their_time_go(database: PgPool) {
        let ticks = "insert into schedule_ticks (schedule, tick, job_id)
                     select 'daily', now() - make_interval(days => n), gen_random_uuid() from generate_series(0, 1500) as n
                     union all select 'yearly', now() - interval '300 days', gen_random_uuid()
                     union all select 'yearly', now() - interval '666 days', gen_random_uuid()";
        sqlx::query(ticks).execute(&database).await.unwrap();
        let user = register(&mut database.acquire().await.unwrap(), "Zoe").await;
        let keys = "insert into idempotency_keys (user_id, route, key, fingerprint, status, body, created_at)
                    select $1, 'x', n::text, '', 202, '{}', now() - make_interval(hours => n) from generate_series(0, 1500) as n";
        sqlx::query(keys).bind(user.0).execute(&database).await.unwrap();
        let pruned = pruned(&database).await;
        assert_eq!((&pruned["ticks"], &pruned["idempotency_keys"]), (&json!(1472), &json!(1477)));
        assert_eq!(count(&database, "select count(*) from schedule_ticks where schedule = 'yearly'").await, 1);
        assert_eq!(count(&database, "select count(*) from idempotency_keys").await, 24);
    }

    #[test]
    fn the_stored_shape_is_read() {
        assert_eq!(serde_json::from_str::<PruneLedger>("{}").unwrap(), PruneLedger {});
    }
}
