//! Compares the leaderboards with the attempts that they come from, says where they differ, and puts them right.

use std::time::Duration;

use bellwork_shared::cache;
use bellwork_shared::leaderboard::{self, Late, Repaired, Scope};
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::queues::{MAINTENANCE, Queue};
use crate::recording::Recording;

/// The payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckLeaderboards {}

impl Job for CheckLeaderboards {
    const KIND: &'static str = "check_leaderboards";
    const QUEUE: &'static Queue = &MAINTENANCE;
    const TIMEOUT: Duration = Duration::from_secs(3600);

    type Output = Repaired;

    /// In steps that commit by themselves: what a first run has repaired, a second one finds right.
    async fn run(&self, context: Context<'_>) -> Result<Repaired, Failure> {
        let mut conn = context.platform.database.acquire().await?;
        let scope = Scope { test: None, late: Late::Await };
        let repaired = leaderboard::repair(&mut conn, scope, |_| {}).await?;
        // Not after the recording: what was repaired is committed, and no second run would find it.
        let outdated: Vec<_> = repaired.tests.iter().copied().map(cache::Scope::Board).collect();
        context.platform.cache.forget(&outdated).await;
        Ok(repaired)
    }

    async fn record(&self, repaired: Repaired, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        for (part, wrong) in [("entries", repaired.entries), ("counts", repaired.counts)] {
            metrics::counter!("bellwork_leaderboard_drift_total", "part" => part).increment(wrong);
        }
        if repaired.entries + repaired.counts > 0 {
            tracing::warn!(repaired.entries, repaired.counts, "leaderboards did not agree with the attempts");
        }
        recording.result(serde_json::to_value(repaired)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bellwork_testkit::within;
    use futures_util::StreamExt;
    use serde_json::json;
    use sqlx::PgPool;

    use super::*;
    use crate::kinds::update_leaderboard::UpdateLeaderboard;
    use crate::marker::Marker;
    use crate::rehearsal::{Stage, graded_attempt, publish_test, redis, register};

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn drift_is_told_and_repaired_and_what_waits_for_its_job_is_not_drift(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let stage = Stage::new(&database, Marker::Rubric);
        let test = publish_test(&mut conn).await;
        for (name, score) in [("Ada", 500), ("Zoe", 700)] {
            let user = register(&mut conn, name).await;
            let attempt_id = graded_attempt(&mut conn, user, &test, score).await;
            stage.perform(&UpdateLeaderboard { attempt_id }).await.unwrap();
        }
        let late = register(&mut conn, "Bob").await;
        graded_attempt(&mut conn, late, &test, 900).await;
        let checked = |entries, counts| json!({ "students": 3, "entries": entries, "counts": counts });
        assert_eq!(stage.perform(&CheckLeaderboards {}).await.unwrap().result(), &checked(0, 0));

        sqlx::query("update attempts set graded_at = now() - interval '2 hours'").execute(&mut *conn).await.unwrap();
        sqlx::query("update leaderboard_histogram set entries = entries + 3 where score = 500 and period = 'week'")
            .execute(&mut *conn)
            .await
            .unwrap();
        sqlx::query("delete from leaderboard_bands where band = 7 and period = 'all'")
            .execute(&mut *conn)
            .await
            .unwrap();
        let mut listener = redis().pubsub().await.unwrap();
        listener.subscribe(format!("{}:cache:forget", stage.prefix)).await.unwrap();
        assert_eq!(stage.perform(&CheckLeaderboards {}).await.unwrap().result(), &checked(4, 2));
        let mut told = listener.on_message();
        let forgotten = within("it is told", told.next()).await.unwrap();
        let forgotten: String = forgotten.get_payload().unwrap();
        assert!(forgotten.ends_with(&cache::Scope::Board(test.id).to_string()), "{forgotten}");
        assert_eq!(stage.perform(&CheckLeaderboards {}).await.unwrap().result(), &checked(0, 0));
    }

    #[test]
    fn the_stored_shape_is_read() {
        assert_eq!(serde_json::from_str::<CheckLeaderboards>("{}").unwrap(), CheckLeaderboards {});
    }
}
