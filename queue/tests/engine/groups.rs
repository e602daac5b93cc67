//! Fairness between groups, and their limits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwork_queue::{GroupLimits, Limits, NewJob, Place, Priority, Rate, Reason, Removal, Verdict};
use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

use crate::support::{QUEUE, Trial, due_in, job, jobs, take, until, within};

fn of(group: &str, count: usize) -> Vec<NewJob> {
    let job = || NewJob { payload: group.to_owned().into(), group: Some(group.to_owned()), ..job(Priority::Normal) };
    (0..count).map(|_| job()).collect()
}

/// The groups of the next `count` jobs, claimed `at_a_time`.
async fn order_of(trial: &Trial, at_a_time: usize, count: usize) -> Vec<String> {
    let (done, mut order) = mpsc::unbounded_channel();
    let working = trial.work(at_a_time, move |delivery| {
        done.send(String::from_utf8(delivery.payload.to_vec()).unwrap()).unwrap();
        std::future::ready(Verdict::Complete)
    });
    let working = working.await;
    let order = take(&mut order, count).await;
    working.drain().await;
    order
}

fn shares(order: &[String]) -> HashMap<&str, usize> {
    let mut shares = HashMap::new();
    for group in order {
        *shares.entry(group.as_str()).or_default() += 1;
    }
    shares
}

#[tokio::test]
async fn groups_take_turns_whoever_came_first_and_however_many_they_push() {
    let trial = Trial::new().await;
    trial.push(of("flood", 3000)).await;
    trial.push(of("small", 20)).await;
    trial.push(of("other", 20)).await;
    let order = order_of(&trial, 1, 60).await;
    assert_eq!(shares(&order), HashMap::from([("flood", 20), ("small", 20), ("other", 20)]));
    for three in order.chunks(3).skip(1) {
        assert_eq!(shares(three).len(), 3, "{order:?}");
    }
}

#[tokio::test]
async fn a_batch_of_claims_is_shared_as_single_ones_are() {
    let trial = Trial::new().await;
    trial.push(of("flood", 1000)).await;
    trial.push(of("small", 50)).await;
    let order = order_of(&trial, 30, 100).await;
    let small = shares(&order)["small"];
    assert!((45..=50).contains(&small), "{small} of 50 ran among the first 100");
}

#[tokio::test]
async fn jobs_without_a_group_have_turns_as_one_group() {
    let trial = Trial::new().await;
    trial.push(of("flood", 500)).await;
    trial.push(jobs(20)).await;
    let order = order_of(&trial, 1, 40).await;
    let plain = shares(&order)["payload"];
    assert!((19..=20).contains(&plain), "{plain} of the first 40");
}

#[tokio::test]
async fn a_heavier_group_has_more_turns() {
    let trial = Trial::new().await;
    let limits = GroupLimits { weight: 3, concurrency: None, rate: None };
    trial.engine.inspector().limit_group(QUEUE, "school", Some(&limits)).await.unwrap();
    trial.push(of("student", 100)).await;
    trial.push(of("school", 100)).await;
    for at_a_time in [1, 40] {
        let order = order_of(&trial, at_a_time, 80).await;
        let school = shares(&order)["school"];
        assert!((59..=61).contains(&school), "{school} of 80 at {at_a_time} a time");
        trial.push(of("student", 20)).await;
        trial.push(of("school", 60)).await;
    }
}

/// A lane spans chunks, and what is given back stands first again.
#[tokio::test]
async fn the_jobs_of_a_group_run_in_the_order_of_their_push() {
    let trial = Trial::new().await;
    let all = of("one", 1000);
    trial.push(all[..1].to_vec()).await;
    trial.push(all[1..].to_vec()).await;
    let (working, mut done) = trial.collect(7).await;
    let first = take(&mut done, 300).await;
    working.drain().await;
    let mut ran = first;
    while let Ok(id) = done.try_recv() {
        ran.push(id);
    }
    let (working, mut done) = trial.collect(1).await;
    let rest = 1000 - ran.len();
    ran.extend(take(&mut done, rest).await);
    assert_eq!(ran, all.iter().map(|job| job.id).collect::<Vec<_>>());
    working.drain().await;
    assert_eq!(trial.keys().await, ["leases", "state"]);
}

