//! The engine at work, to be measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use bellwork_queue::{Connection, Delivery, Engine, Handler, NewJob, Producer, Server, Verdict, WorkerProcess};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub(crate) const QUEUE: &str = "bench";
/// Jobs that a worker runs at a time.
pub(crate) const CONCURRENCY: usize = 2_000;

/// The engine on one Redis.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) producer: Producer,
    pub(crate) redis: Connection,
}

impl Bench {
    pub(crate) fn new(url: &str) -> anyhow::Result<Self> {
        let engine = Engine::new(url.parse::<Server>()?, "bench");
        Ok(Self { producer: engine.producer(), redis: engine.connection(), engine })
    }

    /// Runs the backlog with a handler that does nothing; ends when Redis has every acknowledgement. Returns the
    /// seconds.
    pub(crate) async fn process(&self, count: usize) -> anyhow::Result<f64> {
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

    pub(crate) async fn work<F, Fut>(&self, concurrency: usize, handle: F) -> anyhow::Result<Working>
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

/// A worker process of its own.
pub(crate) struct Working {
    process: WorkerProcess,
    context: WorkerContext,
    task: JoinHandle<Result<(), apalis_core::error::WorkerError>>,
}

impl Working {
    pub(crate) async fn drain(self) -> anyhow::Result<()> {
        self.process.stop_claiming();
        self.context.stop()?;
        self.task.await??;
        self.process.leave().await?;
        Ok(())
    }
}

/// A job as all peers have it: its payload is an id and 100 bytes.
pub(crate) fn job() -> NewJob {
    let id = Uuid::now_v7();
    let payload = format!("{id}{:x<100}", "");
    NewJob::new(id, payload)
}
