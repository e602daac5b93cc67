//! Draining: runs all jobs of a queue that are ready, and those that they push, with a real worker. For the tests of
//! whoever writes jobs, and for a queue that is to be emptied by hand.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;

use crate::delivery::{Delivery, Verdict};
use crate::engine::Engine;
use crate::error::Error;
use crate::handler::Handler;
use crate::inspector::{Counts, Inspector};
use crate::scripts;
use crate::worker_process::WorkerProcess;

/// How often a queue is looked at while it is drained.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long Redis may take to take back what was claimed and not run.
const RELEASE_PATIENCE: Duration = Duration::from_secs(5);
/// Scheduled jobs made due in one call.
const PAGE: usize = 200;

/// Which jobs a drain runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// Those that are ready, and those that become due meanwhile.
    Ready,
    /// Those that are scheduled too, retries among them: none waits for its time.
    Scheduled,
}

impl Engine {
    /// Runs the jobs of `queue` with `handle`, at most `concurrency` at a time, until none is left that may run, and returns
    /// the jobs of the queue by state then. A job that fails for ever is run for ever with [`Drain::Scheduled`].
    ///
    /// # Errors
    /// If the queue's name cannot be used, or Redis fails.
    pub async fn drain<F, Fut>(&self, queue: &str, concurrency: usize, which: Drain, handle: F) -> Result<Counts, Error>
    where
        F: Fn(Delivery) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Verdict> + Send + 'static,
    {
        let process = Arc::new(WorkerProcess::start(self.clone(), &[queue]).await?);
        let context = WorkerContext::from(queue);
        let worker = WorkerBuilder::new(&context).backend(process.backend(queue, concurrency)?).build(Handler(handle));
        let inspector = self.inspector();
        let drained = tokio::select! {
            drained = run_dry(&inspector, queue, which) => drained,
            _ = worker.run() => Err(Error::Stopped),
        };
        process.stop_claiming();
        process.release_all(RELEASE_PATIENCE).await;
        process.leave().await?;
        drained
    }
}

async fn run_dry(inspector: &Inspector, queue: &str, which: Drain) -> Result<Counts, Error> {
    loop {
        if which == Drain::Scheduled {
            inspector.hasten(queue).await?;
        }
        let counts = inspector.counts(queue).await?;
        let waiting = if which == Drain::Scheduled { counts.scheduled } else { 0 };
        let may_run = !counts.paused && counts.claimable;
        if counts.running == 0 && waiting == 0 && !may_run {
            return Ok(counts);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Inspector {
    /// Makes all scheduled jobs of `queue` due at once. Returns how many.
    ///
    /// # Errors
    /// If Redis fails: some may be due by then.
    pub async fn hasten(&self, queue: &str) -> Result<u64, Error> {
        let mut hastened = 0;
        for keys in self.parts(queue)? {
            loop {
                let mut hasten = scripts::HASTEN.on(&keys);
                hasten.arg(PAGE);
                let jobs: u64 = scripts::call(&hasten, &mut self.0.connection.clone()).await?;
                hastened += jobs;
                if jobs < PAGE as u64 {
                    break;
                }
            }
        }
        Ok(hastened)
    }
}
