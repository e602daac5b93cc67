//! What the tests of every crate stand on: a deadline for what is waited for, folders and processes that go with their
//! owner, and the servers of the test run. It names no type of this project.
//!
//! Everything that is started is gone when its owner is dropped, also when a test panics.

pub mod folder;
pub mod mail_server;
pub mod program;
pub mod redis_server;
pub mod test_run;

use std::time::Duration;

/// What has not happened by then will not.
pub const DEADLINE: Duration = Duration::from_secs(150);

/// Between two looks.
const POLL: Duration = Duration::from_millis(10);

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
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(POLL).await;
        }
    })
    .await
}

/// Looks until `holds` does.
///
/// # Panics
/// If it does not before the deadline.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    eventually(what, async || holds().await.then_some(())).await;
}
