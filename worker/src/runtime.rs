//! A running worker process: one apalis worker per queue, the tasks beside them, and the drain.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use apalis_core::monitor::Monitor;
use apalis_core::worker::builder::WorkerBuilder;
use bellwork_jobs::cache;
use bellwork_jobs::context::{Platform, Publisher};
use bellwork_jobs::mailer::Mailer;
use bellwork_jobs::marker::Marker;
use bellwork_jobs::queues::{self, Queue};
use bellwork_jobs::submit::Submitter;
use bellwork_queue::{Delivery, Engine, Handler, RetryPolicy, Server, Verdict, WorkerProcess};
use bellwork_shared::cache::Invalidator;
use bellwork_shared::catalogue::Catalogue;
use bellwork_shared::config::Config;
use bellwork_shared::config::worker::QueueSelection;
use bellwork_shared::database;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

use crate::executor::Executor;
use crate::{quarantine, reconcile, relay, schedule};

/// How long a stopping process may take to give its jobs back; after that its silence tells others of them.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a job waits whose run was ended by a mistake of ours.
const MISTAKE_DELAY: Duration = Duration::from_secs(10);

/// How a process is being stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Not at all.
    Running,
    /// Nothing more is claimed; running jobs may end.
    Draining,
    /// What runs goes back.
    Stopping,
}

/// The queues to serve, with their concurrency.
///
/// # Errors
/// If a name is not that of a queue.
pub fn select(selection: &QueueSelection) -> anyhow::Result<Vec<(&'static Queue, usize)>> {
    if selection.0.is_empty() {
        return Ok(queues::ALL.iter().map(|queue| (*queue, queue.concurrency)).collect());
    }
    let known = || queues::ALL.iter().map(|queue| queue.name).collect::<Vec<_>>().join(", ");
    let serve = selection.0.iter().map(|(name, concurrency)| {
        let queue = queues::find(name).with_context(|| format!("there is no queue {name}; there are {}.", known()))?;
        Ok((queue, *concurrency))
    });
    serve.collect()
}

/// Runs jobs until `stage` says to stop, and drains.
///
/// # Errors
/// If the configuration cannot be used, or a worker ends by itself.
pub async fn run(config: &Config, stage: watch::Receiver<Stage>) -> anyhow::Result<()> {
    let serving = select(&config.worker.queues).context("WORKER_QUEUES cannot be used")?;
    let names: Vec<&'static str> = serving.iter().map(|(queue, _)| queue.name).collect();
    let server: Server = config.redis.queue_url.parse().context("REDIS_URL cannot be used")?;
    let engine = Engine::new(server, &config.redis.prefix);
    let platform = platform(config)?;
    let (submitter, _) = Submitter::start(engine.producer(), platform.database.clone());
    let process = Arc::new(WorkerProcess::start(engine.clone(), &names).await?);
    let executor = Executor {
        platform,
        submitter,
        retry: RetryPolicy::exponential(config.worker.retry_base),
        worker: process.id().as_str().into(),
    };
    let mut tasks = beside(config, &engine, &names, &executor);
    info!(process = process.id().as_str(), queues = names.join(","), "running");
    tokio::select! {
        driven = drive(&process, &serving, &executor, config.worker.drain, stage) => driven,
        ended = tasks.join_next() => {
            give_back(&process).await;
            Err(anyhow::anyhow!("a task beside the workers ended by itself: {ended:?}"))
        }
    }
}

fn platform(config: &Config) -> anyhow::Result<Platform> {
    let events: Server = config.redis.cache_url.parse().context("CACHE_REDIS_URL cannot be used")?;
    let database = database::pool(&config.database, "start-workers").context("DATABASE_URL cannot be used")?;
    let mut publisher = Publisher::new(events.connection(), &config.redis.prefix);
    if !config.database.replica_urls.is_empty() {
        publisher = publisher.before_replicas(database.clone());
    }
    Ok(Platform {
        catalogue: Catalogue::new(database.clone()),
        database,
        cache: Invalidator::new(cache::redis(&events), &config.redis.prefix),
        publisher,
        marker: Arc::new(Marker::new(&config.ai)?),
        mailer: Mailer::new(&config.mail)?,
        public_url: config.http.public_url.clone(),
        ledger_retention_days: config.worker.ledger_retention_days,
        vote_retention_months: config.worker.vote_retention_months,
    })
}

