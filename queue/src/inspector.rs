//! Looking at queues and steering them. No call's cost grows with the number of jobs.

use uuid::Uuid;

use crate::engine::Engine;
use crate::error::Error;
use crate::keys::Keys;
use crate::process::DEAD_AFTER;
use crate::scripts;

/// Looks at queues and steers them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inspector(Engine);

/// The jobs of a queue by state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ready, in the order of [`crate::Priority::ALL`]. Removed jobs are among them until a claim meets them; see `removed`.
    pub ready: [u64; 4],
    /// Ready, but one at a time, since several processes died of them.
    pub suspects: u64,
    /// Waiting for their time.
    pub scheduled: u64,
    /// Leased to a process.
    pub running: u64,
    /// In the dead letters of the engine.
    pub dead: u64,
    /// Removed jobs that still stand in a ready list.
    pub removed: u64,
    /// Since when, in ms since 1970, the oldest of the ready jobs exists.
    pub oldest_ready_ms: Option<i64>,
    /// Whether nothing is claimed.
    pub paused: bool,
    /// Processes that serve the queue.
    pub workers: u64,
}

impl Counts {
    /// All ready jobs.
    #[must_use]
    pub fn ready_total(&self) -> u64 {
        (self.ready.iter().sum::<u64>() + self.suspects).saturating_sub(self.removed)
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
        let keys = self.0.keys(queue)?;
        let [critical, high, normal, low] = &keys.ready;
        let mut count = scripts::COUNT.keys([
            &**critical,
            high,
            normal,
            low,
            &keys.scheduled,
            &keys.cancelled,
            &keys.leases,
            &keys.dead,
            &keys.state,
            &keys.processes,
            &keys.suspects,
        ]);
        count.arg(u64::try_from(DEAD_AFTER.as_millis()).unwrap_or(u64::MAX));
        let answer: redis::Value = scripts::call(&count, &mut self.0.connection.clone()).await?;
        read_counts(answer).ok_or(Error::Answer { script: scripts::COUNT.name })
    }

    /// Lets nothing more be claimed from `queue`, by any process.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn pause(&self, queue: &str) -> Result<(), Error> {
        let keys = self.0.keys(queue)?;
        Ok(redis::cmd("HSET")
            .arg(&*keys.state)
            .arg("paused")
            .arg(1)
            .query_async(&mut self.0.connection.clone())
            .await?)
    }

    /// Lets jobs be claimed again.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn resume(&self, queue: &str) -> Result<(), Error> {
        let keys = self.0.keys(queue)?;
        let mut resume = redis::pipe();
        resume.hdel(&*keys.state, "paused").ignore().publish(&*keys.wake, 0).ignore();
        Ok(resume.query_async(&mut self.0.connection.clone()).await?)
    }

    /// Where a job is.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn locate(&self, queue: &str, id: Uuid) -> Result<Place, Error> {
        let keys = self.0.keys(queue)?;
        let raw = id.as_bytes().as_slice();
        let mut look = redis::pipe();
        look.hexists(&*keys.jobs, raw).hexists(&*keys.leases, raw).hexists(&*keys.dead, raw);
        look.cmd("ZMSCORE").arg(&*keys.scheduled);
        for priority in b'0'..=b'3' {
            look.arg([&[priority], raw].concat());
        }
        let (exists, leased, dead, due): (bool, bool, bool, Vec<Option<f64>>) =
            look.query_async(&mut self.0.connection.clone()).await?;
        Ok(match (exists, leased, dead) {
            (false, ..) => Place::Absent,
            (_, true, _) => Place::Leased,
            (.., true) => Place::Dead,
            _ if due.iter().any(Option::is_some) => Place::Scheduled,
            _ => Place::Ready,
        })
    }

    /// Takes a job that has not started out of its queue.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn remove(&self, queue: &str, id: Uuid) -> Result<Removal, Error> {
        let keys = self.0.keys(queue)?;
        let Keys { jobs, scheduled, cancelled, leases, marks, dead, suspects, .. } = &keys;
        let mut remove = scripts::REMOVE.keys([&**jobs, scheduled, cancelled, leases, marks, dead, suspects]);
        remove.arg(id.as_bytes());
        Ok(match scripts::call::<i64>(&remove, &mut self.0.connection.clone()).await? {
            0 => Removal::Absent,
            2 => Removal::Running,
            _ => Removal::Removed,
        })
    }
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
        scheduled: number(1)?,
        removed: number(2)?,
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
