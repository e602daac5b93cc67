//! What an engine does in its life, through every script, to be lived on each topology.

use std::time::{Duration, Instant};

use bellwork_queue::{
    Conflict, GroupLimits, Hold, Limits, Listed, Marks, NewJob, Past, Place, Rate, Removal, UPKEEP_EVERY, Unique,
    Upkeep, Verdict,
};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::support::{QUEUE, Trial, due_in, jobs, take, until, within};

/// Claimers poll every two seconds: what is faster was woken.
const AT_ONCE: Duration = Duration::from_secs(1);

pub(crate) async fn whole_life(trial: &Trial) {
    ordinary_life(trial).await;
    recover(trial).await;
}

/// Without the death of a process, which takes its time.
pub(crate) async fn ordinary_life(trial: &Trial) {
    end_in_each_way(trial).await;
    steer(trial).await;
    use_everything(trial).await;
    wake_up(trial).await;
}

/// A failed, a snoozed, a delayed, a buried and an ordinary job.
async fn end_in_each_way(trial: &Trial) {
    let (ran, mut runs) = mpsc::unbounded_channel();
    let working = trial.work(4, move |delivery| {
        let first = delivery.marks == Marks::default();
        let kind = delivery.payload.clone();
        ran.send((kind.clone(), delivery.marks)).unwrap();
        std::future::ready(match &*kind {
            b"retry" if first => Verdict::Retry(Duration::from_millis(10)),
            b"snooze" if first => Verdict::Snooze(Duration::from_millis(10)),
            b"bury" => Verdict::Bury("{}".to_owned()),
            _ => Verdict::Complete,
        })
    });
    let working = working.await;
    let mut all = jobs(5);
    for (job, kind) in all.iter_mut().zip(["retry", "snooze", "bury", "seen", "delayed"]) {
        job.payload = kind.into();
    }
    all[3].past = Past::Unknown;
    all[4].due = due_in(Duration::from_millis(100));
    assert_eq!(trial.push(all.clone()).await, 5);
    take(&mut runs, 7).await;
    working.drain().await;
    assert_eq!(trial.push(all[2..3].to_vec()).await, 0, "the buried one is still there");
    let counts = trial.engine.inspector().counts(QUEUE).await.unwrap();
    assert_eq!((counts.running, counts.ready_total(), counts.scheduled, counts.dead), (0, 0, 0, 1));
    assert_eq!(Upkeep::new(&trial.engine, QUEUE).unwrap().dead_letters().await.unwrap()[0].payload, b"bury");
    assert_eq!(trial.engine.inspector().remove(QUEUE, all[2].id).await.unwrap(), Removal::Removed);
}

async fn steer(trial: &Trial) {
    let inspector = trial.engine.inspector();
    let all = jobs(2);
    trial.push(all.clone()).await;
    assert_eq!(inspector.locate(QUEUE, all[0].id).await.unwrap(), Place::Ready);
    assert_eq!(inspector.remove(QUEUE, all[0].id).await.unwrap(), Removal::Removed);
    inspector.pause(QUEUE).await.unwrap();
    let (working, mut done) = trial.collect(1).await;
    until(async || inspector.counts(QUEUE).await.unwrap().workers == 1).await;
    assert!(done.try_recv().is_err());
    inspector.resume(QUEUE).await.unwrap();
    assert_eq!(take(&mut done, 1).await, [all[1].id]);
    working.drain().await;
    assert_eq!(inspector.counts(QUEUE).await.unwrap().workers, 0, "it has left");
}

