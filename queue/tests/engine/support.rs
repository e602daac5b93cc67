//! A private prefix on the Redis of the test run, a worker around a closure, and waiting with a deadline.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use bellwork_queue::{Connection, Delivery, Engine, Handler, NewJob, Priority, Pushed, Server, Verdict, WorkerProcess};
use bellwork_testkit::redis_server::PATIENCE;
use bellwork_testkit::test_run::redis_url;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub(crate) const QUEUE: &str = "work";

/// An engine of its own: nobody else has its prefix.
pub(crate) struct Trial {
    pub(crate) engine: Engine,
    pub(crate) redis: Connection,
    pub(crate) prefix: String,
}

impl Trial {
    /// On the Redis of the test run, which nobody freezes.
    pub(crate) async fn new() -> Self {
        let server: Server = redis_url().parse().unwrap();
        Self::reach(server.with_timeouts(PATIENCE, PATIENCE)).await
    }

    /// With the product's own patience.
    pub(crate) async fn on(url: &str) -> Self {
        Self::reach(url.parse().unwrap()).await
    }

    async fn reach(server: Server) -> Self {
        let prefix = format!("test-{}", Uuid::new_v4().simple());
        let engine = Engine::new(server, &prefix);
        let mut redis = engine.connection();
        let _: String = redis::cmd("PING").query_async(&mut redis).await.unwrap();
        Self { engine, redis, prefix }
    }

    pub(crate) fn key(&self, name: &str) -> String {
        format!("{{{}:{QUEUE}}}:{name}", self.prefix)
    }

    /// Pushes, and tells how many were new.
    pub(crate) async fn push(&self, jobs: Vec<NewJob>) -> usize {
        let outcomes = self.engine.producer().push(QUEUE, jobs).await.unwrap();
        outcomes.into_iter().filter(|outcome| *outcome == Pushed::Stored).count()
    }

    /// A process with a worker whose handler is `handle`.
    pub(crate) async fn work<F, Fut>(&self, concurrency: usize, handle: F) -> Working
    where
        F: Fn(Delivery) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Verdict> + Send + 'static,
    {
        let process = Arc::new(WorkerProcess::start(self.engine.clone(), &[QUEUE]).await.unwrap());
        let backend = process.backend(QUEUE, concurrency).unwrap();
        let context = WorkerContext::from(QUEUE);
        let worker = WorkerBuilder::new(&context).backend(backend).build(Handler(handle));
        let task = tokio::spawn(async move { worker.run().await.unwrap() });
        Working { process: Some(process), context, task }
    }

    /// A worker that completes everything and tells the ids in their order.
    pub(crate) async fn collect(&self, concurrency: usize) -> (Working, mpsc::UnboundedReceiver<Uuid>) {
        let (done, ids) = mpsc::unbounded_channel();
        let working = self.work(concurrency, move |delivery| {
            let done = done.clone();
            async move {
                done.send(delivery.id).unwrap();
                Verdict::Complete
            }
        });
        (working.await, ids)
    }

    /// The names of all keys, without their prefix.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let mut names = Vec::new();
        let pattern = format!("{{{}:*", self.prefix);
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(10_000);
            let (next, page): (u64, Vec<String>) = scan.query_async(&mut self.redis.clone()).await.unwrap();
            names.extend(page.into_iter().map(|key| key.rsplit_once("}:").unwrap().1.to_owned()));
            cursor = next;
            if cursor == 0 {
                names.sort();
                return names;
            }
        }
    }
}

/// A process at work.
pub(crate) struct Working {
    pub(crate) process: Option<Arc<WorkerProcess>>,
    context: WorkerContext,
    task: JoinHandle<()>,
}

impl Working {
    /// Lets it end what runs, as a deploy does.
    pub(crate) async fn drain(mut self) {
        let process = self.process.take().unwrap();
        process.stop_claiming();
        self.context.stop().unwrap();
        within(self.task).await.unwrap();
        process.leave().await.unwrap();
    }

    /// Takes it away in the middle of everything, as `kill -9` does: no beat, no word to Redis.
    pub(crate) async fn kill(mut self) {
        self.task.abort();
        let _ = self.task.await;
        drop(self.process.take());
    }
}

pub(crate) fn job(priority: Priority) -> NewJob {
    NewJob { priority, ..NewJob::new(Uuid::now_v7(), "payload") }
}

pub(crate) fn jobs(count: usize) -> Vec<NewJob> {
    (0..count).map(|_| job(Priority::Normal)).collect()
}

pub(crate) fn due_in(delay: Duration) -> Option<i64> {
    let due = std::time::UNIX_EPOCH.elapsed().unwrap() + delay;
    Some(i64::try_from(due.as_millis()).unwrap())
}

/// The result, or a failed test that names the place.
#[track_caller]
pub(crate) fn within<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = Location::caller();
    async move { bellwork_testkit::within(&place.to_string(), future).await }
}

/// Looks until `condition` holds, or the test has failed, which names the place.
#[track_caller]
pub(crate) fn until(condition: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let place = Location::caller();
    async move { bellwork_testkit::until(&place.to_string(), condition).await }
}

pub(crate) async fn take<T>(receiver: &mut mpsc::UnboundedReceiver<T>, count: usize) -> Vec<T> {
    let mut taken = Vec::with_capacity(count);
    for _ in 0..count {
        taken.push(within(receiver.recv()).await.expect("the sender lives"));
    }
    taken
}
