//! Stores that forget or restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bellwork_testkit::eventually;
use bellwork_tests::installation::Installation;
use bellwork_tests::student::simple_answers;
use reqwest::Method;
use serde_json::json;

use crate::effects::happened_once;

const SUBMITTED: usize = 6000;
const UNFINISHED: i64 = 5000;
const CALLERS: usize = 20;

#[tokio::test]
async fn redis_emptied_with_five_thousand_unfinished_jobs() {
    let installation = Installation::with_redis().await;
    let api = installation.api().await;
    let student = installation.student(&api).await;
    let test = student.test("algebra").await;
    let answers = simple_answers(&test);
    let submit_some = || async {
        for _ in 0..SUBMITTED / CALLERS {
            student.submit(&test, &answers).await;
        }
    };
    futures_util::future::join_all((0..CALLERS).map(|_| submit_some())).await;
    let _workers = installation.workers("");
    eventually("they are being worked on", async || {
        let done: i64 = sqlx::query_scalar("select count(*) from jobs where kind = 'grade_attempt' and state = 'done'")
            .fetch_one(&installation.database)
            .await
            .ok()?;
        (done >= 100).then_some(())
    })
    .await;
    let unfinished: i64 = sqlx::query_scalar("select count(*) from jobs where finished_at is null")
        .fetch_one(&installation.database)
        .await
        .unwrap();
    assert!(unfinished >= UNFINISHED, "only {unfinished} are left to lose");
    redis::cmd("FLUSHALL").exec_async(&mut installation.redis_connection().await).await.unwrap();
    happened_once(&installation, i64::try_from(SUBMITTED).unwrap()).await;
}

#[tokio::test]
async fn postgresql_crashed_under_load_loses_no_accepted_attempt() {
    let mut installation = Installation::with_postgres().await;
    let api = installation.api().await;
    let mut workers = installation.workers("");
    let student = installation.student(&api).await;
    let test = student.test("algebra").await;
    let body = json!({"test_id": test["id"], "answers": simple_answers(&test)});
    let (stop, back) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (student, body) = (student.clone(), body.clone());
            let (stop, back) = (Arc::clone(&stop), Arc::clone(&back));
            tokio::spawn(async move {
                let mut accepted = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let was_back = back.load(Ordering::Relaxed);
                    let response = student.request(Method::POST, "/api/attempts").json(&body).send().await.unwrap();
                    match response.status().as_u16() {
                        202 => {
                            let answer: serde_json::Value = response.json().await.unwrap();
                            accepted.push(answer["id"].as_str().unwrap().to_owned());
                        }
                        // Not accepted, and the client knows it.
                        503 if !was_back => tokio::task::yield_now().await,
                        other => panic!("{other}: {}", response.text().await.unwrap()),
                    }
                }
                accepted
            })
        })
        .collect();
    accepted_so_far(&installation, 50).await;
    installation.postgres.as_mut().unwrap().crash_and_restart().await;

    // Back: from the first success on, no request fails.
    eventually("the API is back", async || {
        let response = student.request(Method::GET, "/api/me").send().await.ok()?;
        response.status().is_success().then_some(())
    })
    .await;
    back.store(true, Ordering::Relaxed);
    for _ in 0..100 {
        student.get("/api/me").await;
    }
    let before: i64 =
        sqlx::query_scalar("select count(*) from attempts").fetch_one(&installation.database).await.unwrap();
    accepted_so_far(&installation, before + 50).await;
    stop.store(true, Ordering::Relaxed);
    let mut accepted = Vec::new();
    for caller in callers {
        accepted.extend(caller.await.unwrap());
    }
    let stored: Vec<String> =
        sqlx::query_scalar("select id::text from attempts").fetch_all(&installation.database).await.unwrap();
    let lost: Vec<_> = accepted.iter().filter(|id| !stored.contains(id)).collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    // A commit whose answer was cut off is stored without having been accepted; it ends like the others.
    happened_once(&installation, i64::try_from(stored.len()).unwrap()).await;
    assert!(workers.runs(), "the workers stayed up");
}

async fn accepted_so_far(installation: &Installation, attempts: i64) {
    eventually("attempts are accepted", async || {
        let accepted: i64 =
            sqlx::query_scalar("select count(*) from attempts").fetch_one(&installation.database).await.ok()?;
        (accepted >= attempts).then_some(())
    })
    .await;
}
