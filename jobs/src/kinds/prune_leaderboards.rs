//! Deletes the boards of days, weeks and months that are long over.

use std::time::Duration;

use bellwork_shared::leaderboard;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::queues::{MAINTENANCE, Queue};
use crate::recording::Recording;

/// The payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneLeaderboards {}

impl Job for PruneLeaderboards {
    const KIND: &'static str = "prune_leaderboards";
    const QUEUE: &'static Queue = &MAINTENANCE;
    const TIMEOUT: Duration = Duration::from_secs(1800);

    /// How many entries were deleted.
    type Output = u64;

    /// In batches that commit by themselves: what a first run has deleted, a second one does not find.
    async fn run(&self, context: Context<'_>) -> Result<u64, Failure> {
        let mut conn = context.platform.database.acquire().await?;
        Ok(leaderboard::prune(&mut conn).await?)
    }

    async fn record(&self, entries: u64, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        recording.result(json!({ "entries": entries }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bellwork_shared::leaderboard::record_score;
    use sqlx::PgPool;

    use super::*;
    use crate::marker::Marker;
    use crate::rehearsal::{Stage, graded_attempt, publish_test, register};

    async fn starts(database: &PgPool, query: &'static str) -> Vec<(String, i64)> {
        sqlx::query_as(query).fetch_all(database).await.unwrap()
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn boards_that_began_long_ago_go_and_those_of_everything_stay(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let (user, test) = (register(&mut conn, "Zoe").await, publish_test(&mut conn).await);
        for days_ago in [0, 100, 200] {
            let attempt = graded_attempt(&mut conn, user, &test, 500).await;
            sqlx::query("update attempts set submitted_at = now() - make_interval(days => $2) where id = $1")
                .bind(attempt.0)
                .bind(days_ago)
                .execute(&mut *conn)
                .await
                .unwrap();
            record_score(&mut conn, attempt).await.unwrap();
        }
        let stage = Stage::new(&database, Marker::Rubric);
        for entries in [6, 0] {
            let performed = stage.perform(&PruneLeaderboards {}).await.unwrap();
            assert_eq!(performed.result(), &json!({ "entries": entries }));
        }
        let left = ["all", "month", "week", "day"].map(|period| (period.to_owned(), 1));
        for query in [
            "select period::text, count(*) from leaderboard_entries as t group by t.period order by t.period",
            "select period::text, sum(entries)::bigint from leaderboard_histogram as t group by t.period order by t.period",
            "select period::text, sum(entries)::bigint from leaderboard_bands as t group by t.period order by t.period",
        ] {
            assert_eq!(starts(&database, query).await, left, "{query}");
        }
    }

    #[test]
    fn the_stored_shape_is_read() {
        assert_eq!(serde_json::from_str::<PruneLeaderboards>("{}").unwrap(), PruneLeaderboards {});
    }
}
