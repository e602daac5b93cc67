//! Steering many jobs: each by itself, as one is steered, so that none is left half done and one that cannot be does not
//! keep the others.

use bellwork_queue::Inspector;
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::search::Action;
use futures_util::stream::{self, StreamExt};
use sqlx::PgPool;

use crate::steering::{self, Refusal, WhenRunning};
use crate::submit::Submitter;

/// So many jobs are steered by one call at the most: some seconds of work.
pub const MOST: usize = 1000;
/// So many are steered at a time: requests of students need connections, too.
const AT_A_TIME: usize = 4;

/// What steering needs.
#[derive(Clone, Copy, Debug)]
pub struct Desk<'a> {
    /// PostgreSQL.
    pub database: &'a PgPool,
    /// Redis.
    pub inspector: &'a Inspector,
    /// Pushes what is opened again.
    pub submitter: &'a Submitter,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many jobs were changed.
    pub changed: usize,
    /// Those that were left as they are, and why.
    pub refused: Vec<(JobId, Refusal)>,
}

/// Does `action` to each of `ids`, in about their order.
pub async fn steer(desk: Desk<'_>, action: Action, ids: &[JobId]) -> Outcome {
    let steered = stream::iter(ids.iter().copied().map(|id| async move { (id, steer_one(desk, action, id).await) }));
    let mut steered = steered.buffered(AT_A_TIME);
    let mut outcome = Outcome::default();
    while let Some((id, result)) = steered.next().await {
        match result {
            Ok(()) => outcome.changed += 1,
            Err(refusal) => outcome.refused.push((id, refusal)),
        }
    }
    outcome
}

async fn steer_one(desk: Desk<'_>, action: Action, id: JobId) -> Result<(), Refusal> {
    match action {
        Action::Retry => {
            steering::retry(desk.database, desk.inspector, desk.submitter, id).await?;
        }
        Action::Cancel => {
            steering::cancel(desk.database, desk.inspector, id, WhenRunning::End).await?;
        }
    }
    Ok(())
}
