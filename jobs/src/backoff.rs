//! How long a failed job waits: exponential with full jitter, a pure function of attempt and jitter.
//!
//! Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

use std::time::Duration;

/// A rule for the delay before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The upper bound of the first delay; each further one doubles it.
    pub base: Duration,
    /// The upper bound of all.
    pub cap: Duration,
}

/// No job waits longer than this between two attempts.
pub const CAP: Duration = Duration::from_secs(6 * 3600);
/// Keeps even a lucky draw from hammering what has just failed: the share of the bound that is always waited.
const FLOOR: f64 = 0.1;
const MAX_DOUBLINGS: i32 = 30;

impl Backoff {
    /// The delay after failure number `failed` (from 1), for a `jitter` drawn evenly from 0..1. A `retry_after` from the
    /// other side is the least that is waited.
    #[must_use]
    pub fn delay(self, failed: u16, jitter: f64, retry_after: Option<Duration>) -> Duration {
        let doublings = i32::from(failed.saturating_sub(1)).min(MAX_DOUBLINGS);
        let bound = (self.base.as_secs_f64() * 2f64.powi(doublings)).min(self.cap.as_secs_f64());
        let delay = Duration::from_secs_f64(bound * jitter.clamp(FLOOR, 1.0));
        delay.max(retry_after.unwrap_or_default().min(self.cap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), cap: CAP };

    #[test]
    fn the_bound_doubles_up_to_the_cap() {
        for (failed, seconds) in [(0, 1), (1, 1), (2, 2), (3, 4), (10, 512), (16, 21_600), (u16::MAX, 21_600)] {
            assert_eq!(BACKOFF.delay(failed, 1.0, None), Duration::from_secs(seconds), "after {failed} failures");
        }
    }

    #[test]
    fn jitter_shortens_it_but_never_to_nothing() {
        assert_eq!(BACKOFF.delay(3, 0.5, None), Duration::from_secs(2));
        assert_eq!(BACKOFF.delay(1, 0.0, None), Duration::from_millis(100));
        assert_eq!(BACKOFF.delay(1, f64::NEG_INFINITY, None), Duration::from_millis(100));
    }

    #[test]
    fn what_the_other_side_asks_for_is_the_least() {
        assert_eq!(BACKOFF.delay(1, 1.0, Some(Duration::from_secs(30))), Duration::from_secs(30));
        assert_eq!(BACKOFF.delay(6, 1.0, Some(Duration::from_secs(3))), Duration::from_secs(32));
        assert_eq!(BACKOFF.delay(1, 1.0, Some(Duration::MAX)), CAP);
    }
}
