//! Push, delay, retry, snooze, remove: the life of a job.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bellwork_queue::{Error, Limits, MAX_PAYLOAD, NewJob, Past, Place, Priority, Pushed, Removal, Verdict};
use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

use crate::support::{QUEUE, Trial, due_in, job, jobs, take, until, within};

#[tokio::test]
async fn a_job_is_stored_once_per_id_and_nothing_of_it_stays() {
    let trial = Trial::new().await;
    let jobs = jobs(3);
    assert_eq!(trial.push(jobs.clone()).await, 3);
    assert_eq!(trial.push(jobs.clone()).await, 0, "the ids are known");

    let (working, mut done) = trial.collect(10).await;
    let ids: HashSet<_> = take(&mut done, 3).await.into_iter().collect();
    assert_eq!(ids, jobs.iter().map(|job| job.id).collect());

    working.drain().await;
    assert!(done.try_recv().is_err(), "each ran once");
    assert_eq!(trial.keys().await, ["leases", "state"], "only the last token and the sentinel stay");
    let fields: usize =
        redis::cmd("HLEN").arg(trial.key("leases")).query_async(&mut trial.redis.clone()).await.unwrap();
    assert_eq!(fields, 1, "the sentinel");
}

#[tokio::test]
async fn many_callers_push_at_once_and_each_waits_for_its_own() {
    let trial = Trial::new().await;
    let producer = trial.engine.producer();
    let pushes = (0..200).map(|_| producer.push(QUEUE, vec![job(Priority::Normal)]));
    let stored = futures_util::future::join_all(pushes).await;
    assert!(stored.into_iter().all(|stored| stored.unwrap() == [Pushed::Stored]));
    assert_eq!(trial.engine.inspector().counts(QUEUE).await.unwrap().ready_total(), 200);
}

#[tokio::test]
async fn what_cannot_be_pushed_is_named_and_nothing_is_pushed() {
    let trial = Trial::new().await;
    let producer = trial.engine.producer();
    let large = NewJob { payload: vec![b'x'; MAX_PAYLOAD + 1].into(), ..job(Priority::Normal) };
    let error = producer.push(QUEUE, vec![job(Priority::Normal), large]).await.unwrap_err();
    assert!(matches!(error, Error::PayloadTooLarge { bytes, .. } if bytes == MAX_PAYLOAD + 1), "{error}");
    let error = producer.push("a{b}", jobs(1)).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { field: "queue", .. }), "{error}");
    let far = NewJob { due: due_in(Duration::from_secs(11 * 366 * 24 * 3600)), ..job(Priority::Normal) };
    let error = producer.push(QUEUE, vec![far]).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { field: "due", .. }), "{error}");
    assert!(trial.keys().await.is_empty());
}

/// The time between the jobs of [`each_in_its_time`].
const APART: Duration = Duration::from_millis(500);

/// Whether each of three delayed jobs ran before the next was due. None runs before it is due itself.
async fn each_in_its_time(trial: &Trial, done: &mut mpsc::UnboundedReceiver<Uuid>) -> bool {
    let delayed: Vec<_> = (1..=3).map(|n| NewJob { due: due_in(APART * n), ..job(Priority::Normal) }).collect();
    trial.push(delayed.clone()).await;
    let mut in_time = true;
    for _ in &delayed {
        let id = take(done, 1).await[0];
        let now = due_in(Duration::ZERO).unwrap();
        let due = delayed.iter().find(|job| job.id == id).unwrap().due.unwrap();
        assert!(now >= due, "it ran {} ms before its time", due - now);
        in_time &= now - due < i64::try_from(APART.as_millis()).unwrap();
    }
    in_time
}

/// An idle worker that only polled, every two seconds, would be late for two of three at the least.
#[tokio::test]
async fn a_delayed_job_runs_at_its_time_and_not_before() {
    let trial = Trial::new().await;
    let far = NewJob { due: due_in(Duration::from_secs(600)), ..job(Priority::Normal) };
    trial.push(vec![far.clone()]).await;
    assert_eq!(trial.engine.inspector().locate(QUEUE, far.id).await.unwrap(), Place::Scheduled);
    let (working, mut done) = trial.collect(10).await;
    within(async { while !each_in_its_time(&trial, &mut done).await {} }).await;
    working.drain().await;
}

