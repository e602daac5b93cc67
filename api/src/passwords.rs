//! Hashing passwords without taking the process down: as many at a time as there are cores, and a short queue.

use std::sync::Arc;

use anyhow::Context;
use bellwork_shared::passwords;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use crate::error::ApiError;

/// Passwords that may wait for a core: at 20 ms each, about five seconds of work for one core.
const WAITING: usize = 256;

/// The cores that passwords may use.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    /// One permit per core: each hash holds a core for 20 ms and 19 MiB of memory.
    cores: Arc<Semaphore>,
    /// One permit per caller, so that a burst of logins is refused rather than queued without end.
    callers: Arc<Semaphore>,
}

impl Passwords {
    /// Uses `cores` cores.
    #[must_use]
    pub(crate) fn new(cores: usize) -> Self {
        Self { cores: Arc::new(Semaphore::new(cores)), callers: Arc::new(Semaphore::new(cores + WAITING)) }
    }

    /// See [`passwords::hash`].
    ///
    /// # Errors
    /// If too many wait already, or the system gives no randomness.
    pub(crate) async fn hash(&self, password: String) -> Result<String, ApiError> {
        Ok(self.compute(move || passwords::hash(&password)).await??)
    }

    /// See [`passwords::verify`]; takes as long without a stored hash as with one.
    ///
    /// # Errors
    /// If too many wait already.
    pub(crate) async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, ApiError> {
        self.compute(move || match stored {
            Some(stored) => passwords::verify(&password, &stored),
            None => {
                passwords::verify_against_nobody(&password);
                false
            }
        })
        .await
    }

    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let permits = self.permits().await?;
        // The permits stay until the work ends, even if the client goes away meanwhile.
        let done = spawn_blocking(move || {
            let result = work();
            drop(permits);
            result
        });
        Ok(done.await.context("hashing a password")?)
    }

    /// The place and the core of one caller, in the order in which they ask.
    ///
    /// # Errors
    /// If too many wait already.
    pub(crate) async fn permits(&self) -> Result<[OwnedSemaphorePermit; 2], ApiError> {
        let caller = Arc::clone(&self.callers).try_acquire_owned().map_err(|_| ApiError::Overloaded)?;
        let core = Arc::clone(&self.cores).acquire_owned().await.context("the semaphore is never closed")?;
        Ok([caller, core])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_burst_beyond_the_queue_is_refused() {
        let passwords = Passwords::new(1);
        let _busy = passwords.permits().await.unwrap();
        let mut waiting = Vec::new();
        for _ in 0..WAITING {
            let mut caller = Box::pin(passwords.permits());
            assert!(futures_util::poll!(&mut caller).is_pending());
            waiting.push(caller);
        }
        assert!(matches!(passwords.permits().await, Err(ApiError::Overloaded)));
    }
}
