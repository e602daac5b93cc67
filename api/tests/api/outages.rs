//! What still works while a store is away.

use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::application::{Application, mostly_within, timed};
use crate::events::Events;
use crate::exam::Exam;

/// A port that nothing listens on.
const NOWHERE: &str = "127.0.0.1:1";

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_attempt_is_accepted_while_redis_is_away(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let away = format!("redis://{NOWHERE}");
    let app = Application::start_with(database, &[("REDIS_URL", &away), ("STREAM_HEARTBEAT_SECONDS", "1")]);
    let student = app.student().await;
    let submit = async || {
        let answer = student.post("/api/attempts", &exam.submission()).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer
    };
    let answer = submit().await;
    assert_eq!(app.count("job_outbox").await, 2, "the relay finds it there, and the mail of the registration");
    let again = async || timed(async || drop(submit().await)).await;
    mostly_within(Duration::from_secs(2), "Redis is not waited for", again).await;
    let job = student.get(&format!("/api/jobs/{}", answer.body["job_id"].as_str().unwrap())).await.body;
    assert_eq!(job["state"], "ready");
    app.anybody().get("/api/health/ready").await.problem(503);
    assert_eq!(app.anybody().get("/api/health").await.body["status"], "degraded");
    let (mut events, hello) = Events::greeted(&student, None).await;
    assert_eq!(hello.data["resumed"], false);
    app.write(student.id, "the patrol finds it").await;
    assert_eq!(events.next_seq().await, 1);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn without_postgresql_it_lives_and_says_so(_database: PgPool) {
    let away = PgPoolOptions::new().acquire_timeout(Duration::from_millis(200));
    let app = Application::start_with(away.connect_lazy(&format!("postgres://{NOWHERE}/x")).unwrap(), &[]);
    let mut caller = app.anybody();
    assert_eq!(caller.get("/api/health/live").await.body, json!({ "status": "ok" }));
    caller.get("/api/health/ready").await.problem(503);
    let answer = caller.get("/api/tests").await;
    answer.problem(503);
    assert!((1..=4).contains(&answer.header("retry-after").parse().unwrap()), "{answer:?}");
    assert!(!answer.body.to_string().contains("127.0.0.1"), "{answer:?}");
    caller.token = Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned());
    let mut turned_away = Events::open(&caller, None).await;
    assert!(turned_away.end().await.is_some(), "a browser comes back only after a 200");
    app.stop().await;
}
