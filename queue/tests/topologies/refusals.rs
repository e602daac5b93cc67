//! Redis answers, and refuses to write: nobody dies of that, and nothing runs twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bellwork_queue::{DEAD_AFTER, Upkeep, Verdict};
use bellwork_testkit::redis_server::RedisServer;
use redis::aio::MultiplexedConnection;
use tokio::sync::{Semaphore, mpsc};

use crate::support::{QUEUE, Trial, jobs, take, until};

/// Longer than the silence of a dead process.
const LONG: Duration = Duration::from_secs(DEAD_AFTER.as_secs() + 2);
/// So long an observer watches before it judges.
const WATCH: Duration = Duration::from_secs(5);

/// Three jobs run on while Redis refuses writes for a long time, and upkeep looks for the dead all along.
async fn nothing_is_taken_while(refuse: &str, allow: &str) {
    let redis = RedisServer::start(&["--maxmemory-policy", "noeviction"]).await;
    let trial = Trial::on(&redis.url()).await;
    let (begun, mut running) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let working = trial.work(5, move |delivery| {
        let (begun, gate) = (begun.clone(), Arc::clone(&gate));
        async move {
            begun.send(delivery.marks.deaths).unwrap();
            gate.acquire().await.unwrap().forget();
            Verdict::Complete
        }
    });
    let working = working.await;
    trial.push(jobs(3)).await;
    take(&mut running, 3).await;
    let mut upkeep = Upkeep::new(&trial.engine, QUEUE).unwrap();
    for (command, time) in [(None, WATCH), (Some(refuse), LONG), (Some(allow), WATCH)] {
        if let Some(command) = command {
            let _: String = redis.ask(command).await.unwrap();
        }
        let mut ticks = tokio::time::interval(Duration::from_millis(250));
        let _ = tokio::time::timeout(time, async {
            loop {
                ticks.tick().await;
                let taken = upkeep.recover().await.map_or(0, |recovered| recovered.taken + recovered.buried);
                assert_eq!(taken, 0, "taken from a live process");
            }
        })
        .await;
    }
    go.add_permits(3);
    working.drain().await;
    assert!(running.try_recv().is_err(), "each ran once");
}

#[tokio::test]
async fn jobs_of_the_living_stay_theirs_while_replicas_are_missing() {
    nothing_is_taken_while("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0").await;
}

#[tokio::test]
async fn jobs_of_the_living_stay_theirs_while_redis_is_full() {
    nothing_is_taken_while("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0").await;
}

#[tokio::test]
async fn a_full_redis_is_worked_off() {
    let redis = RedisServer::start(&["--maxmemory-policy", "noeviction"]).await;
    let trial = Trial::on(&redis.url()).await;
    trial.push(jobs(500)).await;
    let _: String = redis.ask("CONFIG SET maxmemory 1").await.unwrap();
    let (working, mut done) = trial.collect(10).await;
    take(&mut done, 500).await;
    until(async || trial.engine.inspector().counts(QUEUE).await.unwrap().running == 0).await;
    working.drain().await;
}

/// Changes the password, and cuts all other connections.
async fn set(held: &mut MultiplexedConnection, password: &str) {
    let mut change = redis::pipe();
    change.cmd("CONFIG").arg("SET").arg("requirepass").arg(password).ignore();
    change.cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes").ignore();
    let () = change.query_async(held).await.unwrap();
}

/// How many calls were refused for want of the password.
async fn refused_calls(held: &mut MultiplexedConnection) -> u64 {
    let info: String = redis::cmd("INFO").arg("errorstats").query_async(held).await.unwrap();
    let count = info.lines().find_map(|line| line.strip_prefix("errorstat_NOAUTH:count="));
    count.map_or(0, |count| count.trim().parse().unwrap())
}

/// The password changes while jobs end, and is mended after a while.
#[tokio::test]
async fn what_ended_while_the_password_was_wrong_does_not_run_again() {
    let redis = RedisServer::start(&[]).await;
    let trial = Trial::on(&redis.url()).await;
    let (runs, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (ran, gate) = (Arc::clone(&runs), Arc::clone(&go));
    let working = trial.work(5, move |_| {
        let (ran, gate) = (Arc::clone(&ran), Arc::clone(&gate));
        async move {
            ran.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.unwrap().forget();
            Verdict::Complete
        }
    });
    let working = working.await;
    trial.push(jobs(3)).await;
    until(async || runs.load(Ordering::SeqCst) == 3).await;
    let mut held = redis.connect().await.unwrap();
    set(&mut held, "other").await;
    go.add_permits(3);
    until(async || trial.engine.inspector().counts(QUEUE).await.is_err()).await;
    let before = refused_calls(&mut held).await;
    until(async || refused_calls(&mut held.clone()).await >= before + 20).await;
    set(&mut held, "").await;
    until(async || trial.engine.inspector().counts(QUEUE).await.is_ok_and(|counts| counts.running == 0)).await;
    working.drain().await;
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    assert_eq!(trial.engine.inspector().counts(QUEUE).await.unwrap().ready_total(), 0);
}
