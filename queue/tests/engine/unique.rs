//! Unique jobs, deadlines and batches.

use std::time::Duration;

use bellwork_queue::{Batch, Conflict, Error, Hold, NewJob, Place, Priority, Pushed, Removal, Unique, Upkeep, Verdict};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::support::{QUEUE, Trial, due_in, job, take, until};

fn keyed(payload: &'static str, hold: Hold, conflict: Conflict) -> NewJob {
    let unique = Unique { key: "mail to ann".into(), hold, conflict };
    NewJob { unique: Some(unique), ..NewJob::new(Uuid::now_v7(), payload) }
}

async fn push(trial: &Trial, job: NewJob) -> Pushed {
    trial.engine.producer().push(QUEUE, vec![job]).await.unwrap()[0]
}

/// A worker that completes everything and tells the payloads.
async fn payloads(trial: &Trial) -> (crate::support::Working, mpsc::UnboundedReceiver<String>) {
    let (done, order) = mpsc::unbounded_channel();
    let working = trial.work(5, move |delivery| {
        done.send(String::from_utf8(delivery.payload.to_vec()).unwrap()).unwrap();
        std::future::ready(Verdict::Complete)
    });
    (working.await, order)
}

#[tokio::test]
async fn a_second_job_of_a_key_is_kept_out_until_the_first_is_done() {
    let trial = Trial::new().await;
    let keep = |payload| keyed(payload, Hold::UntilDone, Conflict::Keep);
    let first = keep("first");
    assert_eq!(push(&trial, first.clone()).await, Pushed::Stored);
    assert_eq!(push(&trial, keep("second")).await, Pushed::KeptOut);
    assert_eq!(push(&trial, first).await, Pushed::Known, "its own id comes before its key");
    let (working, mut done) = payloads(&trial).await;
    assert_eq!(take(&mut done, 1).await, ["first"]);
    let inspector = trial.engine.inspector();
    until(|| async { inspector.counts(QUEUE).await.unwrap().running == 0 }).await;
    assert_eq!(push(&trial, keep("third")).await, Pushed::Stored);
    assert_eq!(take(&mut done, 1).await, ["third"]);
    working.drain().await;
    assert_eq!(trial.keys().await, ["leases", "state"], "a key that nobody holds is forgotten");
}

#[tokio::test]
async fn a_removed_or_dead_job_gives_its_key_back() {
    let trial = Trial::new().await;
    let keep = || keyed("job", Hold::UntilDone, Conflict::Keep);
    let first = keep();
    push(&trial, first.clone()).await;
    trial.engine.inspector().remove(QUEUE, first.id).await.unwrap();
    assert_eq!(push(&trial, keep()).await, Pushed::Stored);
    let working = trial.work(1, |_| std::future::ready(Verdict::Bury("{}".into()))).await;
    let inspector = trial.engine.inspector();
    until(|| async { inspector.counts(QUEUE).await.unwrap().dead == 1 }).await;
    working.drain().await;
    assert_eq!(push(&trial, keep()).await, Pushed::Stored);
}

#[tokio::test]
async fn a_key_held_for_a_time_outlives_its_job_and_is_then_forgotten() {
    let trial = Trial::new().await;
    let keep = || keyed("job", Hold::For(Duration::from_secs(600)), Conflict::Keep);
    assert_eq!(push(&trial, keep()).await, Pushed::Stored);
    let (working, mut done) = payloads(&trial).await;
    take(&mut done, 1).await;
    let inspector = trial.engine.inspector();
    until(|| async { inspector.counts(QUEUE).await.unwrap().running == 0 }).await;
    assert_eq!(push(&trial, keep()).await, Pushed::KeptOut);
    // Its time is over.
    let mut over = redis::cmd("ZUNIONSTORE");
    over.arg(trial.key("unique_until")).arg(1).arg(trial.key("unique_until")).arg("WEIGHTS").arg(0);
    assert_eq!(over.query_async::<u64>(&mut trial.redis.clone()).await.unwrap(), 1);
    let upkeep = Upkeep::new(&trial.engine, QUEUE).unwrap();
    assert_eq!(upkeep.forget_expired().await.unwrap(), 1);
    assert_eq!(trial.keys().await, ["leases", "process_info", "processes", "state"]);
    assert_eq!(push(&trial, keep()).await, Pushed::Stored);
    take(&mut done, 1).await;
    working.drain().await;
}

