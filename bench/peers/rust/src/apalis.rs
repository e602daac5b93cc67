//! apalis with its own Redis backend.

use std::time::Duration;

use anyhow::bail;
use apalis_core::backend::TaskSink;
use apalis_core::backend::ext::BackendExt;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::ext::parallelize::ParallelizeExt;
use apalis_redis::{Config, ConnectionManager, RedisStorage};
use futures_util::future::try_join_all;
use redis::AsyncCommands;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::protocol::{Answer, CALLERS, Payload, Role, Verb, timed, until, waits};

const QUEUE: &str = "apalis";
/// Jobs that are fetched, pushed and acknowledged at a time.
const BATCH: usize = 2_000;
/// Without a poll of its own an idle worker looks for jobs at its heartbeat, every 30 s.
const POLL: Duration = Duration::from_millis(10);

pub async fn answer(verb: Verb, url: &str) -> anyhow::Result<Answer> {
    let redis = apalis_redis::connect(url).await?;
    match verb {
        Verb::About => Ok(Answer::About { config: config() }),
        Verb::PushBulk(count) => push_bulk(count, redis).await,
        Verb::PushSingle(count) => push_single(count, redis).await,
        Verb::Work(count) => work(count, redis).await,
        Verb::Pickup(count) => {
            let (sender, begun) = mpsc::unbounded_channel();
            let mut storage = storage(redis.clone(), BATCH);
            let waits = waits(count, begun, async || Ok(storage.push(Payload::new()).await?));
            beside(run(redis, BATCH, Role::Report(sender)), waits).await
        }
        Verb::Hold(count, set) => {
            run(redis, count, Role::hold(url, set).await?).await?;
            std::future::pending().await
        }
    }
}

fn config() -> String {
    let poll = POLL.as_millis();
    format!("1.0.0, 1 process, batches of {BATCH}, parallelized, polls every {poll} ms, no locks, no events")
}

async fn push_bulk(count: usize, redis: ConnectionManager) -> anyhow::Result<Answer> {
    let mut storage = storage(redis, BATCH);
    let mut jobs: Vec<_> = (0..count).map(|_| Payload::new()).collect();
    timed(async {
        while !jobs.is_empty() {
            let rest = jobs.split_off(jobs.len().min(BATCH));
            storage.push_bulk(std::mem::replace(&mut jobs, rest)).await?;
        }
        Ok(())
    })
    .await
}

async fn push_single(count: usize, redis: ConnectionManager) -> anyhow::Result<Answer> {
    timed(async {
        let callers = (0..CALLERS).map(|_| {
            let mut storage = storage(redis.clone(), BATCH);
            tokio::spawn(async move {
                for _ in 0..count / CALLERS {
                    storage.push(Payload::new()).await?;
                }
                anyhow::Ok(())
            })
        });
        try_join_all(callers).await?.into_iter().collect()
    })
    .await
}

async fn work(count: usize, mut redis: ConnectionManager) -> anyhow::Result<Answer> {
    let working = run(redis.clone(), BATCH, Role::Nothing);
    let done = until(async || Ok(redis.scard::<_, usize>(format!("{QUEUE}:done")).await? == count));
    beside(working, done).await
}

/// Takes the measurement while the worker runs.
async fn beside(
    working: impl Future<Output = anyhow::Result<()>>,
    measurement: impl Future<Output = anyhow::Result<Answer>>,
) -> anyhow::Result<Answer> {
    tokio::select! {
        answer = measurement => answer,
        ended = working => bail!("the worker has ended: {ended:?}"),
    }
}

async fn run(redis: ConnectionManager, batch: usize, role: Role) -> anyhow::Result<()> {
    let backend = storage(redis, batch).poll_with_interval(POLL);
    // A worker of the same name would be refused, and its jobs would never be taken back.
    let worker = WorkerBuilder::new(format!("worker-{}", Uuid::new_v4()))
        .backend(backend)
        .parallelize(tokio::spawn)
        .build(move |payload: Payload| {
            let role = role.clone();
            async move { role.handle(&payload.id.to_string()).await }
        });
    Ok(worker.run().await?)
}

fn storage(redis: ConnectionManager, batch: usize) -> RedisStorage<Payload> {
    // Results must be persisted: nothing is acknowledged otherwise.
    let config = Config::default().queue(QUEUE).batch_size(batch).lock_tasks(false).emit_events(false);
    RedisStorage::new(redis).with_config(config)
}
