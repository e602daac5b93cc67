//! `bellwork jobs retry`: lets a dead or cancelled job run again.

use anyhow::Context;
use bellwork_jobs::kinds;
use bellwork_jobs::submit::Submitter;
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::{self, OpenJob};
use clap::Args;
use serde_json::json;
use serde_json::value::to_raw_value;
use sqlx::PgConnection;

use super::{not_found, state_name};
use crate::advice::advised;
use crate::screen::{Screen, Tone};
use crate::stores;

/// Let a dead or cancelled job run again, with its attempts at zero.
#[derive(Debug, Args)]
pub(crate) struct Retry {
    /// The job's id.
    id: JobId,
}

impl Retry {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let database = stores::database()?;
        let engine = stores::engine()?;
        let mut transaction = database.begin().await.context("the job was not changed")?;
        let job = reopen(&mut transaction, self.id).await?;
        transaction.commit().await.context("the job was not changed")?;
        // What the engine still holds of its former life would make the push look like a second one.
        if let Err(error) = engine.inspector().remove(&job.queue, job.id.0).await {
            tracing::warn!(%error, job = %job.id, "not removed from Redis before its push");
        }
        let (submitter, outbox) = Submitter::start(engine.producer(), database);
        submitter.push(std::slice::from_ref(&job)).await;
        drop(submitter);
        outbox.await?;
        screen.json(&json!({ "id": job.id, "kind": job.kind, "queue": job.queue, "state": "ready" }))?;
        let mark = screen.toned(Tone::Good, "✓");
        screen.say(format_args!("{mark} {} {} is open again and waits in {}.", job.kind, job.id, job.queue))?;
        Ok(screen.hint(format_args!("  `bellwork jobs show {}` shows how it fares.", job.id))?)
    }
}

/// Opens the job's row, and undoes what was written when the job was given up.
async fn reopen(conn: &mut PgConnection, id: JobId) -> anyhow::Result<OpenJob> {
    let Some(job) = ledger::reopen(conn, id).await.context("the job was not changed")? else {
        return Err(why_not(conn, id).await);
    };
    let Some(kind) = kinds::find(&job.kind) else {
        let sentence = format!("This program does not know the kind {} of the job; nothing was changed.", job.kind);
        return Err(advised(sentence, "Use the bellwork of the release that the workers run."));
    };
    let decoded = (kind.decode)(&to_raw_value(&job.payload)?)
        .with_context(|| format!("the payload cannot be read by this version of {}; nothing was changed", kind.name))?;
    decoded.reopened(conn).await.context("the job was not changed")?;
    Ok(job)
}

async fn why_not(conn: &mut PgConnection, id: JobId) -> anyhow::Error {
    match ledger::find(conn, id).await {
        Err(error) => error.into(),
        Ok(None) => not_found(id),
        Ok(Some(row)) => advised(
            format!("The job is {}; nothing was changed.", state_name(row.state)),
            "Only dead and cancelled jobs can be retried: `bellwork jobs list --state dead` lists them.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::commands::jobs::enqueue;

    async fn closed_job(conn: &mut PgConnection) -> JobId {
        let job = enqueue::example();
        ledger::insert(conn, std::slice::from_ref(&job)).await.unwrap();
        ledger::confirm_pushed(conn, &[job.id]).await.unwrap();
        ledger::close_dead(conn, job.id, "it broke").await.unwrap();
        job.id
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_dead_job_is_opened_and_stands_in_the_outbox(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let id = closed_job(&mut conn).await;
        assert_eq!(reopen(&mut conn, id).await.unwrap().id, id);
        assert!(ledger::is_open(&mut conn, id).await.unwrap());
        let waiting: i64 = sqlx::query_scalar("select count(*) from job_outbox").fetch_one(&mut *conn).await.unwrap();
        assert_eq!(waiting, 1);
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn only_closed_jobs_can_be_retried(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let id = closed_job(&mut conn).await;
        reopen(&mut conn, id).await.unwrap();
        let refused = reopen(&mut conn, id).await.unwrap_err();
        assert_eq!(refused.to_string(), "The job is ready; nothing was changed.");
        let unknown = JobId::new();
        let refused = reopen(&mut conn, unknown).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("There is no job {unknown}."));
    }
}
