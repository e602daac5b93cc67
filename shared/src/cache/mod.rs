//! Caching in two layers: in process, over Redis. A third, HTTP's own, is made of it by the API.
//!
//! THE TABLE of caches stands below. A value belongs to one [`Scope`]; who changes what it was made of forgets the scope
//! after the commit ([`Invalidator::forget`]), which reaches every process. A value is never kept that was loaded before
//! a change and arrives after it: in process by `generations`, in Redis by comparing the scope's token in the script
//! that stores. When Redis fails, a reader meets no error and no long wait, and what it is told is no older than the table
//! says.

mod answer;
mod early;
mod flight;
mod generations;
mod invalidation;
mod link;
mod local;

mod remote;
mod scope;
mod shelf;
mod tally;
mod wire;

use std::time::Duration;

use bytes::Bytes;

pub use self::answer::{Failed, Freshness, Got, Key};
pub use self::invalidation::{Held, Invalidator};
pub use self::link::Layers;
pub use self::scope::{Scope, UnknownScope};
pub use self::shelf::Shelf;
pub use self::tally::Figures;
pub use self::wire::Redis;

const MIB: u64 = 1024 * 1024;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// How the values of a cache are kept.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// For metrics and keys.
    pub name: &'static str,
    /// Part of the keys in Redis. Raise it when what is stored changes its shape: no release reads another's bytes.
    pub shape: u32,
    /// How long a value is fresh in a process.
    pub local: Duration,
    /// How long a value is fresh in Redis, and everywhere since it was loaded.
    pub remote: Duration,
    /// How long a process remembers that there is no such thing.
    pub absent: Duration,
    /// How long beyond its freshness the last value answers if it cannot be loaded anew.
    pub stale: Duration,
    /// The most bytes a process keeps.
    pub capacity: u64,
    /// What becomes of a process's values while it does not hear of changes.
    pub unheard: Unheard,
}

/// What becomes of a process's values while it does not hear of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unheard {
    /// They are fresh for no longer than this.
    Shorten(Duration),
    /// They are not used, and none is kept, unless Redis was heard of within this time.
    Bypass(Duration),
}

/// The list of tests and each test, as students see them.
pub static TESTS: Policy = Policy { name: "tests", stale: HOUR, capacity: 64 * MIB, ..SHARED };
/// Pages of the question bank.
pub static QUESTION_BANK: Policy = Policy { name: "question_bank", stale: HOUR, capacity: 64 * MIB, ..SHARED };
/// The top of a board and how many it ranks.
pub static LEADERBOARDS: Policy = Policy { name: "leaderboards", capacity: 32 * MIB, ..SHARED };
/// The public figures. With the moment that clients keep them, they are at most a minute old; older ones are never told.
pub static STATS: Policy = Policy {
    name: "stats",
    local: Duration::from_secs(45),
    remote: Duration::from_secs(45),
    stale: Duration::ZERO,
    capacity: MIB,
    ..SHARED
};
/// First pages of notifications.
pub static NOTIFICATIONS: Policy = Policy { name: "notifications", remote: Duration::from_secs(30), ..SHARED };
/// Whose a token is. Never stale: whoever cannot be checked is nobody. Nor trusted unless changes were heard of just
/// now, so that a session that ends elsewhere ends here within a second even if the link is cut in silence.
pub static SESSIONS: Policy = Policy {
    name: "sessions",
    remote: Duration::from_secs(24 * 3600),
    stale: Duration::ZERO,
    unheard: Unheard::Bypass(Duration::from_millis(900)),
    ..SHARED
};

/// THE TABLE: all caches.
pub static ALL: [&Policy; 6] = [&TESTS, &QUESTION_BANK, &LEADERBOARDS, &STATS, &NOTIFICATIONS, &SESSIONS];

const SHARED: Policy = Policy {
    name: "",
    shape: 1,
    local: MINUTE,
    remote: Duration::from_secs(5 * 60),
    absent: Duration::from_secs(5),
    stale: Duration::from_secs(10 * 60),
    capacity: 16 * MIB,
    unheard: Unheard::Shorten(Duration::from_secs(5)),
};

/// What can be kept.
pub trait Value: Send + Sync + Sized + 'static {
    /// As it is kept in Redis.
    fn encode(&self) -> Bytes;

    /// Reads what [`Value::encode`] wrote; nothing if it cannot be read.
    fn decode(bytes: Bytes) -> Option<Self>;

    /// About how many bytes it takes in a process.
    fn weight(&self) -> usize;

    /// True if `other` says the same: then the one that is there is kept, with what was made of it.
    fn is_same(&self, other: &Self) -> bool;
}

#[cfg(test)]
mod tests;
