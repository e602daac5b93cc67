//! Sentinels: they know which server is the master now.

use futures_util::stream::{FuturesUnordered, StreamExt};
use redis::aio::MultiplexedConnection;
use redis::{Client, ErrorKind, RedisError, RedisResult};

use super::access::{Access, Node};

/// The sentinels of one master.
#[derive(Clone)]
pub(super) struct Sentinels {
    pub(super) nodes: Vec<Node>,
    /// How to enter them, which need not be how to enter the master.
    pub(super) access: Access,
    pub(super) master: String,
}

impl Sentinels {
    /// The master and a connection to it, by the first sentinel that names one. A server that is a replica by its own
    /// word is not taken: a sentinel may be behind.
    ///
    /// # Errors
    /// If there is none; a refusal says more than a sentinel that is away.
    pub(super) async fn find(&self, access: &Access) -> RedisResult<(Client, MultiplexedConnection)> {
        let mut asked: FuturesUnordered<_> = self.nodes.iter().map(|node| self.ask(node, access)).collect();
        let mut failure: Option<RedisError> = None;
        while let Some(found) = asked.next().await {
            match found {
                Ok(found) => return Ok(found),
                Err(error) if failure.is_none() || !error.is_io_error() => failure = Some(error),
                Err(_) => {}
            }
        }
        Err(failure.unwrap_or_else(|| (ErrorKind::EmptySentinelList, "no sentinel is known").into()))
    }

    async fn ask(&self, sentinel: &Node, access: &Access) -> RedisResult<(Client, MultiplexedConnection)> {
        let mut connection = self.access.connect(self.access.address(sentinel)).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        let named: Option<(String, u16)> = question.query_async(&mut connection).await?;
        let unknown = || unknown_master("the sentinels do not know the master", &self.master);
        let (host, port) = named.ok_or_else(unknown)?;
        let client = access.client(access.address(&Node { host, port }))?;
        let mut master = client.get_multiplexed_async_connection_with_config(&access.config()).await?;
        let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut master).await?;
        match role.first() {
            Some(redis::Value::BulkString(role)) if role == b"master" => Ok((client, master)),
            _ => Err(unknown_master("the sentinels still name a server that is no master", &self.master)),
        }
    }
}

fn unknown_master(what: &'static str, name: &str) -> RedisError {
    (ErrorKind::MasterNameNotFoundBySentinel, what, name.to_owned()).into()
}
