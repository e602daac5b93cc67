//! One replica, watched: how far it has replayed, and whether it may be read at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::{ConnectOptions, PgConnection, PgPool};
use tokio::time::{Instant, sleep, timeout};

use super::Position;
use super::position::Replay;

/// How often a replica is asked how far it is: a writer reads from the primary for about as long.
const WATCH_EVERY: Duration = Duration::from_millis(50);
/// A replica that takes longer to tell is away.
const WATCH_TIMEOUT: Duration = Duration::from_secs(1);
/// A replica that is further behind than this is read by nobody, however old a state they could live with.
const LAG_LIMIT: Duration = Duration::from_secs(5);
/// The primary is asked on a connection of its watcher, however busy its pool is; if it takes longer, it is not heard.
const ASK_TIMEOUT: Duration = Duration::from_millis(500);
/// What a replica was known to have, at the latest look that told, counts for so long: less than floors are kept, so that
/// whoever has no floor any more finds their last write. A primary that is not heard for this time is gone.
const KNOWN_LIMIT: Duration = Duration::from_secs(20);
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
            let mut watcher = Watcher { primary, own: None, mark: Mark::new(Instant::now()) };
            while replayed.strong_count() > 0 {
                let known = timeout(WATCH_TIMEOUT, watcher.look(&pool)).await.ok().flatten();
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

/// Looks at a replica and its primary.
struct Watcher {
    primary: PgPool,
    /// To the primary: requests may have all connections of its pool.
    own: Option<PgConnection>,
    mark: Mark,
}

impl Watcher {
    /// How far the replica is; nothing if it is away, is none, or may be too far behind.
    async fn look(&mut self, replica: &PgPool) -> Option<Position> {
        let replay = Replay::of(&mut *replica.acquire().await.ok()?).await.ok()??;
        let asked = Instant::now();
        self.mark.pass(replay);
        if !self.mark.is_ahead(asked)
            && let Ok(Ok(stands)) = timeout(ASK_TIMEOUT, self.primary_stands()).await
        {
            self.mark.hear(asked, replay, stands);
        }
        self.mark.allows(asked, replay).then_some(replay.replayed)
    }

    /// A connection that fails, or is left in the middle of an answer, is not used again.
    async fn primary_stands(&mut self) -> sqlx::Result<Position> {
        let mut conn = match self.own.take() {
            Some(conn) => conn,
            None => self.primary.connect_options().connect().await?,
        };
        let stands = Position::of_primary(&mut conn).await?;
        self.own = Some(conn);
        Ok(stands)
    }
}

/// What is known of a replica by what its primary has said.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// When the primary was last heard.
    heard: Instant,
    /// Where the primary stood at an instant, and the replica has not come yet.
    ahead: Option<(Instant, Position)>,
    /// The replica has all that was committed before this.
    reached: Option<Instant>,
}

impl Mark {
    /// Of a primary that was not heard before `now`.
    fn new(now: Instant) -> Self {
        Self { heard: now, ahead: None, reached: None }
    }

    fn pass(&mut self, replay: Replay) {
        if let Some((since, _)) = self.ahead.take_if(|(_, position)| replay.replayed >= *position) {
            self.reached = Some(since);
        }
    }

    /// True while the replica is on its way to where the primary stood, and not late.
    fn is_ahead(&self, now: Instant) -> bool {
        self.ahead.is_some_and(|(since, _)| now - since < LAG_LIMIT)
    }

    /// The primary, asked `now`, stands there.
    fn hear(&mut self, now: Instant, replay: Replay, stands: Position) {
        self.heard = now;
        self.ahead.get_or_insert((now, stands));
        self.pass(replay);
    }

    /// True if the replica may be read: it is not late, or the primary is gone and nothing that came from it is missing.
    fn allows(&self, now: Instant, replay: Replay) -> bool {
        let is_late = self.ahead.is_some() && !self.is_ahead(now);
        let is_known = self.reached.is_some_and(|reached| now - reached < KNOWN_LIMIT);
        let is_gone = now - self.heard >= KNOWN_LIMIT;
        (is_known && !is_late) || (is_gone && replay.has_all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay(position: u64) -> Replay {
        Replay { replayed: Position(position), has_all: false }
    }

    /// A look `now` at a replica that stands at `here`, while the primary stands at `stands` or is not heard.
    fn look(mark: &mut Mark, now: Instant, here: Replay, stands: Option<u64>) -> bool {
        mark.pass(here);
        if let (false, Some(stands)) = (mark.is_ahead(now), stands) {
            mark.hear(now, here, Position(stands));
        }
        mark.allows(now, here)
    }

    #[test]
    fn a_replica_that_lags_is_not_read_until_it_has_come_to_the_mark() {
        let start = Instant::now();
        let mut mark = Mark::new(start);
        assert!(!look(&mut mark, start, replay(3), Some(10)), "it may be hours behind");
        assert!(look(&mut mark, start, replay(10), Some(12)));
        let late = start + LAG_LIMIT;
        assert!(look(&mut mark, late - WATCH_EVERY, replay(11), Some(20)));
        assert!(!look(&mut mark, late, replay(11), Some(20)));
        assert!(!look(&mut mark, late, Replay { has_all: true, ..replay(11) }, None), "it was not sent all of it");
        assert!(look(&mut mark, late, replay(12), Some(20)));
    }

    #[test]
    fn what_was_known_holds_for_a_while_if_the_primary_is_not_heard() {
        let start = Instant::now();
        let mut mark = Mark::new(start);
        assert!(!look(&mut mark, start, replay(10), None), "nothing is known yet");
        assert!(look(&mut mark, start, replay(10), Some(10)));
        let (lately, long) = (start + KNOWN_LIMIT / 2, start + KNOWN_LIMIT);
        assert!(look(&mut mark, lately, replay(10), None));
        assert!(!look(&mut mark, long, replay(10), None), "it may be further behind than floors are kept");
        assert!(look(&mut mark, long, Replay { has_all: true, ..replay(11) }, None), "the primary is gone");
        assert!(!look(&mut mark, long, replay(11), Some(14)), "and back, and has moved on");
        assert!(look(&mut mark, long, replay(14), Some(14)));
    }

    #[test]
    fn a_mark_that_is_reached_late_tells_of_its_own_time() {
        let start = Instant::now();
        let mut mark = Mark::new(start);
        look(&mut mark, start, replay(9), Some(10));
        let long = start + KNOWN_LIMIT;
        look(&mut mark, long - WATCH_EVERY, replay(9), Some(50));
        assert!(!look(&mut mark, long, replay(10), None), "it lacks what was written since");
        assert!(look(&mut mark, long, replay(60), Some(60)));
    }

    #[test]
    fn a_floor_outlives_what_is_known_of_a_replica() {
        assert!(KNOWN_LIMIT + WATCH_TIMEOUT < super::super::floors::KEPT);
    }
}
