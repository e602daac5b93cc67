//! What is stored of schedules: the ticks that were taken, and which of them rest.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::ids::JobId;

/// What decides whether a schedule fires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The last tick that was taken.
    pub last_tick: Option<DateTime<Utc>>,
    /// Since when it rests, if it does.
    pub paused_at: Option<DateTime<Utc>>,
    /// When its last rest ended.
    pub resumed_at: Option<DateTime<Utc>>,
}

/// A schedule's last tick, and since when it rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its stored name.
    pub schedule: String,
    /// The last tick that was taken.
    pub last_tick: Option<DateTime<Utc>>,
    /// The job of that tick.
    pub last_job: Option<JobId>,
    /// Since when it rests, if it does.
    pub paused_at: Option<DateTime<Utc>>,
}

/// What decides whether `schedule` fires.
///
/// # Errors
/// If the database fails.
pub async fn standing(conn: &mut PgConnection, schedule: &str) -> sqlx::Result<Standing> {
    let standing = sqlx::query_as!(
        Standing,
        r#"
        select (select max(tick) from schedule_ticks where schedule = name) as last_tick,
               case when resumed_at is null then paused_at end as paused_at, resumed_at
        from (select $1::text as name) as asked left join schedule_pauses on schedule = name
        "#,
        schedule,
    );
    standing.fetch_one(conn).await
}

/// Takes a tick for `job`; false if another scheduler has it.
///
/// # Errors
/// If the database fails.
pub async fn take_tick(conn: &mut PgConnection, schedule: &str, tick: DateTime<Utc>, job: JobId) -> sqlx::Result<bool> {
    let taken = sqlx::query!(
        "insert into schedule_ticks (schedule, tick, job_id) values ($1, $2, $3) on conflict do nothing",
        schedule,
        tick,
        job as JobId,
    );
    Ok(taken.execute(conn).await?.rows_affected() == 1)
}

/// The records of `schedules`, in that order.
///
/// # Errors
/// If the database fails.
pub async fn list(conn: &mut PgConnection, schedules: &[String]) -> sqlx::Result<Vec<Record>> {
    let records = sqlx::query_as!(
        Record,
        r#"
        select name as "schedule!", last.tick as "last_tick?", last.job_id as "last_job?: JobId",
               case when resumed_at is null then paused_at end as paused_at
        from unnest($1::text[]) with ordinality as asked (name, place)
        left join lateral (
            select tick, job_id from schedule_ticks where schedule = name order by tick desc limit 1
        ) as last on true
        left join schedule_pauses on schedule_pauses.schedule = name
        order by place
        "#,
        schedules,
    );
    records.fetch_all(conn).await
}

/// Lets `schedule` rest: it fires no more until it is resumed. Nothing changes if it rests already.
///
/// # Errors
/// If the database fails.
pub async fn pause(conn: &mut PgConnection, schedule: &str) -> sqlx::Result<()> {
    let pause = sqlx::query!(
        r#"
        insert into schedule_pauses (schedule) values ($1)
        on conflict (schedule) do update set paused_at = now(), resumed_at = null
        where schedule_pauses.resumed_at is not null
        "#,
        schedule,
    );
    pause.execute(conn).await?;
    Ok(())
}

/// Lets `schedule` fire again, from its next tick on.
///
/// # Errors
/// If the database fails.
pub async fn resume(conn: &mut PgConnection, schedule: &str) -> sqlx::Result<()> {
    sqlx::query!("update schedule_pauses set resumed_at = now() where schedule = $1 and resumed_at is null", schedule)
        .execute(conn)
        .await?;
    Ok(())
}
