//! Deletes the sessions that have expired; nobody can use them any more.

use std::time::Duration;

use bellwork_shared::retention;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::queues::{MAINTENANCE, Queue};
use crate::recording::Recording;

/// The payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseStaleSessions {}

impl Job for CloseStaleSessions {
    const KIND: &'static str = "close_stale_sessions";
    const QUEUE: &'static Queue = &MAINTENANCE;
    const TIMEOUT: Duration = Duration::from_secs(300);

    /// How many were closed.
    type Output = u64;

    /// In batches that commit by themselves: what a first run has deleted, a second one does not find.
    async fn run(&self, context: Context<'_>) -> Result<u64, Failure> {
        let mut conn = context.platform.database.acquire().await?;
        Ok(retention::delete_expired_sessions(&mut conn).await?)
    }

    async fn record(&self, closed: u64, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        recording.result(json!({ "closed": closed }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bellwork_shared::ids::UserId;
    use sqlx::PgPool;

    use super::*;
    use crate::marker::Marker;
    use crate::rehearsal::{Stage, register};

    async fn open_sessions(database: &PgPool, user: UserId, count: i32, expires_in_seconds: f64) {
        let insert = "insert into sessions (id, user_id, token_hash, expires_at) \
                      select gen_random_uuid(), $1, sha256(random()::text::bytea || n::text::bytea), \
                             now() + make_interval(secs => $3) from generate_series(1, $2) as n";
        sqlx::query(insert).bind(user.0).bind(count).bind(expires_in_seconds).execute(database).await.unwrap();
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn expired_sessions_go_in_more_than_one_batch_and_valid_ones_stay(database: PgPool) {
        let user = register(&mut database.acquire().await.unwrap(), "Zoe").await;
        open_sessions(&database, user, 2500, -1.0).await;
        open_sessions(&database, user, 3, 60.0).await;
        let stage = Stage::new(&database, Marker::Rubric);
        for closed in [2500, 0] {
            let performed = stage.perform(&CloseStaleSessions {}).await.unwrap();
            assert_eq!(performed.result(), &json!({ "closed": closed }));
        }
        let left: i64 = sqlx::query_scalar("select count(*) from sessions").fetch_one(&database).await.unwrap();
        assert_eq!(left, 3);
    }

    #[test]
    fn the_stored_shape_is_read() {
        assert_eq!(serde_json::from_str::<CloseStaleSessions>("{}").unwrap(), CloseStaleSessions {});
    }
}
