//! What a process knows of one window: what Redis told, and what Redis was not told yet.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limiter::Standing;
use super::policies::{Counting, Policy};
use super::quota::Quota;
use super::window::{BUCKETS, Window};

/// What a process has not told Redis is at most one such part of the quota, and at least one request.
const UNTOLD_SHARE: u32 = 20;

/// The requests of one subject under one policy.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) policy: &'static Policy,
    pub(crate) quota: Quota,
    /// In Redis.
    pub(crate) key: String,
    /// Held for some additions only, never over an exchange.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Those of all processes, as Redis last said.
    known: Window,
    /// Those let through here that Redis was not told of.
    untold: Window,
    /// Those that Redis is being told of.
    on_the_way: u32,
    /// Whether this tally waits for the next exchange.
    listed: bool,
}

/// What became of a request that was counted here.
pub(crate) enum Counted {
    /// It is counted. The tally must be listed for the next exchange if it is not.
    Through { standing: Standing, listing: Listing },
    /// The quota is used up.
    Refused(Standing),
    /// Only Redis can tell.
    Unsure,
}

/// Whether a tally is listed for the next exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listing {
    Wanted,
    Done,
}

/// How a process decides by itself.
#[derive(Clone, Copy)]
pub(crate) enum Alone {
    /// Redis is there, and is told in time.
    Connected,
    /// Redis is away, and `processes` processes share each quota.
    Degraded { processes: u32 },
}

impl Tally {
    pub(crate) fn new(policy: &'static Policy, quota: Quota, key: String) -> Self {
        Self { policy, quota, key, state: Mutex::default() }
    }

    /// The width of a bucket in milliseconds.
    pub(crate) fn width(&self) -> u64 {
        self.quota.window_ms / BUCKETS
    }

    /// Counts a request at `now` (in milliseconds of Redis's clock) if this process can know that it fits.
    pub(crate) fn count(&self, now: u64, alone: Alone) -> Counted {
        let mut state = self.at(now);
        let limit = match alone {
            Alone::Connected => self.quota.requests,
            Alone::Degraded { processes } => self.quota.requests.div_ceil(processes.max(1)),
        };
        let total = state.total();
        if total >= limit {
            return Counted::Refused(self.standing(&state, now, limit));
        }
        if matches!(alone, Alone::Connected) && !self.may_wait(&state) {
            return Counted::Unsure;
        }
        state.untold.add(1);
        let listing = if state.listed { Listing::Done } else { Listing::Wanted };
        state.listed = true;
        Counted::Through { standing: self.standing(&state, now, limit), listing }
    }

    /// Takes back a request that was counted just now and refused by another policy.
    pub(crate) fn take_back(&self, now: u64) {
        self.at(now).untold.take_back();
    }

    /// How it stands if the quota is known to be used up.
    pub(crate) fn refusal(&self, now: u64) -> Option<Standing> {
        let state = self.at(now);
        (state.total() >= self.quota.requests).then(|| self.standing(&state, now, self.quota.requests))
    }

    /// How it stands at `now`.
    pub(crate) fn stands(&self, now: u64) -> Standing {
        self.standing(&self.at(now), now, self.quota.requests)
    }

    /// What Redis is to be told now.
    pub(crate) fn tell(self: &Arc<Self>, now: u64) -> Told {
        let mut state = self.at(now);
        let requests = state.untold.total();
        state.untold = Window::default();
        state.on_the_way = state.on_the_way.saturating_add(requests);
        state.listed = false;
        Told { tally: Arc::clone(self), requests, now }
    }

    /// No longer waits for an exchange; its next request lists it again.
    pub(crate) fn unlist(&self) {
        self.lock().listed = false;
    }

    fn may_wait(&self, state: &State) -> bool {
        let most = (self.quota.requests / UNTOLD_SHARE).max(1);
        let untold = state.untold.total().saturating_add(state.on_the_way);
        self.policy.counting == Counting::Batched && untold < most
    }

    fn standing(&self, state: &State, now: u64, limit: u32) -> Standing {
        let window = state.known.plus(state.untold);
        let opens = window.opens(limit).saturating_mul(self.width());
        Standing {
            policy: self.policy,
            quota: self.quota,
            remaining: limit.saturating_sub(state.total()),
            reset_seconds: opens.saturating_sub(now).div_ceil(1000).max(1),
        }
    }

    fn at(&self, now: u64) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        let bucket = now / self.width();
        state.known.advance(bucket);
        state.untold.advance(bucket);
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn total(&self) -> u32 {
        self.known.total().saturating_add(self.untold.total()).saturating_add(self.on_the_way)
    }
}

/// Requests on their way to Redis. Dropped before [`Told::heard`], they are untold again: an exchange that failed may
/// count requests twice, but loses none.
pub(crate) struct Told {
    pub(crate) tally: Arc<Tally>,
    pub(crate) requests: u32,
    now: u64,
}

impl Told {
    /// Redis has counted them, and says what it has of all processes: pairs of bucket and requests.
    pub(crate) fn heard(mut self, counts: &[u64]) {
        let mut state = self.tally.lock();
        state.on_the_way = state.on_the_way.saturating_sub(self.requests);
        for pair in counts.chunks_exact(2) {
            state.known.learn(pair[0], u32::try_from(pair[1]).unwrap_or(u32::MAX));
        }
        drop(state);
        self.requests = 0;
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if self.requests > 0 {
            let mut state = self.tally.at(self.now);
            state.on_the_way = state.on_the_way.saturating_sub(self.requests);
            state.untold.add(self.requests);
        }
    }
}
