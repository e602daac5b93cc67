//! SIGTERM: what can end within the drain ends, the rest goes back uncharged, and streams move.

use bellwork_testkit::eventually;
use bellwork_testkit::program::Signal;
use bellwork_tests::ai_server::{AiServer, Manner};
use bellwork_tests::installation::Installation;
use bellwork_tests::student::Student;
use serde_json::Value;

use crate::effects::happened_once;
use crate::key::right_answers;

/// At once and uncharged.
async fn assert_given_back(student: &Student, attempt: &Value) {
    let job = student.get(&format!("/api/jobs/{}", attempt["job_id"].as_str().unwrap())).await;
    assert_eq!((&job["state"], &job["attempt"]), (&"ready".into(), &0.into()), "{job}");
}

#[tokio::test]
async fn a_job_shorter_than_the_drain_ends_and_a_longer_one_runs_elsewhere_uncharged() {
    let ai = AiServer::start(Manner::Silent).await;
    let mut installation = Installation::new().await;
    installation.set("AI_BASE_URL", &ai.url());
    installation.set("DRAIN_SECONDS", "600");
    let api = installation.api().await;
    let student = installation.student(&api).await;
    let test = student.test("biology").await;
    let mut leaving = installation.workers("ai=8");
    let short = student.submit(&test, &right_answers(&test)).await;
    ai.request().await;
    leaving.signal(Signal::Term);
    eventually("it drains", async || leaving.log().contains("draining").then_some(())).await;
    // The short one gets its answers within the drain.
    ai.behave(Manner::Generous);
    student.attempt_in(short["id"].as_str().unwrap(), &["graded"]).await;
    let status = leaving.wait();
    assert!(status.success(), "{status}");
    assert!(leaving.log().contains("drained"), "{}", leaving.log());

    // The long one does not.
    installation.set("DRAIN_SECONDS", "2");
    ai.behave(Manner::Silent);
    let mut leaving = installation.workers("ai=8");
    let long = student.submit(&test, &right_answers(&test)).await;
    while ai.unseen() > 0 {
        ai.request().await;
    }
    ai.request().await;
    leaving.signal(Signal::Term);
    let status = leaving.wait();
    assert!(status.success(), "{status}");
    assert_given_back(&student, &long).await;

    ai.behave(Manner::Generous);
    let _heir = installation.workers("");
    student.attempt_in(long["id"].as_str().unwrap(), &["graded"]).await;
    happened_once(&installation, 2).await;
}

#[tokio::test]
async fn a_second_sigterm_stops_at_once() {
    let ai = AiServer::start(Manner::Silent).await;
    let mut installation = Installation::new().await;
    installation.set("AI_BASE_URL", &ai.url());
    installation.set("DRAIN_SECONDS", "600");
    let api = installation.api().await;
    let student = installation.student(&api).await;
    let test = student.test("biology").await;
    let mut leaving = installation.workers("");
    let submitted = student.submit(&test, &right_answers(&test)).await;
    ai.request().await;
    leaving.signal(Signal::Term);
    eventually("it drains", async || leaving.log().contains("draining").then_some(())).await;
    leaving.signal(Signal::Term);
    assert!(leaving.wait().success());
    // The drain alone would have waited until the AI server was given up, which is a failure.
    assert_given_back(&student, &submitted).await;
    ai.behave(Manner::Generous);
    let _heir = installation.workers("");
    happened_once(&installation, 1).await;
}

#[tokio::test]
async fn an_api_that_is_told_to_stop_ends_its_streams_and_they_resume_elsewhere() {
    let mut installation = Installation::new().await;
    installation.set("STREAM_DRAIN_SECONDS", "1");
    let (mut leaving, staying) = (installation.api().await, installation.api().await);
    let _workers = installation.workers("");
    let student = installation.student(&leaving).await;
    let test = student.test("algebra").await;
    let mut stream = student.stream(None).await;
    student.submit(&test, &right_answers(&test)).await;
    let first = stream.next_of("notification").await;

    leaving.program.signal(Signal::Term);
    while stream.next().await.is_some() {}
    assert!(leaving.program.wait().success());
    let student = student.at(&staying.url);
    student.submit(&test, &right_answers(&test)).await;
    let mut resumed = student.stream(Some(&first.last_id)).await;
    let hello = resumed.data_of("hello").await;
    assert_eq!(hello["resumed"], true, "{hello}");
    let second = resumed.data_of("notification").await;
    assert_eq!(second["seq"], 2, "nothing was missed and nothing came twice");
}
