//! A queue spread over several sets of keys.

use std::collections::HashSet;
use std::time::Duration;

use bellwork_queue::{Drain, Error, Limits, Listed, NewJob, Place, Priority, Pushed, Removal, Upkeep, Verdict};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::support::{QUEUE, Trial, due_in, job, jobs, take, until, within};

async fn spread() -> Trial {
    let mut trial = Trial::new().await;
    trial.engine = trial.engine.with_partitions(QUEUE, 4).unwrap();
    trial
}

#[tokio::test]
async fn jobs_of_all_partitions_run_and_are_counted_together() {
    let trial = spread().await;
    let all = jobs(1000);
    let outcomes = trial.engine.producer().push(QUEUE, all.clone()).await.unwrap();
    assert_eq!(outcomes, [Pushed::Stored; 1000]);
    let again = [all[..10].to_vec(), jobs(10)].concat();
    let outcomes = trial.engine.producer().push(QUEUE, again).await.unwrap();
    assert_eq!(outcomes, [[Pushed::Known; 10], [Pushed::Stored; 10]].concat(), "in the order of the push");
    assert_eq!(trial.engine.inspector().counts(QUEUE).await.unwrap().ready_total(), 1010);
    let (working, mut done) = trial.collect(20).await;
    let ran: HashSet<Uuid> = take(&mut done, 1010).await.into_iter().collect();
    assert_eq!(ran.len(), 1010);
    working.drain().await;
    let counts = trial.engine.inspector().counts(QUEUE).await.unwrap();
    assert_eq!((counts.ready_total(), counts.running, counts.workers), (0, 0, 0));
}

#[tokio::test]
async fn one_job_is_found_wherever_it_is() {
    let trial = spread().await;
    let inspector = trial.engine.inspector();
    let late: Vec<_> =
        jobs(20).into_iter().map(|job| NewJob { due: due_in(Duration::from_secs(600)), ..job }).collect();
    trial.push(late.clone()).await;
    for job in &late {
        assert_eq!(inspector.locate(QUEUE, job.id).await.unwrap(), Place::Scheduled);
    }
    let mut listed = HashSet::new();
    let mut cursor = None;
    loop {
        let page = inspector.page(QUEUE, Listed::Scheduled, cursor, 3).await.unwrap();
        listed.extend(page.ids);
        let Some(next) = page.next else { break };
        cursor = Some(next.to_string().parse().unwrap());
    }
    assert_eq!(listed, late.iter().map(|job| job.id).collect());
    assert_eq!(inspector.remove(QUEUE, late[7].id).await.unwrap(), Removal::Removed);
    assert_eq!(inspector.remove(QUEUE, late[7].id).await.unwrap(), Removal::Absent);
    let counts = trial.engine.drain(QUEUE, 5, Drain::Scheduled, |_| std::future::ready(Verdict::Complete));
    assert_eq!(counts.await.unwrap().scheduled, 0);
}

#[tokio::test]
async fn pause_and_limits_hold_for_the_whole_queue() {
    let trial = spread().await;
    let inspector = trial.engine.inspector();
    let limits = |most| Limits { concurrency: Some(most), ..Limits::default() };
    let error = inspector.limit(QUEUE, &limits(3)).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { field: "concurrency", .. }), "{error}");
    inspector.limit(QUEUE, &limits(8)).await.unwrap();
    inspector.pause(QUEUE).await.unwrap();
    trial.push(jobs(200)).await;
    let (begun, mut running) = mpsc::unbounded_channel();
    let working = trial.work(50, move |delivery| {
        begun.send(delivery.id).unwrap();
        std::future::pending()
    });
    let working = working.await;
    until(|| async { inspector.counts(QUEUE).await.unwrap().workers == 1 }).await;
    assert!(running.try_recv().is_err(), "nothing runs");
    inspector.resume(QUEUE).await.unwrap();
    take(&mut running, 8).await;
    assert_eq!(inspector.counts(QUEUE).await.unwrap().running, 8);
    working.kill().await;
}

#[tokio::test]
async fn a_batch_and_a_group_stay_together() {
    let trial = spread().await;
    let callback = NewJob::new(Uuid::now_v7(), "callback");
    let producer = trial.engine.producer();
    producer.push_batch(QUEUE, Uuid::now_v7(), jobs(50), callback.clone()).await.unwrap();
    let (working, mut done) = trial.collect(10).await;
    assert_eq!(take(&mut done, 51).await[50], callback.id);
    let group: Vec<_> = (0..100).map(|_| NewJob { group: Some("school 7".into()), ..job(Priority::Normal) }).collect();
    working.drain().await;
    trial.push(group.clone()).await;
    let (working, mut done) = trial.collect(1).await;
    assert_eq!(take(&mut done, 100).await, group.iter().map(|job| job.id).collect::<Vec<_>>());
    working.drain().await;
}

#[tokio::test]
async fn jobs_of_a_dead_process_come_back_in_every_partition() {
    let trial = spread().await;
    trial.push(jobs(40)).await;
    let (begun, mut running) = mpsc::unbounded_channel();
    let working = trial.work(40, move |delivery| {
        begun.send(delivery.id).unwrap();
        std::future::pending()
    });
    let working = working.await;
    take(&mut running, 40).await;
    working.kill().await;
    let mut upkeep = Upkeep::new(&trial.engine, QUEUE).unwrap();
    within(async {
        let mut taken = 0;
        while taken < 40 {
            taken += upkeep.recover().await.unwrap().taken;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    let (working, mut done) = trial.collect(40).await;
    take(&mut done, 40).await;
    working.drain().await;
}