#[tokio::test]
async fn a_failed_job_comes_back_charged_and_a_snoozed_one_uncharged() {
    let trial = Trial::new().await;
    let (seen, mut deliveries) = mpsc::unbounded_channel();
    let working = trial.work(10, move |delivery| {
        let seen = seen.clone();
        async move {
            seen.send((delivery.id, delivery.marks)).unwrap();
            match (delivery.payload.as_ref(), delivery.marks.failures, delivery.marks.releases) {
                (b"fails", 0 | 1, _) => Verdict::Retry(Duration::from_millis(20)),
                (b"waits", _, 0) => Verdict::Snooze(Duration::from_millis(20)),
                _ => Verdict::Complete,
            }
        }
    });
    let working = working.await;
    for payload in ["fails", "waits"] {
        trial.push(vec![NewJob { payload: payload.into(), ..job(Priority::Normal) }]).await;
    }
    let mut marks: Vec<_> = take(&mut deliveries, 5).await.into_iter().map(|(_, marks)| marks).collect();
    marks.sort_by_key(|marks| (marks.failures, marks.releases));
    let numbers: Vec<_> = marks.iter().map(|marks| (marks.failures, marks.deaths, marks.releases)).collect();
    assert_eq!(numbers, [(0, 0, 0), (0, 0, 0), (0, 0, 1), (1, 0, 0), (2, 0, 0)]);
    working.drain().await;
    assert!(!trial.keys().await.contains(&"marks".to_owned()), "nothing stays");
}

#[tokio::test]
async fn a_removed_job_does_not_run_and_can_be_pushed_again() {
    let trial = Trial::new().await;
    let inspector = trial.engine.inspector();
    let (keep, drop) = (job(Priority::Normal), job(Priority::Normal));
    trial.push(vec![drop.clone(), keep.clone()]).await;
    assert_eq!(inspector.remove(QUEUE, drop.id).await.unwrap(), Removal::Removed);
    assert_eq!(inspector.remove(QUEUE, drop.id).await.unwrap(), Removal::Absent);
    assert_eq!(inspector.counts(QUEUE).await.unwrap().ready_total(), 1);
    assert_eq!(inspector.locate(QUEUE, drop.id).await.unwrap(), Place::Absent);

    assert_eq!(trial.push(vec![drop.clone()]).await, 1, "it is new again");
    let (working, mut done) = trial.collect(10).await;
    let ran: HashSet<Uuid> = take(&mut done, 2).await.into_iter().collect();
    assert_eq!(ran, HashSet::from([keep.id, drop.id]));
    working.drain().await;
    assert!(done.try_recv().is_err(), "each ran once");
}

#[tokio::test]
async fn a_removed_job_is_passed_over_by_a_claim() {
    let trial = Trial::new().await;
    let inspector = trial.engine.inspector();
    let all = jobs(3);
    trial.push(all.clone()).await;
    inspector.remove(QUEUE, all[0].id).await.unwrap();
    let (working, mut done) = trial.collect(10).await;
    assert_eq!(take(&mut done, 2).await, [all[1].id, all[2].id]);
    working.drain().await;
    assert!(done.try_recv().is_err());
    assert_eq!(trial.keys().await, ["leases", "state"], "the tombstone went with the claim");
}

#[tokio::test]
async fn a_running_job_cannot_be_removed() {
    let trial = Trial::new().await;
    let (begun, mut running) = mpsc::unbounded_channel();
    let working = trial.work(1, move |delivery| {
        begun.send(delivery.id).unwrap();
        std::future::pending()
    });
    let working = working.await;
    trial.push(jobs(1)).await;
    let id = take(&mut running, 1).await[0];
    let inspector = trial.engine.inspector();
    assert_eq!(inspector.remove(QUEUE, id).await.unwrap(), Removal::Running);
    assert_eq!(inspector.locate(QUEUE, id).await.unwrap(), Place::Leased);
    let counts = inspector.counts(QUEUE).await.unwrap();
    assert_eq!((counts.running, counts.workers, counts.ready_total()), (1, 1, 0));
    working.kill().await;
}

#[tokio::test]
async fn a_paused_queue_keeps_its_jobs_until_it_is_resumed() {
    let trial = Trial::new().await;
    let inspector = trial.engine.inspector();
    inspector.pause(QUEUE).await.unwrap();
    let (working, mut done) = trial.collect(10).await;
    trial.push(jobs(5)).await;
    until(|| async { inspector.counts(QUEUE).await.unwrap().workers == 1 }).await;
    let counts = inspector.counts(QUEUE).await.unwrap();
    assert_eq!((counts.paused, counts.ready_total(), counts.running), (true, 5, 0));
    assert!(counts.oldest_ready_ms.is_some());
    assert!(done.try_recv().is_err(), "nothing runs");
    inspector.resume(QUEUE).await.unwrap();
    take(&mut done, 5).await;
    working.drain().await;
}

