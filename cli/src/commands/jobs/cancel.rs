//! `bellwork jobs cancel`: lets a job not run, or not leave anything behind.

use anyhow::Context;
use bellwork_queue::Removal;
use bellwork_shared::attempts;
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::{self, Closing, JobRow};
use clap::Args;
use serde_json::json;
use sqlx::PgConnection;

use super::{not_found, state_name};
use crate::advice::advised;
use crate::screen::{Screen, Tone};
use crate::stores;

/// Let a job not run. If it runs already, what it does to the outside world goes on, but nothing of it is recorded.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The job's id.
    id: JobId,
}

impl Cancel {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let row = self.close().await?;
        let inspector = stores::engine()?.inspector();
        let effect = match inspector.remove(&row.queue, self.id.0).await {
            Ok(Removal::Removed | Removal::Absent) => "It will not run.",
            Ok(Removal::Running) => "A process runs it: that ends by itself, and nothing of it is recorded.",
            Err(error) => {
                tracing::warn!(%error, job = %self.id, "not removed from Redis; a worker will find its row closed");
                "Redis cannot be reached: a process that claims it will find it closed."
            }
        };
        screen.json(&json!({ "id": self.id, "state": "cancelled", "was": state_name(row.state) }))?;
        let mark = screen.toned(Tone::Good, "✓");
        Ok(screen.say(format_args!("{mark} {} {} is cancelled. {effect}", row.kind, self.id))?)
    }

    /// Closes the row, which decides. Returns it as it was.
    async fn close(&self) -> anyhow::Result<JobRow> {
        let mut transaction = stores::database()?.begin().await.context("the job was not changed")?;
        let row = ledger::find(&mut transaction, self.id).await?.ok_or_else(|| not_found(self.id))?;
        match ledger::close_cancelled(&mut transaction, self.id).await.context("the job was not changed")? {
            Closing::Ours => tell_submitter(&mut transaction, &row).await.context("the job was not changed")?,
            Closing::SomebodyElses => {
                let sentence = "The job has ended already; nothing was changed.";
                return Err(advised(sentence, format!("`bellwork jobs show {}` shows how it ended.", self.id)));
            }
        }
        transaction.commit().await.context("the job was not changed")?;
        Ok(row)
    }
}

/// An attempt does not wait for a result that will not come.
async fn tell_submitter(conn: &mut PgConnection, row: &JobRow) -> sqlx::Result<()> {
    match row.submitter {
        Some(submitter) => attempts::mark_cancelled(conn, submitter, row.id).await,
        None => Ok(()),
    }
}
