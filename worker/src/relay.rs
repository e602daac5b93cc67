//! The relay: pushes committed jobs that never reached Redis, because the process that accepted them died or Redis was
//! away. Each instance takes its share.

use std::time::Duration;

use bellwork_jobs::envelope::Addressed;
use bellwork_jobs::submit::Submitter;
use bellwork_shared::ledger;
use chrono::{TimeDelta, Utc};
use sqlx::PgPool;
use tracing::{info, warn};

/// Look this often.
const EVERY: Duration = Duration::from_millis(500);
/// How long a job is left alone: whoever accepted it is about to push it.
const GRACE: TimeDelta = TimeDelta::seconds(1);
/// Jobs pushed at once.
const SHARE: i64 = 500;

/// Relays for ever.
pub async fn run(database: PgPool, submitter: Submitter) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        loop {
            match share(&database, &submitter).await {
                Ok(0) => break,
                Ok(pushed) => {
                    metrics::counter!("bellwork_relay_pushed_total").increment(pushed);
                    info!(jobs = pushed, "relayed");
                }
                Err(error) => {
                    warn!(error = format!("{error:#}"), "not relayed");
                    break;
                }
            }
        }
    }
}

/// Pushes one share and returns its size. The outbox rows go with the commit, so a failure anywhere puts them back.
async fn share(database: &PgPool, submitter: &Submitter) -> anyhow::Result<u64> {
    let mut tx = database.begin().await?;
    let jobs = ledger::take_unpushed(&mut tx, Utc::now() - GRACE, SHARE).await?;
    submitter.insist(jobs.iter().map(Addressed::from).collect()).await?;
    tx.commit().await?;
    Ok(jobs.len() as u64)
}
