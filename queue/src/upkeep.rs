//! Upkeep: takes back the jobs of dead processes, and brings out what was quarantined. Any process may do it, any number
//! at a time.

use std::time::Duration;

use redis::aio::ConnectionLike;
use serde::Deserialize;
use tracing::{info, warn};
use uuid::Uuid;

use crate::engine::Engine;
use crate::error::Error;
use crate::keys::Keys;
use crate::process::DEAD_AFTER;
use crate::scripts;

/// Look this often. A dead process is found within its silence and this time.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(1);
/// A job that was running at so many deaths of its process is taken for their cause.
pub const DEATHS_ALLOWED: u32 = 3;
/// So many leases are looked at in one call.
const PAGE: usize = 200;
/// Leases of processes that nobody knows of are looked for once in so many rounds.
const FULL_ROUNDS: u32 = 30;

/// Looks after one queue.
#[derive(Debug)]
pub struct Upkeep {
    engine: Engine,
    keys: Keys,
    round: u32,
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
}

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Jobs taken back.
    pub taken: u64,
    /// Jobs quarantined.
    pub buried: u64,
}

impl Upkeep {
    /// Looks after `queue`.
    ///
    /// # Errors
    /// If its name cannot be used.
    pub fn new(engine: &Engine, queue: &str) -> Result<Self, Error> {
        Ok(Self { engine: engine.clone(), keys: engine.keys(queue)?, round: 0 })
    }

    /// One round: looks for dead processes and, now and then, for leases of unknown ones.
    ///
    /// # Errors
    /// If Redis fails; the next round goes on.
    pub async fn recover(&mut self) -> Result<Recovered, Error> {
        let dead = self.dead_processes().await?;
        let full = self.round.is_multiple_of(FULL_ROUNDS);
        self.round = self.round.wrapping_add(1);
        if dead.is_empty() && !full {
            return Ok(Recovered::default());
        }
        let recovered = self.sweep().await?;
        for process in dead {
            self.strike_off(&process).await?;
        }
        if recovered != Recovered::default() {
            info!(
                queue = &*self.keys.queue,
                taken = recovered.taken,
                buried = recovered.buried,
                "jobs of dead processes"
            );
        }
        Ok(recovered)
    }

    async fn dead_processes(&self) -> Result<Vec<String>, Error> {
        let mut connection = self.engine.connection.clone();
        let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(&mut connection).await?;
        let silent_since = seconds * 1000 + micros / 1000 - millis(DEAD_AFTER);
        let mut range = redis::cmd("ZRANGEBYSCORE");
        range.arg(&*self.keys.processes).arg("-inf").arg(silent_since);
        Ok(range.query_async(&mut connection).await?)
    }

    /// Walks all leases page by page.
    async fn sweep(&self) -> Result<Recovered, Error> {
        let mut connection = self.engine.connection.clone();
        let mut all = Recovered::default();
        let mut cursor = "0".to_owned();
        loop {
            let (next, taken, buried): (String, u64, u64) = self.sweep_page(&cursor, &mut connection).await?;
            all.taken += taken;
            all.buried += buried;
            cursor = next;
            if cursor == "0" {
                return Ok(all);
            }
        }
    }

    async fn sweep_page(
        &self,
        cursor: &str,
        connection: &mut impl ConnectionLike,
    ) -> Result<(String, u64, u64), Error> {
        let keys = &self.keys;
        let [critical, high, normal, low] = &keys.ready;
        let mut recover = scripts::RECOVER.keys([
            &*keys.leases,
            critical,
            high,
            normal,
            low,
            &keys.marks,
            &keys.dead,
            &keys.processes,
            &keys.process_info,
        ]);
        recover.arg(&*keys.wake).arg(cursor).arg(PAGE).arg(millis(DEAD_AFTER)).arg(DEATHS_ALLOWED);
        Ok(scripts::call(&recover, connection).await?)
    }

    async fn strike_off(&self, process: &str) -> Result<(), Error> {
        let mut leave = scripts::LEAVE.keys([&*self.keys.processes, &self.keys.process_info]);
        leave.arg(process).arg(millis(DEAD_AFTER));
        let struck: u64 = scripts::call(&leave, &mut self.engine.connection.clone()).await?;
        if struck == 1 {
            warn!(queue = &*self.keys.queue, process, "a process has died");
        }
        Ok(())
    }

    /// Some of the queue's dead letters.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Error> {
        let mut connection = self.engine.connection.clone();
        let mut scan = redis::cmd("HSCAN");
        scan.arg(&*self.keys.dead).arg(0).arg("COUNT").arg(PAGE);
        let (_, page): (u64, Vec<(Vec<u8>, String)>) = scan.query_async(&mut connection).await?;
        let mut letters = Vec::with_capacity(page.len());
        for (id, evidence) in page {
            let Ok(uuid) = Uuid::from_slice(&id) else { continue };
            let payload: Option<Vec<u8>> =
                redis::cmd("HGET").arg(&*self.keys.jobs).arg(id).query_async(&mut connection).await?;
            letters.push(DeadLetter { id: uuid, payload: payload.unwrap_or_default(), evidence });
        }
        Ok(letters)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
