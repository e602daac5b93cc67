//! What tests of several nouns need: a Redis that is waited for, and a deadline.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client};

/// What has not happened by then will not.
const DEADLINE: Duration = Duration::from_secs(150);

/// What `future` comes to, if that is before a generous deadline.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("it did not happen in time: {what}"))
}

/// The Redis of the test run.
pub(crate) fn redis_client() -> Client {
    let url = std::env::var("TEST_REDIS_URL").or_else(|_| std::env::var("REDIS_URL"));
    Client::open(url.expect("TEST_REDIS_URL names a Redis for tests; scripts/test starts one")).unwrap()
}

/// A connection to it that waits for its answers: half a second, the client's own patience, is not enough while the
/// machine is busy.
pub(crate) async fn patient_redis() -> MultiplexedConnection {
    let patience =
        AsyncConnectionConfig::new().set_connection_timeout(Some(DEADLINE)).set_response_timeout(Some(DEADLINE));
    redis_client().get_multiplexed_async_connection_with_config(&patience).await.unwrap()
}
