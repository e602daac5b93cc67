//! Our engine as one of the peers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use bellwork_queue::{
    Connection, Delivery, Engine, Handler, NewJob, Producer, Server, UPKEEP_EVERY, Upkeep, Verdict, WorkerProcess,
};
use redis::AsyncCommands;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{Answer, CALLERS, Verb};

const QUEUE: &str = "bench";
/// Jobs that a worker runs at a time.
const CONCURRENCY: usize = 2_000;
/// Jobs of one bulk push.
const BULK: usize = 10_000;
/// A pause between two jobs of the latency measurement: the queue is idle.
const IDLE: Duration = Duration::from_millis(2);

/// Does what `verb` says on the Redis at `url`.
pub(super) async fn answer(verb: &Verb, url: &str) -> anyhow::Result<Answer> {
    let bench = Bench::new(url).await?;
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

struct Bench {
    engine: Engine,
    producer: Producer,
    redis: Connection,
}

impl Bench {
    async fn new(url: &str) -> anyhow::Result<Self> {
        let engine = Engine::new(url.parse::<Server>()?, "bench");
        Ok(Self { producer: engine.producer(), redis: engine.connection(), engine })
    }

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

    /// Runs the backlog with a handler that does nothing; ends when Redis has every acknowledgement.
    async fn process(&self, count: usize) -> anyhow::Result<f64> {
        let (done, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let told = Arc::clone(&all);
        let began = Instant::now();
        let working = self.work(CONCURRENCY, move |_| {
            if done.fetch_add(1, Ordering::Relaxed) + 1 == count {
                told.notify_one();
            }
            std::future::ready(Verdict::Complete)
        });
        let working = working.await?;
        all.notified().await;
        working.drain().await?;
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

    async fn work<F, Fut>(&self, concurrency: usize, handle: F) -> anyhow::Result<Working>
    where
        F: Fn(Delivery) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Verdict> + Send + 'static,
    {
        let process = WorkerProcess::start(self.engine.clone(), &[QUEUE]).await?;
        let context = WorkerContext::from(QUEUE);
        let backend = process.backend(QUEUE, concurrency)?;
        let worker = WorkerBuilder::new(&context).backend(backend).build(Handler(handle));
        let task = tokio::spawn(worker.run());
        Ok(Working { process, context, task })
    }
}

async fn hold(delivery: Delivery, mut redis: Connection, set: String) -> Verdict {
    match redis.sadd::<_, _, ()>(set, delivery.id.as_bytes()).await {
        Ok(()) => std::future::pending().await,
        Err(_) => Verdict::Release,
    }
}

struct Working {
    process: WorkerProcess,
    context: WorkerContext,
    task: JoinHandle<Result<(), apalis_core::error::WorkerError>>,
}

impl Working {
    async fn drain(self) -> anyhow::Result<()> {
        self.process.stop_claiming();
        self.context.stop()?;
        self.task.await??;
        self.process.leave().await?;
        Ok(())
    }
}

/// A job as all peers have it: its payload is an id and 100 bytes.
fn job() -> NewJob {
    let id = Uuid::now_v7();
    let payload = format!("{id}{:x<100}", "");
    NewJob::new(id, payload)
}
