//! Upkeep: takes back the jobs of dead processes, and brings out what was quarantined. Any process may do it, any number
//! at a time.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use crate::delivery::DEATHS_OF_A_SUSPECT;
use crate::engine::Engine;
use crate::error::Error;
use crate::job::read_stored;
use crate::keys::Keys;
use crate::process::DEAD_AFTER;
use crate::scripts::{self, Call};

/// Look this often. A dead process is found within its silence and this time.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(1);
/// A job that was running at so many deaths of its process is taken for their cause.
pub const DEATHS_ALLOWED: u32 = 3;
/// So many leases are looked at in one call.
const PAGE: usize = 200;
/// So many expired keys are forgotten in one call.
const SWEEP: usize = 1000;
/// Leases of processes that nobody knows of are looked for once in so many rounds.
const FULL_ROUNDS: u32 = 30;

/// The observer must have looked without a gap for so long before it calls a process dead: after a restart or a stall of
/// Redis every beat is old, and the living need a moment to beat again.
const WATCH: Duration = Duration::from_secs(4);
/// Two looks further apart than this are a gap.
const GAP: Duration = Duration::from_secs(3);

/// Looks after one queue.
#[derive(Debug)]
pub struct Upkeep {
    engine: Engine,
    keys: Keys,
    round: u32,
    /// The last beat of each process, and since when this observer has seen no other.
    beats: HashMap<String, (i64, Instant)>,
    /// The last look, and the first one without a gap before it.
    looks: Option<(Instant, Instant)>,
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
        Ok(Self {
            engine: engine.clone(),
            keys: engine.keys(queue)?,
            round: 0,
            beats: HashMap::new(),
            looks: None,
            readable: Vec::new(),
        })
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
        let dead = self.dead_processes().await?;
        self.round = self.round.wrapping_add(1);
        let strangers = self.round.is_multiple_of(FULL_ROUNDS) && self.watched_for() >= DEAD_AFTER;
        if dead.is_empty() && !strangers {
            return Ok(Recovered::default());
        }
        let recovered = self.sweep(&dead, strangers).await?;
        for (process, beat) in &dead {
            self.strike_off(process, *beat).await?;
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

    /// Makes jobs ready that waited for this version of the program. Returns how many.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn readmit(&self) -> Result<u64, Error> {
        let mut admitted = 0;
        let mut cursor = "0".to_owned();
        loop {
            let mut readmit = scripts::READMIT.on(&self.keys);
            readmit.arg(&cursor).arg(PAGE).arg(&self.readable);
            let (next, jobs): (String, u64) = scripts::call(&readmit, &mut self.engine.connection.clone()).await?;
            admitted += jobs;
            cursor = next;
            if cursor == "0" {
                return Ok(admitted);
            }
        }
    }

    /// Forgets unique keys and rate limits whose time is over. Returns how many; if there were [`SWEEP`] of one, more may be
    /// left for the next round.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn forget_expired(&self) -> Result<u64, Error> {
        let mut sweep = scripts::SWEEP.on(&self.keys);
        sweep.arg(SWEEP);
        Ok(scripts::call(&sweep, &mut self.engine.connection.clone()).await?)
    }

    /// The processes whose last beat is old by Redis's clock, and has been the last one for a while by ours.
    async fn dead_processes(&mut self) -> Result<Vec<(String, i64)>, Error> {
        let mut look = redis::pipe();
        look.cmd("TIME").cmd("ZRANGE").arg(&*self.keys.processes).arg(0).arg(-1).arg("WITHSCORES");
        let ((seconds, micros), beats): ((i64, i64), Vec<(String, i64)>) =
            look.query_async(&mut self.engine.connection.clone()).await?;
        let (redis_now, now) = (seconds * 1000 + micros / 1000, Instant::now());
        let since = match self.looks {
            Some((last, since)) if now - last <= GAP => since,
            _ => {
                self.beats.clear();
                now
            }
        };
        self.looks = Some((now, since));
        self.beats.retain(|process, _| beats.iter().any(|(other, _)| other == process));
        for (process, beat) in beats {
            let seen = self.beats.entry(process).or_insert((beat, now));
            if seen.0 != beat {
                *seen = (beat, now);
            }
        }
        let silent = |beat: i64, seen: Instant| redis_now - beat >= millis(DEAD_AFTER) && now - seen >= WATCH;
        let dead = self.beats.iter().filter(|(_, (beat, seen))| silent(*beat, *seen));
        Ok(dead.map(|(process, (beat, _))| (process.clone(), *beat)).collect())
    }

    /// For how long this observer has looked without a gap.
    fn watched_for(&self) -> Duration {
        self.looks.map_or(Duration::ZERO, |(last, since)| last - since)
    }

    /// Walks all leases page by page.
    async fn sweep(&self, dead: &[(String, i64)], strangers: bool) -> Result<Recovered, Error> {
        let mut all = Recovered::default();
        let mut cursor = "0".to_owned();
        loop {
            let sweep = self.sweep_page(&cursor, dead, strangers);
            let (next, taken, buried): (String, u64, u64) =
                scripts::call(&sweep, &mut self.engine.connection.clone()).await?;
            all.taken += taken;
            all.buried += buried;
            cursor = next;
            if cursor == "0" {
                return Ok(all);
            }
        }
    }

    fn sweep_page(&self, cursor: &str, dead: &[(String, i64)], strangers: bool) -> Call {
        let mut recover = scripts::RECOVER.on(&self.keys);
        recover.arg(cursor).arg(PAGE).arg(DEATHS_OF_A_SUSPECT).arg(DEATHS_ALLOWED);
        recover.arg(u8::from(strangers));
        for (process, beat) in dead {
            recover.arg(process).arg(*beat);
        }
        recover
    }

    async fn strike_off(&self, process: &str, beat: i64) -> Result<(), Error> {
        let mut leave = scripts::LEAVE.on(&self.keys);
        leave.arg(process).arg(beat);
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
            let stored: Option<Vec<u8>> =
                redis::cmd("HGET").arg(&*self.keys.jobs).arg(id).query_async(&mut connection).await?;
            let payload =
                stored.and_then(|stored| read_stored(stored.into())).map_or_else(Vec::new, |job| job.1.to_vec());
            letters.push(DeadLetter { id: uuid, payload, evidence });
        }
        Ok(letters)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
