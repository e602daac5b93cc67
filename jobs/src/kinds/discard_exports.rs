//! Discards the exports that have served their time.

use std::time::Duration;

use bellwork_shared::personal_data::documents;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::queues::{MAINTENANCE, Queue};
use crate::recording::Recording;

/// The payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscardExports {}

impl Job for DiscardExports {
    const KIND: &'static str = "discard_exports";
    const QUEUE: &'static Queue = &MAINTENANCE;
    const TIMEOUT: Duration = Duration::from_secs(300);

    /// How many were discarded.
    type Output = u64;

    /// In batches that commit by themselves: what a first run has discarded, a second one does not find.
    async fn run(&self, context: Context<'_>) -> Result<u64, Failure> {
        let mut conn = context.platform.database.acquire().await?;
        Ok(documents::discard_old(&mut conn).await?)
    }

    async fn record(&self, discarded: u64, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        recording.result(json!({ "discarded": discarded }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bellwork_shared::ids::JobId;
    use sqlx::PgPool;

    use super::*;
    use crate::marker::Marker;
    use crate::rehearsal::{Stage, register};

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn an_export_goes_after_a_week(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        for (name, days) in [("Zoe", 6), ("Max", 8)] {
            let (user, job) = (register(&mut conn, name).await, JobId::new());
            documents::request(&mut conn, user, job).await.unwrap();
            documents::store(&mut conn, user, job, "{}").await.unwrap();
            let age = "update exports set made_at = now() - make_interval(days => $2) where user_id = $1";
            sqlx::query(age).bind(user.0).bind(days).execute(&mut *conn).await.unwrap();
        }
        let stage = Stage::new(&database, Marker::Rubric);
        for discarded in [1, 0] {
            let performed = stage.perform(&DiscardExports {}).await.unwrap();
            assert_eq!(performed.result(), &json!({ "discarded": discarded }));
        }
        let left: i64 = sqlx::query_scalar("select count(document) from exports").fetch_one(&mut *conn).await.unwrap();
        assert_eq!(left, 1);
    }

    #[test]
    fn the_stored_shape_is_read() {
        assert_eq!(serde_json::from_str::<DiscardExports>("{}").unwrap(), DiscardExports {});
    }
}
