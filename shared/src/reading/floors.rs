//! What users may not read behind: the positions of what they have written or been told.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use redis::aio::ConnectionLike;
use sqlx::PgPool;
use tokio::time::timeout;

use super::Position;
use crate::ids::UserId;

/// How long a floor is kept. A replica that is further behind is not read at all.
const KEPT: Duration = Duration::from_secs(30);
/// Floors that a process keeps for itself.
const MOST: u64 = 100_000;
/// A Redis that takes longer counts as away.
const ASK_TIMEOUT: Duration = Duration::from_millis(50);
/// How long a writer's answer waits for the floor to be known everywhere.
const RAISE_TIMEOUT: Duration = Duration::from_millis(500);
/// Past every position: nothing has replayed so far.
const NOWHERE: Position = Position(u64::MAX);

/// The floors of all users, for this process and in Redis for the others. Cheap to clone.
#[derive(Clone)]
pub struct Floors<C> {
    own: Cache<UserId, Position>,
    redis: C,
    prefix: Arc<str>,
}

impl<C> std::fmt::Debug for Floors<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Floors").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl<C: ConnectionLike + Clone> Floors<C> {
    /// Kept in Redis under keys that begin with `prefix`.
    pub fn new(redis: C, prefix: &str) -> Self {
        let own = Cache::builder().max_capacity(MOST).time_to_live(KEPT).build();
        Self { own, redis, prefix: prefix.into() }
    }

    /// The floor of `user`; nothing if it cannot be known, and only the primary may be read.
    pub async fn of(&self, user: UserId) -> Option<Position> {
        let mut redis = self.redis.clone();
        let ask = redis::cmd("GET").arg(self.key(user)).to_owned();
        let kept: Option<u64> = timeout(ASK_TIMEOUT, ask.query_async(&mut redis)).await.ok()?.ok()?;
        let kept = kept.map_or(Position::START, Position);
        Some(self.own.get(&user).unwrap_or(Position::START).max(kept))
    }

    /// Raises the floors of `users` to where `primary` stands now. If that cannot be learnt, they read from the primary.
    pub async fn raise(&self, primary: &PgPool, users: &[UserId]) {
        let stands = async { Position::of_primary(&mut *primary.acquire().await?).await };
        let position = timeout(RAISE_TIMEOUT, stands).await.ok().and_then(Result::ok).unwrap_or(NOWHERE);
        let mut pipeline = redis::pipe();
        for user in users {
            self.own.insert(*user, position);
            let milliseconds = u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX);
            pipeline.cmd("SET").arg(self.key(*user)).arg(position.0).arg("PX").arg(milliseconds).ignore();
        }
        let mut redis = self.redis.clone();
        match timeout(RAISE_TIMEOUT, pipeline.query_async::<()>(&mut redis)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "other processes do not know of a write for a moment"),
            Err(_) => tracing::warn!("other processes do not know of a write for a moment"),
        }
    }

    fn key(&self, user: UserId) -> String {
        format!("{}:position:{user}", self.prefix)
    }
}
