//! Looking at queues and steering them. No call's cost grows with the number of jobs.

use uuid::Uuid;

use crate::engine::Engine;
use crate::error::Error;
use crate::keys::Keys;
use crate::process::DEAD_AFTER;
use crate::scripts;

/// Looks at queues and steers them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inspector(pub(crate) Engine);

/// The jobs of a queue by state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ready, in the order of [`crate::Priority::ALL`]. Jobs that have left their line are among them until a claim meets
    /// their entries; see `stale`.
    pub ready: [u64; 4],
    /// Ready, but one at a time, since several processes died of them.
    pub suspects: u64,
    /// Waiting for their time.
    pub scheduled: u64,
    /// Leased to a process.
    pub running: u64,
    /// In the dead letters of the engine.
    pub dead: u64,
    /// Entries of lines whose jobs have left them.
    pub stale: u64,
    /// Waiting for a worker that can read them.
    pub awaits_newer: u64,
    /// Waiting for the end of their batch.
    pub awaits_batch: u64,
    /// Lanes of groups that are at a limit.
    pub parked_lanes: u64,
    /// Since when, in ms since 1970, the oldest of the ready jobs exists.
    pub oldest_ready_ms: Option<i64>,
    /// Whether some ready job is in no parked lane.
    pub claimable: bool,
    /// Whether nothing is claimed.
    pub paused: bool,
    /// Processes that serve the queue.
    pub workers: u64,
}

impl Counts {
    /// All ready jobs.
    #[must_use]
    pub fn ready_total(&self) -> u64 {
        (self.ready.iter().sum::<u64>() + self.suspects).saturating_sub(self.stale)
    }

    /// Those of two partitions.
    fn and(self, other: Self) -> Self {
        Self {
            ready: std::array::from_fn(|priority| self.ready[priority] + other.ready[priority]),
            suspects: self.suspects + other.suspects,
            scheduled: self.scheduled + other.scheduled,
            running: self.running + other.running,
            dead: self.dead + other.dead,
            stale: self.stale + other.stale,
            awaits_newer: self.awaits_newer + other.awaits_newer,
            awaits_batch: self.awaits_batch + other.awaits_batch,
            parked_lanes: self.parked_lanes + other.parked_lanes,
            oldest_ready_ms: self.oldest_ready_ms.into_iter().chain(other.oldest_ready_ms).min(),
            claimable: self.claimable || other.claimable,
            paused: self.paused || other.paused,
            workers: self.workers.max(other.workers),
        }
    }
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Not in the queue: finished, or never there.
    Absent,
    /// Waits for its time.
    Scheduled,
    /// Waits for a process.
    Ready,
    /// Waits for a process that runs no other job that processes died of.
    Suspect,
    /// Waits for a worker that can read it.
    AwaitsNewer,
    /// Waits for the end of its batch.
    AwaitsBatch,
    /// A process runs it.
    Leased,
    /// In the dead letters of the engine.
    Dead,
}

/// What came of removing a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Removed,
    /// It was not there.
    Absent,
    /// A process runs it.
    Running,
    /// A process runs it, and was asked to end it.
    Ending,
}

impl Place {
    /// By the name that `scripts/look.lua` gives it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "scheduled" => Self::Scheduled,
            "ready" => Self::Ready,
            "suspect" => Self::Suspect,
            "newer" => Self::AwaitsNewer,
            "batch" => Self::AwaitsBatch,
            "leased" => Self::Leased,
            "dead" => Self::Dead,
            _ => return None,
        })
    }
}

impl Inspector {
    pub(crate) fn new(engine: Engine) -> Self {
        Self(engine)
    }

