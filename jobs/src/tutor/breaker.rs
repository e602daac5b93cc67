//! A circuit breaker: a server that fails time after time is left alone for a while, then tried by one request.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that open the breaker.
const FAILURES: u32 = 5;
/// How long it stays open at first; each failed trial doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest it stays open.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long others wait while one request tries the server.
const TRIAL_WAIT: Duration = Duration::from_secs(1);

/// The breaker of one server.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Failures in a row while closed.
    failures: u32,
    /// Set while open.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    until: Instant,
    pause: Duration,
    trial: Trial,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    None,
    UnderWay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Ordinary,
    Trial,
}

/// The leave to send one request. Whoever gets an answer says so; a request that is given up halfway says nothing.
#[derive(Debug)]
pub(super) struct Leave<'a> {
    breaker: &'a Breaker,
    purpose: Purpose,
}

impl Breaker {
    /// Gives leave to send a request, or says how long to wait before asking again.
    pub(super) fn leave(&self, now: Instant) -> Result<Leave<'_>, Duration> {
        let mut state = self.state();
        let Some(open) = &mut state.open else { return Ok(Leave { breaker: self, purpose: Purpose::Ordinary }) };
        if now < open.until {
            return Err(open.until - now);
        }
        if open.trial == Trial::UnderWay {
            return Err(TRIAL_WAIT);
        }
        open.trial = Trial::UnderWay;
        Ok(Leave { breaker: self, purpose: Purpose::Trial })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leave<'_> {
    /// The server is well. A late answer to a request from before the breaker opened changes nothing.
    pub(super) fn succeeded(self) {
        let mut state = self.breaker.state();
        if self.purpose == Purpose::Trial || state.open.is_none() {
            *state = State::default();
        }
    }

    /// The server is not well.
    pub(super) fn failed(self, now: Instant) {
        let mut state = self.breaker.state();
        let pause = match (&state.open, self.purpose) {
            (Some(open), Purpose::Trial) => (open.pause * 2).min(LONGEST_PAUSE),
            (Some(_), Purpose::Ordinary) => return,
            (None, _) => {
                state.failures += 1;
                if state.failures < FAILURES {
                    return;
                }
                FIRST_PAUSE
            }
        };
        state.open = Some(Open { until: now + pause, pause, trial: Trial::None });
    }
}

/// A trial that was given up leaves the next one free.
impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if self.purpose == Purpose::Trial
            && let Some(open) = &mut self.breaker.state().open
        {
            open.trial = Trial::None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn opened(now: Instant) -> Breaker {
        let breaker = Breaker::default();
        for _ in 0..FAILURES {
            breaker.leave(now).unwrap().failed(now);
        }
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..4 {
            breaker.leave(now).unwrap().failed(now);
        }
        breaker.leave(now).unwrap().succeeded();
        for _ in 0..4 {
            breaker.leave(now).unwrap().failed(now);
        }
        let fifth = breaker.leave(now).unwrap();
        fifth.failed(now);
        assert_eq!(breaker.leave(now + seconds(4)).unwrap_err(), seconds(6));
    }

    #[test]
    fn one_trial_at_a_time_and_a_failed_one_doubles_the_pause_up_to_a_minute() {
        let mut now = Instant::now();
        let breaker = opened(now);
        for (pause, next) in [(10, 20), (20, 40), (40, 60), (60, 60)] {
            now += seconds(pause);
            let trial = breaker.leave(now).unwrap();
            assert_eq!(breaker.leave(now).unwrap_err(), TRIAL_WAIT);
            trial.failed(now);
            assert_eq!(breaker.leave(now).unwrap_err(), seconds(next));
        }
    }

    #[test]
    fn a_good_trial_closes_it() {
        let now = Instant::now();
        let breaker = opened(now);
        breaker.leave(now + FIRST_PAUSE).unwrap().succeeded();
        let (first, second) = (breaker.leave(now).unwrap(), breaker.leave(now).unwrap());
        first.failed(now);
        second.failed(now);
        assert!(breaker.leave(now).is_ok(), "counting begins anew");
    }

    #[test]
    fn a_trial_given_up_leaves_the_next_one_free() {
        let now = Instant::now();
        let breaker = opened(now);
        drop(breaker.leave(now + FIRST_PAUSE).unwrap());
        assert_eq!(breaker.leave(now + FIRST_PAUSE).unwrap().purpose, Purpose::Trial);
    }

    #[test]
    fn late_answers_from_before_it_opened_change_nothing() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        let (late_success, late_failure) = (breaker.leave(now).unwrap(), breaker.leave(now).unwrap());
        for _ in 0..FAILURES {
            breaker.leave(now).unwrap().failed(now);
        }
        late_success.succeeded();
        late_failure.failed(now + seconds(5));
        assert_eq!(breaker.leave(now).unwrap_err(), FIRST_PAUSE);
    }
}