#[tokio::test]
async fn the_first_takes_over_what_the_second_brings() {
    let trial = Trial::new().await;
    let replace = |payload| keyed(payload, Hold::UntilDone, Conflict::Replace);
    let first = replace("old");
    push(&trial, first.clone()).await;
    assert_eq!(push(&trial, replace("new")).await, Pushed::Merged);
    let (working, mut done) = payloads(&trial).await;
    assert_eq!(take(&mut done, 1).await, ["new"]);
    working.drain().await;
    assert!(done.try_recv().is_err());
}

#[tokio::test]
async fn what_comes_while_the_first_runs_is_not_lost() {
    let trial = Trial::new().await;
    let replace = |payload| keyed(payload, Hold::UntilDone, Conflict::Replace);
    let (begun, mut running) = mpsc::unbounded_channel();
    let working = trial.work(5, move |delivery| {
        begun.send(delivery.payload).unwrap();
        std::future::pending()
    });
    let working = working.await;
    push(&trial, replace("runs")).await;
    take(&mut running, 1).await;
    assert_eq!(push(&trial, replace("follows")).await, Pushed::Stored);
    assert_eq!(push(&trial, keyed("kept out", Hold::UntilDone, Conflict::Keep)).await, Pushed::KeptOut);
    assert_eq!(take(&mut running, 1).await, ["follows"]);
    working.kill().await;
}

/// A debounce: each push puts the run off.
#[tokio::test]
async fn a_job_is_pushed_back_wherever_it_waits() {
    let trial = Trial::new().await;
    let inspector = trial.engine.inspector();
    let back = |payload, due| NewJob { due, ..keyed(payload, Hold::UntilDone, Conflict::PushBack) };
    let first = back("first", None);
    push(&trial, first.clone()).await;
    assert_eq!(push(&trial, back("second", due_in(Duration::from_secs(600)))).await, Pushed::Merged);
    assert_eq!(inspector.locate(QUEUE, first.id).await.unwrap(), Place::Scheduled);
    assert_eq!(inspector.counts(QUEUE).await.unwrap().ready_total(), 0);
    assert_eq!(push(&trial, back("third", due_in(Duration::from_millis(100)))).await, Pushed::Merged);
    let (working, mut done) = payloads(&trial).await;
    assert_eq!(take(&mut done, 1).await, ["third"]);
    working.drain().await;
    assert_eq!(trial.keys().await, ["leases", "state"]);
}

#[tokio::test]
async fn a_job_past_its_deadline_is_dead_and_not_run() {
    let trial = Trial::new().await;
    let late = NewJob { deadline: due_in(Duration::from_millis(1)), ..job(Priority::Normal) };
    let timely = NewJob { deadline: due_in(Duration::from_secs(600)), ..job(Priority::Normal) };
    let inspector = trial.engine.inspector();
    trial.push(vec![late.clone(), timely.clone()]).await;
    until(|| async {
        std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() > late.deadline.unwrap().unsigned_abs().into()
    })
    .await;
    let (working, mut done) = trial.collect(5).await;
    assert_eq!(take(&mut done, 1).await, [timely.id]);
    working.drain().await;
    let view = inspector.explain(QUEUE, late.id).await.unwrap().unwrap();
    assert_eq!(view.place, Place::Dead);
    assert!(view.evidence.unwrap().contains("\"reason\":\"expired\""));
}

fn members(count: usize) -> Vec<NewJob> {
    (0..count).map(|_| NewJob::new(Uuid::now_v7(), "member")).collect()
}

#[tokio::test]
async fn the_callback_of_a_batch_runs_after_its_last_member_however_they_end() {
    let trial = Trial::new().await;
    let (done, mut order) = mpsc::unbounded_channel();
    let working = trial.work(10, move |delivery| {
        done.send(delivery.payload.clone()).unwrap();
        std::future::ready(match delivery.payload.as_ref() {
            b"dies" => Verdict::Bury("{}".into()),
            b"fails" if delivery.marks.failures == 0 => Verdict::Retry(Duration::from_millis(30)),
            _ => Verdict::Complete,
        })
    });
    let mut all = members(400);
    all[7].payload = "dies".into();
    all[11].payload = "fails".into();
    let removed = NewJob { due: due_in(Duration::from_secs(600)), ..all[13].clone() };
    all[13] = removed.clone();
    let (batch, callback) = (Uuid::now_v7(), NewJob::new(Uuid::now_v7(), "callback"));
    let outcomes = trial.engine.producer().push_batch(QUEUE, batch, all, callback.clone()).await.unwrap();
    assert!(outcomes.iter().all(|outcome| *outcome == Pushed::Stored));
    let inspector = trial.engine.inspector();
    assert_eq!(inspector.locate(QUEUE, callback.id).await.unwrap(), Place::AwaitsBatch);
    let working = working.await;
    let ran = take(&mut order, 400).await;
    assert!(ran.iter().all(|payload| payload != "callback"));
    assert_eq!(inspector.counts(QUEUE).await.unwrap().awaits_batch, 1);
    assert_eq!(inspector.remove(QUEUE, removed.id).await.unwrap(), Removal::Removed);
    assert_eq!(take(&mut order, 1).await, ["callback"]);
    working.drain().await;
    assert_eq!(trial.keys().await, ["dead", "jobs", "leases", "state"], "only the dead one is left");
}

