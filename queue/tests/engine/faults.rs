//! Redis goes away, comes back, or forgets.

use std::time::Duration;

use bellwork_queue::{DEAD_AFTER, Recovered, Upkeep, Verdict};
use bellwork_testkit::redis_server::RedisServer;
use tokio::sync::mpsc;

use crate::support::{QUEUE, Trial, jobs, take, within};

async fn durable() -> RedisServer {
    RedisServer::start(&["--appendonly", "yes"]).await
}

#[tokio::test]
async fn workers_go_on_after_redis_was_killed_and_restarted() {
    let mut redis = durable().await;
    let trial = Trial::on(&redis.url()).await;
    let (begun, mut running) = mpsc::unbounded_channel();
    let (proceed, paused) = tokio::sync::watch::channel(false);
    let working = trial.work(10, move |delivery| {
        let (begun, mut paused) = (begun.clone(), paused.clone());
        async move {
            begun.send(delivery.id).unwrap();
            paused.wait_for(|go| *go).await.unwrap();
            Verdict::Complete
        }
    });
    let working = working.await;
    trial.push(jobs(3)).await;
    take(&mut running, 3).await;

    redis.restart(&[]);
    redis.ready().await;
    proceed.send(true).unwrap();
    let producer = trial.engine.producer();
    within(async {
        while producer.push(QUEUE, jobs(1)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    take(&mut running, 1).await;
    working.drain().await;
    assert_eq!(trial.keys().await, ["leases", "state"], "what ran through the restart was completed after it");
}

/// When Redis comes back every beat is old; the living must not be taken for dead.
#[tokio::test]
async fn a_long_outage_of_redis_robs_nobody() {
    let mut redis = durable().await;
    let trial = Trial::on(&redis.url()).await;
    let (begun, mut running) = mpsc::unbounded_channel();
    let (proceed, paused) = tokio::sync::watch::channel(false);
    let working = trial.work(3, move |delivery| {
        let (begun, mut paused) = (begun.clone(), paused.clone());
        async move {
            begun.send(delivery.marks).unwrap();
            paused.wait_for(|go| *go).await.unwrap();
            Verdict::Complete
        }
    });
    let working = working.await;
    trial.push(jobs(3)).await;
    take(&mut running, 3).await;
    let mut upkeep = Upkeep::new(&trial.engine, QUEUE).unwrap();
    upkeep.recover().await.unwrap();
    redis.kill();
    tokio::time::sleep(DEAD_AFTER + Duration::from_secs(1)).await;
    redis.restart(&[]);
    redis.ready().await;
    let back = std::time::Instant::now();
    while back.elapsed() < DEAD_AFTER + Duration::from_secs(2) {
        if let Ok(recovered) = upkeep.recover().await {
            assert_eq!(recovered, Recovered::default(), "a live process was robbed");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    proceed.send(true).unwrap();
    working.drain().await;
    assert!(running.try_recv().is_err(), "each ran once");
}

#[tokio::test]
async fn workers_go_on_after_redis_was_emptied() {
    let redis = durable().await;
    let trial = Trial::on(&redis.url()).await;
    let (working, mut done) = trial.collect(10).await;
    trial.push(jobs(2)).await;
    take(&mut done, 2).await;
    let () = redis::cmd("FLUSHALL").query_async(&mut trial.redis.clone()).await.unwrap();
    let () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut trial.redis.clone()).await.unwrap();
    trial.push(jobs(2)).await;
    take(&mut done, 2).await;
    working.drain().await;
}