#[tokio::test]
async fn released_jobs_of_a_group_stand_first_in_their_order() {
    let trial = Trial::new().await;
    let all = of("one", 150);
    trial.push(all.clone()).await;
    let (begun, mut running) = mpsc::unbounded_channel();
    let working = trial.work(100, move |delivery| {
        begun.send(delivery.id).unwrap();
        std::future::pending()
    });
    let working = working.await;
    take(&mut running, 100).await;
    working.process.as_ref().unwrap().stop_claiming();
    assert_eq!(working.process.as_ref().unwrap().release_all(Duration::from_secs(5)).await, 100);
    working.kill().await;
    let (working, mut done) = trial.collect(1).await;
    let order = take(&mut done, 150).await;
    assert_eq!(order[100..], all[100..].iter().map(|job| job.id).collect::<Vec<_>>());
    working.drain().await;
    assert!(!trial.keys().await.contains(&"lanes".to_owned()), "nothing of them stays");
}

#[tokio::test]
async fn a_group_runs_no_more_at_a_time_than_it_may_and_others_go_on() {
    let trial = Trial::new().await;
    let inspector = trial.engine.inspector();
    inspector.limit(QUEUE, &Limits { group_concurrency: Some(2), ..Limits::default() }).await.unwrap();
    let (begun, mut running) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let working = trial.work(10, move |delivery| {
        let (begun, gate) = (begun.clone(), Arc::clone(&gate));
        async move {
            begun.send(delivery.payload).unwrap();
            gate.acquire().await.unwrap().forget();
            Verdict::Complete
        }
    });
    let working = working.await;
    let mut all = of("slow", 5);
    let last = all[4].id;
    all.extend(of("other", 2));
    trial.push(all).await;
    let begun: Vec<_> = take(&mut running, 4).await;
    assert_eq!(begun.iter().filter(|group| group.as_ref() == b"slow").count(), 2);
    until(|| async { inspector.counts(QUEUE).await.unwrap().parked_lanes == 1 }).await;
    let waits = inspector.explain(QUEUE, last).await.unwrap().unwrap();
    assert_eq!((waits.place, waits.group.as_deref()), (Place::Ready, Some("slow")));
    assert_eq!(waits.waits_for, [Reason::GroupFull { running: 2, limit: 2 }, Reason::Position(3)]);
    assert!(running.try_recv().is_err(), "a third of the group runs");
    go.add_permits(4);
    assert_eq!(take(&mut running, 2).await, ["slow", "slow"]);
    go.add_permits(3);
    assert_eq!(take(&mut running, 1).await, ["slow"]);
    working.drain().await;
    assert_eq!(trial.keys().await, ["leases", "state"]);
}

#[tokio::test]
async fn a_raised_limit_is_felt_at_once() {
    let trial = Trial::new().await;
    let inspector = trial.engine.inspector();
    let limits = |most| Limits { group_concurrency: Some(most), ..Limits::default() };
    inspector.limit(QUEUE, &limits(1)).await.unwrap();
    let (begun, mut running) = mpsc::unbounded_channel();
    let working = trial.work(10, move |delivery| {
        begun.send(delivery.id).unwrap();
        std::future::pending()
    });
    let working = working.await;
    trial.push(of("one", 4)).await;
    take(&mut running, 1).await;
    until(|| async { inspector.counts(QUEUE).await.unwrap().parked_lanes == 1 }).await;
    inspector.limit(QUEUE, &limits(3)).await.unwrap();
    take(&mut running, 2).await;
    inspector.limit(QUEUE, &Limits::default()).await.unwrap();
    take(&mut running, 1).await;
    working.kill().await;
}

