//! Too much to do: who may wait for the database and for how long, and who is sent away first.
//!
//! The wait of whoever stands at the head of the queue is the wait that a newcomer will have. Each request has a worth, and
//! each worth a wait that it is worth: a ranking is sent away first, then what only reads, and what a student hands in
//! waits longest. So the queue stays as short as the reads' patience, and an accepted answer comes in time, however much
//! is asked. What comes out of a cache waits for nothing and is never sent away; what must be loaded for one has the worth
//! of the request that asked first.

mod claim;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use actix_web::Error;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, poll};
use metrics::counter;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, PgTransaction, Postgres, Transaction};
use tokio::time::{timeout, timeout_at};

use self::claim::Patience;
pub(crate) use self::claim::{Claim, Worth, receive};
use crate::error::ApiError;

/// Answers a request within its time, with its worth at hand for whatever it waits for. What takes longer is dropped: its
/// transaction is rolled back, and PostgreSQL ends its statement soon.
///
/// # Errors
/// Those of the route.
pub(crate) async fn weigh(
    worth: Worth,
    request: ServiceRequest,
    answer: impl AsyncFnOnce(ServiceRequest) -> Result<ServiceResponse<BoxBody>, Error>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (kept, claim) = (request.request().clone(), Claim::of(worth));
    let mut answer = pin!(claim.clone().hold(answer(request)));
    // What waits for nothing needs no timer.
    if let Poll::Ready(answer) = poll!(&mut answer) {
        return answer;
    }
    loop {
        let ends = claim.ends();
        match timeout_at(ends.into(), &mut answer).await {
            Ok(answer) => return answer,
            Err(_) if claim.ends() > ends => {}
            Err(_) => {
                count("deadline", worth);
                return Ok(ServiceResponse::from_err(ApiError::Overloaded, kept));
            }
        }
    }
}

/// PostgreSQL, behind a queue with a bound. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pool: PgPool,
    queue: Arc<Queue>,
}

impl Database {
    /// In front of `pool`.
    #[must_use]
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, queue: Arc::default() }
    }

    /// A connection, as soon as there is one.
    ///
    /// # Errors
    /// `PoolTimedOut` if the request is not worth the wait; otherwise those of the pool.
    pub(crate) async fn acquire(&self) -> sqlx::Result<PoolConnection<Postgres>> {
        let claim = Claim::current();
        let (worth, left) = (claim.worth(), claim.patience());
        let is_exhausted = self.is_exhausted();
        if is_exhausted && (left.is_zero() || !self.queue.is_worth_it(worth.patience())) {
            count("queue", worth);
            return Err(sqlx::Error::PoolTimedOut);
        }
        // Where there is room it waits for PostgreSQL, not for others.
        let longest = if is_exhausted { left } else { worth.patience().own };
        let (waiting, since) = (self.queue.enter(), Instant::now());
        let acquired = timeout(longest, Box::pin(self.pool.acquire())).await;
        drop(waiting);
        claim.has_waited(since.elapsed());
        let acquired = match acquired {
            Ok(Err(sqlx::Error::PoolTimedOut)) | Err(_) if self.is_exhausted() => {
                count("wait", worth);
                return Err(sqlx::Error::PoolTimedOut);
            }
            Ok(Err(sqlx::Error::PoolTimedOut)) | Err(_) => return Err(no_connection()),
            Ok(acquired) => acquired?,
        };
        claim.raise();
        Ok(acquired)
    }

    /// A transaction on a connection, as soon as there is one.
    ///
    /// # Errors
    /// Those of [`Self::acquire`], and of the database.
    pub(crate) async fn begin(&self) -> sqlx::Result<PgTransaction<'static>> {
        sqlx::Transaction::begin(self.acquire().await?, None).await
    }

    /// The pool itself, for what stands in no request's way: it waits without worth or bound.
    #[must_use]
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// How many wait for a connection.
    #[must_use]
    pub(crate) fn waiting(&self) -> usize {
        self.queue.0.lock().unwrap_or_else(PoisonError::into_inner).since.len()
    }

    fn is_exhausted(&self) -> bool {
        self.pool.num_idle() == 0 && self.pool.size() >= self.pool.options().get_max_connections()
    }
}

