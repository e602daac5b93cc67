//! Connections to Redis, whatever its topology: a single server, the master that sentinels name, or a cluster.

mod access;
mod address;
mod cluster;
mod kept;
mod link;
mod request;
mod sentinels;
mod server;
mod slots;
mod subscription;

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, Pipeline, RedisFuture, RedisResult, Value};

pub use address::AddressError;
pub use server::Server;
pub(crate) use subscription::Subscription;

use cluster::{Cluster, slot_of_request};
use kept::Kept;
use link::Link;
use request::Request;
use server::Topology;

/// A connection that many share and that finds Redis again by itself: after it was lost, after a failover, after a slot
/// has moved. No command is ever sent twice by itself. Cheap to clone; a command under way is never disturbed by others.
#[derive(Clone)]
pub struct Connection {
    route: Route,
    /// In a cluster, commands without a key go where the last one with a key went: a script is loaded where it is called.
    slot: u16,
}

#[derive(Clone)]
enum Route {
    Master(Arc<Link>),
    Cluster(Arc<Cluster>),
}

impl Connection {
    fn new(server: &Server) -> Self {
        let access = server.access.clone();
        let route = match server.topology.clone() {
            Topology::Single(address) => Route::Master(Arc::new(Link(Kept::new(move || {
                let (access, address) = (access.clone(), address.clone());
                async move { access.connect(address).await }.boxed()
            })))),
            Topology::Sentinel(sentinels) => Route::Master(Arc::new(Link(Kept::new(move || {
                let (access, sentinels) = (access.clone(), sentinels.clone());
                async move { Ok(sentinels.find(&access).await?.1) }.boxed()
            })))),
            Topology::Cluster(seeds) => Route::Cluster(Arc::new(Cluster::new(access, seeds))),
        };
        Self { route, slot: 0 }
    }

    /// The identity of the running server, or of all masters of the cluster: another one than before says that data may
    /// have been lost.
    ///
    /// # Errors
    /// If Redis fails, or one of the masters.
    pub async fn run_id(&self) -> RedisResult<String> {
        let mut info = redis::cmd("INFO");
        info.arg("server");
        let answers = match &self.route {
            Route::Master(link) => link.send(Request::Command(&info)).await?,
            Route::Cluster(cluster) => cluster.send_to_all(Request::Command(&info)).await?,
        };
        let mut ids = answers.into_iter().map(run_id).collect::<RedisResult<Vec<_>>>()?;
        ids.sort();
        Ok(ids.join(","))
    }

    async fn send(&mut self, request: Request<'_>) -> RedisResult<Vec<Value>> {
        match &self.route {
            Route::Master(link) => link.send(request).await,
            Route::Cluster(cluster) => {
                self.slot = slot_of_request(request)?.unwrap_or(self.slot);
                cluster.send(request, self.slot).await
            }
        }
    }
}

fn run_id(info: Value) -> RedisResult<String> {
    let info: String = redis::from_redis_value(info.extract_error()?)?;
    let id = info.lines().find_map(|line| line.strip_prefix("run_id:"));
    id.map(|id| id.trim().to_owned()).ok_or_else(|| (ErrorKind::UnexpectedReturnType, "INFO told no run id").into())
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        async move {
            let answer = self.send(Request::Command(command)).await?.pop();
            answer.ok_or_else(|| (ErrorKind::UnexpectedReturnType, "a command was not answered").into())
        }
        .boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.send(Request::Pipeline { pipeline, offset, count }).boxed()
    }

    fn get_db(&self) -> i64 {
        0
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
