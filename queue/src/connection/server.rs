//! What is known of Redis before anything is opened.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use redis::aio::PubSub;
use redis::{ConnectionAddr, ErrorKind, RedisError, RedisResult};

use super::Connection;
use super::access::{Access, Node};
use super::address::{self, AddressError};
use super::cluster::look_up;
use super::sentinels::Sentinels;

/// Redis as an address describes it: a single server (`redis://host:6379`), the master that sentinels name
/// (`redis+sentinel://host:26379,host:26379/name`), or a cluster (`redis+cluster://host:7000,host:7001`); with TLS as
/// `rediss://`, `rediss+sentinel://`, `rediss+cluster://`. The README lists the parameters.
#[derive(Clone)]
pub struct Server {
    pub(super) topology: Topology,
    pub(super) access: Access,
}

#[derive(Clone)]
pub(super) enum Topology {
    Single(ConnectionAddr),
    Sentinel(Sentinels),
    /// Some of the cluster's nodes: one that answers tells of the others.
    Cluster(Vec<Node>),
}

impl FromStr for Server {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        address::parse(text)
    }
}

impl Server {
    /// With another patience: for a connection to be made, and for the answer to a command.
    #[must_use]
    pub fn with_timeouts(mut self, connect: Duration, response: Duration) -> Self {
        let with = |access: &mut Access| {
            access.connect_timeout = connect;
            access.response_timeout = response;
        };
        with(&mut self.access);
        if let Topology::Sentinel(sentinels) = &mut self.topology {
            with(&mut sentinels.access);
        }
        self
    }

    /// A connection to be shared: clones use the same. Opens nothing yet; the first command does, and it must be sent
    /// within a runtime.
    #[must_use]
    pub fn connection(&self) -> Connection {
        Connection::new(self)
    }

    /// A connection of its own for SUBSCRIBE: to the server, the present master, or a master of the cluster, which passes
    /// on what is published on any other.
    ///
    /// # Errors
    /// If none can be reached.
    pub async fn pubsub(&self) -> RedisResult<PubSub> {
        match &self.topology {
            Topology::Single(address) => self.access.client(address.clone())?.get_async_pubsub().await,
            Topology::Sentinel(sentinels) => sentinels.find(&self.access).await?.0.get_async_pubsub().await,
            Topology::Cluster(seeds) => {
                let slots = look_up(&self.access, seeds).await?;
                let mut failure: RedisError = (ErrorKind::ClusterConnectionNotFound, "no master is known").into();
                for master in slots.masters() {
                    match self.access.client(self.access.address(master))?.get_async_pubsub().await {
                        Ok(pubsub) => return Ok(pubsub),
                        Err(error) => failure = error,
                    }
                }
                Err(failure)
            }
        }
    }
}

/// Without user and password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.topology {
            Topology::Single(address) => write!(f, "Server({address})"),
            Topology::Sentinel(sentinels) => write!(f, "Server({} of {:?})", sentinels.master, sentinels.nodes),
            Topology::Cluster(seeds) => write!(f, "Server(cluster of {seeds:?})"),
        }
    }
}
