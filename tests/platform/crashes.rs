//! Processes killed without a word at the worst instants. Each attempt still has exactly one result, one place on the
//! board, one notification, and runs again within ten seconds.

use bellwork_testkit::eventually;
use bellwork_testkit::program::{Program, Signal};
use bellwork_tests::ai_server::{AiServer, Manner};
use bellwork_tests::installation::Installation;
use bellwork_tests::student::simple_answers;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, Executor, PgConnection};

use crate::effects::happened_once;
use crate::key::right_answers;

/// The promise, and the time the grading itself takes.
const PROMISED: TimeDelta = TimeDelta::seconds(10);

async fn running_jobs(installation: &Installation, queue: &str) -> u64 {
    let key = format!("{{{}:{queue}}}:leases", installation.variable("REDIS_PREFIX"));
    let mut connection = installation.redis_connection().await;
    let leases: u64 = redis::cmd("HLEN").arg(key).query_async(&mut connection).await.unwrap();
    leases.saturating_sub(1)
}

/// Starts another process and waits until it serves `queue` beside the one that is there: only then is there somebody to
/// keep the promise.
async fn heir_beside(installation: &Installation, queue: &str) -> Program {
    let heir = installation.workers("");
    let key = format!("{{{}:{queue}}}:processes", installation.variable("REDIS_PREFIX"));
    let connection = installation.redis_connection().await;
    let serving = async || redis::cmd("ZCARD").arg(&key).query_async::<u64>(&mut connection.clone()).await.unwrap();
    eventually("both serve", async || (serving().await == 2).then_some(())).await;
    heir
}

/// Checks the promise by what the ledger says, and not by when this test hears of it.
async fn kept_the_promise(installation: &Installation, killed: DateTime<Utc>, recorded: &'static str) {
    let recorded: DateTime<Utc> = sqlx::query_scalar(recorded).fetch_one(&installation.database).await.unwrap();
    let took = recorded - killed;
    assert!((TimeDelta::zero()..PROMISED).contains(&took), "{took}");
}

#[tokio::test]
async fn a_worker_killed_after_its_claim() {
    let installation = Installation::new().await;
    let api = installation.api().await;
    let student = installation.student(&api).await;
    let test = student.test("algebra").await;
    let submitted = student.submit(&test, &simple_answers(&test)).await;
    // Whoever claims the job cannot even read its attempt.
    let mut blocker = PgConnection::connect(installation.variable("DATABASE_URL")).await.unwrap();
    let mut lock = blocker.begin().await.unwrap();
    lock.execute("lock table attempts in access exclusive mode").await.unwrap();
    let doomed = installation.workers("");
    eventually("the claim", async || (running_jobs(&installation, "ai").await == 1).then_some(())).await;
    let _heir = heir_beside(&installation, "ai").await;
    doomed.kill();
    let killed = Utc::now();
    lock.rollback().await.unwrap();
    student.attempt_in(submitted["id"].as_str().unwrap(), &["graded"]).await;
    kept_the_promise(&installation, killed, "select graded_at from attempts").await;
    happened_once(&installation, 1).await;
}

#[tokio::test]
async fn a_worker_killed_in_the_middle_of_its_run() {
    let ai = AiServer::start(Manner::Silent).await;
    let mut installation = Installation::new().await;
    installation.set("AI_BASE_URL", &ai.url());
    let api = installation.api().await;
    let student = installation.student(&api).await;
    let test = student.test("biology").await;
    let doomed = installation.workers("");
    let submitted = student.submit(&test, &right_answers(&test)).await;
    ai.request().await;
    let grading = student.get(&format!("/api/attempts/{}", submitted["id"].as_str().unwrap())).await;
    assert_eq!(grading["status"], "grading");
    let job = student.get(&format!("/api/jobs/{}", submitted["job_id"].as_str().unwrap())).await;
    assert_eq!((&job["state"], &job["attempt"]), (&"running".into(), &1.into()), "{job}");

    let _heir = heir_beside(&installation, "ai").await;
    doomed.kill();
    let killed = Utc::now();
    ai.behave(Manner::Generous);
    student.attempt_in(submitted["id"].as_str().unwrap(), &["graded"]).await;
    kept_the_promise(&installation, killed, "select graded_at from attempts").await;
    let job = student.get(&format!("/api/jobs/{}", submitted["job_id"].as_str().unwrap())).await;
    assert_eq!(job["error"], serde_json::Value::Null, "a death is not charged as a failure: {job}");
    happened_once(&installation, 1).await;
}

