//! A Redis job queue engine: a backend for apalis with leases, fencing tokens, process liveness and bounded scripts.
//!
//! [`Engine`] is the door. [`Producer`] pushes, [`WorkerProcess`] hands a backend per queue to apalis workers,
//! [`Upkeep`] takes back the jobs of dead processes, [`Inspector`] looks and steers. The README draws the state machine
//! and the keys.

mod backend;
mod claimer;
mod connection;
mod delivery;
mod engine;
mod error;
mod handler;
mod inspector;
mod keys;
mod priority;
mod process;
mod producer;
mod scripts;
mod settler;
mod upkeep;
mod wake;
mod worker_process;

pub use backend::{RedisBackend, Settle, SettleLayer};
pub use connection::{AddressError, Connection, Server};
pub use delivery::{Delivery, Marks, Verdict};
pub use engine::Engine;
pub use error::{Error, Trouble};
pub use handler::Handler;
pub use inspector::{Counts, Inspector, Place, Removal};
pub use priority::{Priority, UnknownPriority};
pub use process::{BEAT_EVERY, DEAD_AFTER, ProcessId, ProcessInfo};
pub use producer::{MAX_PAYLOAD, NewJob, Past, Producer};
pub use upkeep::{DEATHS_ALLOWED, DeadLetter, Poison, Recovered, UPKEEP_EVERY, Upkeep};
pub use worker_process::WorkerProcess;
