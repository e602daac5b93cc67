//! The transactions that end a delivery: effects, follow-ups and the end of the job's own row, all or nothing.

use std::time::Duration;

use anyhow::Context;
use bellwork_jobs::job::Ran;
use bellwork_jobs::recording::{Aftermath, Recording};
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::{self, Closing, Waiting};
use bellwork_shared::personal_data::erasure;
use chrono::Utc;
use sqlx::{PgPool, Postgres, Transaction};

use crate::executor::Opened;

/// Whose record it is.
#[derive(Debug)]
pub enum Recorded {
    /// Committed now; these steps follow.
    Ours(Aftermath),
    /// The row was closed before; nothing was written.
    SomebodyElses,
}

/// Writes the effects of a job that has run, its follow-ups, and its end.
///
/// # Errors
/// If the database or the kind's `record` fails; nothing is written then, unless the answer to the commit was lost.
pub async fn done(database: &PgPool, opened: &Opened, ran: Box<dyn Ran + '_>) -> anyhow::Result<Recorded> {
    let mut recording = recording(database, opened);
    ran.record(&mut recording).await?;
    let (transaction, aftermath) = recording.finish();
    let (result, children) = (aftermath.result.as_ref(), aftermath.children.as_slice());
    let closing = match transaction {
        None => ledger::close_done(&mut *database.acquire().await?, opened.id, result, children).await?,
        Some(mut tx) => {
            let closing = ledger::close_done(&mut tx, opened.id, result, children).await?;
            end(tx, closing).await?;
            closing
        }
    };
    Ok(match closing {
        Closing::Ours => Recorded::Ours(aftermath),
        Closing::SomebodyElses => Recorded::SomebodyElses,
    })
}

/// Writes what follows when a job is given up, and its end as dead. Nothing follows if the row was closed before.
///
/// # Errors
/// As [`done`].
pub async fn dead(database: &PgPool, opened: &Opened, reason: &str) -> anyhow::Result<Aftermath> {
    let mut recording = recording(database, opened);
    opened.job.buried(&mut recording).await?;
    recording.transaction().await?;
    let (transaction, aftermath) = recording.finish();
    let mut tx = transaction.context("it has just begun")?;
    let closing = ledger::close_dead_with(&mut tx, opened.id, reason, &aftermath.children).await?;
    end(tx, closing).await?;
    Ok(if closing == Closing::Ours { aftermath } else { Aftermath::default() })
}

async fn end(tx: Transaction<'_, Postgres>, closing: Closing) -> sqlx::Result<()> {
    match closing {
        Closing::Ours => tx.commit().await,
        Closing::SomebodyElses => tx.rollback().await,
    }
}

/// Closes a job as dead whose payload cannot be read.
///
/// # Errors
/// If the database fails.
pub async fn dead_unread(database: &PgPool, id: JobId, reason: &str) -> sqlx::Result<()> {
    ledger::close_dead(&mut *database.acquire().await?, id, reason).await?;
    Ok(())
}

/// Charges a failure. Returns the delay before the next attempt, or nothing if there is to be none.
///
/// # Errors
/// If the database fails.
pub async fn failed(
    database: &PgPool,
    id: JobId,
    reason: &str,
    worker: &str,
    delay: impl Fn(u16) -> Duration,
) -> sqlx::Result<Option<Duration>> {
    let mut tx = database.begin().await?;
    let Some(attempts) = ledger::charge(&mut tx, id, reason, worker).await? else { return Ok(Some(Duration::ZERO)) };
    let delay = (attempts.failed < attempts.most).then(|| delay(attempts.failed));
    if let Some(delay) = delay {
        ledger::postpone(&mut tx, id, Waiting::ToRetry, Utc::now() + delay).await?;
    }
    tx.commit().await?;
    Ok(delay)
}

/// Charges a failure after which there is no next attempt.
///
/// # Errors
/// If the database fails.
pub async fn charged(database: &PgPool, id: JobId, reason: &str, worker: &str) -> sqlx::Result<()> {
    ledger::charge(&mut *database.acquire().await?, id, reason, worker).await.map(drop)
}

/// Notes that a job waits, uncharged.
///
/// # Errors
/// If the database fails.
pub async fn snoozed(database: &PgPool, id: JobId, delay: Duration) -> sqlx::Result<()> {
    ledger::postpone(&mut *database.acquire().await?, id, Waiting::Snoozed, Utc::now() + delay).await
}

/// Closes a job as cancelled, with what follows: its own row last, as all who record do.
///
/// # Errors
/// If the database fails.
pub async fn cancelled(database: &PgPool, opened: &Opened) -> sqlx::Result<()> {
    let mut tx = database.begin().await?;
    if let Some(user) = opened.submitter {
        erasure::hold_off(&mut tx, user).await?;
    }
    opened.job.cancelled(opened.id, &mut tx).await?;
    let closing = ledger::close_cancelled(&mut tx, opened.id).await?;
    end(tx, closing).await
}

fn recording<'a>(database: &'a PgPool, opened: &'a Opened) -> Recording<'a> {
    Recording::new(database, opened.id, opened.submitter, opened.trace_parent.as_deref())
}