#[tokio::test]
async fn a_worker_killed_between_the_commit_of_its_record_and_the_completion() {
    let ai = AiServer::start(Manner::Silent).await;
    let mut installation = Installation::with_redis().await;
    installation.set("AI_BASE_URL", &ai.url());
    let api = installation.api().await;
    let student = installation.student(&api).await;
    let test = student.test("biology").await;
    let mut stream = student.stream(None).await;
    let doomed = installation.workers("");
    let submitted = student.submit(&test, &right_answers(&test)).await;
    let id = submitted["id"].as_str().unwrap();
    ai.request().await;
    let _heir = heir_beside(&installation, "ai").await;
    // Redis is frozen while the answer comes: the record commits, and nothing after it can happen.
    installation.redis.as_ref().unwrap().signal(Signal::Stop);
    ai.behave(Manner::Generous);
    eventually("the record is committed", async || {
        let status: String =
            sqlx::query_scalar("select status::text from attempts").fetch_one(&installation.database).await.ok()?;
        (status == "graded").then_some(())
    })
    .await;
    doomed.kill();
    let killed = Utc::now();
    installation.redis.as_ref().unwrap().signal(Signal::Continue);
    assert_eq!(running_jobs(&installation, "ai").await, 1, "Redis knows nothing of the record");

    let event = stream.data_of("notification").await;
    assert_eq!(event["data"]["attempt_id"], id);
    kept_the_promise(&installation, killed, "select created_at from notifications").await;
    happened_once(&installation, 1).await;
}

#[tokio::test]
async fn a_job_that_kills_three_workers_is_given_up_with_the_evidence_and_others_go_on() {
    let ai = AiServer::start(Manner::Silent).await;
    let mut installation = Installation::new().await;
    installation.set("AI_BASE_URL", &ai.url());
    let api = installation.api().await;
    let student = installation.student(&api).await;
    let test = student.test("biology").await;
    let poison = student.submit(&test, &right_answers(&test)).await;
    let mut last_pid = 0;
    for _ in 0..3 {
        let doomed = installation.workers("ai=1");
        ai.request().await;
        last_pid = doomed.pid();
        doomed.kill();
    }
    let _workers = installation.workers("");
    let harmless = student.submit(&test, &simple_answers(&test)).await;
    student.attempt_in(harmless["id"].as_str().unwrap(), &["graded"]).await;
    student.attempt_in(poison["id"].as_str().unwrap(), &["failed"]).await;
    let path = format!("/api/jobs/{}", poison["job_id"].as_str().unwrap());
    assert_eq!(student.get(&path).await["error"], "poison");
    let job = installation.admin(&api).await.get(&path).await;
    let error = job["error"].as_str().unwrap();
    assert!(error.contains("poison") && error.contains(&format!("\"pid\":{last_pid}")), "{error}");
    assert_eq!((&job["state"], &job["attempt"]), (&"dead".into(), &0.into()), "deaths are no failures: {job}");
}

#[tokio::test]
async fn an_api_killed_between_its_commit_and_its_push() {
    let installation = Installation::with_redis().await;
    let api = installation.api().await;
    let student = installation.student(&api).await;
    let test = student.test("algebra").await;
    installation.redis.as_ref().unwrap().signal(Signal::Stop);
    let submitting = {
        let (student, test) = (student.clone(), test.clone());
        tokio::spawn(async move {
            let body = serde_json::json!({"test_id": test["id"], "answers": simple_answers(&test)});
            // The answer may be cut off by the kill.
            let _ = student.request(reqwest::Method::POST, "/api/attempts").json(&body).send().await;
        })
    };
    eventually("the attempt is committed", async || {
        let attempts: i64 =
            sqlx::query_scalar("select count(*) from attempts").fetch_one(&installation.database).await.ok()?;
        (attempts == 1).then_some(())
    })
    .await;
    api.program.kill();
    submitting.await.unwrap();
    installation.redis.as_ref().unwrap().signal(Signal::Continue);
    let _workers = installation.workers("");
    happened_once(&installation, 1).await;
}
