//! Our engine as one of the peers.

use std::time::{Duration, Instant, SystemTime};

use bellwork_queue::{Connection, Delivery, UPKEEP_EVERY, Upkeep, Verdict};
use redis::AsyncCommands;
use tokio::sync::mpsc;

use super::{Answer, CALLERS, Verb};
use crate::work::{Bench, CONCURRENCY, QUEUE, job};

/// Jobs of one bulk push.
const BULK: usize = 10_000;
/// A pause between two jobs of the latency measurement: the queue is idle.
const IDLE: Duration = Duration::from_millis(2);

/// Does what `verb` says on the Redis at `url`.
pub(super) async fn answer(verb: &Verb, url: &str) -> anyhow::Result<Answer> {
    let bench = Bench::new(url)?;
    let seconds = match verb {
        Verb::About => return Ok(Answer::About { config: config() }),
        Verb::Pickup { count } => return Ok(Answer::PickedUp { ms: bench.pick_up(*count).await? }),
        Verb::PushBulk { count } => bench.push_bulk(*count).await?,
        Verb::PushSingle { count } => bench.push_singly(*count).await?,
        Verb::Work { count } => bench.process(*count).await?,
        Verb::Hold { count, set } => bench.hold(*count, set).await?,
    };
    Ok(Answer::Took { seconds })
}

fn config() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("{version}, 1 process, {CONCURRENCY} jobs at a time, pushed {BULK} at a time, acknowledged when done")
}

impl Bench {
    async fn push_bulk(&self, count: usize) -> anyhow::Result<f64> {
        let jobs: Vec<_> = (0..count).map(|_| job()).collect();
        let began = Instant::now();
        let pushes = jobs.chunks(BULK).map(|chunk| self.producer.push(QUEUE, chunk.to_vec()));
        futures_util::future::try_join_all(pushes).await?;
        Ok(began.elapsed().as_secs_f64())
    }

    async fn push_singly(&self, count: usize) -> anyhow::Result<f64> {
        let began = Instant::now();
        let callers = (0..CALLERS).map(|_| {
            let producer = self.producer.clone();
            tokio::spawn(async move {
                for _ in 0..count / CALLERS {
                    producer.push(QUEUE, vec![job()]).await?;
                }
                Ok::<_, bellwork_queue::Error>(())
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await??;
        }
        Ok(began.elapsed().as_secs_f64())
    }

    /// From the call that pushes to the beginning of the handler, one job at a time.
    async fn pick_up(&self, samples: usize) -> anyhow::Result<Vec<f64>> {
        let (begun, mut beginnings) = mpsc::unbounded_channel();
        let working = self.work(10, move |_| {
            // The receiver lives as long as the measurement.
            let _ = begun.send(SystemTime::now());
            std::future::ready(Verdict::Complete)
        });
        let working = working.await?;
        let mut latencies = Vec::with_capacity(samples);
        for _ in 0..samples {
            tokio::time::sleep(IDLE).await;
            let pushed = SystemTime::now();
            self.producer.push(QUEUE, vec![job()]).await?;
            if let Some(begun) = beginnings.recv().await {
                latencies.push(begun.duration_since(pushed).unwrap_or_default().as_secs_f64() * 1000.0);
            }
        }
        working.drain().await?;
        Ok(latencies)
    }

    /// Never returns: the process is killed.
    async fn hold(&self, count: usize, set: &str) -> anyhow::Result<f64> {
        let (redis, set) = (self.redis.clone(), set.to_owned());
        let _working = self.work(count, move |delivery| hold(delivery, redis.clone(), set.clone())).await?;
        let mut upkeep = Upkeep::new(&self.engine, QUEUE)?;
        let mut rounds = tokio::time::interval(UPKEEP_EVERY);
        loop {
            rounds.tick().await;
            upkeep.recover().await?;
        }
    }
}

async fn hold(delivery: Delivery, mut redis: Connection, set: String) -> Verdict {
    match redis.sadd::<_, _, ()>(set, delivery.id.as_bytes()).await {
        Ok(()) => std::future::pending().await,
        Err(_) => Verdict::Release,
    }
}
