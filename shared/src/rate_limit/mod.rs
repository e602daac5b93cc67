//! How often what may be asked: policies, and counting them over all processes.
//!
//! Redis keeps the counts (`window` says how), and its clock is the only one. A request under an exact policy asks it, once
//! for all policies that apply. Under a batched policy the process counts for itself and exchanges counts with Redis every
//! [`EXCHANGE_EVERY`]; what a process has not told yet is bounded, so that of n processes no more than quota · (1 + n/20)
//! requests get through. What is known to be used up is refused without asking. While Redis is away each process counts
//! for itself, up to its share of the quota.

mod limiter;
pub mod policies;
mod quota;
mod redis_counts;
mod tally;
#[cfg(test)]
mod tests;
mod window;

pub use limiter::{Limiter, Standing, Standings, Subject, Verdict};
pub use quota::{Quota, UnreadableQuota};
pub use redis_counts::EXCHANGE_EVERY;
