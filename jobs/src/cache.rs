//! The way to the cache, over the engine's connections: they know every topology of Redis.

use bellwork_queue::Server;
use bellwork_shared::cache::Redis;

/// The cache instance at `server`.
#[must_use]
pub fn redis(server: &Server) -> Redis {
    let listening = server.clone();
    Redis::new(server.connection(), move || {
        let server = listening.clone();
        async move { server.pubsub().await }
    })
}
