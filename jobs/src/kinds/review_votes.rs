//! Looks again at the votes since the last review, and holds back what only hindsight shows to be suspicious.

use bellwork_shared::votes::review::{self, Findings, Recorded, Rest};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::queues::{MAINTENANCE, Queue};
use crate::recording::Recording;

/// The payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewVotes {}

impl Job for ReviewVotes {
    const KIND: &'static str = "review_votes";
    const QUEUE: &'static Queue = &MAINTENANCE;

    type Output = Findings;

    async fn run(&self, context: Context<'_>) -> Result<Findings, Failure> {
        let mut conn = context.platform.database.acquire().await?;
        Ok(review::look(&mut conn, Utc::now()).await?)
    }

    /// Votes that were changed or decided about since are left as they are, and of two reviews of the same votes the
    /// second does nothing.
    async fn record(&self, findings: Findings, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        let held = match review::record(recording.transaction().await?, &findings).await? {
            Recorded::Held(held) => held,
            Recorded::Overtaken => return Ok(()),
        };
        if held > 0 {
            tracing::warn!(held, "suspicious votes are held back");
        }
        if findings.rest == Rest::More {
            recording.submit(self);
        }
        recording.result(json!({ "reviewed": findings.new, "held": held }));
        Ok(())
    }
}
