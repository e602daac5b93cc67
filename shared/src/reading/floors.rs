//! What users may not read behind: the positions of what they have written or been told.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use moka::sync::Cache;
use redis::aio::ConnectionLike;
use redis::{ErrorKind, RedisResult, Script, ServerErrorKind};
use sqlx::PgPool;
use tokio::time::timeout;

use super::Position;
use crate::ids::UserId;

/// How long a floor is kept. A replica that may be further behind is not read at all.
pub(super) const KEPT: Duration = Duration::from_secs(30);
/// Floors that a process keeps for itself.
const MOST: u64 = 100_000;
/// A Redis that takes longer counts as away.
const ASK_TIMEOUT: Duration = Duration::from_millis(50);
/// How long a writer's answer waits for the floor to be known everywhere.
const RAISE_TIMEOUT: Duration = Duration::from_millis(500);
static RAISE: LazyLock<Script> = LazyLock::new(|| Script::new(RAISE_TEXT));
const RAISE_TEXT: &str = include_str!("raise.lua");
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
        self.raise_to(position, users).await;
    }

    async fn raise_to(&self, position: Position, users: &[UserId]) {
        for user in users {
            let raise =
                |kept: Option<moka::Entry<_, Position>>| kept.map_or(position, |kept| position.max(kept.into_value()));
            self.own.entry(*user).and_upsert_with(raise);
        }
        match timeout(RAISE_TIMEOUT, self.tell(position, users)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "other processes do not know of a write for a moment"),
            Err(_) => tracing::warn!("other processes do not know of a write for a moment"),
        }
    }

    /// In one round trip, or in two if Redis has forgotten the script.
    async fn tell(&self, position: Position, users: &[UserId]) -> RedisResult<()> {
        match self.call("EVALSHA", RAISE.get_hash(), position, users).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.call("EVAL", RAISE_TEXT, position, users).await
            }
            told => told,
        }
    }

    async fn call(&self, verb: &str, script: &str, position: Position, users: &[UserId]) -> RedisResult<()> {
        let (mut redis, mut pipeline) = (self.redis.clone(), redis::pipe());
        let milliseconds = u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX);
        for user in users {
            pipeline.cmd(verb).arg(script).arg(1).arg(self.key(*user)).arg(position.0).arg(milliseconds).ignore();
        }
        pipeline.query_async(&mut redis).await
    }

    fn key(&self, user: UserId) -> String {
        format!("{}:position:{user}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use bellwork_testkit::test_run;
    use redis::aio::MultiplexedConnection;
    use uuid::Uuid;

    use super::*;

    async fn processes() -> [Floors<MultiplexedConnection>; 3] {
        let redis = test_run::redis().await;
        let prefix = format!("test-{}", Uuid::now_v7());
        [(); 3].map(|()| Floors::new(redis.clone(), &prefix))
    }

    #[tokio::test]
    async fn a_floor_never_goes_down_whoever_raises_it_last() {
        let [api, worker, reader] = processes().await;
        for (earlier, later) in [(9, 10), (0x16_B374_D848, u64::MAX - 1), (u64::MAX - 1, u64::MAX), (7, 7)] {
            let user = UserId::new();
            api.raise_to(Position(later), &[user]).await;
            worker.raise_to(Position(earlier), &[user]).await;
            for floors in [&api, &worker, &reader] {
                assert_eq!(floors.of(user).await, Some(Position(later)), "{earlier} after {later}");
            }
            let user = UserId::new();
            api.raise_to(Position(later), &[user]).await;
            api.raise_to(Position(earlier), &[user]).await;
            assert_eq!(api.own.get(&user), Some(Position(later)));
            worker.raise_to(Position(earlier), &[user, UserId::new()]).await;
            worker.raise_to(Position(later), &[user]).await;
            assert_eq!(reader.of(user).await, Some(Position(later)));
        }
        assert_eq!(reader.of(UserId::new()).await, Some(Position::START));
    }
}
