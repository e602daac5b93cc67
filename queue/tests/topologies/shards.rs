//! A shard of a cluster is gone: what has nothing to do with it goes on.

use std::sync::Arc;
use std::time::Duration;

use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use bellwork_queue::{Delivery, Engine, Handler, Server, Upkeep, Verdict, WorkerProcess};
use bellwork_testkit::DEADLINE;
use bellwork_testkit::program::Signal;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::deployments::Cluster;
use crate::support::{QUEUE, jobs, until, within};

const PARTITIONS: u32 = 6;
const JOBS: usize = 60;

/// A queue of six partitions on three masters, and a process that runs 60 jobs which never end.
struct Scene {
    redis: Cluster,
    engine: Engine,
    prefix: String,
    process: Arc<WorkerProcess>,
    worker: JoinHandle<()>,
}

impl Scene {
    async fn new() -> Self {
        let redis = Cluster::start(0, "60000", &["--cluster-require-full-coverage", "no"]).await;
        let prefix = format!("test-{}", Uuid::new_v4().simple());
        let server: Server = redis.url().parse().unwrap();
        let engine = Engine::new(server, &prefix).with_partitions(QUEUE, PARTITIONS).unwrap();
        let process = Arc::new(WorkerProcess::start(engine.clone(), &[QUEUE]).await.unwrap());
        let context = WorkerContext::from(QUEUE);
        let backend = process.backend(QUEUE, JOBS).unwrap();
        let handler = Handler(|_: Delivery| std::future::pending::<Verdict>());
        let worker = WorkerBuilder::new(&context).backend(backend).build(handler);
        let worker = tokio::spawn(async move { worker.run().await.unwrap() });
        engine.producer().push(QUEUE, jobs(JOBS)).await.unwrap();
        until(async || process.in_hand(QUEUE) == JOBS).await;
        Self { redis, engine, prefix, process, worker }
    }

    /// Takes away the master of the first partition, and names those partitions that are still there.
    async fn lose_a_shard(&mut self) -> Vec<u32> {
        let sick = self.master_of(0).await;
        let mut well = Vec::new();
        for part in 0..PARTITIONS {
            if self.master_of(part).await != sick {
                well.push(part);
            }
        }
        self.redis.nodes[sick].kill();
        well
    }

    async fn master_of(&self, part: u32) -> usize {
        self.redis.master_of(&self.key(part, "jobs")).await
    }

    fn key(&self, part: u32, name: &str) -> String {
        format!("{{{}:{QUEUE}/{part}}}:{name}", self.prefix)
    }

    async fn length(&self, part: u32, name: &str) -> usize {
        let mut length = redis::cmd("HLEN");
        length.arg(self.key(part, name)).query_async(&mut self.engine.connection()).await.unwrap()
    }
}

#[tokio::test]
async fn jobs_of_the_dead_come_back_on_the_shards_that_are_there() {
    let mut scene = Scene::new().await;
    scene.worker.abort();
    let well = scene.lose_a_shard().await;
    let mut expected = 0;
    for part in &well {
        expected += scene.length(*part, "jobs").await as u64;
    }
    assert!(expected > 0);
    scene.process = Arc::new(WorkerProcess::start(scene.engine.clone(), &["other"]).await.unwrap());
    let mut upkeep = Upkeep::new(&scene.engine, QUEUE).unwrap();
    within(async {
        let mut taken = 0;
        while taken < expected {
            taken += upkeep.recover().await.map_or(0, |recovered| recovered.taken);
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_process_that_stops_gives_back_what_it_can() {
    let mut scene = Scene::new().await;
    scene.worker.abort();
    let well = scene.lose_a_shard().await;
    scene.process.stop_claiming();
    // The shard stays away: whoever waited for it would wait for ever.
    assert_eq!(within(scene.process.release_all(Duration::from_secs(2))).await, JOBS);
    for part in well {
        // Only the sentinel is left.
        until(async || scene.length(part, "leases").await == 1).await;
    }
}

#[tokio::test]
async fn a_shard_that_hangs_does_not_hold_up_the_pushes_to_others() {
    let redis = Cluster::start(0, "60000", &["--cluster-require-full-coverage", "no"]).await;
    let prefix = format!("test-{}", Uuid::new_v4().simple());
    // Nobody gives up: what comes, comes while the shard hangs.
    let server = redis.url().parse::<Server>().unwrap().with_timeouts(DEADLINE, DEADLINE);
    let engine = Engine::new(server, &prefix);
    let mut queues = [None, None, None];
    for number in 0..40 {
        let queue = format!("queue-{number}");
        let master = redis.master_of(&format!("{{{prefix}:{queue}}}:jobs")).await;
        queues[master] = Some(queue);
    }
    let [sick, well, _] = queues.map(Option::unwrap);
    let producer = engine.producer();
    producer.push(&well, jobs(1)).await.unwrap();
    producer.push(&sick, jobs(1)).await.unwrap();
    redis.nodes[0].signal(Signal::Stop);
    let hanging = tokio::spawn({
        let producer = producer.clone();
        async move { producer.push(&sick, jobs(1)).await }
    });
    tokio::task::yield_now().await;
    for _ in 0..10 {
        within(producer.push(&well, jobs(1))).await.expect("a healthy shard answers");
    }
    assert!(!hanging.is_finished());
    redis.nodes[0].signal(Signal::Continue);
    within(hanging).await.unwrap().expect("it has waited long enough");
}