#[tokio::test]
async fn a_batch_does_not_end_before_it_is_closed() {
    let trial = Trial::new().await;
    let producer = trial.engine.producer();
    let (working, mut done) = trial.collect(5).await;
    let (batch, callback) = (Uuid::now_v7(), NewJob::new(Uuid::now_v7(), "callback"));
    assert_eq!(producer.open_batch(QUEUE, batch, callback.clone()).await.unwrap(), Batch::Changed);
    assert_eq!(producer.open_batch(QUEUE, batch, callback.clone()).await.unwrap(), Batch::Unchanged);
    let member = NewJob { batch: Some(batch), ..job(Priority::Normal) };
    trial.push(vec![member.clone()]).await;
    assert_eq!(take(&mut done, 1).await, [member.id]);
    let inspector = trial.engine.inspector();
    until(|| async { inspector.counts(QUEUE).await.unwrap().running == 0 }).await;
    assert_eq!(inspector.locate(QUEUE, callback.id).await.unwrap(), Place::AwaitsBatch);
    assert_eq!(producer.close_batch(QUEUE, batch).await.unwrap(), Batch::Changed);
    assert_eq!(take(&mut done, 1).await, [callback.id]);
    assert_eq!(producer.close_batch(QUEUE, batch).await.unwrap(), Batch::Unchanged);
    working.drain().await;
    assert_eq!(trial.keys().await, ["leases", "state"]);
}

#[tokio::test]
async fn an_empty_batch_ends_at_once() {
    let trial = Trial::new().await;
    let callback = NewJob::new(Uuid::now_v7(), "callback");
    trial.engine.producer().push_batch(QUEUE, Uuid::now_v7(), Vec::new(), callback.clone()).await.unwrap();
    let (working, mut done) = trial.collect(5).await;
    assert_eq!(take(&mut done, 1).await, [callback.id]);
    working.drain().await;
    let bad = NewJob { group: Some("a}b".into()), ..NewJob::new(Uuid::now_v7(), "") };
    let error = trial.engine.producer().push_batch(QUEUE, Uuid::now_v7(), Vec::new(), bad).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { field: "group", .. }), "{error}");
}

#[tokio::test]
async fn the_id_of_a_removed_callback_is_free_at_once() {
    let trial = Trial::new().await;
    let (producer, inspector) = (trial.engine.producer(), trial.engine.inspector());
    let (batch, callback) = (Uuid::now_v7(), NewJob::new(Uuid::now_v7(), "callback"));
    producer.open_batch(QUEUE, batch, callback.clone()).await.unwrap();
    assert_eq!(inspector.remove(QUEUE, callback.id).await.unwrap(), Removal::Removed);
    assert_eq!(inspector.counts(QUEUE).await.unwrap().awaits_batch, 0);
    assert_eq!(trial.push(vec![callback.clone()]).await, 1);
    let (working, mut done) = trial.collect(5).await;
    assert_eq!(take(&mut done, 1).await, [callback.id], "it does not wait for the batch any more");
    assert_eq!(producer.close_batch(QUEUE, batch).await.unwrap(), Batch::Changed);
    working.drain().await;
    assert_eq!(trial.keys().await, ["leases", "state"]);
}

