//! Partitions: a hot queue spread over several sets of keys, and so over the masters of a Redis Cluster.
//!
//! A partition is a queue of its own to everything below this file. Jobs that must meet — those of a group, of a unique key,
//! of a batch — are of one partition; others are spread by their ids. Where they disagree the batch decides, then the key.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::Engine;
use crate::error::Error;
use crate::inspector::Inspector;
use crate::job::NewJob;
use crate::keys::Keys;

/// The most partitions of a queue.
const MAX_PARTITIONS: u32 = 64;

/// The partitioned queues of an engine.
pub(crate) type Partitions = Arc<HashMap<String, u32>>;

impl Engine {
    /// Spreads `queue` over `partitions`. All processes that push to it or serve it must say the same; a queue whose number
    /// is lowered is to be drained first.
    ///
    /// The queue's limits are shared out among the partitions; turns are kept, and limits of groups hold, within one. The jobs
    /// of a group are of one partition unless they have unique keys or batches, which decide first.
    ///
    /// # Errors
    /// If the number is not between 1 and 64.
    pub fn with_partitions(mut self, queue: &str, partitions: u32) -> Result<Self, Error> {
        if !(1..=MAX_PARTITIONS).contains(&partitions) {
            return Err(Error::Invalid { field: "partitions", reason: "must be between 1 and 64" });
        }
        Arc::make_mut(&mut self.partitions).insert(queue.to_owned(), partitions);
        Ok(self)
    }

    /// How many partitions `queue` has.
    pub(crate) fn partitions_of(&self, queue: &str) -> u32 {
        self.partitions.get(queue).copied().unwrap_or(1)
    }

    /// The partitions of `queue`, by the names under which they are queues themselves.
    pub(crate) fn parts(&self, queue: &str) -> Vec<String> {
        match self.partitions_of(queue) {
            1 => vec![queue.to_owned()],
            partitions => (0..partitions).map(|part| part_name(queue, part)).collect(),
        }
    }
}

impl Inspector {
    /// The keys of each partition of `queue`.
    pub(crate) fn parts(&self, queue: &str) -> Result<Vec<Keys>, Error> {
        self.0.parts(queue).iter().map(|part| self.0.keys(part)).collect()
    }
}

/// The name under which a partition is a queue.
pub(crate) fn part_name(queue: &str, part: u32) -> String {
    format!("{queue}/{part}")
}

/// The partition of a job: the same for all that must meet it.
pub(crate) fn part_of(job: &NewJob, partitions: u32) -> u32 {
    let hash = match (&job.batch, &job.unique, &job.group) {
        (Some(batch), ..) => hash(batch.as_bytes()),
        (_, Some(unique), _) => hash(unique.key.as_bytes()),
        (.., Some(group)) => hash(group.as_bytes()),
        _ => hash(job.id.as_bytes()),
    };
    u32::try_from(hash % u64::from(partitions)).expect("a remainder is less than its divisor")
}

/// FNV-1a: every version of the program must agree. Source: G. Fowler, L. C. Noll, K.-P. Vo, "The FNV Non-Cryptographic Hash
/// Algorithm", IETF draft.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_hash_is_that_of_its_source() {
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn jobs_that_must_meet_are_of_one_partition_and_others_are_spread() {
        let job = |group: Option<&str>| NewJob { group: group.map(str::to_owned), ..NewJob::new(Uuid::now_v7(), "") };
        let parts: Vec<_> = (0..50).map(|_| part_of(&job(Some("school 7")), 8)).collect();
        assert!(parts.iter().all(|part| *part == parts[0]), "{parts:?}");
        let mut spread = [0; 8];
        (0..800).for_each(|_| spread[part_of(&job(None), 8) as usize] += 1);
        assert!(spread.iter().all(|jobs| (50..150).contains(jobs)), "{spread:?}");
    }
}
