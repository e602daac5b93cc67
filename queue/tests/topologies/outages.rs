//! Redis loads, is full, hangs, or never answers.

use std::time::Duration;

use bellwork_queue::{Engine, Error, Producer, Pushed, Server, Trouble};
use bellwork_testkit::DEADLINE;
use bellwork_testkit::program::Signal;
use bellwork_testkit::redis_server::RedisServer;
use tokio::task::JoinHandle;

use crate::support::{QUEUE, Trial, jobs, take, until, within};

const CONNECT: Duration = Duration::from_millis(500);
const RESPONSE: Duration = Duration::from_secs(1);

fn producer(url: &str) -> Producer {
    producer_with(url, CONNECT, RESPONSE)
}

fn producer_with(url: &str, connect: Duration, response: Duration) -> Producer {
    let server: Server = url.parse().unwrap();
    Engine::new(server.with_timeouts(connect, response), "test").producer()
}

/// A push that outlasts every test, by a producer that is more patient than any. One that began later and ends earlier has
/// ended by its own time-out.
fn waits(producer: &Producer) -> JoinHandle<Result<Vec<Pushed>, Error>> {
    let producer = producer.clone();
    tokio::spawn(async move { producer.push(QUEUE, jobs(1)).await })
}

/// Pushes until Redis is in this trouble, and in none but transient ones before.
async fn is_told(producer: &Producer, trouble: Trouble) {
    until(async || match producer.push(QUEUE, jobs(1)).await {
        Ok(_) => false,
        Err(error) => {
            assert!(error.is_transient(), "{error}");
            error.trouble() == Some(trouble)
        }
    })
    .await;
}

async fn is_over(producer: &Producer) {
    until(async || producer.push(QUEUE, jobs(1)).await.is_ok()).await;
}

#[tokio::test]
async fn workers_wait_while_redis_loads() {
    let mut redis = RedisServer::start(&[]).await;
    let trial = Trial::on(&redis.url()).await;
    let (working, mut done) = trial.collect(4).await;
    let fill = "for i = 1, 1000 do redis.call('SET', 'filler:' .. i, i) end";
    let mut connection = redis.connect().await.unwrap();
    let () = redis::cmd("EVAL").arg(fill).arg(0).query_async(&mut connection).await.unwrap();
    let _: String = redis.ask("SAVE").await.unwrap();
    redis.restart(&["--key-load-delay", "1500", "--loading-process-events-interval-bytes", "1024"]);
    let producer = trial.engine.producer();
    is_told(&producer, Trouble::Loading).await;
    is_over(&producer).await;
    take(&mut done, 1).await;
    working.drain().await;
}

#[tokio::test]
async fn workers_go_on_when_a_full_redis_has_room_again() {
    let redis = RedisServer::start(&["--maxmemory-policy", "noeviction"]).await;
    let trial = Trial::on(&redis.url()).await;
    let (working, mut done) = trial.collect(4).await;
    let producer = trial.engine.producer();
    let _: String = redis.ask("CONFIG SET maxmemory 1").await.unwrap();
    is_told(&producer, Trouble::Full).await;
    let _: String = redis.ask("CONFIG SET maxmemory 0").await.unwrap();
    is_over(&producer).await;
    take(&mut done, 1).await;
    working.drain().await;
}

#[tokio::test]
async fn writes_wait_for_replicas_that_are_missing() {
    let redis = RedisServer::start(&["--min-replicas-to-write", "1"]).await;
    let producer = producer(&redis.url());
    is_told(&producer, Trouble::NoReplicas).await;
    let _: String = redis.ask("CONFIG SET min-replicas-to-write 0").await.unwrap();
    is_over(&producer).await;
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_in_time_and_found_again() {
    let redis = RedisServer::start(&[]).await;
    let trial = Trial::on(&redis.url()).await;
    let (working, mut done) = trial.collect(4).await;
    let (producer, patient) = (producer(&redis.url()), producer_with(&redis.url(), DEADLINE, DEADLINE));
    is_over(&producer).await;
    is_over(&patient).await;
    redis.signal(Signal::Stop);
    let waiting = waits(&patient);
    // First it does not answer, and then it cannot be reached.
    for _ in 0..2 {
        let error = within(producer.push(QUEUE, jobs(1))).await.unwrap_err();
        assert_eq!((error.trouble(), error.is_transient()), (Some(Trouble::Away), true), "{error}");
    }
    assert!(!waiting.is_finished());
    redis.signal(Signal::Continue);
    within(waiting).await.unwrap().expect("it has waited long enough");
    is_over(&producer).await;
    let pushed = jobs(5);
    until(async || trial.engine.producer().push(QUEUE, pushed.clone()).await.is_ok()).await;
    take(&mut done, 5).await;
    working.drain().await;
}

/// A connection may be accepted by somebody who says nothing.
#[tokio::test]
async fn a_peer_that_never_answers_is_given_up_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    for url in [
        format!("redis://{address}"),
        format!("rediss://{address}"),
        format!("redis+sentinel://{address}/main"),
        format!("redis+cluster://{address}"),
    ] {
        let waiting = waits(&producer_with(&url, DEADLINE, DEADLINE));
        tokio::task::yield_now().await;
        let error = within(producer(&url).push(QUEUE, jobs(1))).await.unwrap_err();
        assert_eq!((error.trouble(), error.is_transient()), (Some(Trouble::Away), true), "{url}: {error}");
        assert!(!waiting.is_finished(), "{url}");
        waiting.abort();
    }
}

/// At most so many connections at a time: whoever comes later is sent away.
#[tokio::test]
async fn a_server_with_too_many_clients_is_found_again() {
    let redis = RedisServer::start(&[]).await;
    let mut only = redis.connect().await.unwrap();
    let _: String = redis::cmd("CONFIG").arg(&["SET", "maxclients", "1"]).query_async(&mut only).await.unwrap();
    let producer = producer(&redis.url());
    is_told(&producer, Trouble::Away).await;
    drop(only);
    is_over(&producer).await;
}
