//! The engine by itself: pushing, processing with acknowledgement, pick-up latency and memory, on one private Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use bellwork_queue::{Connection, Delivery, Engine, Handler, NewJob, Producer, Verdict, WorkerProcess};
use clap::Args;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::figures::Figures;

/// How much is measured.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Jobs that wait before the workers start.
    #[arg(long, default_value_t = 100_000)]
    backlog: usize,
    /// Jobs that the worker runs at a time.
    #[arg(long, default_value_t = 2_000)]
    concurrency: usize,
    /// Jobs of the latency measurement.
    #[arg(long, default_value_t = 2_000)]
    samples: usize,
    /// Rounds; the median is told.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

const QUEUE: &str = "bench";
/// With the id of 16 bytes this makes the payload that all peers carry: an id and 100 bytes.
const PAYLOAD: [u8; 114] = [b'x'; 114];
const BULK: usize = 10_000;
const CALLERS: usize = 100;
const SINGLE_PUSHES: usize = 50_000;
/// A pause between two jobs of the latency measurement: the queue is idle.
const IDLE: Duration = Duration::from_millis(2);

/// Measures the engine on the Redis of `REDIS_URL`.
pub(crate) async fn measure(arguments: &Arguments) -> anyhow::Result<Figures> {
    let url = bellwork_tests::servers::of_test_run("REDIS_URL");
    let mut figures = Figures::default();
    let mut rounds: [Vec<f64>; 3] = Default::default();
    for _ in 0..arguments.rounds {
        let bench = Bench::new(&url).await?;
        let before = bench.memory().await?;
        rounds[0].push(bench.push_bulk(arguments.backlog).await?);
        let waiting = bench.memory().await?;
        rounds[1].push(bench.process(arguments.backlog, arguments.concurrency).await?);
        let left = bench.memory().await?;
        rounds[2].push(bench.push_singly().await?);
        if rounds[0].len() == arguments.rounds {
            let jobs = as_f64(arguments.backlog);
            figures.add("Redis memory per waiting job", (waiting - before) / jobs, "bytes");
            figures.add("Redis memory left per job done", (left - before).max(0.0) / jobs, "bytes");
        }
        bench.clear().await?;
    }
    let names = ["bulk push", "process and acknowledge", "single pushes, 100 callers"];
    for (name, mut rates) in names.into_iter().zip(rounds) {
        rates.sort_by(f64::total_cmp);
        figures.add(name, rates[rates.len() / 2], "1/s");
    }
    let bench = Bench::new(&url).await?;
    let mut latencies = bench.pick_up(arguments.samples).await?;
    figures.add_latencies("pick-up, idle", &mut latencies);
    bench.clear().await?;
    Ok(figures)
}

struct Bench {
    engine: Engine,
    producer: Producer,
    redis: Connection,
}

impl Bench {
    async fn new(url: &str) -> anyhow::Result<Self> {
        let engine = Engine::new(url.parse()?, &format!("bench-{}", Uuid::new_v4().simple()));
        let mut redis = engine.connection();
        let _: String = redis::cmd("PING").query_async(&mut redis).await?;
        Ok(Self { producer: engine.producer(), engine, redis })
    }

    async fn push_bulk(&self, count: usize) -> anyhow::Result<f64> {
        let jobs: Vec<_> = (0..count).map(|_| job()).collect();
        let began = Instant::now();
        let pushes = jobs.chunks(BULK).map(|chunk| self.producer.push(QUEUE, chunk.to_vec()));
        futures_util::future::try_join_all(pushes).await?;
        Ok(as_f64(count) / began.elapsed().as_secs_f64())
    }

    async fn push_singly(&self) -> anyhow::Result<f64> {
        let each = SINGLE_PUSHES / CALLERS;
        let began = Instant::now();
        let callers = (0..CALLERS).map(|_| {
            let producer = self.producer.clone();
            tokio::spawn(async move {
                for _ in 0..each {
                    producer.push(QUEUE, vec![job()]).await?;
                }
                Ok::<_, bellwork_queue::Error>(())
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await??;
        }
        Ok(as_f64(SINGLE_PUSHES) / began.elapsed().as_secs_f64())
    }

    /// Runs the backlog with a handler that does nothing; ends when Redis has every acknowledgement.
    async fn process(&self, count: usize, concurrency: usize) -> anyhow::Result<f64> {
        let (done, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let told = Arc::clone(&all);
        let began = Instant::now();
        let working = self.work(concurrency, move |_| {
            if done.fetch_add(1, Ordering::Relaxed) + 1 == count {
                told.notify_one();
            }
            std::future::ready(Verdict::Complete)
        });
        let working = working.await?;
        all.notified().await;
        working.drain().await?;
        Ok(as_f64(count) / began.elapsed().as_secs_f64())
    }

    /// From the call that pushes to the beginning of the handler, one job at a time.
    async fn pick_up(&self, samples: usize) -> anyhow::Result<Vec<Duration>> {
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
                latencies.push(begun.duration_since(pushed).unwrap_or_default());
            }
        }
        working.drain().await?;
        Ok(latencies)
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

    /// What Redis holds, in bytes.
    async fn memory(&self) -> anyhow::Result<f64> {
        let info: String = redis::cmd("INFO").arg("memory").query_async(&mut self.redis.clone()).await?;
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory_dataset:"));
        Ok(used.unwrap_or_default().trim().parse()?)
    }

    async fn clear(&self) -> anyhow::Result<()> {
        Ok(redis::cmd("FLUSHALL").query_async(&mut self.redis.clone()).await?)
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

fn job() -> NewJob {
    NewJob::new(Uuid::now_v7(), PAYLOAD.as_slice())
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn as_f64(count: usize) -> f64 {
    count as f64
}
