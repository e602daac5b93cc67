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
    /// List: priority and id of jobs that several processes died of; they run one at a time.
    pub(crate) suspects: Arc<str>,
    /// Hash: id → payload of every job that is not finished.
    pub(crate) jobs: Arc<str>,
    /// Lists of ids, one per priority.
    pub(crate) ready: [Arc<str>; 4],
    /// Sorted set: priority and id by due time in ms.
    pub(crate) scheduled: Arc<str>,
    /// Set of removed ids whose entry still stands in a ready list.
    pub(crate) cancelled: Arc<str>,
    /// Hash: id → priority, process and fencing token of running jobs.
    pub(crate) leases: Arc<str>,
    /// Hash: id → failures, deaths and releases, of jobs that have some.
    pub(crate) marks: Arc<str>,
    /// Hash: id → evidence of dead jobs.
    pub(crate) dead: Arc<str>,
    /// Hash: the last fencing token, whose turn it is among priorities, whether the queue is paused.
    pub(crate) state: Arc<str>,
    /// Sorted set: process by its last beat in ms.
    pub(crate) processes: Arc<str>,
    /// Hash: process → host, pid and start.
    pub(crate) process_info: Arc<str>,
    /// Channel that wakes idle workers.
    pub(crate) wake: Arc<str>,
}

impl Keys {
    /// The keys of `queue` under `prefix`.
    pub(crate) fn new(prefix: &str, queue: &str) -> Result<Self, Error> {
        check("prefix", prefix)?;
        check("queue", queue)?;
        let key = |suffix: &str| Arc::from(format!("{{{prefix}:{queue}}}:{suffix}"));
        Ok(Self {
            queue: queue.into(),
            suspects: key("suspects"),
            jobs: key("jobs"),
            ready: [key("ready:critical"), key("ready:high"), key("ready:normal"), key("ready:low")],
            scheduled: key("scheduled"),
            cancelled: key("cancelled"),
            leases: key("leases"),
            marks: key("marks"),
            dead: key("dead"),
            state: key("state"),
            processes: key("processes"),
            process_info: key("process_info"),
            wake: key("wake"),
        })
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
    fn a_name_that_would_break_the_hash_tag_is_refused() {
        for name in ["", "a{b", "a}b", "a\0b", "a b", "ü", &"x".repeat(101)] {
            assert!(matches!(Keys::new("bellwork", name), Err(Error::Invalid { field: "queue", .. })), "{name:?}");
        }
    }
}
