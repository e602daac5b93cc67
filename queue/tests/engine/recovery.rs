//! Processes that die, that only seem to, and those that stop in good order.

use std::time::{Duration, Instant};

use bellwork_queue::{DEATHS_ALLOWED, Marks, Upkeep, Verdict};
use bellwork_testkit::test_run::redis_url;
use tokio::sync::mpsc;

use crate::support::{QUEUE, Trial, jobs, take, until, within};

/// The promise: back to work in ten seconds.
const PROMISED: Duration = Duration::from_secs(10);

/// Upkeep as a worker process does it, until dropped.
fn upkeep(trial: &Trial) -> tokio::task::JoinHandle<()> {
    let mut upkeep = Upkeep::new(&trial.engine, QUEUE).unwrap();
    tokio::spawn(async move {
        loop {
            upkeep.recover().await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    })
}

#[tokio::test]
async fn jobs_of_a_dead_process_run_elsewhere_within_ten_seconds() {
    let trial = Trial::new().await;
    let (begun, mut running) = mpsc::unbounded_channel();
    let doomed = trial.work(300, move |delivery| {
        begun.send(delivery.id).unwrap();
        std::future::pending()
    });
    let doomed = doomed.await;
    trial.push(jobs(300)).await;
    let mut held = take(&mut running, 300).await;
    doomed.kill().await;
    let died = Instant::now();

    let keeping = upkeep(&trial);
    let (seen, mut deliveries) = mpsc::unbounded_channel();
    let working = trial.work(300, move |delivery| {
        // The time of the delivery, and not that at which this test gets to it.
        seen.send((delivery.id, delivery.marks, died.elapsed())).unwrap();
        std::future::ready(Verdict::Complete)
    });
    let working = working.await;
    let again = take(&mut deliveries, 300).await;
    let last = again.iter().map(|(_, _, delivered)| *delivered).max().unwrap();
    assert!(last < PROMISED, "{last:?}");
    let dead_once = Marks { failures: 0, deaths: 1, releases: 0 };
    assert!(again.iter().all(|(_, marks, _)| *marks == dead_once), "deaths are counted apart from failures");
    let mut ids: Vec<_> = again.into_iter().map(|(id, ..)| id).collect();
    held.sort();
    ids.sort();
    assert_eq!(ids, held);
    until(|| async { trial.engine.inspector().counts(QUEUE).await.unwrap().workers == 1 }).await;
    working.drain().await;
    keeping.abort();
}

/// A handler holds a thread for so long: five times the silence of a dead process.
const BLOCKED: Duration = Duration::from_secs(30);

/// Every thread of the runtime is blocked by a handler.
#[test]
fn jobs_of_a_live_busy_process_are_never_taken() {
    let runtime = |threads| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(threads).enable_all().build().unwrap()
    };
    let (busy, idle) = (runtime(2), runtime(2));
    let trial = idle.block_on(Trial::new());
    let (sent, mut deliveries) = mpsc::unbounded_channel();
    let blocked = busy.block_on(async {
        let trial = Trial { prefix: trial.prefix.clone(), ..Trial::new().await };
        let server = redis_url().parse().unwrap();
        let engine = bellwork_queue::Engine::new(server, &trial.prefix);
        let trial = Trial { engine, ..trial };
        let sent = sent.clone();
        trial
            .work(2, move |delivery| {
                let sent = sent.clone();
                async move {
                    let (tell, told) = tokio::sync::oneshot::channel();
                    // Two blocking handlers on two threads: nothing else of this runtime moves.
                    tokio::spawn(async move {
                        sent.send("busy").unwrap();
                        std::thread::sleep(BLOCKED);
                        tell.send(()).unwrap();
                    });
                    told.await.unwrap();
                    drop(delivery);
                    Verdict::Complete
                }
            })
            .await
    });
    idle.block_on(async {
        trial.push(jobs(2)).await;
        take(&mut deliveries, 2).await;
        let keeping = upkeep(&trial);
        let other = trial.work(2, move |_| {
            sent.send("taken").unwrap();
            std::future::ready(Verdict::Complete)
        });
        let other = other.await;
        let inspector = trial.engine.inspector();
        let ended = async {
            while inspector.counts(QUEUE).await.unwrap().running > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        within(ended).await;
        assert!(deliveries.try_recv().is_err(), "a live process was robbed");
        other.drain().await;
        keeping.abort();
    });
    busy.block_on(blocked.drain());
}

#[tokio::test]
async fn a_stale_worker_changes_nothing() {
    let trial = Trial::new().await;
    let (begun, mut running) = mpsc::unbounded_channel();
    let (proceed, paused) = tokio::sync::watch::channel(false);
    let stale = trial.work(1, move |delivery| {
        let (begun, mut paused) = (begun.clone(), paused.clone());
        async move {
            begun.send(delivery.id).unwrap();
            paused.wait_for(|go| *go).await.unwrap();
            Verdict::Complete
        }
    });
    let stale = stale.await;
    trial.push(jobs(1)).await;
    let id = take(&mut running, 1).await[0];

    // As if the process had been frozen for long: its lease was taken back by somebody else.
    stale.process.as_ref().unwrap().stop_claiming();
    let mut redis = trial.redis.clone();
    let raw = id.as_bytes().as_slice();
    let () = redis::cmd("HDEL").arg(trial.key("leases")).arg(raw).query_async(&mut redis).await.unwrap();
    let () = redis::cmd("RPUSH").arg(trial.key("ready:normal")).arg(raw).query_async(&mut redis).await.unwrap();

    let (again, mut runs) = mpsc::unbounded_channel();
    let other = trial.work(1, move |delivery| {
        again.send(delivery.id).unwrap();
        std::future::pending()
    });
    let other = other.await;
    assert_eq!(take(&mut runs, 1).await, [id]);
    proceed.send(true).unwrap();
    stale.drain().await;
    let counts = trial.engine.inspector().counts(QUEUE).await.unwrap();
    assert_eq!(counts.running, 1, "the completion of the stale worker was refused");
    other.kill().await;
}

/// Its neighbours die with it the first two times, and only then; the third time it dies alone.
#[tokio::test]
async fn a_job_that_kills_its_processes_is_quarantined_with_evidence_and_its_neighbours_are_not() {
    let trial = Trial::new().await;
    let all = jobs(8);
    let poison = all[3].id;
    trial.push(all).await;
    let keeping = upkeep(&trial);
    let (sent, mut deliveries) = mpsc::unbounded_channel();
    for death in 1..=DEATHS_ALLOWED {
        let sent = sent.clone();
        // Jobs that run beside the poison never end before it strikes, unless they run without it.
        let doomed = trial.work(8, move |delivery| {
            let sent = sent.clone();
            async move {
                sent.send((delivery.id, delivery.marks.deaths)).unwrap();
                if delivery.marks.deaths < 2 || delivery.id == poison {
                    std::future::pending::<()>().await;
                }
                Verdict::Complete
            }
        });
        let doomed = doomed.await;
        loop {
            let (id, deaths) = take(&mut deliveries, 1).await[0];
            assert_eq!(deaths, death - 1);
            if id == poison {
                break;
            }
        }
        if death < 3 {
            until(|| async { trial.engine.inspector().counts(QUEUE).await.unwrap().running == 8 }).await;
        }
        doomed.kill().await;
        until(|| async {
            let counts = trial.engine.inspector().counts(QUEUE).await.unwrap();
            counts.running == 0
        })
        .await;
        while deliveries.try_recv().is_ok() {}
    }
    let letters = Upkeep::new(&trial.engine, QUEUE).unwrap().dead_letters().await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.id).collect::<Vec<_>>(), [poison]);
    assert_eq!(letters[0].payload, b"payload");
    let evidence: serde_json::Value = serde_json::from_str(&letters[0].evidence).unwrap();
    assert_eq!(evidence["deaths"], DEATHS_ALLOWED);
    assert!(evidence["ran_on"].as_str().unwrap().contains(&format!("\"pid\":{}", std::process::id())));

    let (working, mut done) = trial.collect(8).await;
    trial.push(jobs(1)).await;
    take(&mut done, 1).await;
    until(|| async { trial.engine.inspector().counts(QUEUE).await.unwrap().ready_total() == 0 }).await;
    working.drain().await;
    keeping.abort();
    assert_eq!(trial.engine.inspector().counts(QUEUE).await.unwrap().dead, 1, "the neighbours ended well");
}

#[tokio::test]
async fn what_a_stopping_process_has_not_ended_goes_back_uncharged() {
    let trial = Trial::new().await;
    let (begun, mut running) = mpsc::unbounded_channel();
    let stopping = trial.work(2, move |delivery| {
        begun.send(delivery.id).unwrap();
        std::future::pending()
    });
    let stopping = stopping.await;
    trial.push(jobs(2)).await;
    let mut held = take(&mut running, 2).await;
    let process = stopping.process.clone().unwrap();
    process.stop_claiming();
    assert_eq!(process.release_all(Duration::from_secs(5)).await, 2);
    process.leave().await.unwrap();

    let (seen, mut deliveries) = mpsc::unbounded_channel();
    let working = trial.work(2, move |delivery| {
        seen.send((delivery.id, delivery.marks)).unwrap();
        std::future::ready(Verdict::Complete)
    });
    let working = working.await;
    let mut again = take(&mut deliveries, 2).await;
    held.sort();
    again.sort_by_key(|(id, _)| *id);
    let released = Marks { failures: 0, deaths: 0, releases: 1 };
    assert_eq!(again, held.into_iter().map(|id| (id, released)).collect::<Vec<_>>());
    working.drain().await;
    drop(process);
    within(stopping.kill()).await;
}
