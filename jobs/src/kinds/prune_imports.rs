//! Deletes imports that are no longer asked about, with the files that were handed in and their reports.

use std::time::Duration;

use bellwork_shared::imports;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::queues::{MAINTENANCE, Queue};
use crate::recording::Recording;

/// The payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneImports {}

impl Job for PruneImports {
    const KIND: &'static str = "prune_imports";
    const QUEUE: &'static Queue = &MAINTENANCE;
    const TIMEOUT: Duration = Duration::from_secs(300);

    /// How many were deleted.
    type Output = u64;

    /// In batches that commit by themselves: what a first run has deleted, a second one does not find.
    async fn run(&self, context: Context<'_>) -> Result<u64, Failure> {
        let mut conn = context.platform.database.acquire().await?;
        Ok(imports::delete_old(&mut conn).await?)
    }

    async fn record(&self, deleted: u64, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        recording.result(json!({ "deleted": deleted }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::marker::Marker;
    use crate::rehearsal::Stage;

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn imports_older_than_thirty_days_go_in_more_than_one_batch_with_their_reports(database: PgPool) {
        let insert = "with import as (
                insert into imports (id, submitter, job_id, on_existing, dry_run, size, file)
                select (substr(uuid7_floor(now() - make_interval(days => n))::text, 1, 13)
                            || substr(gen_random_uuid()::text, 14))::uuid, gen_random_uuid(), gen_random_uuid(), 'refuse', false, 1, 'x'
                from generate_series(1, 80) as n
                returning id
            ) insert into import_problems (import_id, row, question, pointer, severity, detail, hint)
              select id, 1, '', '', 'lost', '', '' from import";
        sqlx::query(insert).execute(&database).await.unwrap();
        let stage = Stage::new(&database, Marker::Rubric);
        for deleted in [51, 0] {
            let performed = stage.perform(&PruneImports {}).await.unwrap();
            assert_eq!(performed.result(), &json!({ "deleted": deleted }));
        }
        let left: i64 = sqlx::query_scalar("select count(*) from import_problems").fetch_one(&database).await.unwrap();
        assert_eq!(left, 29);
    }

    #[test]
    fn the_stored_shape_is_read() {
        assert_eq!(serde_json::from_str::<PruneImports>("{}").unwrap(), PruneImports {});
    }
}
