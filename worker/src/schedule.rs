//! Schedules: periodic jobs, fired once however many schedulers there are, with no leader.

use std::str::FromStr;
use std::time::Duration;

use bellwork_jobs::kinds::check_leaderboards::CheckLeaderboards;
use bellwork_jobs::kinds::close_stale_sessions::CloseStaleSessions;
use bellwork_jobs::kinds::discard_exports::DiscardExports;
use bellwork_jobs::kinds::prune_imports::PruneImports;
use bellwork_jobs::kinds::prune_leaderboards::PruneLeaderboards;
use bellwork_jobs::kinds::prune_ledger::PruneLedger;
use bellwork_jobs::kinds::prune_votes::PruneVotes;
use bellwork_jobs::kinds::review_votes::ReviewVotes;
use bellwork_jobs::submit::{Options, Submitter, new_job};
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::{self, NewJob};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};
use tracing::{info, warn};

/// Look this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A tick that is older was missed while nobody was there.
const LATE: TimeDelta = TimeDelta::seconds(60);

/// What happens to ticks that nobody was there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// The last of them fires, late.
    RunOnce,
    /// They are left out.
    Skip,
}

/// A periodic job.
#[derive(Debug)]
pub struct Schedule {
    /// Its stored name.
    pub name: &'static str,
    /// Second, minute, hour, day of month, month, day of week; UTC.
    pub cron: &'static str,
    /// What happens to missed ticks.
    pub missed: Missed,
    /// The job.
    pub job: fn() -> NewJob,
}

/// All schedules.
pub static ALL: &[Schedule] = &[
    Schedule {
        name: "prune_ledger",
        cron: "0 17 3 * * *",
        missed: Missed::RunOnce,
        job: || new_job(&PruneLedger {}, Options::default()),
    },
    Schedule {
        name: "prune_imports",
        cron: "0 47 3 * * *",
        missed: Missed::RunOnce,
        job: || new_job(&PruneImports {}, Options::default()),
    },
    Schedule {
        name: "prune_votes",
        cron: "0 27 3 * * *",
        missed: Missed::RunOnce,
        job: || new_job(&PruneVotes {}, Options::default()),
    },
    Schedule {
        name: "review_votes",
        cron: "30 * * * * *",
        missed: Missed::Skip,
        job: || new_job(&ReviewVotes {}, Options::default()),
    },
    Schedule {
        name: "close_stale_sessions",
        cron: "0 */10 * * * *",
        missed: Missed::Skip,
        job: || new_job(&CloseStaleSessions {}, Options::default()),
    },
    Schedule {
        name: "discard_exports",
        cron: "0 41 * * * *",
        missed: Missed::RunOnce,
        job: || new_job(&DiscardExports {}, Options::default()),
    },
    Schedule {
        name: "prune_leaderboards",
        cron: "0 37 3 * * *",
        missed: Missed::RunOnce,
        job: || new_job(&PruneLeaderboards {}, Options::default()),
    },
    Schedule {
        name: "check_leaderboards",
        cron: "0 7 4 * * *",
        missed: Missed::RunOnce,
        job: || new_job(&CheckLeaderboards {}, Options::default()),
    },
];

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

/// Fires the last tick of `schedule` at or before `now`, unless it was fired or is to be left out. A schedule that has
/// never fired begins at `since`.
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
    let last = last_tick(&mut tx, schedule.name).await?.unwrap_or(since);
    let Some(tick) = due_tick(schedule, last, now)? else { return Ok(None) };
    let job = (schedule.job)();
    if !take_tick(&mut tx, schedule.name, tick, job.id).await? {
        return Ok(None);
    }
    ledger::insert(&mut tx, std::slice::from_ref(&job)).await?;
    tx.commit().await?;
    Ok(Some(job))
}

/// The last tick after `last` and at or before `now` that is to fire.
fn due_tick(schedule: &Schedule, last: DateTime<Utc>, now: DateTime<Utc>) -> anyhow::Result<Option<DateTime<Utc>>> {
    let cron = cron::Schedule::from_str(schedule.cron)?;
    let tick = match schedule.missed {
        Missed::RunOnce => cron.after(&last).take_while(|tick| *tick <= now).last(),
        Missed::Skip => cron.after(&last.max(now - LATE)).take_while(|tick| *tick <= now).last(),
    };
    Ok(tick)
}

async fn last_tick(conn: &mut PgConnection, name: &str) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar!("select max(tick) from schedule_ticks where schedule = $1", name).fetch_one(conn).await
}

/// Takes the tick; false if another scheduler has it.
async fn take_tick(conn: &mut PgConnection, name: &str, tick: DateTime<Utc>, job: JobId) -> sqlx::Result<bool> {
    let taken = sqlx::query!(
        "insert into schedule_ticks (schedule, tick, job_id) values ($1, $2, $3) on conflict do nothing",
        name,
        tick,
        job as JobId,
    );
    Ok(taken.execute(conn).await?.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn schedule(missed: Missed) -> Schedule {
        Schedule {
            name: "test",
            cron: "0 */10 * * * *",
            missed,
            job: || new_job(&CloseStaleSessions {}, Options::default()),
        }
    }

    #[test]
    fn every_expression_can_be_read() {
        for schedule in ALL {
            assert!(cron::Schedule::from_str(schedule.cron).is_ok(), "{}", schedule.name);
        }
    }

    #[test]
    fn missed_ticks_run_once_or_not_at_all() {
        let (last, now) = (at("2026-11-20T10:00:00Z"), at("2026-11-20T10:35:00Z"));
        let tick = |missed| due_tick(&schedule(missed), last, now).unwrap();
        assert_eq!(tick(Missed::RunOnce), Some(at("2026-11-20T10:30:00Z")));
        assert_eq!(tick(Missed::Skip), None);
    }

    #[test]
    fn a_tick_fires_at_its_time_and_not_before() {
        let last = at("2026-11-20T10:00:00Z");
        let tick = |now| due_tick(&schedule(Missed::Skip), last, at(now)).unwrap();
        assert_eq!(tick("2026-11-20T10:09:59Z"), None);
        assert_eq!(tick("2026-11-20T10:10:00Z"), Some(at("2026-11-20T10:10:00Z")));
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn any_number_of_schedulers_fire_a_tick_once(database: PgPool) {
        let (since, now) = (at("2026-11-20T10:00:00Z"), at("2026-11-20T10:10:01Z"));
        static SCHEDULE: Schedule = Schedule {
            name: "test",
            cron: "0 */10 * * * *",
            missed: Missed::RunOnce,
            job: || new_job(&CloseStaleSessions {}, Options::default()),
        };
        let schedulers = (0..8).map(|_| fire_due(&database, &SCHEDULE, since, now));
        let fired = futures_util::future::join_all(schedulers).await;
        assert_eq!(fired.into_iter().filter(|fired| fired.as_ref().unwrap().is_some()).count(), 1);
        let jobs: i64 = sqlx::query_scalar("select count(*) from jobs").fetch_one(&database).await.unwrap();
        assert_eq!(jobs, 1);
    }
}
