//! The master that sentinels name.

use bellwork_queue::{Engine, Pushed, Trouble};
use bellwork_testkit::program::Signal;

use crate::acl::rule;
use crate::deployments::{PATIENT, QUICK, Sentinels};
use crate::failover::Load;
use crate::life::ordinary_life;
use crate::replication::replicated;
use crate::support::{QUEUE, Trial, jobs, until};

#[tokio::test]
async fn workers_live_through_the_death_of_their_master() {
    let mut redis = Sentinels::start(QUICK).await;
    let trial = Trial::on(&redis.url()).await;
    let load = Load::start(trial).await;
    redis.servers[0].kill();
    load.goes_on().await;
    load.ends_well().await;
}

/// Nobody closes the connections to a machine that hangs.
#[tokio::test]
async fn workers_leave_a_master_that_hangs() {
    let redis = Sentinels::start(QUICK).await;
    let trial = Trial::on(&redis.url()).await;
    let load = Load::start(trial).await;
    redis.servers[0].signal(Signal::Stop);
    load.goes_on().await;
    load.ends_well().await;
}

/// By a user with no more rights than the README says.
#[tokio::test]
async fn the_engine_works_on_the_master_that_sentinels_name() {
    let redis = Sentinels::start(PATIENT).await;
    for server in &redis.servers {
        let _: String = server.ask(&rule("worker", "test-", &["+role"])).await.unwrap();
    }
    let url = redis.url().replace("://", "://worker:secret@");
    ordinary_life(&Trial::on(&url).await).await;
    one_sentinel_is_enough(url.rsplit_once(',').unwrap().1).await;
}

async fn one_sentinel_is_enough(last: &str) {
    let reach = |address: String| Engine::new(address.parse().unwrap(), "test-");
    // Nobody listens at the first.
    let engine = reach(format!("redis+sentinel://worker:secret@127.0.0.1:1,{last}"));
    assert_eq!(engine.producer().push(QUEUE, jobs(1)).await.unwrap(), [Pushed::Stored]);
    let engine = reach(format!("redis+sentinel://127.0.0.1:1,{}", last.replace("/main", "/another")));
    let error = engine.producer().push(QUEUE, jobs(1)).await.unwrap_err();
    assert_eq!((error.trouble(), error.is_transient()), (Some(Trouble::NoMaster), true));
    assert!(error.to_string().contains("another"), "{error}");
}

/// The address of a single server may lead to one that is no master any more.
#[tokio::test]
async fn a_replica_is_told_and_left_once_it_is_promoted() {
    let [_master, replica] = replicated().await;
    let engine = Engine::new(replica.url().parse().unwrap(), "test");
    let producer = engine.producer();
    let error = producer.push(QUEUE, jobs(1)).await.unwrap_err();
    assert_eq!((error.trouble(), error.is_transient()), (Some(Trouble::ReadOnly), true), "{error}");
    let _: String = replica.ask("REPLICAOF NO ONE").await.unwrap();
    until(async || producer.push(QUEUE, jobs(1)).await.is_ok()).await;
}
