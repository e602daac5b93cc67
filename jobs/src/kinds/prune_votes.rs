//! Keeps the history of votes in months: makes partitions ahead and drops old ones. Deletes the traces of votes.

use std::time::Duration;

use bellwork_shared::votes::{history, traces};
use chrono::{Months, Utc};
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::queues::{MAINTENANCE, Queue};
use crate::recording::Recording;

/// The payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneVotes {}

/// What a run did; the job's result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Partitions of the history made ahead.
    pub months_made: u32,
    /// Partitions of the history dropped.
    pub months_dropped: u32,
    /// Rows of the history that no partition was made for in time, up to 1,000.
    pub in_default: i64,
    /// Traces deleted.
    pub traces: u64,
}

impl Job for PruneVotes {
    const KIND: &'static str = "prune_votes";
    const QUEUE: &'static Queue = &MAINTENANCE;
    const TIMEOUT: Duration = Duration::from_secs(600);

    type Output = Pruned;

    /// In steps that commit by themselves: what a first run has pruned, a second one does not find.
    async fn run(&self, context: Context<'_>) -> Result<Pruned, Failure> {
        let (now, kept) = (Utc::now(), Months::new(context.platform.vote_retention_months));
        let mut conn = context.platform.database.acquire().await?;
        let pruned = Pruned {
            traces: traces::delete_old(&mut conn, now).await?,
            months_made: history::make_months_ahead(&mut conn).await?,
            months_dropped: history::drop_months(&mut conn, now - kept).await?,
            in_default: history::in_default(&mut conn).await?,
        };
        if pruned.in_default > 0 {
            tracing::warn!(rows = pruned.in_default, "the default partition of vote_events holds rows");
        }
        Ok(pruned)
    }

    async fn record(&self, pruned: Pruned, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        recording.result(serde_json::to_value(pruned)?);
        Ok(())
    }
}
