//! A worker that takes jobs and never ends them.

use std::pin::Pin;
use std::task::{Context, Poll};

use apalis_core::error::BoxDynError;
use apalis_core::task::Task;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use bellwork_queue::{Delivery, Engine, Verdict, WorkerProcess};
use tokio::task::JoinHandle;
use tower_service::Service;

/// Holds the jobs of one queue as long as it lives.
pub(crate) struct Holder {
    _process: WorkerProcess,
    task: JoinHandle<()>,
}

impl Holder {
    pub(crate) async fn start(engine: Engine, queue: &'static str) -> Self {
        let process = WorkerProcess::start(engine, &[queue]).await.unwrap();
        let backend = process.backend(queue, 1).unwrap();
        let context = WorkerContext::from(queue);
        let worker = WorkerBuilder::new(&context).backend(backend).build(Hold);
        let task = tokio::spawn(async move { worker.run().await.unwrap() });
        Self { _process: process, task }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Hold;

impl Service<Task<Delivery>> for Hold {
    type Response = Verdict;
    type Error = BoxDynError;
    type Future = Pin<Box<dyn Future<Output = Result<Verdict, BoxDynError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Task<Delivery>) -> Self::Future {
        Box::pin(std::future::pending())
    }
}
