//! The queues: one line each. A name is stored in the ledger and in Redis, so it is a contract.

/// A queue of jobs with the same needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its stored name.
    pub name: &'static str,
    /// How many of its jobs one worker process runs at a time, unless `--queues` says otherwise.
    pub concurrency: usize,
}

/// Calls to AI servers: few at a time, slow.
pub const AI: Queue = Queue { name: "ai", concurrency: 8 };
/// Mail.
pub const EMAIL: Queue = Queue { name: "email", concurrency: 10 };
/// Ranking: short transactions on few rows.
pub const LEADERBOARD: Queue = Queue { name: "leaderboard", concurrency: 4 };
/// What students wait for on their screens.
pub const NOTIFICATION: Queue = Queue { name: "notification", concurrency: 50 };
/// House-keeping by schedule.
pub const MAINTENANCE: Queue = Queue { name: "maintenance", concurrency: 2 };

/// All queues.
pub static ALL: &[&Queue] = &[&AI, &EMAIL, &LEADERBOARD, &NOTIFICATION, &MAINTENANCE];

/// The queue of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Queue> {
    ALL.iter().copied().find(|queue| queue.name == name)
}