/// For functions of other crates: they wait as requests do.
impl<'a> sqlx::Acquire<'a> for &'_ Database {
    type Database = Postgres;
    type Connection = PoolConnection<Postgres>;

    fn acquire(self) -> BoxFuture<'static, sqlx::Result<Self::Connection>> {
        let database = self.clone();
        async move { database.acquire().await }.boxed()
    }

    fn begin(self) -> BoxFuture<'static, sqlx::Result<Transaction<'a, Postgres>>> {
        let database = self.clone();
        async move { database.begin().await }.boxed()
    }
}

/// The pool has room, so that it is PostgreSQL that lets nobody in.
fn no_connection() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "no connection to PostgreSQL in time"))
}

/// Those who wait for a connection, the first first.
#[derive(Debug, Default)]
struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    since: BTreeMap<u64, Instant>,
}

impl Queue {
    fn is_worth_it(&self, patience: &Patience) -> bool {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let head = waiting.since.first_key_value().map_or(Duration::ZERO, |(_, since)| since.elapsed());
        head <= patience.head && waiting.since.len() < patience.places
    }

    fn enter(&self) -> Place<'_> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = waiting.next;
        waiting.next += 1;
        waiting.since.insert(ticket, Instant::now());
        Place { queue: self, ticket }
    }
}

/// A place in the queue; it is free again when dropped.
struct Place<'a> {
    queue: &'a Queue,
    ticket: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue.0.lock().unwrap_or_else(PoisonError::into_inner).since.remove(&self.ticket);
    }
}

fn count(reason: &'static str, worth: Worth) {
    counter!("bellwork_requests_shed_total", "reason" => reason, "worth" => worth.name()).increment(1);
}

#[cfg(test)]
mod tests {
    use futures_util::future::join;
    use sqlx::postgres::PgPoolOptions;

    use super::claim::{RANKING, READ, SUBMIT};
    use super::*;

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn what_was_waited_for_one_connection_is_not_left_for_the_next(database: PgPool) {
        let single = PgPoolOptions::new().max_connections(1);
        let database = Database::new(single.connect_lazy_with((*database.connect_options()).clone()));
        let (busy, claim, wait) = (database.pool().acquire().await.unwrap(), Claim::of(Worth::Submit), SUBMIT.own / 5);
        let freed = async {
            tokio::time::sleep(wait).await;
            drop(busy);
        };
        let (acquired, ()) = claim.clone().hold(join(database.acquire(), freed)).await;
        drop(acquired);
        assert!(claim.patience() <= SUBMIT.own - wait, "{:?}", claim.patience());
    }

    #[test]
    fn a_place_is_free_once_it_is_left() {
        let queue = Queue::default();
        let places: Vec<_> = (0..RANKING.places).map(|_| queue.enter()).collect();
        assert!(!queue.is_worth_it(&RANKING), "too many wait");
        assert!(queue.is_worth_it(&SUBMIT));
        drop(places);
        assert!(queue.is_worth_it(&RANKING));
        assert!(queue.0.lock().unwrap().since.is_empty());
    }

    #[test]
    fn the_longest_wait_counts() {
        let queue = Queue::default();
        let first = queue.enter();
        let long_ago = Instant::now().checked_sub((READ.head + SUBMIT.head) / 2).unwrap();
        queue.0.lock().unwrap().since.insert(first.ticket, long_ago);
        let _second = queue.enter();
        assert!(!queue.is_worth_it(&RANKING) && !queue.is_worth_it(&READ));
        assert!(queue.is_worth_it(&SUBMIT));
        drop(first);
        assert!(queue.is_worth_it(&RANKING));
    }
}
