//! The third version of Redis's protocol.

use bellwork_testkit::redis_server::RedisServer;

use crate::acl::rule;
use crate::deployments::{Cluster, PATIENT};
use crate::life::ordinary_life;
use crate::support::Trial;

#[tokio::test]
async fn the_engine_works_over_resp3() {
    let redis = RedisServer::start(&[]).await;
    ordinary_life(&Trial::on(&format!("{}?protocol=resp3", redis.url())).await).await;
}

/// By a user with no more rights than the README says.
#[tokio::test]
async fn the_engine_works_on_a_cluster_over_resp3() {
    let redis = Cluster::start(0, PATIENT, &[]).await;
    for node in &redis.nodes {
        let _: String = node.ask(&rule("worker", "test-", &["+cluster|slots", "+asking"])).await.unwrap();
    }
    let url = redis.url().replace("://", "://worker:secret@");
    ordinary_life(&Trial::on(&format!("{url}?protocol=resp3")).await).await;
}
