//! Recovery: takes back the jobs of dead processes, of one partition. Any process may do it, any number at a time.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::delivery::DEATHS_OF_A_SUSPECT;
use crate::engine::Engine;
use crate::error::Error;
use crate::keys::Keys;
use crate::process::DEAD_AFTER;
use crate::scripts::{self, Call};

/// A job that was running at this many deaths of its process is taken for their cause.
pub const DEATHS_ALLOWED: u32 = 3;
/// Leases checked in one call.
const PAGE: usize = 200;
/// Leases of unknown processes are looked for once in this many rounds.
const FULL_ROUNDS: u32 = 30;

/// How long the observer must have looked without a gap before it calls a process dead: after a restart or a stall of
/// Redis every beat is old, and the living need a moment to beat again.
const WATCH: Duration = Duration::from_secs(4);
/// Two looks further apart than this are a gap.
const GAP: Duration = Duration::from_secs(3);

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Jobs taken back.
    pub taken: u64,
    /// Jobs quarantined.
    pub buried: u64,
}

/// The look-out of one observer for the dead processes of a partition.
#[derive(Debug)]
pub(crate) struct Recovery {
    pub(crate) engine: Engine,
    pub(crate) keys: Keys,
    round: u32,
    /// The last beat of each process, and since when this observer has seen no other.
    beats: HashMap<String, (i64, Instant)>,
    /// The last look, and the first one without a gap before it.
    looks: Option<(Instant, Instant)>,
    /// Where the next look at the jobs begins that wait for a newer worker …
    pub(crate) newer_cursor: String,
    /// … and at the dead letters.
    pub(crate) dead_cursor: u64,
}

impl Recovery {
    pub(crate) fn new(engine: &Engine, keys: Keys) -> Self {
        let newer_cursor = "0".to_owned();
        Self {
            engine: engine.clone(),
            keys,
            round: 0,
            beats: HashMap::new(),
            looks: None,
            newer_cursor,
            dead_cursor: 0,
        }
    }

    /// One round: looks for dead processes and, now and then, for leases of unknown ones.
    pub(crate) async fn recover(&mut self) -> Result<Recovered, Error> {
        let recovered = self.look_and_recover().await;
        if recovered.is_err() {
            // Whoever cannot look does not know how long it has been silent.
            self.looks = None;
        }
        recovered
    }

    async fn look_and_recover(&mut self) -> Result<Recovered, Error> {
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

    /// The processes whose last beat is old by Redis's clock, and has been the last one for a while by ours.
    async fn dead_processes(&mut self) -> Result<Vec<(String, i64)>, Error> {
        let observe = scripts::OBSERVE.on(&self.keys);
        let answer: (i64, Vec<(String, i64)>) =
            read(scripts::call(&observe, &mut self.engine.connection.clone()).await?)?;
        let ((redis_now, beats), now) = (answer, Instant::now());
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
}

/// The answer of `scripts/observe.lua`.
fn read(answer: Vec<redis::Value>) -> Result<(i64, Vec<(String, i64)>), Error> {
    let unreadable = || Error::Answer { script: scripts::OBSERVE.name };
    let mut answer = answer.into_iter();
    let now = answer.next().and_then(|now| redis::from_redis_value(now).ok()).ok_or_else(unreadable)?;
    let mut beats = Vec::new();
    while let (Some(process), Some(beat)) = (answer.next(), answer.next()) {
        let process = redis::from_redis_value(process).map_err(|_| unreadable())?;
        beats.push((process, redis::from_redis_value(beat).map_err(|_| unreadable())?));
    }
    Ok((now, beats))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
