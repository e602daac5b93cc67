//! Reads from a replica that streams from the primary, late on purpose.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bellwork_testkit::eventually;
use bellwork_tests::installation::{Api, Installation};
use bellwork_tests::servers::PrivatePostgres;
use bellwork_tests::student::{Student, client, simple_answers};
use futures_util::future::join_all;
use reqwest::Method;

/// So late the replica replays a commit: nobody who reads at once could find it there.
const BEHIND: Duration = Duration::from_millis(150);
const STUDENTS: usize = 20;
const WRITES: usize = 50;
/// So often each write is read again, until the replica has it too and later.
const READS: usize = 6;
const BETWEEN_READS: Duration = Duration::from_millis(50);

struct Replicated {
    replica: PrivatePostgres,
    installation: Installation,
}

impl Replicated {
    async fn start() -> Self {
        let mut installation = Installation::with_postgres().await;
        let replica = installation.postgres.as_ref().unwrap().replica_behind(BEHIND).await;
        installation.set("DATABASE_REPLICA_URLS", &installation.database_on(&replica.url()));
        Self { replica, installation }
    }
}

/// How many reads were answered by `from`.
async fn reads(api: &Api, from: &str) -> f64 {
    let metrics = client().get(format!("{}/api/metrics", api.url)).send().await.unwrap().text().await.unwrap();
    let line = format!("bellwork_reads_total{{from=\"{from}\"}} ");
    metrics.lines().find_map(|found| found.strip_prefix(&line)).map_or(0.0, |number| number.parse().unwrap())
}

/// Until the replica answers what nobody has written lately.
async fn until_the_replica_is_read(api: &Api, student: &Student) {
    eventually("a read comes from the replica", async || {
        student.get("/api/attempts").await;
        (reads(api, "replica").await > 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_was_written_through_one_process_is_read_at_once_through_another_a_thousand_times() {
    let Replicated { replica: _replica, installation } = Replicated::start().await;
    let (writing, reading) = (installation.api().await, installation.api().await);
    let students = join_all((0..STUDENTS).map(|_| installation.student(&writing))).await;
    until_the_replica_is_read(&reading, &students[0].at(&reading.url)).await;
    let test = students[0].test("biology").await;
    let answers = simple_answers(&test);
    let written = students.iter().map(async |student| {
        let elsewhere = student.at(&reading.url);
        for number in 1..=WRITES {
            let submitted = student.submit(&test, &answers).await;
            let path = format!("/api/attempts/{}", submitted["id"].as_str().unwrap());
            for _ in 0..READS {
                let found = elsewhere.request(Method::GET, &path).send().await.unwrap().status();
                assert_eq!(found, 200, "attempt {number} was written and is not there");
                let list = elsewhere.get("/api/attempts?limit=1").await;
                assert_eq!(list["items"][0]["id"], submitted["id"], "the newest is another one");
                tokio::time::sleep(BETWEEN_READS).await;
            }
        }
    });
    join_all(written).await;
    let (replica, primary) = (reads(&reading, "replica").await, reads(&reading, "primary").await);
    assert!(replica > 1000.0 && primary > 1000.0, "both were read: {replica} and {primary}");
}

#[tokio::test]
async fn whoever_is_told_of_a_result_reads_it() {
    let Replicated { replica: _replica, installation } = Replicated::start().await;
    let api = installation.api().await;
    let students = join_all((0..STUDENTS).map(|_| installation.student(&api))).await;
    until_the_replica_is_read(&api, &students[0]).await;
    let test = students[0].test("biology").await;
    let submitted = join_all(students.iter().map(async |student| {
        let submitted = student.submit(&test, &simple_answers(&test)).await;
        (student, student.stream(None).await, submitted["id"].as_str().unwrap().to_owned())
    }));
    let submitted = submitted.await;
    // From here on the replica has all but what the workers write.
    for (student, _, id) in &submitted {
        eventually("the replica has the attempt", async || {
            let before = reads(&api, "replica").await;
            let attempt = student.get(&format!("/api/attempts/{id}")).await;
            assert_eq!(attempt["status"], "queued");
            (reads(&api, "replica").await > before).then_some(())
        })
        .await;
    }
    let _workers = installation.workers("");
    join_all(submitted.into_iter().map(async |(student, mut stream, id)| {
        let told = stream.data_of("notification").await;
        assert_eq!(told["data"]["attempt_id"], id.as_str());
        let attempt = student.get(&format!("/api/attempts/{id}")).await;
        assert_eq!(attempt["status"], "graded", "{attempt}");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_dies_costs_no_client_an_answer() {
    let Replicated { mut replica, installation } = Replicated::start().await;
    let api = installation.api().await;
    let students = join_all((0..8).map(|_| installation.student(&api))).await;
    until_the_replica_is_read(&api, &students[0]).await;
    let stop = AtomicBool::new(false);
    let asking = students.iter().map(async |student| {
        let mut asked = 0;
        while !stop.load(Ordering::Relaxed) {
            let answer = student.request(Method::GET, "/api/attempts").send().await.unwrap();
            assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
            asked += 1;
        }
        asked
    });
    let killing = async {
        let before = reads(&api, "replica").await;
        eventually("the replica is read by all", async || {
            (reads(&api, "replica").await > before + 200.0).then_some(())
        })
        .await;
        tokio::task::block_in_place(|| replica.crash());
        let left = reads(&api, "primary").await;
        eventually("the primary answers", async || (reads(&api, "primary").await > left + 200.0).then_some(())).await;
        stop.store(true, Ordering::Relaxed);
    };
    let (asked, ()) = tokio::join!(join_all(asking), killing);
    assert!(asked.iter().all(|asked: &usize| *asked > 0) && asked.iter().sum::<usize>() > 400, "{asked:?}");
}
