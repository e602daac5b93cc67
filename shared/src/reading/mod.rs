//! Reading from replicas without reading the past: whoever has written reads nowhere that has not caught up with it.
//!
//! After a commit the writer's [`Position`] in the primary's log is kept in [`Floors`], for this process and in Redis for all
//! others. Each `replica` is watched, and known to have replayed up to some position. A read goes to a replica that is
//! known to have passed the reader's floor, else to the primary: an old observation of a replica can only send a read to the
//! primary needlessly, never to the past. A replica that fails is left at once, and the read is done again at the primary.

mod floors;
mod position;
mod replica;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::aio::ConnectionLike;
use sqlx::{PgConnection, PgPool};

pub use self::floors::Floors;
pub use self::position::Position;
use self::replica::Replica;
use crate::database::is_transient;
use crate::ids::UserId;

/// The replicas, and who may read them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reading<C> {
    primary: PgPool,
    replicas: Arc<[Replica]>,
    floors: Option<Floors<C>>,
    turn: Arc<AtomicUsize>,
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Anybody: may see what was true a moment ago.
    Anyone,
    /// A user, who sees at least what they have written and been told.
    User(UserId),
}

impl<C: ConnectionLike + Clone> Reading<C> {
    /// With `replicas` of `primary`, which are watched by tasks on the current runtime for as long as this lives.
    #[must_use]
    pub fn of(primary: PgPool, replicas: Vec<PgPool>, floors: Floors<C>) -> Self {
        let replicas: Arc<[_]> = replicas.into_iter().map(|pool| Replica::watch(pool, primary.clone())).collect();
        let floors = (!replicas.is_empty()).then_some(floors);
        Self { primary, replicas, floors, turn: Arc::default() }
    }

    /// What `query` finds at a replica that has caught up with `reader`. Nothing if there is none, or if it failed: then the
    /// primary is to be asked. `query` must only read, since it may be done twice.
    pub async fn at_replica<T>(
        &self,
        reader: Reader,
        query: &impl AsyncFn(&mut PgConnection) -> sqlx::Result<T>,
    ) -> Option<sqlx::Result<T>> {
        let replica = self.replica_for(reader).await?;
        match replica.read(query).await {
            Err(error) if is_replicas_own(&error) => {
                replica.leave(&error);
                None
            }
            answer => Some(answer),
        }
    }

    /// Notes that `writer` has committed just now. From here on they read nothing older, in any process.
    pub async fn wrote(&self, writer: UserId) {
        if let Some(floors) = &self.floors {
            floors.raise(&self.primary, &[writer]).await;
        }
    }

    /// How many replicas could serve a read, and how many there are.
    #[must_use]
    pub fn replicas(&self) -> (usize, usize) {
        (self.replicas.iter().filter(|replica| replica.has_passed(Position::START)).count(), self.replicas.len())
    }

    async fn replica_for(&self, reader: Reader) -> Option<&Replica> {
        let floors = self.floors.as_ref()?;
        if !self.replicas.iter().any(|replica| replica.has_passed(Position::START)) {
            return None;
        }
        let floor = match reader {
            Reader::Anyone => Position::START,
            Reader::User(user) => floors.of(user).await?,
        };
        let first = match reader {
            // The same replica each time, so that two reads do not go back in time between two replicas.
            Reader::User(user) => usize::try_from(user.0.as_u128() % 1021).unwrap_or_default(),
            Reader::Anyone => self.turn.fetch_add(1, Ordering::Relaxed),
        };
        let count = self.replicas.len();
        (0..count).map(|step| &self.replicas[(first + step) % count]).find(|replica| replica.has_passed(floor))
    }
}

/// True for what the primary may answer although a replica cannot: it is away, or ended the query for the sake of its replay.
fn is_replicas_own(error: &sqlx::Error) -> bool {
    let ended = |code: &str| ["25006", "57014"].contains(&code);
    is_transient(error) || error.as_database_error().and_then(|error| error.code()).is_some_and(|code| ended(&code))
}
