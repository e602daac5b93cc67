//! Cancelling, progress, versions and looking through a queue.

use std::collections::HashSet;
use std::time::Duration;

use bellwork_queue::{Listed, NewJob, Place, Priority, Reason, Removal, Report, Upkeep, Verdict};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::support::{QUEUE, Trial, due_in, job, jobs, take, until, within};

#[tokio::test]
async fn a_running_job_is_told_to_end() {
    let trial = Trial::new().await;
    let (told, mut steps) = mpsc::unbounded_channel();
    let working = trial.work(5, move |delivery| {
        let told = told.clone();
        async move {
            told.send("begun").unwrap();
            delivery.cancelled.cancelled().await;
            told.send("told").unwrap();
            Verdict::Retry(Duration::ZERO)
        }
    });
    let working = working.await;
    let (job, inspector) = (job(Priority::Normal), trial.engine.inspector());
    trial.push(vec![job.clone()]).await;
    take(&mut steps, 1).await;
    assert_eq!(inspector.cancel(QUEUE, job.id).await.unwrap(), Removal::Ending);
    assert_eq!(take(&mut steps, 1).await, ["told"]);
    until(|| async { inspector.locate(QUEUE, job.id).await.unwrap() == Place::Absent }).await;
    working.drain().await;
    assert!(steps.try_recv().is_err(), "it is not retried although its handler says so");
    assert_eq!(trial.keys().await, ["leases", "state"]);
}

#[tokio::test]
async fn a_deaf_handler_is_aborted() {
    let trial = Trial::new().await;
    let (begun, mut running) = mpsc::unbounded_channel();
    let working = trial.work(1, move |delivery| {
        let begun = begun.clone();
        async move {
            begun.send(delivery.id).unwrap();
            if delivery.payload.as_ref() == b"deaf" { std::future::pending().await } else { Verdict::Complete }
        }
    });
    let working = working.await;
    let deaf = NewJob { payload: "deaf".into(), ..job(Priority::Normal) };
    trial.push(vec![deaf.clone(), job(Priority::Normal)]).await;
    take(&mut running, 1).await;
    assert_eq!(trial.engine.inspector().cancel(QUEUE, deaf.id).await.unwrap(), Removal::Ending);
    take(&mut running, 1).await;
    working.drain().await;
    assert_eq!(trial.keys().await, ["leases", "state"]);
}

