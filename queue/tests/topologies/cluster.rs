//! Redis Cluster.

use bellwork_queue::{Counts, Engine, Pushed, Server, Trouble};
use bellwork_testkit::program::Signal;
use redis::RedisResult;

use crate::deployments::{Cluster, MASTERS, PATIENT, QUICK};
use crate::failover::Load;
use crate::life::whole_life;
use crate::support::{QUEUE, Trial, jobs, take, until};

#[tokio::test]
async fn workers_live_through_the_death_of_their_master() {
    let mut redis = Cluster::start(1, QUICK, &[]).await;
    let trial = Trial::on(&redis.url()).await;
    let master = redis.master_of(&trial.key("jobs")).await;
    let load = Load::start(trial).await;
    redis.nodes[master].kill();
    load.goes_on().await;
    load.ends_well().await;
}

#[tokio::test]
async fn workers_leave_a_master_that_hangs() {
    let redis = Cluster::start(1, QUICK, &[]).await;
    let trial = Trial::on(&redis.url()).await;
    let master = redis.master_of(&trial.key("jobs")).await;
    let load = Load::start(trial).await;
    redis.nodes[master].signal(Signal::Stop);
    load.goes_on().await;
    load.ends_well().await;
}

#[tokio::test]
async fn the_engine_works_on_every_node_and_a_dead_one_stops_only_its_own_queues() {
    let mut redis = Cluster::start(0, PATIENT, &["--cluster-require-full-coverage", "no"]).await;
    let mut trials: Vec<Trial> = Vec::new();
    for node in 0..MASTERS {
        trials.push(trial_on(&redis, node).await);
    }
    futures_util::future::join_all(trials.iter().map(whole_life)).await;

    let (working, mut done) = trials[1].collect(1).await;
    redis.nodes[0].kill();
    let error = trials[0].engine.producer().push(QUEUE, jobs(1)).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    trials[1].push(jobs(3)).await;
    take(&mut done, 3).await;
    redis.nodes[0].restart(&[]);
    until(async || trials[0].engine.producer().push(QUEUE, jobs(1)).await.is_ok()).await;
    working.drain().await;
}

#[tokio::test]
async fn a_cluster_that_is_down_is_told_as_such_and_comes_back() {
    let mut redis = Cluster::start(0, QUICK, &[]).await;
    let trial = trial_on(&redis, 1).await;
    let producer = trial.engine.producer();
    redis.nodes[0].kill();
    until(async || match producer.push(QUEUE, jobs(1)).await {
        Ok(_) => false,
        Err(error) => {
            assert!(error.is_transient(), "{error}");
            error.trouble() == Some(Trouble::ClusterDown)
        }
    })
    .await;
    redis.nodes[0].restart(&[]);
    until(async || producer.push(QUEUE, jobs(1)).await.is_ok()).await;
}

#[tokio::test]
async fn workers_follow_a_slot_that_moves_to_another_node() {
    let redis = Cluster::start(0, PATIENT, &[]).await;
    let trial = trial_on(&redis, 0).await;
    let (jobs, keyslot) = (trial.key("jobs"), format!("CLUSTER KEYSLOT {}", trial.key("jobs")));
    let slot: u16 = redis.nodes[0].ask(&keyslot).await.unwrap();
    let load = Load::start(trial).await;
    move_slot(&redis, slot).await.unwrap();
    assert_eq!(redis.master_of(&jobs).await, 1);
    load.goes_on().await;
    load.ends_well().await;
}

/// From the first node to the second one, as redis-cli does it.
async fn move_slot(redis: &Cluster, slot: u16) -> RedisResult<()> {
    let [from, to, ..] = redis.nodes.as_slice() else { panic!("a cluster has several nodes") };
    let (source, target): (String, String) = (from.ask("CLUSTER MYID").await?, to.ask("CLUSTER MYID").await?);
    let _: String = to.ask(&format!("CLUSTER SETSLOT {slot} IMPORTING {source}")).await?;
    let _: String = from.ask(&format!("CLUSTER SETSLOT {slot} MIGRATING {target}")).await?;
    loop {
        let keys: Vec<String> = from.ask(&format!("CLUSTER GETKEYSINSLOT {slot} 1")).await?;
        let Some(key) = keys.first() else { break };
        let _: String = from.ask(&format!("MIGRATE 127.0.0.1 {} {key} 0 5000", to.port)).await?;
    }
    for node in [to, from, &redis.nodes[2]] {
        let _: String = node.ask(&format!("CLUSTER SETSLOT {slot} NODE {target}")).await?;
    }
    Ok(())
}

/// What is known of the cluster at the start may be out of date, and one seed that answers is enough.
#[tokio::test]
async fn one_seed_that_answers_is_enough() {
    let redis = Cluster::start(0, PATIENT, &[]).await;
    let server: Server = format!("redis+cluster://127.0.0.1:1,127.0.0.1:{}", redis.nodes[2].port).parse().unwrap();
    for name in ["one", "two", "three", "four", "five"] {
        let engine = Engine::new(server.clone(), name);
        assert_eq!(engine.producer().push(QUEUE, jobs(1)).await.unwrap(), [Pushed::Stored]);
        assert_eq!(engine.inspector().counts(QUEUE).await.unwrap().ready_total(), 1);
        assert_eq!(engine.inspector().counts("empty").await.unwrap(), Counts::default());
    }
    let ids = server.connection().run_id().await.unwrap();
    assert_eq!(ids.split(',').count(), MASTERS, "each master's data may be lost by itself");
}

/// A trial whose queue is served by this node.
async fn trial_on(redis: &Cluster, node: usize) -> Trial {
    loop {
        let trial = Trial::on(&redis.url()).await;
        if redis.master_of(&trial.key("jobs")).await == node {
            return trial;
        }
    }
}
