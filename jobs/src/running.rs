//! Which jobs run now, of all queues: Redis alone knows.

use bellwork_queue::{Error, Inspector, RunningJob};
use bellwork_shared::ids::JobId;
use futures_util::future::try_join_all;

use crate::queues;

/// Running jobs of a queue that are read: more than all processes have places for.
const MOST: usize = 10_000;

/// The running jobs of every queue, by the queue's name.
///
/// # Errors
/// If Redis fails.
pub async fn by_queue(inspector: &Inspector) -> Result<Vec<(&'static str, Vec<RunningJob>)>, Error> {
    let look = async |queue: &'static str| Ok((queue, inspector.running(queue, MOST).await?));
    try_join_all(queues::ALL.iter().map(|queue| look(queue.name))).await
}

/// The ids of all running jobs.
///
/// # Errors
/// If Redis fails.
pub async fn ids(inspector: &Inspector) -> Result<Vec<JobId>, Error> {
    let queues = by_queue(inspector).await?;
    Ok(queues.into_iter().flat_map(|(_, jobs)| jobs).map(|job| JobId(job.id)).collect())
}
