//! Whether the stores are there. All who ask within a second share one look, and it takes no connection from requests: a
//! process that is busy is not away.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bellwork_queue::Connection;
use bellwork_shared::database;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use serde::Serialize;
use sqlx::PgPool;
use tokio::time::timeout;
use utoipa::ToSchema;

/// A store that takes longer counts as away.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a look serves all who ask.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How a store was when it was last asked.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Store {
    /// Whether it answered in time.
    pub(crate) answers: bool,
    milliseconds: u64,
}

/// How the stores were at the last look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stores {
    /// PostgreSQL.
    pub(crate) postgresql: Store,
    /// The queue instance of Redis.
    pub(crate) redis: Store,
}

/// Looks at the stores.
pub(crate) struct Probe {
    /// Of one connection, which is its own.
    database: PgPool,
    redis: Connection,
    /// When the last look began, and what comes of it.
    last: Mutex<Option<(Instant, Shared<BoxFuture<'static, Stores>>)>>,
}

impl Probe {
    /// Looks at the server of `database`, and at `redis`.
    pub(crate) fn new(database: &PgPool, redis: Connection) -> Self {
        let own = database::calm_pool().max_connections(1).acquire_timeout(ANSWER_TIMEOUT);
        let database = own.connect_lazy_with((*database.connect_options()).clone());
        Self { database, redis, last: Mutex::default() }
    }

    /// How the stores are, or were up to a second ago.
    pub(crate) async fn stores(&self) -> Stores {
        let look = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            match &*last {
                Some((begun, look)) if begun.elapsed() < LOOK_EVERY => look.clone(),
                _ => {
                    let look = look(self.database.clone(), self.redis.clone()).boxed().shared();
                    *last = Some((Instant::now(), look.clone()));
                    look
                }
            }
        };
        look.await
    }
}

async fn look(database: PgPool, mut redis: Connection) -> Stores {
    // A database that was not migrated serves nobody.
    let migrated = sqlx::query("select 1 from installation").execute(&database);
    let ping = redis::cmd("PING");
    let (postgresql, redis) = tokio::join!(ask(migrated), ask(ping.query_async::<redis::Value>(&mut redis)));
    Stores { postgresql, redis }
}

async fn ask<T, E>(question: impl Future<Output = Result<T, E>>) -> Store {
    let asked = Instant::now();
    let answers = matches!(timeout(ANSWER_TIMEOUT, question).await, Ok(Ok(_)));
    Store { answers, milliseconds: u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX) }
}
