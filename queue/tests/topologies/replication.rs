//! A master with a replica.

use bellwork_testkit::redis_server::RedisServer;

use crate::support::until;

/// A master and its replica.
pub(crate) async fn replicated() -> [RedisServer; 2] {
    let master = RedisServer::start(&[]).await;
    let port = master.port.to_string();
    let replica = RedisServer::start(&["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"]).await;
    is_linked(&replica).await;
    [master, replica]
}

/// Waits until this replica has its master's data.
pub(crate) async fn is_linked(replica: &RedisServer) {
    let linked = async || {
        replica.ask::<String>("INFO replication").await.is_ok_and(|info| info.contains("master_link_status:up"))
    };
    until(linked).await;
}
