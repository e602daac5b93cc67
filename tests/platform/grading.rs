//! Free text graded over HTTP by a chat-completions server that answers well, badly, or not at all.

use bellwork_testkit::program::Program;
use bellwork_tests::ai_server::{AiServer, Manner};
use bellwork_tests::installation::{Api, Installation};
use bellwork_tests::student::Student;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::effects::{all_jobs_end, happened_once};
use crate::key::right_answers;

struct School {
    installation: Installation,
    ai: AiServer,
    api: Api,
    _workers: Program,
    student: Student,
    test: Value,
}

/// An installation with an AI server of this manner, and a student about to take a test with free text.
async fn school(manner: Manner) -> School {
    let ai = AiServer::start(manner).await;
    let mut installation = Installation::new().await;
    installation.set("AI_BASE_URL", &ai.url());
    installation.set("AI_TIMEOUT_SECONDS", "1");
    let api = installation.api().await;
    let workers = installation.workers("");
    let student = installation.student(&api).await;
    let test = student.test("biology").await;
    School { installation, ai, api, _workers: workers, student, test }
}

#[tokio::test]
async fn free_text_is_graded_by_the_server_and_the_mark_computed_by_us() {
    let school = school(Manner::Generous).await;
    let submitted = school.student.submit(&school.test, &right_answers(&school.test)).await;
    let attempt = school.student.attempt_in(submitted["id"].as_str().unwrap(), &["graded", "failed"]).await;
    assert_eq!(attempt["score"], attempt["max_score"], "{attempt}");
    let by_ai = attempt["feedback"].as_array().unwrap().iter().filter(|answer| answer["graded_by"] == "ai").count();
    let job = school.student.get(&format!("/api/jobs/{}", submitted["job_id"].as_str().unwrap())).await;
    assert_eq!(by_ai, 3);
    assert_eq!(job["result"]["usage"]["requests"], 3, "{job}");
    assert_eq!(job["result"]["usage"]["prompt_tokens"], 300, "{job}");
    happened_once(&school.installation, 1).await;
}

/// Each of these is retried, then dead-lettered with its reason, and graded when an operator retries it.
async fn is_retried_then_dead_then_retried_by_an_operator(manner: Manner, reason: &str) {
    let school = school(manner).await;
    let submitted = school.student.submit(&school.test, &right_answers(&school.test)).await;
    let (id, job) = (submitted["id"].as_str().unwrap(), submitted["job_id"].as_str().unwrap());
    school.student.attempt_in(id, &["failed"]).await;
    let shown = school.student.get(&format!("/api/jobs/{job}")).await;
    assert_eq!((&shown["state"], &shown["attempt"], &shown["max_attempts"]), (&"dead".into(), &5.into(), &5.into()));
    let error = shown["error"].as_str().unwrap();
    assert!(error.to_lowercase().contains(reason), "{error} does not tell of {reason}");
    all_jobs_end(&school.installation).await;
    let told = school.student.get("/api/notifications").await;
    assert_eq!(told["items"][0]["kind"], "attempt_failed", "{told}");

    school.ai.behave(Manner::Generous);
    let admin = school.installation.admin(&school.api).await;
    let retried = format!("/api/admin/jobs/{job}/retry");
    let (status, _) = school.student.post(&retried, &json!({})).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, answer) = admin.post(&retried, &json!({})).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let attempt = school.student.attempt_in(id, &["graded"]).await;
    assert_eq!(attempt["score"], attempt["max_score"]);
    all_jobs_end(&school.installation).await;
}

#[tokio::test]
async fn a_silent_server_is_retried_then_given_up() {
    is_retried_then_dead_then_retried_by_an_operator(Manner::Silent, "in time").await;
}

#[tokio::test]
async fn a_failing_server_is_retried_then_given_up() {
    let failing = Manner::Fixed(500, String::new(), "{\"error\":{\"message\":\"overloaded\"}}".to_owned());
    is_retried_then_dead_then_retried_by_an_operator(failing, "500").await;
}

#[tokio::test]
async fn malformed_json_is_retried_then_given_up() {
    let torn = Manner::Fixed(200, String::new(), "{\"choices\": [".to_owned());
    is_retried_then_dead_then_retried_by_an_operator(torn, "chat completion").await;
}

#[tokio::test]
async fn an_answer_that_breaks_the_schema_is_retried_then_given_up() {
    is_retried_then_dead_then_retried_by_an_operator(Manner::Says("{\"grade\": \"A\"}".to_owned()), "schema").await;
}

#[tokio::test]
async fn a_server_that_asks_for_patience_is_given_it() {
    let school = school(Manner::Fixed(429, "retry-after: 2\r\n".to_owned(), "{}".to_owned())).await;
    let began = std::time::Instant::now();
    let submitted = school.student.submit(&school.test, &right_answers(&school.test)).await;
    school.ai.request().await;
    school.ai.behave(Manner::Generous);
    let attempt = school.student.attempt_in(submitted["id"].as_str().unwrap(), &["graded", "failed"]).await;
    assert_eq!(attempt["score"], attempt["max_score"], "{attempt}");
    assert!(began.elapsed().as_secs_f64() >= 2.0, "it came back after {:?}", began.elapsed());
    happened_once(&school.installation, 1).await;
}
