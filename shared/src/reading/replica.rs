//! One replica, watched: how far it has replayed, and whether it may be read at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::time::{Instant, sleep, timeout};

use super::Position;

/// How often a replica is asked how far it is: a writer reads from the primary for about as long.
const WATCH_EVERY: Duration = Duration::from_millis(50);
/// A replica that takes longer to tell is away.
const WATCH_TIMEOUT: Duration = Duration::from_secs(1);
/// A replica that is further behind than this is read by nobody, however old a state they could live with.
const LAG_LIMIT: Duration = Duration::from_secs(5);
/// A read that gets no connection by then goes to the primary.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(200);
/// What is kept for a replica that may not be read.
const AWAY: u64 = 0;

/// A replica and what is known of it. Cheap to clone; watched while any clone lives.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    pool: PgPool,
    /// How far it is known to have replayed: an atomic, since every read looks at it and only one task writes.
    replayed: Arc<AtomicU64>,
}

impl Replica {
    /// Begins to watch the replica of `pool`.
    pub(super) fn watch(pool: PgPool, primary: PgPool) -> Self {
        let replica = Self { pool, replayed: Arc::new(AtomicU64::new(AWAY)) };
        let (pool, replayed) = (replica.pool.clone(), Arc::downgrade(&replica.replayed));
        tokio::spawn(async move {
            let mut mark = Mark::default();
            while replayed.strong_count() > 0 {
                let known = timeout(WATCH_TIMEOUT, mark.look(&pool, &primary)).await.ok().flatten();
                let Some(replayed) = replayed.upgrade() else { return };
                let before = replayed.swap(known.map_or(AWAY, |position| position.0), Ordering::Release);
                tell(before, known);
                sleep(WATCH_EVERY).await;
            }
        });
        replica
    }

    /// True if it is known to have replayed what lies before `floor`.
    pub(super) fn has_passed(&self, floor: Position) -> bool {
        let replayed = self.replayed.load(Ordering::Acquire);
        replayed != AWAY && replayed >= floor.0
    }

    pub(super) async fn read<T>(&self, query: &impl AsyncFn(&mut PgConnection) -> sqlx::Result<T>) -> sqlx::Result<T> {
        let acquired = timeout(ACQUIRE_TIMEOUT, self.pool.acquire()).await;
        let mut conn = acquired.map_err(|_| sqlx::Error::PoolTimedOut)??;
        query(&mut conn).await
    }

    /// Lets nobody read from it until it answers its watcher again.
    pub(super) fn leave(&self, error: &sqlx::Error) {
        tracing::warn!(%error, "a replica failed; its reads go to the primary");
        self.replayed.store(AWAY, Ordering::Release);
    }
}

fn tell(before: u64, known: Option<Position>) {
    match (before, known) {
        (AWAY, Some(_)) => tracing::info!("a replica can be read"),
        (1.., None) => tracing::warn!("a replica is away or too far behind; its reads go to the primary"),
        _ => {}
    }
}

/// Where the primary stood at some instant: the replica must have come there within the limit.
#[derive(Debug, Default)]
struct Mark(Option<(Instant, Position)>);

impl Mark {
    /// How far the replica is; nothing if it is away, is none, or is too far behind. While the primary is away nobody can be
    /// behind it.
    async fn look(&mut self, replica: &PgPool, primary: &PgPool) -> Option<Position> {
        let mut conn = replica.acquire().await.ok()?;
        let replayed = Position::of_replica(&mut conn).await.ok()??;
        match self.0 {
            Some((since, position)) if replayed < position => {
                return (since.elapsed() < LAG_LIMIT).then_some(replayed);
            }
            _ => {}
        }
        let stands = async { Position::of_primary(&mut *primary.acquire().await?).await };
        self.0 = timeout(WATCH_TIMEOUT / 2, stands).await.ok().and_then(Result::ok).map(|at| (Instant::now(), at));
        Some(replayed)
    }
}
