//! How long a failed job waits: a pure function of the policy, the failures and the jitter.
//!
//! Source of the jitters: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

use std::time::Duration;

/// A rule for the delay before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The delay after the first failure, before the jitter.
    pub base: Duration,
    /// How the delay grows with the failures.
    pub growth: Growth,
    /// What is drawn by lot.
    pub jitter: Jitter,
    /// The longest delay.
    pub cap: Duration,
}

/// How a delay grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// Not at all.
    Fixed,
    /// It doubles with each failure.
    Exponential,
    /// With this power of the failures: 4 is the curve of Sidekiq.
    Polynomial(u8),
}

/// How much of a delay is drawn by lot, so that jobs that failed together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// Nothing.
    None,
    /// All of it, but for a tenth: even a lucky draw must not hammer what has just failed.
    Full,
    /// One half.
    Equal,
}

/// No job waits longer than this between two attempts, unless its policy says so.
pub const RETRY_CAP: Duration = Duration::from_secs(6 * 3600);
const FLOOR: f64 = 0.1;
const MAX_DOUBLINGS: i32 = 30;

impl RetryPolicy {
    /// Doubles `base` with each failure, with full jitter.
    #[must_use]
    pub const fn exponential(base: Duration) -> Self {
        Self { base, growth: Growth::Exponential, jitter: Jitter::Full, cap: RETRY_CAP }
    }

    /// Waits `base` each time, half of it drawn by lot.
    #[must_use]
    pub const fn fixed(base: Duration) -> Self {
        Self { base, growth: Growth::Fixed, jitter: Jitter::Equal, cap: RETRY_CAP }
    }

    /// Waits `base` times the `power` of the failures, half of it drawn by lot.
    #[must_use]
    pub const fn polynomial(base: Duration, power: u8) -> Self {
        Self { base, growth: Growth::Polynomial(power), jitter: Jitter::Equal, cap: RETRY_CAP }
    }

    /// The delay after failure number `failed` (from 1), for a `lot` drawn evenly from 0..1. A `retry_after` from the other
    /// side is the least that is waited.
    #[must_use]
    pub fn delay(self, failed: u16, lot: f64, retry_after: Option<Duration>) -> Duration {
        let failed = failed.max(1);
        let factor = match self.growth {
            Growth::Fixed => 1.0,
            Growth::Exponential => 2f64.powi(i32::from(failed - 1).min(MAX_DOUBLINGS)),
            Growth::Polynomial(power) => f64::from(failed).powi(power.into()),
        };
        let bound = (self.base.as_secs_f64() * factor).min(self.cap.as_secs_f64());
        let lot = if lot.is_nan() { 1.0 } else { lot };
        let share = match self.jitter {
            Jitter::None => 1.0,
            Jitter::Full => lot.clamp(FLOOR, 1.0),
            Jitter::Equal => 0.5 + lot.clamp(0.0, 1.0) / 2.0,
        };
        Duration::from_secs_f64(bound * share).max(retry_after.unwrap_or_default().min(self.cap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const EXPONENTIAL: RetryPolicy = RetryPolicy::exponential(SECOND);

    #[test]
    fn the_bound_grows_as_the_policy_says_up_to_the_cap() {
        for (failed, seconds) in [(0, 1), (1, 1), (2, 2), (3, 4), (10, 512), (16, 21_600), (u16::MAX, 21_600)] {
            assert_eq!(EXPONENTIAL.delay(failed, 1.0, None), Duration::from_secs(seconds), "after {failed} failures");
        }
        let polynomial = RetryPolicy::polynomial(SECOND, 4);
        for (failed, seconds) in [(0, 1), (1, 1), (2, 16), (3, 81), (10, 10_000), (u16::MAX, 21_600)] {
            assert_eq!(polynomial.delay(failed, 1.0, None), Duration::from_secs(seconds), "after {failed} failures");
        }
        for failed in [0, 1, 7, u16::MAX] {
            assert_eq!(RetryPolicy::fixed(SECOND).delay(failed, 1.0, None), SECOND);
        }
    }

    #[test]
    fn jitter_shortens_it_but_never_to_nothing() {
        assert_eq!(EXPONENTIAL.delay(3, 0.5, None), Duration::from_secs(2));
        assert_eq!(EXPONENTIAL.delay(1, 0.0, None), Duration::from_millis(100));
        assert_eq!(EXPONENTIAL.delay(1, f64::NEG_INFINITY, None), Duration::from_millis(100));
        assert_eq!(EXPONENTIAL.delay(1, f64::NAN, None), SECOND);
        let equal = RetryPolicy::fixed(SECOND);
        assert_eq!(equal.delay(1, 0.0, None), Duration::from_millis(500));
        assert_eq!(equal.delay(1, 0.5, None), Duration::from_millis(750));
        let exact = RetryPolicy { jitter: Jitter::None, ..equal };
        assert_eq!(exact.delay(1, 0.0, None), SECOND);
    }

    #[test]
    fn what_the_other_side_asks_for_is_the_least() {
        assert_eq!(EXPONENTIAL.delay(1, 1.0, Some(Duration::from_secs(30))), Duration::from_secs(30));
        assert_eq!(EXPONENTIAL.delay(6, 1.0, Some(Duration::from_secs(3))), Duration::from_secs(32));
        assert_eq!(EXPONENTIAL.delay(1, 1.0, Some(Duration::MAX)), RETRY_CAP);
    }
}
