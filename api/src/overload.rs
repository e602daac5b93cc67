//! Too much to do: who may wait for the database and for how long, and who is sent away first.
//!
//! The wait of whoever stands at the head of the queue is the wait that a newcomer will have. Each request has a worth, and
//! each worth a wait that it is worth: a ranking is sent away first, then what only reads, and what a student hands in
//! waits longest. So the queue stays as short as the reads' patience, and an accepted answer comes in time, however much
//! is asked. What comes out of a cache waits for nothing and is never sent away.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::Error;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use metrics::counter;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, PgTransaction, Postgres};
use tokio::time::timeout;

use crate::error::ApiError;

/// How much a request is worth when not all can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Worth {
    /// Who stands where: interesting, and the same a little later.
    Ranking,
    /// Everything else that is only read.
    Read,
    /// What changes something: a student has worked for it.
    Submit,
}

/// How long each class of requests waits, and how many of it.
struct Patience {
    /// It is refused at once if the longest waiter has waited this long.
    head: Duration,
    /// The longest it waits itself.
    own: Duration,
    /// It is refused at once if this many wait.
    places: usize,
    /// Its answer is given up after this time.
    answer: Duration,
}

const RANKING: Patience = Patience {
    head: Duration::from_millis(250),
    own: Duration::from_millis(600),
    places: 64,
    answer: Duration::from_secs(3),
};
const READ: Patience = Patience {
    head: Duration::from_millis(500),
    own: Duration::from_secs(1),
    places: 256,
    answer: Duration::from_secs(6),
};
const SUBMIT: Patience = Patience {
    head: Duration::from_secs(1),
    own: Duration::from_millis(1500),
    places: 1024,
    answer: Duration::from_secs(12),
};

impl Worth {
    fn patience(self) -> &'static Patience {
        match self {
            Self::Ranking => &RANKING,
            Self::Read => &READ,
            Self::Submit => &SUBMIT,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ranking => "ranking",
            Self::Read => "read",
            Self::Submit => "submit",
        }
    }
}

tokio::task_local! {
    /// The worth of the request that a task answers; the highest once it has had a connection, since sending it away
    /// then would waste what was done for it.
    static WORTH: Cell<Worth>;
}

/// Answers a request within its time, with its worth at hand for whatever it waits for. What takes longer is dropped: its
/// transaction is rolled back, and PostgreSQL ends its statement soon.
///
/// # Errors
/// Those of the route.
pub(crate) async fn weigh(
    worth: Worth,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let kept = request.request().clone();
    match timeout(worth.patience().answer, WORTH.scope(Cell::new(worth), next.call(request))).await {
        Ok(answer) => answer,
        Err(_) => {
            count("deadline", worth);
            Ok(ServiceResponse::from_err(ApiError::Overloaded, kept))
        }
    }
}

/// PostgreSQL, behind a queue with a bound. Dereferences to the pool, for what stands in no request's way.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pool: PgPool,
    queue: Arc<Queue>,
}

impl Deref for Database {
    type Target = PgPool;

    fn deref(&self) -> &PgPool {
        &self.pool
    }
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
        let worth = WORTH.try_with(Cell::get).unwrap_or(Worth::Read);
        let patience = worth.patience();
        if self.is_exhausted() && !self.queue.is_worth_it(patience) {
            count("queue", worth);
            return Err(sqlx::Error::PoolTimedOut);
        }
        let waiting = self.queue.enter();
        let acquired = timeout(patience.own, self.pool.acquire()).await;
        drop(waiting);
        let acquired = match acquired {
            Ok(Err(sqlx::Error::PoolTimedOut)) | Err(_) if self.is_exhausted() => {
                count("wait", worth);
                return Err(sqlx::Error::PoolTimedOut);
            }
            Ok(Err(sqlx::Error::PoolTimedOut)) | Err(_) => return Err(no_connection()),
            Ok(acquired) => acquired?,
        };
        // Outside of a request there is nothing to be raised.
        let _ = WORTH.try_with(|worth| worth.set(Worth::Submit));
        Ok(acquired)
    }

    /// A transaction on a connection, as soon as there is one.
    ///
    /// # Errors
    /// Those of [`Self::acquire`], and of the database.
    pub(crate) async fn begin(&self) -> sqlx::Result<PgTransaction<'static>> {
        sqlx::Transaction::begin(self.acquire().await?, None).await
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
    use super::*;

    #[test]
    fn who_is_worth_less_gives_up_sooner() {
        let [ranking, read, submit] = [Worth::Ranking, Worth::Read, Worth::Submit].map(Worth::patience);
        assert!(ranking.head < read.head && read.head < submit.head);
        assert!(ranking.own < read.own && read.own < submit.own);
        assert!(ranking.places < read.places && read.places < submit.places);
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
