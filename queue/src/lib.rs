//! A Redis job queue engine: a backend for apalis with leases, fencing tokens, process liveness and bounded scripts.
//!
//! [`Engine`] is the door. [`Producer`] pushes, [`WorkerProcess`] hands a backend per queue to apalis workers,
//! [`Upkeep`] takes back the jobs of dead processes, [`Inspector`] looks and steers. The README draws the state machine
//! and the keys.

mod audit;
mod backend;
mod batch;
mod browse;
mod cancellations;
mod claimer;
mod connection;
mod delivery;
mod drain;
mod engine;
mod error;
mod explain;
mod handler;
mod inspector;
mod job;
mod keys;
mod limits;
mod partition;
mod priority;
mod process;
mod producer;
mod progress;
#[cfg(test)]
mod proof;
mod recovery;
mod retry;
mod scripts;
mod settler;
mod upkeep;
mod wake;
mod worker_process;

pub use backend::{CANCEL_GRACE, RedisBackend, Settle, SettleLayer};
pub use batch::Batch;
pub use browse::{Cursor, Listed, Page, RunningJob, ServingProcess};
pub use connection::{AddressError, Connection, Server};
pub use delivery::{Delivery, Marks, Verdict};
pub use drain::Drain;
pub use engine::Engine;
pub use error::{Error, Trouble};
pub use explain::{JobView, Reason};
pub use handler::Handler;
pub use inspector::{Counts, Inspector, Place, Removal};
pub use job::{Conflict, Hold, MAX_PAYLOAD, NewJob, Past, Unique, check_key};
pub use limits::{GroupLimits, Limits, Order, Rate};
pub use priority::{Priority, UnknownPriority};
pub use process::{BEAT_EVERY, DEAD_AFTER, ProcessId, ProcessInfo};
pub use producer::{Producer, Pushed};
pub use progress::{Report, Reporter};
pub use recovery::{DEATHS_ALLOWED, Recovered};
pub use retry::{Growth, Jitter, RETRY_CAP, RetryPolicy};
pub use upkeep::{DeadLetter, Poison, UPKEEP_EVERY, Upkeep};
pub use worker_process::WorkerProcess;
