//! Upkeep: takes back the jobs of dead processes, lets in what waited for this version of the program, and brings out what
//! was quarantined. Any process may do it, any number at a time.

use std::time::Duration;

use futures_util::future::join_all;
use serde::Deserialize;
use tracing::warn;
use uuid::Uuid;

use crate::engine::Engine;
use crate::error::Error;
use crate::job::read_stored;
use crate::recovery::{Recovered, Recovery};
use crate::scripts;

/// Look this often. A dead process is found within its silence and this time.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(1);
/// Jobs checked in one call.
const PAGE: usize = 200;
/// The most calls in one round: the look-out for dead processes must not wait for the rest.
const PAGES: usize = 20;

/// Looks after one queue.
#[derive(Debug)]
pub struct Upkeep {
    parts: Vec<Recovery>,
    /// What the workers of this process can read.
    readable: Vec<String>,
}

/// A job in the dead letters, with its evidence.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The job.
    pub id: Uuid,
    /// What was pushed.
    pub payload: Vec<u8>,
    /// Why it is dead, as JSON.
    pub evidence: String,
}

impl DeadLetter {
    /// Whether it was past its deadline.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        let evidence: Result<serde_json::Value, _> = serde_json::from_str(&self.evidence);
        evidence.is_ok_and(|evidence| evidence["reason"] == "expired")
    }
}

/// Why the engine itself buried a job.
#[derive(Clone, Debug, Deserialize)]
pub struct Poison {
    /// Process deaths.
    pub deaths: u32,
    /// The last process that ran it.
    pub process: String,
    /// Its host, pid and start (JSON), if it was still registered.
    pub ran_on: Option<String>,
    /// What its handler said last of its progress.
    pub progress: Option<String>,
}

impl Upkeep {
    /// Looks after `queue`.
    ///
    /// # Errors
    /// If its name cannot be used.
    pub fn new(engine: &Engine, queue: &str) -> Result<Self, Error> {
        let parts = engine.parts(queue).into_iter().map(|part| Ok(Recovery::new(engine, engine.keys(&part)?)));
        Ok(Self { parts: parts.collect::<Result<_, Error>>()?, readable: Vec::new() })
    }

    /// Names what this process can read: jobs that others have left for a newer worker with
    /// [`crate::Verdict::Unreadable`] are made ready if it is among them.
    #[must_use]
    pub fn reading(self, readable: Vec<String>) -> Self {
        Self { readable, ..self }
    }

    /// One round: looks for dead processes and, now and then, for leases of unknown ones. A partition that is away does not
    /// hold up the others.
    ///
    /// # Errors
    /// If Redis fails for one of them; the next round goes on.
    pub async fn recover(&mut self) -> Result<Recovered, Error> {
        let rounds = join_all(self.parts.iter_mut().map(Recovery::recover)).await;
        let mut all = Recovered::default();
        for round in sum(rounds)? {
            all.taken += round.taken;
            all.buried += round.buried;
        }
        Ok(all)
    }

    /// Makes jobs ready that waited for this version of the program, some of them in each round. Returns how many.
    ///
    /// # Errors
    /// As [`Self::recover`].
    pub async fn readmit(&mut self) -> Result<u64, Error> {
        let readable = &self.readable;
        Ok(sum(join_all(self.parts.iter_mut().map(|part| part.readmit(readable))).await)?.into_iter().sum())
    }

    /// Forgets unique keys and rate limits whose time is over. Returns how many.
    ///
    /// # Errors
    /// As [`Self::recover`].
    pub async fn forget_expired(&self) -> Result<u64, Error> {
        Ok(sum(join_all(self.parts.iter().map(Recovery::forget_expired)).await)?.into_iter().sum())
    }

    /// Some of the queue's dead letters; the next call tells others, until all were told.
    ///
    /// # Errors
    /// As [`Self::recover`].
    pub async fn dead_letters(&mut self) -> Result<Vec<DeadLetter>, Error> {
        Ok(sum(join_all(self.parts.iter_mut().map(Recovery::dead_letters)).await)?.concat())
    }
}

/// All results; or the first error, if nothing else was done.
fn sum<T>(results: Vec<Result<T, Error>>) -> Result<Vec<T>, Error> {
    let (mut done, mut failed) = (Vec::new(), None);
    for result in results {
        match result {
            Ok(result) => done.push(result),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        Some(error) if done.is_empty() => Err(error),
        Some(error) => {
            warn!(%error, "no upkeep of a partition");
            Ok(done)
        }
        None => Ok(done),
    }
}

impl Recovery {
    async fn readmit(&mut self, readable: &[String]) -> Result<u64, Error> {
        let mut admitted = 0;
        for _ in 0..PAGES {
            let mut readmit = scripts::READMIT.on(&self.keys);
            readmit.arg(&self.newer_cursor).arg(PAGE).arg(readable);
            let (next, jobs): (String, u64) = scripts::call(&readmit, &mut self.engine.connection.clone()).await?;
            admitted += jobs;
            self.newer_cursor = next;
            if self.newer_cursor == "0" {
                break;
            }
        }
        Ok(admitted)
    }

    async fn forget_expired(&self) -> Result<u64, Error> {
        let mut forgotten = 0;
        for _ in 0..PAGES {
            let mut sweep = scripts::SWEEP.on(&self.keys);
            sweep.arg(PAGE);
            let keys: u64 = scripts::call(&sweep, &mut self.engine.connection.clone()).await?;
            forgotten += keys;
            if keys < PAGE as u64 {
                break;
            }
        }
        Ok(forgotten)
    }

    async fn dead_letters(&mut self) -> Result<Vec<DeadLetter>, Error> {
        let mut connection = self.engine.connection.clone();
        let mut scan = redis::cmd("HSCAN");
        scan.arg(&*self.keys.dead).arg(self.dead_cursor).arg("COUNT").arg(PAGE);
        let (next, page): (u64, Vec<(Vec<u8>, String)>) = scan.query_async(&mut connection).await?;
        self.dead_cursor = next;
        let mut letters = Vec::with_capacity(page.len());
        for (id, evidence) in page {
            let Ok(uuid) = Uuid::from_slice(&id) else { continue };
            let stored: Option<Vec<u8>> =
                redis::cmd("HGET").arg(&*self.keys.jobs).arg(id).query_async(&mut connection).await?;
            let payload = stored.map_or_else(Vec::new, |stored| read_stored(stored.into()).1.to_vec());
            letters.push(DeadLetter { id: uuid, payload, evidence });
        }
        Ok(letters)
    }
}
