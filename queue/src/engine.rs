//! The door to the engine: one Redis, one prefix.

use std::fmt;
use std::sync::Arc;

use redis::aio::ConnectionManager;

use crate::error::Error;
use crate::inspector::Inspector;
use crate::keys::Keys;
use crate::partition::Partitions;
use crate::producer::Producer;

/// One Redis server and the prefix of all keys. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) client: redis::Client,
    pub(crate) connection: ConnectionManager,
    prefix: Arc<str>,
    pub(crate) partitions: Partitions,
}

impl Engine {
    /// The queues under `prefix` on the server of `client`. `connection` carries all commands but the subscription to
    /// wake-ups and the beats, which open their own.
    #[must_use]
    pub fn new(client: redis::Client, connection: ConnectionManager, prefix: &str) -> Self {
        Self { client, connection, prefix: prefix.into(), partitions: Partitions::default() }
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
