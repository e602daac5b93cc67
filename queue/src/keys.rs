//! Every Redis key of the engine. All keys of a queue share one hash tag, so that each script touches one slot.

use std::sync::Arc;

use crate::error::Error;

/// The longest name of a queue or prefix.
const MAX_NAME: usize = 100;

/// The keys of one queue.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// The queue's name.
    pub(crate) queue: Arc<str>,
    /// Hash: id → options and payload of every job that is not finished.
    pub(crate) jobs: Arc<str>,
    /// Sorted set: priority, id and group by due time in ms.
    pub(crate) scheduled: Arc<str>,
    /// Hash: id → priority, process, fencing token and options of running jobs.
    pub(crate) leases: Arc<str>,
    /// Hash: id → failures, deaths and releases, of jobs that have some.
    pub(crate) marks: Arc<str>,
    /// Hash: id → evidence of dead jobs.
    pub(crate) dead: Arc<str>,
    /// Hash: id → how many entries of a line it has left behind.
    pub(crate) stale: Arc<str>,
    /// List: priority, id and group of jobs that several processes died of; they run one at a time.
    pub(crate) suspects: Arc<str>,
    /// Hash: the last fencing token, the turns, the counters, the limits, whether the queue is paused.
    pub(crate) state: Arc<str>,
    /// Sorted set: process by its last beat in ms.
    pub(crate) processes: Arc<str>,
    /// Hash: process → host, pid and start.
    pub(crate) process_info: Arc<str>,
    /// Hash: priority and group → ids of its ready jobs, in chunks.
    pub(crate) lanes: Arc<str>,
    /// Hash: group → weight, concurrency and rate of its own.
    pub(crate) policies: Arc<str>,
    /// Hash: group → its running jobs.
    pub(crate) running: Arc<str>,
    /// Sorted set: priority and group of lanes that may not run, by the time in ms when they may.
    pub(crate) parked: Arc<str>,
    /// Sorted set: group, or nothing for the queue, by the theoretical arrival time of its rate limit in us.
    pub(crate) rates: Arc<str>,
    /// Hash: unique key → id of the job that holds it, and until when.
    pub(crate) unique: Arc<str>,
    /// Sorted set: unique key by the time in ms until which it is held.
    pub(crate) unique_until: Arc<str>,
    /// Hash: batch → its members that have not ended; id of its callback → batch.
    pub(crate) batches: Arc<str>,
    /// Hash: batch → priority, id and group of the job that runs after it.
    pub(crate) callbacks: Arc<str>,
    /// Hash: id → how far a running job is.
    pub(crate) progress: Arc<str>,
    /// Hash: id → what a worker must be able to read, priority and group of jobs that wait for a newer one.
    pub(crate) newer: Arc<str>,
    /// Set: running jobs that are to end.
    pub(crate) cancelling: Arc<str>,
    /// Channel that wakes idle workers.
    pub(crate) wake: Arc<str>,
    /// Lists of ids, one per priority.
    pub(crate) ready: [Arc<str>; 4],
    /// Sorted sets of groups by their turn, one per priority.
    pub(crate) turns: [Arc<str>; 4],
}

const PRIORITIES: [&str; 4] = ["critical", "high", "normal", "low"];

impl Keys {
    /// The keys of `queue` under `prefix`.
    pub(crate) fn new(prefix: &str, queue: &str) -> Result<Self, Error> {
        check("prefix", prefix)?;
        check("queue", queue)?;
        let key = |suffix: &str| Arc::from(format!("{{{prefix}:{queue}}}:{suffix}"));
        Ok(Self {
            queue: queue.into(),
            jobs: key("jobs"),
            scheduled: key("scheduled"),
            leases: key("leases"),
            marks: key("marks"),
            dead: key("dead"),
            stale: key("stale"),
            suspects: key("suspects"),
            state: key("state"),
            processes: key("processes"),
            process_info: key("process_info"),
            lanes: key("lanes"),
            policies: key("policies"),
            running: key("running"),
            parked: key("parked"),
            rates: key("rates"),
            unique: key("unique"),
            unique_until: key("unique_until"),
            batches: key("batches"),
            callbacks: key("callbacks"),
            progress: key("progress"),
            newer: key("newer"),
            cancelling: key("cancelling"),
            wake: key("wake"),
            ready: PRIORITIES.map(|priority| key(&format!("ready:{priority}"))),
            turns: PRIORITIES.map(|priority| key(&format!("turns:{priority}"))),
        })
    }

    /// All of them, in the order of `scripts/parts/keys.lua`.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        let singles = [
            &self.jobs,
            &self.scheduled,
            &self.leases,
            &self.marks,
            &self.dead,
            &self.stale,
            &self.suspects,
            &self.state,
            &self.processes,
            &self.process_info,
            &self.lanes,
            &self.policies,
            &self.running,
            &self.parked,
            &self.rates,
            &self.unique,
            &self.unique_until,
            &self.batches,
            &self.callbacks,
            &self.progress,
            &self.newer,
            &self.cancelling,
            &self.wake,
        ];
        singles.into_iter().chain(&self.ready).chain(&self.turns).map(|key| &**key)
    }
}

fn check(field: &'static str, name: &str) -> Result<(), Error> {
    let fits = !name.is_empty() && name.len() <= MAX_NAME;
    if fits && name.chars().all(|c| c.is_ascii_graphic() && !"{}".contains(c)) {
        return Ok(());
    }
    let reason = "must be 1 to 100 visible ASCII characters without braces";
    Err(Error::Invalid { field, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_a_queue_share_its_hash_tag() {
        let keys = Keys::new("bellwork", "ai").unwrap();
        assert_eq!(&*keys.jobs, "{bellwork:ai}:jobs");
        assert!([&keys.ready[3], &keys.leases, &keys.wake].iter().all(|key| key.starts_with("{bellwork:ai}:")));
    }

    #[test]
    fn the_longest_name_can_be_used() {
        assert!(Keys::new("bellwork", &"x".repeat(100)).is_ok());
    }

    #[test]
    fn a_name_that_would_break_the_hash_tag_is_refused() {
        for name in ["", "a{b", "a}b", "a\0b", "a b", "ü", &"x".repeat(101)] {
            assert!(matches!(Keys::new("bellwork", name), Err(Error::Invalid { field: "queue", .. })), "{name:?}");
        }
    }
}