/// Groups under limits, a unique key, a deadline, a batch with its callback, and all ways to look.
async fn use_everything(trial: &Trial) {
    let inspector = trial.engine.inspector();
    let rate = Some(Rate { jobs: 1000, per: Duration::from_secs(1), burst: 1000 });
    let limits = Limits { concurrency: Some(50), rate, group_concurrency: Some(1), ..Limits::default() };
    inspector.limit(QUEUE, &limits).await.unwrap();
    let heavy = GroupLimits { weight: 2, concurrency: Some(2), rate };
    inspector.limit_group(QUEUE, "school", Some(&heavy)).await.unwrap();
    let unique = |number| Unique { key: format!("key {number}"), hold: Hold::UntilDone, conflict: Conflict::Keep };
    let all = jobs(20).into_iter().enumerate().map(|(number, job)| NewJob {
        group: Some(["school", "student"][number % 2].to_owned()),
        unique: Some(unique(number)),
        deadline: due_in(Duration::from_secs(600)),
        ..job
    });
    let all: Vec<_> = all.collect();
    let callback = NewJob::new(Uuid::now_v7(), "callback");
    trial.engine.producer().push_batch(QUEUE, Uuid::now_v7(), all.clone(), callback.clone()).await.unwrap();
    assert_eq!(inspector.locate(QUEUE, callback.id).await.unwrap(), Place::AwaitsBatch);
    assert_eq!(inspector.page(QUEUE, Listed::Grouped, None, 100).await.unwrap().ids.len(), 20);
    let (working, mut done) = trial.collect(10).await;
    assert_eq!(take(&mut done, 21).await[20], callback.id);
    working.drain().await;
    inspector.limit(QUEUE, &Limits::default()).await.unwrap();
    inspector.limit_group(QUEUE, "school", None).await.unwrap();
    let mut upkeep = Upkeep::new(&trial.engine, QUEUE).unwrap();
    upkeep.readmit().await.unwrap();
    upkeep.forget_expired().await.unwrap();
}

/// An idle worker learns at once of a push, and of whatever else rings.
async fn wake_up(trial: &Trial) {
    let (working, mut done) = trial.collect(1).await;
    within(async { while !is_woken(async || push(trial).await, &mut done).await {} }).await;
    for ring in ["PUBLISH", "SPUBLISH"] {
        within(async { while !is_woken(async || push_and_ring(trial, ring).await, &mut done).await {} }).await;
    }
    working.drain().await;
}

/// Whether two pushes in a row were picked up at once: polls alone are two seconds apart.
async fn is_woken(push: impl AsyncFn(), done: &mut mpsc::UnboundedReceiver<Uuid>) -> bool {
    let pushed = Instant::now();
    for _ in 0..2 {
        push().await;
        take(done, 1).await;
    }
    pushed.elapsed() < AT_ONCE
}

async fn push(trial: &Trial) {
    trial.push(jobs(1)).await;
}

/// By a script that rings with the command `ring`.
async fn push_and_ring(trial: &Trial, ring: &str) {
    let script = "redis.call('HSET', KEYS[1], ARGV[1], 'payload') redis.call('RPUSH', KEYS[2], ARGV[1])
                  return redis.call(ARGV[2], ARGV[3], '1')";
    let mut push = redis::cmd("EVAL");
    push.arg(script).arg(2).arg(trial.key("jobs")).arg(trial.key("ready:normal"));
    push.arg(Uuid::now_v7().as_bytes().as_slice()).arg(ring).arg(trial.key("wake"));
    let _: u64 = push.query_async(&mut trial.redis.clone()).await.unwrap();
}

/// The jobs of a process that died go to another.
async fn recover(trial: &Trial) {
    let (begun, mut running) = mpsc::unbounded_channel();
    let doomed = trial.work(2, move |delivery| {
        begun.send(delivery.id).unwrap();
        std::future::pending()
    });
    let doomed = doomed.await;
    trial.push(jobs(2)).await;
    take(&mut running, 2).await;
    doomed.kill().await;
    let mut upkeep = Upkeep::new(&trial.engine, QUEUE).unwrap();
    let (working, mut done) = trial.collect(2).await;
    within(async {
        while upkeep.recover().await.unwrap().taken < 2 {
            tokio::time::sleep(UPKEEP_EVERY / 2).await;
        }
    })
    .await;
    take(&mut done, 2).await;
    working.drain().await;
}