#[tokio::test]
async fn the_queue_runs_no_more_at_a_time_than_it_may_across_processes() {
    let trial = Trial::new().await;
    let inspector = trial.engine.inspector();
    inspector.limit(QUEUE, &Limits { concurrency: Some(3), ..Limits::default() }).await.unwrap();
    let (begun, mut running) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let mut working = Vec::new();
    for _ in 0..2 {
        let (begun, gate) = (begun.clone(), Arc::clone(&go));
        let process = trial.work(5, move |delivery| {
            let (begun, gate) = (begun.clone(), Arc::clone(&gate));
            async move {
                begun.send(delivery.id).unwrap();
                gate.acquire().await.unwrap().forget();
                Verdict::Complete
            }
        });
        working.push(process.await);
    }
    trial.push(jobs(9)).await;
    for ended in 0..=6 {
        take(&mut running, if ended == 0 { 3 } else { 1 }).await;
        until(|| async { inspector.counts(QUEUE).await.unwrap().running == 3 }).await;
        assert!(running.try_recv().is_err(), "a fourth runs");
        go.add_permits(1);
    }
    go.add_permits(2);
    for process in working {
        process.drain().await;
    }
}

/// A hundred a second with a burst of two: the first two at once, each other 10 ms after the one before it. By the polls of
/// an idle worker alone, two every two seconds, it would take ten times the longest that is allowed here.
#[tokio::test]
async fn a_rate_limit_spreads_jobs_and_wastes_no_time() {
    let trial = Trial::new().await;
    let rate = Some(Rate { jobs: 100, per: Duration::from_secs(1), burst: 2 });
    trial.engine.inspector().limit(QUEUE, &Limits { rate, ..Limits::default() }).await.unwrap();
    trial.push(jobs(202)).await;
    let began = Instant::now();
    let (working, mut done) = trial.collect(10).await;
    within(take(&mut done, 202)).await;
    let took = began.elapsed();
    assert!((Duration::from_millis(1980)..Duration::from_secs(20)).contains(&took), "{took:?}");
    working.drain().await;
}

#[tokio::test]
async fn the_rate_limit_of_a_group_holds_up_nobody_else() {
    let trial = Trial::new().await;
    let rate = Some(Rate { jobs: 1, per: Duration::from_secs(600), burst: 2 });
    let inspector = trial.engine.inspector();
    let limits = GroupLimits { weight: 1, concurrency: None, rate };
    inspector.limit_group(QUEUE, "slow", Some(&limits)).await.unwrap();
    let slow = of("slow", 5);
    trial.push(slow.clone()).await;
    trial.push(of("other", 30)).await;
    let order = order_of(&trial, 5, 32).await;
    assert_eq!(shares(&order), HashMap::from([("slow", 2), ("other", 30)]));
    let waits = inspector.explain(QUEUE, slow[2].id).await.unwrap().unwrap().waits_for;
    assert!(waits.iter().any(|reason| matches!(reason, Reason::GroupRate(wait) if wait.as_secs() > 590)), "{waits:?}");
    inspector.limit_group(QUEUE, "slow", None).await.unwrap();
    assert_eq!(order_of(&trial, 5, 3).await.len(), 3);
}

#[tokio::test]
async fn a_removed_job_of_a_group_is_passed_over() {
    let trial = Trial::new().await;
    let all = of("one", 3);
    trial.push(all.clone()).await;
    let inspector = trial.engine.inspector();
    assert_eq!(inspector.remove(QUEUE, all[0].id).await.unwrap(), Removal::Removed);
    assert_eq!(inspector.counts(QUEUE).await.unwrap().ready_total(), 2);
    let (working, mut done) = trial.collect(5).await;
    assert_eq!(take(&mut done, 2).await, [all[1].id, all[2].id]);
    working.drain().await;
    assert_eq!(trial.keys().await, ["leases", "state"]);
}

