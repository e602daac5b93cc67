//! Draining a queue by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bellwork_queue::{Drain, GroupLimits, NewJob, Rate, Verdict};
use uuid::Uuid;

use crate::support::{QUEUE, Trial, due_in, jobs};

#[tokio::test]
async fn a_drain_runs_what_is_ready_and_what_that_pushes() {
    let trial = Trial::new().await;
    trial.push(jobs(300)).await;
    let later = NewJob { due: due_in(Duration::from_secs(600)), ..NewJob::new(Uuid::now_v7(), "later") };
    trial.push(vec![later]).await;
    let (producer, runs) = (trial.engine.producer(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&runs);
    let counts = trial.engine.drain(QUEUE, 20, Drain::Ready, move |delivery| {
        let (producer, first) = (producer.clone(), counted.fetch_add(1, Ordering::Relaxed) == 0);
        async move {
            if first {
                producer.push(QUEUE, jobs(5)).await.unwrap();
            }
            drop(delivery);
            Verdict::Complete
        }
    });
    let counts = counts.await.unwrap();
    assert_eq!((runs.load(Ordering::Relaxed), counts.ready_total(), counts.scheduled), (305, 0, 1));
}

#[tokio::test]
async fn a_drain_of_scheduled_jobs_waits_for_no_retry() {
    let trial = Trial::new().await;
    let far = due_in(Duration::from_secs(600));
    trial.push(jobs(450).into_iter().map(|job| NewJob { due: far, ..job }).collect()).await;
    let counts = trial.engine.drain(QUEUE, 20, Drain::Scheduled, |delivery| {
        let again = delivery.marks.failures < 3;
        std::future::ready(if again { Verdict::Retry(Duration::from_secs(600)) } else { Verdict::Complete })
    });
    let counts = counts.await.unwrap();
    assert_eq!((counts.ready_total(), counts.scheduled, counts.dead), (0, 0, 0));
    assert_eq!(trial.keys().await, ["leases", "state"]);
}

#[tokio::test]
async fn a_drain_of_a_paused_queue_ends_with_what_is_left() {
    let trial = Trial::new().await;
    trial.engine.inspector().pause(QUEUE).await.unwrap();
    trial.push(jobs(3)).await;
    let counts = trial.engine.drain(QUEUE, 5, Drain::Ready, |_| std::future::ready(Verdict::Complete)).await.unwrap();
    assert_eq!((counts.ready_total(), counts.running), (3, 0));
}

#[tokio::test]
async fn a_drain_runs_what_is_not_at_a_limit() {
    let trial = Trial::new().await;
    let rate = Some(Rate { jobs: 1, per: Duration::from_secs(3600), burst: 1 });
    let slow = GroupLimits { weight: 1, concurrency: None, rate };
    trial.engine.inspector().limit_group(QUEUE, "slow", Some(&slow)).await.unwrap();
    let member = || NewJob { group: Some("slow".into()), ..NewJob::new(Uuid::now_v7(), "") };
    trial.push(vec![member(), member()]).await;
    for _ in 0..2 {
        let done = |_| std::future::ready(Verdict::Complete);
        let counts = trial.engine.drain(QUEUE, 5, Drain::Ready, done).await.unwrap();
        assert_eq!((counts.ready_total(), counts.parked_lanes), (1, 1));
        trial.push(jobs(20)).await;
    }
}
