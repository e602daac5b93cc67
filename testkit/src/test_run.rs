//! What `scripts/test` and `scripts/bench` have started, and name by variables.

use redis::aio::MultiplexedConnection;

use crate::DEADLINE;
use crate::redis_server::connect;

/// What the variable holds.
///
/// # Panics
/// If it is not set.
#[must_use]
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this by scripts/test or scripts/bench"))
}

/// The address of the Redis that all tests share, each with a prefix of its own.
///
/// # Panics
/// If the test run has set up none.
#[must_use]
pub fn redis_url() -> String {
    variable("REDIS_URL")
}

/// A connection to the Redis that all tests share, which waits for it as long as a test does.
///
/// # Panics
/// If nobody is there.
pub async fn redis() -> MultiplexedConnection {
    connect(&redis_url(), DEADLINE).await.expect("the Redis of the test run answers")
}