/// It is not known what a batch means to a job that was pushed before it.
#[tokio::test]
async fn a_job_pushed_before_its_batch_was_opened_is_no_member() {
    let trial = Trial::new().await;
    let (producer, inspector) = (trial.engine.producer(), trial.engine.inspector());
    let (batch, callback) = (Uuid::now_v7(), NewJob::new(Uuid::now_v7(), "callback"));
    let member = |due| NewJob { batch: Some(batch), due, ..job(Priority::Normal) };
    let (early, waits) = (member(None), member(due_in(Duration::from_secs(600))));
    trial.push(vec![early.clone()]).await;
    producer.push_batch(QUEUE, batch, vec![waits.clone()], callback.clone()).await.unwrap();
    let (working, mut done) = trial.collect(5).await;
    assert_eq!(take(&mut done, 1).await, [early.id]);
    until(|| async { inspector.counts(QUEUE).await.unwrap().running == 0 }).await;
    assert_eq!(inspector.locate(QUEUE, callback.id).await.unwrap(), Place::AwaitsBatch);
    inspector.remove(QUEUE, waits.id).await.unwrap();
    assert_eq!(take(&mut done, 1).await, [callback.id]);
    working.drain().await;
}

#[tokio::test]
async fn a_batch_within_a_batch_ends_before_it() {
    let trial = Trial::new().await;
    let producer = trial.engine.producer();
    let (outer, inner) = (Uuid::now_v7(), Uuid::now_v7());
    let (last, next) = (NewJob::new(Uuid::now_v7(), "last"), NewJob::new(Uuid::now_v7(), "next"));
    let member = NewJob::new(Uuid::now_v7(), "member");
    producer.open_batch(QUEUE, outer, last.clone()).await.unwrap();
    let within = NewJob { batch: Some(outer), ..next.clone() };
    producer.push_batch(QUEUE, inner, vec![member.clone()], within).await.unwrap();
    producer.close_batch(QUEUE, outer).await.unwrap();
    let (working, mut done) = trial.collect(1).await;
    assert_eq!(take(&mut done, 3).await, [member.id, next.id, last.id]);
    working.drain().await;
    assert_eq!(trial.keys().await, ["leases", "state"]);
}

/// What would stay of it as an entry of a line would swallow the next push of its id.
#[tokio::test]
async fn a_suspect_that_was_pushed_back_and_removed_can_be_pushed_again() {
    let trial = Trial::new().await;
    let inspector = trial.engine.inspector();
    let back =
        |id| NewJob { id, due: due_in(Duration::from_secs(600)), ..keyed("", Hold::UntilDone, Conflict::PushBack) };
    let suspect = NewJob { due: None, ..back(Uuid::now_v7()) };
    push(&trial, suspect.clone()).await;
    let mut member = b"2".to_vec();
    member.extend(suspect.id.as_bytes());
    let mut redis = trial.redis.clone();
    let _: () = redis::cmd("DEL").arg(trial.key("ready:normal")).query_async(&mut redis).await.unwrap();
    let _: () = redis::cmd("RPUSH").arg(trial.key("suspects")).arg(member).query_async(&mut redis).await.unwrap();
    assert_eq!(push(&trial, back(Uuid::now_v7())).await, Pushed::Merged);
    assert_eq!(inspector.locate(QUEUE, suspect.id).await.unwrap(), Place::Scheduled);
    assert_eq!(inspector.counts(QUEUE).await.unwrap().suspects, 0);
    assert_eq!(inspector.remove(QUEUE, suspect.id).await.unwrap(), Removal::Removed);
    assert_eq!(push(&trial, suspect.clone()).await, Pushed::Stored);
    let (working, mut done) = trial.collect(1).await;
    assert_eq!(take(&mut done, 1).await, [suspect.id]);
    working.drain().await;
    assert_eq!(trial.keys().await, ["leases", "state"]);
}

#[tokio::test]
async fn a_job_that_no_worker_could_read_waits_no_longer_with_another_payload() {
    let trial = Trial::new().await;
    let inspector = trial.engine.inspector();
    let working = trial.work(1, |delivery| {
        let unreadable = delivery.payload.starts_with(b"new");
        std::future::ready(if unreadable { Verdict::Unreadable("2".into()) } else { Verdict::Complete })
    });
    let working = working.await;
    for (conflict, due) in [(Conflict::Replace, None), (Conflict::PushBack, due_in(Duration::from_millis(20)))] {
        push(&trial, keyed("new", Hold::UntilDone, conflict)).await;
        until(|| async { inspector.counts(QUEUE).await.unwrap().awaits_newer == 1 }).await;
        let old = NewJob { due, ..keyed("old", Hold::UntilDone, conflict) };
        assert_eq!(push(&trial, old).await, Pushed::Merged);
        assert_eq!(inspector.counts(QUEUE).await.unwrap().awaits_newer, 0);
        until(|| async { !trial.keys().await.contains(&"jobs".to_owned()) }).await;
    }
    working.drain().await;
    assert_eq!(trial.keys().await, ["leases", "state"]);
}