#[tokio::test]
async fn one_process_runs_as_many_at_a_time_as_it_was_told() {
    let trial = Trial::new().await;
    let places = Arc::new(Semaphore::new(0));
    let (begun, mut running) = mpsc::unbounded_channel();
    let go = Arc::clone(&places);
    let working = trial.work(3, move |delivery| {
        let (begun, go) = (begun.clone(), Arc::clone(&go));
        async move {
            begun.send(delivery.id).unwrap();
            go.acquire().await.unwrap().forget();
            Verdict::Complete
        }
    });
    let working = working.await;
    trial.push(jobs(10)).await;
    for ended in 0..=7 {
        take(&mut running, if ended == 0 { 3 } else { 1 }).await;
        let inspector = trial.engine.inspector();
        until(|| async { inspector.counts(QUEUE).await.unwrap().running == 3 }).await;
        assert!(running.try_recv().is_err(), "a fourth runs");
        places.add_permits(1);
    }
    places.add_permits(2);
    working.drain().await;
}

/// A claim that meets only removed jobs goes on at once: with a pause of an idle worker after each it would take minutes.
#[tokio::test]
async fn removed_jobs_do_not_hold_up_those_behind_them() {
    let trial = Trial::new().await;
    let all = jobs(401);
    trial.push(all.clone()).await;
    for job in &all[..400] {
        trial.engine.inspector().remove(QUEUE, job.id).await.unwrap();
    }
    let (working, mut done) = trial.collect(2).await;
    assert_eq!(take(&mut done, 1).await, [all[400].id]);
    working.drain().await;
}

/// Claims under way when a process is told to stop are not forgotten.
#[tokio::test]
async fn a_drain_under_load_leaves_no_lease_behind() {
    let trial = Trial::new().await;
    trial.push(jobs(20_000)).await;
    for _ in 0..10 {
        let (working, mut done) = trial.collect(50).await;
        take(&mut done, 200).await;
        working.drain().await;
        let counts = trial.engine.inspector().counts(QUEUE).await.unwrap();
        assert_eq!((counts.running, counts.workers), (0, 0));
    }
}

#[tokio::test]
async fn a_job_that_may_have_run_before_is_delivered_as_such() {
    let trial = Trial::new().await;
    let (seen, mut deliveries) = mpsc::unbounded_channel();
    let working = trial.work(10, move |delivery| {
        seen.send((delivery.id, delivery.marks.seen_before())).unwrap();
        std::future::ready(Verdict::Complete)
    });
    let working = working.await;
    let (new, again) = (job(Priority::Normal), NewJob { past: Past::Unknown, ..job(Priority::Normal) });
    trial.push(vec![new.clone(), again.clone()]).await;
    assert_eq!(take(&mut deliveries, 2).await, [(new.id, false), (again.id, true)]);
    working.drain().await;
    assert_eq!(trial.keys().await, ["leases", "state"]);
}

/// One of two may run: each claim asks for more than it may have, and what it gets is removed. With a pause of an idle
/// worker after each it would take minutes.
#[tokio::test]
async fn removed_jobs_do_not_hold_up_a_queue_that_is_almost_full() {
    let trial = Trial::new().await;
    let inspector = trial.engine.inspector();
    inspector.limit(QUEUE, &Limits { concurrency: Some(2), ..Limits::default() }).await.unwrap();
    let (begun, mut running) = mpsc::unbounded_channel();
    let working = trial.work(5, move |delivery| {
        begun.send(delivery.id).unwrap();
        std::future::pending()
    });
    let working = working.await;
    trial.push(jobs(1)).await;
    take(&mut running, 1).await;
    inspector.pause(QUEUE).await.unwrap();
    let all = jobs(201);
    trial.push(all.clone()).await;
    for job in &all[..200] {
        inspector.remove(QUEUE, job.id).await.unwrap();
    }
    inspector.resume(QUEUE).await.unwrap();
    assert_eq!(take(&mut running, 1).await, [all[200].id]);
    working.kill().await;
}