/// Starts what runs beside the workers: relay, reconciler, scheduler, and the quarantine of each queue.
fn beside(config: &Config, engine: &Engine, names: &[&'static str], executor: &Executor) -> JoinSet<()> {
    let (database, submitter) = (executor.platform.database.clone(), executor.submitter.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(relay::run(database.clone(), submitter.clone()));
    tasks.spawn(schedule::run(database.clone(), submitter.clone(), bellwork_jobs::schedules::ALL));
    let redis = reconcile::Connection::new(engine.connection(), &config.redis.prefix);
    tasks.spawn(reconcile::Reconciler { database, submitter, redis, every: config.worker.reconcile_every }.run());
    for queue in names {
        let looked_after = quarantine::run(engine.clone(), queue, executor.clone());
        tasks.spawn(async move {
            if let Err(error) = looked_after.await {
                warn!(%error, "no upkeep");
            }
        });
    }
    tasks
}

/// Runs the workers; when they are told to stop, waits for running jobs, then gives back what has not ended.
async fn drive(
    process: &Arc<WorkerProcess>,
    serving: &[(&'static Queue, usize)],
    executor: &Executor,
    drain: Duration,
    mut stage: watch::Receiver<Stage>,
) -> anyhow::Result<()> {
    let mut monitor = Monitor::new();
    for (queue, concurrency) in serving.iter().copied() {
        let (process, executor) = (Arc::clone(process), executor.clone());
        monitor = monitor.register(move |_| {
            let (backend, executor) = (process.backend(queue.name, concurrency), executor.clone());
            let backend = backend.expect("the process was started with this queue");
            let handler = Handler(move |delivery| handle(executor.clone(), delivery));
            WorkerBuilder::new(queue.name).backend(backend).build(handler)
        });
    }
    let stopping = {
        let (process, mut stage) = (Arc::clone(process), stage.clone());
        async move {
            // The sender lives as long as the process does.
            let _ = stage.wait_for(|stage| *stage >= Stage::Draining).await;
            info!("draining");
            process.stop_claiming();
            Ok(())
        }
    };
    tokio::select! {
        ended = monitor.run_with_signal(stopping) => ended.context("the workers ended")?,
        () = patience(&mut stage, drain) => warn!("the drain has ended; what still runs goes back"),
    }
    give_back(process).await;
    Ok(())
}

/// Resolves when the drain has lasted long enough, or is cut short.
async fn patience(stage: &mut watch::Receiver<Stage>, drain: Duration) {
    let _ = stage.wait_for(|stage| *stage >= Stage::Draining).await;
    let _ = tokio::time::timeout(drain, stage.wait_for(|stage| *stage >= Stage::Stopping)).await;
}

async fn give_back(process: &WorkerProcess) {
    process.stop_claiming();
    match process.release_all(RELEASE_TIMEOUT).await {
        0 => info!("drained"),
        jobs => warn!(jobs, "given back, uncharged, as far as Redis is there"),
    }
    if let Ok(Err(error)) = tokio::time::timeout(RELEASE_TIMEOUT, process.leave()).await {
        warn!(%error, "still registered; found dead by its silence");
    }
}

/// Runs a delivery on a task of its own, on any thread, which ends with this future.
async fn handle(executor: Executor, delivery: Delivery) -> Verdict {
    let run = tokio::spawn(async move { executor.execute(&delivery).await });
    match AbortOnDropHandle::new(run).await {
        Ok(verdict) => verdict,
        Err(error) => {
            error!(%error, "a mistake of ours ended a run");
            Verdict::Retry(MISTAKE_DELAY)
        }
    }
}