#[tokio::test]
async fn a_job_whose_process_dies_after_it_was_cancelled_does_not_come_back() {
    let trial = Trial::new().await;
    let (begun, mut running) = mpsc::unbounded_channel();
    let working = trial.work(5, move |delivery| {
        begun.send(delivery.id).unwrap();
        std::future::pending()
    });
    let working = working.await;
    let (job, inspector) = (job(Priority::Normal), trial.engine.inspector());
    trial.push(vec![job.clone()]).await;
    take(&mut running, 1).await;
    inspector.cancel(QUEUE, job.id).await.unwrap();
    working.kill().await;
    let mut upkeep = Upkeep::new(&trial.engine, QUEUE).unwrap();
    within(async {
        while inspector.locate(QUEUE, job.id).await.unwrap() != Place::Absent {
            upkeep.recover().await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert_eq!(inspector.counts(QUEUE).await.unwrap().ready_total(), 0);
}

#[tokio::test]
async fn progress_stands_beside_a_job_until_it_ends() {
    let trial = Trial::new().await;
    let (begun, mut running) = mpsc::unbounded_channel();
    let working = trial.work(5, move |delivery| {
        let begun = begun.clone();
        async move {
            let told = delivery.reporter.progress("{\"percent\":40}").await.unwrap();
            begun.send((told, delivery.reporter.clone())).unwrap();
            delivery.cancelled.cancelled().await;
            Verdict::Complete
        }
    });
    let working = working.await;
    let (job, inspector) = (job(Priority::Normal), trial.engine.inspector());
    trial.push(vec![job.clone()]).await;
    let (told, reporter) = take(&mut running, 1).await.remove(0);
    assert_eq!(told, Report::Noted);
    let view = inspector.explain(QUEUE, job.id).await.unwrap().unwrap();
    assert_eq!((view.place, view.progress.as_deref()), (Place::Leased, Some("{\"percent\":40}")));
    assert_eq!(view.process.as_deref(), Some(working.process.as_ref().unwrap().id().as_str()));
    assert!(reporter.progress(&"x".repeat(1001)).await.is_err());
    inspector.cancel(QUEUE, job.id).await.unwrap();
    working.drain().await;
    assert_eq!(reporter.progress("late").await.unwrap(), Report::Disowned);
    assert_eq!(trial.keys().await, ["leases", "state"]);
}

#[tokio::test]
async fn a_job_that_no_worker_can_read_waits_for_one_that_can() {
    let trial = Trial::new().await;
    let (seen, mut deliveries) = mpsc::unbounded_channel();
    let old = trial.work(5, move |delivery| {
        seen.send(delivery.marks.failures).unwrap();
        std::future::ready(Verdict::Unreadable("grade 2".into()))
    });
    let old = old.await;
    let (job, inspector) = (job(Priority::Normal), trial.engine.inspector());
    trial.push(vec![job.clone()]).await;
    take(&mut deliveries, 1).await;
    until(|| async { inspector.counts(QUEUE).await.unwrap().awaits_newer == 1 }).await;
    let view = inspector.explain(QUEUE, job.id).await.unwrap().unwrap();
    assert_eq!((view.place, view.waits_for), (Place::AwaitsNewer, vec![Reason::Newer("grade 2".into())]));
    let reads = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Upkeep::new(&trial.engine, QUEUE).unwrap().reading(names)
    };
    assert_eq!(reads(&["grade 1"]).readmit().await.unwrap(), 0);
    old.drain().await;
    assert_eq!(reads(&["grade 1", "grade 2"]).readmit().await.unwrap(), 1);
    let (working, mut done) = trial.collect(5).await;
    assert_eq!(take(&mut done, 1).await, [job.id]);
    working.drain().await;
    assert!(deliveries.try_recv().is_err(), "the old worker had it once");
    assert_eq!(trial.keys().await, ["leases", "state"]);
}

#[tokio::test]
async fn pages_lead_through_all_jobs_of_a_state() {
    let trial = Trial::new().await;
    let (plain, late) = (jobs(250), due_in(Duration::from_secs(600)));
    let scheduled: Vec<_> = jobs(250).into_iter().map(|job| NewJob { due: late, ..job }).collect();
    let group = |number: usize| Some(format!("group {}", number % 7));
    let grouped = jobs(900).into_iter().enumerate().map(|(number, job)| NewJob { group: group(number), ..job });
    let grouped: Vec<_> = grouped.collect();
    for jobs in [&plain, &scheduled, &grouped] {
        trial.push(jobs.clone()).await;
    }
    for (listed, jobs) in
        [(Listed::Ready(Priority::Normal), plain), (Listed::Scheduled, scheduled), (Listed::Grouped, grouped)]
    {
        let mut ids = Vec::new();
        let mut cursor = None;
        loop {
            let page = trial.engine.inspector().page(QUEUE, listed, cursor, 100).await.unwrap();
            ids.extend(page.ids);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(ids.len(), jobs.len(), "{listed:?}");
        let expected: HashSet<Uuid> = jobs.iter().map(|job| job.id).collect();
        assert_eq!(ids.into_iter().collect::<HashSet<_>>(), expected, "{listed:?}");
    }
}

#[tokio::test]
async fn a_waiting_job_is_explained() {
    let trial = Trial::new().await;
    let (inspector, all) = (trial.engine.inspector(), jobs(3));
    trial.push(all.clone()).await;
    inspector.pause(QUEUE).await.unwrap();
    let waits = inspector.explain(QUEUE, all[1].id).await.unwrap().unwrap().waits_for;
    assert_eq!(waits, [Reason::Paused, Reason::NoWorker, Reason::Position(2)]);
    let text: Vec<_> = waits.iter().map(ToString::to_string).collect();
    assert_eq!(text, ["the queue is paused", "no live worker serves the queue", "number 2 in its line"]);
    let (working, _done) = trial.collect(1).await;
    until(|| async { inspector.counts(QUEUE).await.unwrap().workers == 1 }).await;
    let waits = inspector.explain(QUEUE, all[1].id).await.unwrap().unwrap().waits_for;
    assert_eq!(waits, [Reason::Paused, Reason::Position(2)]);
    let processes = inspector.processes(QUEUE).await.unwrap();
    assert_eq!((processes.len(), processes[0].alive), (1, true));
    assert_eq!(processes[0].info.as_ref().unwrap().pid, std::process::id());
    working.drain().await;
    assert!(inspector.explain(QUEUE, Uuid::now_v7()).await.unwrap().is_none());
}
