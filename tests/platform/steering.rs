//! What operators do to jobs that run or cannot run.

use std::time::Duration;

use bellwork_testkit::eventually;
use bellwork_tests::ai_server::{AiServer, Manner};
use bellwork_tests::installation::Installation;
use serde_json::{Value, json};

use crate::key::right_answers;

fn running_in<'a>(queues: &'a Value, name: &str) -> &'a Value {
    let queues = queues["items"].as_array().or(queues.as_array()).unwrap();
    &queues.iter().find(|queue| queue["name"] == name).unwrap()["counts"]["running"]
}

/// How long the AI server is waited for.
const AI_TIMEOUT: Duration = Duration::from_secs(110);

/// The AI server never answers and its time-out is far away: only the cancellation can end the run.
#[tokio::test]
async fn a_running_job_that_is_cancelled_ends_at_once_and_says_how_far_it_was() {
    let ai = AiServer::start(Manner::Silent).await;
    let mut installation = Installation::new().await;
    installation.set("AI_BASE_URL", &ai.url());
    installation.set("AI_TIMEOUT_SECONDS", &AI_TIMEOUT.as_secs().to_string());
    let api = installation.api().await;
    let (student, admin) = (installation.student(&api).await, installation.admin(&api).await);
    let test = student.test("biology").await;
    let _workers = installation.workers("ai=8");
    let attempt = student.submit(&test, &right_answers(&test)).await;
    ai.request().await;
    let path = format!("/api/jobs/{}", attempt["job_id"].as_str().unwrap());
    let job = student.get(&path).await;
    assert_eq!(job["state"], "running");
    assert!(job["progress"].as_u64().is_some_and(|percent| percent < 100), "{job}");

    let shown = installation.bellwork(&["--json", "jobs", "show", attempt["job_id"].as_str().unwrap()]);
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["place"], "leased");
    let cancel = format!("/api/admin/jobs/{}/cancel", attempt["job_id"].as_str().unwrap());
    assert_eq!(admin.post(&cancel, &json!({})).await.1["state"], "cancelled");
    let ended = eventually("the run ends", async || {
        let queues = admin.get("/api/admin/queues").await;
        (running_in(&queues, "ai") == &json!(0)).then_some(())
    });
    // By itself it would end when the AI server is given up.
    tokio::time::timeout(AI_TIMEOUT / 2, ended).await.expect("it ends at once");
    assert_eq!(student.get(&path).await["state"], "cancelled");
}

#[tokio::test]
async fn an_operator_reads_why_a_job_waits() {
    let installation = Installation::new().await;
    let api = installation.api().await;
    let student = installation.student(&api).await;
    let test = student.test("algebra").await;
    installation.bellwork(&["queues", "pause", "ai"]);
    let attempt = student.submit(&test, &right_answers(&test)).await;
    let id = attempt["job_id"].as_str().unwrap();
    let waits = eventually("Redis has it", async || {
        let shown: Value = serde_json::from_str(&installation.bellwork(&["--json", "jobs", "show", id])).unwrap();
        shown["waits_for"].as_array().filter(|reasons| !reasons.is_empty()).cloned()
    })
    .await;
    let expected = ["the queue is paused", "no live worker serves the queue", "number 1 in its line"];
    assert_eq!(waits, expected.map(Value::from));
    let text = installation.bellwork(&["jobs", "show", id]);
    assert!(text.contains("waits: the queue is paused; no live worker serves the queue"), "{text}");
}
