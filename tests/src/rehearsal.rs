//! For whoever writes jobs: submit them, run one, drain the queues with the executor of production, and see what waits.
//!
//! ```no_run
//! # use bellwork_jobs::kinds::notify_user::NotifyUser;
//! # async fn rehearse(database: sqlx::PgPool, job: NotifyUser) {
//! let rehearsal = bellwork_tests::rehearsal::Rehearsal::new(&database).await;
//! let row = rehearsal.run(&job).await;
//! assert_eq!(row.state.name(), "done");
//! assert!(rehearsal.enqueued::<NotifyUser>().await.is_empty());
//! rehearsal.drain().await;
//! # }
//! ```

use std::sync::Arc;
use std::time::Duration;

use bellwork_jobs::cache;
use bellwork_jobs::context::{Platform, Publisher};
use bellwork_jobs::envelope::Addressed;
use bellwork_jobs::job::Job;
use bellwork_jobs::mailer::Mailer;
use bellwork_jobs::marker::Marker;
use bellwork_jobs::queues;
use bellwork_jobs::submit::{Options, Submitter, new_job};
use bellwork_queue::{Drain, Engine, RetryPolicy, Server};
use bellwork_shared::cache::Invalidator;
use bellwork_shared::catalogue::Catalogue;
use bellwork_shared::config::ai::AiConfig;
use bellwork_shared::config::mail::MailConfig;
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::{self, JobRow, NewJob};
use bellwork_testkit::folder::Folder;
use bellwork_testkit::test_run::redis_url;
use bellwork_worker::executor::Executor;
use sqlx::PgPool;
use uuid::Uuid;

/// So many jobs run at a time.
const CONCURRENCY: usize = 4;

/// A platform on one database, with queues that nobody else sees.
#[derive(Debug)]
pub struct Rehearsal {
    /// Where mail arrives as files.
    pub mail: Folder,
    database: PgPool,
    engine: Engine,
    executor: Executor,
}

impl Rehearsal {
    /// On `database`, which has the schema, and on the Redis of the test run.
    ///
    /// # Panics
    /// If the test run has set up no Redis.
    pub async fn new(database: &PgPool) -> Self {
        let mail = Folder::new();
        let (server, engine, prefix) = engine();
        let mailer = MailConfig {
            smtp_url: None,
            from: "Bellwork <bellwork@school.test>".to_owned(),
            dir: mail.path().to_owned(),
        };
        let platform = Platform {
            database: database.clone(),
            catalogue: Catalogue::new(database.clone()),
            cache: Invalidator::new(cache::redis(&server), &prefix),
            publisher: Publisher::new(engine.connection(), &prefix),
            marker: Arc::new(Marker::new(&AiConfig::none()).expect("the built-in marker needs nothing")),
            mailer: Mailer::new(&mailer).expect("the folder is there"),
            public_url: "https://school.test/".parse().expect("it is an address"),
            ledger_retention_days: 30,
            vote_retention_months: 24,
        };
        let (submitter, _) = Submitter::start(engine.producer(), database.clone());
        let retry = RetryPolicy::exponential(Duration::from_millis(1));
        let executor = Executor { platform, submitter, retry, worker: "rehearsal".into() };
        Self { mail, database: database.clone(), engine, executor }
    }

    /// Accepts a job: its row is committed, and it waits in its queue.
    ///
    /// # Panics
    /// If a store fails.
    pub async fn submit<J: Job>(&self, job: &J, options: Options) -> JobId {
        let job = self.accept(job, options).await;
        self.executor.submitter.push(std::slice::from_ref(&job)).await;
        job.id
    }

    /// Accepts one job and delivers it once, as a worker does. What it submits waits in the queues.
    ///
    /// # Panics
    /// If a store fails.
    pub async fn run<J: Job>(&self, job: &J) -> JobRow {
        let job = self.accept(job, Options::default()).await;
        let (_, alone, _) = engine();
        let Addressed { queue, job: queued } = Addressed::from(&job);
        alone.producer().push(&queue, vec![queued]).await.expect("Redis takes the job");
        drain(&alone, &queue, Drain::Ready, &self.executor).await;
        self.row(job.id).await
    }

    /// Takes over all jobs of the ledger that have not ended, whoever accepted them: they wait in the queues.
    ///
    /// # Panics
    /// If a store fails.
    pub async fn adopt(&self) {
        let mut conn = self.database.acquire().await.expect("the database answers");
        let open = ledger::unfinished(&mut conn, None, i64::MAX).await.expect("the ledger can be read");
        let jobs = open.iter().map(Addressed::from).collect();
        self.executor.submitter.insist(jobs).await.expect("Redis takes the jobs");
    }

    /// Runs all jobs that wait, those that they submit, and retries without their delays, until none is left.
    ///
    /// # Panics
    /// If a store fails.
    pub async fn drain(&self) {
        loop {
            for queue in queues::ALL {
                drain(&self.engine, queue.name, Drain::Scheduled, &self.executor).await;
            }
            let inspector = self.engine.inspector();
            let counts = queues::ALL.iter().map(|queue| inspector.counts(queue.name));
            let counts = futures_util::future::try_join_all(counts).await.expect("Redis counts");
            if counts.iter().all(|counts| counts.ready_total() + counts.scheduled == 0) {
                return;
            }
        }
    }

    /// The jobs of this kind that have not ended, in the order in which they were accepted.
    ///
    /// # Panics
    /// If the database fails, or holds a job that this kind cannot read.
    pub async fn enqueued<J: Job>(&self) -> Vec<J> {
        let mut conn = self.database.acquire().await.expect("the database answers");
        let open = ledger::unfinished(&mut conn, None, i64::MAX).await.expect("the ledger can be read");
        let own = open.into_iter().filter(|job| job.kind == J::KIND);
        own.map(|job| serde_json::from_value(job.payload).expect("the payload is of this kind")).collect()
    }

    /// The row of a job.
    ///
    /// # Panics
    /// If there is none.
    pub async fn row(&self, id: JobId) -> JobRow {
        let mut conn = self.database.acquire().await.expect("the database answers");
        ledger::find(&mut conn, id).await.expect("the ledger can be read").expect("the job was accepted")
    }

    async fn accept<J: Job>(&self, job: &J, options: Options) -> NewJob {
        let job = new_job(job, options);
        let mut tx = self.database.begin().await.expect("the database answers");
        ledger::insert(&mut tx, std::slice::from_ref(&job)).await.expect("the ledger takes the job");
        tx.commit().await.expect("the ledger takes the job");
        job
    }
}

async fn drain(engine: &Engine, queue: &str, which: Drain, executor: &Executor) {
    let executor = executor.clone();
    let drained = engine.drain(queue, CONCURRENCY, which, move |delivery| {
        let executor = executor.clone();
        async move { executor.execute(&delivery).await }
    });
    drained.await.expect("Redis answers");
}

fn engine() -> (Server, Engine, String) {
    let server: Server = redis_url().parse().expect("it is the address of a Redis");
    let prefix = format!("test-{}", Uuid::new_v4().simple());
    (server.clone(), Engine::new(server, &prefix), prefix)
}
