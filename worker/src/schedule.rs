//! Firing schedules: each tick once, however many schedulers there are, with no leader.

use std::time::Duration;

use bellwork_jobs::schedules::Schedule;
use bellwork_jobs::submit::Submitter;
use bellwork_shared::ledger::{self, NewJob};
use bellwork_shared::schedules;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tracing::{info, warn};

/// Look this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Schedules for ever.
pub async fn run(database: PgPool, submitter: Submitter, schedules: &'static [Schedule]) {
    let since = Utc::now();
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        for schedule in schedules {
            match fire_due(&database, schedule, since, Utc::now()).await {
                Ok(Some(job)) => {
                    info!(schedule = schedule.name, job = %job.id, "fired");
                    submitter.push(&[job]).await;
                }
                Ok(None) => {}
                Err(error) => warn!(error = format!("{error:#}"), schedule = schedule.name, "not fired"),
            }
        }
    }
}

/// Fires the last tick of `schedule` at or before `now`, unless it was fired, is to be left out, or fell into a rest. A
/// schedule that has never fired begins at `since`.
///
/// # Errors
/// If the expression cannot be read, or the database fails.
pub async fn fire_due(
    database: &PgPool,
    schedule: &Schedule,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> anyhow::Result<Option<NewJob>> {
    let mut tx = database.begin().await?;
    let standing = schedules::standing(&mut tx, schedule.name).await?;
    if standing.paused_at.is_some() {
        return Ok(None);
    }
    let last = standing.last_tick.unwrap_or(since);
    let last = standing.resumed_at.map_or(last, |resumed_at| last.max(resumed_at));
    let Some(tick) = schedule.due_tick(last, now)? else { return Ok(None) };
    let job = (schedule.job)();
    if !schedules::take_tick(&mut tx, schedule.name, tick, job.id).await? {
        return Ok(None);
    }
    ledger::insert(&mut tx, std::slice::from_ref(&job)).await?;
    tx.commit().await?;
    Ok(Some(job))
}

#[cfg(test)]
mod tests {
    use bellwork_jobs::kinds::close_stale_sessions::CloseStaleSessions;
    use bellwork_jobs::schedules::Missed;
    use bellwork_jobs::submit::{Options, new_job};
    use chrono::TimeDelta;

    use super::*;

    static SCHEDULE: Schedule = Schedule {
        name: "test",
        cron: "0 */10 * * * *",
        missed: Missed::RunOnce,
        job: || new_job(&CloseStaleSessions {}, Options::default()),
    };

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn any_number_of_schedulers_fire_a_tick_once(database: PgPool) {
        let (since, now) = (at("2026-11-20T10:00:00Z"), at("2026-11-20T10:10:01Z"));
        let schedulers = (0..8).map(|_| fire_due(&database, &SCHEDULE, since, now));
        let fired = futures_util::future::join_all(schedulers).await;
        assert_eq!(fired.into_iter().filter(|fired| fired.as_ref().unwrap().is_some()).count(), 1);
        let jobs: i64 = sqlx::query_scalar("select count(*) from jobs").fetch_one(&database).await.unwrap();
        assert_eq!(jobs, 1);
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_paused_schedule_does_not_fire_and_what_fell_into_its_rest_is_left_out(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let paused_at = Utc::now();
        let fire = async |minutes| {
            let now = paused_at + TimeDelta::minutes(minutes);
            fire_due(&database, &SCHEDULE, paused_at - TimeDelta::minutes(30), now).await.unwrap()
        };
        schedules::pause(&mut conn, "test").await.unwrap();
        schedules::pause(&mut conn, "test").await.unwrap();
        assert!(fire(0).await.is_none() && fire(20).await.is_none());
        schedules::resume(&mut conn, "test").await.unwrap();
        assert!(fire(0).await.is_none(), "ticks from before the end of the rest are not made up for");
        assert!(fire(11).await.is_some(), "the next one comes");
        schedules::pause(&mut conn, "test").await.unwrap();
        assert!(fire(30).await.is_none());
    }
}
