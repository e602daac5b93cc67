//! The door to the engine: one Redis, one prefix.

use std::fmt;
use std::sync::Arc;

use crate::connection::{Connection, Server};
use crate::error::Error;
use crate::inspector::Inspector;
use crate::keys::Keys;
use crate::partition::Partitions;
use crate::producer::Producer;

/// One Redis, of whatever topology, and the prefix of all keys. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) server: Arc<Server>,
    pub(crate) connection: Connection,
    prefix: Arc<str>,
    pub(crate) partitions: Partitions,
}

impl Engine {
    /// The queues under `prefix` on `server`. Opens nothing yet. One connection carries all commands but the subscription
    /// to wake-ups and the beats, which open their own.
    #[must_use]
    pub fn new(server: Server, prefix: &str) -> Self {
        Self {
            connection: server.connection(),
            server: Arc::new(server),
            prefix: prefix.into(),
            partitions: Partitions::default(),
        }
    }

    /// The connection that carries the commands, for others to share.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// Pushes jobs. Must be called within a runtime.
    #[must_use]
    pub fn producer(&self) -> Producer {
        Producer::start(self.clone())
    }

    /// Looks at queues and steers them.
    #[must_use]
    pub fn inspector(&self) -> Inspector {
        Inspector::new(self.clone())
    }

    pub(crate) fn keys(&self, queue: &str) -> Result<Keys, Error> {
        Keys::new(&self.prefix, queue)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
