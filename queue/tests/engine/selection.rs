//! Which job runs next.

use std::collections::HashMap;
use std::time::Duration;

use bellwork_queue::{Limits, NewJob, Order, Priority, Verdict};
use tokio::sync::mpsc;

use crate::support::{QUEUE, Trial, due_in, job, jobs, take};

/// Claims one job at a time, so that the order of completion is the order of selection.
async fn order_of(trial: &Trial, count: usize) -> Vec<Priority> {
    order_of_many(trial, 1, count).await
}

async fn order_of_many(trial: &Trial, at_a_time: usize, count: usize) -> Vec<Priority> {
    let (done, mut order) = mpsc::unbounded_channel();
    let working = trial.work(at_a_time, move |delivery| {
        done.send(delivery.payload[0]).unwrap();
        std::future::ready(Verdict::Complete)
    });
    let working = working.await;
    let order = take(&mut order, count).await;
    working.drain().await;
    order.into_iter().map(|rank| Priority::try_from(i16::from(rank)).unwrap()).collect()
}

fn of(priority: Priority, count: usize) -> Vec<NewJob> {
    (0..count).map(|_| NewJob { payload: vec![priority as u8].into(), ..job(priority) }).collect()
}

#[tokio::test]
async fn critical_jobs_go_first_and_the_others_share_by_weight() {
    let trial = Trial::new().await;
    for priority in [Priority::Low, Priority::Normal, Priority::High, Priority::Critical] {
        trial.push(of(priority, 100)).await;
    }
    let order = order_of(&trial, 400).await;
    assert!(order[..100].iter().all(|priority| *priority == Priority::Critical));
    let mut shares: HashMap<Priority, usize> = HashMap::new();
    for priority in &order[100..200] {
        *shares.entry(*priority).or_default() += 1;
    }
    assert_eq!(shares, HashMap::from([(Priority::High, 60), (Priority::Normal, 30), (Priority::Low, 10)]));
}

#[tokio::test]
async fn low_jobs_move_under_a_flood_of_high_ones() {
    let trial = Trial::new().await;
    trial.push(of(Priority::High, 1000)).await;
    trial.push(of(Priority::Low, 5)).await;
    let order = order_of(&trial, 100).await;
    assert_eq!(order.iter().filter(|priority| **priority == Priority::Low).count(), 5);
}

/// An endless flood of critical jobs leaves one turn in ten, once it has gone on for a while.
#[tokio::test]
async fn low_jobs_move_under_a_flood_of_critical_and_high_ones() {
    for at_a_time in [1, 50] {
        let trial = Trial::new().await;
        trial.push(of(Priority::Critical, 3000)).await;
        trial.push(of(Priority::High, 1000)).await;
        trial.push(of(Priority::Low, 5)).await;
        let mut begin = redis::cmd("HSET");
        begin.arg(trial.key("state")).arg("rushing_since").arg(1);
        let () = begin.query_async(&mut trial.redis.clone()).await.unwrap();
        let order = order_of_many(&trial, at_a_time, 1300).await;
        let count = |priority| order.iter().filter(|other| **other == priority).count();
        assert_eq!(count(Priority::Low), 5, "at {at_a_time} a time");
        assert!((1050..=1250).contains(&count(Priority::Critical)), "{} critical ones", count(Priority::Critical));
    }
}

#[tokio::test]
async fn a_short_rush_of_critical_jobs_goes_before_everything() {
    let trial = Trial::new().await;
    trial.push(of(Priority::High, 300)).await;
    for _ in 0..2 {
        trial.push(of(Priority::Critical, 500)).await;
        let order = order_of(&trial, 505).await;
        assert!(order[..500].iter().all(|priority| *priority == Priority::Critical));
    }
}

#[tokio::test]
async fn a_strict_queue_runs_a_priority_only_when_those_above_are_empty() {
    let trial = Trial::new().await;
    let limits = Limits { order: Order::Strict, ..Limits::default() };
    trial.engine.inspector().limit(QUEUE, &limits).await.unwrap();
    for priority in [Priority::Low, Priority::Normal, Priority::High, Priority::Critical] {
        trial.push(of(priority, 150)).await;
    }
    let order = order_of(&trial, 600).await;
    assert!(order.is_sorted(), "{order:?}");
}

#[tokio::test]
async fn priorities_share_as_they_were_told() {
    let trial = Trial::new().await;
    let order = Order::Weighted { high: 1, normal: 1, low: 2 };
    trial.engine.inspector().limit(QUEUE, &Limits { order, ..Limits::default() }).await.unwrap();
    for priority in [Priority::Low, Priority::Normal, Priority::High] {
        trial.push(of(priority, 100)).await;
    }
    let order = order_of(&trial, 40).await;
    assert_eq!(order.iter().filter(|priority| **priority == Priority::Low).count(), 20);
}

#[tokio::test]
async fn a_turn_that_a_priority_cannot_use_goes_to_the_others() {
    let trial = Trial::new().await;
    trial.push(of(Priority::Low, 30)).await;
    let order = order_of(&trial, 30).await;
    assert_eq!(order.len(), 30);
}

#[tokio::test]
async fn jobs_of_one_priority_run_in_the_order_of_their_push() {
    let trial = Trial::new().await;
    let all = jobs(500);
    trial.push(all.clone()).await;
    let (working, mut done) = trial.collect(1).await;
    assert_eq!(take(&mut done, 500).await, all.iter().map(|job| job.id).collect::<Vec<_>>());
    working.drain().await;
}

/// The stock backend stops for ever at 8,000.
#[tokio::test]
async fn twenty_thousand_jobs_due_at_one_instant_all_run() {
    let trial = Trial::new().await;
    let due = due_in(Duration::from_secs(600));
    let all: Vec<_> = jobs(20_000).into_iter().map(|job| NewJob { due, ..job }).collect();
    trial.push(all).await;
    assert_eq!(trial.engine.inspector().counts(QUEUE).await.unwrap().scheduled, 20_000);
    // Their time has come.
    let mut come = redis::cmd("ZUNIONSTORE");
    come.arg(trial.key("scheduled")).arg(1).arg(trial.key("scheduled")).arg("WEIGHTS").arg(0);
    assert_eq!(come.query_async::<u64>(&mut trial.redis.clone()).await.unwrap(), 20_000);
    let (working, mut done) = trial.collect(200).await;
    take(&mut done, 20_000).await;
    working.drain().await;
    assert_eq!(trial.keys().await, ["leases", "state"]);
}

/// As a newer version may have written it: Redis must not look for turns that never come.
#[tokio::test]
async fn an_order_that_cannot_be_read_is_the_usual_one() {
    let trial = Trial::new().await;
    for order in ["", "fair", "12"] {
        let mut set = redis::cmd("HSET");
        set.arg(trial.key("state")).arg("order").arg(order);
        let () = set.query_async(&mut trial.redis.clone()).await.unwrap();
        trial.push(vec![job(Priority::Normal), job(Priority::Low)]).await;
        let (working, mut done) = trial.collect(1).await;
        take(&mut done, 2).await;
        working.drain().await;
    }
}
