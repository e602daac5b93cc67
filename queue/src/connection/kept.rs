//! A thing that is obtained when it is first needed, shared by all who need it, and obtained anew once it was lost.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use redis::{RedisError, RedisResult};
use tokio::time::Instant;

/// How long the error of a failed attempt answers everybody: a server that is away is not besieged.
const PAUSE: Duration = Duration::from_millis(100);

type Attempt<T> = BoxFuture<'static, RedisResult<T>>;

pub(super) struct Kept<T> {
    obtain: Box<dyn Fn() -> Attempt<T> + Send + Sync>,
    /// Held across no await.
    state: Mutex<State<T>>,
}

struct State<T> {
    /// Counts the attempts, so that nobody gives up one that began after his own failed.
    age: u64,
    attempt: Option<Shared<Attempt<T>>>,
    failure: Option<(Instant, RedisError)>,
}

impl<T: Clone + Send + 'static> Kept<T> {
    pub(super) fn new(obtain: impl Fn() -> Attempt<T> + Send + Sync + 'static) -> Self {
        Self { obtain: Box::new(obtain), state: Mutex::new(State { age: 0, attempt: None, failure: None }) }
    }

    /// The thing and its age. A failed attempt is given up for everybody.
    pub(super) async fn get(&self) -> RedisResult<(u64, T)> {
        let (age, attempt) = self.attempt()?;
        match attempt.await {
            Ok(thing) => Ok((age, thing)),
            Err(error) => {
                self.give_up(age, Some(error.clone()));
                Err(error)
            }
        }
    }

    /// Says that the thing of this age is no use any more.
    pub(super) fn lose(&self, age: u64) {
        self.give_up(age, None);
    }

    fn attempt(&self) -> RedisResult<(u64, Shared<Attempt<T>>)> {
        let mut state = self.lock();
        if let Some((failed, error)) = &state.failure
            && failed.elapsed() < PAUSE
        {
            return Err(error.clone());
        }
        let attempt = state.attempt.get_or_insert_with(|| (self.obtain)().shared()).clone();
        Ok((state.age, attempt))
    }

    fn give_up(&self, age: u64, error: Option<RedisError>) {
        let mut state = self.lock();
        if state.age == age {
            *state = State { age: age + 1, attempt: None, failure: error.map(|error| (Instant::now(), error)) };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn counting(outcome: fn(u32) -> RedisResult<u32>) -> (Kept<u32>, Arc<AtomicU32>) {
        let attempts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&attempts);
        let kept = Kept::new(move || {
            let attempt = counted.fetch_add(1, Ordering::SeqCst);
            async move { outcome(attempt) }.boxed()
        });
        (kept, attempts)
    }

    #[tokio::test]
    async fn it_is_obtained_once_and_again_when_the_same_one_was_lost() {
        let (kept, attempts) = counting(Ok);
        let (age, first) = kept.get().await.unwrap();
        assert_eq!((first, kept.get().await.unwrap().1), (0, 0));
        kept.lose(age);
        kept.lose(age);
        assert_eq!(kept.get().await.unwrap().1, 1, "a second report of the same loss changes nothing");
        kept.lose(age);
        assert_eq!(kept.get().await.unwrap().1, 1, "a late report of an old loss, neither");
        assert_eq!(attempts.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_answers_everybody_for_a_moment() {
        let (kept, attempts) = counting(|attempt| match attempt {
            0 => Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into()),
            more => Ok(more),
        });
        assert!(kept.get().await.is_err());
        assert!(kept.get().await.is_err());
        assert_eq!(attempts.load(Ordering::SeqCst), 1);
        tokio::time::advance(PAUSE).await;
        assert_eq!(kept.get().await.unwrap().1, 1);
    }
}
