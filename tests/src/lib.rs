//! Whole installations for tests and benchmarks: real servers, the real programs as processes, and a student who uses
//! them over HTTP.
//!
//! Everything that is started is gone when its owner is dropped, also when a test panics.

pub mod ai_server;
pub mod events;
pub mod installation;
pub mod mail_server;
pub mod program;
pub mod rehearsal;
pub mod servers;
pub mod student;
pub mod walk;

use std::future::Future;
use std::time::Duration;

/// What has not happened by then will not.
pub const DEADLINE: Duration = Duration::from_secs(150);

/// The result, if it is there before the deadline.
///
/// # Panics
/// If it is not: the test has failed.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(result) => result,
        Err(_) => panic!("it did not happen in time: {what}"),
    }
}

/// Looks until `look` finds something.
///
/// # Panics
/// If it finds nothing before the deadline.
pub async fn eventually<T, Fut: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> Fut) -> T {
    within(what, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

/// A connection to the Redis at `url` that waits for its answers: half a second, the client's own patience, is not enough
/// while the machine is busy.
///
/// # Errors
/// If nobody is there.
pub async fn patient_redis(url: &str) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
    let patience =
        redis::AsyncConnectionConfig::new().set_connection_timeout(Some(DEADLINE)).set_response_timeout(Some(DEADLINE));
    redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&patience).await
}

/// A port that was free a moment ago.
#[must_use]
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    listener.local_addr().expect("a bound listener has an address").port()
}
