//! Jobs that processes died of: they run one at a time in each process, wherever they come from.

use std::sync::Arc;
use std::time::Duration;

use bellwork_queue::{Limits, NewJob, Verdict};
use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

use crate::support::{QUEUE, Trial, due_in, jobs, take, until};

/// Pushes jobs as they are after so many deaths, and given back since.
async fn push_survivors(trial: &Trial, all: Vec<NewJob>) {
    let mut redis = trial.redis.clone();
    for job in &all {
        let mut mark = redis::cmd("HSET");
        mark.arg(trial.key("marks")).arg(job.id.as_bytes()).arg("1:2:1");
        let () = mark.query_async(&mut redis).await.unwrap();
    }
    trial.push(all).await;
}

/// Else the third death could take an innocent one with it that had only failed meanwhile.
#[tokio::test]
async fn a_suspect_that_was_tried_again_still_runs_alone() {
    let trial = Trial::new().await;
    push_survivors(&trial, jobs(3)).await;
    let inspector = trial.engine.inspector();
    let (begun, mut running) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let working = trial.work(8, move |_| {
        let (begun, gate) = (begun.clone(), Arc::clone(&opened));
        async move {
            begun.send(()).unwrap();
            gate.acquire().await.unwrap().forget();
            Verdict::Complete
        }
    });
    let working = working.await;
    for left in [2, 1, 0] {
        take(&mut running, 1).await;
        until(|| async { inspector.counts(QUEUE).await.unwrap().suspects == left }).await;
        assert!(running.try_recv().is_err(), "two suspects run");
        gate.add_permits(1);
    }
    working.drain().await;
    assert_eq!(trial.keys().await, ["leases", "state"]);
}

#[tokio::test]
async fn a_suspect_waits_for_a_place_of_its_group_and_others_do_not_wait_for_it() {
    let trial = Trial::new().await;
    let inspector = trial.engine.inspector();
    inspector.limit(QUEUE, &Limits { group_concurrency: Some(1), ..Limits::default() }).await.unwrap();
    let of = |group: &str| NewJob { group: Some(group.to_owned()), ..NewJob::new(Uuid::now_v7(), "payload") };
    let (first, second, other) = (of("one"), of("one"), of("other"));
    let (begun, mut running) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let working = trial.work(8, move |delivery| {
        let (begun, gate) = (begun.clone(), Arc::clone(&opened));
        async move {
            begun.send(delivery.id).unwrap();
            gate.acquire().await.unwrap().forget();
            Verdict::Complete
        }
    });
    let working = working.await;
    trial.push(vec![first.clone()]).await;
    assert_eq!(take(&mut running, 1).await, [first.id]);
    let mut redis = trial.redis.clone();
    let store = |job: &NewJob| trial.push(vec![NewJob { due: due_in(Duration::from_secs(600)), ..job.clone() }]);
    for job in [&second, &other] {
        store(job).await;
        let member = [b"2", job.id.as_bytes().as_slice(), job.group.as_deref().unwrap().as_bytes()].concat();
        let mut take_over = redis::pipe();
        take_over.zrem(trial.key("scheduled"), &member).rpush(trial.key("suspects"), member);
        let () = take_over.query_async(&mut redis).await.unwrap();
    }
    assert_eq!(take(&mut running, 1).await, [other.id]);
    assert_eq!(inspector.counts(QUEUE).await.unwrap().suspects, 1);
    gate.add_permits(3);
    assert_eq!(take(&mut running, 1).await, [second.id]);
    working.drain().await;
    assert_eq!(trial.keys().await, ["leases", "state"]);
}
