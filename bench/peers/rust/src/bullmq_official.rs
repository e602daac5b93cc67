//! BullMQ's own port to Rust.

use std::sync::Arc;

use bullmq::options::RedisConnectionOptions;
use bullmq::types::RemoveOnFinish;
use bullmq::{BulkJob, Job, JobOptions, Queue, QueueOptions, Worker, WorkerOptions};
use futures_util::future::try_join_all;
use redis::AsyncCommands;
use redis::aio::ConnectionManager;
use tokio::sync::mpsc;

use crate::protocol::{Answer, CALLERS, Payload, Role, Verb, timed, until, waits};

const QUEUE: &str = "bullmq-official";
const CONCURRENCY: usize = 50;
const BULK: usize = 1_000;

pub async fn answer(verb: Verb, url: &str) -> anyhow::Result<Answer> {
    match verb {
        Verb::About => Ok(Answer::About { config: config() }),
        Verb::PushBulk(count) => push_bulk(count, url).await,
        Verb::PushSingle(count) => push_single(count, url).await,
        Verb::Work(_) => work(url).await,
        Verb::Pickup(count) => {
            let (sender, begun) = mpsc::unbounded_channel();
            let _worker = worker(url, CONCURRENCY, Role::Report(sender)).await?;
            let queue = queue(url).await?;
            waits(count, begun, async || Ok(queue.add("job", Payload::new()).await.map(drop)?)).await
        }
        Verb::Hold(count, set) => {
            let _worker = worker(url, count, Role::hold(url, set).await?).await?;
            std::future::pending().await
        }
    }
}

fn config() -> String {
    format!("1.4.4, 1 process of {CONCURRENCY} jobs, add_bulk of {BULK}, remove_on_complete")
}

async fn push_bulk(count: usize, url: &str) -> anyhow::Result<Answer> {
    let queue = queue(url).await?;
    let mut jobs: Vec<_> = (0..count).map(|_| BulkJob::new("job", Payload::new())).collect();
    timed(async {
        while !jobs.is_empty() {
            let rest = jobs.split_off(jobs.len().min(BULK));
            queue.add_bulk(std::mem::replace(&mut jobs, rest)).await?;
        }
        Ok(())
    })
    .await
}

async fn push_single(count: usize, url: &str) -> anyhow::Result<Answer> {
    let queue = Arc::new(queue(url).await?);
    timed(async {
        let callers = (0..CALLERS).map(|_| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move {
                for _ in 0..count / CALLERS {
                    queue.add("job", Payload::new()).await?;
                }
                anyhow::Ok(())
            })
        });
        try_join_all(callers).await?.into_iter().collect()
    })
    .await
}

async fn work(url: &str) -> anyhow::Result<Answer> {
    let redis = ConnectionManager::new(redis::Client::open(url)?).await?;
    let worker = worker(url, CONCURRENCY, Role::Nothing).await?;
    // Nobody else takes the events of the worker, and they would pile up.
    tokio::spawn(async move { while worker.next_event().await.is_some() {} });
    until(async || {
        let mut redis = redis.clone();
        let waiting: usize = redis.llen(format!("bull:{QUEUE}:wait")).await?;
        let active: usize = redis.llen(format!("bull:{QUEUE}:active")).await?;
        Ok(waiting + active == 0)
    })
    .await
}

async fn queue(url: &str) -> anyhow::Result<Queue> {
    let defaults = JobOptions::new().remove_on_complete(RemoveOnFinish::Bool(true));
    let options = QueueOptions::new().connection(connection(url)).default_job_options(defaults);
    Ok(Queue::with_options(QUEUE, options).await?)
}

async fn worker(url: &str, concurrency: usize, role: Role) -> anyhow::Result<Worker> {
    let handle = move |job: Job, _| {
        let role = role.clone();
        async move {
            role.handle(job.id()).await;
            Ok(serde_json::Value::Null)
        }
    };
    let options = WorkerOptions::new()
        .connection(connection(url))
        .concurrency(concurrency)
        .remove_on_complete(RemoveOnFinish::Bool(true));
    Ok(Worker::with_options(QUEUE, handle, options).await?)
}

fn connection(url: &str) -> RedisConnectionOptions {
    RedisConnectionOptions::new().url(url)
}
