//! Keeps the history of votes in months: makes partitions ahead and drops old ones. Deletes the traces of votes.

use std::time::Duration;

use bellwork_shared::partitions::{Monthly, make_ahead};
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
            months_made: make_ahead(&mut conn, Monthly::VoteEvents).await?,
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sqlx::PgPool;

    use super::*;
    use crate::marker::Marker;
    use crate::rehearsal::Stage;

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn months_come_and_go_and_traces_are_deleted(database: PgPool) {
        let prepare = [
            "select ensure_vote_events_partition((now() - interval '26 months')::date)",
            "select ensure_vote_events_partition((now() - interval '23 months')::date)",
            "do $$ begin execute 'drop table vote_events_' || to_char(now() at time zone 'UTC' + interval '1 month', \
             'YYYY_MM'); end $$",
            "insert into vote_events (id, at, vote_id, user_id, model_id, action, value)
             select gen_random_uuid(), now() - interval '26 months', id, id, id, 'cast', 1 from gen_random_uuid() as id",
            "insert into vote_events (id, at, vote_id, user_id, model_id, action, value)
             select gen_random_uuid(), '2020-01-01', id, id, id, 'cast', 1 from gen_random_uuid() as id",
            "insert into vote_traces (vote_id, user_id, model_id, value, account_created_at, cast_at)
             select id, id, id, 1, now(), now() - interval '49 hours' from gen_random_uuid() as id",
        ];
        for statement in prepare {
            sqlx::query(statement).execute(&database).await.unwrap();
        }
        let stage = Stage::new(&database, Marker::Rubric);
        for (months_made, months_dropped, traces) in [(1, 1, 1), (0, 0, 0)] {
            let expected = json!({
                "months_made": months_made, "months_dropped": months_dropped, "in_default": 1, "traces": traces,
            });
            assert_eq!(stage.perform(&PruneVotes {}).await.unwrap().result(), &expected);
        }
    }

    #[test]
    fn the_stored_shape_is_read() {
        assert_eq!(serde_json::from_str::<PruneVotes>("{}").unwrap(), PruneVotes {});
    }
}