#[tokio::test]
async fn delayed_and_failed_jobs_keep_their_group() {
    let trial = Trial::new().await;
    let due = due_in(Duration::from_millis(50));
    let late = NewJob { due, ..of("late", 1).remove(0) };
    let (id, inspector) = (late.id, trial.engine.inspector());
    let (seen, mut deliveries) = mpsc::unbounded_channel();
    let working = trial.work(5, move |delivery| {
        seen.send(delivery.marks.failures).unwrap();
        let again = delivery.marks.failures == 0;
        std::future::ready(if again { Verdict::Retry(Duration::from_secs(600)) } else { Verdict::Complete })
    });
    let working = working.await;
    trial.push(vec![late]).await;
    assert_eq!(take(&mut deliveries, 1).await, [0]);
    until(|| async { inspector.locate(QUEUE, id).await.unwrap() == Place::Scheduled }).await;
    assert_eq!(inspector.explain(QUEUE, id).await.unwrap().unwrap().group.as_deref(), Some("late"));
    assert_eq!(inspector.remove(QUEUE, id).await.unwrap(), Removal::Removed);
    assert_eq!(inspector.locate(QUEUE, Uuid::now_v7()).await.unwrap(), Place::Absent);
    working.drain().await;
    assert_eq!(trial.keys().await, ["leases", "state"]);
}

/// Ten thousand groups at their limit are put aside a few hundred at a time, and the one that may run is found.
#[tokio::test]
async fn very_many_groups_at_their_limit_do_not_stop_one_that_may_run() {
    let trial = Trial::new().await;
    let rate = Some(Rate { jobs: 1, per: Duration::from_secs(3600), burst: 1 });
    trial.engine.inspector().limit(QUEUE, &Limits { group_rate: rate, ..Limits::default() }).await.unwrap();
    let group = |number: usize| Some(format!("group {number}"));
    let two_each = (0..20_000).map(|number| NewJob { group: group(number % 10_000), ..job(Priority::Normal) });
    trial.push(two_each.collect()).await;
    let (working, mut done) = trial.collect(100).await;
    take(&mut done, 10_000).await;
    let fresh = NewJob { group: group(10_000), ..job(Priority::Normal) };
    trial.push(vec![fresh.clone()]).await;
    assert_eq!(take(&mut done, 1).await, [fresh.id]);
    working.drain().await;
    assert_eq!(trial.engine.inspector().counts(QUEUE).await.unwrap().ready_total(), 10_000);
}

/// The entry of a removed job, or of one past its deadline, takes the only place of its group, and nothing of it ever runs.
/// With a pause of an idle worker after each it would take minutes.
#[tokio::test]
async fn what_does_not_run_takes_no_place_of_its_group() {
    let trial = Trial::new().await;
    let inspector = trial.engine.inspector();
    inspector.limit(QUEUE, &Limits { group_concurrency: Some(1), ..Limits::default() }).await.unwrap();
    let mut all = of("one", 201);
    for pair in all[..200].chunks_mut(2) {
        pair[1].deadline = Some(1);
    }
    trial.push(all.clone()).await;
    for pair in all[..200].chunks(2) {
        inspector.remove(QUEUE, pair[0].id).await.unwrap();
    }
    let (working, mut done) = trial.collect(5).await;
    assert_eq!(take(&mut done, 1).await, [all[200].id]);
    working.drain().await;
}

/// Nothing that a caller may name is a name of the scripts' own.
#[tokio::test]
async fn a_group_may_have_any_name_that_is_accepted() {
    let trial = Trial::new().await;
    let names = ["-".repeat(65), "@".to_owned(), "0".to_owned(), "\u{1}".repeat(65), "ü".repeat(50)];
    for name in names {
        let job = NewJob { group: Some(name.clone()), ..job(Priority::Normal) };
        trial.push(vec![job.clone()]).await;
        let (working, mut done) = trial.collect(5).await;
        assert_eq!(take(&mut done, 1).await, [job.id], "{name:?}");
        working.drain().await;
    }
}
