//! Reconciling: after Redis lost data, and now and then, somebody walks all unfinished rows and pushes the missing.
//!
//! A key in Redis holds the run id of the server for which the last walk was finished; in a cluster, those of all masters.
//! An empty Redis has no such key, a restarted or promoted one has another run id: in both cases jobs may be missing.

use std::time::Duration;

use bellwork_jobs::reconcile::walk;
use bellwork_jobs::submit::Submitter;
use bellwork_queue::Connection as QueueConnection;
use redis::AsyncCommands;
use sqlx::PgPool;
use tokio::time::Instant;
use tracing::{info, warn};

/// Look this often whether Redis lost data.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A walker that is silent for this long is gone; another one begins again.
const WALKER_SILENCE: Duration = Duration::from_secs(10);
/// One page of the walk in this time, so that it leaves room for the work: 25,000 jobs a second.
const PACE: Duration = Duration::from_millis(20);

/// Reconciles for ever.
#[derive(Debug)]
pub struct Reconciler {
    /// PostgreSQL.
    pub database: PgPool,
    /// Pushes what is missing.
    pub submitter: Submitter,
    /// The queue instance.
    pub redis: Connection,
    /// The time between two walks without a reason.
    pub every: Duration,
}

/// The queue instance and the keys that reconciling uses there.
#[derive(Clone)]
pub struct Connection {
    redis: QueueConnection,
    reconciled: String,
    walker: String,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("reconciled", &self.reconciled).finish_non_exhaustive()
    }
}

impl Connection {
    /// The keys of the installation with this prefix.
    #[must_use]
    pub fn new(redis: QueueConnection, prefix: &str) -> Self {
        let key = |name| format!("{{{prefix}:reconcile}}:{name}");
        Self { redis, reconciled: key("run_id"), walker: key("walker") }
    }
}

impl Reconciler {
    /// Reconciles for ever.
    pub async fn run(mut self) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        let mut last_walk = Instant::now();
        loop {
            ticks.tick().await;
            let due = last_walk.elapsed() >= self.every;
            match self.look(due).await {
                Ok(true) => last_walk = Instant::now(),
                Ok(false) => {}
                Err(error) => warn!(error = format!("{error:#}"), "not reconciled"),
            }
        }
    }

    /// Walks if there is a reason and nobody else does. Returns whether it walked.
    async fn look(&mut self, due: bool) -> anyhow::Result<bool> {
        let run_id = self.redis.redis.run_id().await?;
        let reconciled: Option<String> = self.redis.redis.get(&self.redis.reconciled).await?;
        let lost = reconciled.as_deref() != Some(&run_id);
        if !lost && !due {
            return Ok(false);
        }
        let token = format!("{:032x}", rand::random::<u128>());
        if !self.take_turn(&token).await? {
            return Ok(false);
        }
        if lost {
            warn!("Redis was emptied, restarted or replaced: walking all unfinished jobs");
        }
        let started = Instant::now();
        let walked = self.walk(&token).await?;
        self.finish(&token, &run_id).await?;
        info!(jobs = walked, seconds = started.elapsed().as_secs_f64(), "reconciled");
        Ok(true)
    }

    async fn take_turn(&mut self, token: &str) -> anyhow::Result<bool> {
        let mut set = redis::cmd("SET");
        set.arg(&self.redis.walker).arg(token).arg("NX").arg("PX").arg(millis(WALKER_SILENCE));
        let taken: Option<String> = set.query_async(&mut self.redis.redis).await?;
        Ok(taken.is_some())
    }

    /// Walks while another task tells the others that this walker lives.
    async fn walk(&mut self, token: &str) -> anyhow::Result<u64> {
        let walking = walk(&self.database, &self.submitter, PACE, |_| {});
        let living = live(self.redis.clone(), token);
        tokio::select! {
            walked = walking => walked,
            lost = living => Err(lost),
        }
    }

    /// Notes the run id, unless the walker's key has gone: Redis was emptied again meanwhile, and the walk is void.
    async fn finish(&mut self, token: &str, run_id: &str) -> anyhow::Result<()> {
        let script = redis::Script::new(
            "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
             redis.call('SET', KEYS[2], ARGV[2])
             return redis.call('DEL', KEYS[1])",
        );
        let mut call = script.prepare_invoke();
        call.key(&self.redis.walker).key(&self.redis.reconciled).arg(token).arg(run_id);
        let noted: i64 = call.invoke_async(&mut self.redis.redis).await?;
        anyhow::ensure!(noted == 1, "Redis was emptied during the walk");
        Ok(())
    }
}

/// Keeps the walker's key until it is found gone.
async fn live(mut redis: Connection, token: &str) -> anyhow::Error {
    let script = redis::Script::new(
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
         return redis.call('PEXPIRE', KEYS[1], ARGV[2])",
    );
    loop {
        tokio::time::sleep(WALKER_SILENCE / 4).await;
        let mut call = script.prepare_invoke();
        call.key(&redis.walker).arg(token).arg(millis(WALKER_SILENCE));
        match call.invoke_async::<i64>(&mut redis.redis).await {
            Ok(1) => {}
            Ok(_) => return anyhow::anyhow!("Redis was emptied during the walk, or another walker took over"),
            Err(error) => return error.into(),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
