//! The per-minute limit: a maximum of requests in any sixty seconds.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// Counts the requests of the last minute. Remembers their instants, so the limit holds in every window and not only on
/// average; that is 16 bytes each.
#[derive(Debug)]
pub(super) struct Pace {
    limit: Option<u32>,
    sent: Mutex<VecDeque<Instant>>,
}

impl Pace {
    /// At most `limit` requests in any minute; none: as many as there are.
    pub(super) fn new(limit: Option<u32>) -> Self {
        Self { limit, sent: Mutex::default() }
    }

    /// Counts a request, or says how long to wait before asking again.
    pub(super) fn take(&self, now: Instant) -> Result<(), Duration> {
        let Some(limit) = self.limit else { return Ok(()) };
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        while sent.front().is_some_and(|first| *first + MINUTE <= now) {
            sent.pop_front();
        }
        match sent.front() {
            Some(first) if sent.len() >= limit as usize => Err(*first + MINUTE - now),
            _ => {
                sent.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_holds_more_than_the_limit() {
        let (pace, start) = (Pace::new(Some(2)), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for (seconds, wait) in [(0, None), (50, None), (55, Some(5)), (60, None), (61, Some(49)), (110, None)] {
            assert_eq!(pace.take(at(seconds)).err(), wait.map(Duration::from_secs), "after {seconds} s");
        }
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        let (pace, now) = (Pace::new(None), Instant::now());
        assert!((0..1000).all(|_| pace.take(now).is_ok()));
    }
}
