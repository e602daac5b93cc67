//! Upkeep: takes back the jobs of dead processes, lets in what waited for this version of the program, and brings out what
//! was quarantined. Any process may do it, any number at a time.

use std::time::Duration;

use serde::Deserialize;
use uuid::Uuid;

use crate::engine::Engine;
use crate::error::Error;
use crate::job::read_stored;
use crate::recovery::{Recovered, Recovery};
use crate::scripts;

/// Look this often. A dead process is found within its silence and this time.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(1);
/// So many jobs are looked at in one call.
const PAGE: usize = 200;
/// So many expired keys are forgotten in one call.
const SWEEP: usize = 1000;

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

    /// One round: looks for dead processes and, now and then, for leases of unknown ones.
    ///
    /// # Errors
    /// If Redis fails; the next round goes on.
    pub async fn recover(&mut self) -> Result<Recovered, Error> {
        let mut all = Recovered::default();
        for part in &mut self.parts {
            let Recovered { taken, buried } = part.recover().await?;
            all.taken += taken;
            all.buried += buried;
        }
        Ok(all)
    }

    /// Makes jobs ready that waited for this version of the program. Returns how many.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn readmit(&self) -> Result<u64, Error> {
        let mut admitted = 0;
        for part in &self.parts {
            let mut cursor = "0".to_owned();
            loop {
                let mut readmit = scripts::READMIT.on(&part.keys);
                readmit.arg(&cursor).arg(PAGE).arg(&self.readable);
                let (next, jobs): (String, u64) = scripts::call(&readmit, &mut part.engine.connection.clone()).await?;
                admitted += jobs;
                cursor = next;
                if cursor == "0" {
                    break;
                }
            }
        }
        Ok(admitted)
    }

    /// Forgets unique keys and rate limits whose time is over. Returns how many; what is left is for the next round.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn forget_expired(&self) -> Result<u64, Error> {
        let mut forgotten = 0;
        for part in &self.parts {
            let mut sweep = scripts::SWEEP.on(&part.keys);
            sweep.arg(SWEEP);
            forgotten += scripts::call::<u64>(&sweep, &mut part.engine.connection.clone()).await?;
        }
        Ok(forgotten)
    }

    /// Some of the queue's dead letters.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Error> {
        let mut letters = Vec::new();
        for part in &self.parts {
            letters.extend(part.dead_letters().await?);
        }
        Ok(letters)
    }
}

impl Recovery {
    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Error> {
        let mut connection = self.engine.connection.clone();
        let mut scan = redis::cmd("HSCAN");
        scan.arg(&*self.keys.dead).arg(0).arg("COUNT").arg(PAGE);
        let (_, page): (u64, Vec<(Vec<u8>, String)>) = scan.query_async(&mut connection).await?;
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
