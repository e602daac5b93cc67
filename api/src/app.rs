//! What all requests of a process share.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use bellwork_jobs::envelope::Addressed;
use bellwork_jobs::submit::Submitter;
use bellwork_queue::{Connection, Engine, Inspector, Server};
use bellwork_shared::cache::Layers;
use bellwork_shared::catalogue::Catalogue;
use bellwork_shared::config::Config;
use bellwork_shared::config::ai::AiConfig;
use bellwork_shared::config::http::HttpConfig;
use bellwork_shared::installation::{self, Installation};
use bellwork_shared::reading::{Floors, Reader, Reading};
use bellwork_shared::votes::traces::Keys;
use bytes::Bytes;
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::{PgConnection, PgPool};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::caches::Caches;
use crate::error::ApiError;
use crate::hub::Hub;
use crate::limits::Limits;
use crate::overload::Database;
use crate::passwords::Passwords;
use crate::probe::Probe;
use crate::throttle::Throttle;

/// How long an answer waits for the push of what it has accepted.
const PUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// What all requests of a process share. Each thread that serves has a clone behind a count of its own: handlers hold it
/// all the time, and a count that the cores take from each other costs more than the handler.
#[derive(Clone, Debug)]
pub(crate) struct App(Arc<Parts>);

/// All of it. Nothing in it needs PostgreSQL or Redis to be there when it is made.
pub(crate) struct Parts {
    /// Listening, sessions and streams.
    pub(crate) config: HttpConfig,
    /// The AI server, and what may be spent on it.
    pub(crate) ai: AiConfig,
    /// PostgreSQL.
    pub(crate) database: Database,
    /// The replicas, and who may read them.
    pub(crate) reading: Reading<Connection>,
    /// The practice tests.
    pub(crate) catalogue: Catalogue,
    /// What this process keeps of what it has read.
    pub(crate) caches: Caches,
    /// Asks the stores whether they are there.
    pub(crate) probe: Probe,
    /// Pushes accepted jobs.
    pub(crate) submitter: Submitter,
    /// Looks at queues and steers them.
    pub(crate) inspector: Inspector,
    /// The live streams of this process.
    pub(crate) hub: Hub,
    /// How often clients may ask.
    pub(crate) limits: Limits,
    /// Hashes passwords.
    pub(crate) passwords: Passwords,
    /// Slows down who guesses them.
    pub(crate) throttle: Throttle,
    /// Renders this process's metrics.
    pub(crate) metrics: PrometheusHandle,
    /// The OpenAPI document, written when somebody asks for it.
    pub(crate) openapi: OnceLock<Bytes>,
    /// What turns the origin of a vote into a trace.
    pub(crate) trace_keys: Keys,
    /// When this process started.
    pub(crate) started: Instant,
    /// Read with the first request that needs it, since the database may come later than this process.
    installation: OnceCell<Installation>,
    /// Set at a stop, so that balancers and new streams go elsewhere.
    draining: AtomicBool,
}

impl App {
    /// Builds the state and starts its tasks on the current runtime. The handle resolves once the state is gone and the
    /// outbox is cleared of what was pushed.
    ///
    /// # Errors
    /// If an address in `config` cannot be used.
    pub(crate) fn start(
        config: &Config,
        pool: PgPool,
        metrics: PrometheusHandle,
        cores: usize,
    ) -> anyhow::Result<(Self, JoinHandle<()>)> {
        let server: Server = config.redis.queue_url.parse().context("REDIS_URL cannot be used")?;
        let events: Server = config.redis.cache_url.parse().context("CACHE_REDIS_URL cannot be used")?;
        let engine = Engine::new(server, &config.redis.prefix);
        let replicas = bellwork_shared::database::replica_pools(&config.database, "bellwork-api")
            .context("DATABASE_REPLICA_URLS cannot be used")?;
        let floors = Floors::new(events.connection(), &config.redis.prefix);
        let (submitter, outbox) = Submitter::start(engine.producer(), pool.clone());
        let database = Database::new(pool.clone());
        let layers = Layers::start(bellwork_jobs::cache::redis(&events), &config.redis.prefix);
        let parts = Parts {
            caches: Caches::new(layers, pool.clone()),
            config: config.http.clone(),
            ai: config.ai.clone(),
            throttle: Throttle::new(events.connection(), &config.redis.prefix, config.limits.patience),
            hub: Hub::start(events.clone(), &config.redis.prefix, pool.clone(), config.http.stream_heartbeat),
            catalogue: catalogue(database.clone()),
            limits: Limits::start(events.connection(), &config.redis.prefix, &config.limits),
            probe: Probe::new(&pool, engine.connection()),
            reading: Reading::of(pool, replicas, floors),
            database,
            submitter,
            inspector: engine.inspector(),
            passwords: Passwords::new(cores),
            metrics,
            openapi: OnceLock::new(),
            trace_keys: Keys::default(),
            started: Instant::now(),
            installation: OnceCell::new(),
            draining: AtomicBool::new(false),
        };
        Ok((Self(Arc::new(parts)), outbox))
    }

    /// What all processes of this installation agree on.
    ///
    /// # Errors
    /// If it has not been read yet and the database fails.
    pub(crate) async fn installation(&self) -> Result<&Installation, ApiError> {
        if let Some(known) = self.installation.get() {
            return Ok(known);
        }
        let read = async || installation::read(&mut *self.database.acquire().await?).await;
        Ok(Box::pin(self.installation.get_or_try_init(read)).await?)
    }

    /// What `query` finds, at a replica that has caught up with `reader` or else at the primary. It may be asked twice, so it
    /// must only read.
    ///
    /// # Errors
    /// If the primary fails.
    pub(crate) async fn read<T>(
        &self,
        reader: Reader,
        query: impl AsyncFn(&mut PgConnection) -> sqlx::Result<T>,
    ) -> sqlx::Result<T> {
        if let Some(found) = self.reading.at_replica(reader, &query).await {
            metrics::counter!("bellwork_reads_total", "from" => "replica").increment(1);
            return found;
        }
        metrics::counter!("bellwork_reads_total", "from" => "primary").increment(1);
        query(&mut *self.database.acquire().await?).await
    }

    /// Pushes jobs whose rows are committed. A Redis that is away or slow delays the answer by no more than a moment: the
    /// relay pushes what stays in the outbox.
    pub(crate) async fn push<'a, J>(&self, jobs: &'a [J])
    where
        Addressed: From<&'a J>,
    {
        if timeout(PUSH_TIMEOUT, self.submitter.push(jobs)).await.is_err() {
            tracing::warn!(jobs = jobs.len(), "not pushed in time; the relay will");
        }
    }

    /// True once this process has been told to stop.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Tells balancers and new streams to go elsewhere, and ends the open streams over the configured window. Returns when
    /// they have ended, at the latest a little after it.
    pub(crate) async fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.hub.drain(self.config.stream_drain).await;
    }
}

/// The tests, read by requests: they queue for their connections.
fn catalogue(database: Database) -> Catalogue {
    Catalogue::by(move || {
        let database = database.clone();
        async move { database.acquire().await }
    })
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("bind", &self.config.bind).finish_non_exhaustive()
    }
}