    /// The jobs of `queue` by state.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn counts(&self, queue: &str) -> Result<Counts, Error> {
        let counts = self.parts(queue)?.into_iter().map(|keys| self.count(keys));
        let counts = futures_util::future::try_join_all(counts).await?;
        Ok(counts.into_iter().reduce(Counts::and).unwrap_or_default())
    }

    async fn count(&self, keys: Keys) -> Result<Counts, Error> {
        let mut count = scripts::COUNT.on(&keys);
        count.arg(u64::try_from(DEAD_AFTER.as_millis()).unwrap_or(u64::MAX));
        let answer: redis::Value = scripts::call(&count, &mut self.0.connection.clone()).await?;
        read_counts(answer).ok_or(Error::Answer { script: scripts::COUNT.name })
    }

    /// Lets nothing more be claimed from `queue`, by any process.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn pause(&self, queue: &str) -> Result<(), Error> {
        for keys in self.parts(queue)? {
            let mut pause = redis::cmd("HSET");
            pause.arg(&*keys.state).arg("paused").arg(1);
            pause.query_async::<()>(&mut self.0.connection.clone()).await?;
        }
        Ok(())
    }

    /// Lets jobs be claimed again.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn resume(&self, queue: &str) -> Result<(), Error> {
        for keys in self.parts(queue)? {
            let mut resume = redis::pipe();
            resume.hdel(&*keys.state, "paused").ignore().cmd("SPUBLISH").arg(&*keys.wake).arg(0).ignore();
            resume.query_async::<()>(&mut self.0.connection.clone()).await?;
        }
        Ok(())
    }

    /// Where a job is.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn locate(&self, queue: &str, id: Uuid) -> Result<Place, Error> {
        Ok(self.explain(queue, id).await?.map_or(Place::Absent, |job| job.place))
    }

    /// Takes a job that has not started out of its queue.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn remove(&self, queue: &str, id: Uuid) -> Result<Removal, Error> {
        self.take_out(queue, id, WhenRunning::Leave).await
    }

    /// Takes a job out of its queue; if it runs, tells its handler to end, see [`crate::Delivery::cancelled`].
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn cancel(&self, queue: &str, id: Uuid) -> Result<Removal, Error> {
        self.take_out(queue, id, WhenRunning::End).await
    }

    async fn take_out(&self, queue: &str, id: Uuid, when_running: WhenRunning) -> Result<Removal, Error> {
        for keys in self.parts(queue)? {
            let mut remove = scripts::REMOVE.on(&keys);
            remove.arg(id.as_bytes()).arg(u8::from(when_running == WhenRunning::End));
            return Ok(match scripts::call::<i64>(&remove, &mut self.0.connection.clone()).await? {
                0 => continue,
                2 => Removal::Running,
                3 => Removal::Ending,
                _ => Removal::Removed,
            });
        }
        Ok(Removal::Absent)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WhenRunning {
    Leave,
    End,
}

fn read_counts(answer: redis::Value) -> Option<Counts> {
    let redis::Value::Array(fields) = answer else { return None };
    let number = |index: usize| match fields.get(index) {
        Some(redis::Value::Int(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    let heads = fields.iter().skip(11).take(4).filter_map(|field| match field {
        redis::Value::BulkString(id) => created_ms(id),
        _ => None,
    });
    Some(Counts {
        ready: [number(7)?, number(8)?, number(9)?, number(10)?],
        suspects: number(15)?,
        awaits_newer: number(16)?,
        awaits_batch: number(17)?,
        parked_lanes: number(18)?,
        claimable: number(19)? > 0,
        scheduled: number(1)?,
        stale: number(2)?,
        running: number(3)?,
        dead: number(4)?,
        paused: number(5)? == 1,
        workers: number(6)?,
        oldest_ready_ms: heads.min(),
    })
}

/// A UUIDv7 begins with its time of creation.
fn created_ms(id: &[u8]) -> Option<i64> {
    let (seconds, nanos) = Uuid::from_slice(id).ok()?.get_timestamp()?.to_unix();
    i64::try_from(seconds * 1000 + u64::from(nanos) / 1_000_000).ok()
}
